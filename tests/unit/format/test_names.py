"""Names of stored files: what is recognised, what is somebody else's, what is written."""

import pytest

from twofold.format.names import NameCodec
from twofold.model.backup import FileRole, SetId, StoredName, Wrapping

T0, T = 1700000000, 1700003600
FULL, INC = SetId(T0), SetId(T, T0)
F, INC_STEM = "duplicity-full.20231114T221320Z", "duplicity-inc.20231114T221320Z.to.20231114T231320Z"
V, M, S, J = FileRole.VOLUME, FileRole.MANIFEST, FileRole.SIGNATURES, FileRole.STATISTICS

WRITTEN = [
    (f"{F}.vol1.difftar.gpg", StoredName(FULL, V, Wrapping.GPG, 1)),
    (f"{F}.vol12.difftar.gz", StoredName(FULL, V, Wrapping.GZIP, 12)),
    (f"{F}.vol3.difftar", StoredName(FULL, V, Wrapping.PLAIN, 3)),
    (f"{INC_STEM}.vol2.difftar.p7m", StoredName(INC, V, Wrapping.GPGSM, 2)),
    (f"{F}.manifest", StoredName(FULL, M)),
    (f"{F}.manifest.gpg", StoredName(FULL, M, Wrapping.GPG)),
    (f"{F}.manifest.part", StoredName(FULL, M, partial=True)),
    (f"{F}.manifest.part.gpg", StoredName(FULL, M, Wrapping.GPG, partial=True)),
    (f"{INC_STEM}.manifest.part", StoredName(INC, M, partial=True)),
    ("duplicity-full-signatures.20231114T221320Z.sigtar.gz", StoredName(FULL, S, Wrapping.GZIP)),
    ("duplicity-full-signatures.20231114T221320Z.sigtar.part", StoredName(FULL, S, partial=True)),
    ("duplicity-new-signatures.20231114T221320Z.to.20231114T231320Z.sigtar.gpg", StoredName(INC, S, Wrapping.GPG)),
    (f"{F}.jsonstat.gz", StoredName(FULL, J, Wrapping.GZIP)),
    (f"{INC_STEM}.jsonstat", StoredName(INC, J)),
]


@pytest.mark.parametrize(("name", "stored"), WRITTEN, ids=[name for name, _ in WRITTEN])
def test_written_names_are_read_and_written_back_the_same(name: str, stored: StoredName) -> None:
    assert NameCodec().parse(name) == stored
    assert NameCodec().format(stored) == name


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        (f"{F}.vol01.difftar.gpg", StoredName(FULL, V, Wrapping.GPG, 1)),
        (f"{F}.vol1.difftar.g", StoredName(FULL, V, Wrapping.GPG, 1)),
        (f"{F}.vol1.difftar.z", StoredName(FULL, V, Wrapping.GZIP, 1)),
        ("duplicity-full.20231114t221320z.manifest", StoredName(FULL, M)),
        ("df.s44we8.1.dt.z", StoredName(FULL, V, Wrapping.GZIP, 1)),
        ("df.s44we8.10.dt.g", StoredName(FULL, V, Wrapping.GPG, 36)),
        ("df.s44we8.m", StoredName(FULL, M)),
        ("df.s44we8.m.p", StoredName(FULL, M, partial=True)),
        ("dfs.s44we8.st.gz", StoredName(FULL, S, Wrapping.GZIP)),
        ("di.s44we8.s44z68.2.dt", StoredName(INC, V, volume=2)),
        ("di.s44we8.s44z68.m", StoredName(INC, M)),
        ("dns.s44we8.s44z68.st.p.g", StoredName(INC, S, Wrapping.GPG, partial=True)),
        ("duplicity-full.2023-11-14T22:13:20Z.vol1.difftar.gpg", StoredName(FULL, V, Wrapping.GPG, 1)),
        ("duplicity-full.2023-11-14T22_13_20Z.manifest", StoredName(FULL, M)),
        ("duplicity-inc.2023-11-14T23:13:20+01:00.to.2023-11-14T16:13:20-07:00.manifest", StoredName(INC, M)),
    ],
)
def test_names_of_older_archives_are_read(name: str, stored: StoredName) -> None:
    assert NameCodec().parse(name) == stored


@pytest.mark.parametrize(
    "name",
    [
        "",
        "README",
        "lockfile",
        ".",
        "duplicity-full",
        f"{F}.vol1.difftar.gpg.par2",
        f"{F}.vol1.difftar.gz.tmp",
        f"{F}.vol1.difftar.gpg~",
        f"{F}.vol1.difftar.gpg.bak",
        f"{F}.vol1.difftar.part",
        f"{F}.vol1.difftarx",
        f"{F}.vol0.difftar.gpg",
        f"{F}.vol.difftar.gpg",
        f"{F}.vol-1.difftar.gpg",
        f"{F}.vol٣.difftar.gpg",
        f"{F}.vol{'9' * 5000}.difftar",
        f"{F}.manifest.sig",
        f"{F}.manifest.gpg.part",
        f"{F}.manifest\n",
        "duplicity-full-signatures.20231114T221320Z.sigtar.gz.idx",
        f"{F}.jsonstat.part",
        "duplicity-full.junk.jsonstat",
        "duplicity-inc.20231114T221320Z.jsonstat",
        "duplicity-full.20231314T221320Z.manifest",
        f"{F}.index",
        f"{F}.vol1.index",
        "duplicity-index.20231114T221320Z.gz",
        f"x{F}.manifest",
        f"{F}.manifest".upper(),
        "duplicity-full.20231114T221320Z.to.20231114T231320Z.manifest",
        "duplicity-inc.20231114T221320Z.manifest",
        "duplicity-new-signatures.20231114T221320Z.sigtar",
        "duplicity-full.1700000000.manifest",
        "duplicity-full.3D.manifest",
        "df.s44we8.0.dt",
        "df.S44WE8.m",
        "df.zzzzzzzz.m",
        "df.s44awe8.m",  # of the year 3909, which the new style cannot tell
        "df.s44we8.zzzzzzz.dt",
        "duplicity-full.2099-12-31T23:59:59-01:00.manifest",
        "dfs.s44we8.m",
    ],
)
def test_other_names_are_somebody_elses(name: str) -> None:
    assert NameCodec().parse(name) is None


def test_each_role_has_its_own_prefix() -> None:
    codec = NameCodec("a-", manifest_prefix="m-", archive_prefix="v-", signature_prefix="s-", statistics_prefix="j-")
    names = {
        "a-m-duplicity-full.20231114T221320Z.manifest.gpg": StoredName(FULL, M, Wrapping.GPG),
        "a-v-duplicity-full.20231114T221320Z.vol1.difftar.gpg": StoredName(FULL, V, Wrapping.GPG, 1),
        "a-s-duplicity-full-signatures.20231114T221320Z.sigtar.gpg": StoredName(FULL, S, Wrapping.GPG),
        "a-j-duplicity-full.20231114T221320Z.jsonstat.gpg": StoredName(FULL, J, Wrapping.GPG),
    }
    for name, stored in names.items():
        assert codec.parse(name) == stored
        assert codec.format(stored) == name
        assert codec.parse(name[2:]) is None
        assert NameCodec().parse(name) is None
    assert codec.parse("a-v-duplicity-full.20231114T221320Z.manifest") is None


def test_prefixes_are_compared_letter_by_letter() -> None:
    codec = NameCodec("a.+")
    assert codec.parse(f"a.+{F}.manifest") == StoredName(FULL, M)
    assert codec.parse(f"abb{F}.manifest") is None


def test_another_time_separator_is_understood() -> None:
    name = "duplicity-full.2023-11-14T22.13.20Z.manifest"
    assert NameCodec(time_separator=".").parse(name) == StoredName(FULL, M)
    assert NameCodec().parse(name) is None


@pytest.mark.parametrize(
    "stored",
    [
        StoredName(FULL, V),
        StoredName(FULL, V, volume=0),
        StoredName(FULL, M, volume=1),
        StoredName(FULL, V, volume=1, partial=True),
        StoredName(FULL, J, partial=True),
    ],
)
def test_combinations_without_a_name_are_refused(stored: StoredName) -> None:
    with pytest.raises(ValueError, match="No name"):
        NameCodec().format(stored)

"""Manifests and names of any content come back as they were, and no bytes at all upset the parsers."""

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.errors import CorruptManifest
from twofold.format.manifest import (
    BlockPosition,
    FileChange,
    Manifest,
    VolumeRecord,
    format_manifest,
    parse_manifest,
)
from twofold.format.names import NameCodec
from twofold.model.backup import FileRole, SetId, StoredName, Wrapping

FEW = settings(max_examples=80, deadline=None)
WORDS = [
    b"Volume 1:", b"Volume 2:", b"Volume x", b"    StartingPath   .  ", b"    EndingPath     a 5", b"    Hash SHA1 ab",
    b"    Hash", b"Filelist 3", b"    new      x", b"Hostname", b"Localdir ", b'"', b"\n", b"\r\n", b" ", b"\t\n",
    b"\xff", b"    Size 5", b"Twofold 1", b'    EndingPath "\\x2"',
]  # fmt: skip

names = st.binary(min_size=1, max_size=30).filter(lambda path: path != b".")
positions = st.builds(BlockPosition, st.just(b"") | names, st.none() | st.integers(1, 10**12))
digests = st.dictionaries(
    st.sampled_from(["SHA1", "SHA256", "MD5"]), st.binary(min_size=16, max_size=32).map(bytes.hex), min_size=1
).map(lambda found: tuple(found.items()))
volumes = st.lists(st.integers(1, 10**6), unique=True, max_size=5).flatmap(
    lambda numbers: st.tuples(
        *(
            st.builds(VolumeRecord, st.just(number), positions, positions, digests, st.none() | st.integers(0, 10**15))
            for number in sorted(numbers)
        )
    )
)
manifests = st.builds(
    Manifest,
    st.none() | st.from_regex(rb"[!-~\x80-\xff]{1,20}", fullmatch=True),
    st.none() | st.binary(min_size=1, max_size=30),
    volumes,
    st.none() | st.lists(st.tuples(st.sampled_from(FileChange), names), max_size=5).map(tuple),
    st.none() | st.integers(0, 99),
)


@FEW
@given(manifests)
def test_manifests_come_back(manifest: Manifest) -> None:
    data = format_manifest(manifest)
    assert parse_manifest(data, with_file_changes=True) == manifest
    without = parse_manifest(data)
    assert (without.volumes, without.file_changes) == (manifest.volumes, None)


@FEW
@given(
    st.lists(st.sampled_from(WORDS) | st.binary(max_size=8), max_size=20).map(b"\n".join),
    st.booleans(),
)
def test_no_bytes_upset_the_parser(data: bytes, with_file_changes: bool) -> None:
    try:
        parsed = parse_manifest(data, with_file_changes=with_file_changes)
    except CorruptManifest:
        return
    assert all(record.number > 0 for record in parsed.volumes)
    assert parse_manifest(data, with_file_changes=not with_file_changes).volumes == parsed.volumes


@st.composite
def stored_names(draw: st.DrawFn) -> StoredName:
    role = draw(st.sampled_from(FileRole))
    instants = st.integers(0, 4102444799)
    return StoredName(
        SetId(draw(instants), draw(st.none() | instants)),
        role,
        draw(st.sampled_from(Wrapping)),
        draw(st.integers(1, 10**6)) if role is FileRole.VOLUME else None,
        draw(st.booleans()) if role in (FileRole.MANIFEST, FileRole.SIGNATURES) else False,
    )


@FEW
@given(stored_names(), st.text(string.printable, max_size=4), st.text(string.printable, max_size=3))
def test_names_come_back(stored: StoredName, prefix: str, special: str) -> None:
    codec = NameCodec(prefix, manifest_prefix=special, signature_prefix=special + "s")
    assert codec.parse(codec.format(stored)) == stored


@FEW
@given(stored_names(), st.text(string.printable, min_size=1, max_size=5))
def test_what_extends_a_name_is_somebody_elses(stored: StoredName, ending: str) -> None:
    codec = NameCodec()
    parsed = codec.parse(codec.format(stored) + ending)
    assert parsed is None or ending in (".gz", ".z", ".gpg", ".g", ".p7m", ".part")

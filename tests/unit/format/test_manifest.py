"""Manifests: byte for byte as duplicity writes them, and read with more care."""

import pytest

from twofold.errors import CorruptManifest
from twofold.format.manifest import (
    LINES_PER_PIECE,
    BlockPosition,
    FileChange,
    Manifest,
    VolumeRecord,
    filelist_bytes,
    format_manifest,
    header_bytes,
    parse_manifest,
    quote,
    volume_bytes,
)

SHA1 = "0398b05222a747ba56f1700a3198f780d02fb0da"
OTHER_SHA1 = "5e03559037bf8aa534bb3ef4fd9e9a2f8386abeb"
EXAMPLE = (
    "Hostname vm\n"
    'Localdir "my\\x20dïr"\n'
    "Volume 1:\n"
    "    StartingPath   .  \n"
    '    EndingPath     "big\\x20fi\\x22le" 15\n'
    f"    Hash SHA1 {SHA1}\n"
    "Volume 2:\n"
    '    StartingPath   "big\\x20fi\\x22le" 16\n'
    '    EndingPath     "z\\x09q"  \n'
    f"    Hash SHA1 {OTHER_SHA1}\n"
    "Filelist 3\n"
    '    new      "big\\x20fi\\x22le"\n'
    "    changed  other\n"
    '    deleted  "z\\x09q"\n'
).encode()
PARSED = Manifest(
    b"vm",
    "my dïr".encode(),
    (
        VolumeRecord(1, BlockPosition(b""), BlockPosition(b'big fi"le', 15), (("SHA1", SHA1),)),
        VolumeRecord(2, BlockPosition(b'big fi"le', 16), BlockPosition(b"z\tq"), (("SHA1", OTHER_SHA1),)),
    ),
    ((FileChange.NEW, b'big fi"le'), (FileChange.CHANGED, b"other"), (FileChange.DELETED, b"z\tq")),
)


def section(number: int, first: str = ".", last: str = "x", extra: str = "") -> bytes:
    return f"Volume {number}:\n    StartingPath   {first}  \n    EndingPath     {last}  \n{extra}".encode()


def numbers(data: bytes) -> list[int]:
    return [record.number for record in parse_manifest(data).volumes]


def test_duplicitys_manifest_is_read_and_written_back_byte_for_byte() -> None:
    assert parse_manifest(EXAMPLE, with_file_changes=True) == PARSED
    assert format_manifest(PARSED) == EXAMPLE


def test_the_list_of_changed_files_is_passed_over_unless_asked_for() -> None:
    assert parse_manifest(EXAMPLE).file_changes is None
    assert parse_manifest(EXAMPLE).volumes == PARSED.volumes


def test_a_manifest_grows_piece_by_piece() -> None:
    pieces = [header_bytes(b"vm", "my dïr".encode(), format_version=None)]
    pieces += [volume_bytes(record) for record in PARSED.volumes]
    pieces += filelist_bytes(3, PARSED.file_changes or ())
    assert b"".join(pieces) == EXAMPLE


def test_a_long_list_comes_in_pieces() -> None:
    changes = [(FileChange.NEW, b"f%d" % number) for number in range(3 * LINES_PER_PIECE)]
    pieces = list(filelist_bytes(len(changes), iter(changes)))
    assert len(pieces) == 4
    parsed = parse_manifest(b"".join(pieces), with_file_changes=True)
    assert parsed.file_changes == tuple(changes)


def test_our_own_lines_are_written_where_duplicity_skips_them() -> None:
    record = VolumeRecord(1, BlockPosition(b""), BlockPosition(b"x"), (("SHA1", SHA1), ("SHA256", "ab" * 32)), 4711)
    data = format_manifest(Manifest(b"vm", b"/home", (record,), (), 1))
    assert data == (
        b"Hostname vm\nLocaldir /home\nTwofold 1\n"
        + section(1, extra=f"    Hash SHA1 {SHA1}\n    Hash SHA256 {'ab' * 32}\n    Size 4711\n")
        + b"Filelist 0\n"
    )
    parsed = parse_manifest(data, with_file_changes=True)
    assert parsed == Manifest(b"vm", b"/home", (record,), (), 1)
    assert record.hash_of("SHA256") == "ab" * 32
    assert record.hash_of("MD5") is None


@pytest.mark.parametrize("word", [b" ", b"\t", b"\n", b"\r", b"\f", b"\v", b"\\", b'"', b"'"])
def test_each_awkward_byte_is_quoted(word: bytes) -> None:
    assert quote(b"a" + word + b"\xff") == b'"a\\x%02x\xff"' % word[0]


def test_other_bytes_stay_as_they_are() -> None:
    assert quote(b"caf\xc3\xa9\xff\x85#:") == b"caf\xc3\xa9\xff\x85#:"
    assert quote(b"") == b"."


def test_a_volume_listed_again_replaces_the_first_and_drops_what_is_above() -> None:
    data = section(1) + section(2) + section(3) + section(2, last="new")
    parsed = parse_manifest(data)
    assert [record.number for record in parsed.volumes] == [1, 2]
    assert parsed.volumes[1].last == BlockPosition(b"new")


def test_volume_numbers_may_have_gaps() -> None:
    assert numbers(section(2) + section(7)) == [2, 7]


@pytest.mark.parametrize(
    "data",
    [
        section(1) + b"   \t \n" + section(2),
        section(1) + b"\n\n" + section(2),
        b"# a comment\nX-Header 3\n" + section(1) + b"Trailing stuff\n    more\n" + section(2)[:-1],
        (section(1) + section(2)).replace(b"\n", b"\r\n"),
        b"Filelist 1\n    new      Volume\n" + section(1) + section(2),
        b"Filelist 1\n  \r\n    new      Volume\r\n\n" + section(1) + section(2),
        (section(1) + section(2)).upper(),
        section(1, first='"\\x20" 3 surplus words') + section(2, extra="    Nonsense 1 2 3\n"),
    ],
)
def test_unknown_lines_and_odd_line_ends_do_no_harm(data: bytes) -> None:
    assert numbers(data) == [1, 2]
    assert [record.number for record in parse_manifest(data, with_file_changes=True).volumes] == [1, 2]


def test_an_empty_host_name_counts_as_none_and_the_first_one_counts() -> None:
    assert parse_manifest(b"Hostname \nLocaldir\n").hostname is None
    parsed = parse_manifest(b"HOSTNAME one\nhostname two\nLocaldir a\nLocaldir b\n")
    assert (parsed.hostname, parsed.source) == (b"one", b"a")


def test_hashes_are_lower_case_once_read() -> None:
    (record,) = parse_manifest(section(1, extra=f"    Hash SHA1 {SHA1.upper()}\n")).volumes
    assert record.hash_of("SHA1") == SHA1


def test_our_lines_that_make_no_sense_are_left_out() -> None:
    parsed = parse_manifest(b"Twofold x\n" + section(1, extra="    Size many\n"))
    assert parsed.format_version is None
    assert parsed.volumes[0].size is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (section(1) + b"Volume x:\n", "line 4"),
        (b"\nVolume 0:\n", "line 2"),
        (b"Volume\n", "line 1"),
        (b"Volume " + b"9" * 5000 + b":\n", "line 1"),
        (b"Volume 1:\n    EndingPath x\n", "no StartingPath"),
        (section(1) + b"Volume 2:\n    StartingPath x\n    Size 3\n", "line 4: volume 2 has no EndingPath"),
        (b"Volume 1:\n    StartingPath\n", "line 2: a path is missing"),
        (section(1, first="x y"), "line 2: b'y' is no block number"),
        (section(1, first='"x'), "line 2: the quotes"),
        (section(1, first='"'), "line 2: the quotes"),
        (section(1, extra="    Hash SHA1\n"), "line 4: a hash"),
    ],
)
def test_damage_is_reported_with_its_line(data: bytes, message: str) -> None:
    with pytest.raises(CorruptManifest, match=message):
        parse_manifest(data)


def test_a_host_name_that_breaks_the_line_is_refused() -> None:
    with pytest.raises(ValueError, match="white space"):
        header_bytes(b"a\nVolume 1:", None)


def test_very_many_changed_files_are_passed_over_in_no_time() -> None:
    data = section(1) + b"Filelist 300000\n" + b"    new      some/path\n" * 300_000 + section(2)
    assert numbers(data) == [1, 2]

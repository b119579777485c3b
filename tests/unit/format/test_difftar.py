"""Members of volumes: names, roots, parts, deletions, and everything that must not be believed."""

import io

import pytest

from twofold.errors import CorruptTar
from twofold.format.difftar import (
    PART_SIZE,
    Action,
    DiffMember,
    content_header,
    deleted_header,
    member_header,
)
from twofold.format.pax import format_record
from twofold.format.records import CONTENT_PLACEHOLDER, content_value, encode_holes
from twofold.format.tar_writer import header, metadata_of, padding
from twofold.format.volume_reader import VolumeReader
from twofold.model.entry import ContentRecord, Entry, Kind

FILE = Entry(Kind.REGULAR, 0o644, 1000, 1000, b"u", b"g", 1_600_000_000 * 10**9)
DIRECTORY = Entry(Kind.DIRECTORY, 0o755)
LINK = Entry(Kind.SYMLINK, 0o777, target=b"t")


def read(data: bytes) -> list[DiffMember]:
    return list(VolumeReader(io.BytesIO(data)))


def only(data: bytes) -> DiffMember:
    (member,) = read(data)
    return member


def named(name: bytes, entry: Entry = FILE, extra: bytes = b"") -> bytes:
    return header(name, metadata_of(entry), extra=extra)[0]


@pytest.mark.parametrize(
    ("action", "path", "part", "entry", "name"),
    [
        (Action.SNAPSHOT, b"", None, DIRECTORY, b"snapshot/./"),
        (Action.SNAPSHOT, b"", None, FILE, b"snapshot/"),
        (Action.DIFF, b"", None, FILE, b"diff/"),
        (Action.SNAPSHOT, b"", 3, FILE, b"multivol_snapshot/./3"),
        (Action.DIFF, b"", 1, FILE, b"multivol_diff/./1"),
        (Action.SNAPSHOT, b"dir/sub", None, DIRECTORY, b"snapshot/dir/sub/"),
        (Action.SNAPSHOT, b"a", None, FILE, b"snapshot/a"),
        (Action.DIFF, b"a/b", None, FILE, b"diff/a/b"),
        (Action.SNAPSHOT, b"a/7", 12, FILE, b"multivol_snapshot/a/7/12"),
        (Action.DIFF, b"a", 2, FILE, b"multivol_diff/a/2"),
        (Action.SNAPSHOT, b"l", None, LINK, b"snapshot/l"),
    ],
)
def test_members_are_named_as_duplicity_names_them(
    action: Action, path: bytes, part: int | None, entry: Entry, name: bytes
) -> None:
    made = member_header(action, path, kind=entry.kind, metadata=metadata_of(entry), part=part)
    assert made[:100].rstrip(b"\0") == name
    member = only(made)
    assert (member.action, member.path, member.part, member.fault) == (action, path, part, None)
    assert member.entry._replace(size=None) == entry


def test_deletions_are_bare() -> None:
    made = deleted_header(b"dir/sub")
    assert made[:148].replace(b"\0", b"") == b"deleted/dir/sub" + b"0" * 43
    assert only(made) == DiffMember(Action.DELETED, b"dir/sub", None, Entry(Kind.REGULAR), 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="root"):
        deleted_header(b"")


def test_metadata_on_a_deletion_does_not_matter() -> None:
    assert only(named(b"deleted/dir/", DIRECTORY)).entry == Entry(Kind.REGULAR)


def test_the_size_of_a_file_is_known_where_it_is_stored_whole() -> None:
    metadata = metadata_of(FILE)
    data = b"x" * 300 + padding(300)
    assert (
        only(member_header(Action.SNAPSHOT, b"a", kind=FILE.kind, metadata=metadata, size=300) + data).entry.size == 300
    )
    assert only(member_header(Action.DIFF, b"a", kind=FILE.kind, metadata=metadata, size=300) + data).entry.size is None
    made = member_header(Action.SNAPSHOT, b"a", kind=FILE.kind, metadata=metadata, size=300, part=1)
    assert only(made + data).entry.size is None


def test_the_content_record_can_be_filled_in_later() -> None:
    content = ContentRecord(2048, 70000, bytes(range(32)))
    made, offset = content_header(Action.DIFF, b"x" * 200, metadata=metadata_of(FILE), size=5, extra=b"7 ZZ=1\n")
    assert made[offset : offset + 96] == CONTENT_PLACEHOLDER
    data = b"delta" + padding(5)
    assert only(made + data).entry.content is None
    patched = made[:offset] + content_value(content) + made[offset + 96 :]
    member = only(patched + data)
    assert (member.entry.content, member.entry.size, member.size) == (content, 70000, 5)
    assert (
        patched
        == content_header(
            Action.DIFF,
            b"x" * 200,
            metadata=metadata_of(FILE),
            size=5,
            extra=b"7 ZZ=1\n",
            content=content_value(content),
        )[0]
    )


def test_the_last_part_carries_the_content_and_the_first_everything_else() -> None:
    content = ContentRecord(2048, PART_SIZE + 1, bytes(32 * [7]))
    entry = FILE._replace(
        mtime_ns=FILE.mtime_ns + 5,
        mtime_exact=True,
        xattrs=((b"user.a", b"\xff\n"),),
        links_to=b"l\xff",
        holes=((0, 9),),
    )
    metadata = metadata_of(entry)
    first = member_header(
        Action.SNAPSHOT, b"a", kind=FILE.kind, metadata=metadata, size=PART_SIZE, part=1, extra=encode_holes(entry)
    )
    last = content_header(Action.SNAPSHOT, b"a", metadata=metadata, size=1, part=2, content=content_value(content))[0]
    parts = read(first + bytes(PART_SIZE) + last + b"x" + padding(1))
    assert [part.part for part in parts] == [1, 2]
    assert parts[0].entry == entry
    assert parts[1].entry == FILE._replace(content=content, size=PART_SIZE + 1)


def test_data_is_read_between_the_members() -> None:
    data = b"".join(
        member_header(Action.SNAPSHOT, b"f%d" % number, kind=FILE.kind, metadata=metadata_of(FILE), size=number)
        + bytes([number]) * number
        + padding(number)
        for number in range(20)
    )
    reader = VolumeReader(io.BytesIO(data))
    for number, member in enumerate(reader):
        assert (member.path, member.size) == (b"f%d" % number, number)
        if number % 3:
            assert reader.read_all(20) == bytes([number]) * number


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"snapshot/", b""),
        (b"snapshot/.", b""),
        (b"snapshot/./", b""),
        (b"snapshot/dir/", b"dir"),
        (b"snapshot/..a/.b/c.", b"..a/.b/c."),
        (b"snapshot/" + b"a" * 255, b"a" * 255),
        (b"snapshot/" + b"a/" * 200 + b"a", b"a/" * 200 + b"a"),
    ],
)
def test_forms_of_a_path_that_older_versions_wrote(name: bytes, path: bytes) -> None:
    member = only(named(name))
    assert (member.path, member.fault) == (path, None)


def test_a_directory_without_its_slash_is_understood() -> None:
    assert only(named(b"snapshot", DIRECTORY)).path == b""
    assert only(named(b"snapshot/d", DIRECTORY)).path == b"d"


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (named(b"snapshot/../etc"), "component '..'"),
        (named(b"snapshot/a/../../etc"), "component '..'"),
        (named(b"snapshot/a/.."), "component '..'"),
        (named(b"snapshot/./a"), "component '.'"),
        (named(b"snapshot/a/./b"), "component '.'"),
        (named(b"snapshot//etc/passwd"), "empty or absolute"),
        (named(b"snapshot/a//b"), "empty or absolute"),
        (named(b"snapshot/a//"), "empty or absolute"),
        (named(b"snapshot/" + b"a" * 256), "more than 255"),
        (named(b"deleted/../a"), "component '..'"),
        (named(b"multivol_diff/../1"), "component '..'"),
        (named(b"x", extra=format_record(b"path", b"snapshot/a\0b")), "NUL"),
        (named(b"snapshot"), "unknown prefix"),
        (named(b""), "unknown prefix"),
        (named(b"/etc/passwd"), "unknown prefix"),
        (named(b"xattr/a"), "unknown prefix"),
        (named(b"signature/a"), "unknown prefix"),
        (named(b"SNAPSHOT/a"), "unknown prefix"),
        (named(b"multivol_snapshot/a"), "part number"),
        (named(b"multivol_snapshot/a/0"), "part number"),
        (named(b"multivol_snapshot/a/-1"), "part number"),
        (named(b"multivol_snapshot/a//1"), "part number"),
        (named(b"multivol_snapshot/a/" + b"9" * 5000), "part number"),
        (named(b"deleted/"), "deletes the root"),
        (named(b"deleted/./"), "deletes the root"),
        (named(b"diff/d/", DIRECTORY), "no regular file"),
        (named(b"multivol_snapshot/l/1", LINK), "no regular file"),
        (named(b"snapshot/l", LINK._replace(target=b"")), "to nowhere"),
        (named(b"snapshot/l", LINK, format_record(b"linkpath", b"a\0b")), "NUL"),
        (named(b"snapshot/a", extra=format_record(b"GNU.sparse.major", b"1")), "sparse"),
    ],
)
def test_what_must_not_be_believed_has_a_fault_and_stops_nothing(data: bytes, fault: str) -> None:
    first, second = read(data + named(b"snapshot/next"))
    assert first.fault is not None
    assert fault in first.fault
    assert (second.path, second.fault) == (b"next", None)


@pytest.mark.parametrize("kind", [b"1", b"7", b"V", b"S", b"?"])
def test_other_types_of_member_have_a_fault(kind: bytes) -> None:
    block = named(b"snapshot/a")
    block = block[:148] + b"%06o\0 " % (int(block[148:154], 8) - ord("0") + kind[0]) + kind + block[157:]
    first, second = read(block + named(b"snapshot/next"))
    assert (first.path, second.path) == (b"snapshot/a", b"next")
    assert first.fault is not None
    assert "type" in first.fault


def test_a_record_that_is_left_out_is_only_a_warning() -> None:
    member = only(named(b"snapshot/a", extra=format_record(b"TWOFOLD.content", b"?")))
    assert (member.path, member.fault, member.warning) == (b"a", None, "has a malformed record TWOFOLD.content")


def test_a_broken_structure_is_an_error() -> None:
    with pytest.raises(CorruptTar):
        read(named(b"snapshot/a") + b"?" * 512)

"""Members of signature files."""

import io

import pytest

from twofold.format.sigtar import Action, SigMember, deleted_header, member_header, read_members
from twofold.format.tar_reader import TarReader
from twofold.format.tar_writer import header, metadata_of, padding
from twofold.model.entry import ContentRecord, Entry, Kind

FILE = Entry(Kind.REGULAR, 0o644, 1000, 1000, b"u", b"g", 1_600_000_000 * 10**9)
DIRECTORY = Entry(Kind.DIRECTORY, 0o755)


def read(data: bytes) -> list[SigMember]:
    return list(read_members(TarReader(io.BytesIO(data))))


def made(path: bytes, entry: Entry, signature: bytes = b"") -> bytes:
    made_header = member_header(path, entry, metadata=metadata_of(entry), size=len(signature))
    return made_header + signature + padding(len(signature))


@pytest.mark.parametrize(
    ("path", "entry", "name"),
    [
        (b"", DIRECTORY, b"snapshot/"),
        (b"", FILE, b"signature/"),
        (b"a/b", FILE, b"signature/a/b"),
        (b"a/d", DIRECTORY, b"snapshot/a/d/"),
        (b"l", Entry(Kind.SYMLINK, 0o777, target=b"t"), b"snapshot/l"),
        (b"c", Entry(Kind.CHARACTER_DEVICE, device=(1, 3)), b"snapshot/c"),
    ],
)
def test_members_are_named_as_duplicity_names_them(path: bytes, entry: Entry, name: bytes) -> None:
    data = made(path, entry)
    assert data[:100].rstrip(b"\0") == name
    assert len(data) == 512
    (member,) = read(data)
    action = Action.SIGNATURE if entry is FILE else Action.SNAPSHOT
    assert member == SigMember(action, path, entry, 0, 512)  # type: ignore[arg-type]


def test_everything_that_is_known_of_a_file_comes_back() -> None:
    entry = FILE._replace(
        mtime_exact=True,
        size=12345,
        ctime_ns=1_700_000_000_123_456_789,
        inode=4711,
        content=ContentRecord(2048, 12345, bytes(range(32))),
        links_to=b"other",
        xattrs=((b"user.a", b"b"),),
    )
    directory = DIRECTORY._replace(mtime_ns=1_500_000_000, mtime_exact=True, ctime_ns=3, inode=2)
    data = made(b"a", entry, b"signature") + made(b"d", directory)
    first, second = read(data)
    assert first.entry == entry
    assert second.entry == directory
    assert data.startswith(b"signature", first.data_offset)
    assert first.size == 9


def test_the_root_in_the_form_of_a_volume_is_understood_too() -> None:
    (member,) = read(header(b"snapshot/./", metadata_of(DIRECTORY))[0])
    assert (member.path, member.fault) == (b"", None)


def test_a_deleted_root_is_passed_over() -> None:
    data = header(b"deleted/", metadata_of(DIRECTORY))[0] + deleted_header(b"gone") + made(b"z", FILE)
    assert [(member.action, member.path) for member in read(data)] == [
        (Action.DELETED, b"gone"),
        (Action.SIGNATURE, b"z"),
    ]
    with pytest.raises(ValueError, match="root"):
        deleted_header(b"")


@pytest.mark.parametrize(
    ("name", "entry", "fault"),
    [
        (b"diff/a", FILE, "unknown prefix"),
        (b"signature/../a", FILE, "component '..'"),
        (b"signature//a", FILE, "empty or absolute"),
        (b"signature/d/", DIRECTORY, "does not go with its type"),
        (b"snapshot/a", FILE, "does not go with its type"),
    ],
)
def test_what_must_not_be_believed_has_a_fault_and_stops_nothing(name: bytes, entry: Entry, fault: str) -> None:
    first, second = read(header(name, metadata_of(entry))[0] + made(b"next", FILE))
    assert first.fault is not None
    assert fault in first.fault
    assert (second.path, second.fault) == (b"next", None)

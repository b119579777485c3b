"""From a tar member to an entry: what difftar and sigtar members have in common (docs/format.md sections 4.3, 12, 16).

Nothing here raises for what an archive holds: a member that must not be used gets a fault, one of whose additions a
part was left out gets a warning.
"""

from __future__ import annotations

from twofold.format.records import decode
from twofold.format.tar_reader import TarMember
from twofold.model.entry import Entry, Kind
from twofold.model.relpath import LONGEST_COMPONENT, fault_of

LARGEST_DEVICE_NUMBER = 2**32 - 1

KINDS = {
    b"0": Kind.REGULAR,
    b"5": Kind.DIRECTORY,
    b"2": Kind.SYMLINK,
    b"6": Kind.FIFO,
    b"3": Kind.CHARACTER_DEVICE,
    b"4": Kind.BLOCK_DEVICE,
}
# A deleted path has no metadata; what a header says all the same is not looked at.
DELETED_ENTRY = Entry(Kind.REGULAR)

_new = tuple.__new__  # makes values of a hot path in half the time: their own __new__ is a function in Python

_REGULAR = Kind.REGULAR
_NO_DEVICE = (0, 0)
_DEVICE_TYPES = (b"3", b"4")


class FaultyPath(ValueError):
    """A path that must not be used, and why; caught where members are read, never seen outside."""


def path_of(name: bytes, path: bytes) -> bytes:
    """The path that stands behind the prefix of `name`: one closing slash does not count, and `.` is the root.

    Raises FaultyPath for what must not be used. Most names are cleared by a few searches, without looking at their
    components one by one: their prefix ends in a slash, so that one before each component is looked for.
    """
    if path[-1:] == b"/":
        path = path[:-1]
    if b"/." in name or b"//" in name or b"\0" in name or len(name) > LONGEST_COMPONENT:
        if path == b".":
            return b""
        fault = fault_of(path)
        if fault is not None:
            raise FaultyPath(f"has {fault}")
    return path


def entry_of(member: TarMember, size: int | None) -> tuple[Entry, str | None, str | None]:
    """The entry that a member describes, its fault and its warning.

    `size` is what is known of the file's size without records of ours. A `TWOFOLD.stat` says that nanoseconds were
    known, also where they are zero and have no record.
    """
    kind = KINDS.get(member.type)
    if kind is None:
        return DELETED_ENTRY, f"has the tar type {member.type!r}, which no backup holds", None
    _, _, mode, uid, gid, uname, gname, _, mtime_ns, exact, target, major, minor, pax = member
    device = _NO_DEVICE
    if kind is _REGULAR:
        target = b""
    else:
        size = None
        target = target if kind is Kind.SYMLINK else b""
        device = (major, minor) if member.type in _DEVICE_TYPES else _NO_DEVICE
        fault = _special_fault(kind, target, device)
        if fault is not None:
            return DELETED_ENTRY, fault, None
    if not pax:
        return Entry(kind, mode, uid, gid, uname, gname, mtime_ns, False, size, target, device), None, None
    xattrs, content, links_to, holes, recorded, ctime_ns, inode, sparse, warning = decode(pax)
    if sparse:
        return DELETED_ENTRY, "is a condensed sparse file of GNU tar, which no backup holds", None
    if recorded is not None:
        exact = True
        if kind is _REGULAR:
            size = recorded
    elif content is not None:
        size = content.size
    entry: Entry = _new(Entry, (
        kind, mode, uid, gid, uname, gname, mtime_ns, exact, size, target, device,
        xattrs, content, links_to, holes, ctime_ns, inode,
    ))  # fmt: skip
    return entry, None, warning


def _special_fault(kind: Kind, target: bytes, device: tuple[int, int]) -> str | None:
    if kind is Kind.SYMLINK:
        if not target:
            return "is a symbolic link to nowhere"
        return "is a symbolic link with a NUL byte" if b"\0" in target else None
    if min(device) < 0 or max(device) > LARGEST_DEVICE_NUMBER:
        return "has an impossible device number"
    return None

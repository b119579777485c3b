"""Tells in which way a file differs from what the archive says of it; pure, the text is made in ui/."""

from __future__ import annotations

from enum import Enum

from twofold.model.entry import Entry, Kind
from twofold.model.value import value
from twofold.tree.owners import Owners

SECOND = 10**9
WITH_TIME = frozenset({Kind.REGULAR, Kind.DIRECTORY, Kind.FIFO})
DEVICES = frozenset({Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE})


class Aspect(Enum):
    """What differs; the order is that in which differences are looked for (docs/cli.md section 1.5, verify)."""

    TYPE = "type"
    PERMISSIONS = "permissions"
    MTIME = "mtime"
    SIZE = "size"
    TARGET = "target"
    DEVICE = "device"
    XATTRS = "xattrs"


@value
class Difference:
    """The first difference; in `expected` uid and gid are what they are on this machine."""

    aspect: Aspect
    found: Entry
    expected: Entry


def difference(found: Entry, expected: Entry, *, owners: Owners | None) -> Difference | None:
    """Compares all but the content, as docs/format.md section 11.3 does, and beyond: nanoseconds, size, attributes.

    Owners are compared by name where the archive has one; with `owners` None by number (--numeric-owner). Whether a
    file without recorded extended attributes had none is known only where the archive knows nanoseconds as well.
    """
    if owners is not None:
        uid, gid = owners.ids_of(expected)
        if (uid, gid) != (expected.uid, expected.gid):
            expected = expected._replace(uid=uid, gid=gid)
    aspect = Aspect.TYPE if found.kind is not expected.kind else _first_difference(found, expected)
    return None if aspect is None else Difference(aspect, found, expected)


def _first_difference(found: Entry, expected: Entry) -> Aspect | None:
    kind = expected.kind
    aspect: Aspect | None = None
    if kind is not Kind.SYMLINK and _access(found) != _access(expected):
        aspect = Aspect.PERMISSIONS
    elif kind in WITH_TIME and _other_time(found, expected):
        aspect = Aspect.MTIME
    elif kind is Kind.REGULAR and None not in (found.size, expected.size) and found.size != expected.size:
        aspect = Aspect.SIZE
    elif kind is Kind.SYMLINK and found.target not in (expected.target, expected.target + b"/"):
        aspect = Aspect.TARGET
    elif kind in DEVICES and found.device != expected.device:
        aspect = Aspect.DEVICE
    elif (expected.xattrs or expected.mtime_exact) and found.xattrs != expected.xattrs:
        aspect = Aspect.XATTRS
    return aspect


def _access(entry: Entry) -> tuple[int, int, int]:
    return entry.mode & 0o7777, entry.uid, entry.gid


def _other_time(found: Entry, expected: Entry) -> bool:
    if found.mtime_exact and expected.mtime_exact:
        return found.mtime_ns != expected.mtime_ns
    if found.mtime_ns <= 0 and expected.mtime_ns <= 0:
        return False  # duplicity records times before 1970 as 0
    return found.mtime_ns // SECOND != expected.mtime_ns // SECOND

"""Lines about single files: listed, stored, restored, different from the archive or in trouble (docs/cli.md 1.5)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from twofold.model.entry import Entry, Kind
from twofold.model.times import format_asctime, format_compact
from twofold.ui.machine_log import quote_path
from twofold.ui.message import Audience, Level, Message, notice
from twofold.ui.text import path_text

if TYPE_CHECKING:
    from twofold.tree.compare import Difference

_SECOND = 10**9
_BACKUP_CODES = {"new": (4, "A"), "changed": (5, "M"), "deleted": (6, "D")}


def listed(path: bytes, kind: Kind, *, time: int) -> Message:
    """One line of list-current-files; `time` is the file's mtime in seconds since 1970. Shown at any verbosity."""
    return Message(
        Level.INFO,
        f"{format_asctime(time)} {path_text(path)}",
        code=10,
        extra=f"{format_compact(time)} {quote_path(path)} {kind.value}",
        always=True,
    )


def stored(path: bytes, change: str) -> Message:
    """An entry that went into the backup; `change` is new, changed or deleted."""
    code, letter = _BACKUP_CODES[change]
    return Message(Level.INFO, f"{letter} {path_text(path)}", code=code, extra=quote_path(path))


def restored(path: bytes, kind: str) -> Message:
    """An entry that a restore wrote; `kind` is duplicity's word for its type."""
    return Message(Level.INFO, f"Writing {path_text(path)} of type {kind}", code=7, extra=f"{quote_path(path)} {kind}")


def required_volumes(names: Iterable[str]) -> Message:
    """What restore --dry-run prints."""
    return notice("\n\t".join(("Required volumes to restore:", *names)))


def volume_processed(number: int, total: int) -> Message:
    """The progress of a restore or verify, in volumes."""
    return Message(Level.INFO, f"Processed volume {number} of {total}", code=2, extra=f"{number} {total}")


def to_be_read(size: int) -> Message:
    """For programs only: how many bytes a backup would read, at the end of a dry run."""
    return Message(Level.INFO, "", code=2, extra=str(size), audience=Audience.PROGRAMS)


def volume_stored(number: int, read_bytes: int) -> Message:
    """The progress of a backup: how much of the source has been read."""
    return Message(Level.INFO, f"Processed volume {number}", code=2, extra=str(read_bytes))


def socket_skipped(path: str) -> Message:
    """A socket, which no backup holds; `path` begins with the source."""
    return Message(Level.INFO, f"Skipping socket {path}", code=15, extra=quote_path(path))


def unreadable(path: str, reason: str) -> Message:
    """A file or directory that could not be read; `path` begins with the source."""
    return Message(
        Level.WARNING, f"Error accessing possibly locked file {path}: {reason}", code=10, extra=quote_path(path)
    )


def unread(count: int, doing: str) -> Message:
    """How much of the source could not be read, which by then has been named; `doing` is what was meant to be done."""
    return Message(Level.WARNING, f"{count} path(s) could not be read and so not {doing}; they are named above")


def unrestorable(path: bytes, reason: str) -> Message:
    """An entry that a restore could not write."""
    return Message(Level.WARNING, f"Error '{reason}' processing {path_text(path)}", code=12, extra=quote_path(path))


def skipped_after_error(path: bytes) -> Message:
    """An entry that a restore left out because its directory could not be made."""
    return Message(
        Level.WARNING, f"Skipping {path_text(path)} because of previous error", code=13, extra=quote_path(path)
    )


def new_file(path: bytes) -> Message:
    """An entry that only the local directory has."""
    return _difference(f"New file {path_text(path)}")


def missing_file(path: bytes) -> Message:
    """An entry that only the backup has."""
    return _difference(f"File {path_text(path)} is missing")


def other_data(path: bytes) -> Message:
    """A file whose content is another."""
    return _difference(f"Data for file {path_text(path)} is different")


def different(path: bytes, difference: Difference) -> Message:
    """An entry that both have and of which something else than the content differs."""
    return _difference(_difference_text(path_text(path), difference))


def verified(compared: int, differing: int) -> Message:
    """The result of a verify, which scripts look for."""
    return notice(f"Verify complete: {compared} file(s) compared, {differing} difference(s) found.")


def _difference(text: str) -> Message:
    return notice(f"Difference found: {text}")


def _difference_text(path: str, difference: Difference) -> str:
    from twofold.tree.compare import Aspect

    found, expected = difference.found, difference.expected
    match difference.aspect:
        case Aspect.TYPE:
            return f"File {path} has type {found.kind.value}, expected {expected.kind.value}"
        case Aspect.PERMISSIONS:
            return f"File {path} has permissions {_permissions(found)}, expected {_permissions(expected)}"
        case Aspect.MTIME:
            exact = found.mtime_ns // _SECOND == expected.mtime_ns // _SECOND
            return f"File {path} has mtime {_mtime(found, exact=exact)}, expected {_mtime(expected, exact=exact)}"
        case Aspect.SIZE:
            return f"File {path} has size {found.size}, expected {expected.size}"
        case Aspect.TARGET:
            return f"Symlink {path} points to {os.fsdecode(found.target)}, expected {os.fsdecode(expected.target)}"
        case Aspect.DEVICE:
            return f"Device file {path} has numbers {found.device}, expected {expected.device}"
        case Aspect.XATTRS:
            return f"File {path} has extended attributes {_xattrs(found, expected)} that differ"


def _permissions(entry: Entry) -> str:
    return f"{entry.uid}:{entry.gid} {entry.mode & 0o7777:o}"


def _mtime(entry: Entry, *, exact: bool) -> str:
    """Nanoseconds are shown only where nothing else differs."""
    seconds, nanoseconds = divmod(entry.mtime_ns, _SECOND)
    text = format_asctime(seconds)
    return f"{text} and {nanoseconds} ns" if exact else text


def _xattrs(found: Entry, expected: Entry) -> str:
    """The names of the attributes that one side lacks or that have another value."""
    names = sorted({name for name, _ in set(found.xattrs) ^ set(expected.xattrs)})
    return ", ".join(os.fsdecode(name) for name in names)

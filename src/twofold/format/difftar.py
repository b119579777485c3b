"""Members of difftar volumes: whole files, differences, deletions and parts of large ones (docs/format.md section 4.3).

Reading gives a value for every member, sound or not: what must not be used has a `fault`, for one strange name must
not keep the rest from being restored. Writing gives headers as duplicity would, with records of ours behind its own.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from twofold.format.members import DELETED_ENTRY, FaultyPath, entry_of, path_of
from twofold.format.records import CONTENT_PLACEHOLDER, CONTENT_VALUE_LENGTH, encode_content
from twofold.format.tar_reader import TarMember
from twofold.format.tar_writer import Metadata, header, metadata_of
from twofold.model.entry import Entry, Kind
from twofold.model.relpath import RelPath

PART_SIZE = 65536


class Action(Enum):
    """What a member does to its path, in the words of the entry names."""

    SNAPSHOT = "snapshot"
    DIFF = "diff"
    DELETED = "deleted"


class DiffMember(NamedTuple):
    """One member: `part` counts from 1 in files stored in parts, `size` the bytes of data that follow.

    With a `fault` nothing else may be believed, and `path` is the whole name as it stands in the archive. A `warning`
    names records of ours that were left out. `entry.size` is the file's size where it is known: not that of the data.
    """

    action: Action
    path: RelPath
    part: int | None
    entry: Entry
    size: int
    fault: str | None = None
    warning: str | None = None


_PREFIXES: dict[bytes, tuple[Action, bool]] = {
    b"snapshot": (Action.SNAPSHOT, False),
    b"diff": (Action.DIFF, False),
    b"deleted": (Action.DELETED, False),
    b"multivol_snapshot": (Action.SNAPSHOT, True),
    b"multivol_diff": (Action.DIFF, True),
}
_DELETED = Action.DELETED
_SNAPSHOT = Action.SNAPSHOT
_REGULAR = Kind.REGULAR
_DIRECTORY = Kind.DIRECTORY
_DELETED_METADATA = metadata_of(DELETED_ENTRY)
_LONGEST_PART_NUMBER = 18

_new = tuple.__new__  # makes a value in half the time


def member_header(
    action: Action,
    path: bytes,
    *,
    kind: Kind,
    metadata: Metadata,
    size: int = 0,
    part: int | None = None,
    extra: bytes = b"",
) -> bytes:
    """The header of a member without content record: what is no regular file, and every part but the last.

    `path` is empty for the root. The second and later parts carry only what duplicity would record; `extra` are
    further records for a whole file or its first part, such as `records.encode_holes` makes.
    """
    bare = part is not None and part > 1
    return header(_member_name(action, path, kind, part), metadata, size=size, extra=extra, bare=bare)[0]


def content_header(
    action: Action,
    path: bytes,
    *,
    metadata: Metadata,
    size: int,
    part: int | None = None,
    extra: bytes = b"",
    content: bytes = CONTENT_PLACEHOLDER,
) -> tuple[bytes, int]:
    """The header of a whole regular file or of its last part, and where in it the value of the content record begins.

    There the 96 bytes of `records.content_value` can be put when the data has been hashed; until then, or if it never
    is, the placeholder says that nothing is known.
    """
    bare = part is not None and part > 1
    name = _member_name(action, path, _REGULAR, part)
    data, records_end = header(name, metadata, size=size, extra=extra + encode_content(content), bare=bare)
    return data, records_end - 1 - CONTENT_VALUE_LENGTH


def deleted_header(path: bytes) -> bytes:
    """The bare member that says that `path` is gone. ValueError for the root, which no backup may delete."""
    if not path:
        raise ValueError("The root of a backup cannot be marked as deleted")
    return header(b"deleted/" + path, _DELETED_METADATA)[0]


def _member_name(action: Action, path: bytes, kind: Kind, part: int | None) -> bytes:
    if part is not None:
        word = b"multivol_snapshot" if action is _SNAPSHOT else b"multivol_diff"
        return b"%b/%b/%d" % (word, path or b".", part)
    if kind is _DIRECTORY:
        return b"snapshot/%b/" % (path or b".")
    return b"snapshot/" + path if action is _SNAPSHOT else b"diff/" + path


def interpret(member: TarMember) -> DiffMember:
    """What a tar member of a volume says, whatever it is."""
    name, data_size = member.name, member.size
    word, slash, path = name.partition(b"/")
    known = _PREFIXES.get(word)
    if known is None or not (slash or member.type == b"5"):
        return _faulty(member, "has an unknown prefix")
    action, in_parts = known
    part: int | None = None
    if in_parts:
        path, _, digits = path.rpartition(b"/")
        if not digits.isdigit() or len(digits) > _LONGEST_PART_NUMBER or not int(digits) or path[-1:] == b"/":
            return _faulty(member, "has no part number")
        part = int(digits)
    try:
        path = path_of(name, path)
    except FaultyPath as fault:
        return _faulty(member, str(fault))
    if action is _DELETED:
        return _faulty(member, "deletes the root") if not path else _deleted(path, data_size)
    entry, entry_fault, warning = entry_of(member, data_size if action is _SNAPSHOT and not in_parts else None)
    if entry_fault is not None:
        return _faulty(member, entry_fault)
    if entry.kind is not _REGULAR and (in_parts or action is not _SNAPSHOT):
        return _faulty(member, "is a part or a difference of something that is no regular file")
    return _new(DiffMember, (action, path, part, entry, data_size, None, warning))


def _deleted(path: bytes, size: int) -> DiffMember:
    return DiffMember(_DELETED, RelPath(path), None, DELETED_ENTRY, size)


def _faulty(member: TarMember, fault: str) -> DiffMember:
    return DiffMember(_SNAPSHOT, RelPath(member.name), None, DELETED_ENTRY, member.size, fault)

"""Members of signature files: one for each path that a set stored or deleted (docs/format.md section 5).

The metadata is the file's, the data an rsync signature of its new content. Reading gives a value for every member,
sound or not; what must not be used has a `fault`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from twofold.format.members import DELETED_ENTRY, FaultyPath, entry_of, path_of
from twofold.format.records import content_value, encode_content, encode_stat
from twofold.format.tar_reader import TarMember, TarReader
from twofold.format.tar_writer import Metadata, header, metadata_of
from twofold.model.entry import Entry, Kind
from twofold.model.relpath import RelPath


class Action(Enum):
    """What a member says of its path, in the words of the entry names."""

    SIGNATURE = "signature"
    SNAPSHOT = "snapshot"
    DELETED = "deleted"


class SigMember(NamedTuple):
    """One member: `size` bytes of signature stand at `data_offset` of the unwrapped stream.

    With a `fault` nothing else may be believed, and `path` is the whole name as it stands in the archive. A `warning`
    names records of ours that were left out. `entry.size` is None in duplicity's files.
    """

    action: Action
    path: RelPath
    entry: Entry
    size: int
    data_offset: int
    fault: str | None = None
    warning: str | None = None


_PREFIXES = {action.value.encode(): action for action in Action}
_SIGNATURE = Action.SIGNATURE
_SNAPSHOT = Action.SNAPSHOT
_DELETED = Action.DELETED
_REGULAR = Kind.REGULAR
_DELETED_METADATA = metadata_of(DELETED_ENTRY)

_new = tuple.__new__  # makes a value in half the time


def read_members(reader: TarReader) -> Iterator[SigMember]:
    """The members of one signature file; the data of each is read from `reader` before the next is asked for.

    A deleted root is passed over (COMPAT: duplicity <= 0.8). Raises CorruptTar where the tar structure is damaged.
    """
    while (member := reader.next_member()) is not None:
        read = _interpret(member, reader.data_offset)
        if read is not None:
            yield read


def member_header(path: bytes, entry: Entry, *, metadata: Metadata, size: int = 0) -> bytes:
    """The header for `entry` at `path`, empty for the root; `size` counts the bytes of the signature.

    `metadata` is what `metadata_of` made of the same entry for the difftar.
    """
    kind = entry.kind
    if kind is _REGULAR:
        name = b"signature/" + path
    elif kind is Kind.DIRECTORY and path:
        name = b"snapshot/%b/" % path
    else:
        name = b"snapshot/" + path
    extra = encode_stat(entry) if entry.mtime_exact and (entry.size is not None or kind is not _REGULAR) else b""
    if entry.content is not None:
        extra += encode_content(content_value(entry.content))
    return header(name, metadata, size=size, extra=extra)[0]


def deleted_header(path: bytes) -> bytes:
    """The bare member that says that `path` is gone. ValueError for the root, which no backup may delete."""
    if not path:
        raise ValueError("The root of a backup cannot be marked as deleted")
    return header(b"deleted/" + path, _DELETED_METADATA)[0]


def _interpret(member: TarMember, data_offset: int) -> SigMember | None:
    word, slash, path = member.name.partition(b"/")
    action = _PREFIXES.get(word)
    if action is None or not (slash or member.type == b"5"):
        return _faulty(member, data_offset, "has an unknown prefix")
    try:
        path = path_of(member.name, path)
    except FaultyPath as error:
        return _faulty(member, data_offset, str(error))
    if action is _DELETED:
        if not path:
            return None
        return SigMember(_DELETED, RelPath(path), DELETED_ENTRY, member.size, data_offset)
    entry, fault, warning = entry_of(member, None)
    if fault is None and (action is _SIGNATURE) != (entry.kind is _REGULAR):
        fault = "has a prefix that does not go with its type"
    if fault is not None:
        return _faulty(member, data_offset, fault)
    return _new(SigMember, (action, path, entry, member.size, data_offset, None, warning))


def _faulty(member: TarMember, data_offset: int, fault: str) -> SigMember:
    return SigMember(_SNAPSHOT, RelPath(member.name), DELETED_ENTRY, member.size, data_offset, fault)

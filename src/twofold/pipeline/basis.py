"""Builds the state file anew from the signature files of a chain, when there is none that belongs to it.

The files are merged by path, the newest set's word on a path counts, and records are written as a walk would leave the
directories, so that only the directories on the way to the current path are in memory.
"""

from __future__ import annotations

import heapq
import stat
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Final, NamedTuple

from twofold.envelope.protocol import Opened
from twofold.format.sigtar import Action, SigMember, read_members
from twofold.format.tar_reader import TarReader
from twofold.model.entry import Entry, Kind
from twofold.model.relpath import is_within, order_key
from twofold.monitor import Monitor, Problem
from twofold.pipeline.known import (
    KINDS,
    NOWHERE,
    UNKNOWN,
    Identity,
    KnownDirectory,
    StateWriter,
    join_names,
    location,
    pack_entry,
)
from twofold.tree.owners import Owners
from twofold.tree.scan import bounded_time

_TYPES: Final = {kind: mode for mode, kind in KINDS.items()}
_new = tuple.__new__  # makes a value in half the time


class StoredEntry(NamedTuple):
    """What one set says of a path, and where: sorts by path, then the newest set first."""

    key: bytes
    age: int
    start: int
    member: SigMember


def read_entries(opened: Opened, number: int, *, monitor: Monitor) -> Iterator[StoredEntry]:
    """The sound entries of the signature file of set `number`, in archive order. Raises CorruptTar, CorruptStream."""
    reader = TarReader(opened)
    start = 0
    last: bytes | None = None
    for member in read_members(reader):
        begins, start = start, reader.data_offset + -(-member.size // 512) * 512
        if member.fault is not None:
            monitor.report(Problem(member.path, member.fault, "compare"))
            continue
        key = order_key(member.path)
        if last is not None and key <= last:
            continue  # COMPAT: duplicity <= 0.6: the root stands there twice
        last = key
        yield _new(StoredEntry, (key, -number, begins, member))


def current_entries(openers: Sequence[Callable[[], Opened]], *, monitor: Monitor) -> Iterator[StoredEntry]:
    """The state at the end of a chain: for each path that exists, the newest word on it, in archive order."""
    with ExitStack() as closing:
        opened = []
        for opener in openers:
            opened.append(opener())
            closing.callback(opened[-1].close)
        files = [read_entries(each, number, monitor=monitor) for number, each in enumerate(opened)]
        merged = heapq.merge(*files) if len(files) > 1 else files[0]
        last: bytes | None = None
        for entry in merged:
            if entry.key == last:
                continue
            last = entry.key
            if entry.member.action is not Action.DELETED:
                yield entry


class _Directory:
    __slots__ = ("children", "locations", "names", "path", "stats")

    def __init__(self, path: bytes | None) -> None:
        self.path = path
        self.names: list[bytes] = []
        self.stats = array("q")
        self.locations = array("Q")
        self.children = array("Q")


def rebuild_state(path: str, openers: Sequence[Callable[[], Opened]], identity: Identity, *, monitor: Monitor) -> None:
    """Writes the state file of a chain. Raises what reading the signature files raises; then there is no file."""
    writer = StateWriter(path)
    try:
        owners = Owners()
        stack = [_Directory(None)]
        for entry in current_entries(openers, monitor=monitor):
            _place(entry, stack, writer, owners, monitor)
        while len(stack) > 1:
            _leave(stack, writer)
        writer.finish(writer.write(_record(stack[0])), identity)
    finally:
        writer.abort()


def _place(entry: StoredEntry, stack: list[_Directory], writer: StateWriter, owners: Owners, monitor: Monitor) -> None:
    member = entry.member
    parent, _, name = member.path.rpartition(b"/")
    directory = stack[-1]
    if directory.path != parent:
        wanted = parent if member.path else None
        while len(stack) > 1 and (wanted is None or not is_within(wanted, stack[-1].path or b"")):
            _leave(stack, writer)
        directory = stack[-1]
        if directory.path != wanted:
            monitor.report(Problem(member.path, "the signatures do not have its directory", "compare"))
            return
    directory.names.append(name)
    directory.stats.frombytes(_stats(member.entry, owners))
    sound = member.action is Action.SIGNATURE or member.entry.kind is not Kind.REGULAR
    directory.locations.append(location(-entry.age, entry.start) if sound else NOWHERE)
    directory.children.append(0)
    if member.entry.kind is Kind.DIRECTORY:
        stack.append(_Directory(member.path))


def _leave(stack: list[_Directory], writer: StateWriter) -> None:
    where = writer.write(_record(stack.pop()))
    stack[-1].children[-1] = where


def _record(directory: _Directory) -> KnownDirectory:
    return KnownDirectory(join_names(directory.names), directory.stats, directory.locations, directory.children)


def _stats(entry: Entry, owners: Owners) -> bytes:
    regular = entry.kind is Kind.REGULAR  # NB: looking a kind up in a dictionary takes a call of Python
    size = entry.size if regular else len(entry.target)
    return pack_entry(
        (stat.S_IFREG if regular else _TYPES[entry.kind]) | entry.mode,
        owners.user_id(entry.uname, entry.uid),
        owners.group_id(entry.gname, entry.gid),
        size if entry.mtime_exact and size is not None else UNKNOWN,
        bounded_time(entry.mtime_ns),
        bounded_time(entry.ctime_ns),
        entry.inode,
    )

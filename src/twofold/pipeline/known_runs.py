"""Reads a state file from beginning to end in archive order, many entries at a time."""

from __future__ import annotations

import stat
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from twofold.pipeline.known import FIELDS, MODE, MTIME, KnownDirectory, KnownTree
from twofold.pipeline.known_directories import name_parts


class KnownRun(NamedTuple):
    """Entries of one directory that follow each other in archive order: parallel sequences.

    `prefix` stands before each name. The first run is the root alone, which has no name.
    """

    prefix: bytes
    names: list[bytes]
    modes: array[int]
    mtimes: array[int]
    locations: array[int]


class _Directory(NamedTuple):
    """One that stands below the last entry of the run before."""

    path: bytes
    offset: int


def known_runs(tree: KnownTree) -> Iterator[KnownRun]:
    """All entries of the state file. Raises DamagedState."""
    stack = [_contents(b"", tree.directory(tree.root))]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
        elif isinstance(found, _Directory):
            stack.append(_contents(found.path and found.path + b"/", tree.directory(found.offset)))
        else:
            yield found


def _contents(prefix: bytes, record: KnownDirectory) -> Iterator[KnownRun | _Directory]:
    begin = 0
    for names in _name_lists(record):
        end = begin + len(names)
        start = begin
        for at in _directories(record, begin, end):
            yield _run(prefix, names[start - begin : at + 1 - begin], record, start, at + 1)
            yield _Directory(prefix + names[at - begin], record.children[at])
            start = at + 1
        if start < end:
            yield _run(prefix, names[start - begin :], record, start, end)
        begin = end


def _run(prefix: bytes, names: list[bytes], record: KnownDirectory, start: int, end: int) -> KnownRun:
    stats = record.stats[start * FIELDS : end * FIELDS]
    return KnownRun(prefix, names, stats[MODE::FIELDS], stats[MTIME::FIELDS], record.locations[start:end])


def _directories(record: KnownDirectory, begin: int, end: int) -> list[int]:
    """The positions of those that have a record of their own."""
    children = record.children[begin:end]
    if not any(children):
        return []
    inside = [at for at, child in enumerate(children, begin) if child]
    return [at for at in inside if stat.S_ISDIR(record.stats[at * FIELDS + MODE])]


def _name_lists(record: KnownDirectory) -> Iterator[list[bytes]]:
    """The names, of very large directories a part at a time."""
    if record.locations:
        for part in name_parts(record.names):
            yield part.split(b"\0")

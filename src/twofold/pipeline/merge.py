"""Merges the sets of a chain: path by path, in archive order, what each of them says of it.

Nothing is held but the current file of each set.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from twofold.pipeline.replay import Doubt, Lost, SetReader, Version

_new = tuple.__new__  # makes a value in half the time


class FileHistory(NamedTuple):
    """What each set that mentions a path, or may mention it, says of it, oldest set first."""

    path: bytes
    versions: list[Version | Lost | Doubt]


def merge_sets(readers: list[SetReader]) -> Iterator[FileHistory]:
    """All paths of all sets in archive order. A history's data must be read before the next one is asked for."""
    if len(readers) == 1:
        yield from _all_of(readers[0])
        return
    heap = [(key, number) for number, reader in enumerate(readers) if (key := reader.key) is not None]
    heapq.heapify(heap)
    while heap:
        key = heap[0][0]
        numbers = []
        while heap and heap[0][0] == key:
            numbers.append(heapq.heappop(heap)[1])
        versions = {number: readers[number].take() for number in numbers}
        yield _history(key, versions, readers)
        for number in numbers:
            reader = readers[number]
            reader.finish()
            upcoming = reader.key
            if upcoming is not None:
                heapq.heappush(heap, (upcoming, number))


def _all_of(reader: SetReader) -> Iterator[FileHistory]:
    """The paths of the only set: nothing has to be merged."""
    while reader.key is not None:
        version = reader.take()
        yield _new(FileHistory, (version.path, [version]))
        reader.finish()


def _history(key: bytes, versions: dict[int, Version | Lost], readers: list[SetReader]) -> FileHistory:
    path = next(iter(versions.values())).path
    found: list[Version | Lost | Doubt] = []
    for number, reader in enumerate(readers):
        if number in versions:
            found.append(versions[number])
        elif reader.doubts(key):
            found.append(Doubt(path))
    return FileHistory(path, found)

"""Merges the sets of a chain: path by path, in archive order, what each of them says of it.

Nothing is held but the current file of each set.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

from twofold import rsync
from twofold.format.difftar import Action
from twofold.format.volume_reader import Run
from twofold.pipeline.replay import SetReader
from twofold.pipeline.versions import Doubt, HeldData, Lost, Version

_DIGEST: Final = 32
_new = tuple.__new__  # makes a value in half the time


class FileHistory(NamedTuple):
    """What each set that mentions a path, or may mention it, says of it, oldest set first."""

    path: bytes
    versions: list[Version | Lost | Doubt]


class CheckedRun(NamedTuple):
    """Whole files that only one set mentions, and which of them, counted from 0, are not what their records say."""

    run: Run
    damaged: frozenset[int]


Stretch: TypeAlias = FileHistory | CheckedRun


def merge_sets(readers: list[SetReader]) -> Iterator[Stretch]:
    """All paths of all sets in archive order. The data of a history must be read before the next stretch is asked for.

    Most files are in runs: these hold their data.
    """
    if len(readers) == 1:
        yield from _all_of(readers[0])
        return
    heap = [(key, number) for number, reader in enumerate(readers) if (key := reader.key) is not None]
    heapq.heapify(heap)
    while heap:
        run = _run_of_one(heap, readers)
        if run is not None:
            yield checked(run)
            numbers = [heapq.heappop(heap)[1]]
        else:
            key = heap[0][0]
            numbers = []
            while heap and heap[0][0] == key:
                numbers.append(heapq.heappop(heap)[1])
            yield _history(key, {number: readers[number].take() for number in numbers}, readers)
        for number in numbers:
            reader = readers[number]
            reader.finish()
            upcoming = reader.key
            if upcoming is not None:
                heapq.heappush(heap, (upcoming, number))


def one_by_one(stretches: Iterable[Stretch]) -> Iterator[FileHistory]:
    """The same without runs."""
    for stretch in stretches:
        if isinstance(stretch, CheckedRun):
            yield from (history_of(stretch.run, at) for at in range(len(stretch.run)))
        else:
            yield stretch


def history_of(run: Run, at: int) -> FileHistory:
    """One file of a run, to be looked at by itself."""
    path, data = run.path(at), HeldData(run.content(at))
    return FileHistory(path, [Version(Action.SNAPSHOT, path, run.entry(at), reader=data)])


def checked(run: Run) -> CheckedRun:
    """Compares the content of each file with its record."""
    hashes = rsync.content_hashes(run.data, run.offsets, run.sizes, run.block_lens)
    digests = run.digests
    if hashes == digests:
        return CheckedRun(run, frozenset())
    places = range(0, len(digests), _DIGEST)
    wrong = (
        at for at, place in enumerate(places) if hashes[place : place + _DIGEST] != digests[place : place + _DIGEST]
    )
    return CheckedRun(run, frozenset(wrong))


def _apart(digests: bytes) -> list[bytes]:
    return [digests[at : at + _DIGEST] for at in range(0, len(digests), _DIGEST)]


def _run_of_one(heap: list[tuple[bytes, int]], readers: list[SetReader]) -> Run | None:
    """The run that comes next, if no other set says anything of its files."""
    first = heap[0]
    until = min((key for key, _ in heap[1:3]), default=None)
    if until == first[0] or any(reader.has_doubts for reader in readers):
        return None
    return readers[first[1]].take_run(until)


def _all_of(reader: SetReader) -> Iterator[Stretch]:
    """The paths of the only set: nothing has to be merged."""
    while reader.key is not None:
        run = reader.take_run(None)
        if run is not None:
            yield checked(run)
        else:
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

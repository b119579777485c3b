"""Compares runs of whole files with local ones, a call for all files of a folder.

Only what is the same in every respect is decided here; whatever is different, or cannot be told, is left to the
comparison of one file, which says in which way.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from twofold.format.volume_reader import Run
from twofold.model.entry import Entry, Kind
from twofold.operations.local_walk import Local
from twofold.pipeline import known
from twofold.tree.bulk import COMPARED, GID, MODE, MTIME, SAME, SIZE, UID, compare_files
from twofold.tree.metadata import LEFT_OUT
from twofold.tree.owners import Owners
from twofold.tree.scan import SourceTree

_PERMISSIONS: Final = 0o7777
_LEFT_OUT: Final = tuple(LEFT_OUT)


class Expected(NamedTuple):
    """What the files of a run must be like: mode, user, group, size, time; and those that are not sound themselves."""

    facts: list[tuple[int, int, int, int, int]]
    damaged: frozenset[int]


class RunComparison:
    """Compares with the files of one source."""

    def __init__(self, source: SourceTree, *, owners: Owners | None, compare_data: bool) -> None:
        """With `owners` None, users and groups are compared by number."""
        self._source = source
        self._owners = owners
        self._compare_data = compare_data

    def expected(self, run: Run, damaged: frozenset[int]) -> Expected:
        owners = run.owners
        ids = {owner: self._ids_of(*owner) for owner in set(owners)}
        facts = [
            (mode, *ids[owner], size, mtime)
            for mode, owner, size, mtime in zip(run.modes, owners, run.sizes, run.mtimes_ns, strict=True)
        ]
        return Expected(facts, damaged)

    def different(self, run: Run, start: int, count: int, *, expected: Expected, local: Local) -> Iterator[int]:
        """Which of the files of a run from `start` on are not the same as the local ones from `local` on.

        Counted from 0. What is given is looked at by itself before the rest is compared.
        """
        done = 0
        if local.work.fd < 0:  # the root, if it is a file, is in no directory of ours
            yield 0
            done = 1
        while done < count:
            here = slice(start + done, start + count)
            found = self._compared(local.work.fd, local.work.names[local.at + done : local.at + count], run, here)
            compared = len(found) // COMPARED
            rows = zip(*(found[column::COMPARED] for column in (MODE, UID, GID, SIZE, MTIME, SAME)), strict=True)
            for index, (mode, *facts, same) in enumerate(rows, done):
                as_recorded = expected.facts[start + index] == (mode & _PERMISSIONS, *facts)
                if not as_recorded or not (same or not self._compare_data) or start + index in expected.damaged:
                    yield index
            done += compared
            if done < count:
                yield done
                done += 1

    def _compared(self, directory: int, names: Sequence[bytes], run: Run, here: slice) -> memoryview[int]:
        """COMPARED numbers of as many files as are ordinary."""
        nothing = [0] * len(names)
        data, offsets, sizes = (
            (run.data, run.offsets[here], run.sizes[here]) if self._compare_data else (b"", nothing, nothing)
        )
        flags = self._source.file_flags
        return compare_files(directory, names, data, offsets, sizes, flags=flags, ignored=_LEFT_OUT)

    def _ids_of(self, uid: int, gid: int, uname: bytes, gname: bytes) -> tuple[int, int]:
        if self._owners is None:
            return uid, gid
        return self._owners.ids_of(Entry(Kind.REGULAR, 0, uid, gid, uname, gname))


def beside(paths: Sequence[bytes], start: int, local: Local) -> int:
    """How many paths from `start` on are those of regular files that follow each other from `local` on; at least 1."""
    work, cut = local.work, len(local.work.prefix)
    names, packed = work.names, work.packed
    count = 0
    for path in islice(paths, start, None):
        at = local.at + count
        if at >= len(names) or path[cut:] != names[at] or path[:cut] != work.prefix:
            break
        if packed[at * known.FIELDS + known.MODE] & known.TYPE != stat.S_IFREG:
            break
        count += 1
    return max(count, 1)

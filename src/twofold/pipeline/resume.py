"""Leaves out the steps of a comparison whose outcome is at the target already: those of an interrupted backup.

What comes before the position is in that backup as it was when it was read, whatever has become of it since: the next
increment sees that. The tree is walked from its beginning all the same, since hard links are told by their first path.
Always holds: of a file in whose middle the position is, there is a step, and it is the first one.
"""

from __future__ import annotations

import stat
from bisect import bisect_left
from collections.abc import Generator, Iterator
from contextlib import closing

from twofold.format.manifest import BlockPosition
from twofold.model.relpath import order_key
from twofold.pipeline.checkpoint import PositionLost
from twofold.pipeline.compare import Change, Check, Gone, Keep, Leave, Same, Step, Store, Work
from twofold.pipeline.entries import EntryMaker
from twofold.pipeline.known import FIELDS, MODE, SIZE
from twofold.pipeline.tally import Tally


def steps_behind(
    position: BlockPosition, steps: Generator[Step, None, None], *, tally: Tally, entries: EntryMaker
) -> Generator[Step, None, None]:
    """The steps behind a position, without any for the state file, which is made anew from the signatures.

    `tally` gets what is passed over as unchanged, `entries` the links of that. Raises PositionLost.
    """
    behind = _Behind(position, tally, entries)
    with closing(steps):
        for step in steps:
            match step:
                case Leave() | Keep():
                    pass
                case Same():
                    tally.same(step.entries, step.size)
                case _:
                    left = step if behind.is_reached else behind.left_of(step)
                    if left is not None:
                        yield left


class _Behind:
    def __init__(self, position: BlockPosition, tally: Tally, entries: EntryMaker) -> None:
        self._position = position
        self._key = order_key(position.path)
        self._tally = tally
        self._entries = entries
        self.is_reached = False

    def left_of(self, step: Store | Change | Check | Gone) -> Step | None:
        """The step, or what of it is not done with. Raises PositionLost.

        So does it where the last entry that is stored, never a directory, has become one.
        """
        match step:
            case Gone():
                # Even below the last entry: what was in the directory that it has replaced.
                self._reach(step.path)
                return step if self.is_reached else None
            case Store():
                work, indexes = step
                done = bisect_left(indexes, True, key=lambda at: self._is_behind(work.prefix + work.names[at]))
                self._pass(work, iter(indexes[:done]))
                if done == len(indexes):
                    return None
                self._reach_entry(work.prefix + work.names[indexes[done]])
                return Store(work, indexes[done:])
        self._reach_entry(step.work.prefix + step.work.names[step.at])
        if not self.is_reached:
            self._pass(step.work, iter((step.at,)))
            return None
        return step

    def _is_behind(self, path: bytes) -> bool:
        """Whether the entry is not, or not all, at the target."""
        key = order_key(path)
        return key > self._key or (key == self._key and self._position.block is not None)

    def _reach_entry(self, path: bytes) -> None:
        if self._position.block is None and path.startswith(self._position.path + b"/"):
            raise PositionLost
        self._reach(path)

    def _reach(self, path: bytes) -> None:
        self.is_reached = self._is_behind(path)
        if self.is_reached and self._position.block is not None and path != self._position.path:
            raise PositionLost

    def _pass(self, work: Work, indexes: Iterator[int]) -> None:
        for at in indexes:
            self._tally.same(1, work.packed[at * FIELDS + SIZE])
            if not stat.S_ISREG(work.packed[at * FIELDS + MODE]):
                continue
            try:
                found = work.stats[at]
            except OSError:
                continue  # gone meanwhile; nothing will be linked to it
            if found.st_nlink > 1:
                self._entries.links_to(found, work.prefix + work.names[at])

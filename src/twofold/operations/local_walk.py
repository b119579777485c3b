"""Walks a local tree in archive order, an entry at a time, for whoever compares it with something else."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from twofold.pipeline.compare import Work
from twofold.pipeline.known import FIELDS, MODE, TYPE
from twofold.tree.scan import Listing, SourceTree


class Local(NamedTuple):
    """A local entry; its directory is open until the walk leaves that."""

    path: bytes
    work: Work
    at: int


class LocalWalk:
    """Stands at one entry, the root first. What cannot be listed is reported by the source."""

    def __init__(self, source: SourceTree) -> None:
        self._source = source
        self._stack: list[tuple[Work, int]] = []
        self._root = Work(Listing(b"", -1, [b""], [source.root_stat]), None, 0)
        self.here: Local | None = Local(b"", self._root, 0)

    def step(self, count: int = 1) -> None:
        """Goes on by `count` entries, below a directory if it stands at one; `here` is None at the end.

        More than one only over files of one directory, which is closed when its last entry is left.
        """
        if self.here is None:
            return
        _, work, at = self.here
        if work is not self._root:
            self._stack[-1] = work, at + count
        below = self._below(work, at)
        if below is not None:
            self._stack.append((Work(below, work, at), 0))
        while self._stack:
            work, at = self._stack[-1]
            if at < len(work.names):
                self.here = Local(work.prefix + work.names[at], work, at)
                return
            self._stack.pop()
            os.close(work.fd)
        self.here = None

    def close(self) -> None:
        """Gives up the walk; may be called twice."""
        self.here = None
        while self._stack:
            os.close(self._stack.pop()[0].fd)

    def _below(self, work: Work, at: int) -> Listing | None:
        if work is self._root:
            return self._source.open_root()
        if work.packed[at * FIELDS + MODE] & TYPE != stat.S_IFDIR:
            return None
        return self._source.enter(Listing(work.path, work.fd, work.names, work.stats), at)

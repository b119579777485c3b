"""Writes runs of whole files, a call for all files of a folder; what needs more is left to `TreeWriter.write_file`.

Always holds: what is made here is what `write_file` would have made of the same file, and in the same order. A call
stops at the first file that it cannot finish, after removing what it had made of it.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterator
from typing import Final

from twofold.format.volume_reader import Run
from twofold.tree.attributes import OwnerIds
from twofold.tree.bulk import write_files
from twofold.tree.shortfalls import EntryProblem
from twofold.tree.write import TreeWriter

_PRIVILEGE: Final = stat.S_ISUID | stat.S_ISGID
_MOST_IN_VAIN: Final = 16
_PAUSE: Final = 512


class RunWriter:
    """Writes runs into the tree of a TreeWriter, which may be used for other entries in between."""

    def __init__(self, writer: TreeWriter) -> None:
        self._writer = writer
        # Calls in a row that wrote nothing: there are file systems on which every file is special. After too many of
        # them so many files are written singly before it is tried again.
        self._in_vain = 0
        self._pause = 0

    def write(self, run: Run, *, within: bytes, unfit: Collection[int]) -> Iterator[int]:
        """Writes the files, and gives the numbers of those that must be written by themselves before it goes on.

        `within` is cut off all paths. The `unfit` are given, too.
        """
        cut = len(within) + 1 if within else 0
        paths = [path[cut:] for path in run.paths] if cut else run.paths
        owners = self._owners(run)
        modes = run.modes
        unfit = {
            *unfit,
            *(at for at, mode in enumerate(modes) if mode & _PRIVILEGE),
            *(at for at, owner in enumerate(owners) if owner is None),
        }
        uids = [owner[0] if owner is not None else -1 for owner in owners]
        gids = [owner[1] if owner is not None else -1 for owner in owners]
        mtimes = run.mtimes_ns
        at = 0
        while at < len(paths):
            self._pause = max(0, self._pause - 1)
            names = [] if self._pause else _beside(paths, at, unfit)
            directory = self._enter(paths[at]) if names else None
            if directory is None:
                yield at
                at += 1
                continue
            end = at + len(names)
            facts = (each[at:end] for each in (run.offsets, run.sizes, modes, uids, gids, mtimes))
            done = write_files(directory, names, run.data, *facts)
            self._in_vain = 0 if done else self._in_vain + 1
            if self._in_vain >= _MOST_IN_VAIN:
                self._pause = _PAUSE
            if done:
                at += done
                self._writer.made(paths[at - 1])
            if at < end:
                yield at
                at += 1

    def _enter(self, path: bytes) -> int | None:
        try:
            return self._writer.directory_of(path).fd
        except EntryProblem:
            return None  # writing the file by itself meets it again, and tells of it

    def _owners(self, run: Run) -> list[OwnerIds | None]:
        found: dict[tuple[int, int, bytes, bytes], OwnerIds | None] = {}
        owners = run.owners
        for owner in set(owners):
            found[owner] = self._writer.attributes.owner_at_birth(*owner)
        return [found[owner] for owner in owners]


def _beside(paths: list[bytes], start: int, unfit: Collection[int]) -> list[bytes]:
    """The names of the files from `start` on that are in the same folder and are not unfit."""
    cut = paths[start].rfind(b"/") + 1
    prefix = paths[start][:cut]
    names = []
    for at in range(start, len(paths)):
        name = paths[at][cut:]
        if at in unfit or b"/" in name or paths[at][:cut] != prefix:
            break
        names.append(name)
    return names

"""Writes the content of restored files: whole or not at all, and with the holes that the archive knows.

Always holds: a hole is left only where the data is zero, so a wrong record of holes costs room and never content.
"""

from __future__ import annotations

import errno
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import NamedTuple, Self

from twofold import system
from twofold.tree.metadata import Holes
from twofold.tree.shortfalls import problem_of

ZEROS = bytes(65536)
COPY_PIECE = 1 << 20
# The file system has no hard links, or no more of them for this file, or not across this mount.
NO_LINKS = frozenset({errno.EPERM, errno.EMLINK, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS})


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Writes everything at the current position. Raises OSError."""
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, memoryview(data)[written:])


def write_sparse(fd: int, data: bytes | memoryview, *, offset: int, holes: Holes) -> int:
    """Writes at `offset` without zeros that lie in holes; answers where what was written ends, 0 if nothing was.

    The size of the file is not set when it ends in a hole. Raises OSError.
    """
    view = memoryview(data)
    end = 0
    for start, stop, in_hole in pieces(offset, offset + len(view), holes):
        for begin in range(start, stop, len(ZEROS)) if in_hole else (start,):
            piece = view[begin - offset : min(begin + len(ZEROS), stop) - offset if in_hole else stop - offset]
            if in_hole and bytes(piece) == (ZEROS if len(piece) == len(ZEROS) else bytes(len(piece))):
                continue
            end = begin + len(piece)
            while piece:
                piece = piece[os.pwrite(fd, piece, end - len(piece)) :]
    return end


def pieces(start: int, stop: int, holes: Holes) -> Iterator[tuple[int, int, bool]]:
    """Cuts a range at the borders of holes, which are ordered by offset: (start, stop, whether it lies in a hole)."""
    index = max(bisect_right(holes, (start, 0)) - 1, 0)
    while start < stop:
        while index < len(holes) and sum(holes[index]) <= start:
            index += 1
        hole_start, hole_stop = (holes[index][0], sum(holes[index])) if index < len(holes) else (stop, stop)
        if hole_start <= start:
            end = min(hole_stop, stop)
            yield start, end, True
        else:
            end = min(hole_start, stop)
            yield start, end, False
        start = end


class Placement(NamedTuple):
    """What makes a file out of content: `settle` applies metadata, `place` gives the name, `remove` takes it back."""

    settle: Callable[[int], None]
    place: Callable[[], None]
    remove: Callable[[], None]


class OutputFile:
    """A file that is being written under another name; `commit` gives it its own, `discard` removes it.

    As a context manager it is discarded unless committed. `fd` may be written to directly instead of with `write`, but
    not both; it can be read as well.
    """

    def __init__(self, fd: int, path: bytes, *, holes: Holes, placement: Placement) -> None:
        self.fd = fd
        self._path = path
        self._holes = tuple(sorted(holes))
        self._placement = placement
        self._size = 0
        self._written_to = 0
        self._open = True

    def write(self, data: bytes | memoryview) -> None:
        """Appends the next bytes of the content. Raises `EntryProblem`; what remains is to be discarded."""
        try:
            if self._holes:
                end = write_sparse(self.fd, data, offset=self._size, holes=self._holes)
                self._written_to = end or self._written_to
                self._size += len(data)
            elif data:
                write_all(self.fd, data)
        except OSError as error:
            raise problem_of(self._path, error) from error

    def copy(self, source_fd: int) -> None:
        """Makes an empty output equal to another file, without using room if the file system can share blocks.

        Raises `EntryProblem`.
        """
        if system.clone_file(source_fd, self.fd):
            return
        try:
            while piece := os.read(source_fd, COPY_PIECE):
                self.write(piece)
        except OSError as error:
            raise problem_of(self._path, error) from error

    def commit(self) -> None:
        """Applies the metadata and gives the file its name. Raises `EntryProblem`, and then nothing remains."""
        try:
            if self._size > self._written_to and self._holes:
                os.ftruncate(self.fd, self._size)
            self._placement.settle(self.fd)
            self._close()
            self._placement.place()
        except BaseException as error:
            self._close()
            self._placement.remove()
            if isinstance(error, OSError):
                raise problem_of(self._path, error) from error
            raise

    def discard(self) -> None:
        """Removes what was written. Does nothing after `commit`."""
        if self._open:
            self._close()
            self._placement.remove()

    def _close(self) -> None:
        if self._open:
            self._open = False
            os.close(self.fd)

    @property
    def finished(self) -> bool:
        """Whether the file was committed or discarded."""
        return not self._open

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


def rename_without_replacing(name: bytes, target: bytes, dir_fd: int) -> None:
    """Renames unless the target exists. Raises FileExistsError, OSError."""
    try:
        os.link(name, target, src_dir_fd=dir_fd, dst_dir_fd=dir_fd, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        try:
            os.stat(target, dir_fd=dir_fd, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(name, target, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        else:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
    else:
        os.unlink(name, dir_fd=dir_fd)

"""Many small files of one directory read, written or compared with one call, and with one release of the interpreter.

Between two system calls of Python another thread would have to be waited for, every time (docs/design.md section 3).
Always holds: nothing here decides anything about a backup. A batch goes on while files are ordinary and everything
succeeds, and stops without a word at the first file of which that is not so: the general way meets that one again,
and tells what there is to tell. Every name is one of `directory`, an open descriptor of one, and has one component.

Facts of files are rows of 64-bit numbers, one behind the other: FACTS an entry, as `pipeline.known` packs them (mode,
owner, group, size, times of modification and change in nanoseconds, inode as signed bits), COMPARED, with a 1 behind
them where the content is the same, or LISTED.

The compiled kernel does it where `rsync` has one, else the pure-Python specification, which does the same. Wrong
arguments (a name with a slash, slices outside their buffer, lists of different length) raise ValueError, or
OverflowError where numbers are negative or beyond 64 bits. OSError is never raised.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final, Protocol

from twofold import rsync

FACTS: Final = 7
COMPARED: Final = FACTS + 1
MODE, UID, GID, SIZE, MTIME, CTIME, INODE, SAME = range(COMPARED)
LISTED: Final = FACTS + 4
_, _, _, _, _, _, _, DEVICE, LINKS, BLOCKS, REPRESENTED = range(LISTED)

Data = bytes | bytearray | memoryview
"""Bytes to read, contiguous; no other thread may write to them during the call."""


class ReadFiles(Protocol):
    """Reads ordinary files into a buffer, each where its data belong in an archive; gives how many have been read.

    The first file's data go `gap` bytes behind `position`; behind them come zeros up to a multiple of 512 bytes, and
    there the next position is. A file is begun only at a position of `limit` or less, and `largest` bytes (whole
    blocks) are asked for, so `limit` + `gap` + `largest` must lie in the buffer. Nothing else is written to, but for
    what there was of files that ended the batch.

    `listed` has FACTS an entry: what the file was like when it was listed. Ordinary is a regular file that is still
    so, has one link, less than `largest` bytes and all of them in blocks of its own (no holes), was read to its last
    byte with one call, and has no extended attributes but those of the names in `ignored` and views (metadata.py).
    `flags` are those of open(2); they must not allow writing, and should not follow links or wait for fifos.
    """

    def __call__(
        self,
        directory: int,
        names: Sequence[bytes],
        buffer: bytearray | memoryview,
        *,
        listed: array[int] | memoryview[int],
        position: int,
        gap: int,
        limit: int,
        largest: int,
        flags: int,
        ignored: Sequence[bytes],
    ) -> int: ...


class WriteFiles(Protocol):
    """Makes new regular files, each with its slice of `data` and its attributes; gives how many have been made.

    Stops at the first for which anything is refused, and takes away what it has made of that one; what was there
    before is never touched. Owner or group of -1 stay as they are. The access time is that of the writing. A mode that
    sets user or group ID stops it, too: whom it is for is the general way's to judge.
    """

    def __call__(
        self,
        directory: int,
        names: Sequence[bytes],
        data: Data,
        offsets: Sequence[int],
        lengths: Sequence[int],
        modes: Sequence[int],
        uids: Sequence[int],
        gids: Sequence[int],
        mtimes_ns: Sequence[int],
    ) -> int: ...


class CompareFiles(Protocol):
    """Compares each file with its slice of `data`; gives COMPARED numbers of each.

    Ordinary are here all regular files without extended attributes but the ignored ones, as in `ReadFiles`, with any
    number of links, and with holes. Where the sizes differ nothing is read.
    """

    def __call__(
        self,
        directory: int,
        names: Sequence[bytes],
        data: Data,
        offsets: Sequence[int],
        lengths: Sequence[int],
        *,
        flags: int,
        ignored: Sequence[bytes],
    ) -> memoryview[int]: ...


class ListFiles(Protocol):
    """What lstat says of names of any kind; gives LISTED numbers of each, up to the first of which it says nothing.

    Behind the FACTS stand the device, the number of links, the blocks of 512 bytes, and the device that it stands for.
    """

    def __call__(self, directory: int, names: Sequence[bytes], /) -> memoryview[int]: ...


class Bulk(Protocol):
    """What the modules `bulk_native` and `bulk_specification` are."""

    @property
    def read_files(self) -> ReadFiles: ...
    @property
    def write_files(self) -> WriteFiles: ...
    @property
    def compare_files(self) -> CompareFiles: ...
    @property
    def list_files(self) -> ListFiles: ...


def _choose() -> Bulk:
    if rsync.IMPLEMENTATION == "native":
        import twofold.tree.bulk_native as native

        return native
    import twofold.tree.bulk_specification as specification

    return specification


_bulk = _choose()
read_files: ReadFiles = _bulk.read_files
write_files: WriteFiles = _bulk.write_files
compare_files: CompareFiles = _bulk.compare_files
list_files: ListFiles = _bulk.list_files

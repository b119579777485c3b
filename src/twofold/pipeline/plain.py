"""Stores runs of ordinary small files: what most of a tree consists of goes through two flat loops.

Ordinary is a regular file of less than a part that has one link, a short ASCII name, no extended attributes and no
holes, and that is as it was when it was listed, to the last byte. Every other file is left to the general way
(pack.py). Always holds: the bytes in the chunk are those that the general way would make of the same file.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, TypeAlias

from twofold.format.difftar import PART_SIZE
from twofold.format.plain_headers import (
    LATEST_PLAIN,
    LONGEST_PLAIN_PATH,
    PLAIN_HEADER,
    PlainOwner,
    plain_owner,
    write_headers,
)
from twofold.pipeline.blocks import STRONG_LENGTH, block_length
from twofold.pipeline.chunks import ChunkBuilder
from twofold.pipeline.compare import Work
from twofold.pipeline.entries import EntryMaker
from twofold.pipeline.known import FIELDS
from twofold.pipeline.members import PlainFile
from twofold.pipeline.tally import Tally
from twofold.tree.bulk import read_files
from twofold.tree.metadata import BLOCK, LEFT_OUT
from twofold.tree.owners import REMEMBERED
from twofold.tree.scan import SourceTree

_TYPE: Final = 0o170000
_HEADER: Final = 12
_BLOCK_SUMS: Final = 4 + STRONG_LENGTH
_LAST: Final = BLOCK - 1
_IGNORED: Final = tuple(LEFT_OUT)
# After a file that was not ordinary, no more than so many are tried at once, then twice as many each time: where
# hardly any file is, little is done in vain.
_FEW: Final = 4
_MANY: Final = 1024

# Path, owner, size, times of modification and change.
_Facts: TypeAlias = tuple[bytes, PlainOwner, int, int, int]

_new = tuple.__new__  # makes a value in half the time


def signature_size(size: int, block_len: int) -> int:
    """Bytes of the signature of a file of `size` bytes."""
    return _HEADER + -(-size // block_len) * _BLOCK_SUMS


class PlainFiles:
    """Stores ordinary files into chunks. One thread uses it."""

    def __init__(
        self,
        source: SourceTree,
        builder: ChunkBuilder,
        entries: EntryMaker,
        tally: Tally,
        *,
        largest_block: int,
        room: int,
    ) -> None:
        """`largest_block` is as in PackOptions; a file is begun only with `room` bytes free in the chunk."""
        self._source = source
        self._builder = builder
        self._entries = entries
        self._tally = tally
        self._settled = entries.settled_ns
        self._limit = builder.capacity - room
        self._owners: dict[tuple[int, int, int], PlainOwner] = {}
        self._most = _MANY
        # All files of less than a part have blocks of one length (blocks.py; a test sees to it).
        self._block_len = block_length(PART_SIZE - 1, limit=largest_block)

    def store(self, work: Work, indexes: Sequence[int], start: int) -> int:
        """Stores what is ordinary from `indexes[start]` on; gives where it has stopped.

        That is the first file that is not ordinary or that has no room in the chunk, or the end.
        """
        if work.fd < 0 or not work.prefix.isascii():
            return start
        while start < len(indexes):
            tried = self._most
            files = self._ordinary(work, indexes[start : start + tried])
            count = self._read(work, indexes[start], len(files)) if files else 0
            if count < len(files):
                self._most = _FEW
                del files[count:]
            if files:
                self._complete(work, indexes[start], files)
                start += count
            if count < tried:
                break
            self._most = min(2 * tried, _MANY)
        return start

    def _ordinary(self, work: Work, indexes: Sequence[int]) -> list[_Facts]:
        """The first files: as many as seem ordinary as listed, lie side by side, and have room in the chunk."""
        names, packed, owners, prefix = work.names, work.packed, self._owners, work.prefix
        longest = LONGEST_PLAIN_PATH - len(prefix)
        position, limit = self._builder.chunk.used, self._limit
        files: list[_Facts] = []
        expected = indexes[0]
        for at in indexes:
            mode, uid, gid, size, mtime, ctime, _ = packed[at * FIELDS : (at + 1) * FIELDS]
            name = names[at]
            if (
                mode & _TYPE != stat.S_IFREG
                or size >= PART_SIZE
                or position > limit
                or at != expected
                or len(name) > longest
                or not name.isascii()
                or not 0 <= mtime < LATEST_PLAIN
            ):
                break
            owner = owners.get((mode, uid, gid)) or self._new_owner(mode, uid, gid)
            if owner is None:
                break
            files.append((prefix + name, owner, size, mtime, ctime))
            position += PLAIN_HEADER + size + (-size & _LAST)
            expected += 1
        return files

    def _read(self, work: Work, first: int, count: int) -> int:
        """Reads files to where their data belong in the chunk, up to the first that is not ordinary; gives how many.

        Where there is an error here the general way meets it again, and tells of it.
        """
        builder = self._builder
        return read_files(
            work.fd,
            work.names[first : first + count],
            builder.view,
            listed=work.packed[first * FIELDS : (first + count) * FIELDS],
            position=builder.chunk.used,
            gap=PLAIN_HEADER,
            limit=self._limit,
            largest=PART_SIZE,
            flags=self._source.file_flags,
            ignored=_IGNORED,
        )

    def _complete(self, work: Work, first: int, files: list[_Facts]) -> None:
        """Puts headers in front of the data that have been read, and tells whoever has to know."""
        builder = self._builder
        for _, group in groupby(files, itemgetter(1)):
            alike = list(group)
            self._write(work, first, alike)
            first += len(alike)
        total = sum([size for _, _, size, _, _ in files])
        builder.place(files[0][0], None)
        builder.place(files[-1][0], None)
        builder.read_bytes += total
        self._tally.new(total, files=len(files))
        self._tally.raw_delta += total

    def _write(self, work: Work, first: int, files: list[_Facts]) -> None:
        """Files that have all that a PlainOwner stands for in common."""
        chunk, block_len, settled = self._builder.chunk, self._block_len, self._settled
        for at, (_, _, _, mtime, ctime) in enumerate(files, first):
            if (mtime > settled or ctime > settled) and self._entries.may_change_unseen(mtime, ctime):
                work.distrust(at)
        owner = files[0][1]
        written = write_headers(
            chunk.buffer,
            chunk.used,
            [file[0] for file in files],
            work.packed[first * FIELDS : (first + len(files)) * FIELDS],
            (owner.fields, owner.tail),
            (block_len, _BLOCK_SUMS),
        )
        places = enumerate(zip(files, written, strict=True), first)
        chunk.members += [
            _new(PlainFile, (path, work, at, digest_at, front, back, sums))
            for at, ((path, _, _, _, _), (_, digest_at, front, back, sums)) in places
        ]
        sizes = [file[2] for file in files]
        chunk.offsets += [each[0] for each in written]
        chunk.sizes += sizes
        chunk.block_lens += [block_len] * len(files)
        chunk.used = chunk.offsets[-1] + sizes[-1] + (-sizes[-1] & _LAST)

    def _new_owner(self, mode: int, uid: int, gid: int) -> PlainOwner | None:
        if len(self._owners) >= REMEMBERED:
            self._owners.clear()
        names = self._entries.owners
        owner = plain_owner(mode, uid, gid=gid, uname=names.user_name(uid), gname=names.group_name(gid))
        if owner is not None:
            self._owners[mode, uid, gid] = owner
        return owner

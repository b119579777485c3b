"""Stores runs of ordinary small files: what most of a tree consists of goes through two flat loops.

Ordinary is a regular file of less than a part that has one link, a short ASCII name, no extended attributes and no
holes, and that is as it was when it was listed, to the last byte. Every other file is left to the general way
(pack.py). Always holds: the bytes in the chunk are those that the general way would make of the same file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Final, TypeAlias

from twofold.format.difftar import PART_SIZE
from twofold.format.plain_headers import (
    LATEST_PLAIN,
    LONGEST_PLAIN_PATH,
    PLAIN_HEADER,
    PlainOwner,
    plain_headers,
    plain_owner,
)
from twofold.pipeline.blocks import STRONG_LENGTH, block_length
from twofold.pipeline.chunks import ChunkBuilder
from twofold.pipeline.compare import Work
from twofold.pipeline.entries import EntryMaker
from twofold.pipeline.known import CTIME, FIELDS, MODE, MTIME
from twofold.pipeline.members import PlainFile
from twofold.pipeline.tally import Tally
from twofold.system import list_xattrs
from twofold.tree.metadata import BLOCK, worth_storing
from twofold.tree.owners import REMEMBERED
from twofold.tree.scan import SourceTree

_TYPE: Final = 0o170000
_HEADER: Final = 12
_BLOCK_SUMS: Final = 4 + STRONG_LENGTH
_LAST: Final = BLOCK - 1
_ZEROS: Final = bytes(BLOCK)

# Place in the directory, size, times of modification and change as recorded, inode, owner.
_Facts: TypeAlias = tuple[int, int, int, int, int, PlainOwner]

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
        # All files of less than a part have blocks of one length (blocks.py; a test sees to it).
        self._block_len = block_length(PART_SIZE - 1, limit=largest_block)

    def store(self, work: Work, indexes: Sequence[int], start: int) -> int:
        """Stores what is ordinary from `indexes[start]` on; gives where it has stopped.

        That is the first file that is not ordinary or that has no room in the chunk, or the end.
        """
        if work.fd < 0 or not work.prefix.isascii() or self._builder.chunk.used > self._limit:
            return start
        files = self._read(work, indexes, start)
        if files:
            builder = self._builder
            size = self._complete(work, files)
            builder.place(work.prefix + work.names[files[0][0]], None)
            builder.place(work.prefix + work.names[files[-1][0]], None)
            builder.read_bytes += size
            self._tally.new(size, files=len(files))
            self._tally.raw_delta += size
        return start + len(files)

    def _read(self, work: Work, indexes: Sequence[int], start: int) -> list[_Facts]:
        """Reads files to where their data belong in the chunk, up to the first that is not ordinary.

        Where there is an error here the general way meets it again, and tells of it.
        """
        view, limit = self._builder.view, self._limit + PLAIN_HEADER
        names, packed, directory = work.names, work.packed, work.fd
        longest = LONGEST_PLAIN_PATH - len(work.prefix)
        open_file, facts_of, readv, close = self._source.open_file, self._facts_of, os.readv, os.close
        files: list[_Facts] = []
        position = self._builder.chunk.used + PLAIN_HEADER
        for number in range(start, len(indexes)):
            at = indexes[number]
            name = names[at]
            if position > limit or packed[at * FIELDS + MODE] & _TYPE != stat.S_IFREG:
                break
            if len(name) > longest or not name.isascii():
                break
            try:
                descriptor = open_file(directory, name)
                try:
                    facts = facts_of(work, at, descriptor)
                    size = readv(descriptor, [view[position : position + PART_SIZE]]) if facts is not None else -1
                finally:
                    close(descriptor)
            except OSError:
                break
            if facts is None or size != facts[1]:
                break
            files.append(facts)
            position += PLAIN_HEADER + size + (-size & _LAST)
        return files

    def _facts_of(self, work: Work, at: int, descriptor: int) -> _Facts | None:
        """What is recorded of an ordinary file; None for any other. Raises OSError."""
        found = os.fstat(descriptor)
        mode, inode, _, links, uid, gid, size = found[:7]
        if links != 1 or size >= PART_SIZE or mode & _TYPE != stat.S_IFREG or found.st_blocks * BLOCK < size:
            return None
        mtime, ctime = found.st_mtime_ns, found.st_ctime_ns
        packed, first = work.packed, at * FIELDS
        if mtime != packed[first + MTIME] or ctime != packed[first + CTIME] or not 0 <= mtime < LATEST_PLAIN:
            return None
        if (names := list_xattrs(descriptor)) and worth_storing(names):
            return None
        owner = self._owners.get((mode, uid, gid)) or self._new_owner(mode, uid, gid)
        if (mtime > self._settled or ctime > self._settled) and self._entries.may_change_unseen(found):
            work.distrust(at)
            ctime = 0
        return None if owner is None else (at, size, mtime, ctime, inode, owner)

    def _complete(self, work: Work, files: list[_Facts]) -> int:
        """Puts headers in front of the data that have been read, and zeros behind; gives the size of the data."""
        chunk = self._builder.chunk
        buffer, position, block_len = chunk.buffer, chunk.used, self._block_len
        prefix, names = work.prefix, work.names
        total = 0
        for at, size, mtime, ctime, inode, owner in files:
            path = prefix + names[at]
            sums = _HEADER + -(-size // block_len) * _BLOCK_SUMS
            header, digest_at, front, back = plain_headers(
                path, owner, sizes=(size, block_len, sums), mtime_ns=mtime, ctime_ns=ctime, inode=inode
            )
            data_at = position + PLAIN_HEADER
            buffer[position:data_at] = header
            end = data_at + size
            rest = -size & _LAST
            buffer[end : end + rest] = _ZEROS[:rest]
            chunk.offsets.append(data_at)
            chunk.sizes.append(size)
            chunk.block_lens.append(block_len)
            chunk.members.append(_new(PlainFile, (path, work, at, position + digest_at, front, back, sums)))
            position = end + rest
            total += size
        chunk.used = position
        return total

    def _new_owner(self, mode: int, uid: int, gid: int) -> PlainOwner | None:
        if len(self._owners) >= REMEMBERED:
            self._owners.clear()
        names = self._entries.owners
        owner = plain_owner(mode, uid, gid=gid, uname=names.user_name(uid), gname=names.group_name(gid))
        if owner is not None:
            self._owners[mode, uid, gid] = owner
        return owner

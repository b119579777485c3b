"""Fills buffers with tar entries one after another and ends volumes where the meter says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from twofold.concurrency import Pool
from twofold.format.manifest import BlockPosition
from twofold.format.tar_writer import RECORD, padding, tail
from twofold.pipeline.members import Chunk, Member, PlainFile, SmallFile
from twofold.pipeline.volumes import VolumeMeter

LARGEST_CHUNK: Final = 1 << 20
SMALLEST_CHUNK: Final = 1 << 17
SLACK: Final = 1 << 17
MOST_NOTED: Final = 4096


def chunk_capacity(volume_size: int) -> int:
    """Bytes of tar in a chunk: volumes are cut between chunks, so small volumes want small ones."""
    return max(SMALLEST_CHUNK, min(LARGEST_CHUNK, volume_size // 8))


class ChunkBuilder:
    """The chunk being filled. Entries are put in by whoever holds it; `turn_over` gives back what is full.

    Invariant: `chunk.used` is always a multiple of 512 and everything before it is final but for digests.
    """

    def __init__(self, pool: Pool[bytearray], meter: VolumeMeter, *, capacity: int) -> None:
        self._pool = pool
        self._meter = meter
        self.capacity = capacity
        self._number = 0
        self._volume = 1
        self._volume_length = 0
        self._weight = 0
        self.read_bytes = 0
        self.chunk = Chunk(0, 1, pool.take())
        self.view = memoryview(self.chunk.buffer)

    def turn_over(self, needed: int) -> Iterator[Chunk]:
        """Gives the current chunk away and takes a fresh one with room for an entry of `needed` bytes."""
        if self.chunk.used or self.chunk.members:
            yield self._close()
            if self._volume_length and not self._meter.fits(max(self.capacity, needed)):
                yield self._end_volume()
            self._open()
        if len(self.chunk.buffer) < needed:
            # An entry with huge extended attributes: this buffer grows for once, and stays with the pool.
            self.view.release()
            self.chunk.buffer.extend(bytes(needed - len(self.chunk.buffer)))
            self.view = memoryview(self.chunk.buffer)

    def note(self, member: Member, weight: int) -> Iterator[Chunk]:
        """Adds what has no bytes in the chunk, but keeps `weight` entries in memory until the chunk has been signed.

        Where nothing changes no chunk would ever be full, so they are given away by weight, too.
        """
        self.chunk.members.append(member)
        self._weight += weight
        if self._weight >= MOST_NOTED:
            yield from self.turn_over(0)

    def finish(self) -> Iterator[Chunk]:
        """The rest, with the end of the last volume."""
        chunk = self.chunk
        if chunk.used + RECORD > len(chunk.buffer):
            yield self._close()
            self._open()
            chunk = self.chunk
        length = self._volume_length + chunk.used
        if chunk.first is None and not length:
            chunk.first = chunk.last = BlockPosition(b"")
        self._put(tail(length))
        chunk.ends_volume = True
        yield self._close()

    def place(self, path: bytes, block: int | None) -> None:
        """Notes that an entry of `path` (or part `block` of it) now stands in the chunk."""
        position = BlockPosition(path, block)
        if self.chunk.first is None:
            self.chunk.first = position
        self.chunk.last = position

    def add(self, header: bytes, data_size: int, member: Member | None) -> None:
        """An entry is complete: its header goes in front of its data, which lie there already, and zeros behind."""
        chunk = self.chunk
        start = chunk.used
        end = start + len(header)
        chunk.buffer[start:end] = header
        end += data_size
        rest = padding(data_size)
        if rest:
            chunk.buffer[end : end + len(rest)] = rest
        chunk.used = end + len(rest)
        if member is not None:
            chunk.members.append(member)

    def add_small(self, header: bytes, size: int, member: PlainFile | SmallFile, *, block_len: int) -> None:
        """The same for a small file, which is to be signed with the others of the chunk."""
        chunk = self.chunk
        chunk.offsets.append(chunk.used + len(header))
        chunk.sizes.append(size)
        chunk.block_lens.append(block_len)
        self.add(header, size, member)

    def _put(self, data: bytes) -> None:
        chunk = self.chunk
        chunk.buffer[chunk.used : chunk.used + len(data)] = data
        chunk.used += len(data)

    def _open(self) -> None:
        self._number += 1
        self._weight = 0
        self.chunk = Chunk(self._number, self._volume, self._pool.take())
        self.view = memoryview(self.chunk.buffer)

    def _close(self) -> Chunk:
        chunk = self.chunk
        chunk.read_bytes = self.read_bytes
        self._volume_length += chunk.used
        if chunk.used:
            self._meter.add(chunk.number, chunk.used)
        self.view.release()
        return chunk

    def _end_volume(self) -> Chunk:
        self._open()
        self._put(tail(self._volume_length))
        self.chunk.ends_volume = True
        chunk = self._close()
        self._meter.begin()
        self._volume += 1
        self._volume_length = 0
        return chunk

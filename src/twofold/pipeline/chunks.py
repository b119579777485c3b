"""Fills buffers with tar entries one after another and ends volumes where the meter says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from twofold.concurrency import Pool
from twofold.format.manifest import BlockPosition
from twofold.format.tar_writer import RECORD, padding, tail
from twofold.model.entry import Entry
from twofold.model.value import replace
from twofold.pipeline.checkpoint import Mark, PositionLost, Silence, identity_of
from twofold.pipeline.members import Chunk, Member, PlainFile, SmallFile
from twofold.pipeline.tally import Tally
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

    def __init__(
        self,
        pool: Pool[bytearray],
        meter: VolumeMeter,
        *,
        capacity: int,
        volume: int = 1,
        silence: Silence | None = None,
        tally: Tally | None = None,
    ) -> None:
        """Begins with that volume. The first parts of the file that `silence` names come in chunks without tar.

        With a `tally`, which somebody keeps, there are marks at the ends of volumes.
        """
        self._pool = pool
        self._meter = meter
        self.capacity = capacity
        self._number = 0
        self._volume = volume
        self._volume_length = 0
        self._weight = 0
        self._silence = silence
        self._silence_ends = False
        self._tally = tally
        self._within: Entry | None = None
        self._proof = ""
        self._may_hold_more = False
        self.read_bytes = 0
        self.chunk = Chunk(0, volume, pool.take())
        self.view = memoryview(self.chunk.buffer)

    def turn_over(self, needed: int) -> Iterator[Chunk]:
        """Gives the current chunk away and takes a fresh one with room for an entry of `needed` bytes."""
        if self._silence is not None:
            yield self._close_silently(self._silence)
            self._open()
        elif self.chunk.used or self.chunk.members:
            yield self._close()
            if self._volume_length and not self._meter.fits(max(self.capacity, needed)):
                yield self._end_volume()
            self._open()
        if len(self.chunk.buffer) < needed:
            # An entry with huge extended attributes: this buffer grows for once, and stays with the pool.
            self.view.release()
            self.chunk.buffer.extend(bytes(needed - len(self.chunk.buffer)))
            self.view = memoryview(self.chunk.buffer)

    def is_full(self, needed: int) -> bool:
        """Whether a part that needs so many bytes is to go into another chunk."""
        return self.chunk.used + needed > self.capacity or self._silence_ends

    def parts_together(self, part: int) -> int:
        """How many parts behind that one may go into this chunk, room being given."""
        return self._silence.block - part if self._silence is not None else self.capacity

    def note(self, member: Member, weight: int) -> Iterator[Chunk]:
        """Adds what has no bytes in the chunk, but keeps `weight` entries in memory until the chunk has been signed.

        Where nothing changes no chunk would ever be full, so they are given away by weight, too.
        """
        self.chunk.members.append(member)
        self._weight += weight
        if self._weight >= MOST_NOTED:
            yield from self.turn_over(0)

    def finish(self) -> Iterator[Chunk]:
        """The rest, with the end of the last volume, if that has come to hold anything or is the only one."""
        if self._silence is not None:
            raise PositionLost
        chunk = self.chunk
        if chunk.used + RECORD > len(chunk.buffer):
            yield self._close()
            self._open()
            chunk = self.chunk
        length = self._volume_length + chunk.used
        if chunk.first is None and not length:
            if self._volume > 1:
                yield self._close()
                return
            chunk.first = chunk.last = BlockPosition(b"")
        self._put(tail(length))
        chunk.ends_volume = True
        if self._volume > 1:
            chunk.mark = self._mark()
        yield self._close()

    def place(
        self,
        path: bytes,
        block: int | None,
        within: Entry | None = None,
        *,
        proof: str = "",
        may_hold_more: bool = False,
    ) -> None:
        """Notes that an entry of `path` (or part `block` of it) now stands in the chunk.

        Of a part that is not the last one `within` is the whole; `proof` tells its parts so far from any others, else
        the signing stage finds out. `may_hold_more`: it is a directory, or was one. Raises PositionLost.
        """
        position = BlockPosition(path, block)
        if self._silence is not None:
            self._place_silently(self._silence, position, proof)
        elif self.chunk.first is None:
            self.chunk.first = position
        self.chunk.last = position
        self._within, self._proof, self._may_hold_more = within, proof, may_hold_more

    def begin_parts(self, path: bytes, entry: Entry) -> None:
        """The parts of a file follow. Raises PositionLost if those of another file are to come first."""
        silence = self._silence
        if silence is not None and (path, identity_of(entry)) != (silence.path, silence.identity):
            raise PositionLost

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

    def _place_silently(self, silence: Silence, position: BlockPosition, proof: str) -> None:
        if position.path != silence.path or position.block is None:
            raise PositionLost
        self._silence_ends = position.block == silence.block
        if self._silence_ends and proof and proof != silence.proof:
            raise PositionLost

    def _close_silently(self, silence: Silence) -> Chunk:
        """The chunk has no tar: only the signing stage looks at what lies in it."""
        chunk = self.chunk
        chunk.used = 0
        chunk.last = None
        if self._silence_ends:
            chunk.proof = silence.proof if not self._proof else None
            self._silence, self._silence_ends = None, False
        return self._close()

    def _mark(self) -> Mark | None:
        """None where nobody could go on: what is below a directory, even one that has gone, may be another by then."""
        within = self._within
        identity = identity_of(within) if within is not None else None
        if self._tally is None or self._may_hold_more or (within is not None and identity is None):
            return None
        return Mark(replace(self._tally), identity, self._proof)

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
        self.chunk.mark = self._mark()
        chunk = self._close()
        self._meter.begin()
        self._volume += 1
        self._volume_length = 0
        return chunk

"""Buffers go round, chunks and volumes end where they should."""

from __future__ import annotations

from collections.abc import Iterator

from twofold.concurrency import Ledger, Pool
from twofold.envelope.plain import PlainEnvelope
from twofold.format.difftar import deleted_header
from twofold.pipeline.chunks import MOST_NOTED, SLACK, SMALLEST_CHUNK, ChunkBuilder, chunk_capacity
from twofold.pipeline.members import Chunk, RemovedFile
from twofold.pipeline.volumes import VolumeMeter

BUFFERS = 2


class Line:
    """A builder whose chunks are taken away at once, their buffers given back."""

    def __init__(self, limit: int) -> None:
        self.pool = Pool(bytearray(SMALLEST_CHUNK + SLACK) for _ in range(BUFFERS))
        self.ledger = Ledger()
        meter = VolumeMeter(PlainEnvelope(), self.ledger, limit=limit)
        self.builder = ChunkBuilder(self.pool, meter, capacity=SMALLEST_CHUNK)
        self.chunks: list[Chunk] = []
        self.volumes: dict[int, bytes] = {}

    def run(self, chunks: Iterator[Chunk]) -> None:
        for chunk in chunks:
            self.ledger.report(chunk.number, chunk.used)
            self.chunks.append(chunk)
            self.volumes[chunk.volume] = self.volumes.get(chunk.volume, b"") + bytes(chunk.buffer[: chunk.used])
            self.pool.give(chunk.buffer)

    def entry(self, path: bytes, size: int) -> None:
        """One entry of `size` bytes of data, with room made for it."""
        builder = self.builder
        needed = 512 + size + 512
        if builder.chunk.used + needed > builder.capacity:
            self.run(builder.turn_over(needed))
        builder.view[builder.chunk.used + 512 : builder.chunk.used + 512 + size] = bytes(size)
        builder.add(deleted_header(path), size, RemovedFile(path, True))
        builder.place(path, None)


def test_small_volumes_have_small_chunks_and_none_is_beyond_a_mebibyte() -> None:
    assert [chunk_capacity(size) for size in (1 << 18, 1 << 21, 200 << 20)] == [1 << 17, 1 << 18, 1 << 20]


def test_entries_larger_than_a_chunk_do_not_use_up_the_buffers() -> None:
    line = Line(limit=1 << 30)
    for number in range(20):
        line.entry(b"%d" % number, 400_000)
    line.run(line.builder.finish())
    assert sum(chunk.used for chunk in line.chunks) > 20 * 400_000


def test_no_volume_is_empty_although_entries_are_larger_than_volumes() -> None:
    line = Line(limit=300_000)
    for number in range(5):
        line.entry(b"%d" % number, 400_000)
        line.run(line.builder.note(RemovedFile(b"only noted", False), MOST_NOTED))
    line.run(line.builder.finish())
    # Only the last one may be, where nothing more has come after a cut (docs/format.md section 4.6).
    assert [volume[:8] for volume in line.volumes.values()][:5] == [b"deleted/"] * 5
    assert len(line.volumes) <= 6


def test_every_volume_ends_with_its_tail_and_names_its_first_and_last_entry() -> None:
    line = Line(limit=300_000)
    for number in range(40):
        line.entry(b"%02d" % number, 30_000)
    line.run(line.builder.finish())
    assert len(line.volumes) > 3
    for volume in line.volumes.values():
        assert len(volume) <= 300_000
        assert len(volume) % 10240 == 0
        assert volume.endswith(bytes(512))
    ends = [chunk.volume for chunk in line.chunks if chunk.ends_volume]
    assert ends == sorted(line.volumes)
    positions = [chunk.first for chunk in line.chunks if chunk.first is not None]
    assert [position.path for position in positions] == sorted(position.path for position in positions)


def test_what_is_only_noted_does_not_pile_up() -> None:
    line = Line(limit=1 << 30)
    for number in range(100):
        line.run(line.builder.note(RemovedFile(b"%d" % number, False), MOST_NOTED // 10))
        assert len(line.builder.chunk.members) <= 10
    line.run(line.builder.finish())
    assert sum(len(chunk.members) for chunk in line.chunks) == 100
    assert [chunk.used for chunk in line.chunks if chunk.used] == [10240]
    assert [chunk.first for chunk in line.chunks if chunk.first is not None] == [(b"", None)]

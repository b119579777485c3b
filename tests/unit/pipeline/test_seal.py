"""Chunks become volumes, several at a time, and nothing stays behind of those that nobody takes."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from twofold.concurrency import Crew, Ledger, Pool
from twofold.envelope.gzip import GzipEnvelope
from twofold.format.manifest import BlockPosition
from twofold.pipeline.members import Chunk
from twofold.pipeline.seal import Pressed, VolumeSealer, next_wanted_at, press


def chunk_of(number: int, volume: int, data: bytes, *, path: bytes | None = None, last: bool = False) -> Chunk:
    chunk = Chunk(number, volume, bytearray(data))
    chunk.used = len(data)
    chunk.first = chunk.last = BlockPosition(path) if path is not None else None
    chunk.ends_volume = last
    return chunk


CHUNKS = [
    chunk_of(0, 1, b"one" * 500, path=b"a"),
    chunk_of(1, 1, b""),
    chunk_of(2, 1, b"two" * 500, path=b"b", last=True),
    chunk_of(3, 2, b""),
    chunk_of(4, 2, b"three" * 500, path=b"c", last=True),
    chunk_of(5, 3, b"four", path=b"d", last=True),
]


def sealer_in(
    folder: Path, pool: Pool[bytearray] | None = None, *, envelope: GzipEnvelope | None = None, slots: int = 9
) -> VolumeSealer:
    return VolumeSealer(
        envelope or GzipEnvelope(),
        lambda: str(folder),
        pool or Pool([]),
        slots=Pool(range(slots)),
        volume_size=1000,
        explain=lambda error, _: error,
    )


def pressed(chunks: Iterable[Chunk], crew: Crew, ledger: Ledger) -> Iterator[Pressed]:
    return press(chunks, GzipEnvelope(), ledger, workers=2, crew=crew)


def test_volumes_hold_their_chunks_in_order_and_know_their_digests(tmp_path: Path) -> None:
    pool: Pool[bytearray] = Pool([])
    sealer = sealer_in(tmp_path, pool)
    with Crew() as crew:
        volumes = [each.complete() for each in sealer.seal(pressed(CHUNKS, crew, crew.ledger()))]
    contents = [Path(volume.sealed.path).read_bytes() for volume in volumes]
    assert [gzip.decompress(content) for content in contents] == [b"one" * 500 + b"two" * 500, b"three" * 500, b"four"]
    assert [(volume.number, volume.first.path, volume.last.path) for volume in volumes] == [
        *((1, b"a", b"b"), (2, b"c", b"c"), (3, b"d", b"d"))
    ]
    for volume, content in zip(volumes, contents, strict=True):
        assert volume.sealed.size == len(content)
        assert dict(volume.record().hashes) == {
            "SHA1": hashlib.sha1(content).hexdigest(),
            "SHA256": hashlib.sha256(content).hexdigest(),
        }
    for _ in CHUNKS:
        pool.take()


@pytest.mark.parametrize("taken", [0, 1, 2, 3])
def test_what_nobody_takes_is_removed(tmp_path: Path, taken: int) -> None:
    sealer = sealer_in(tmp_path)
    with Crew() as crew:
        crew.afterwards(sealer.close)
        volumes = crew.ahead(sealer.seal(pressed(CHUNKS, crew, crew.ledger())), depth=1, name="seal")
        for _ in range(taken):
            volume = next(volumes).complete()
            os.unlink(volume.sealed.path)
            sealer.stored(volume)
    assert os.listdir(tmp_path) == []


def test_sizes_are_told_before_anybody_reads_the_results() -> None:
    with Crew() as crew:
        ledger = crew.ledger()
        results = pressed(CHUNKS[:3], crew, ledger)
        sizes = [ledger.wait(0), 0, ledger.wait(2)]  # of a chunk without bytes nobody asks
        assert [len(each.piece.data) for each in results] == sizes


@pytest.mark.parametrize(("volume_mib", "ready_mib"), [(200, 168), (100, 68), (64, 32), (25, 12.5), (1, 0.5)])
def test_the_next_volume_is_made_ready_late_but_never_before_the_half(volume_mib: int, ready_mib: float) -> None:
    """Each one that is made ready in vain costs a derived key."""
    assert next_wanted_at(volume_mib << 20) == ready_mib * (1 << 20)


class WatchedEnvelope(GzipEnvelope):
    """Notes for how many volumes it was made ready."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared: list[int] = []

    def prepare(self, count: int, directory: str) -> None:
        self.prepared.append(count)


def test_a_volume_that_stays_small_makes_no_other_ready(tmp_path: Path) -> None:
    envelope = WatchedEnvelope()
    sizes = (100, 600, 800)
    chunks = [chunk_of(number, number + 1, os.urandom(size), path=b"p", last=True) for number, size in enumerate(sizes)]
    sealer = sealer_in(tmp_path, envelope=envelope)
    with Crew() as crew:
        assert len(list(sealer.seal(press(chunks, envelope, crew.ledger(), workers=1, crew=crew)))) == 3
    assert envelope.prepared == [1, 1]

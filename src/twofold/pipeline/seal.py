"""Compresses chunks, seals them into volumes and hands these to the store, each step in threads of its own."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from twofold import system
from twofold.concurrency import Crew, Ledger, Pool, Task, spawn
from twofold.envelope.protocol import Envelope, Piece, Sealed, Sealer
from twofold.format.manifest import BlockPosition, VolumeRecord
from twofold.pipeline.members import Chunk, LargeData

_FINISHING: Final = 2
# Takes longer to fill than a gpg takes to derive its key.
_AHEAD: Final = 32 << 20
_NOTHING: Final = Piece(b"", 0, 0)


class Volume(NamedTuple):
    """A finished volume in a local file, and what the manifest will say of it."""

    number: int
    sealed: Sealed
    first: BlockPosition
    last: BlockPosition
    read_bytes: int

    def record(self) -> VolumeRecord:
        hashes = (("SHA1", self.sealed.sha1), ("SHA256", self.sealed.sha256))
        return VolumeRecord(self.number, self.first, self.last, hashes, self.sealed.size)


class Pressed(NamedTuple):
    """A chunk and what compression made of it."""

    chunk: Chunk
    piece: Piece


def press(
    chunks: Iterable[Chunk], envelope: Envelope, ledger: Ledger, *, workers: int, crew: Crew
) -> Iterator[Pressed]:
    """Compresses chunks by several threads; the sizes go to the ledger as soon as they are known."""

    def compress(chunk: Chunk) -> Pressed:
        if not chunk.used:
            return Pressed(chunk, _NOTHING)  # it only carried what the state file will have
        view = memoryview(chunk.buffer)[: chunk.used]
        piece = envelope.compress(view, _bodies(chunk))
        view.release()
        ledger.report(chunk.number, len(piece.data))
        return Pressed(chunk, piece)

    return crew.ordered_map(compress, chunks, workers=workers, name="compress")


class VolumeSealer:
    """Seals pieces into volumes. Used by one thread; finishing a volume goes on beside the next one."""

    def __init__(
        self,
        envelope: Envelope,
        directory: Callable[[], str],
        pool: Pool[bytearray],
        *,
        volume_size: int,
        explain: Callable[[OSError, int], Exception],
    ) -> None:
        """`directory` says where volumes are built; `volume_size` when it is time to make the next one ready.

        `explain` turns what the disk says of the file of a volume, by number, into an error for people.
        """
        self._envelope = envelope
        self._directory = directory
        self._pool = pool
        self._explain = explain
        self._ready_at = next_wanted_at(volume_size)
        self._written = 0
        self.made_bytes = 0
        self._sealer: Sealer | None = None
        self._open: list[Sealer] = []
        self._made: set[str] = set()

    def stored(self, volume: Volume) -> None:
        """The volume is at the target, its local file gone."""
        self._made.discard(volume.sealed.path)

    def close(self) -> None:
        """Removes the files of volumes that were finished, but never stored; after the thread of `seal` has ended."""
        while self._made:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._made.pop())

    def seal(self, pressed: Iterable[Pressed]) -> Iterator[Volume]:
        """Finished volumes in order; `close` removes the files of those that nobody stores."""
        finishing: deque[tuple[Task[Sealed], int, Callable[[Sealed], Volume]]] = deque()
        first: BlockPosition | None = None
        last: BlockPosition | None = None
        try:
            for chunk, piece in pressed:
                if not chunk.used:
                    self._pool.give(chunk.buffer)
                    continue
                try:
                    sealer = self._sealer or self._begin()
                    self._write(sealer, chunk, piece)
                except OSError as error:
                    raise self._explain(error, chunk.volume) from error
                first = first or chunk.first
                last = chunk.last or last
                if chunk.ends_volume:
                    begin, end = first or BlockPosition(b""), last or BlockPosition(b"")
                    number, read_bytes = chunk.volume, chunk.read_bytes
                    task = spawn(sealer.finish, name=f"finish volume {number}")
                    finishing.append((task, number, _completion(number, begin, end, read_bytes)))
                    self._sealer = first = last = None
                    while len(finishing) >= _FINISHING:
                        yield self._finished(finishing)
            while finishing:
                yield self._finished(finishing)
        finally:
            for sealer in self._open:
                sealer.abort()
            for task, *_ in finishing:
                task.wait()

    def _finished(self, finishing: deque[tuple[Task[Sealed], int, Callable[[Sealed], Volume]]]) -> Volume:
        task, number, complete = finishing.popleft()
        try:
            volume = complete(task.join())
        except OSError as error:
            raise self._explain(error, number) from error
        self._open.pop(0)
        return volume

    def _begin(self) -> Sealer:
        path = system.scratch_name(self._directory())
        self._made.add(path)
        self._sealer = self._envelope.create(path)
        self._open.append(self._sealer)
        self._written = 0
        return self._sealer

    def _write(self, sealer: Sealer, chunk: Chunk, piece: Piece) -> None:
        view = memoryview(chunk.buffer)[: chunk.used]
        sealer.feed_raw(view)
        view.release()
        sealer.write(piece)
        before = self._written
        self._written += len(piece.data)
        self.made_bytes += len(piece.data)
        if before < self._ready_at <= self._written:
            self._envelope.prepare(1, self._directory())
        self._pool.give(chunk.buffer)


def next_wanted_at(volume_size: int) -> int:
    """How full a volume is when the next one is made ready: as late as will do, for it may turn out to be the last."""
    return max(volume_size // 2, volume_size - _AHEAD)


def _bodies(chunk: Chunk) -> list[list[tuple[int, int]]]:
    """Where the contents of large files lie in the chunk."""
    large = [member for member in chunk.members if type(member) is LargeData]
    return [list(zip(member.offsets, member.lengths, strict=True)) for member in large]


def _completion(number: int, first: BlockPosition, last: BlockPosition, read_bytes: int) -> Callable[[Sealed], Volume]:
    return lambda sealed: Volume(number, sealed, first, last, read_bytes)

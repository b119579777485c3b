"""Compresses chunks, seals them into volumes and hands these to the store, each step in threads of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from twofold import system
from twofold.concurrency import Crew, Ledger, Pool, Task, spawn
from twofold.envelope.protocol import Envelope, Piece, Sealed, Sealer
from twofold.format.manifest import BlockPosition, VolumeRecord
from twofold.pipeline.checkpoint import Mark
from twofold.pipeline.members import Chunk, LargeData

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
    mark: Mark | None

    def record(self) -> VolumeRecord:
        hashes = (("SHA1", self.sealed.sha1), ("SHA256", self.sealed.sha256))
        return VolumeRecord(self.number, self.first, self.last, hashes, self.sealed.size)


class Finishing(NamedTuple):
    """A volume whose last bytes are being written; may be waited for in any thread."""

    number: int
    complete: Callable[[], Volume]
    """Waits for the file. Raises what `explain` of the sealer makes of an OSError, and EnvelopeError."""


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
    """Seals pieces into volumes. `seal` runs in one thread; finishing a volume goes on beside the next one."""

    def __init__(
        self,
        envelope: Envelope,
        directory: Callable[[], str],
        pool: Pool[bytearray],
        *,
        slots: Pool[int],
        volume_size: int,
        explain: Callable[[OSError, int], Exception],
    ) -> None:
        """`directory` says where volumes are built; `volume_size` when it is time to make the next one ready.

        A volume takes one of `slots` when it is begun, until it is stored: that bounds the files in the directory.
        `explain` turns what the disk says of the file of a volume, by number, into an error for people.
        """
        self._envelope = envelope
        self._directory = directory
        self._pool = pool
        self._slots = slots
        self._explain = explain
        self._ready_at = next_wanted_at(volume_size)
        self._written = 0
        self.made_bytes = 0
        self._sealer: Sealer | None = None
        self._finishing: dict[int, tuple[Sealer, Task[Sealed]]] = {}
        self._made: set[str] = set()

    def stored(self, volume: Volume) -> None:
        """The volume is at the target, its local file gone."""
        self._made.discard(volume.sealed.path)
        del self._finishing[volume.number]
        self._slots.give(volume.number)

    def close(self) -> None:
        """Removes the files of volumes that were begun, but never stored; after the thread of `seal` has ended."""
        for sealer, task in self._finishing.values():
            sealer.abort()
            task.wait()
        while self._made:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._made.pop())

    def seal(self, pressed: Iterable[Pressed]) -> Iterator[Finishing]:
        """Volumes in order, each as soon as all of it has been written; `close` sees to those that nobody stores."""
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
                    self._sealer = first = last = None
                    yield self._finish(sealer, chunk, begin, end)
        finally:
            if self._sealer is not None:
                self._sealer.abort()

    def _finish(self, sealer: Sealer, chunk: Chunk, first: BlockPosition, last: BlockPosition) -> Finishing:
        number, read_bytes, mark = chunk.volume, chunk.read_bytes, chunk.mark
        task = spawn(sealer.finish, name=f"finish volume {number}")
        self._finishing[number] = (sealer, task)

        def complete() -> Volume:
            try:
                return Volume(number, task.join(), first, last, read_bytes, mark)
            except OSError as error:
                raise self._explain(error, number) from error

        return Finishing(number, complete)

    def _begin(self) -> Sealer:
        self._slots.take()
        path = system.scratch_name(self._directory())
        self._made.add(path)
        self._sealer = self._envelope.create(path)
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

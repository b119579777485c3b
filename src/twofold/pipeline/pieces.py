"""The content of a changed file in pieces. A large one is read ahead, and two threads hash its blocks.

So reading, hashing and comparing with the old signature go on side by side, in a few MiB of memory.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Final, NamedTuple

from twofold import rsync
from twofold.concurrency import Crew
from twofold.pipeline.blocks import SIGNATURE_KIND

_READ: Final = 1 << 20
# Threads cost some 0.3 ms, hashing this much 5 ms.
WORTH_THREADS: Final = 8 << 20
_HASHERS: Final = 2
_BUFFERS: Final = 2 * _HASHERS + 2


class ContentPiece(NamedTuple):
    """The next bytes, good until the piece after it is asked for; `sums` are for `rsync.DeltaMaker.feed`."""

    data: memoryview
    sums: bytes | None


class _Filled(NamedTuple):
    buffer: memoryview
    size: int
    problem: str | None


class ContentReader:
    """Reads from a descriptor that stays the caller's, once, from where it stands."""

    def __init__(self, descriptor: int, *, position: int, expected: int) -> None:
        """`position`: what has been read already. `expected`: the size when it was opened, beyond which little is read.

        A file that is always added to must end.
        """
        self._descriptor = descriptor
        self._position = position
        self._expected = expected
        self.problem: str | None = None

    def pieces(self, block_len: int) -> Generator[ContentPiece, None, None]:
        """All that is left; a read error ends it with `problem` set. `close` ends the threads, if there are any."""
        if self._expected - self._position < WORTH_THREADS or block_len > _READ:
            return self._plain()
        return self._hashed(block_len)

    def _plain(self) -> Generator[ContentPiece, None, None]:
        buffer = memoryview(bytearray(_READ))
        while not 0 < self._expected <= self._position:
            size = self._take(self._fill(buffer, self._position))
            if not size:
                return
            yield ContentPiece(buffer[:size], None)

    def _hashed(self, block_len: int) -> Generator[ContentPiece, None, None]:
        before = memoryview(bytearray(-self._position % block_len))
        if before:
            size = self._take(self._fill(before, self._position))
            yield ContentPiece(before[:size], None)
            if size < len(before):
                return
        length = _READ // block_len * block_len
        with Crew() as crew:
            pool = crew.pool(memoryview(bytearray(length)) for _ in range(_BUFFERS))

            def hashed(place: tuple[int, memoryview]) -> tuple[_Filled, bytes]:
                offset, buffer = place
                filled = self._fill(buffer, offset)
                return filled, rsync.block_sums(buffer[: filled.size], SIGNATURE_KIND, block_len)

            places = ((offset, pool.take()) for offset in range(self._position, self._expected, length))
            for filled, sums in crew.ordered_map(hashed, places, workers=_HASHERS, name="hash"):
                size = self._take(filled)
                if size:
                    yield ContentPiece(filled.buffer[:size], sums)
                if size < length:
                    return  # the content ends here, whatever has been found behind
                pool.give(filled.buffer)

    def _fill(self, buffer: memoryview, offset: int) -> _Filled:
        """Reads until the buffer is full or the content ends. Any thread may call this."""
        size = 0
        try:
            while size < len(buffer) and (count := os.preadv(self._descriptor, [buffer[size:]], offset + size)):
                size += count
        except OSError as error:
            return _Filled(buffer, size, error.strerror or str(error))
        return _Filled(buffer, size, None)

    def _take(self, filled: _Filled) -> int:
        self._position += filled.size
        self.problem = self.problem or filled.problem
        return filled.size

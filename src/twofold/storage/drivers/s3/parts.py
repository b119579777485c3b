"""Files as requests carry them: whole, or in parts."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import NamedTuple

from twofold.storage.local_files import CHUNK
from twofold.storage.store import ByteCounter, ignore_bytes

SMALLEST_PART = 5 << 20
_MOST_PARTS = 10_000


class Piece:
    """A part of a file as the body of a request: read from the disk as it is sent, again if it is sent again."""

    def __init__(self, descriptor: int, start: int, size: int, *, sent: ByteCounter = ignore_bytes) -> None:
        self._descriptor = descriptor
        self._start = start
        self._size = size
        self._at = 0
        self._told = 0
        self._sent = sent

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        left = self._size - self._at
        data = os.pread(self._descriptor, left if size < 0 else min(size, left), self._start + self._at)
        self._at += len(data)
        if self._at > self._told:
            self._sent(self._at - self._told)
            self._told = self._at
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def md5(self) -> str:
        """In the form of the header."""
        digest = hashlib.md5(usedforsecurity=False)
        at = 0
        while data := os.pread(self._descriptor, min(CHUNK, self._size - at), self._start + at):
            digest.update(data)
            at += len(data)
        return base64.b64encode(digest.digest()).decode()


class Part(NamedTuple):
    """A stretch of a file with its number, from 1."""

    number: int
    start: int
    size: int


def parts_of(size: int, *, wanted: int) -> list[Part]:
    """A file of `size` bytes in parts of about `wanted`, of which a service takes 10,000."""
    each = max(wanted, SMALLEST_PART, -(-size // _MOST_PARTS))
    return [Part(number, start, min(each, size - start)) for number, start in enumerate(range(0, size, each), 1)]

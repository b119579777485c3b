"""Files as requests carry them: whole, or in parts."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import NamedTuple

from twofold.errors import StorageError
from twofold.storage.local_files import CHUNK
from twofold.storage.store import ByteCounter, ignore_bytes


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
        """All that is asked for. Raises plain StorageError if the file has become shorter meanwhile."""
        left = max(0, self._size - self._at)
        wanted = left if size < 0 else min(size, left)
        data = self._stretch(wanted)
        if len(data) < wanted:  # the system gives 2 GiB at once at most
            pieces = [data]
            while wanted > (found := sum(map(len, pieces))):
                pieces.append(self._stretch(wanted - found, found))
            data = b"".join(pieces)
        self._at += len(data)
        if self._at > self._told:
            self._sent(self._at - self._told)
            self._told = self._at
        return data

    def _stretch(self, size: int, behind: int = 0) -> bytes:
        data = os.pread(self._descriptor, size, self._start + self._at + behind)
        if size and not data:
            raise StorageError("A file has become shorter while it was sent; try again")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def md5(self) -> str:
        """In the form of the header."""
        return base64.b64encode(self.digest("md5")).decode()

    def digest(self, algorithm: str) -> bytes:
        """The hash of this name, as hashlib knows it."""
        digest = hashlib.new(algorithm, usedforsecurity=False)
        at = 0
        while data := os.pread(self._descriptor, min(CHUNK, self._size - at), self._start + at):
            digest.update(data)
            at += len(data)
        return digest.digest()


class Part(NamedTuple):
    """A stretch of a file with its number, from 1."""

    number: int
    start: int
    size: int


def parts_of(size: int, *, wanted: int, most: int) -> list[Part]:
    """A file of `size` bytes in parts of `wanted`, or larger ones, so that there are `most` at most."""
    each = max(wanted, -(-size // most))
    return [Part(number, start, min(each, size - start)) for number, start in enumerate(range(0, size, each), 1)]

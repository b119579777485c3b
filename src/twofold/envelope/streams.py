"""Reading in layers: each stream takes bytes from the one below, a block at a time, and never holds much more.

`more` is for layers among themselves: it may return fewer bytes than asked for, but none only at the end. `read` is
for the user of the uppermost layer: it returns fewer only at the end.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Final, Protocol, cast

from isal import igzip_lib

from twofold.errors import CorruptStream

BLOCK: Final = 1 << 18

# isal's type stubs call the class an instance. The other two are bz2's.
_DAMAGED: Final = (cast("type[Exception]", igzip_lib.IsalError), OSError, ValueError)


class Stream(ABC):
    """Bytes in order; some may be put back."""

    __slots__ = ("_returned",)

    def __init__(self) -> None:
        self._returned = b""

    @abstractmethod
    def _produce(self, limit: int) -> bytes:
        """The next 1 to `limit` bytes, or none at the end. Raises CorruptStream."""

    @abstractmethod
    def close(self) -> None:
        """Gives back what is held; may be called twice."""

    def more(self, limit: int) -> bytes:
        """The next 1 to `limit` bytes, or none at the end. Raises CorruptStream."""
        returned = self._returned
        if not returned:
            return self._produce(limit)
        self._returned = returned[limit:]
        return returned[:limit]

    def unread(self, data: bytes) -> None:
        """Puts back bytes that were taken last."""
        self._returned = data + self._returned

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer only at the end. Raises CorruptStream."""
        first = self.more(size) if size > 0 else b""
        if len(first) == size or not first:
            return first
        parts = [first]
        missing = size - len(first)
        while missing and (part := self.more(missing)):
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def exactly(self, size: int) -> bytes:
        """The next `size` bytes. Raises CorruptStream when there are fewer."""
        data = self.read(size)
        if len(data) < size:
            raise CorruptStream("The data end too early: the file is cut short")
        return data


class FileStream(Stream):
    """The rest of an open file, which it closes in the end."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def _produce(self, limit: int) -> bytes:
        return os.read(self._descriptor, limit)

    def close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


class Decompressor(Protocol):
    """What isal's and bz2's decompressors have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Inflated(Stream):
    """What a decompressor makes of the stream below; what follows the compressed data stays below to be read."""

    __slots__ = ("_decompressor", "_ended", "_source")

    def __init__(self, source: Stream, decompressor: Decompressor) -> None:
        super().__init__()
        self._source = source
        self._decompressor = decompressor
        self._ended = False

    def _produce(self, limit: int) -> bytes:
        decompressor = self._decompressor
        while not decompressor.eof:
            data = b""
            if decompressor.needs_input:
                data = self._source.more(BLOCK)
                if not data:
                    raise CorruptStream("The compressed data end too early: the file is cut short")
            if result := _decompress(decompressor, data, limit):
                return result
        if not self._ended:
            self._ended = True
            self._source.unread(decompressor.unused_data)
        return b""

    def close(self) -> None:
        self._source.close()


def _decompress(decompressor: Decompressor, data: bytes, limit: int) -> bytes:
    try:
        return decompressor.decompress(data, limit)
    except _DAMAGED as error:
        raise CorruptStream(f"The compressed data are damaged: {error}") from error

"""gzip files (RFC 1952, docs/format.md section 7.1): written as one member, read as any tool may have written them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from isal import igzip_lib, isal_zlib

from twofold.envelope import deflate
from twofold.envelope.protocol import Buffer, Inside, Opened, Piece, Sealed, Sealer, Slices
from twofold.envelope.stored_file import StoredFile
from twofold.envelope.streams import BLOCK, FileStream, Inflated, Stream
from twofold.errors import CorruptStream
from twofold.model.backup import Wrapping

_MAGIC: Final = b"\x1f\x8b"
_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""Deflate, no name, no time, unknown system: the same content gives the same file."""
_TRAILER_SIZE: Final = 8


class GzipEnvelope:
    """Makes gzip files at isal's `level`, 0 to 3, in pieces; reads any."""

    wrapping = Wrapping.GZIP
    opens_inside = False

    def __init__(self, level: int = deflate.DEFAULT_LEVEL) -> None:
        self._level = level

    def compress(self, data: Buffer, bodies: Sequence[Slices] = ()) -> Piece:
        return Piece(deflate.deflated(data, self._level, bodies), len(data), isal_zlib.crc32(data))

    def worst_case(self, raw_size: int) -> int:
        return deflate.stored_size(raw_size)

    def overhead(self, deflated_size: int) -> int:
        return len(_HEADER) + len(deflate.END_OF_DEFLATE) + _TRAILER_SIZE

    def create(self, path: str) -> Sealer:
        return GzipSealer(StoredFile.create(path))

    def open(self, path: str, inside: Inside | None = None) -> Opened:
        return open_gzip(path)

    def prepare(self, count: int, directory: str) -> None:
        pass

    def close(self) -> None:
        pass


class GzipSealer:
    """Puts pieces into one member."""

    def __init__(self, file: StoredFile) -> None:
        self._file = file
        self._crc = 0
        self._raw_size = 0
        self._begun = False

    def feed_raw(self, data: Buffer) -> None:
        pass

    def write(self, piece: Piece) -> None:
        self._begin()
        self._file.append(piece.data)
        self._crc = isal_zlib.crc32_combine(self._crc, piece.crc, piece.raw_size)
        self._raw_size += piece.raw_size

    def finish(self) -> Sealed:
        self._begin()
        size = self._raw_size & 0xFFFFFFFF
        self._file.append(deflate.END_OF_DEFLATE + self._crc.to_bytes(4, "little") + size.to_bytes(4, "little"))
        return self._file.finish()

    def abort(self) -> None:
        self._file.remove()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._file.append(_HEADER)


def open_gzip(path: str) -> Opened:
    """Opens any gzip file; checksums are compared while reading. Raises OSError."""
    return GzipStream(FileStream(os.open(path, os.O_RDONLY | os.O_CLOEXEC)))


class GzipStream(Stream):
    """The content of all members. What follows the last one and is no member is ignored, as gzip does."""

    __slots__ = ("_first", "_member", "_source")

    def __init__(self, source: Stream) -> None:
        super().__init__()
        self._source = source
        self._member: Inflated | None = None
        self._first = True

    def _produce(self, limit: int) -> bytes:
        while self._member is not None or self._next_member():
            if self._member is not None:
                if data := self._member.more(limit):
                    return data
                self._member = None
        return b""

    def _next_member(self) -> bool:
        # NB: isal 1.7 finds a wrong header checksum when a header comes to it in two parts, so it gets a whole block.
        block = self._source.read(BLOCK)
        self._source.unread(block)
        if not block.startswith(_MAGIC):
            if self._first:
                raise CorruptStream("This is not a gzip file, or it is cut short")
            return False
        self._first = False
        self._member = Inflated(self._source, igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP))
        return True

    def close(self) -> None:
        self._source.close()

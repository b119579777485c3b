"""Deflate in pieces that can be put one behind the other (RFC 1951), with python-isal.

Every piece ends on a byte boundary, is never the last block and looks back at nothing before it, so that pieces may be
made in any order by any thread. What does not shrink becomes stored blocks, at the speed of memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from isal import isal_zlib

from twofold.envelope.protocol import Buffer, Slices

FASTEST_LEVEL: Final = 0
DEFAULT_LEVEL: Final = 2
SMALLEST_LEVEL: Final = 3

END_OF_DEFLATE: Final = b"\x03\x00"
"""An empty block marked as the last one, with the fixed codes."""

STORED_LIMIT: Final = 65535
STORED_HEADER: Final = 5
_FULL_BLOCK: Final = b"\x00\xff\xff\x00\x00"

# 1 KiB in 20 tells whether data shrink. NB: no power of two, for the headers of parts stand at nearly such distances.
_SAMPLE_STEP: Final = 20_000
_SAMPLE_SIZE: Final = 1024
_SMALLEST_SAMPLE: Final = 4096
_WORTH_IT: Final = 0.97


def stored(data: Buffer) -> bytes:
    """The bytes as stored blocks (RFC 1951 section 3.2.4), none of them the last."""
    parts: list[bytes | memoryview] = []
    _store(memoryview(data), parts)
    return b"".join(parts)


def _store(view: memoryview, parts: list[bytes | memoryview]) -> None:
    full = len(view) // STORED_LIMIT * STORED_LIMIT
    for start in range(0, full, STORED_LIMIT):
        parts += (_FULL_BLOCK, view[start : start + STORED_LIMIT])
    rest = len(view) - full
    if rest:
        parts += (b"\x00", rest.to_bytes(2, "little"), (rest ^ 0xFFFF).to_bytes(2, "little"), view[full:])


def stored_size(raw_size: int) -> int:
    """The length of `stored` for so many bytes."""
    return raw_size + STORED_HEADER * -(-raw_size // STORED_LIMIT)


def deflated(data: Buffer, level: int, bodies: Sequence[Slices] = ()) -> bytes:
    """The bytes as one piece at isal's `level` (0 to 3); never longer than `stored_size`.

    `bodies` are large contents in the data, in order, of each of which it is decided whether it is worth the time; what
    lies between them is always compressed.
    """
    view = memoryview(data)
    keep = [body for slices in bodies if not _shrinks(view, slices) for body in slices]
    if not view or not (bodies or _shrinks(view, ((0, len(view)),))):
        return stored(view)
    compressor = isal_zlib.compressobj(level, isal_zlib.DEFLATED, -15)
    parts: list[bytes | memoryview] = []
    position = 0
    for offset, length in keep:
        if offset > position:
            parts += (compressor.compress(view[position:offset]), compressor.flush(isal_zlib.Z_FULL_FLUSH))
        position = offset + length
        _store(view[offset:position], parts)
    if position < len(view):
        parts += (compressor.compress(view[position:]), compressor.flush(isal_zlib.Z_FULL_FLUSH))
    result = b"".join(parts)
    return result if len(result) <= stored_size(len(view)) else stored(view)


def _shrinks(view: memoryview, slices: Slices) -> bool:
    """Whether samples from all over some data shrink by some 3 %: jpeg, video, archives and ciphertext do not."""
    size = sum(length for _, length in slices)
    if size <= _SMALLEST_SAMPLE:
        return True
    step = min(_SAMPLE_STEP, size * _SAMPLE_SIZE // _SMALLEST_SAMPLE)
    starts = [start for offset, length in slices for start in range(offset + step // 2, offset + length, step)]
    sample = b"".join([view[start : start + _SAMPLE_SIZE] for start in starts])
    return len(isal_zlib.compress(sample, DEFAULT_LEVEL, -15)) < len(sample) * _WORTH_IT

"""Deflate in pieces that can be put one behind the other (RFC 1951), with python-isal.

Every piece ends on a byte boundary, is never the last block and looks back at nothing before it, so that pieces may be
made in any order by any thread. What does not shrink becomes stored blocks, at the speed of memory.
"""

from __future__ import annotations

from typing import Final

from isal import isal_zlib

from twofold.envelope.protocol import Buffer

FASTEST_LEVEL: Final = 0
DEFAULT_LEVEL: Final = 1
SMALLEST_LEVEL: Final = 3

END_OF_DEFLATE: Final = b"\x03\x00"
"""An empty block marked as the last one, with the fixed codes."""

STORED_LIMIT: Final = 65535
STORED_HEADER: Final = 5
_FULL_BLOCK: Final = b"\x00\xff\xff\x00\x00"

_SAMPLE_STEP: Final = 65536
_SAMPLE_SIZE: Final = 4096
_WORTH_IT: Final = 0.97


def stored(data: Buffer) -> bytes:
    """The bytes as stored blocks (RFC 1951 section 3.2.4), none of them the last."""
    view = memoryview(data)
    full = len(view) // STORED_LIMIT * STORED_LIMIT
    parts: list[bytes | memoryview] = []
    for start in range(0, full, STORED_LIMIT):
        parts += (_FULL_BLOCK, view[start : start + STORED_LIMIT])
    rest = len(view) - full
    if rest:
        parts += (b"\x00", rest.to_bytes(2, "little"), (rest ^ 0xFFFF).to_bytes(2, "little"), view[full:])
    return b"".join(parts)


def stored_size(raw_size: int) -> int:
    """The length of `stored` for so many bytes."""
    return raw_size + STORED_HEADER * -(-raw_size // STORED_LIMIT)


def deflated(data: Buffer, level: int) -> bytes:
    """The bytes as one piece at isal's `level` (0 to 3); never longer than `stored_size`."""
    if not data or not _shrinks(memoryview(data)):
        return stored(data)
    compressor = isal_zlib.compressobj(level, isal_zlib.DEFLATED, -15)
    result = compressor.compress(data) + compressor.flush(isal_zlib.Z_FULL_FLUSH)
    return result if len(result) <= stored_size(len(data)) else stored(data)


def _shrinks(view: memoryview) -> bool:
    """Whether samples from all over the data shrink by some 3 %: jpeg, video, archives and ciphertext do not."""
    if len(view) <= _SAMPLE_SIZE:
        return True
    sample = b"".join(view[start : start + _SAMPLE_SIZE] for start in range(0, len(view), _SAMPLE_STEP))
    return len(isal_zlib.compress(sample, DEFAULT_LEVEL, -15)) < len(sample) * _WORTH_IT

"""Limits that both kernels keep, and how damaged signatures are recognised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from twofold.rsync.kernel import Data, SignatureKind

LONGEST_BLOCK: Final = 1 << 31

LONGEST_STRONG: Final = {
    SignatureKind.MD4_ROLLSUM: 16,
    SignatureKind.BLAKE2_ROLLSUM: 32,
    SignatureKind.MD4_RABIN_KARP: 16,
    SignatureKind.BLAKE2_RABIN_KARP: 32,
}


def check_block_len(block_len: int) -> None:
    """Raises ValueError unless blocks can have this length."""
    if not 0 < block_len <= LONGEST_BLOCK:
        raise ValueError(f"Blocks of {block_len} bytes are not possible")


def check_format(kind: int, block_len: int, strong_len: int) -> SignatureKind:
    """Raises ValueError unless a signature can have these properties."""
    if kind not in LONGEST_STRONG:
        raise ValueError(f"Unknown signature kind {kind:#010x}")
    known = SignatureKind(kind)
    check_block_len(block_len)
    if not 0 < strong_len <= LONGEST_STRONG[known]:
        raise ValueError(f"Strong sums of {strong_len} bytes are not possible")
    return known


def slices(buffer: Data, offsets: Sequence[int], lengths: Sequence[int]) -> Iterator[memoryview]:
    """The parts of a buffer; ValueError, before the first, if one does not lie in it."""
    view = memoryview(buffer)
    if len(offsets) != len(lengths):
        raise ValueError("Offsets and lengths differ in number")
    for offset, length in zip(offsets, lengths, strict=True):
        if offset < 0 or length < 0 or offset + length > len(view):
            raise ValueError(f"{length} bytes at {offset} are not in the buffer")
    return (view[offset : offset + length] for offset, length in zip(offsets, lengths, strict=True))

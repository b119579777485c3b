"""The four sums of a block: rollsum, RabinKarp, MD4 and BLAKE2b. Formulas: docs/format.md, "Checksums"; MD4: RFC 1320.

MD4 is written out here because hashlib has it only where OpenSSL's old algorithms are switched on.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from itertools import accumulate
from typing import Final

from twofold.rsync.kernel import Data, SignatureKind

MULTIPLIER: Final = 0x08104225
CHAR_OFFSET: Final = 31
_MASK: Final = 0xFFFFFFFF

_INITIAL: Final = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
_ORDERS: Final = (
    tuple(range(16)),
    (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
    (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15),
)
_SHIFTS: Final = ((3, 7, 11, 19), (3, 5, 9, 13), (3, 9, 11, 15))
_CONSTANTS: Final = (0, 0x5A827999, 0x6ED9EBA1)


def _select(x: int, y: int, z: int) -> int:
    return (x & y) | (~x & z)


def _majority(x: int, y: int, z: int) -> int:
    return (x & y) | (x & z) | (y & z)


def _parity(x: int, y: int, z: int) -> int:
    return x ^ y ^ z


_MIXERS: Final = (_select, _majority, _parity)


class Md4:
    """One message in pieces, with the interface of hashlib."""

    __slots__ = ("_rest", "_size", "_state")

    def __init__(self) -> None:
        self._state = _INITIAL
        self._rest = b""
        self._size = 0

    def update(self, data: Data) -> None:
        self._size += len(data)
        content = self._rest + bytes(data)
        whole = len(content) // 64 * 64
        for start in range(0, whole, 64):
            self._compress(content[start : start + 64])
        self._rest = content[whole:]

    def digest(self) -> bytes:
        """Ends the message; nothing may follow."""
        size = self._size
        self.update(b"\x80" + bytes((55 - size) % 64) + struct.pack("<Q", size * 8 % (1 << 64)))
        return struct.pack("<4I", *self._state)

    def _compress(self, chunk: bytes) -> None:
        words = struct.unpack("<16I", chunk)
        a, b, c, d = self._state
        for mix, order, shifts, constant in zip(_MIXERS, _ORDERS, _SHIFTS, _CONSTANTS, strict=True):
            for step, place in enumerate(order):
                total = (a + mix(b, c, d) + words[place] + constant) & _MASK
                shift = shifts[step % 4]
                a, b, c, d = d, ((total << shift) | (total >> (32 - shift))) & _MASK, b, c
        new = zip(self._state, (a, b, c, d), strict=True)
        a, b, c, d = ((before + after) & _MASK for before, after in new)
        self._state = (a, b, c, d)


def md4(data: Data) -> bytes:
    """16 bytes."""
    message = Md4()
    message.update(data)
    return message.digest()


def blake2b(data: Data) -> bytes:
    """32 bytes."""
    return hashlib.blake2b(data, digest_size=32).digest()


def rollsum(data: Data, before: int = 0) -> int:
    """The rollsum of a block; `before` is that of the bytes in front of `data`."""
    size, low, high = len(data), before & 0xFFFF, before >> 16
    high += size * low + sum(accumulate(memoryview(data))) + CHAR_OFFSET * (size * (size + 1) // 2)
    low += sum(memoryview(data)) + CHAR_OFFSET * size
    return (high & 0xFFFF) << 16 | (low & 0xFFFF)


def rabin_karp(data: Data, before: int = 1) -> int:
    """The RabinKarp sum of a block; `before` is that of the bytes in front of `data`."""
    total = before
    for byte in memoryview(data):
        total = (total * MULTIPLIER + byte) & _MASK
    return total


class Block:
    """Weak and strong sum of one block in pieces, and its BLAKE2b for the content hash."""

    __slots__ = ("_hash", "_is_rollsum", "_strong", "size", "weak")

    def __init__(self, kind: SignatureKind) -> None:
        self.size = 0
        self._is_rollsum = uses_rollsum(kind)
        self.weak = 0 if self._is_rollsum else 1
        self._hash = hashlib.blake2b(digest_size=32)
        self._strong = Md4() if uses_md4(kind) else None

    def update(self, data: Data) -> None:
        self.size += len(data)
        self.weak = (rollsum if self._is_rollsum else rabin_karp)(data, self.weak)
        self._hash.update(data)
        if self._strong is not None:
            self._strong.update(data)

    def digests(self) -> tuple[bytes, bytes]:
        """Ends the block: its strong sum in full length, and its BLAKE2b."""
        blake = self._hash.digest()
        return (blake if self._strong is None else self._strong.digest()), blake


def uses_md4(kind: SignatureKind) -> bool:
    """The strong sum is MD4, else BLAKE2b."""
    return kind in {SignatureKind.MD4_ROLLSUM, SignatureKind.MD4_RABIN_KARP}


def uses_rollsum(kind: SignatureKind) -> bool:
    """The weak sum is the rollsum, else RabinKarp."""
    return kind in {SignatureKind.MD4_ROLLSUM, SignatureKind.BLAKE2_ROLLSUM}


Rolling = Callable[[int, int, int], int]
"""From a sum, the byte that leaves the window and the byte that enters to the next sum."""


def rolling_rollsum(window: int) -> Rolling:
    """Rolls a rollsum over `window` bytes."""

    def roll(total: int, out: int, into: int) -> int:
        low = total + into - out
        high = (total >> 16) + low - window * (out + CHAR_OFFSET)
        return (high & 0xFFFF) << 16 | (low & 0xFFFF)

    return roll


def rolling_rabin_karp(window: int) -> Rolling:
    """Rolls a RabinKarp sum over `window` bytes."""
    weight = pow(MULTIPLIER, window, 1 << 32)

    def roll(total: int, out: int, into: int) -> int:
        return (total * MULTIPLIER + into - weight * (out + MULTIPLIER - 1)) & _MASK

    return roll


def strong_sum(kind: SignatureKind) -> Callable[[Data], bytes]:
    """The strong sum of a kind, in full length."""
    return md4 if uses_md4(kind) else blake2b


def weak_sum(kind: SignatureKind) -> Callable[[Data], int]:
    """The weak sum of a kind."""
    return rollsum if uses_rollsum(kind) else rabin_karp


def rolling_sum(kind: SignatureKind, window: int) -> Rolling:
    """How the weak sum of a kind moves on by one byte."""
    return rolling_rollsum(window) if uses_rollsum(kind) else rolling_rabin_karp(window)

"""How long the blocks of a new signature are (docs/design.md, "Block length")."""

from __future__ import annotations

from math import isqrt
from typing import Final

from twofold.rsync import SignatureKind

SMALLEST: Final = 4096
_LARGEST_SIGNATURE: Final = 64 << 20
_BYTES_A_BLOCK: Final = 20
STRONG_LENGTH: Final = 16
SIGNATURE_KIND: Final = SignatureKind.BLAKE2_RABIN_KARP


def block_length(size: int, *, limit: int = 0) -> int:
    """Bytes a block for a file of `size` bytes; `limit`, rounded up to 512, is the user's upper bound, 0 for none.

    4 KiB, the page of file systems and databases, up to 4 GiB: signatures are then under 0.5 % of the data. Beyond,
    blocks grow with the square root of the size, and no signature has more than 64 MiB.
    """
    length = max(SMALLEST, _up_to_512(isqrt(max(size, 1)) // 16))
    length = max(length, _up_to_512(size * _BYTES_A_BLOCK // _LARGEST_SIGNATURE))
    return min(length, _up_to_512(limit)) if limit > 0 else length


def _up_to_512(number: int) -> int:
    return max(512, -(-number // 512) * 512)

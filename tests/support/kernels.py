"""Both rsync kernels, the compiled one once for each instruction set, as test parameters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.tools import unavailable
from twofold.rsync import SignatureKind, specification
from twofold.rsync.kernel import Kernel

SIMD_LEVELS = ("portable", "avx2", "avx512")
VARIANTS = ("python", *(f"native-{level}" for level in SIMD_LEVELS))
ALL_KINDS = tuple(SignatureKind)


@contextmanager
def kernel_variant(name: str) -> Iterator[Kernel]:
    """One of VARIANTS, or "native" with the best level.

    Skips the test where there is no compiled kernel, or the processor lacks the instructions."""
    if name == "python":
        yield specification
        return
    try:
        from twofold.rsync import native
    except ImportError as error:
        unavailable(f"no compiled kernel: {error}")
        raise AssertionError from error
    before = native.simd_level()
    try:
        if name != "native":
            native.set_simd_level(name.removeprefix("native-"))
    except ValueError as error:
        pytest.skip(str(error))
    try:
        yield native
    finally:
        native.set_simd_level(before)


def longest_strong(kind: SignatureKind) -> int:
    return 16 if kind in {SignatureKind.MD4_ROLLSUM, SignatureKind.MD4_RABIN_KARP} else 32


def sign(kernel: Kernel, content: bytes, kind: SignatureKind, *, block_len: int = 512, strong_len: int = 8) -> bytes:
    builder = kernel.SignatureBuilder(kind, block_len, strong_len)
    builder.update(content)
    builder.finish()
    return builder.take()

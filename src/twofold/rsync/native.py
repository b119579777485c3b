"""The compiled kernel behind the interface of `kernel`. Importing this raises ImportError where it is not usable.

The kernel itself knows no errors but ValueError and OSError; what is damage is told apart here. Objects that cannot
meet damage are handed out as they are, so that nothing is added to a call.
"""

from __future__ import annotations

from typing import Final

from twofold import _native
from twofold._native import (
    ContentHasher,
    SignatureBuilder,
    block_sums,
    content_hashes,
    set_simd_level,
    sign_many,
    simd_level,
)
from twofold._version import check_kernel
from twofold.errors import CorruptDelta, CorruptSignature
from twofold.rsync.checks import check_format
from twofold.rsync.kernel import Data, DeltaMaker

IMPLEMENTATION: Final = "native"

check_kernel(_native.KERNEL_VERSION)


def DeltaEncoder(  # noqa: N802 (stands for the class)
    old_signature: Data, kind: int, block_len: int, strong_len: int, *, basis_size: int | None = None
) -> DeltaMaker:
    """See `kernel.MakeDelta`."""
    check_format(kind, block_len, strong_len)
    try:
        return _native.DeltaEncoder(old_signature, kind, block_len, strong_len, basis_size=basis_size)
    except ValueError as error:
        raise CorruptSignature(str(error)) from error


class Patcher:
    """See `kernel.PatchRunner`."""

    __slots__ = ("_patcher",)

    def __init__(self, basis_fd: int, basis_size: int, out_fd: int, *, max_size: int) -> None:
        self._patcher = _native.Patcher(basis_fd, basis_size, out_fd, max_size=max_size)

    def feed(self, delta: Data, /) -> None:
        try:
            self._patcher.feed(delta)
        except ValueError as error:
            raise CorruptDelta(str(error)) from error

    def finish(self) -> int:
        try:
            return self._patcher.finish()
        except ValueError as error:
            raise CorruptDelta(str(error)) from error


class Composition:
    """See `kernel.Composer`."""

    __slots__ = ("_composition", "feed", "take")

    def __init__(self, held_fd: int, *, most_commands: int) -> None:
        self._composition = _native.Composition(held_fd, most_commands)
        self.feed = self._composition.feed
        self.take = self._composition.take

    @property
    def fits(self) -> bool:
        return self._composition.fits

    def feed_delta(self, delta: Data, /) -> None:
        try:
            self._composition.feed_delta(delta)
        except ValueError as error:
            raise CorruptDelta(str(error)) from error

    def finish_delta(self, max_size: int, /) -> None:
        try:
            self._composition.finish_delta(max_size)
        except ValueError as error:
            raise CorruptDelta(str(error)) from error

    def finish(self) -> None:
        try:
            self._composition.finish()
        except ValueError as error:
            raise CorruptDelta(str(error)) from error


def patch_bytes(basis: Data, delta: Data, max_size: int, /) -> bytes:
    """See `kernel.PatchBytes`."""
    try:
        return _native.patch_bytes(basis, delta, max_size)
    except ValueError as error:
        raise CorruptDelta(str(error)) from error


__all__ = [
    "IMPLEMENTATION",
    "Composition",
    "ContentHasher",
    "DeltaEncoder",
    "Patcher",
    "SignatureBuilder",
    "block_sums",
    "content_hashes",
    "patch_bytes",
    "set_simd_level",
    "sign_many",
    "simd_level",
]

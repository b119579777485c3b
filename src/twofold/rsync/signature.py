"""Signatures in pure Python: making, and reading old ones. Memory does not grow with the content's size."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Final

from twofold.errors import CorruptSignature
from twofold.model.value import value
from twofold.rsync.checks import check_block_len, check_format, slices
from twofold.rsync.checksums import Block, blake2b, uses_md4
from twofold.rsync.kernel import Data, SignatureKind

_HEADER: Final = struct.Struct(">III")
_CONTENT_END: Final = struct.Struct(">QI")


class SignatureBuilder:
    """See `kernel.SignatureMaker`."""

    __slots__ = ("_block", "_block_len", "_content", "_finished", "_kind", "_made", "_size", "_strong_len")

    def __init__(self, kind: int, block_len: int, strong_len: int, *, with_hash: bool = True) -> None:
        self._kind = check_format(kind, block_len, strong_len)
        self._block_len = block_len
        self._strong_len = strong_len
        self._content = hashlib.blake2b(digest_size=32) if with_hash else None
        self._block = Block(self._kind)
        self._made = bytearray(_HEADER.pack(kind, block_len, strong_len))
        self._size = 0
        self._finished = False

    @property
    def size(self) -> int:
        return self._size

    def update(self, buffer: Data, /) -> None:
        if self._finished:
            raise ValueError("The signature is finished")
        view = memoryview(buffer)
        self._size += len(view)
        while view:
            step = min(len(view), self._block_len - self._block.size)
            self._block.update(view[:step])
            if self._block.size == self._block_len:
                self._end_block()
            view = view[step:]

    def update_summed(self, buffer: Data, sums: Data) -> None:
        """As `update`; `sums` are what `block_sums` has made of the whole blocks."""
        if self._finished:
            raise ValueError("The signature is finished")
        if self._block.size:
            raise ValueError("Sums of blocks can only be taken where a block begins")
        whole = len(buffer) // self._block_len
        step = sums_length(self._kind)
        if len(sums) != whole * step:
            raise ValueError(f"Sums of {whole} blocks are needed")
        content = bytes(sums)
        for start in range(0, len(content), step):
            blake = content[start + step - 32 : start + step]
            strong = content[start + 4 : start + 20] if uses_md4(self._kind) else blake
            self._add(content[start : start + 4], strong, blake)
        self._size += whole * self._block_len
        self.update(memoryview(buffer)[whole * self._block_len :])

    def update_many(self, buffer: Data, offsets: Sequence[int], lengths: Sequence[int], /) -> None:
        for part in slices(buffer, offsets, lengths):
            self.update(part)

    def take(self) -> bytes:
        made = bytes(self._made)
        self._made.clear()
        return made

    def finish(self) -> bytes:
        if self._finished:
            raise ValueError("The signature is finished")
        self._finished = True
        if self._block.size:
            self._end_block()
        if self._content is None:
            return b""
        self._content.update(_CONTENT_END.pack(self._size, self._block_len))
        return self._content.digest()

    def _end_block(self) -> None:
        strong, blake = self._block.digests()
        self._add(self._block.weak.to_bytes(4, "big"), strong, blake)
        self._block = Block(self._kind)

    def _add(self, weak: bytes, strong: bytes, blake: bytes) -> None:
        self._made += weak + strong[: self._strong_len]
        if self._content is not None:
            self._content.update(blake)


class ContentHasher:
    """See `kernel.HashMaker`."""

    __slots__ = ("_builder",)

    def __init__(self, block_len: int, /) -> None:
        self._builder = SignatureBuilder(SignatureKind.BLAKE2_RABIN_KARP, block_len, 1)

    def update(self, buffer: Data, /) -> None:
        self._builder.update(buffer)
        self._builder.take()

    def finish(self) -> bytes:
        return self._builder.finish()


def sign_many(
    buffer: Data,
    offsets: Sequence[int],
    lengths: Sequence[int],
    block_lens: Sequence[int],
    kind: int,
    strong_len: int,
    /,
) -> tuple[bytes, bytes]:
    """See `kernel.SignMany`."""
    check_format(kind, 1, strong_len)
    _check_block_lens(offsets, block_lens)
    signatures, hashes = bytearray(), bytearray()
    for part, block_len in zip(slices(buffer, offsets, lengths), block_lens, strict=True):
        builder = SignatureBuilder(kind, block_len, strong_len)
        builder.update(part)
        hashes += builder.finish()
        signatures += builder.take()
    return bytes(signatures), bytes(hashes)


def content_hashes(buffer: Data, offsets: Sequence[int], lengths: Sequence[int], block_lens: Sequence[int], /) -> bytes:
    """See `kernel.ContentHashes`."""
    _check_block_lens(offsets, block_lens)
    parts = zip(slices(buffer, offsets, lengths), block_lens, strict=True)
    return b"".join(_content_hash(part, block_len) for part, block_len in parts)


def sums_length(kind: SignatureKind) -> int:
    """Bytes of `block_sums` for a block."""
    return 4 + 32 + (16 if uses_md4(kind) else 0)


def block_sums(buffer: Data, kind: int, block_len: int, /) -> bytes:
    """See `kernel.BlockSums`."""
    known = check_format(kind, block_len, 1)
    view = memoryview(buffer)
    sums = bytearray()
    for start in range(0, len(view) // block_len * block_len, block_len):
        block = Block(known)
        block.update(view[start : start + block_len])
        strong, blake = block.digests()
        sums += block.weak.to_bytes(4, "big") + (strong + blake if uses_md4(known) else blake)
    return bytes(sums)


def _content_hash(content: memoryview, block_len: int) -> bytes:
    blocks = (content[start : start + block_len] for start in range(0, len(content), block_len))
    return blake2b(b"".join(map(blake2b, blocks)) + _CONTENT_END.pack(len(content), block_len))


def _check_block_lens(offsets: Sequence[int], block_lens: Sequence[int]) -> None:
    if len(offsets) != len(block_lens):
        raise ValueError("Offsets, lengths and block lengths differ in number")
    for block_len in block_lens:
        check_block_len(block_len)


@value
class OldSignature:
    """A signature read back. `last_len`: length of the last block, if the basis' size is known."""

    kind: SignatureKind
    block_len: int
    strong_len: int
    sums: tuple[tuple[int, bytes], ...]
    last_len: int | None

    @property
    def full_blocks(self) -> int:
        """Blocks that may be found at any place: all but a last one that is known to be short."""
        is_short = self.last_len is not None and self.last_len < self.block_len
        return len(self.sums) - is_short

    @classmethod
    def parse(cls, data: Data, basis_size: int | None) -> OldSignature:
        """Raises CorruptSignature for bytes that are no signature, or not one of a file of `basis_size` bytes."""
        content = bytes(data)
        if len(content) < _HEADER.size:
            raise CorruptSignature(f"Signature of {len(content)} bytes is too short")
        magic, block_len, strong_len = _HEADER.unpack_from(content)
        try:
            kind = check_format(magic, block_len, strong_len)
        except ValueError as error:
            raise CorruptSignature(str(error)) from error
        step = 4 + strong_len
        if (len(content) - _HEADER.size) % step:
            raise CorruptSignature("Signature ends within a block's sums")
        sums = tuple(
            (int.from_bytes(content[place : place + 4], "big"), content[place + 4 : place + step])
            for place in range(_HEADER.size, len(content), step)
        )
        return cls(kind, block_len, strong_len, sums, _last_block_len(basis_size, block_len, len(sums)))


def _last_block_len(basis_size: int | None, block_len: int, blocks: int) -> int | None:
    if basis_size is None or blocks == 0:
        return None
    if -(-basis_size // block_len) != blocks:
        raise CorruptSignature(f"Signature of {blocks} blocks does not fit a file of {basis_size} bytes")
    return basis_size - (blocks - 1) * block_len

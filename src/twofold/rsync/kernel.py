"""What a kernel offers: signatures, deltas and patches over plain bytes. Two exist, compiled and pure Python.

Both give the same bytes for signatures and hashes; their deltas may differ but have the same result. Every buffer is
contiguous, is only read, and must not be written to by another thread during the call. None of the objects may be used
by two threads at once. Wrong arguments (an unknown kind, slices outside their buffer, a call after `finish`) raise
`ValueError`, or `OverflowError` where they are negative or beyond 64 bits; input that is damaged raises
`CorruptSignature` or `CorruptDelta`. Formats: docs/format.md, "rsync formats".

The **content hash** is twofold's own: BLAKE2b with a 32-byte digest over, in this order, the 32-byte BLAKE2b digest of
each block of the content (the last may be short; none if it is empty), the size in bytes as 64 bits and the block
length as 32 bits, both big-endian. It is BLAKE2b whatever the signature's kind, and stands at no cost beside a
signature with BLAKE2b sums of the same blocks. The size stands last because a stream's size is known only then.
"""

# ruff: noqa: N802 (properties that stand for classes and a constant)

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Protocol

Data = bytes | bytearray | memoryview
"""Bytes to read."""


class SignatureKind(IntEnum):
    """Strong and weak sum of a signature, as the magic number it begins with."""

    MD4_ROLLSUM = 0x72730136
    BLAKE2_ROLLSUM = 0x72730137
    MD4_RABIN_KARP = 0x72730146
    BLAKE2_RABIN_KARP = 0x72730147


class SignatureMaker(Protocol):
    """Makes one signature, and the content hash beside it, from content that comes in pieces."""

    @property
    def size(self) -> int:
        """Bytes of content so far."""

    def update(self, buffer: Data, /) -> None:
        """Takes the content's next bytes."""

    def update_many(self, buffer: Data, offsets: Sequence[int], lengths: Sequence[int], /) -> None:
        """Takes several slices of one buffer, in the order given."""

    def take(self) -> bytes:
        """Returns what has been made of the signature since the last call, the header first."""

    def finish(self) -> bytes:
        """Ends the content: the last block's sums can be taken. Returns the content hash, or nothing if not wanted."""


class HashMaker(Protocol):
    """Makes the content hash alone, of content that comes in pieces."""

    def update(self, buffer: Data, /) -> None:
        """Takes the content's next bytes."""

    def finish(self) -> bytes:
        """Ends the content, and returns its hash."""


class DeltaMaker(Protocol):
    """Makes a delta from an old signature and new content, and the new signature and content hash in the same pass."""

    @property
    def size(self) -> int:
        """Bytes of content so far."""

    def feed(self, buffer: Data, sums: Data | None = None, /) -> bytes:
        """Takes the content's next bytes; returns the delta's next bytes, which may be none.

        `sums`, if given, are what `block_sums` has made of these very bytes with the new signature's kind and block
        length; they are believed. The bytes must then begin where a block does.
        """

    def finish(self) -> tuple[bytes, bytes]:
        """Ends the content. Returns the rest of the delta and the content hash."""

    def take_signature(self) -> bytes:
        """As `SignatureMaker.take`, of the new content's signature."""


class PatchRunner(Protocol):
    """Carries out a delta from one descriptor to another; both stay the caller's."""

    def feed(self, delta: Data, /) -> None:
        """Takes the delta's next bytes; what follows its end is ignored. `OSError` if reading or writing fails."""

    def finish(self) -> int:
        """Writes what is left and returns the size of the result; `CorruptDelta` if the delta has not ended."""


class Composer(Protocol):
    """Makes what deltas, each upon the one before, make of a basis that is read once, in order, and not stored whole.

    First come the deltas, oldest first, then the basis: `feed` a piece of it, `take` until there is nothing, and so on.
    """

    @property
    def fits(self) -> bool:
        """False once the deltas together have too many commands. They are only written then, and nothing is made."""

    def feed_delta(self, delta: Data, /) -> None:
        """Takes the next bytes of a delta, and writes them behind those before to the scratch file."""

    def finish_delta(self, max_size: int, /) -> None:
        """Ends one delta; `CorruptDelta` if it has not ended, or its result has more bytes than that."""

    def feed(self, basis: Data, /) -> bool:
        """Takes the basis' next bytes, which must not change until the next call.

        True if they are, all of them as they are, the next ones of the result: then they count as taken.
        """

    def take(self, size: int, /) -> bytes:
        """The result's next bytes, fewer than `size` where more of the basis is needed, or at its end."""

    def finish(self) -> None:
        """Ends the basis; `CorruptDelta` if the result needs bytes that it does not have."""


class MakeSignature(Protocol):
    """Begins a signature with sums of blocks of 1 to 2^31 bytes; `with_hash`: the content hash is wanted."""

    def __call__(self, kind: int, block_len: int, strong_len: int, *, with_hash: bool = True) -> SignatureMaker: ...


class MakeHash(Protocol):
    """Begins a content hash with blocks of 1 to 2^31 bytes."""

    def __call__(self, block_len: int, /) -> HashMaker: ...


class MakeDelta(Protocol):
    """Begins a delta; kind and lengths are the new signature's.

    `basis_size`, if known, tells how long the old file's last block is. `CorruptSignature` if the old signature
    is damaged or does not fit that size; one without blocks fits every size, and the delta becomes a literal.
    """

    def __call__(
        self, old_signature: Data, kind: int, block_len: int, strong_len: int, *, basis_size: int | None = None
    ) -> DeltaMaker: ...


class MakePatch(Protocol):
    """Begins to write to `out_fd` from its current position; a result beyond `max_size` bytes is `CorruptDelta`.

    `basis_fd` is read at given positions; its own position neither matters nor moves.
    """

    def __call__(self, basis_fd: int, basis_size: int, out_fd: int, *, max_size: int) -> PatchRunner: ...


class PatchBytes(Protocol):
    """Carries out a whole delta in memory."""

    def __call__(self, basis: Data, delta: Data, max_size: int, /) -> bytes: ...


class MakeComposer(Protocol):
    """Begins a composition with at most so many commands, 60 bytes of memory for each.

    `held_fd` is an empty scratch file, to be read and written: of the deltas, and of what the result has of the basis
    in another order. All methods but `finish` raise `OSError` if that fails.
    """

    def __call__(self, held_fd: int, *, most_commands: int) -> Composer: ...


class SignMany(Protocol):
    """Returns the signatures of whole files that lie in one buffer, joined, and their content hashes, joined."""

    def __call__(
        self,
        buffer: Data,
        offsets: Sequence[int],
        lengths: Sequence[int],
        block_lens: Sequence[int],
        kind: int,
        strong_len: int,
        /,
    ) -> tuple[bytes, bytes]: ...


class ContentHashes(Protocol):
    """Returns the content hashes of whole files that lie in one buffer, joined."""

    def __call__(
        self, buffer: Data, offsets: Sequence[int], lengths: Sequence[int], block_lens: Sequence[int], /
    ) -> bytes: ...


class BlockSums(Protocol):
    """Returns the sums of the whole blocks that a buffer begins with, for `DeltaMaker.feed`.

    So several threads can do the greater part of the work for one file. For each block: the weak sum (32 bits,
    big-endian), the strong sum in full length, and the BLAKE2b digest of 32 bytes where the strong sum is MD4.
    """

    def __call__(self, buffer: Data, kind: int, block_len: int, /) -> bytes: ...


class Kernel(Protocol):
    """What the modules `specification` and `native` are; `IMPLEMENTATION` is "python" or "native"."""

    @property
    def IMPLEMENTATION(self) -> str: ...

    @property
    def SignatureBuilder(self) -> MakeSignature: ...
    @property
    def ContentHasher(self) -> MakeHash: ...
    @property
    def DeltaEncoder(self) -> MakeDelta: ...
    @property
    def Patcher(self) -> MakePatch: ...
    @property
    def Composition(self) -> MakeComposer: ...
    @property
    def patch_bytes(self) -> PatchBytes: ...
    @property
    def sign_many(self) -> SignMany: ...
    @property
    def content_hashes(self) -> ContentHashes: ...
    @property
    def block_sums(self) -> BlockSums: ...

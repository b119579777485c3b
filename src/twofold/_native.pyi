# What the compiled kernel (native/) offers; the contracts stand in twofold.rsync.kernel and twofold.tree.bulk.

from array import array
from collections.abc import Sequence
from typing import TypeAlias, final

from twofold.format.plain_headers import Written
from twofold.format.usual import Usual

KERNEL_VERSION: int

_Data: TypeAlias = bytes | bytearray | memoryview

@final
class SignatureBuilder:
    def __init__(self, kind: int, block_len: int, strong_len: int, *, with_hash: bool = True) -> None: ...
    @property
    def size(self) -> int: ...
    def update(self, buffer: _Data, /) -> None: ...
    def update_many(self, buffer: _Data, offsets: Sequence[int], lengths: Sequence[int], /) -> None: ...
    def take(self) -> bytes: ...
    def finish(self) -> bytes: ...

@final
class DeltaEncoder:
    def __init__(
        self, old_signature: _Data, kind: int, block_len: int, strong_len: int, *, basis_size: int | None = None
    ) -> None: ...
    @property
    def size(self) -> int: ...
    def feed(self, buffer: _Data, sums: _Data | None = None, /) -> bytes: ...
    def finish(self) -> tuple[bytes, bytes]: ...
    def take_signature(self) -> bytes: ...

@final
class Patcher:
    def __init__(self, basis_fd: int, basis_size: int, out_fd: int, *, max_size: int) -> None: ...
    def feed(self, delta: _Data, /) -> None: ...
    def finish(self) -> int: ...

def patch_bytes(basis: _Data, delta: _Data, max_size: int, /) -> bytes: ...
def sign_many(
    buffer: _Data,
    offsets: Sequence[int],
    lengths: Sequence[int],
    block_lens: Sequence[int],
    kind: int,
    strong_len: int,
    /,
) -> tuple[bytes, bytes]: ...
def content_hashes(
    buffer: _Data, offsets: Sequence[int], lengths: Sequence[int], block_lens: Sequence[int], /
) -> bytes: ...
def block_sums(buffer: _Data, kind: int, block_len: int, /) -> bytes: ...
def read_files(
    directory: int,
    names: Sequence[bytes],
    buffer: bytearray | memoryview,
    *,
    listed: array[int] | memoryview[int],
    position: int,
    gap: int,
    limit: int,
    largest: int,
    flags: int,
    ignored: Sequence[bytes],
) -> int: ...
def write_files(
    directory: int,
    names: Sequence[bytes],
    data: _Data,
    offsets: Sequence[int],
    lengths: Sequence[int],
    modes: Sequence[int],
    uids: Sequence[int],
    gids: Sequence[int],
    mtimes_ns: Sequence[int],
) -> int: ...
def compare_files(
    directory: int,
    names: Sequence[bytes],
    data: _Data,
    offsets: Sequence[int],
    lengths: Sequence[int],
    *,
    flags: int,
    ignored: Sequence[bytes],
) -> bytes: ...
def list_files(directory: int, names: Sequence[bytes], /) -> bytes: ...
def write_headers(
    buffer: bytearray | memoryview,
    position: int,
    paths: list[bytes],
    facts: array[int],
    owner: tuple[bytes, bytes],
    lengths: tuple[int, int],
    /,
) -> list[Written]: ...
def usual_members(piece: bytes, position: int, /) -> list[Usual]: ...
def simd_level() -> str: ...
def set_simd_level(name: str) -> None: ...

"""The compiled kernel's batches of files behind the interface of `bulk`; only for where `rsync` has a native kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from twofold import _native
from twofold._native import read_files, write_files

_Data: TypeAlias = bytes | bytearray | memoryview


def compare_files(
    directory: int,
    names: Sequence[bytes],
    data: _Data,
    offsets: Sequence[int],
    lengths: Sequence[int],
    *,
    flags: int,
    ignored: Sequence[bytes],
) -> memoryview[int]:
    """See `bulk.CompareFiles`."""
    found = _native.compare_files(directory, names, data, offsets, lengths, flags=flags, ignored=ignored)
    return memoryview(found).cast("q")


def list_files(directory: int, names: Sequence[bytes], /) -> memoryview[int]:
    """See `bulk.ListFiles`."""
    return memoryview(_native.list_files(directory, names)).cast("q")


__all__ = ["compare_files", "list_files", "read_files", "write_files"]

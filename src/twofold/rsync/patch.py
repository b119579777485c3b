"""Carrying out a delta, in pure Python."""

from __future__ import annotations

import os
from typing import Final, Protocol

from twofold.errors import CorruptDelta
from twofold.rsync.commands import CommandReader, check_copy
from twofold.rsync.kernel import Data

_BUFFER: Final = 1 << 20


class _Target(Protocol):
    """Where copies come from and where the result goes."""

    basis_size: int

    def read(self, position: int, length: int) -> bytes:
        """At most `length` bytes; none if the basis ends there."""

    def write(self, data: memoryview) -> None:
        """Writes all of it."""


class _Machine:
    """Carries out commands as they are read."""

    def __init__(self, target: _Target, max_size: int) -> None:
        self._target = target
        self._max_size = max_size
        self._reader = CommandReader(self)
        self._buffer = bytearray()
        self._written = 0

    def feed(self, delta: Data) -> None:
        self._reader.feed(delta)

    def finish(self) -> int:
        self._reader.finish()
        self._flush()
        return self._written

    def begin_literal(self, length: int, place: int) -> None:
        del place
        self._check(length)

    def literal(self, data: memoryview) -> None:
        self._written += len(data)
        self._buffer += data
        if len(self._buffer) >= _BUFFER:
            self._flush()

    def copy(self, position: int, length: int) -> None:
        self._check(length)
        check_copy(position, length, self._target.basis_size)
        while length:
            data = self._target.read(position, min(length, _BUFFER))
            if not data:
                raise CorruptDelta("Basis is shorter than it should be")
            self.literal(memoryview(data))
            position += len(data)
            length -= len(data)

    def _check(self, length: int) -> None:
        if length > self._max_size - self._written:
            raise CorruptDelta(f"Delta makes more than {self._max_size} bytes")

    def _flush(self) -> None:
        self._target.write(memoryview(bytes(self._buffer)))
        self._buffer.clear()


class _Descriptors:
    def __init__(self, basis_fd: int, basis_size: int, out_fd: int) -> None:
        if basis_fd < 0 or out_fd < 0:
            raise ValueError(f"{min(basis_fd, out_fd)} is no file descriptor")
        self._basis_fd = basis_fd
        self._out_fd = out_fd
        self.basis_size = basis_size

    def read(self, position: int, length: int) -> bytes:
        return os.pread(self._basis_fd, length, position)

    def write(self, data: memoryview) -> None:
        while data:
            data = data[os.write(self._out_fd, data) :]


class _Memory:
    def __init__(self, basis: Data) -> None:
        self._basis = memoryview(basis)
        self.basis_size = len(self._basis)
        self.result = bytearray()

    def read(self, position: int, length: int) -> bytes:
        return bytes(self._basis[position : position + length])

    def write(self, data: memoryview) -> None:
        self.result += data


class Patcher:
    """See `kernel.PatchRunner`."""

    __slots__ = ("_machine",)

    def __init__(self, basis_fd: int, basis_size: int, out_fd: int, *, max_size: int) -> None:
        self._machine = _Machine(_Descriptors(basis_fd, basis_size, out_fd), max_size)

    def feed(self, delta: Data, /) -> None:
        self._machine.feed(delta)

    def finish(self) -> int:
        return self._machine.finish()


def patch_bytes(basis: Data, delta: Data, max_size: int, /) -> bytes:
    """See `kernel.PatchBytes`."""
    target = _Memory(basis)
    machine = _Machine(target, max_size)
    machine.feed(delta)
    machine.finish()
    return bytes(target.result)

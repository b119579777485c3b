"""Carrying out a delta, in pure Python."""

from __future__ import annotations

import os
from typing import Final, Protocol

from twofold.errors import CorruptDelta
from twofold.rsync.delta import MAGIC
from twofold.rsync.kernel import Data

_BUFFER: Final = 1 << 20
_LONGEST_LENGTH: Final = (1 << 63) - 1


class _Target(Protocol):
    """Where copies come from and where the result goes."""

    basis_size: int

    def read(self, position: int, length: int) -> bytes:
        """At most `length` bytes; none if the basis ends there."""

    def write(self, data: memoryview) -> None:
        """Writes all of it."""


class _Machine:
    """Reads a delta command by command, wherever its pieces end."""

    def __init__(self, target: _Target, max_size: int) -> None:
        self._target = target
        self._max_size = max_size
        self._head = b""
        self._literal_left = 0
        self._has_begun = self._has_ended = self._has_failed = False
        self._buffer = bytearray()
        self._written = 0

    def feed(self, delta: Data) -> None:
        if self._has_failed:
            raise CorruptDelta("Delta was already found to be corrupt")
        try:
            self._run(memoryview(delta))
        except Exception:
            self._has_failed = True
            raise

    def finish(self) -> int:
        if self._has_failed:
            raise CorruptDelta("Delta was already found to be corrupt")
        if not self._has_ended:
            raise CorruptDelta("Delta has no end command")
        self._flush()
        return self._written

    def _run(self, delta: memoryview) -> None:
        while delta and not self._has_ended:
            if self._literal_left:
                step = min(len(delta), self._literal_left)
                self._write(delta[:step])
                self._literal_left -= step
                delta = delta[step:]
                continue
            missing = self._command_len() - len(self._head)
            self._head += delta[:missing]
            delta = delta[missing:]
            if len(self._head) == self._command_len():
                head, self._head = self._head, b""
                self._carry_out(head)

    def _command_len(self) -> int:
        """Bytes of the command that `_head` begins, as far as that can be told: magic, or opcode and numbers."""
        if not self._has_begun:
            return len(MAGIC)
        if not self._head:
            return 1
        position_width, length_width = _widths(self._head[0])
        return 1 + position_width + length_width

    def _carry_out(self, head: bytes) -> None:
        if not self._has_begun:
            if head != MAGIC:
                raise CorruptDelta("Delta does not begin with its magic number")
            self._has_begun = True
            return
        opcode = head[0]
        position_width, _ = _widths(opcode)
        position = int.from_bytes(head[1 : 1 + position_width], "big")
        length = int.from_bytes(head[1 + position_width :], "big")
        if opcode == 0:
            self._has_ended = True
        elif opcode <= 0x44:
            self._literal_left = self._checked(length if opcode > 0x40 else opcode)
        else:
            self._do_copy(position, self._checked(length))

    def _checked(self, length: int) -> int:
        if not 0 < length <= _LONGEST_LENGTH:
            raise CorruptDelta(f"Delta has a command of impossible length {length}")
        if length > self._max_size - self._written:
            raise CorruptDelta(f"Delta makes more than {self._max_size} bytes")
        return length

    def _do_copy(self, position: int, length: int) -> None:
        if position + length > self._target.basis_size:
            raise CorruptDelta(f"Delta copies {length} bytes from {position}, beyond the basis")
        while length:
            data = self._target.read(position, min(length, _BUFFER))
            if not data:
                raise CorruptDelta("Basis is shorter than it should be")
            self._write(memoryview(data))
            position += len(data)
            length -= len(data)

    def _write(self, data: memoryview) -> None:
        self._written += len(data)
        self._buffer += data
        if len(self._buffer) >= _BUFFER:
            self._flush()

    def _flush(self) -> None:
        self._target.write(memoryview(bytes(self._buffer)))
        self._buffer.clear()


def _widths(opcode: int) -> tuple[int, int]:
    """Widths of the two numbers that follow an opcode, position and length; docs/format.md, "Delta"."""
    if opcode <= 0x40:
        return 0, 0
    if opcode <= 0x44:
        return 0, 1 << (opcode - 0x41)
    if opcode <= 0x54:
        return 1 << ((opcode - 0x45) // 4), 1 << ((opcode - 0x45) % 4)
    raise CorruptDelta(f"Delta has the reserved command {opcode:#04x}")


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

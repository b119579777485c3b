"""Reading a delta command by command, wherever its pieces end, in pure Python; docs/format.md, "Delta"."""

from __future__ import annotations

from typing import Final, Protocol

from twofold.errors import CorruptDelta
from twofold.rsync.delta import MAGIC
from twofold.rsync.kernel import Data

_LONGEST_LENGTH: Final = (1 << 63) - 1


class CommandSink(Protocol):
    """What becomes of the commands. Each method may raise CorruptDelta."""

    def copy(self, position: int, length: int) -> None: ...

    def begin_literal(self, length: int, place: int) -> None:
        """A literal whose first byte is the byte `place` of the delta, counted from 0."""

    def literal(self, data: memoryview) -> None:
        """The next bytes of it."""


class CommandReader:
    """Takes one delta. After an error of its own or of the sink every call raises CorruptDelta."""

    def __init__(self, sink: CommandSink) -> None:
        self._sink = sink
        self._head = b""
        self._read = 0
        self._literal_left = 0
        self._has_begun = self._has_ended = self._has_failed = False

    def feed(self, delta: Data) -> None:
        if self._has_failed:
            raise CorruptDelta("Delta was already found to be corrupt")
        try:
            self._run(memoryview(delta))
        except Exception:
            self._has_failed = True
            raise

    def finish(self) -> None:
        if self._has_failed:
            raise CorruptDelta("Delta was already found to be corrupt")
        if not self._has_ended:
            raise CorruptDelta("Delta has no end command")

    def _run(self, delta: memoryview) -> None:
        end = self._read + len(delta)
        while delta and not self._has_ended:
            if self._literal_left:
                step = min(len(delta), self._literal_left)
                self._sink.literal(delta[:step])
                self._literal_left -= step
                delta = delta[step:]
                continue
            missing = self._command_len() - len(self._head)
            self._head += delta[:missing]
            delta = delta[missing:]
            if len(self._head) == self._command_len():
                head, self._head = self._head, b""
                self._carry_out(head, end - len(delta))
        self._read = end

    def _command_len(self) -> int:
        """Bytes of the command that `_head` begins, as far as that can be told: magic, or opcode and numbers."""
        if not self._has_begun:
            return len(MAGIC)
        if not self._head:
            return 1
        position_width, length_width = _widths(self._head[0])
        return 1 + position_width + length_width

    def _carry_out(self, head: bytes, place: int) -> None:
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
            self._literal_left = _possible(length if opcode > 0x40 else opcode)
            self._sink.begin_literal(self._literal_left, place)
        else:
            self._sink.copy(position, _possible(length))


def _possible(length: int) -> int:
    if not 0 < length <= _LONGEST_LENGTH:
        raise CorruptDelta(f"Delta has a command of impossible length {length}")
    return length


def _widths(opcode: int) -> tuple[int, int]:
    """Widths of the two numbers that follow an opcode, position and length."""
    if opcode <= 0x40:
        return 0, 0
    if opcode <= 0x44:
        return 0, 1 << (opcode - 0x41)
    if opcode <= 0x54:
        return 1 << ((opcode - 0x45) // 4), 1 << ((opcode - 0x45) % 4)
    raise CorruptDelta(f"Delta has the reserved command {opcode:#04x}")


def check_copy(position: int, length: int, basis_size: int) -> None:
    """Raises CorruptDelta for a copy of what the basis does not have."""
    if position + length > basis_size:
        raise CorruptDelta(f"Delta copies {length} bytes from {position}, beyond the basis")

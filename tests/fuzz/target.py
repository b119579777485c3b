"""What a fuzzing target is, and what several of them need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twofold.envelope.streams import Stream


@dataclass(frozen=True)
class Target:
    """`check` raises for an input that breaks a promise; it takes milliseconds and little memory whatever it is given.

    `seeds` are inputs to begin with, `words` what libFuzzer may insert, `largest` the longest input in bytes.
    """

    check: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    words: tuple[bytes, ...] = ()
    largest: int = 4096


class Source(Stream):
    """Bytes that arrive in portions."""

    def __init__(self, data: bytes, portion: int) -> None:
        super().__init__()
        self._data = data
        self._portion = portion
        self._position = 0

    def _produce(self, limit: int) -> bytes:
        part = self._data[self._position : self._position + min(limit, self._portion)]
        self._position += len(part)
        return part

    def close(self) -> None:
        pass


class Numbers:
    """Takes an input apart: numbers from its end, the rest is content."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def below(self, limit: int) -> int:
        size = ((limit - 1).bit_length() + 7) // 8
        taken, self.rest = self.rest[-size:], self.rest[:-size]
        return int.from_bytes(taken, "big") % limit

    def fields(self, separator: bytes, most: int) -> list[bytes]:
        """The content cut at a separator, `most` pieces, empty ones where there are fewer."""
        found = self.rest.split(separator, most - 1)
        return found + [b""] * (most - len(found))

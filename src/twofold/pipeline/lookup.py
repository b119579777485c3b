"""Finds single entries in the signature files of a chain: the signature to make a difference against.

Entries are asked for in archive order, and each file is in that order, so every file is read forward once at most,
and not at all if nothing in it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from twofold.envelope.protocol import Opened
from twofold.errors import CorruptStream, CorruptTar
from twofold.format.sigtar import Action, read_members
from twofold.format.tar_reader import TarReader
from twofold.model.entry import Entry
from twofold.monitor import Monitor, Problem
from twofold.pipeline.known import NOWHERE, split_location

LARGEST_SIGNATURE: Final = 1 << 30
_SKIP: Final = 1 << 20


class KnownFile(NamedTuple):
    """An entry of a signature file with its signature (empty for anything but a regular file)."""

    entry: Entry
    signature: bytes


class ForwardBytes:
    """A stream that can be positioned forward, and back as far as the last position given."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._buffer = bytearray()
        self._base = 0
        self._position = 0

    def seek(self, offset: int) -> bool:
        """Goes to `offset`; False when that lies before the last position given."""
        if offset < self._base:
            return False
        while offset > self._base + len(self._buffer):
            self._base += len(self._buffer)
            self._buffer = bytearray(self._opened.read(min(_SKIP, offset - self._base)))
            if not self._buffer:
                break
        del self._buffer[: offset - self._base]
        self._base = self._position = offset
        return True

    def read(self, size: int, /) -> bytes:
        start = self._position - self._base
        missing = start + size - len(self._buffer)
        if missing > 0:
            self._buffer += self._opened.read(missing)
        data = bytes(self._buffer[start : start + size])
        self._position += len(data)
        return data

    def trim(self) -> None:
        """Lets go of what has been read: going back to it is no longer possible."""
        del self._buffer[: self._position - self._base]
        self._base = self._position

    def close(self) -> None:
        self._opened.close()


class SignatureLookup:
    """The signature files of a chain, oldest set first. One thread uses it."""

    def __init__(self, openers: Sequence[Callable[[], Opened]], *, monitor: Monitor) -> None:
        self._openers = openers
        self._files: dict[int, ForwardBytes] = {}
        self._monitor = monitor

    def find(self, where: int, path: bytes) -> KnownFile | None:
        """The entry at a location, which must be that of `path`; None if there is none or it is damaged."""
        if where == NOWHERE:
            return None
        number, offset = split_location(where)
        if number >= len(self._openers):
            return None
        try:
            return self._read(number, offset, path)
        except (CorruptTar, CorruptStream) as error:
            self._monitor.report(
                Problem(path, f"its signature cannot be read ({error}), so it is stored whole", "find")
            )
            return None

    def _read(self, number: int, offset: int, path: bytes) -> KnownFile | None:
        file = self._files.get(number)
        if file is None or not file.seek(offset):
            if file is not None:
                file.close()
            file = self._files[number] = ForwardBytes(self._openers[number]())
            file.seek(offset)
        reader = TarReader(file)
        member = next(read_members(reader), None)
        if member is None or member.fault is not None or member.path != path:
            return None
        signature = reader.read_all(LARGEST_SIGNATURE) if member.action is Action.SIGNATURE else b""
        if len(signature) > _SKIP:
            file.trim()
        return KnownFile(member.entry, signature)

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

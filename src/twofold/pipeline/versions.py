"""What the sets of a chain say of a path, each for itself, and where the data come from."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from twofold.errors import TwofoldError
from twofold.format.difftar import Action
from twofold.model.entry import Entry, Kind


class Lost(NamedTuple):
    """One set's word on a path stood in a volume that cannot be read."""

    path: bytes


class Doubt(NamedTuple):
    """One set may have something to say of a path: neither its volume nor its signatures can be read."""

    path: bytes


class DataLost(TwofoldError):
    """The rest of a file stood in a volume that cannot be read, or its parts do not follow each other."""


class DataReader(Protocol):
    """Where the data of a version come from; `lends` says that volumes are read for it when it is asked."""

    @property
    def lends(self) -> bool: ...

    def read_data(self, version: Version, size: int) -> bytes: ...


class HeldData:
    """Data that are in memory already."""

    lends = False

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read_data(self, version: Version, size: int) -> bytes:
        data, self._data = self._data[:size], self._data[size:]
        return data


class FailedData:
    """Data that cannot be had."""

    lends = False

    def __init__(self, error: TwofoldError) -> None:
        self._error = error

    def read_data(self, version: Version, size: int) -> bytes:
        raise self._error


class Version:
    """What one set says of a path; its data come in order, once, and only until the next path is asked for."""

    __slots__ = ("_reader", "action", "checked", "entry", "first_part", "path")

    def __init__(
        self,
        action: Action,
        path: bytes,
        entry: Entry,
        *,
        part: int | None = None,
        reader: DataReader | None = None,
        checked: bool = False,
    ) -> None:
        """`checked` says that all its data have been compared with the content record of the entry."""
        self.action = action
        self.checked = checked
        self.path = path
        self.entry = entry
        self.first_part = part
        self._reader = reader

    @property
    def reads_volume(self) -> bool:
        """Whether it has data that are read from a volume when they are asked for."""
        has_data = self.action is not Action.DELETED and self.entry.kind is Kind.REGULAR
        return has_data and self._reader is not None and self._reader.lends

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, none at the end; the content record of the entry is known from then on.

        Raises DataLost, CorruptTar, and what reading the volume raises.
        """
        return self._reader.read_data(self, size) if self._reader is not None else b""


def read_up_to(version: Version, size: int) -> bytes:
    """The next `size` bytes, fewer only at the end, whatever the parts of the file are. Raises as `Version.read`."""
    return _read(version, size, least=size)


def read_some(version: Version, size: int) -> bytes:
    """As many of the next `size` bytes as come easily, but half of them, fewer only at the end. Raises the same."""
    return _read(version, size, least=size // 2)


def _read(version: Version, size: int, *, least: int) -> bytes:
    data = version.read(size)
    if version.first_part is None or len(data) >= least or not data:
        return data
    pieces = [data]
    have = len(data)
    while have < least and (data := version.read(size - have)):
        pieces.append(data)
        have += len(data)
    return b"".join(pieces) if len(pieces) > 1 else pieces[0]

"""Reads sets ahead of whoever uses what they say: decoding and checking in one thread, writing or comparing in another.

Nearly everything is handed over with its data, or followed by them. Only where several sets have data of one path is
the history handed over together with the volumes: the reader stands still until it is given back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

from twofold.concurrency import Cancelled, Channel, Crew, Task
from twofold.errors import TwofoldError
from twofold.format.difftar import Action
from twofold.model.entry import Entry
from twofold.pipeline.differences import BLOCK
from twofold.pipeline.merge import FileHistory, Stretch
from twofold.pipeline.recorded import is_recorded
from twofold.pipeline.versions import DataReader, FailedData, HeldData, Version, read_some, read_up_to

_DEPTH: Final = 8


class _Block(NamedTuple):
    """The next data of the history that was handed over last."""

    data: bytes


class _End(NamedTuple):
    """There are no more data of it: what its entry is now, or why they end too early."""

    entry: Entry
    error: TwofoldError | None


_Item: TypeAlias = Stretch | _Block | _End


class ReadAhead:
    """Stretches in order. Use it within the crew's block, and close it before what it reads from."""

    def __init__(self, stretches: Iterable[Stretch], crew: Crew) -> None:
        self._stretches = stretches
        self._channel: Channel[_Item] = crew.channel(_DEPTH)
        self._items = iter(self._channel)
        self._given_back: Channel[None] = crew.channel(1)
        self._returns = iter(self._given_back)
        self._task: Task[None] = crew.background(self._read, name="read")

    def __iter__(self) -> Iterator[Stretch]:
        """Whatever is read from a history must have been read when the next stretch is asked for."""
        for item in self._items:
            if isinstance(item, _Block | _End):
                continue  # nobody wanted them
            yield item
            if isinstance(item, FileHistory) and _is_lent(item):
                self._given_back.put(None)

    def close(self) -> None:
        """Ends the reader, and waits for that; may be called twice."""
        self._channel.cancel()
        self._given_back.cancel()
        self._task.wait()

    def _read(self) -> None:
        try:
            for stretch in self._stretches:
                if isinstance(stretch, FileHistory):
                    self._hand_over(stretch)
                else:
                    self._channel.put(stretch)
        except Cancelled:
            return
        except BaseException as error:  # noqa: BLE001 - handed to the other side
            self._channel.end(error)
        else:
            self._channel.end()

    def _hand_over(self, history: FileHistory) -> None:
        lent = _is_lent(history)
        (version, *others) = history.versions
        if not lent or others or not isinstance(version, Version) or version.action is not Action.SNAPSHOT:
            self._channel.put(history)
            if lent:
                next(self._returns)
            return
        try:
            first = read_up_to(version, BLOCK)
        except TwofoldError as error:
            self._put_version(version, FailedData(error))
            return
        if len(first) < BLOCK:
            self._put_version(version, HeldData(first), checked=is_recorded(first, version.entry.content))
        else:
            self._put_version(version, _FollowingData(self._items))
            self._put_data(version, first)

    def _put_version(self, version: Version, data: DataReader, *, checked: bool = False) -> None:
        path = version.path
        handed = Version(version.action, path, version.entry, reader=data, checked=checked)
        self._channel.put(FileHistory(path, [handed]))

    def _put_data(self, version: Version, block: bytes) -> None:
        failure = None
        try:
            while block:
                self._channel.put(_Block(block))
                block = read_some(version, BLOCK)
        except TwofoldError as error:
            failure = error
        self._channel.put(_End(version.entry, failure))


class _FollowingData:
    """Data that come through the channel behind their version."""

    lends = False

    def __init__(self, items: Iterator[_Item]) -> None:
        self._items = items
        self._end: _End | None = None

    def read_data(self, version: Version, size: int) -> bytes:
        """A block, or less: the size is what everyone asks for."""
        assert size == BLOCK
        if self._end is None:
            item = next(self._items)
            if isinstance(item, _Block):
                return item.data
            assert isinstance(item, _End)
            self._end = item
            version.entry = item.entry
        if self._end.error is not None:
            raise self._end.error
        return b""


def _is_lent(history: FileHistory) -> bool:
    """Whether its data have to be read from the volumes."""
    return any(isinstance(version, Version) and version.reads_volume for version in history.versions)

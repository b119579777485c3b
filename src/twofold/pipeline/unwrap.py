"""Unwraps volumes ahead of their reader: inflating runs beside parsing and writing, in a thread for each volume.

A small volume is read where it is wanted, for a thread would cost more than it saves. Memory is bounded over all sets:
only so many volumes are read ahead at once, each by a few blocks; the others are read without a thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from twofold.concurrency import Cancelled, Channel, Crew, Task
from twofold.envelope.protocol import Opened

BLOCK: Final = 1 << 20
_DEPTH: Final = 2
_MOST_AHEAD: Final = 3


class Ahead:
    """What a thread reads of one file, block by block."""

    def __init__(self, opened: Opened, crew: Crew) -> None:
        self._channel: Channel[bytes] = crew.channel(_DEPTH)
        self._blocks: Iterator[bytes] = iter(self._channel)
        self._task: Task[None] = crew.background(lambda: _read_into(self._channel, opened), name="unwrap")
        self._error: BaseException | None = None

    def next_block(self) -> bytes:
        """Empty at the end, and ever after; an error comes again however often it is asked."""
        if self._error is not None:
            raise self._error
        try:
            return next(self._blocks, b"")
        except BaseException as error:
            self._error = error
            raise

    def close(self) -> None:
        """Gives up what has not been read, and waits until no thread reads the file any more."""
        self._channel.cancel()
        self._task.wait()
        self._blocks = iter(())  # which holds the last block, and the crew holds on to this thread's parts


class Unwrapper:
    """Decides which volumes are read ahead. It and all its volumes are used by one thread."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._running = 0
        self.read_bytes = 0

    def begin(self, opened: Opened) -> Ahead | None:
        """Reads the rest of a file in a thread of its own; None when enough of these are at work."""
        if self._running >= _MOST_AHEAD:
            return None
        self._running += 1
        return Ahead(opened, self._crew)

    def end(self, ahead: Ahead) -> None:
        """Takes back what `begin` gave."""
        self._running -= 1
        ahead.close()


class Unwrapped:
    """The content of an opened file, read ahead from its second block on. Raises what reading the file raises."""

    def __init__(self, opened: Opened, unwrapper: Unwrapper) -> None:
        self._opened = opened
        self._unwrapper = unwrapper
        self._ahead: Ahead | None = None
        self._begun = False
        self._rest = b""

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer only at the end."""
        ahead = self._ahead
        if ahead is None:
            if self._begun:
                ahead = self._ahead = self._unwrapper.begin(self._opened)
            self._begun = True
            if ahead is None:
                data = self._opened.read(size)
                self._unwrapper.read_bytes += len(data)
                return data
        data = self._rest or ahead.next_block()
        while len(data) < size and (block := ahead.next_block()):
            data += block
        self._rest = data[size:]
        self._unwrapper.read_bytes += len(data) - len(self._rest)
        return data[:size]

    def close(self) -> None:
        """Gives the file back; may be called twice."""
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            self._unwrapper.end(ahead)
        self._opened.close()


def _read_into(channel: Channel[bytes], opened: Opened) -> None:
    try:
        while block := opened.read(BLOCK):
            channel.put(block)
    except Cancelled:
        return
    except BaseException as error:  # noqa: BLE001 - handed to the reader
        channel.end(error)
    else:
        channel.end()

"""Connections kept for the whole run: each is used by one thread at a time, and a broken one is never used again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Generic, TypeVar

from twofold.errors import NotFound, Unavailable

C = TypeVar("C")

LONGEST_IDLE = 60.0
"""Seconds after which an idle connection is not trusted any more: routers forget them, servers close them."""


class Connections(Generic[C]):
    """As many as there are threads at work. `connect` raises StorageError, `close` does not wait and never raises."""

    def __init__(self, connect: Callable[[], C], *, close: Callable[[C], None]) -> None:
        self._connect = connect
        self._close = close
        self._idle: deque[tuple[float, C]] = deque()
        self._ended = False

    @contextmanager
    def borrowed(self) -> Iterator[C]:
        """One of them, made when none is idle.

        It is kept afterwards, unless an exception says that it may be in the middle of something: any but NotFound.
        Unavailable ends the idle ones as well, since what broke one has most likely broken all.
        """
        connection = self._take()
        try:
            yield connection
        except NotFound:
            self._give_back(connection)
            raise
        except Unavailable:
            self._close(connection)
            self._close_idle()
            raise
        except BaseException:
            self._close(connection)
            raise
        self._give_back(connection)

    def close(self) -> None:
        """Ends the idle ones now, those at work when they come back."""
        self._ended = True
        self._close_idle()

    def _give_back(self, connection: C) -> None:
        self._idle.append((monotonic(), connection))
        if self._ended:
            self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            try:
                _, connection = self._idle.popleft()
            except IndexError:  # another thread was faster
                break
            self._close(connection)

    def _take(self) -> C:
        while True:
            try:
                since, connection = self._idle.pop()
            except IndexError:
                return self._connect()
            if monotonic() - since < LONGEST_IDLE:
                return connection
            self._close(connection)

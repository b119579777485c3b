"""The connection of a store from its callers' side: made at first use, kept, replaced when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

from twofold.errors import StorageError
from twofold.storage.drivers.ssh.connection import FAILURES, Dialer, is_lost, translated
from twofold.storage.drivers.ssh.options import SshTarget
from twofold.storage.drivers.ssh.session import Session
from twofold.storage.event_loop import EventLoop
from twofold.storage.store import ByteCounter, Operation, ignore_bytes

T = TypeVar("T")
Work = Callable[[Session, ByteCounter], Coroutine[object, None, T]]
Explain = Callable[[Exception, Session, Operation, str], Awaitable[StorageError | None]]
"""What an error means where that takes a question to the server; None where the general rule holds."""


class Link:
    """Carries work out on the connection, from any thread."""

    def __init__(self, target: SshTarget, *, explain: Explain | None = None) -> None:
        self._target = target
        self._explain = explain
        self._loop = EventLoop("ssh")
        self._connecting: asyncio.Lock | None = None
        self._session: Session | None = None

    def do(
        self,
        operation: Operation,
        name: str,
        work: Work[T],
        *,
        told: ByteCounter = ignore_bytes,
        session: Session | None = None,
    ) -> T:
        """Gives what `work` gives; with `session` on that connection, though it may be lost by now.

        Raises StorageError; after Unavailable the next call connects anew.
        """

        async def carry_out(moved: ByteCounter) -> T:
            used = session
            try:
                used = used or await self._connected()
                return await work(used, moved)
            except (*FAILURES, StorageError) as error:
                meant = await self._meaning(error, operation, name, used)
                if meant is error:
                    raise
                raise meant from error

        return self._loop.run(carry_out, told=told)

    def tidy(self, work: Callable[[], Coroutine[object, None, None]]) -> None:
        """Carries out what never fails."""
        self._loop.run(lambda _: work())

    def close(self) -> None:
        """Hangs up. May be called twice."""
        if self._session is not None:
            self.tidy(self._hang_up)
        self._loop.stop()
        self._connecting = None

    async def _hang_up(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.connection.close()
            with contextlib.suppress(*FAILURES):
                await asyncio.wait_for(session.connection.wait_closed(), self._target.timeout)

    async def _meaning(
        self, error: Exception, operation: Operation, name: str, session: Session | None
    ) -> StorageError:
        if session is not None and is_lost(error):
            session.connection.abort()
            if self._session is session:
                self._session = None
        elif session is not None and self._explain is not None:
            try:
                explained = await self._explain(error, session, operation, name)
            except (*FAILURES, StorageError) as another:
                error = another
            else:
                if explained is not None:
                    return explained
        return translated(error, operation=operation, name=name, place=self._target.place_label)

    async def _connected(self) -> Session:
        if self._connecting is None:
            self._connecting = asyncio.Lock()
        async with self._connecting:
            if self._session is None or self._session.connection.is_closed():
                self._session = Session(await Dialer(self._target).dial(), timeout=self._target.timeout)
            return self._session

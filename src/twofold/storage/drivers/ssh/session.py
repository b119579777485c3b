"""One SFTP connection in use: up to four channels of it, blocks on all of them at once, patience with slow lines.

One channel moves 2 MiB a round trip, whoever drives it; four quadruple that (docs/design.md). Everything here runs in
the loop's thread.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from twofold.errors import Incomplete, StorageError, Unavailable, Unsupported
from twofold.storage import local_files
from twofold.storage.drivers.ssh.connection import FAILURES
from twofold.storage.drivers.ssh.library import asyncssh
from twofold.storage.event_loop import room
from twofold.storage.store import ByteCounter, Operation

T = TypeVar("T")

CHANNELS: Final = 4
STRIPED_FROM: Final = 4 << 20
"""Smaller files take one channel: the others would cost more round trips than they spare."""

_UNDER_WAY: Final = 4 << 20
_LARGEST_BLOCK: Final = 255 << 10
"""What OpenSSH takes at once; other servers would take more, to nobody's gain."""

_LEAST_REQUESTS, _MOST_REQUESTS = 16, 128
_MOMENT: Final = 2.0
"""Seconds that clearing up may take where nothing depends on it, or people who have pressed Ctrl-C wait for it."""


class Channel:
    """An SFTP client with the number of those who use it now."""

    def __init__(self, client: asyncssh.SFTPClient) -> None:
        self.client = client
        self.users = 0


class Session:
    """A connection. Silence is told by the last answer on any channel: on a slow line one waits for the others."""

    def __init__(self, connection: asyncssh.SSHClientConnection, *, timeout: float) -> None:
        self.connection = connection
        self._timeout = timeout
        self._heard = asyncio.get_running_loop().time()
        self._held = 0
        self._channels: list[Channel] = []
        self._most_channels = CHANNELS
        self._opening = asyncio.Lock()

    @property
    def is_openssh(self) -> bool:
        """Then a file opened twice for writing is one file of a local file system."""
        return "OpenSSH" in str(self.connection.get_extra_info("server_version", ""))

    @asynccontextmanager
    async def channels(self, wanted: int = 1) -> AsyncIterator[list[asyncssh.SFTPClient]]:
        """The least used channels, `wanted` of them or as many as the server grants."""
        async with self._opening:
            while len(self._channels) < self._most_channels and (
                len(self._channels) < wanted or all(channel.users for channel in self._channels)
            ):
                await self._open_another()
            chosen = sorted(self._channels, key=lambda channel: channel.users)[:wanted]
            for channel in chosen:
                channel.users += 1
        try:
            yield [channel.client for channel in chosen]
        finally:
            for channel in chosen:
                channel.users -= 1

    async def _open_another(self) -> None:
        try:
            starting = self.connection.start_sftp_client(path_errors="surrogateescape")
            self._channels.append(Channel(await self.patiently(starting)))
        except (asyncssh.ChannelOpenError, asyncssh.SFTPError) as error:
            if not self._channels:
                message = "The server offers no SFTP; try fish:// instead, which needs only a shell there"
                raise Unsupported(message) from error
            self._most_channels = len(self._channels)

    async def patiently(self, request: Awaitable[T]) -> T:
        """The answer to a request. Raises Unavailable, and hangs up, when nothing at all has come for too long."""
        task = asyncio.ensure_future(request)
        await self._all_of([task])
        return task.result()

    async def clear_up(self, *works: Coroutine[object, None, object], matters: bool) -> bool:
        """Carries out, at once, what ends an errand; whether all of it was done. Raises nothing of the server's.

        What `matters` has the patience of any request unless the errand has been cancelled, all else a moment only.
        """
        errand = asyncio.current_task()
        is_hurried = not matters or (errand is not None and errand.cancelling() > 0)
        tasks = [asyncio.ensure_future(self.patiently(work)) for work in works]
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=_MOMENT if is_hurried else None)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for failure in failures:
            if not isinstance(failure, (*FAILURES, StorageError, asyncio.CancelledError)):
                raise failure
        return not failures

    async def entries(self, client: asyncssh.SFTPClient, path: str) -> list[asyncssh.SFTPName]:
        """What is in a directory, itself and its parent included. Raises what asyncssh raises."""

        async def read() -> list[asyncssh.SFTPName]:
            found = []
            async for entry in client.scandir(path):
                self._heard = asyncio.get_running_loop().time()
                found.append(entry)
            return found

        return await self.patiently(read())

    async def at_once(self, workers: Iterable[Coroutine[object, None, None]]) -> None:
        """Carries out all, or ends all with the error of the first that fails."""
        await self._all_of([asyncio.ensure_future(worker) for worker in workers])

    async def _all_of(self, tasks: list[asyncio.Task[T]]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        pending = set(tasks)
        try:
            while pending:
                if self._held:
                    self._heard = loop.time()  # it is we who are silent
                silent = loop.time() - max(began, self._heard)
                if silent >= self._timeout:
                    # At once, so that whatever is still asked on the way out fails instead of waiting as long again.
                    self.connection.abort()
                    raise Unavailable(
                        f"Nothing has come from the server for {silent:.0f} seconds; --timeout allows more"
                    )
                done, pending = await asyncio.wait(
                    pending, timeout=self._timeout - silent, return_when=asyncio.FIRST_EXCEPTION
                )
                for task in done:
                    task.result()
            self._heard = loop.time()
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def _limits(self) -> asyncssh.SFTPLimits:
        return self._channels[0].client.limits

    async def send(self, files: list[asyncssh.SFTPClientFile], source: int, *, size: int, moved: ByteCounter) -> None:
        """Writes the first `size` bytes of the descriptor `source` to files that are all one. Raises Incomplete."""
        block = min(self._limits.max_write_len, _LARGEST_BLOCK)
        offsets = iter(range(0, size, block))

        async def work(file: asyncssh.SFTPClientFile) -> None:
            for offset in offsets:
                with local_files.translating(Operation.PUT, name="", path="the file to be stored"):
                    content = os.pread(source, min(block, size - offset), offset)
                local_files.require_size(len(content), min(block, size - offset), operation=Operation.PUT, name="")
                await file.write(content, offset)
                await self._moved(len(content), moved)

        await self.at_once(work(file) for file in _workers(files, block, size))

    async def receive(
        self,
        files: list[asyncssh.SFTPClientFile],
        take: Callable[[bytes, int], object],
        *,
        start: int,
        size: int,
        moved: ByteCounter,
    ) -> None:
        """Reads `size` bytes from `start` and gives them to `take` with their offsets from there, in any order."""
        block = min(self._limits.max_read_len, _LARGEST_BLOCK)
        offsets = iter(range(0, size, block))

        async def work(file: asyncssh.SFTPClientFile) -> None:
            for offset in offsets:
                end = min(offset + block, size)
                while offset < end:
                    content: bytes = await file.read(end - offset, start + offset)
                    if not content:
                        raise Incomplete(f"The file ends after {start + offset} bytes, where more should be; try again")
                    take(content, offset)
                    offset += len(content)
                    await self._moved(len(content), moved)

        await self.at_once(work(file) for file in _workers(files, block, size))

    async def _moved(self, count: int, moved: ByteCounter) -> None:
        self._heard = asyncio.get_running_loop().time()
        moved(count)
        self._held += 1
        try:
            await room(moved)
        finally:
            self._held -= 1
            self._heard = asyncio.get_running_loop().time()


def _workers(files: list[asyncssh.SFTPClientFile], block: int, size: int) -> Iterator[asyncssh.SFTPClientFile]:
    """Each file as often as requests shall be under way on it."""
    most = min(max(_LEAST_REQUESTS, _UNDER_WAY // block), _MOST_REQUESTS)
    for number in range(min(most * len(files), -(-size // block))):
        yield files[number % len(files)]

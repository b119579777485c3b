"""A stored file while it is read, over one channel or all of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Self

from twofold.errors import Incomplete
from twofold.storage import local_files
from twofold.storage.drivers.ssh.library import asyncssh
from twofold.storage.drivers.ssh.session import CHANNELS, STRIPED_FROM, Session
from twofold.storage.store import ByteCounter, Operation

Take = Callable[[bytes, int], None]


def of_file(found: asyncssh.SFTPAttrs) -> asyncssh.SFTPAttrs:
    """The same. Raises SFTPNoSuchFile for what is no file: to a store, that is nothing."""
    if found.type not in {asyncssh.FILEXFER_TYPE_REGULAR, asyncssh.FILEXFER_TYPE_UNKNOWN}:
        raise asyncssh.SFTPNoSuchFile("Not a file")
    return found


class Fetching:
    """An open stored file; `end` gives everything back."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.size = 0
        self._stack = contextlib.AsyncExitStack()
        self._files: list[asyncssh.SFTPClientFile] = []
        self._opened: list[asyncssh.SFTPClientFile] = []

    @classmethod
    async def begin(cls, session: Session, path: str, *, most: int = CHANNELS) -> Self:
        """Opens the file, a large one on as many as `most` channels. Raises what asyncssh raises."""
        fetching = cls(session)
        try:
            await fetching._open(path, most)
        except BaseException:
            await fetching.end()
            raise
        return fetching

    async def _open(self, path: str, most: int) -> None:
        (client,) = await self._stack.enter_async_context(self.session.channels())
        found = of_file(await self._open_on(client, path))
        self.size = found.size or 0
        if most > 1 and self.size >= STRIPED_FROM:
            clients = await self._stack.enter_async_context(self.session.channels(most))
            for other in clients:
                if other is client:
                    continue
                with contextlib.suppress(asyncssh.SFTPError):
                    again = await self._open_on(other, path)
                    if (again.size, again.mtime) != (found.size, found.mtime):
                        self._files.pop()  # replaced between the two: the first one is read to its end

    async def _open_on(self, client: asyncssh.SFTPClient, path: str) -> asyncssh.SFTPAttrs:
        file = await self.session.patiently(client.open(path, "rb", block_size=0))
        self._opened.append(file)
        found = await self.session.patiently(file.stat())
        self._files.append(file)
        return found

    async def receive(self, take: Take, moved: ByteCounter, *, start: int = 0, size: int | None = None) -> None:
        """Gives the content, all of it or a stretch, to `take` in pieces with their offsets, in any order."""
        wanted = self.size if size is None else size
        await self.session.receive(self._files, take, start=start, size=wanted, moved=moved)
        if size is not None:
            return
        more: bytes = await self.session.patiently(self._files[0].read(1, wanted))
        if more:
            # Some servers tell the size of what has the name by now, and the content of what had it before.
            raise Incomplete(f"The file goes on after {wanted} bytes: it has been replaced meanwhile; try again")

    async def end(self) -> None:
        """Closes the file. Never raises on account of the server, nor waits for it for long."""
        try:
            await self.session.clear_up(*(file.close() for file in self._opened), matters=False)
        finally:
            await self._stack.aclose()


def writer(descriptor: int, target: str) -> Take:
    """Puts pieces where they belong in a local file."""

    def take(content: bytes, offset: int) -> None:
        with local_files.translating(Operation.GET, name="", path=target):
            while content:
                count = os.pwrite(descriptor, content, offset)
                content, offset = content[count:], offset + count

    return take

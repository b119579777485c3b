"""A directory on an SFTP server: what is in it, and files that appear in it whole. Runs in the loop's thread.

A file is written under a temporary name, written out to the disk where the server can (fsync@openssh.com), and renamed.
The second fsync, after the rename, is for the name: SFTP cannot write out directories, but the file systems of today
keep a file's new name with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from twofold.errors import AlreadyExists, NoPlace, NoSpace, NotFound, StorageError, Unavailable
from twofold.storage import local_files, unfinished
from twofold.storage.drivers.ssh.fetching import of_file
from twofold.storage.drivers.ssh.library import asyncssh
from twofold.storage.drivers.ssh.options import SshTarget
from twofold.storage.drivers.ssh.session import CHANNELS, STRIPED_FROM, Session
from twofold.storage.store import ByteCounter, Operation, StoredFile

MISSING: Final = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)

_ABANDONED_AFTER: Final = 86_400
"""Seconds by the server's clock without a byte written: then nobody is still writing a temporary file."""

_COPIED_AT_ONCE: Final = 64 << 20
"""The server says nothing while it copies, which must not look as if it had gone."""

_CREATE: Final = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_EXCL


class Source(NamedTuple):
    """An open local file to be stored."""

    descriptor: int
    size: int


class _Part:
    """A file under a temporary name, which it keeps until `is_named`."""

    def __init__(self, path: str, file: asyncssh.SFTPClientFile) -> None:
        self.path = path
        self.file = file
        self.is_named = False


class Place:
    """The directory over all connections of a run: it remembers what it has seen there."""

    def __init__(self, target: SshTarget) -> None:
        self._target = target
        self._seen = False
        self._is_prepared = False
        self._has_fsync = True
        self._left_by_us: set[str] = set()
        self._left_by_others: dict[str, int] | None = None

    def path(self, name: str) -> str:
        return self._target.path(name)

    async def list(self, session: Session) -> tuple[StoredFile, ...]:
        """All files but unfinished ones. Raises SFTPNoSuchFile when the directory has been here before and is gone."""
        found: dict[str, StoredFile] = {}
        left: dict[str, int] = {}
        async with session.channels() as (client,):
            try:
                entries = await session.entries(client, self._target.place)
            except MISSING:
                if self._seen:
                    raise
                return ()
            self._seen = True
            for entry in entries:
                name = str(entry.filename)
                attributes = await self._resolved(session, client, entry)
                if attributes is None or attributes.type != asyncssh.FILEXFER_TYPE_REGULAR or "/" in name:
                    continue
                if not name.startswith(unfinished.PREFIX):
                    found[name] = _stored(name, attributes)
                elif name.startswith(unfinished.PART_PREFIX):
                    left[name] = int(attributes.mtime or 0)
        self._left_by_others = left
        return tuple(found.values())

    async def _resolved(
        self, session: Session, client: asyncssh.SFTPClient, entry: asyncssh.SFTPName
    ) -> asyncssh.SFTPAttrs | None:
        """What a listed name stands for; of a link, what it leads to; None when that is nowhere."""
        if entry.attrs.type in {asyncssh.FILEXFER_TYPE_REGULAR, asyncssh.FILEXFER_TYPE_DIRECTORY}:
            return entry.attrs
        try:
            return await session.patiently(client.stat(self.path(str(entry.filename))))
        except asyncssh.SFTPError:
            return None

    async def stat(self, session: Session, name: str) -> StoredFile:
        """Raises SFTPNoSuchFile."""
        async with session.channels() as (client,):
            stored = _stored(name, of_file(await session.patiently(client.stat(self.path(name)))))
        self._seen = True
        return stored

    async def delete(self, session: Session, name: str) -> None:
        """Raises SFTPNoSuchFile only when the whole directory has gone."""
        async with session.channels() as (client,):
            try:
                await session.patiently(client.remove(self.path(name)))
            except MISSING:
                if self._seen and not await self._is_there(session):
                    raise

    async def put(self, session: Session, name: str, source: Source, moved: ByteCounter) -> StoredFile:
        """Raises NoSpace, Incomplete."""
        await self._prepare(session)
        # Elsewhere two handles for writing may be two files, of which the one closed last remains.
        striped = source.size >= STRIPED_FROM and session.is_openssh
        async with session.channels(CHANNELS if striped else 1) as (client, *others):
            try:
                async with self._part(session, client) as part:
                    await self._send(session, part, others, source, moved)
                    return await self._finish(session, client, part, name=name, size=source.size)
            except asyncssh.SFTPFailure as error:
                free = await self.free_bytes(session)
                if free is not None and free < source.size:
                    needed = f"{name} needs {source.size} bytes and {free} are left"
                    message = f"{needed} at {self._target.place_label}; make room there"
                    raise NoSpace(message, name=name, operation=Operation.PUT.value) from error
                raise

    async def copy(self, session: Session, source: str, target: str) -> StoredFile:
        """Raises SFTPOpUnsupported where the server lacks copy-data."""
        async with session.channels() as (client,):
            original = await session.patiently(client.open(self.path(source), "rb", block_size=0))
            try:
                size = of_file(await session.patiently(original.stat())).size or 0
                async with self._part(session, client) as part:
                    for offset in range(0, size, _COPIED_AT_ONCE):
                        count = min(_COPIED_AT_ONCE, size - offset)
                        await session.patiently(client.remote_copy(original, part.file, offset, count, offset))
                    return await self._finish(session, client, part, name=target, size=size)
            finally:
                await session.clear_up(original.close(), matters=False)

    async def create(self, session: Session, name: str, content: bytes) -> None:
        """Raises AlreadyExists, and SFTPOpUnsupported where the server lacks hard links."""
        await self._prepare(session)
        async with session.channels() as (client,), self._part(session, client) as part:
            await session.patiently(part.file.write(content, 0))
            await self._written_out(session, part)
            try:
                # A hard link is what no two can make; O_EXCL is granted by some servers on a file that is there.
                await session.patiently(client.link(part.path, self.path(name)))
            except asyncssh.SFTPFailure as error:
                if await session.patiently(client.lexists(self.path(name))):
                    message = f"{name} exists already at {self._target.place_label}"
                    raise AlreadyExists(message, name=name, operation=Operation.CREATE.value) from error
                raise

    async def free_bytes(self, session: Session) -> int | None:
        """Of the file system that the directory is on, or will be on; None where the server does not say."""
        path = self._target.place
        async with session.channels() as (client,):
            while True:
                try:
                    found = await session.patiently(client.statvfs(path))
                    return int(found.bavail * found.frsize)
                except asyncssh.SFTPOpUnsupported:
                    return None
                except MISSING:
                    if path in {".", "/"}:
                        raise
                    path = os.path.dirname(path) or "."

    async def explain(self, error: Exception, session: Session, operation: Operation, name: str) -> StorageError | None:
        """What it means that the server does not find a file. Raises what asyncssh raises."""
        if not isinstance(error, MISSING):
            return None
        word = operation.value
        if not await self._is_there(session):
            remedy = "it was there before: is the disk still mounted there?" if self._seen else "is the path right?"
            return NoPlace(f"No directory at {self._target.place_label} ({remedy})", name=name, operation=word)
        if operation in {Operation.PUT, Operation.CREATE}:
            return Unavailable(
                f"A temporary file at {self._target.place_label} has been removed", name=name, operation=word
            )
        return NotFound(f"No file {name} at {self._target.place_label}", name=name, operation=word)

    async def _is_there(self, session: Session) -> bool:
        async with session.channels() as (client,):
            try:
                found = await session.patiently(client.stat(self._target.place))
            except MISSING:
                return False
        return found.type in {asyncssh.FILEXFER_TYPE_DIRECTORY, asyncssh.FILEXFER_TYPE_UNKNOWN}

    async def _prepare(self, session: Session) -> None:
        """Sees to it that the directory is there before the first write, and knows what others left in it."""
        if self._is_prepared:
            return
        if self._left_by_others is None:
            await self.list(session)
        if not self._seen and self._target.directory:
            async with session.channels() as (client,):
                await session.patiently(client.makedirs(self._target.directory, exist_ok=True))
        self._is_prepared = True

    async def _send(
        self,
        session: Session,
        part: _Part,
        others: Sequence[asyncssh.SFTPClient],
        source: Source,
        moved: ByteCounter,
    ) -> None:
        files = [part.file]
        try:
            for other in others:
                with contextlib.suppress(asyncssh.SFTPError):
                    opening = other.open(part.path, asyncssh.FXF_WRITE, encoding=None, block_size=0)
                    files.append(await session.patiently(opening))
            await session.send(files, source.descriptor, size=source.size, moved=moved)
        finally:
            await session.clear_up(*(file.close() for file in files[1:]), matters=True)

    @asynccontextmanager
    async def _part(self, session: Session, client: asyncssh.SFTPClient) -> AsyncIterator[_Part]:
        """A new file under a temporary name, removed on the way out unless it has got its own."""
        name = unfinished.PART_PREFIX + os.urandom(8).hex()
        path = self.path(name)
        part = _Part(path, await session.patiently(client.open(path, _CREATE, encoding=None, block_size=0)))
        try:
            yield part
        finally:
            if not await session.clear_up(self._ended(session, client, part), matters=True) and not part.is_named:
                self._left_by_us.add(name)

    async def _ended(self, session: Session, client: asyncssh.SFTPClient, part: _Part) -> None:
        await part.file.close()
        if not part.is_named:
            await self._remove(session, client, os.path.basename(part.path))

    async def _finish(
        self, session: Session, client: asyncssh.SFTPClient, part: _Part, *, name: str, size: int
    ) -> StoredFile:
        """Gives a written part its name when it is whole and safe."""
        _, found = await session.patiently(asyncio.gather(self._written_out(session, part), part.file.stat()))
        local_files.require_size(found.size or 0, size, operation=Operation.PUT, name=name)
        await self._rename(session, client, part.path, self.path(name))
        part.is_named = True
        await self._written_out(session, part)
        self._seen = True
        await self._sweep(session, client, now=int(found.mtime or 0))
        return _stored(name, found)

    async def _written_out(self, session: Session, part: _Part) -> None:
        if self._has_fsync:
            try:
                await session.patiently(part.file.fsync())
            except asyncssh.SFTPOpUnsupported:
                self._has_fsync = False

    async def _rename(self, session: Session, client: asyncssh.SFTPClient, part: str, path: str) -> None:
        try:
            await session.patiently(client.posix_rename(part, path))
            return
        except asyncssh.SFTPOpUnsupported:
            pass
        try:
            await session.patiently(client.rename(part, path))
        except asyncssh.SFTPFailure:
            # This server renames over nothing, so the name is free for a moment; what was there comes back if need be.
            before = self.path(unfinished.PART_PREFIX + os.urandom(8).hex())
            await session.patiently(client.rename(path, before))
            try:
                await session.patiently(client.rename(part, path))
            except BaseException:
                await session.patiently(client.rename(before, path))
                raise
            await session.patiently(client.remove(before))

    async def _sweep(self, session: Session, client: asyncssh.SFTPClient, *, now: int) -> None:
        """Removes what we left behind, and what others wrote last long before `now`, by the server's clock."""
        others, self._left_by_others = self._left_by_others or {}, {}
        ours, self._left_by_us = self._left_by_us, set()
        for name in ours | {name for name, written in others.items() if now - written > _ABANDONED_AFTER}:
            with contextlib.suppress(asyncssh.SFTPError):
                await self._remove(session, client, name)

    async def _remove(self, session: Session, client: asyncssh.SFTPClient, name: str) -> None:
        with contextlib.suppress(*MISSING):
            await session.patiently(client.remove(self.path(name)))


def _stored(name: str, found: asyncssh.SFTPAttrs) -> StoredFile:
    return StoredFile(name, found.size or 0, None if found.mtime is None else int(found.mtime))

"""fish:// and lftp+fish://: files on a host that offers a shell and no SFTP.

Every operation is one line for a POSIX sh (cat, ls, wc, mv, rm, mkdir, find, sync). A file is written under a temporary
name, counted and written out by the server, and renamed; when the connection ends early, the count is wrong and the
line itself removes it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from twofold.errors import Forbidden, Incomplete, NoPlace, NoSpace, NotFound, StorageError
from twofold.storage import local_files, unfinished
from twofold.storage.drivers.ssh.fetching import writer
from twofold.storage.drivers.ssh.library import asyncssh
from twofold.storage.drivers.ssh.link import Link
from twofold.storage.drivers.ssh.listing import listed
from twofold.storage.drivers.ssh.options import SshTarget
from twofold.storage.drivers.ssh.session import Session
from twofold.storage.event_loop import room
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Atomicity, ByteCounter, Key, Operation, StoredFile, StoreTraits, ignore_bytes
from twofold.storage.url import StorageUrl

_TRAITS: Final = StoreTraits(parallel=4, atomic_put=Atomicity.BY_RENAME)
_CHUNK: Final = 1 << 18

_NO_FILE, _NO_PLACE, _WRONG_SIZE = 44, 45, 46
"""Exit codes of our own lines."""

_MARKER: Final = "twofold begins here"
_MARKING: Final = f"printf '\\n{_MARKER}\\n';"

_MEANINGS: Final[tuple[tuple[str, type[StorageError], str], ...]] = (
    ("No space left", NoSpace, "make room there"),
    ("quota exceeded", NoSpace, "make room there"),
    ("Permission denied", Forbidden, "check owner and permissions there"),
    ("Read-only file system", Forbidden, "check how the disk is mounted there"),
)


class FishStore:
    """A Store behind a shell."""

    def __init__(self, target: SshTarget) -> None:
        self._target = target
        self._link = Link(target)
        self._place = shlex.quote(target.directory if target.directory.startswith("/") else f"./{target.directory}")
        self._seen = False
        self._is_prepared = False

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> FishStore:
        return cls(SshTarget.of(url, settings))

    @property
    def traits(self) -> StoreTraits:
        return _TRAITS

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)
        part = self._quoted(unfinished.PART_PREFIX + os.urandom(8).hex())
        line = (
            f"trap 'rm -f '{shlex.quote(part)} EXIT; cat > {part} || exit; "
            f'[ "$(wc -c < {part})" -eq {size} ] || exit {_WRONG_SIZE}; '
            f"{{ sync {part} 2>/dev/null || sync; }} && mv -f {part} {self._quoted(key.name)} && "
            f"{{ sync {self._place} 2>/dev/null || sync; }}"
        )

        async def send(session: Session, moved: ByteCounter) -> None:
            if not self._is_prepared:
                await self._shell(session, self._preparation(), operation=Operation.PUT, name=key.name)
                self._is_prepared = True
            async with self._running(session, line) as process:
                for piece in local_files.pieces_of(descriptor, operation=Operation.PUT, name=key.name, size=_CHUNK):
                    process.stdin.write(piece)
                    await session.patiently(process.stdin.drain())
                    moved(len(piece))
                    await room(moved)
                process.stdin.write_eof()
                await self._ended(session, process, operation=Operation.PUT, name=key.name)

        try:
            self._link.do(Operation.PUT, key.name, send, told=sent)
        finally:
            os.close(descriptor)
        self._seen = True
        return StoredFile(key.name, size)

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        path = self._quoted(key.name)
        line = f"{_MARKING} {self._finding(path)} wc -c < {path} && exec cat {path}"
        with local_files.arriving(target, size=None, name=key.name) as descriptor:
            take = writer(descriptor, target)

            async def receive(session: Session, moved: ByteCounter) -> None:
                async with self._running(session, line) as process:
                    await self._to_the_marker(session, process)
                    head: bytes = await session.patiently(process.stdout.readline())
                    offset = 0
                    while piece := await session.patiently(process.stdout.read(_CHUNK)):
                        take(piece, offset)
                        offset += len(piece)
                        moved(len(piece))
                        await room(moved)
                    await self._ended(session, process, operation=Operation.GET, name=key.name)
                    local_files.require_size(offset, int(head), operation=Operation.GET, name=key.name)

            self._link.do(Operation.GET, key.name, receive, told=received)

    def list(self) -> Iterator[StoredFile]:
        try:
            said = self._ask(self._listing(), Operation.LIST, "")
        except NoPlace:
            if self._seen:
                raise
            return iter(())
        self._seen = True
        return (
            StoredFile(file.name, file.size) for file in listed(said) if not file.name.startswith(unfinished.PREFIX)
        )

    def stat(self, key: Key) -> StoredFile:
        path = self._quoted(key.name)
        line = f"{self._finding(path)} wc -c < {path}"

        async def size(session: Session, _: ByteCounter) -> int:
            return int(await self._shell(session, line, operation=Operation.STAT, name=key.name))

        found = StoredFile(key.name, self._link.do(Operation.STAT, key.name, size))
        self._seen = True
        return found

    def delete(self, key: Key) -> None:
        self._ask(f"rm -f {self._quoted(key.name)}", Operation.DELETE, key.name)

    def close(self) -> None:
        self._link.close()

    def _quoted(self, name: str) -> str:
        path = self._target.path(name)
        return shlex.quote(path if path.startswith("/") else f"./{path}")

    def _finding(self, path: str) -> str:
        return f"[ -f {path} ] || {{ [ -d {self._place} ] || exit {_NO_PLACE}; exit {_NO_FILE}; }};"

    def _listing(self) -> str:
        """Links are shown as what they lead to, one by one: `ls -L` fails as a whole when one leads nowhere."""
        following = '[ -h "$f" ] && [ -f "$f" ] || continue; ls -lndL -- "$f" || [ ! -f "$f" ] || exit'
        listing = f"ls -lna {self._place}/ && cd {self._place} || exit"
        return f"[ -d {self._place} ] || exit {_NO_PLACE}; {listing}; for f in .* *; do {following}; done"

    def _preparation(self) -> str:
        """Makes the directory unless it has been here before, and removes what others left a day ago."""
        making = f"[ -d {self._place} ] || exit {_NO_PLACE}" if self._seen else f"mkdir -p {self._place} || exit"
        leftovers = f"{self._place}/. ! -name . -prune -type f -name '{unfinished.PART_PREFIX}*' -mtime +1"
        return f"{making}; find {leftovers} -exec rm -f {{}} + 2>/dev/null || :"

    def _ask(self, line: str, operation: Operation, name: str) -> str:
        return self._link.do(
            operation, name, lambda session, _: self._shell(session, line, operation=operation, name=name)
        )

    async def _shell(self, session: Session, line: str, *, operation: Operation, name: str) -> str:
        """What a line prints."""
        async with self._running(session, f"{_MARKING} {line}") as process:
            await self._to_the_marker(session, process)
            said: bytes = await session.patiently(process.stdout.read())
            await self._ended(session, process, operation=operation, name=name)
        return said.decode("utf-8", "surrogateescape")

    @asynccontextmanager
    async def _running(self, session: Session, line: str) -> AsyncIterator[asyncssh.SSHClientProcess[bytes]]:
        command = f"exec env LC_ALL=C sh -c {shlex.quote(line)}"
        process = await session.patiently(session.connection.create_process(command, encoding=None))
        try:
            yield process
        finally:
            process.close()  # and no waiting for it: the server may have gone

    async def _to_the_marker(self, session: Session, process: asyncssh.SSHClientProcess[bytes]) -> None:
        """Passes over what a login file prints."""
        while line := await session.patiently(process.stdout.readline()):
            if line == f"{_MARKER}\n".encode():
                return

    async def _ended(
        self, session: Session, process: asyncssh.SSHClientProcess[bytes], *, operation: Operation, name: str
    ) -> None:
        """Raises what a line's exit code and complaints mean."""
        complaint = (await session.patiently(process.stderr.read())).decode("utf-8", "replace").strip()
        await session.patiently(process.wait_closed())
        code = process.exit_status
        if code == 0:
            return
        where, word = self._target.place_label, operation.value
        if code is None:
            raise asyncssh.ConnectionLost("The command ended with the connection")
        if code == _NO_PLACE:
            raise NoPlace(
                f"No directory at {where} (is the path right and the disk mounted?)", name=name, operation=word
            )
        if code == _NO_FILE:
            raise NotFound(f"No file {name} at {where}", name=name, operation=word)
        if code == _WRONG_SIZE:
            raise Incomplete(f"{name} has not arrived whole at {where}; try again", name=name, operation=word)
        kind, remedy = StorageError, ""
        for pattern, meant, advice in _MEANINGS:
            if pattern in complaint:
                kind, remedy = meant, f" ({advice})"
                break
        last = complaint.splitlines()[-1] if complaint else f"exit code {code}"
        raise kind(f"{word} of {name} at {where} failed: {last}{remedy}", name=name, operation=word)

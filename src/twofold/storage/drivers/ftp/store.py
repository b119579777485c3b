"""ftp:// ftps:// ftpes:// and their lftp+ and ncftp+ names: a directory on an FTP server.

A file is sent under a temporary name, gets its own when the server tells the right size, and replaces what was there.
The protocol says "550" to whatever it does not do: what that means is looked up in the directory, so that nothing
counts as missing which is only forbidden.
"""

from __future__ import annotations

import ftplib
import os
import socket
import ssl
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager

from twofold.errors import Forbidden, NoPlace, NoSpace, NotFound, StorageError, Unavailable, Unsupported
from twofold.storage import local_files
from twofold.storage.connections import Connections
from twofold.storage.drivers.ftp.listing import Listed
from twofold.storage.drivers.ftp.session import Security, Session
from twofold.storage.network_errors import connection_failure, failure
from twofold.storage.part_names import PartNames, is_unfinished
from twofold.storage.places import server_directory
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Atomicity, ByteCounter, Key, Operation, StoredFile, StoreTraits, ignore_bytes
from twofold.storage.tls import tls_context
from twofold.storage.url import StorageUrl

_TRAITS = StoreTraits(parallel=2, atomic_put=Atomicity.BY_RENAME, consistent_list=False)
_PORTS = {Security.NONE: 21, Security.EXPLICIT: 21, Security.IMPLICIT: 990}
_PIECE = 1 << 18
_UNUSABLE = frozenset({"500", "501", "502", "503", "504"})


class FtpStore:
    """A Store on an FTP server; also CanReadRange. The protocol knows no exclusive creation and no copies."""

    def __init__(self, url: StorageUrl, settings: StoreSettings) -> None:
        self._security = Security(url.scheme.rpartition("+")[2])
        self._address = url.host, url.port or _PORTS[self._security]
        self._user = url.user or "anonymous"
        self._password = settings.password or ("" if url.user else "anonymous@")
        self._settings = settings
        self._directory = server_directory(url)
        self._place = f"{url.scheme}://{self._address[0]}:{self._address[1]}{url.path}"
        self._seen = False
        self._parts = PartNames()
        self._connections = Connections(self._connect, close=Session.end)

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> FtpStore:
        return cls(url, settings)

    @property
    def traits(self) -> StoreTraits:
        return _TRAITS

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)
        try:
            with self._connections.borrowed() as session:
                with self._doing(Operation.PUT, key.name):
                    self._enter(session, make=not self._seen)
                self._sweep(session)
                part = self._parts.new()
                try:
                    return self._store(session, part, descriptor, key=key, size=size, sent=sent)
                except BaseException:
                    self._parts.abandon(part)
                    raise
        finally:
            os.close(descriptor)

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        with self._connections.borrowed() as session:
            before = self._size(session, key.name, Operation.GET)
            with (
                local_files.arriving(target, size=None, name=key.name) as arriving,
                closing(self._pieces(session, key.name, before=before)) as pieces,
            ):
                for piece in pieces:
                    local_files.write_all(arriving, piece)
                    received(len(piece))

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        with self._connections.borrowed() as session:
            end = min(self._size(session, key.name, Operation.READ_RANGE), start + size)
            content = bytearray()
            with self._doing(Operation.READ_RANGE, key.name):
                if start >= end:
                    return b""
                with session.transfercmd(f"RETR {key.name}", start) as data:
                    while len(content) < end - start and (piece := session.read_piece(data)):
                        content += piece
                try:
                    session.voidresp()
                except ftplib.error_temp:
                    pass  # 426: yes, we have hung up before the end
                if len(content) < end - start:
                    raise EOFError
            return bytes(content[: end - start])

    def list(self) -> Iterator[StoredFile]:
        with self._connections.borrowed() as session, self._doing(Operation.LIST, ""):
            seen_before = self._seen
            try:
                self._enter(session, anew=True)
            except NoPlace:
                if seen_before:
                    raise
                return iter(())
            found = session.files()
            self._parts.see(file.name for file in found)
            shown = [(file.name, self._size_listed(session, file)) for file in found if not is_unfinished(file.name)]
        return (StoredFile(name, size) for name, size in shown if size is not None)

    def stat(self, key: Key) -> StoredFile:
        with self._connections.borrowed() as session:
            return StoredFile(key.name, self._size(session, key.name, Operation.STAT))

    def delete(self, key: Key) -> None:
        with self._connections.borrowed() as session, self._doing(Operation.DELETE, key.name):
            try:
                self._enter(session)
            except NoPlace:
                if self._seen:
                    raise
                return
            try:
                session.voidcmd(f"DELE {key.name}")
            except (ftplib.error_perm, ftplib.error_temp):
                if self._is_there(session, key.name):
                    raise

    def close(self) -> None:
        self._connections.close()

    # ---- one file there and back -----------------------------------------------------------------------------------

    def _store(
        self, session: Session, part: str, descriptor: int, *, key: Key, size: int, sent: ByteCounter
    ) -> StoredFile:
        with self._doing(Operation.PUT, key.name):
            data = session.transfercmd(f"STOR {part}")
        with data:
            for piece in local_files.pieces_of(descriptor, operation=Operation.PUT, name=key.name, size=_PIECE):
                with self._doing(Operation.PUT, key.name):
                    self._send(session, data, piece)
                sent(len(piece))
            with self._doing(Operation.PUT, key.name):
                session.end_data(data)
                local_files.require_size(session.size(part), size, operation=Operation.PUT, name=key.name)
                self._rename(session, part, key.name)
        return StoredFile(key.name, size)

    def _send(self, session: Session, data: socket.socket, piece: bytes) -> None:
        try:
            session.send_piece(data, piece)
        except TimeoutError:
            raise
        except OSError:
            session.raise_reason()  # a server that hangs up says why on the other connection: its disk is full
            raise

    def _rename(self, session: Session, part: str, name: str) -> None:
        try:
            session.rename(part, name)
        except ftplib.error_perm:
            # Some servers, those on Windows above all, do not replace.
            if not self._is_there(session, name):
                raise
            old = self._parts.parked(name)
            session.rename(name, old)
            try:
                session.rename(part, name)
            except BaseException:
                session.rename(old, name)
                raise
            session.delete(old)

    def _pieces(self, session: Session, name: str, *, before: int) -> Generator[bytes, None, None]:
        """The content. `before` is the size told before; somebody may replace the file meanwhile.

        So the size that most servers tell of what they have opened counts more.
        """
        moved = 0
        with self._doing(Operation.GET, name):
            data, told = session.ntransfercmd(f"RETR {name}")
        with data:
            while True:
                with self._doing(Operation.GET, name):
                    piece = session.read_piece(data)
                if not piece:
                    break
                moved += len(piece)
                yield piece
            with self._doing(Operation.GET, name):
                session.end_data(data)
        right = {before, self._size(session, name, Operation.GET)} if told is None else {told}
        if moved not in right:
            reason = f"the connection ended after {moved} of {before} bytes"
            raise failure(Unavailable, reason, operation=Operation.GET, name=name, place=self._place)

    # ---- the directory ---------------------------------------------------------------------------------------------

    def _connect(self) -> Session:
        if self._security is Security.NONE:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        else:
            context = tls_context(self._settings)
        options = self._settings.options
        session = Session(self._security, context, timeout=self._settings.timeout, passive=options.ftp_passive)
        try:
            with self._doing(Operation.LIST, ""):
                session.begin(self._address, user=self._user, password=self._password)
        except BaseException:
            session.close()
            raise
        return session

    def _enter(self, session: Session, *, make: bool = False, anew: bool = False) -> None:
        """Goes to the place, which names are relative to from then on. Raises NoPlace."""
        if session.entered and not anew:
            return
        entered, session.entered = self._absolute(session), ""
        paths = [*_ancestors(entered)]
        try:
            session.cwd(entered)
        except ftplib.error_perm as error:
            if not make:
                raise self._absence(session, paths, error) from error
            for path in paths:
                try:
                    session.mkd(path)
                except ftplib.error_perm:
                    continue  # it is there, or the next line says what is wrong
            session.cwd(entered)
        session.entered = entered
        self._seen = True

    def _absolute(self, session: Session) -> str:
        if self._directory.startswith("/"):
            return self._directory
        return f"{session.home.rstrip('/')}/{self._directory}"

    def _absence(self, session: Session, paths: Sequence[str], error: ftplib.error_perm) -> StorageError:
        """Why the place cannot be entered: NoPlace where a part of its path is missing for certain."""
        above = "/"
        for path in paths:
            try:
                session.cwd(path)
            except ftplib.error_perm:
                session.cwd(above)
                if path.rpartition("/")[2] in session.names():
                    return self._failure(Forbidden, error, Operation.LIST, "")
                break
            above = path
        return self._failure(NoPlace, f"there is no directory {self._directory}", Operation.LIST, "")

    def _size(self, session: Session, name: str, operation: Operation) -> int:
        with self._doing(operation, name):
            self._enter(session)
            try:
                return session.size(name)
            except (ftplib.error_perm, ftplib.error_temp) as error:
                if self._is_there(session, name):
                    raise
                raise NotFound(f"No file {name} at {self._place}", name=name, operation=operation.value) from error

    def _size_listed(self, session: Session, file: Listed) -> int | None:
        """None for what turns out to be a directory, or to be gone."""
        if file.size is not None:
            return file.size
        try:
            return session.size(file.name)
        except ftplib.error_perm:
            return None

    def _is_there(self, session: Session, name: str) -> bool:
        """Whether the directory shows a file of that name. Raises NoPlace when the directory itself is gone."""
        self._enter(session, anew=True)
        return any(file.name == name for file in session.files())

    def _sweep(self, session: Session) -> None:
        """Puts right what dead writers left; what resists is left alone, for a backup must not fail by it."""
        with self._doing(Operation.PUT, ""):
            if not self._parts.looked:
                self._parts.see(session.names_as_told())
            for parked, name in self._parts.take_parked().items():
                try:
                    if self._is_there(session, name):
                        session.delete(parked)
                    else:
                        session.rename(parked, name)
                except (ftplib.error_perm, ftplib.error_temp):
                    continue
            for name in self._parts.take_abandoned():
                try:
                    session.delete(name)
                except (ftplib.error_perm, ftplib.error_temp):
                    continue

    # ---- what the server means -------------------------------------------------------------------------------------

    @contextmanager
    def _doing(self, operation: Operation, name: str) -> Iterator[None]:
        try:
            yield
        except ftplib.Error as error:
            raise self._failure(meaning(str(error)), error, operation, name) from error
        except (OSError, EOFError) as error:
            raise connection_failure(error, operation=operation, name=name, place=self._place) from error

    def _failure(self, kind: type[StorageError], reason: object, operation: Operation, name: str) -> StorageError:
        return failure(kind, reason, operation=operation, name=name, place=self._place)


def meaning(reply: str) -> type[StorageError]:
    """What a refusal means (RFC 959 section 4.2); whether a 550 says "missing" is asked of the directory before."""
    code = reply[:3]
    if code in {"452", "552"}:
        return NoSpace
    if code in _UNUSABLE:
        return Unsupported
    if code.startswith("4") or code == "551":  # what many say when reading fails half way
        return Unavailable
    return Forbidden if code.startswith("5") else StorageError


def _ancestors(path: str) -> Iterator[str]:
    """The directory and those above it, from the top."""
    words = [word for word in path.split("/") if word]
    for number in range(1, len(words) + 1):
        yield "/" + "/".join(words[:number])

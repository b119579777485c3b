"""imap:// and imaps://: a mailbox, in which the last word of the URL tells one backup's messages from others'.

A put adds the messages of its parts; with the last of them the file is there, and what it replaces is deleted. Messages
of a put that has not come to its end are unread; those of a dead process are removed by the next put, and what the
removals of others have left; never one that was part of a whole file and that a person has deleted.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager, suppress

from twofold.concurrency import exclusion
from twofold.errors import Forbidden, InvalidUrl, NoPlace, NotFound, StorageError, Unavailable, Unsupported
from twofold.storage import local_files
from twofold.storage.connections import Connections
from twofold.storage.drivers.imap.mailbox import Mailbox, Put
from twofold.storage.drivers.imap.messages import (
    LINE_BYTES,
    PART_BYTES,
    PIECE_BYTES,
    Part,
    decoded,
    encoded_size,
    end_of,
    message,
)
from twofold.storage.drivers.imap.refusals import may_mean_absent, meaning
from twofold.storage.drivers.imap.session import Lost, Refusal, SaidNo, Session
from twofold.storage.network_errors import connection_failure, failure
from twofold.storage.part_names import PartNames
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Atomicity, ByteCounter, Key, Operation, StoredFile, StoreTraits, ignore_bytes
from twofold.storage.tls import tls_context
from twofold.storage.url import StorageUrl

_TRAITS = StoreTraits(parallel=1, atomic_put=Atomicity.BY_NATURE)
_PORTS = {"imap": 143, "imaps": 993}
_LINES_AT_ONCE = 1 << 14
_LONGEST_PLACE = 200
_READING = {Operation.LIST, Operation.STAT, Operation.GET, Operation.READ_RANGE, Operation.FREE_BYTES}


class ImapStore:
    """A Store in a mailbox; also CanReadRange, CanDeleteMany and CanReportSpace.

    It has one connection, used by one thread at a time: services allow few.
    """

    def __init__(self, url: StorageUrl, settings: StoreSettings) -> None:
        options = settings.options
        self._secret = url.scheme == "imaps"
        host = settings.environment.get("IMAP_SERVER") or url.host
        self._address = host, url.port or _PORTS[url.scheme]
        self._user = f"{url.user}@{url.host}" if options.imap_full_address else url.user or ""
        self._sender = url.path[1:]
        self._mailbox = options.imap_mailbox
        self._settings = settings
        self._place = f"{url.scheme}://{host}:{self._address[1]}{url.path} in the mailbox {self._mailbox}"
        self._lock = exclusion()
        self._connections = Connections(self._connect, close=Session.end)
        self._parts = PartNames()
        self._contents = Mailbox(self._sender)
        self._seen = False
        self._told: set[str] = set()

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> ImapStore:
        form = f"write {url.scheme}://user@host/sender"
        if not url.user:
            raise InvalidUrl(f"No user in {url.redacted()}; {form}")
        if not 0 < len(os.fsencode(url.path[1:])) <= _LONGEST_PLACE:
            raise InvalidUrl(f"No sender, or too long a one, in {url.redacted()}; {form}, any word will do")
        if set("\r\n") & {*url.user, *url.path, *(settings.password or ""), *settings.options.imap_mailbox}:
            raise InvalidUrl(f"User, password, mailbox and sender of {url.redacted()} cannot contain line ends")
        return cls(url, settings)

    @property
    def traits(self) -> StoreTraits:
        return _TRAITS

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)
        try:
            with self._borrowed(Operation.PUT, key.name) as session:
                self._sweep(session)
                upload = self._parts.new()
                try:
                    ends = self._append(session, upload, descriptor, key=key, size=size, sent=sent)
                    self._finish(session, upload, ends, key=key)
                except BaseException:
                    self._parts.abandon(upload)
                    raise
        finally:
            os.close(descriptor)
        return StoredFile(key.name, size)

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        with self._borrowed(Operation.GET, key.name) as session:
            parts = self._file(session, key.name, Operation.GET)
            with local_files.arriving(target, size=parts[0].total, name=key.name) as arriving:
                for part in parts:
                    for piece in self._content(session, part, 0, part.size, Operation.GET):
                        local_files.write_all(arriving, piece)
                        received(len(piece))

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        with self._borrowed(Operation.READ_RANGE, key.name) as session:
            pieces: list[bytes] = []
            for part in self._file(session, key.name, Operation.READ_RANGE):
                first, last = max(0, start - part.start), min(part.size, start + size - part.start)
                if first < last:
                    pieces += self._content(session, part, first, last, Operation.READ_RANGE)
            return b"".join(pieces)

    def list(self) -> Iterator[StoredFile]:
        with self._borrowed(Operation.LIST, "") as session:
            try:
                self._look(session)
            except NoPlace:
                if self._seen:
                    raise
                return iter(())
            puts = self._contents.puts()
            self._tell_what_is_odd(puts)
            sizes = {put[0].name: put[0].total for put in puts}
            return iter([StoredFile(name, size) for name, size in sizes.items()])

    def stat(self, key: Key) -> StoredFile:
        with self._borrowed(Operation.STAT, key.name) as session:
            return StoredFile(key.name, self._file(session, key.name, Operation.STAT)[0].total)

    def delete(self, key: Key) -> None:
        for _ in self.delete_many([key]):
            pass

    def delete_many(self, keys: Iterable[Key]) -> Iterator[Key]:
        wanted = {key.name: key for key in keys}
        with self._borrowed(Operation.DELETE, next(iter(wanted), "")) as session:
            try:
                self._look(session)
                self._contents.look_for_removed(session)
                self._contents.remove(session, self._doomed(session, wanted))
            except NoPlace:
                if self._seen:
                    raise
        yield from wanted.values()

    def free_bytes(self) -> int | None:
        """What the quota leaves for files: base64 takes its share."""
        with self._borrowed(Operation.FREE_BYTES, "") as session:
            left = session.free_bytes()
            return None if left is None else max(0, left) * LINE_BYTES // encoded_size(LINE_BYTES)

    def close(self) -> None:
        self._connections.close()

    # ---- one file there and back -----------------------------------------------------------------------------------

    def _append(
        self, session: Session, upload: str, descriptor: int, *, key: Key, size: int, sent: ByteCounter
    ) -> dict[int, bytes]:
        """Adds the messages; what each must end with, by the place of its bytes in the file."""
        ends = {}
        for start in range(0, max(size, 1), PART_BYTES):
            size_here = min(PART_BYTES, size - start)
            content = _pieces(descriptor, start, start + size_here, name=key.name, sent=sent)
            part = Part(0, key.name, upload, start, size_here, size, "", 0)
            _, sending = message(part, self._sender, content)
            session.append(sending, seen=size_here == size)
            ends[start] = sending.end
        return ends

    def _finish(self, session: Session, upload: str, ends: dict[int, bytes], *, key: Key) -> None:
        """Makes sure that everything is there as it was sent, then removes what it replaces."""
        new = self._arrived(session, upload, key) or self._arrived(session, upload, key)
        if not new:
            reason = "the messages that were sent have not all arrived"
            raise self._failure(Unavailable, reason, Operation.PUT, key.name)
        for part in new:
            offset, size = end_of(part, ends[part.start])
            end = self._fetch(session, part, offset, size + 1, Operation.PUT)
            if not end:
                reason = "a message that was sent has gone, perhaps because another backup has replaced the file"
                raise self._failure(Unavailable, reason, Operation.PUT, key.name)
            if end != ends[part.start]:
                self._contents.remove(session, [new])
                reason = "the server has changed a message"
                raise self._failure(Unsupported, reason, Operation.PUT, key.name)
        # The new file counts already: who may not flag or expunge may put all the same.
        with suppress(SaidNo):
            if len(new) > 1:
                session.mark_seen([part.uid for part in new])
        with suppress(SaidNo):
            self._contents.remove(session, [put for put in self._contents.puts(key.name) if put[-1].uid < new[-1].uid])

    def _arrived(self, session: Session, upload: str, key: Key) -> Put:
        self._look(session)
        return next((put for put in self._contents.puts(key.name) if put[0].upload == upload), [])

    def _content(self, session: Session, part: Part, first: int, last: int, operation: Operation) -> Iterator[bytes]:
        """The bytes of a part from `first` to before `last`, counted from its own first."""
        while first < last:
            # Whole lines, since only those can be decoded alone; at the end what there is.
            begin = first - first % part.line
            size = min(-(-(last - begin) // part.line), _LINES_AT_ONCE) * part.line
            size = min(size, part.size - begin)
            offset = part.offset + encoded_size(begin, part.line)
            text = self._fetch(session, part, offset, encoded_size(size, part.line), operation)
            try:
                piece = decoded(text)
            except ValueError as error:
                raise self._failure(StorageError, f"damaged message: {error}", operation, part.name) from error
            if len(piece) != size:
                reason = "a message has been deleted meanwhile, or is damaged"
                raise self._failure(Unavailable, reason, operation, part.name)
            yield piece[first - begin : last - begin]
            first = begin + size

    def _fetch(self, session: Session, part: Part, offset: int, size: int, operation: Operation) -> bytes:
        items = f"BODY.PEEK[{part.section}]<{offset}.{size}>"
        with self._translating(operation, part.name):
            return next((found.content for found in session.fetch([part.uid], items)), b"")

    # ---- the mailbox -------------------------------------------------------------------------------------------------

    def _look(self, session: Session, *, make: bool = False) -> None:
        """Brings what is known of the mailbox up to date. Raises NoPlace."""
        self._contents.look(session, self._enter(session, make=make))
        self._seen = True

    def _enter(self, session: Session, *, make: bool) -> int:
        try:
            return session.enter()
        except SaidNo as error:
            if not may_mean_absent(str(error)) or session.is_there():
                raise
            if not make or self._seen:
                reason = f"there is no mailbox {self._mailbox} (--imap-mailbox)"
                raise self._failure(NoPlace, reason, Operation.LIST, "") from error
        session.create()
        return session.enter()

    def _file(self, session: Session, name: str, operation: Operation) -> Put:
        self._look(session)
        puts = self._contents.puts(name)
        self._tell_what_is_odd(puts)
        if not puts:
            raise NotFound(f"No file {name} at {self._place}", name=name, operation=operation.value)
        return puts[-1]

    def _sweep(self, session: Session) -> None:
        """Removes what dead writers have left, and what this one has. Refusals do not matter: it only takes room."""
        if not self._parts.looked:
            self._look(session, make=True)
            self._parts.see(put[0].upload for put in self._contents.unfinished())
            self._contents.look_for_removed(session)
            with suppress(SaidNo):
                self._contents.remove(session, self._contents.removed())
        abandoned = set(self._parts.take_abandoned())
        if abandoned:
            self._look(session)
            left = [put for put in self._contents.unfinished() if put[0].upload in abandoned]
            with suppress(SaidNo):
                self._contents.remove(session, _all_in(left, session.search("UNSEEN")))

    def _doomed(self, session: Session, names: Container[str]) -> Iterable[Put]:
        """All that is there of these files, but for what somebody may be putting just now."""
        left = [put for put in self._contents.unfinished() if put[0].name in names]
        if left:
            dead = PartNames()
            dead.see(put[0].upload for put in left)
            uploads = set(dead.take_abandoned())
            left = [put for put in left if put[0].upload in uploads] + _all_in(left, session.search("SEEN"))
        return left + [put for put in self._contents.puts() + self._contents.removed() if put[0].name in names]

    def _tell_what_is_odd(self, puts: Iterable[Put]) -> None:
        """What others who can send mail to the mailbox, or write into it, may have done to the backup; each once."""
        counted = Counter(put[0].name for put in puts)
        odd = [f"There is more than one file {name}; the newest is taken" for name in counted if counted[name] > 1]
        if self._contents.forged:
            odd.append("There is mail that pretends to be part of the backup; it is not taken for one")
        for text in odd:
            if text not in self._told:
                remedy = "Give the backup a mailbox that gets no mail (--imap-mailbox)"
                self._settings.warn(f"{text}. {remedy}; it is at {self._place}")
                self._told.add(text)

    # ---- the server --------------------------------------------------------------------------------------------------

    def _connect(self) -> Session:
        if self._settings.password is None:
            raise self._failure(Forbidden, "there is no password, set IMAP_PASSWORD", Operation.LIST, "")
        context = tls_context(self._settings)
        timeout = self._settings.timeout
        session = Session(self._address, self._mailbox, context=context, secret=self._secret, timeout=timeout)
        try:
            session.login(self._user, self._settings.password)
        except Lost:
            session.end()
            raise
        except Refusal as error:
            session.end()
            kind = meaning(str(error), otherwise=Forbidden)
            raise self._failure(kind, error, Operation.LIST, "") from error
        except BaseException:
            session.end()
            raise
        return session

    @contextmanager
    def _borrowed(self, operation: Operation, name: str) -> Iterator[Session]:
        """The connection, for this thread alone; what the server says and what breaks become StorageErrors."""
        # Twice, for the pool must see what has become of errors: they say what is lost.
        translating = self._translating
        with (
            self._lock,
            translating(operation, name),
            self._connections.borrowed() as session,
            translating(operation, name),
        ):
            yield session

    @contextmanager
    def _translating(self, operation: Operation, name: str) -> Iterator[None]:
        try:
            yield
        except Lost as error:
            cause = error.__context__
            if isinstance(cause, OSError):
                raise connection_failure(cause, operation=operation, name=name, place=self._place) from error
            raise self._failure(Unavailable, error, operation, name) from error
        except SaidNo as error:
            # Reading again harms nobody. A mailbox that has gone meanwhile is not one that was never there.
            kind = meaning(str(error), otherwise=Unavailable if operation in _READING else StorageError)
            raise self._failure(Unavailable if kind is NoPlace else kind, error, operation, name) from error
        except Refusal as error:
            raise self._failure(StorageError, error, operation, name) from error
        except (OSError, EOFError) as error:
            raise connection_failure(error, operation=operation, name=name, place=self._place) from error

    def _failure(self, kind: type[StorageError], reason: object, operation: Operation, name: str) -> StorageError:
        return failure(kind, reason, operation=operation, name=name, place=self._place)


def _all_in(puts: Iterable[Put], uids: set[int]) -> list[Put]:
    return [put for put in puts if uids.issuperset(part.uid for part in put)]


def _pieces(descriptor: int, start: int, end: int, *, name: str, sent: ByteCounter) -> Iterator[bytes]:
    """A stretch of a local file in pieces of whole lines; each is told when the next one is asked for."""
    while start < end:
        piece = b""
        while len(piece) < min(PIECE_BYTES, end - start):
            try:
                more = os.pread(descriptor, min(PIECE_BYTES, end - start) - len(piece), start + len(piece))
            except OSError as error:
                text = f"Cannot read on in {name}, which was to be stored: {error.strerror}"
                raise StorageError(text, name=name, operation=Operation.PUT.value) from error
            if not more:
                text = f"{name} has become shorter while it was stored; try again"
                raise StorageError(text, name=name, operation=Operation.PUT.value)
            piece += more
        yield piece
        sent(len(piece))
        start += len(piece)

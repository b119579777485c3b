"""webdav:// webdavs:// http:// https:// and their lftp+ names: a collection on a WebDAV server.

A file is sent under a temporary name, moved to its own when the server tells the right size, and replaces what was
there. Collections are always named with a slash at the end: servers refuse, redirect or delete too much without it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import quote_from_bytes

from twofold.concurrency import exclusion
from twofold.errors import (
    Incomplete,
    NoPlace,
    NotFound,
    StorageError,
    Unavailable,
    Unsupported,
)
from twofold.storage import local_files
from twofold.storage.drivers.webdav.multistatus import REQUEST, MultistatusReader, NotUnderstood, Resource
from twofold.storage.drivers.webdav.requests import Answer, Question, Requests
from twofold.storage.network_errors import failure
from twofold.storage.part_names import PartNames, is_unfinished
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Atomicity, ByteCounter, Key, Operation, StoredFile, StoreTraits, ignore_bytes
from twofold.storage.tls import tls_context
from twofold.storage.told_numbers import told_number
from twofold.storage.url import StorageUrl

_TRAITS = StoreTraits(parallel=4, atomic_put=Atomicity.BY_RENAME)
_PORTS = {"http": 80, "https": 443}
_PIECE = 1 << 18
_PARTIAL, _BAD, _MISSING, _NOT_ALLOWED, _CONFLICT, _GONE = 206, 400, 404, 405, 409, 410
_BEHIND_THE_END, _BAD_GATEWAY = 416, 502


class WebdavStore:
    """A Store on a WebDAV server; also CanReadRange, CanCopy and CanReportSpace.

    No exclusive creation: servers ignore If-None-Match, or look and write in two steps.
    """

    def __init__(self, url: StorageUrl, settings: StoreSettings) -> None:
        protocol = "https" if url.scheme.endswith("s") else "http"
        host = f"[{url.host}]" if ":" in url.host else url.host
        port = url.port or _PORTS[protocol]
        words = [word for word in url.path.split("/") if word]
        self._levels = [_encoded_collection(words[:number]) for number in range(len(words) + 1)]
        self._base = self._levels[-1]
        self._place = f"{url.scheme}://{host}:{port}{url.path}"
        self._seen = False
        self._parts = PartNames()
        self._preparing = exclusion()
        self._requests = Requests(
            f"{protocol}://{host}:{port}",
            self._base,
            place=self._place,
            login=None if url.user is None else (url.user, settings.password or ""),
            context=tls_context(settings) if protocol == "https" else None,
            settings=settings,
        )

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> WebdavStore:
        return cls(url, settings)

    @property
    def traits(self) -> StoreTraits:
        return _TRAITS

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)
        try:
            self._prepare(Operation.PUT)
            part = self._parts.new()
            try:
                self._send(part, descriptor, key=key, size=size, sent=sent)
                return self._finish(part, key, size=size, operation=Operation.PUT)
            except BaseException:
                self._parts.abandon(part)
                raise
        finally:
            os.close(descriptor)

    def copy(self, source: Key, target: Key) -> StoredFile:
        self._prepare(Operation.COPY)
        part = self._parts.new()
        try:
            size = self._stat(source.name, Operation.COPY).size
            self._transfer("COPY", source.name, part, operation=Operation.COPY)
            return self._finish(part, target, size=size, operation=Operation.COPY)
        except BaseException:
            self._parts.abandon(part)
            raise

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        operation, name = Operation.GET, key.name
        question = Question("GET", self._path(name), operation, name)
        with self._requests.streamed(question) as response:
            if response.status_code in {_MISSING, _GONE}:
                raise self._absent(operation, name)
            self._requests.require(response, question)
            size = told_number(response.headers.get("content-length", ""))
            if size is None:
                size = self._stat(name, operation).size
            with local_files.arriving(target, size=size, name=name) as arriving:
                pieces = response.iter_raw(_PIECE)
                while True:
                    with self._requests.translating(operation, name):
                        piece = next(pieces, None)
                    if piece is None:
                        break
                    local_files.write_all(arriving, piece)
                    received(len(piece))

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        operation, name = Operation.READ_RANGE, key.name
        if size <= 0:
            self._stat(name, operation)
            return b""
        headers = {"Range": f"bytes={start}-{start + size - 1}"}
        question = Question("GET", self._path(name), operation, name, headers)
        with self._requests.streamed(question) as response:
            if response.status_code == _BEHIND_THE_END:
                return b""
            if response.status_code in {_MISSING, _GONE}:
                raise self._absent(operation, name)
            self._requests.require(response, question)
            # Who does not know ranges sends everything.
            skipped = 0 if response.status_code == _PARTIAL else start
            content = bytearray()
            with self._requests.translating(operation, name):
                for piece in response.iter_raw(_PIECE):
                    content += piece
                    if skipped and (passed := min(skipped, len(content))):
                        del content[:passed]
                        skipped -= passed
                    if not skipped and len(content) >= size:
                        break
            return bytes(content[:size])

    def list(self) -> Iterator[StoredFile]:
        seen_before = self._seen
        try:
            found = self._files(Operation.LIST)
        except NoPlace:
            if seen_before:
                raise
            return iter(())
        return (self._sized(file) for file in found if not is_unfinished(file.name))

    def stat(self, key: Key) -> StoredFile:
        return self._stat(key.name, Operation.STAT)

    def delete(self, key: Key) -> None:
        question = Question("DELETE", self._path(key.name), Operation.DELETE, key.name)
        response = self._requests.ask(question)
        if response.status_code not in {_MISSING, _GONE}:
            self._requests.require(response, question)
        elif self._seen and isinstance(error := self._absent(Operation.DELETE, key.name), NoPlace):
            raise error

    def free_bytes(self) -> int | None:
        """As the server tells it of the place, or of what is above it as long as it is absent."""
        for path in reversed(self._levels):
            with suppress(NotFound):
                return self._properties(path, Operation.FREE_BYTES, "")[0].free_bytes
        return None

    def close(self) -> None:
        self._requests.close()

    # ---- one file there ---------------------------------------------------------------------------------------------

    def _send(self, part: str, descriptor: int, *, key: Key, size: int, sent: ByteCounter) -> None:
        moved = 0

        def content() -> Iterator[bytes]:
            """From the beginning each time: a server may ask for the password after it has got everything."""
            nonlocal moved
            os.lseek(descriptor, 0, os.SEEK_SET)
            if moved:
                sent(-moved)
                moved = 0
            for piece in local_files.pieces_of(descriptor, operation=Operation.PUT, name=key.name, size=_PIECE):
                yield piece
                moved += len(piece)
                sent(len(piece))

        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        question = Question("PUT", self._path(part), Operation.PUT, key.name, headers, content)
        response = self._requests.ask(question)
        if response.status_code in {_MISSING, _GONE}:
            raise self._failure(NoPlace, "the collection is gone", Operation.PUT, key.name)
        self._requests.require(response, question)

    def _finish(self, part: str, key: Key, *, size: int, operation: Operation) -> StoredFile:
        """Gives what has arrived its name. Raises Incomplete where it has not arrived, or has not got the name."""
        arrived = self._stat(part, operation)
        local_files.require_size(arrived.size, size, operation=operation, name=key.name)
        self._transfer("MOVE", part, key.name, operation=operation)
        try:
            named = self._stat(key.name, operation)
        except NotFound as error:
            reason = "the server says that it has moved the file, but does not have it; try again"
            raise self._failure(Incomplete, reason, operation, key.name) from error
        local_files.require_size(named.size, size, operation=operation, name=key.name)
        return named

    def _transfer(self, method: str, source: str, target: str, *, operation: Operation) -> None:
        path = self._path(target)
        answers: list[Answer] = []
        # Behind a proxy that does the TLS, a server takes its own whole address for somebody else's.
        for destination in (self._requests.address(path), path.decode()):
            headers = {"Destination": destination, "Overwrite": "T"}
            question = Question(method, self._path(source), operation, target, headers)
            answers.append(self._requests.ask(question))
            if answers[-1].status_code not in {_BAD, _BAD_GATEWAY}:
                break
        if answers[-1].status_code in {_MISSING, _GONE}:
            raise self._failure(Unavailable, f"{source} has been removed by somebody else", operation, target)
        if answers[-1].status_code == _NOT_ALLOWED:
            reason = f"the server does not allow {method}, without which a file could stay half written"
            raise self._failure(Unsupported, reason, operation, target)
        self._requests.require(answers[0] if answers[-1].status_code >= _BAD else answers[-1], question)

    # ---- the collection ---------------------------------------------------------------------------------------------

    def _prepare(self, operation: Operation) -> None:
        """Sees to it before the first write that the collection is there, and removes what dead writers left."""
        with self._preparing:
            if not self._seen or not self._parts.looked:
                self._look_or_make(operation)
        for name in self._parts.take_abandoned():
            # Housekeeping: a backup must not fail by it.
            with suppress(StorageError):
                self._requests.ask(Question("DELETE", self._path(name), Operation.DELETE, name))

    def _look_or_make(self, operation: Operation) -> None:
        seen_before = self._seen
        try:
            self._files(operation)
        except NoPlace:
            if seen_before:
                raise
            self._make(len(self._levels) - 1)
            self._files(operation)

    def _make(self, level: int) -> None:
        """Makes a collection, and before it those above that are missing."""
        question = Question("MKCOL", self._levels[level], Operation.PUT, "")
        response = self._requests.ask(question)
        if response.status_code in {_CONFLICT, _MISSING} and level > 0:
            self._make(level - 1)
            response = self._requests.ask(question)
        if response.status_code != _NOT_ALLOWED:  # it is there already
            self._requests.require(response, question)

    def _files(self, operation: Operation) -> tuple[Resource, ...]:
        """All that is no collection, unfinished ones too. Raises NoPlace."""
        found = self._properties(self._base, operation, "", depth="1")
        self._seen = True
        files = tuple(resource for resource in found if not resource.is_collection)
        self._parts.see(file.name for file in files)
        return files

    def _properties(self, path: bytes, operation: Operation, name: str, *, depth: str = "0") -> tuple[Resource, ...]:
        """What PROPFIND tells. Raises NotFound for a file, NoPlace for a collection."""
        headers = {"Depth": depth, "Content-Type": 'application/xml; charset="utf-8"'}
        reader = MultistatusReader()
        question = Question("PROPFIND", path, operation, name, headers, REQUEST)
        with self._requests.streamed(question) as response:
            if response.status_code in {_MISSING, _GONE}:
                kind, what = (NoPlace, "collection") if path.endswith(b"/") else (NotFound, "file")
                raise self._failure(kind, f"there is no such {what}", operation, name)
            self._requests.require(response, question)
            try:
                with self._requests.translating(operation, name):
                    for piece in response.iter_bytes(_PIECE):
                        reader.feed(piece)
                found = tuple(reader.end())
            except NotUnderstood as error:
                reason = f"the answer is no WebDAV: {error}; is the path right?"
                raise self._failure(StorageError, reason, operation, name) from error
        if not found:
            raise self._failure(StorageError, "the server tells nothing of it", operation, name)
        return found

    def _stat(self, name: str, operation: Operation) -> StoredFile:
        try:
            resource = self._properties(self._path(name), operation, name)[0]
        except NotFound as error:
            raise self._absent(operation, name) from error
        if resource.is_collection:
            raise self._failure(NotFound, "it is a collection", operation, name)
        return self._sized(resource, name)

    def _sized(self, resource: Resource, name: str = "") -> StoredFile:
        name = name or resource.name
        size = resource.size
        if size is None:
            question = Question("HEAD", self._path(name), Operation.STAT, name)
            response = self._requests.ask(question)
            self._requests.require(response, question)
            size = told_number(response.headers.get("content-length", ""))
            if size is None:
                raise self._failure(StorageError, "the server does not tell its size", Operation.STAT, name)
        return StoredFile(name, size)

    def _absent(self, operation: Operation, name: str) -> NotFound:
        """Whether the file is missing, or the whole place."""
        try:
            self._properties(self._base, operation, "")
        except NoPlace as error:
            error.name = name
            return error
        return NotFound(f"No file {name} at {self._place}", name=name, operation=operation.value)

    def _path(self, name: str) -> bytes:
        return self._base + _encoded(name)

    def _failure(self, kind: type[StorageError], reason: object, operation: Operation, name: str) -> StorageError:
        return failure(kind, reason, operation=operation, name=name, place=self._place)


def _encoded(word: str) -> bytes:
    return quote_from_bytes(word.encode("utf-8", "surrogateescape"), safe="").encode()


def _encoded_collection(words: list[str]) -> bytes:
    return b"/" + b"".join(_encoded(word) + b"/" for word in words)

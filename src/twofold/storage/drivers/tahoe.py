"""tahoe://alias/directory: files in a directory of a Tahoe-LAFS grid, through the web API of a node of the user's.

A file is linked into the directory when the grid has taken it whole. The alias stands for a capability, which is as
good as a password: it is in no message. Only one writer may change a directory at a time, or a change can be lost; one
node sees to that for all who use it, so nothing here is ever done through two.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from twofold.concurrency import exclusion
from twofold.errors import Forbidden, InvalidUrl, NoPlace, NotFound, StorageError, Unavailable, Unsupported
from twofold.storage import local_files
from twofold.storage.connections import Connections
from twofold.storage.network_errors import connection_failure, failure
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Atomicity, ByteCounter, Key, Operation, StoredFile, StoreTraits, ignore_bytes
from twofold.storage.tls import tls_context
from twofold.storage.told_numbers import told_number
from twofold.storage.url import StorageUrl

E = TypeVar("E", bound=StorageError)

_TRAITS = StoreTraits(parallel=2, atomic_put=Atomicity.BY_NATURE)
_PIECE = 1 << 18
_SLOWEST_GRID = 1 << 16
"""Bytes a second: the node answers a put when the grid has everything, and says nothing meanwhile."""
_PARTIAL, _MISSING, _LACKS_SHARES, _BEHIND_THE_END, _BROKEN = 206, 404, 410, 416, 500
_REFUSED = frozenset({401, 403})


class _Question(NamedTuple):
    """One request about a file of the directory (no name: the directory) and what it is for."""

    method: str
    operation: Operation
    name: str = ""
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    content: bytes | Callable[[], Iterator[bytes]] = b""
    size: int = 0


class TahoeStore:
    """A Store in a directory of a grid; also CanReadRange and CanCopy, which only links.

    No exclusive creation: only within one node would it be exclusive.
    """

    transport: httpx.BaseTransport | None = None
    """Put in place of the network by tests."""

    def __init__(self, url: StorageUrl, settings: StoreSettings) -> None:
        self._alias, *self._folders = [word for word in url.path.split("/") if word] or [""]
        if not self._alias:
            raise InvalidUrl(f"No alias in {url.redacted()}; write tahoe://alias/directory")
        self._place = url.redacted()
        self._settings = settings
        self._preparing = exclusion()
        self._is_made = False
        self._root = ""
        self._connections = Connections(self._connect, close=httpx.Client.close)

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> TahoeStore:
        return cls(url, settings)

    @property
    def traits(self) -> StoreTraits:
        return _TRAITS

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)

        def content() -> Iterator[bytes]:
            for piece in local_files.pieces_of(descriptor, operation=Operation.PUT, name=key.name, size=_PIECE):
                yield piece
                sent(len(piece))

        try:
            self._prepare()
            headers = {"Content-Length": str(size)}
            self._ask(_Question("PUT", Operation.PUT, key.name, {"format": "CHK"}, headers, content, size))
        finally:
            os.close(descriptor)
        stored = self._stat(key.name, Operation.PUT)
        local_files.require_size(stored.size, size, operation=Operation.PUT, name=key.name)
        return stored

    def copy(self, source: Key, target: Key) -> StoredFile:
        capability = self._facts(source.name, Operation.COPY)["ro_uri"].encode()
        self._ask(_Question("PUT", Operation.COPY, target.name, {"t": "uri"}, content=capability))
        return self._stat(target.name, Operation.COPY)

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        operation, name = Operation.GET, key.name
        with self._answered(_Question("GET", operation, name)) as response:
            size = told_number(response.headers.get("content-length", ""))
            if size is None:
                size = self._stat(name, operation).size
            with local_files.arriving(target, size=size, name=name) as arriving:
                for piece in self._pieces(response, operation, name):
                    local_files.write_all(arriving, piece)
                    received(len(piece))

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        operation, name = Operation.READ_RANGE, key.name
        wanted = min(size, self._stat(name, operation).size - start)
        if wanted <= 0:
            return b""
        headers = {"Range": f"bytes={start}-{start + wanted - 1}"}
        with self._answered(_Question("GET", operation, name, headers=headers)) as response:
            content = b"".join(self._pieces(response, operation, name))
            return content if response.status_code == _PARTIAL else content[start : start + wanted]

    def list(self) -> Iterator[StoredFile]:
        try:
            children = self._facts("", Operation.LIST)["children"]
        except NoPlace:
            return iter(())
        return (self._stored(name, facts) for name, (kind, facts) in children.items() if kind == "filenode")

    def stat(self, key: Key) -> StoredFile:
        return self._stat(key.name, Operation.STAT)

    def delete(self, key: Key) -> None:
        try:
            self._ask(_Question("DELETE", Operation.DELETE, key.name))
        except NotFound:
            return

    def close(self) -> None:
        self._connections.close()

    # ---- files and the directory ------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Makes the directory before the first write: were two puts to make it, the one would hide the other's."""
        with self._preparing:
            if not self._is_made:
                if self._folders:
                    self._ask(_Question("PUT", Operation.PUT, query={"t": "mkdir"}))  # leaves one that is there alone
                self._is_made = True

    def _stat(self, name: str, operation: Operation) -> StoredFile:
        return self._stored(name, self._facts(name, operation))

    def _facts(self, name: str, operation: Operation) -> dict[str, Any]:
        """What the node says of a file, or of the directory and what is in it. Raises NotFound, NoPlace."""
        with self._answered(_Question("GET", operation, name, {"t": "json"})) as response:
            content = b"".join(self._pieces(response, operation, name))
        try:
            kind, facts = json.loads(content)
        except ValueError as error:
            raise self._failure(StorageError, "the answer is not that of a Tahoe node", operation, name) from error
        if kind != ("filenode" if name else "dirnode"):
            raise self._failure(NotFound if name else NoPlace, "it is something else", operation, name)
        return dict(facts)

    def _stored(self, name: str, facts: Mapping[str, Any]) -> StoredFile:
        size = facts.get("size")
        if not isinstance(size, int):  # of a file that can change in its place, which nobody here makes
            with self._answered(_Question("HEAD", Operation.STAT, name)) as response:
                size = told_number(response.headers.get("content-length", "")) or 0
        linked = facts.get("metadata", {}).get("tahoe", {}).get("linkmotime")
        return StoredFile(name, size, None if linked is None else int(linked))

    # ---- the node ---------------------------------------------------------------------------------------------------

    def _connect(self) -> httpx.Client:
        origin = self._origin()
        return httpx.Client(
            base_url=origin,
            verify=tls_context(self._settings) if origin.startswith("https:") else False,
            headers={"Accept-Encoding": "identity", "User-Agent": "twofold"},
            timeout=self._settings.timeout,
            trust_env=False,
            transport=self.transport,
        )

    def _origin(self) -> str:
        origin = self._settings.environment.get("TAHOE_URL") or self._configured("node.url")
        try:
            fits = urlsplit(origin).scheme in {"http", "https"} and bool(urlsplit(origin).hostname)
        except ValueError:
            fits = False
        if not fits:
            raise StorageError(f"{self._place}: the address in TAHOE_URL or node.url is none; write http://host:port")
        return origin

    def _capability(self) -> str:
        if not self._root:
            for line in self._configured("private/aliases").splitlines():
                alias, _, capability = line.partition(":")
                if alias.strip() == self._alias and not line.startswith("#"):
                    self._root = capability.strip()
            if not self._root:
                raise StorageError(
                    f"{self._place}: no such alias in ~/.tahoe/private/aliases; tahoe add-alias makes it"
                )
        return self._root

    def _configured(self, name: str) -> str:
        """What stands in a file of the node's directory, as the tahoe program reads it."""
        path = os.path.join(self._settings.environment.get("HOME", ""), ".tahoe", name)
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                return file.read().strip()
        except OSError as error:
            remedy = "set up a node with tahoe create-client" + ("" if "/" in name else ", or set TAHOE_URL")
            raise StorageError(f"{self._place}: cannot read {path}: {error.strerror}; {remedy}") from error

    def _ask(self, question: _Question) -> None:
        with self._answered(question) as response:
            for _ in self._pieces(response, question.operation, question.name):
                continue  # so that the connection can be used again

    @contextmanager
    def _answered(self, question: _Question) -> Iterator[httpx.Response]:
        """A good answer, its content still to be read. Raises what any other means."""
        timeout = httpx.Timeout(self._settings.timeout, read=self._settings.timeout + question.size / _SLOWEST_GRID)
        content = question.content
        with self._connections.borrowed() as client:
            with self._translating(question.operation, question.name):
                request = client.build_request(
                    question.method,
                    self._path(question),
                    params=question.query,
                    headers=dict(question.headers),
                    content=content if isinstance(content, bytes) else content(),
                    timeout=timeout,
                )
                response = client.send(request, stream=True)
            try:
                if not response.is_success:
                    raise self._refusal(response, question)
                yield response
            finally:
                response.close()

    def _path(self, question: _Question) -> str:
        words = [self._capability(), *self._folders, *([question.name] if question.name else [])]
        try:
            return "/uri/" + "/".join(quote(word, safe="", errors="strict") for word in words)
        except UnicodeEncodeError as error:
            reason = "Tahoe takes names in UTF-8 only"
            raise self._failure(Unsupported, reason, question.operation, question.name) from error

    def _refusal(self, response: httpx.Response, question: _Question) -> StorageError:
        operation, name, status = question.operation, question.name, response.status_code
        if status == _MISSING:
            return self._absent(operation, name)
        if status == _LACKS_SHARES:
            return self._failure(Unavailable, "too few of the grid's servers have its pieces now", operation, name)
        kind = Forbidden if status in _REFUSED else Unavailable if status >= _BROKEN else StorageError
        # NB: never what the answer goes on to say: there are capabilities in it.
        error = self._failure(kind, f"HTTP {status} {response.reason_phrase}", operation, name)
        if isinstance(error, Unavailable):
            error.retry_after = told_number(response.headers.get("retry-after", ""))
        return error

    def _absent(self, operation: Operation, name: str) -> NotFound:
        """Whether the file is missing, or the whole directory."""
        if name:
            try:
                self._facts("", operation)
            except NoPlace as error:
                error.name = name
                return error
            return NotFound(f"No file {name} at {self._place}", name=name, operation=operation.value)
        return self._failure(NoPlace, "there is no such directory", operation, name)

    def _pieces(self, response: httpx.Response, operation: Operation, name: str) -> Iterator[bytes]:
        pieces = response.iter_bytes(_PIECE)
        while True:
            with self._translating(operation, name):
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    @contextmanager
    def _translating(self, operation: Operation, name: str) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise connection_failure(TimeoutError(), operation=operation, name=name, place=self._place) from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            # The library's words may hold the address, and that the capability.
            reason = (
                "the node does not answer; is it running?"
                if isinstance(error, httpx.ConnectError)
                else ("the connection to the node broke")
            )
            raise self._failure(Unavailable, reason, operation, name) from error

    def _failure(self, kind: type[E], reason: object, operation: Operation, name: str) -> E:
        return failure(kind, reason, operation=operation, name=name, place=self._place)

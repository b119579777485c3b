"""HTTP as the WebDAV store needs it: who we are, requests with files as bodies, and what answers mean.

Redirects are followed only where they stay on the server: elsewhere nobody is sent the password.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import httpx

from twofold.errors import (
    AlreadyExists,
    Forbidden,
    NoPlace,
    NoSpace,
    NotFound,
    StorageError,
    Unavailable,
    Unsupported,
    UserError,
)
from twofold.storage.connections import Connections
from twofold.storage.drivers.webdav.multistatus import MultistatusReader, NotUnderstood
from twofold.storage.network_errors import connection_failure, failure
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Operation
from twofold.storage.told_numbers import told_number

Body = bytes | Callable[[], Iterator[bytes]]

_MOST_REDIRECTS = 5
_LONGEST_CONTENT = 1 << 20
_MULTISTATUS = 207
_CHANGING = frozenset({"MOVE", "COPY", "DELETE"})
_DONE = frozenset({200, 201, 204})
"""What says that a change has been made: 202 only promises it, and 207 lists what has failed."""
_REDIRECTS = frozenset({301, 302, 307, 308})
_TRY_AGAIN = frozenset({408, 423, 425, 429})
_KINDS: dict[int, type[StorageError]] = {
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    405: Unsupported,
    407: Forbidden,
    409: NoPlace,
    410: NotFound,
    412: AlreadyExists,
    413: NoSpace,
    501: Unsupported,
    505: Unsupported,
    507: NoSpace,
}


class Question(NamedTuple):
    """One request and what it is for; a body is given as bytes or as what begins it, each time anew."""

    method: str
    path: bytes
    operation: Operation
    name: str
    headers: Mapping[str, str] | None = None
    body: Body = b""


class Answer(NamedTuple):
    """What came of a request; the status of a change that failed in part is that of the part."""

    status_code: int
    reason_phrase: str
    headers: httpx.Headers


class _Restartable:
    """A body that can be sent again from its beginning: after a challenge, after a redirect."""

    def __init__(self, begin: Callable[[], Iterator[bytes]]) -> None:
        self._begin = begin

    def __iter__(self) -> Iterator[bytes]:
        return self._begin()


class _Login(httpx.Auth):
    """Answers what the server asks for, Basic or Digest, and from then on without being asked."""

    def __init__(self, user: str, password: str) -> None:
        self._user, self._password = user, password
        self._chosen: httpx.Auth | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if self._chosen is not None:
            yield from self._chosen.auth_flow(request)
            return
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._chosen = chosen = self._choose(response.headers.get_list("www-authenticate"))
            yield from chosen.auth_flow(request)

    def _choose(self, challenges: list[str]) -> httpx.Auth:
        offered = {challenge.split()[0].lower() for challenge in challenges if challenge.strip()}
        user, password = self._user.encode(), self._password.encode()
        return httpx.DigestAuth(user, password) if "digest" in offered else httpx.BasicAuth(user, password)


class Requests:
    """Requests to one origin; `base` is the path to log in at, `place` what messages call the target.

    Each thread at work has a client, and so a connection, of its own: the library's pool closes connections that
    another thread is about to use when the server has ended them.
    """

    transport: httpx.BaseTransport | None = None
    """Put in place of the network by tests."""

    def __init__(
        self,
        origin: str,
        base: bytes,
        *,
        place: str,
        login: tuple[str, str] | None,
        context: ssl.SSLContext | None,
        settings: StoreSettings,
    ) -> None:
        self._place = place
        self._origin = httpx.URL(origin)
        self._base = base
        self._login = login
        self._context = context
        self._timeout = settings.timeout
        self._headers = {"Accept-Encoding": "identity", "User-Agent": "twofold", **_own_headers(settings)}
        self._connections = Connections(self._connect, close=httpx.Client.close)

    def _connect(self) -> httpx.Client:
        client = httpx.Client(
            auth=_Login(*self._login) if self._login else None,
            verify=self._context or False,  # without TLS there is nothing to verify
            headers=self._headers,
            timeout=self._timeout,
            # The environment is not ours to read: no proxies, no ~/.netrc.
            trust_env=False,
            transport=self.transport,
        )
        if self._login:
            try:
                # Else the first file would be sent twice: before and after the server asks who we are.
                address = self._origin.copy_with(raw_path=self._base)
                with self.translating(Operation.LIST, ""), client.stream("OPTIONS", address) as response:
                    for _ in _short_content(response):
                        continue  # so that the connection can be used again
            except BaseException:
                client.close()
                raise
        return client

    def address(self, path: bytes) -> str:
        """Of an already encoded path."""
        return str(self._origin.copy_with(raw_path=path))

    @contextmanager
    def streamed(self, question: Question) -> Iterator[httpx.Response]:
        """The answer, whatever it is, its content still to be read (within `translating`)."""
        with self._connections.borrowed() as client:
            with self.translating(question.operation, question.name):
                response = self._answer(client, question)
            try:
                yield response
            finally:
                response.close()

    def ask(self, question: Question) -> Answer:
        """The answer; of its content only what it lists as failed counts."""
        with self.streamed(question) as response:
            status, reader = response.status_code, MultistatusReader()
            lists_failures = status == _MULTISTATUS and question.method in _CHANGING
            try:
                with self.translating(question.operation, question.name):
                    for piece in _short_content(response):
                        if lists_failures:
                            reader.feed(piece)
            except NotUnderstood:
                pass  # then the 207 itself is the refusal
            reason = f"{response.reason_phrase} within a 207" if reader.refusal else response.reason_phrase
            return Answer(reader.refusal or status, reason, response.headers)

    def _answer(self, client: httpx.Client, question: Question) -> httpx.Response:
        url = self._origin.copy_with(raw_path=question.path)
        for _ in range(_MOST_REDIRECTS):
            content = question.body if isinstance(question.body, bytes) else _Restartable(question.body)
            request = client.build_request(question.method, url, headers=question.headers, content=content)
            response = client.send(request, stream=True)
            if response.status_code not in _REDIRECTS or "location" not in response.headers:
                return response
            response.close()
            wanted = url.join(response.headers["location"])
            if (wanted.scheme, wanted.host, wanted.port) != (url.scheme, url.host, url.port):
                elsewhere = f"{wanted.scheme}://{wanted.netloc.decode()}"
                reason = f"the server sends us to {elsewhere}; use that address if you trust it"
                raise self._failure(StorageError, reason, question)
            url = wanted
        raise self._failure(StorageError, "the server sends us from one address to another without end", question)

    def _failure(self, kind: type[StorageError], reason: object, question: Question) -> StorageError:
        return failure(kind, reason, operation=question.operation, name=question.name, place=self._place)

    def require(self, response: httpx.Response | Answer, question: Question) -> None:
        """Raises what a refusal means; nothing for an answer of the kind 2xx that says that all has been done."""
        status = response.status_code
        if status in _DONE or (httpx.codes.is_success(status) and question.method not in _CHANGING):
            return
        kind = _KINDS.get(status) or (Unavailable if status in _TRY_AGAIN or status >= 500 else StorageError)
        reason = f"HTTP {status} {response.reason_phrase} after {question.method}"
        error = self._failure(kind, reason, question)
        if isinstance(error, Unavailable):
            error.retry_after = told_number(response.headers.get("retry-after", ""))
        raise error

    def close(self) -> None:
        self._connections.close()

    @contextmanager
    def translating(self, operation: Operation, name: str) -> Iterator[None]:
        """Turns what the library raises into what a store says."""
        try:
            yield
        except httpx.TimeoutException as error:
            raise connection_failure(TimeoutError(), operation=operation, name=name, place=self._place) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            cause = _cause(error)
            if isinstance(cause, OSError):
                raise connection_failure(cause, operation=operation, name=name, place=self._place) from error
            kind = Unavailable if isinstance(error, httpx.TransportError) else StorageError
            raise failure(kind, error, operation=operation, name=name, place=self._place) from error


def _short_content(response: httpx.Response) -> Iterator[bytes]:
    """The content as far as it is of a decent length; behind that the connection is of no more use."""
    left = _LONGEST_CONTENT
    for piece in response.iter_bytes():
        left -= len(piece)
        if left < 0:
            return
        yield piece


def _cause(error: BaseException) -> BaseException | None:
    """What the system said, below the library's own words."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return cause


def _own_headers(settings: StoreSettings) -> dict[str, str]:
    """Those of --webdav-headers, NAME,VALUE,NAME,VALUE. Raises UserError when one has no value."""
    text = settings.options.webdav_headers
    words = [word.strip() for word in text.split(",")] if text else []
    if len(words) % 2 or not all(words[::2]):
        raise UserError("--webdav-headers wants NAME,VALUE,NAME,VALUE,…: a name lacks its value")
    return dict(zip(words[::2], words[1::2], strict=True))

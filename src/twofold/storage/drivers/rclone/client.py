"""Calls to the rclone beside us: JSON over HTTP over its socket, several at once, each on a connection of its own."""

from __future__ import annotations

import http.client
import json
import select
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from twofold.errors import StorageError, Unavailable, Unsupported
from twofold.storage.connections import Connections
from twofold.storage.drivers.rclone.faults import meaning
from twofold.storage.network_errors import failure
from twofold.storage.store import Operation

_OK, _PARTIAL = 200, 206
_WATCH_EVERY: Final = 250
"""Milliseconds between looks at how far a transfer has got."""


class Doing(NamedTuple):
    """What a call is for, as errors say it."""

    operation: Operation
    name: str = ""


class Client:
    """Safe between threads. `address` gives the socket's path; `place` is for messages, `secrets` are never in them.

    `patience` are seconds in which rclone must say or move something; it watches the network itself, less patiently.
    """

    def __init__(
        self, address: Callable[[], str], *, place: str, patience: float, secrets: tuple[str, ...] = ()
    ) -> None:
        self._place = place
        self._patience = patience
        self._secrets = secrets
        self._connections = Connections(lambda: _Wire(address(), patience), close=_Wire.close)

    def call(self, command: str, doing: Doing, **arguments: object) -> dict[str, Any]:
        """Has something done and gives the answer. Raises StorageError."""
        return self._exchange(command, doing, arguments, watch=None)

    def watched(self, command: str, doing: Doing, watch: Callable[[], bool], **arguments: object) -> dict[str, Any]:
        """As `call`; `watch` is called now and then meanwhile and says whether anything has moved.

        What it raises ends the connection, and by that rclone's work.
        """
        return self._exchange(command, doing, arguments, watch=watch)

    @contextmanager
    def opened(self, fs: str, path: str, doing: Doing, *, span: tuple[int, int] | None = None) -> Iterator[Content]:
        """A file's content, or the bytes of `span` (first, last) alone. Raises StorageError."""
        if "]" in fs:
            reason = "rclone cannot read from a folder with ] in its name"
            raise failure(Unsupported, reason, operation=doing.operation, name=doing.name, place=self._place)
        headers = {"Range": f"bytes={span[0]}-{span[1]}"} if span else {}
        with self._connections.borrowed() as wire:
            with self._translating(doing):
                wire.request("GET", f"/{quote(f'[{fs}]/{path}')}", headers=headers)
                answer = wire.getresponse()
                text = b"" if answer.status in {_OK, _PARTIAL} else answer.read()
            if text:
                raise self._failure(answer.status, _words(text), doing)
            try:
                yield Content(self, answer, doing)
            finally:
                # What is left in a connection after an early end would be taken for the next answer.
                if not answer.isclosed():
                    answer.close()
                    wire.close()

    def close(self) -> None:
        """Ends the connections; may be called twice."""
        self._connections.close()

    def _exchange(
        self, command: str, doing: Doing, arguments: Mapping[str, object], *, watch: Callable[[], bool] | None
    ) -> dict[str, Any]:
        try:
            body = json.dumps(arguments, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            reason = "rclone takes names in UTF-8 only"
            raise failure(Unsupported, reason, operation=doing.operation, name=doing.name, place=self._place) from error
        with self._connections.borrowed() as wire, self._translating(doing):
            wire.request("POST", f"/{command}", body, {"Content-Type": "application/json"})
            if watch is not None:
                wire.wait(watch)
            answer = wire.getresponse()
            content = answer.read()
        if answer.status != _OK:
            raise self._failure(answer.status, _words(content), doing)
        decoded: dict[str, Any] = json.loads(content)
        return decoded

    @contextmanager
    def _translating(self, doing: Doing) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            reason = f"rclone has neither answered nor moved anything for {self._patience:.0f} seconds"
            raise failure(Unavailable, reason, operation=doing.operation, name=doing.name, place=self._place) from error
        except (OSError, http.client.HTTPException) as error:
            reason = f"rclone has hung up: {error or type(error).__name__}"
            raise failure(Unavailable, reason, operation=doing.operation, name=doing.name, place=self._place) from error

    def _failure(self, status: int, text: str, doing: Doing) -> StorageError:
        for secret in self._secrets:
            text = text.replace(secret, "*****")
        return failure(meaning(status, text), text, operation=doing.operation, name=doing.name, place=self._place)


class Content:
    """What comes from `Client.opened`: `size` is None where rclone does not say."""

    def __init__(self, client: Client, answer: http.client.HTTPResponse, doing: Doing) -> None:
        self._client = client
        self._answer = answer
        self._doing = doing
        self.is_partial = answer.status == _PARTIAL
        length = answer.headers.get("Content-Length")
        self.size = int(length) if length is not None else None

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, nothing at the end. Raises Unavailable when the end comes early."""
        with self._client._translating(self._doing):
            piece = self._answer.read(size)
            if not piece and self._answer.length:
                raise http.client.IncompleteRead(b"", self._answer.length)
        return piece


class _Wire(http.client.HTTPConnection):
    """A connection to the socket at `path`."""

    def __init__(self, path: str, patience: float) -> None:
        super().__init__("rclone", timeout=patience)
        self._path = path
        self._patience = patience

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self._patience)
        self.sock.connect(self._path)

    def wait(self, watch: Callable[[], bool]) -> None:
        """Until the answer begins. Raises TimeoutError when nothing moves for too long."""
        answer = select.poll()
        answer.register(self.sock, select.POLLIN)
        moved = monotonic()
        while not answer.poll(_WATCH_EVERY):
            if watch():
                moved = monotonic()
            elif monotonic() - moved > self._patience:
                raise TimeoutError


def _words(content: bytes) -> str:
    """What an answer says is wrong."""
    try:
        said = json.loads(content)
    except ValueError:
        return content.decode("utf-8", "replace")
    return str(said.get("error", "")) if isinstance(said, dict) else str(said)

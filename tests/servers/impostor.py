"""Somebody else at the service's address: a captive portal, a proxy, a page that says that all is well."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from tests.servers.process import HOST


class Answer(NamedTuple):
    """What is said to a request; the end of the connection is the end of the body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}


Impostor = Callable[[str, str], Answer]
"""Method and path of a request to the answer."""


class _Front(BaseHTTPRequestHandler):
    def __init__(self, impostor: Impostor, *arguments: object) -> None:
        self._impostor = impostor
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        found = self._impostor(self.command, self.path)
        self.send_response(found.status)
        for name, value in found.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(found.body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


@contextlib.contextmanager
def impostor(answer: Impostor) -> Iterator[int]:
    """The port at which every request is answered so."""
    server = ThreadingHTTPServer((HOST, 0), partial(_Front, answer))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""A server of one-line commands that misbehaves: a proxy that answers some of them by itself, or hangs up."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections import deque
from collections.abc import Iterator

from tests.servers.process import HOST


class LineProxy:
    """Passes on what comes, except commands for which a rule is given; `seen` are the commands, without their tags.

    STARTTLS is hidden from the client: what is secret cannot be read.
    """

    def __init__(self, target_port: int) -> None:
        self.seen: list[str] = []
        self._rules: deque[tuple[re.Pattern[str], str]] = deque()
        self._target_port = target_port
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def answer(self, pattern: str, *answers: str) -> None:
        """The next commands that match are answered so, one each: `OK` and `NO` as they are, `CUT` ends the connection.

        `PASS` lets one through.
        """
        self._rules.extend((re.compile(pattern), answer) for answer in answers)

    def close(self) -> None:
        for end in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with self._listener, contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((HOST, self._target_port))
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets += [client, server]
                for function, source, sink in ((self._forth, client, server), (self._back, server, client)):
                    self._threads.append(threading.Thread(target=function, args=(source, sink), daemon=True))
                    self._threads[-1].start()

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with server, contextlib.suppress(OSError, ValueError), server.makefile("rb") as lines:
            for line in lines:
                hidden = line.replace(b"STARTTLS", b"XTARTTLS") if b"CAPABILITY" in line else line
                client.sendall(hidden)
        _end(client)

    def _forth(self, client: socket.socket, server: socket.socket) -> None:
        with client, contextlib.suppress(OSError, ValueError), client.makefile("rb") as lines:
            for line in lines:
                tag, _, command = line.decode("utf-8", "replace").rstrip().partition(" ")
                self.seen.append(command)
                answer = self._answer(command)
                if answer == "CUT":
                    _end(client)
                    break
                if answer == "PASS":
                    server.sendall(line)
                else:
                    client.sendall(f"{tag} {answer}\r\n".encode())
        _end(server)

    def _answer(self, command: str) -> str:
        for rule in self._rules:
            if rule[0].match(command):
                self._rules.remove(rule)
                return rule[1]
        return "PASS"


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def line_proxy(target_port: int) -> Iterator[LineProxy]:
    """A proxy to a port of this machine."""
    proxy = LineProxy(target_port)
    try:
        yield proxy
    finally:
        proxy.close()

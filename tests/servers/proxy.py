"""A bad network between a driver and its server: a proxy that delays, resets, stalls, cuts short or says 503."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from queue import SimpleQueue

from tests.servers.process import HOST

_PIECE = 1 << 16


class Fault(Enum):
    """What the proxy does to a connection."""

    NONE = "passes everything on"
    DELAY = "holds every byte back"
    RESET = "resets after some bytes"
    STALL = "passes no byte on after some"
    SHORT = "closes after some bytes as if all were well"
    BUSY = "answers 503 Slow Down"


@dataclass
class Weather:
    """What happens to the next connections; may be changed while the proxy runs.

    A fault hits the first `times` connections from now on, those of `every`-th number only, after `after` bytes of
    either direction; `broken` counts those that came so far. `delay` is in seconds, one way. `retry_after` goes with
    BUSY.
    """

    fault: Fault = Fault.NONE
    times: int = 1 << 30
    every: int = 1
    after: int = 1 << 20
    delay: float = 0.01
    retry_after: str = ""
    hits: int = 0
    broken: int = 0
    connections: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_fault(self) -> Fault:
        with self.lock:
            self.connections += 1
            if self.fault is Fault.NONE or self.hits >= self.times or self.connections % self.every:
                return Fault.NONE
            if self.fault is not Fault.DELAY:
                self.hits += 1
            return self.fault


class Proxy:
    """Listens on a port of its own and passes connections on to another one of `HOST`."""

    def __init__(self, target_port: int, address: tuple[str, int] = (HOST, 0)) -> None:
        self.weather = Weather()
        self._target_port = target_port
        self._listener = socket.create_server(address, backlog=100)
        self.port: int = self._listener.getsockname()[1]
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._spawn(self._accept)

    def drop_connections(self) -> None:
        """Ends all connections; new ones are served."""
        with self._lock:
            found = list(self._sockets)
        for end in found:
            _wake(end)

    def close(self) -> None:
        """Ends everything and waits for it."""
        self._closing.set()
        _wake(self._listener)
        while True:
            self.drop_connections()
            with self._lock:
                if not self._threads:
                    return
                thread = self._threads.pop()
            thread.join(10)

    def _spawn(self, function: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with self._listener:
            while not self._closing.is_set():
                try:
                    client, _ = self._listener.accept()
                except OSError:
                    return
                self._spawn(self._serve, client, self.weather.next_fault())

    def _serve(self, client: socket.socket, fault: Fault) -> None:
        """One connection: this thread passes on what the client sends, another one what the server answers."""
        with client:
            if fault is Fault.BUSY:
                _refuse(client, self.weather.retry_after)
                return
            try:
                server = socket.create_connection((HOST, self._target_port))
            except OSError:
                return
            with server:
                ends = {client, server}
                with self._lock:
                    self._sockets |= ends
                if self._closing.is_set():
                    return
                for end in ends:
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                pump = _hold_back if fault is Fault.DELAY else self._pump
                passed = [0]
                back = threading.Thread(target=pump, args=(server, client, fault, passed, self.weather), daemon=True)
                back.start()
                pump(client, server, fault, passed, self.weather)
                back.join()
                with self._lock:
                    self._sockets -= ends

    def _pump(
        self, source: socket.socket, sink: socket.socket, fault: Fault, passed: list[int], weather: Weather
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE):
                passed[0] += len(data)
                if fault is not Fault.NONE and passed[0] > weather.after:
                    weather.broken += 1
                    self._break((source, sink), fault)
                    return
                sink.sendall(data)
        _finish(source, sink)

    def _break(self, ends: tuple[socket.socket, socket.socket], fault: Fault) -> None:
        if fault is Fault.STALL:
            self._closing.wait(300)
        for end in ends:
            with contextlib.suppress(OSError):
                if fault is Fault.RESET:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.shutdown(socket.SHUT_RD)  # wakes whoever reads from it, else closing would wait for him
                else:
                    end.shutdown(socket.SHUT_RDWR)


def _hold_back(source: socket.socket, sink: socket.socket, _fault: Fault, _passed: list[int], weather: Weather) -> None:
    """Each byte arrives later, but as many at once as without us: what a long line does."""
    line: SimpleQueue[tuple[float, bytes]] = SimpleQueue()

    def read() -> None:
        data = b"-"
        while data:
            try:
                data = source.recv(_PIECE)
            except OSError:
                data = b""
            line.put((time.monotonic() + weather.delay, data))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    data = b"-"
    while data:
        due, data = line.get()
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            sink.sendall(data)
        except OSError:
            _wake(source)
    reader.join()
    _finish(source, sink)


def _wake(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


def _finish(source: socket.socket, sink: socket.socket) -> None:
    for end, how in ((sink, socket.SHUT_WR), (source, socket.SHUT_RD)):
        with contextlib.suppress(OSError):
            end.shutdown(how)


def _refuse(client: socket.socket, retry_after: str) -> None:
    head = f"Retry-After: {retry_after}\r\n" if retry_after else ""
    answer = f"HTTP/1.1 503 Slow Down\r\n{head}Content-Length: 0\r\nConnection: close\r\n\r\n"
    with contextlib.suppress(OSError):
        client.recv(_PIECE)
        client.sendall(answer.encode())
        client.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def proxied(target_port: int, address: tuple[str, int] = (HOST, 0)) -> Iterator[Proxy]:
    """A proxy to a port of this machine."""
    proxy = Proxy(target_port, address)
    try:
        yield proxy
    finally:
        proxy.close()

"""Starts a server, waits until it answers, and ends it with all its children."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.tools import unavailable

HOST = "127.0.0.1"
_SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")
_PATIENCE = 60.0
_FIRST_PORT, _LAST_PORT = 20000, 32000  # below the range from which the system takes ports for outgoing connections


class Running(NamedTuple):
    """A server that answers: its ports in the order asked for, and the folder for its files."""

    ports: tuple[int, ...]
    folder: Path

    @property
    def port(self) -> int:
        return self.ports[0]


Command = Sequence[str]
Recipe = Callable[[Path, Sequence[int]], "Command | Sequence[Command]"]


def program(name: str) -> str:
    """The path of a server's program: in PATH, where servers of the system lie, or in the venv of the test servers."""
    folders = [_own_folder(), os.environ.get("PATH", ""), *_SYSTEM_FOLDERS]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        unavailable(f"{name} is not installed")
        raise AssertionError
    return found


def interpreter() -> str:
    """A Python that has the libraries of the test servers."""
    path = str(Path(_own_folder()) / "python3")
    if not Path(path).exists():
        unavailable("the servers of PyPI are not installed: scripts/install_servers.sh .build/servers")
    return path


def _own_folder() -> str:
    return os.environ.get("TWOFOLD_TEST_SERVERS") or str(Path(__file__).parents[2] / ".build/servers/bin")


def require_root(what: str) -> None:
    """Some servers start only as root."""
    if os.geteuid() != 0:
        unavailable(f"{what} has to be started by root")


def free_ports(count: int) -> tuple[int, ...]:
    """Ports that nobody listens on at this moment and that no outgoing connection is given."""
    found: list[int] = []
    first = _FIRST_PORT + (os.getpid() * 37 + time.monotonic_ns() // 1000) % (_LAST_PORT - _FIRST_PORT)
    for step in range(_LAST_PORT - _FIRST_PORT):
        port = _FIRST_PORT + (first - _FIRST_PORT + step) % (_LAST_PORT - _FIRST_PORT)
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return tuple(found)
    raise AssertionError("no free port")


@contextlib.contextmanager
def serving(
    recipe: Recipe,
    *,
    ports: int = 1,
    environment: Mapping[str, str] | None = None,
    answering: int | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[Running]:
    """A server made by `recipe`, which gets a fresh folder and port numbers and gives one command line or several.

    It counts as started when its first `answering` ports (all, if that is None) accept connections. One that dies of
    a port that was taken meanwhile is started again with other ports.
    """
    folder = Path(tempfile.mkdtemp(prefix="twofold-server-"))
    folder.chmod(0o755)
    try:
        for attempt in range(3):
            place = folder / str(attempt)
            place.mkdir()
            numbers = free_ports(ports)
            commands = _commands(recipe(place, numbers))
            log = place / "server.log"
            processes = [_start(command, log, environment) for command in commands]
            try:
                if _answers(processes, numbers[:answering]):
                    yield Running(numbers, place)
                    return
            finally:
                _stop(processes, stop)
        raise AssertionError(f"{commands[0][0]} does not start:\n{log.read_text(errors='replace')[-4000:]}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _commands(made: Command | Sequence[Command]) -> list[list[str]]:
    return [[str(word) for word in made]] if isinstance(made[0], str) else [[*command] for command in made]


def _start(command: Command, log: Path, environment: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            cwd=log.parent,
            env={**os.environ, **(environment or {})},
        )


def _answers(processes: Sequence[subprocess.Popen[bytes]], ports: Sequence[int]) -> bool:
    """Whether all of them listen; False when one has died."""
    left = list(ports)
    end = time.monotonic() + _PATIENCE
    while left and time.monotonic() < end:
        if any(process.poll() is not None for process in processes):
            return False
        try:
            socket.create_connection((HOST, left[0]), timeout=1).close()
            left.pop(0)
        except OSError:
            time.sleep(0.01)
    return not left


def _stop(processes: Sequence[subprocess.Popen[bytes]], first: signal.Signals) -> None:
    for number in (first, signal.SIGKILL):
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=2)

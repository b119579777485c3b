"""A grid of Tahoe-LAFS: an introducer and one node that stores shares and has the web API."""

from __future__ import annotations

import contextlib
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.servers.process import HOST, Running, program, serving

_PATIENCE = 60.0


@contextlib.contextmanager
def tahoe() -> Iterator[Running]:
    """One port, that of the web API. One share of each file, so that a single server will do."""
    with _introducer() as introducer:
        furl = _read(introducer.folder / "intro/private/introducer.furl")

        def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
            node = folder / "node"
            shares = ["--shares-needed=1", "--shares-happy=1", "--shares-total=1"]
            web = f"--webport=tcp:{ports[0]}:interface={HOST}"
            _create("create-node", f"--introducer={furl}", *_listening(ports[1]), web, *shares, str(node))
            return [program("tahoe"), "run", "--allow-stdin-close", str(node)]

        with serving(recipe, ports=2) as running:
            # The node answers before it has found its own storage through the introducer: until then no put succeeds.
            make_directory(running)
            yield running


def make_directory(running: Running) -> str:
    """The capability of a new directory."""
    end = time.monotonic() + _PATIENCE
    request = urllib.request.Request(f"http://{HOST}:{running.port}/uri?t=mkdir", method="POST")
    while True:
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def make_home(home: Path, port: int, aliases: dict[str, str]) -> None:
    """What the tahoe program expects to find in a home directory."""
    (home / ".tahoe/private").mkdir(parents=True)
    (home / ".tahoe/node.url").write_text(f"http://{HOST}:{port}/\n")
    lines = [f"{alias}: {capability}\n" for alias, capability in aliases.items()]
    (home / ".tahoe/private/aliases").write_text("# made by a test\n" + "".join(lines))


@contextlib.contextmanager
def _introducer() -> Iterator[Running]:
    def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
        _create("create-introducer", *_listening(ports[0]), str(folder / "intro"))
        return [program("tahoe"), "run", "--allow-stdin-close", str(folder / "intro")]

    with serving(recipe) as running:
        yield running


def _listening(port: int) -> list[str]:
    return ["--listen=tcp", f"--port=tcp:{port}:interface={HOST}", f"--location=tcp:{HOST}:{port}"]


def _create(*words: str) -> None:
    subprocess.run([program("tahoe"), *words], check=True, capture_output=True, stdin=subprocess.DEVNULL)


def _read(path: Path) -> str:
    """What a server writes into a file soon after it has begun to listen."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError):
            if text := path.read_text().strip():
                return text
        time.sleep(0.02)
    raise AssertionError(f"{path} does not appear")

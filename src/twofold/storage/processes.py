"""Programs that do a driver's work: fed, watched, ended with all that they started, and what their complaints mean.

Nothing secret is in their arguments or variables. What they print goes to files: a pipe that a child of theirs holds
open would never end.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import IO, Final, NamedTuple

from twofold.concurrency import heed
from twofold.errors import MissingLibrary, StorageError, Unavailable
from twofold.storage.store import Operation

SECRETS: Final = ("PASSPHRASE", "SIGN_PASSPHRASE", "BACKEND_PASSWORD", "FTP_PASSWORD", "IMAP_PASSWORD")
"""Variables of ours that no program gets."""

_POLL_SECONDS: Final = 0.2

_PIECE: Final = 1 << 16

Watch = Callable[[], None]
Take = Callable[[bytes], object]


def watch_nothing() -> None:
    """The Watch of whoever just waits."""


class Ended(NamedTuple):
    """What a program ended with, minus the number of a signal included, and what it wrote meanwhile."""

    code: int
    said: str
    complaint: str


class Meaning(NamedTuple):
    """What a phrase in a complaint means, and what helps."""

    phrase: str
    kind: type[StorageError]
    remedy: str = ""


class Silence:
    """Tells when a program, whatever it waits for, has moved nothing for too long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._moved = -1
        self._since = monotonic()

    def look(self, moved: int, *, times: int = 1) -> None:
        """Is told how many bytes have moved. Raises Unavailable after `times` the seconds without a change."""
        now = monotonic()
        if moved != self._moved:
            self._moved, self._since = moved, now
        elif now - self._since > times * self._seconds:
            raise Unavailable(f"Nothing has moved for {now - self._since:.0f} seconds; --timeout allows more")


def child_environment(variables: Mapping[str, str], *, without: Sequence[str] = ()) -> dict[str, str]:
    """The variables without secrets and `without`, in a locale in which complaints are English and names stay whole."""
    dropped = {*SECRETS, *without, "LANGUAGE", "LANG"}
    kept = {name: text for name, text in variables.items() if name not in dropped and not name.startswith("LC_")}
    return kept | {"LC_ALL": "C.UTF-8"}


def run(
    words: Sequence[str],
    feed: str | Iterable[bytes] = "",
    *,
    environment: Mapping[str, str],
    remedy: str,
    watch: Watch = watch_nothing,
    limit: float = math.inf,
    output: int | Take | None = None,
    folder: str | None = None,
) -> Ended:
    """Runs a program in `folder` to its end. It reads `feed`, a text or pieces that are asked for when it takes them.

    What it prints goes to `output`, a descriptor or who takes the pieces, if one is given. `watch` is called now and
    then; what it raises ends the program, and so does what `feed` and `output` raise, and the end of our crew. Raises
    MissingLibrary with the `remedy` when there is no such program, Unavailable after `limit` seconds.
    """

    def look() -> None:
        heed()
        watch()

    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complaint:
        where = output if isinstance(output, int) else said if output is None else subprocess.PIPE
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=where,
                stderr=complaint,
                env=environment,
                cwd=folder,
                start_new_session=True,
            )
        except (FileNotFoundError, PermissionError) as error:
            raise MissingLibrary(f"{words[0]} is not installed; {remedy}") from error
        with _ended_on_errors(process):
            _feed(process, [feed.encode("utf-8", "surrogateescape")] if isinstance(feed, str) else feed, look)
            if process.stdout is not None and callable(output):
                _drain(process.stdout, output, look)
            _wait(process, words[0], look, limit)
        return Ended(process.returncode, _content(said), _content(complaint))


@contextlib.contextmanager
def _ended_on_errors(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()


def failure(
    ended: Ended,
    meanings: Iterable[Meaning],
    *,
    otherwise: type[StorageError],
    operation: Operation,
    name: str,
    place: str,
) -> StorageError:
    """The error that a program's end means, by the first phrase that is found in its complaint."""
    lines = [line.strip() for line in ended.complaint.splitlines() if line.strip() and not line.startswith("@")]
    message = lines[-1] if lines else f"exit code {ended.code}"
    kind, remedy = otherwise, ""
    for meaning in meanings:
        if meaning.phrase in ended.complaint:
            _, kind, remedy = meaning
            message = next((line for line in lines if meaning.phrase in line), message)
            break
    what = f"{operation.value} of {name} at {place}" if name else f"{operation.value} at {place}"
    advised = f" ({remedy})" if remedy else ""
    return kind(f"{what} failed: {message}{advised}", name=name, operation=operation.value)


def _feed(process: subprocess.Popen[bytes], pieces: Iterable[bytes], watch: Watch) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
        os.set_blocking(stdin.fileno(), False)
        for piece in pieces:
            view = memoryview(piece)
            while view:
                if select.select([], [stdin], [], _POLL_SECONDS)[1]:
                    view = view[os.write(stdin.fileno(), view) :]
                watch()


def _drain(pipe: IO[bytes], take: Take, watch: Watch) -> None:
    with pipe:
        while True:
            if select.select([pipe], [], [], _POLL_SECONDS)[0]:
                piece = os.read(pipe.fileno(), _PIECE)
                if not piece:
                    return
                take(piece)
            watch()


def _wait(process: subprocess.Popen[bytes], name: str, watch: Watch, limit: float) -> None:
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_SECONDS)
            return
        watch()
        limit -= _POLL_SECONDS
        if limit <= 0:
            raise Unavailable(f"{name} has not ended in time")


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "surrogateescape")

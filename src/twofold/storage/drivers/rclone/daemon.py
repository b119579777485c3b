"""One rclone that serves this process alone (`rclone rcd`), from the first use to `close`.

It listens on a socket in a folder that only this account may enter, and nothing secret is in its arguments. A shell
holds the other end of a pipe from us and ends it, and removes the folder, when we are gone, however that happened.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from typing import Final

from twofold.concurrency import exclusion
from twofold.errors import MissingLibrary, StorageError
from twofold.storage.settings import Rates, StoreSettings

_GUARD: Final = """exec 3<&0
"$@" </dev/null 3<&- &
rclone=$!
{ read -r _ <&3; kill $rclone; } >/dev/null 2>&1 &
watch=$!
wait $rclone
code=$?
kill $watch 2>/dev/null
/bin/rm -rf -- "$0" 2>/dev/null
exit $code
"""
_NOT_PASSED_ON: Final = (
    *("PASSPHRASE", "SIGN_PASSPHRASE", "BACKEND_PASSWORD", "FTP_PASSWORD", "IMAP_PASSWORD"),
    *("DPBX_", "OAUTH2_", "JOTTACLOUD_", "GOOGLE_DRIVE_ACCOUNT_KEY", "RCLONE_RC"),
)
"""What begins so: secrets that rclone has no use for, and what would change how it listens to us."""
_REPETITIONS: Final = "2"
"""How often it tries what failed: once more for a connection that has grown stale, the rest is for us to repeat."""
_PATIENCE: Final = 30.0
_POLL: Final = 0.01
_LONGEST_FOLDER: Final = 70
_REMEDY: Final = "pip install 'twofold[rclone]'"

Prepare = Callable[[str], None]


def child_environment(settings: StoreSettings) -> dict[str, str]:
    """The variables for rclone: the user's, who may set any of RCLONE_…, and below them what our options say."""
    seconds = f"{settings.timeout:g}s"
    ours = {
        "RCLONE_TIMEOUT": seconds,
        "RCLONE_CONTIMEOUT": seconds,
        "RCLONE_LOW_LEVEL_RETRIES": _REPETITIONS,
        "RCLONE_ASK_PASSWORD": "false",
    }
    if settings.options.ssl_cacert_file:
        ours["RCLONE_CA_CERT"] = settings.options.ssl_cacert_file
    if settings.options.ssl_no_check_certificate:
        ours["RCLONE_NO_CHECK_CERTIFICATE"] = "true"
    told = {}
    if settings.rates != Rates():
        rates = (settings.rates.upload, settings.rates.download)
        told["RCLONE_BWLIMIT"] = ":".join("off" if rate is None else f"{rate}B" for rate in rates)
    theirs = {name: text for name, text in settings.environment.items() if not name.startswith(_NOT_PASSED_ON)}
    return ours | theirs | told


def programs(variables: Mapping[str, str]) -> Iterator[str]:
    """Every rclone there is: the one on PATH first, then the one that pip put beside our Python."""
    seen = set()
    for path in (variables.get("PATH", os.defpath), os.path.dirname(sys.executable)):
        found = shutil.which("rclone", path=path)
        if found is not None and found not in seen:
            seen.add(found)
            yield found


class Daemon:
    """The process; safe between threads. `prepare` is called with the socket's path whenever one has started.

    With `own_settings` it reads no settings of the user's and keeps in memory what it is told.
    """

    def __init__(self, settings: StoreSettings, *, own_settings: bool = False) -> None:
        self._variables = child_environment(settings)
        self._parent = settings.options.tempdir
        self._words = ["--config", ""] if own_settings else []
        self._lock = exclusion()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = ""

    @property
    def running(self) -> bool:
        with self._lock:
            return self._process is not None and self._process.poll() is None

    def folder(self, prepare: Prepare) -> str:
        """The private folder with the socket `rc`; starts rclone if there is none, again after one has ended.

        Raises MissingLibrary, StorageError.
        """
        with self._lock:
            if not self.running:
                self.close()
                self._start()
                try:
                    prepare(socket_in(self._folder))
                except BaseException:
                    self.close()
                    raise
            return self._folder

    def close(self) -> None:
        """Ends it, and whatever it is doing; may be called twice."""
        with self._lock:
            process, self._process = self._process, None
            if process is None:
                return
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        failures = []
        for program in programs(self._variables):
            self._folder = _private_folder(self._parent)
            self._process = self._begin(program)
            try:
                said = self._wait(self._process)
            except BaseException:
                self.close()
                raise
            if said is None:
                return
            self.close()
            failures.append(f"{program}: {said}")
        if not failures:
            raise MissingLibrary(f"This target needs rclone: {_REMEDY}, or install it (Debian: rclone)")
        raise StorageError(f"rclone does not start: {'; '.join(failures)} (install a newer one, or type: {_REMEDY})")

    def _begin(self, program: str) -> subprocess.Popen[bytes]:
        address = f"unix://{socket_in(self._folder)}"
        command = [program, "rcd", "--rc-addr", address, "--rc-no-auth", "--rc-serve", "--log-level", "ERROR"]
        with open(os.path.join(self._folder, "log"), "xb") as log:
            # A session of its own: Ctrl-C in a terminal is for us, and we still have to clean up with its help.
            return subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, self._folder, *command, *self._words],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._variables,
                start_new_session=True,
            )

    def _wait(self, process: subprocess.Popen[bytes]) -> str | None:
        """Waits until it answers: None, or what it has said instead."""
        # Opened now: the guard removes the folder when rclone ends.
        with open(os.path.join(self._folder, "log"), "rb") as log:
            end = monotonic() + _PATIENCE
            while monotonic() < end:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL)
                    break
                if _answers(socket_in(self._folder)):
                    return None
            lines = log.read().decode("utf-8", "replace").split("\n")
        return next((" ".join(line.split()) for line in reversed(lines) if line.strip()), "it says nothing")


def socket_in(folder: str) -> str:
    """The path of the socket."""
    return os.path.join(folder, "rc")


def _private_folder(parent: str | None) -> str:
    base = os.path.abspath(parent or tempfile.gettempdir())
    if len(base.encode("utf-8", "surrogateescape")) > _LONGEST_FOLDER or not base.isprintable():
        base = "/tmp"  # noqa: S108 - no socket can have so long a path; the folder made there is private
    return tempfile.mkdtemp(prefix="twofold-rclone-", dir=base)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True

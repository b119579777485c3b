"""The program gio, the D-Bus session it needs, and the mount that makes a place reachable.

gio comes with every desktop of the GNOME family and works from any Python, where its library would have to be the
distribution's. Without a session bus one is started that ends with us, or when we are killed. A password is written
to gio when it asks for one, and to no other question: nobody but a person may trust an unknown host.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from time import monotonic
from typing import Final
from urllib.parse import quote

from twofold.concurrency import exclusion
from twofold.errors import Forbidden, MissingLibrary, NoSpace, StorageError, Unavailable, Unsupported, Untrusted
from twofold.model.value import field, value
from twofold.storage import passwords, processes
from twofold.storage.network_errors import failure
from twofold.storage.processes import Ended, Meaning
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Operation
from twofold.storage.url import StorageUrl

QUIET: Final = 4
"""How many times the patience with a silent line there is while nobody can see what moves on it."""
_NEEDS: Final = "install it (Debian: libglib2.0-bin and gvfs-backends)"
_BUS: Final = ("dbus-run-session", "--", "/bin/sh", "-c", 'echo "$DBUS_SESSION_BUS_ADDRESS"; read -r _')
_ANSWER_BYTES: Final = 4096
_MEANINGS: Final = (
    Meaning("is not supported", Unsupported, "use another protocol"),
    Meaning("not mountable", Unsupported, "install the part of GVfs for this protocol (gvfs-backends)"),
    Meaning("No space left", NoSpace, "make room there"),
    Meaning("Insufficient Storage", NoSpace, "make room there"),
    Meaning("Permission denied", Forbidden, "check login, owner and permissions there"),
    Meaning("Forbidden", Forbidden, "check login and permissions there"),
    Meaning("Unauthorized", Forbidden, "check user and password"),
    Meaning("TLS certificate", Untrusted, "make this machine trust the server's certificate"),
    Meaning("verification failed", Untrusted, "connect once by hand and compare the fingerprint"),
)
"""A daemon of a desktop may speak its user's language: what is not found here is worth another try."""


@value
class Location:
    """A directory as GIO names it: `base` is scheme and host, `directory` the decoded path on it."""

    base: str
    directory: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: StorageUrl, settings: StoreSettings) -> Location:
        authority, _, directory = url.path[2:].partition("/")
        # The grammar of gio+ URLs has no login (docs/cli.md section 5.1), those of GIO have one.
        typed = StorageUrl.parse(f"http://{authority or 'localhost'}")
        login = StorageUrl(url.scheme, "", url.text, user=typed.user, password=typed.password, host=typed.host)
        found = passwords.find_password(login, settings.environment, ask=None)
        account, at, address = authority.rpartition("@")
        base = f"{url.scheme}://{account.partition(':')[0]}{at}{address}"
        return cls(base, directory.strip("/"), typed.user, found.value if found else None)

    def uri(self, name: str = "", *, above: int = 0) -> str:
        """That of a file in it, or of itself or a directory so many levels above."""
        parts = [part for part in self.directory.split("/") if part]
        path = "/".join([*parts[: len(parts) - above], *([name] if name else [])])
        return f"{self.base}/{quote(path.encode('utf-8', 'surrogateescape'))}"

    @property
    def depth(self) -> int:
        """How many directories lie between it and the root, itself included."""
        return len([part for part in self.directory.split("/") if part])


class Gio:
    """Runs gio for one place. Safe between threads."""

    def __init__(self, location: Location, settings: StoreSettings) -> None:
        self.location = location
        self.timeout = settings.timeout
        # Of no use to us, each of the other monitors would be one more process that is started.
        self._environment = processes.child_environment(settings.environment) | {"GIO_USE_VOLUME_MONITOR": "unix"}
        self._starting = exclusion()
        self._bus: subprocess.Popen[bytes] | None = None
        self._is_mounted = False

    def run(
        self,
        *words: str,
        operation: Operation,
        name: str = "",
        feed: Iterable[bytes] = (),
        output: processes.Take | None = None,
        watch: processes.Watch | None = None,
        limit: float | None = None,
    ) -> str:
        """What gio printed. With `watch`, that is who ends it when nothing moves any more, else `limit` seconds.

        Raises StorageError.
        """
        self._mount(operation, name)
        try:
            ended = processes.run(
                ["gio", *words],
                feed,
                environment=self._environment,
                remedy=_NEEDS,
                watch=watch or processes.watch_nothing,
                limit=math.inf if watch else limit or QUIET * self.timeout,
                output=output,
            )
        except Unavailable as error:
            place = self.location.uri()
            raise failure(Unavailable, error, operation=operation, name=name, place=place) from error
        if ended.code:
            # After a lost connection GVfs forgets the mount: the next call looks.
            self._is_mounted = False
            raise self._failure(ended, operation, name)
        return ended.said

    def close(self) -> None:
        """Ends the bus and with it what GVfs started on it. May be called twice; a user's session keeps its mount."""
        with self._starting:
            bus, self._bus = self._bus, None
            self._is_mounted = False
            if bus is not None:
                for pipe in (bus.stdin, bus.stdout):
                    if pipe is not None:
                        pipe.close()
                bus.wait()

    def _failure(self, ended: Ended, operation: Operation, name: str) -> StorageError:
        return processes.failure(
            ended, _MEANINGS, otherwise=Unavailable, operation=operation, name=name, place=self.location.uri()
        )

    def _mount(self, operation: Operation, name: str) -> None:
        with self._starting:
            if self._is_mounted:
                return
            self._start_bus()
            ended = Ended(0, "", "")
            # GVfs mounts only what is there: the place may be yet to be made, the root may be no share.
            for above in range(self.location.depth + 1):
                uri = self.location.uri(above=above)
                ended = self._ask_to_mount(uri)
                # One that somebody has mounted already is refused as well.
                if not ended.code or self._can_see(uri):
                    self._is_mounted = True
                    return
                failed = self._failure(ended, operation, name)
                if not isinstance(failed, Unavailable):
                    break
            raise self._failure(ended, operation, name)

    def _can_see(self, uri: str) -> bool:
        words = ["gio", "info", "--attributes=standard::type", uri]
        return not processes.run(words, environment=self._environment, remedy=_NEEDS, limit=QUIET * self.timeout).code

    def _ask_to_mount(self, uri: str) -> Ended:
        """Mounts and answers what gio asks. Raises Forbidden, Untrusted, Unavailable."""
        with tempfile.TemporaryFile() as complaint:
            try:
                process = subprocess.Popen(
                    ["gio", "mount", uri],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=complaint,
                    env=self._environment,
                    start_new_session=True,
                )
            except FileNotFoundError as error:
                raise MissingLibrary(f"gio is not installed; {_NEEDS}") from error
            try:
                self._converse(process, uri)
                process.wait()
            except BaseException:
                process.kill()
                raise
            finally:
                for pipe in (process.stdin, process.stdout):
                    if pipe is not None:
                        pipe.close()
                process.wait()
            complaint.seek(0)
            return Ended(process.returncode, "", complaint.read().decode("utf-8", "replace"))

    def _converse(self, process: subprocess.Popen[bytes], uri: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        said, asked = b"", 0
        answers = {b"User: ": self.location.user, b"]: ": "", b"Password: ": self.location.password}
        until = monotonic() + QUIET * self.timeout
        while True:
            if not select.select([process.stdout], [], [], max(0.0, until - monotonic()))[0]:
                raise Unavailable(f"{uri} cannot be mounted: no answer within the time limit (--timeout)")
            piece = os.read(process.stdout.fileno(), _ANSWER_BYTES)
            if not piece:
                return
            said += piece
            if said.endswith(b"Choice: "):
                question = " ".join(said.decode("utf-8", "replace").split()[:40])
                remedy = "connect once by hand and answer it there"
                raise Untrusted(
                    f"{uri} cannot be mounted without an answer that only you can give: {question} ({remedy})"
                )
            for prompt, answer in answers.items():
                if said.endswith(prompt):
                    asked += prompt == b"Password: "
                    if answer is None or asked > 1:
                        reason = "a password is needed" if answer is None else "the password is refused"
                        raise Forbidden(f"{uri} cannot be mounted: {reason} (set BACKEND_PASSWORD)")
                    process.stdin.write(f"{answer}\n".encode("utf-8", "surrogateescape"))
                    process.stdin.flush()
                    said = b""
                    break

    def _start_bus(self) -> None:
        if self._bus is not None or self._has_bus():
            return
        if shutil.which("gio", path=self._environment.get("PATH", "")) is None:
            raise MissingLibrary(f"gio is not installed; {_NEEDS}")
        try:
            self._bus = subprocess.Popen(
                _BUS,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environment,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise MissingLibrary("dbus-run-session is not installed; install it (Debian: dbus)") from error
        assert self._bus.stdout is not None
        address = self._bus.stdout.readline().decode().strip()
        if not address:
            self.close()
            raise StorageError("No D-Bus session can be started with dbus-run-session")
        self._environment = {**self._environment, "DBUS_SESSION_BUS_ADDRESS": address}

    def _has_bus(self) -> bool:
        if self._environment.get("DBUS_SESSION_BUS_ADDRESS"):
            return True
        folder = self._environment.get("XDG_RUNTIME_DIR", "")
        with contextlib.suppress(OSError):
            return bool(folder) and os.path.exists(os.path.join(folder, "bus"))
        return False

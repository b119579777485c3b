"""The program rsync, told once whom to reach and how: a daemon, its password on our output, or ssh, connected once.

rsync reads names of its arguments in three ways: those to read from are patterns, those behind ssh go through a shell
unless they need not, and those of filters are patterns of another kind. Here each is written so that it means itself.
"""

from __future__ import annotations

import contextlib
import math
import posixpath
import re
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from typing import Final

from twofold.concurrency import exclusion
from twofold.errors import (
    Forbidden,
    InvalidUrl,
    NoPlace,
    NoSpace,
    NotFound,
    StorageError,
    Unavailable,
    Unsupported,
    Untrusted,
)
from twofold.model.value import field, value
from twofold.storage import local_files, processes
from twofold.storage.network_errors import failure
from twofold.storage.places import rsync_place
from twofold.storage.processes import Ended, Meaning
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Operation
from twofold.storage.url import StorageUrl

_NEEDS: Final = "install it (Debian: rsync), or use sftp://"
_VARIABLE: Final = "RSYNC_PASSWORD"
_LOST: Final = frozenset({10, 12, 20, 30, 35, 255})
"""Exit codes of a connection that broke, was refused, or was silent for too long."""
_IDLE_SECONDS: Final = 60
MOMENT: Final = 5.0
"""Seconds that clearing up may take where people wait for the end."""
QUIET: Final = 4
"""How many times the patience with a silent line there is while nobody can see what moves on it.

rsync's own --timeout does not end a sender whose bytes nobody takes, nor always a receiver (seen with 3.5.0).
"""
_SHORT: Final = re.compile(r"[\w./-]{1,60}", re.ASCII)
"""Folders in which a socket of ssh may lie: ssh appends to its name, and no more than 104 bytes are allowed."""
_PLAIN: Final = re.compile(r"[\w./@%+=:,-]*", re.ASCII)
_KIB: Final = 1024
_WILD: Final = frozenset("*?[")

_MEANINGS: Final = (
    Meaning("IDENTIFICATION HAS CHANGED", Untrusted, "if the host has been set up anew, remove it with ssh-keygen -R"),
    Meaning("Host key verification failed", Untrusted, "connect once with ssh and compare the fingerprint"),
    Meaning("Permission denied (13)", Forbidden, "check owner and permissions there"),
    Meaning(
        "Permission denied (", Forbidden, "the login was refused: check key and agent, rsync takes no password of ssh"
    ),
    Meaning("auth failed", Forbidden, "check user and password"),
    Meaning("access denied", Forbidden, "check hosts allow in rsyncd.conf"),
    Meaning("is read only", Forbidden, "set read only = no in rsyncd.conf"),
    Meaning("Read-only file system", Forbidden, "check how the disk is mounted there"),
    Meaning("configured to refuse", Forbidden, "check refuse options in rsyncd.conf"),
    Meaning("Unknown module", NoPlace, "check the name after the two colons"),
    Meaning("chdir failed", NoPlace, "the directory of the module is missing there"),
    Meaning("No space left", NoSpace, "make room there"),
    Meaning("quota exceeded", NoSpace, "make room there"),
    Meaning("max connections", Unavailable),
    Meaning("Not a directory (20)", NoPlace, "is the path right?"),
    Meaning("File name too long", Unsupported, "that file system cannot do it"),
    Meaning("unknown option", Unsupported, "rsync is too old on one side, or check --rsync-options"),
    Meaning("command not found", StorageError, "install rsync there"),
    Meaning("failed to connect", Unavailable),
    Meaning("No such file or directory", NotFound),
)


@value
class RsyncTarget:
    """Whom to reach and how. `module` is empty for a directory reached by ssh; a relative one is below the home."""

    host: str
    module: str
    directory: str
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: float = 30.0
    ssh_options: str = ""
    rsync_options: tuple[str, ...] = ()
    temp_dir: str | None = None

    @classmethod
    def of(cls, url: StorageUrl, settings: StoreSettings) -> RsyncTarget:
        """Raises InvalidUrl when the URL names no module, or a path that cannot be made."""
        place = rsync_place(url)
        typed = place.directory.lstrip("/") if place.module else place.directory.removeprefix("~/")
        directory = posixpath.normpath(typed) if typed else ""
        directory = "" if directory == "." else directory
        if ".." in directory.split("/"):
            raise InvalidUrl(f"A directory for rsync cannot begin with ..: {url.redacted()}; write the absolute path")
        return cls(
            host=url.host,
            module=place.module,
            directory=directory,
            port=url.port,
            user=url.user or None,
            password=settings.password or settings.environment.get(_VARIABLE),
            timeout=settings.timeout,
            ssh_options=settings.options.ssh_options,
            rsync_options=tuple(shlex.split(settings.options.rsync_options)),
            temp_dir=settings.options.tempdir,
        )

    @property
    def label(self) -> str:
        """The place as messages name it."""
        port = "" if self.port is None else f":{self.port}"
        if self.module:
            return f"{self._account}{port}::{self.module}/{self.directory}"
        return f"{self._account}{port}, {self.directory or 'the login directory'}"

    @property
    def root(self) -> str:
        """What the directory is relative to, as rsync is told it."""
        return self._address("" if self.module else "/" if self.directory.startswith("/") else ".")

    def path(self, name: str = "") -> str:
        """A file of the place to write to, or the place."""
        return self._address(self._joined(name))

    @property
    def source(self) -> str:
        """The place to read from: a pattern that only it matches."""
        return self._address(_escaped(self._joined("")))

    @property
    def is_plain(self) -> bool:
        """Whether no shell finds anything to do in the directory."""
        return _PLAIN.fullmatch(self.directory) is not None

    def _joined(self, name: str) -> str:
        base = self.directory if self.module or self.directory.startswith("/") else posixpath.join(".", self.directory)
        return posixpath.join(base, name)

    def _address(self, path: str) -> str:
        return f"{self._account}::{self.module}/{path}" if self.module else f"{self._account}:{path}"

    @property
    def _account(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}" if self.user else host


class Rsync:
    """Runs rsync for one target. Safe between threads."""

    def __init__(self, target: RsyncTarget, settings: StoreSettings) -> None:
        self.target = target
        # RSYNC_RSH would choose another way there than the URL says; duplicity drops it as well.
        self._environment = processes.child_environment(settings.environment, without=(_VARIABLE, "RSYNC_RSH"))
        self._starting = exclusion()
        self._folder = ""
        self._syncs = True
        self._rates = settings.rates

    def run(
        self,
        *words: str,
        operation: Operation,
        name: str = "",
        folder: str | None = None,
        output: int | None = None,
        watch: processes.Watch | None = None,
        limit: float | None = None,
    ) -> str:
        """What rsync printed; `words` end in the paths. With `watch`, that is who ends it when nothing moves any more,
        else `limit` seconds.

        Raises StorageError. Links that lead nowhere are no failure: they are no files.
        """
        *options, last = words
        paths = [options.pop(), last] if options and not options[-1].startswith("-") else [last]
        shelled = ["-s"] if not self.target.module and not (self.target.is_plain and _PLAIN.fullmatch(name)) else []
        while True:
            syncs = ["--fsync"] if self._syncs and operation is Operation.PUT else []
            ours = [*self._way(), *self._limit(operation), *shelled, *syncs, *options]
            command = ["rsync", *ours, *self.target.rsync_options, "--", *paths]
            try:
                ended = processes.run(
                    command,
                    f"{self.target.password}\n" if self.target.module and self.target.password else "",
                    environment=self._environment,
                    remedy=_NEEDS,
                    watch=watch or processes.watch_nothing,
                    limit=math.inf if watch else limit or QUIET * self.target.timeout,
                    output=output,
                    folder=folder,
                )
            except Unavailable as error:
                raise failure(Unavailable, error, operation=operation, name=name, place=self.target.label) from error
            if not syncs or "--fsync: unknown option" not in ended.complaint:
                break
            self._syncs = False  # before rsync 3.2.4 there was no such thing
        if ended.code and not _leads_nowhere(ended):
            otherwise = Unavailable if ended.code in _LOST or ended.code < 0 else StorageError
            raise processes.failure(
                ended, _MEANINGS, otherwise=otherwise, operation=operation, name=name, place=self.target.label
            )
        return ended.said

    def _limit(self, operation: Operation) -> Sequence[str]:
        rate = self._rates.upload if operation is Operation.PUT else self._rates.download
        return [f"--bwlimit={max(1, rate // _KIB)}"] if rate else []

    def _way(self) -> Sequence[str]:
        target = self.target
        seconds = max(1, round(target.timeout))
        common = ["--no-motd", "--8-bit-output", "--no-human-readable", f"--timeout={seconds}"]
        if target.module:
            port = [] if target.port is None else [f"--port={target.port}"]
            password = ["--password-file=-"] if target.password else []
            # rsync and its daemon exchange small words in turn: without the option 160 ms a call instead of 100.
            return [*common, f"--contimeout={seconds}", "--sockopts=TCP_NODELAY", *port, *password]
        settings = ["BatchMode=yes", f"ConnectTimeout={seconds}", f"ServerAliveInterval={seconds}", "LogLevel=ERROR"]
        settings += ["ServerAliveCountMax=1", "ControlMaster=auto", f"ControlPersist={_IDLE_SECONDS}"]
        settings.append(f"ControlPath={self._control_folder()}/c")
        port = [] if target.port is None else ["-p", str(target.port)]
        # Of each setting the first counts.
        return [*common, "-e", " ".join(["ssh", target.ssh_options, *(f"-o{each}" for each in settings), *port])]

    def _control_folder(self) -> str:
        with self._starting:
            if not self._folder:
                wanted = self.target.temp_dir or tempfile.gettempdir()
                # A private folder is made in it.
                parent = wanted if _SHORT.fullmatch(wanted) else "/tmp"  # noqa: S108
                with local_files.translating(Operation.PUT, name="", path="a directory for the connection"):
                    self._folder = tempfile.mkdtemp(prefix="twofold-", dir=parent)
            return self._folder

    def close(self) -> None:
        """Ends the connection that ssh has kept. May be called twice."""
        with self._starting:
            folder, self._folder = self._folder, ""
        if folder:
            leaving = ["ssh", "-q", "-S", f"{folder}/c", "-O", "exit", self.target.host]
            with contextlib.suppress(StorageError):
                processes.run(leaving, environment=self._environment, remedy=_NEEDS, limit=MOMENT)
            shutil.rmtree(folder, ignore_errors=True)


def only(name: str) -> tuple[str, str]:
    """Filters that let pass one file of a directory."""
    return f"--include=/{_escaped(name)}", "--exclude=*"


def _escaped(name: str) -> str:
    """A pattern that matches the name alone; backslashes mean something only in patterns."""
    if _WILD.isdisjoint(name):
        return name
    return "".join(f"\\{letter}" if letter in _WILD or letter == "\\" else letter for letter in name)


def _leads_nowhere(ended: Ended) -> bool:
    lines = [line for line in ended.complaint.splitlines() if line and not line.startswith("rsync error:")]
    return ended.code == 23 and bool(lines) and all("symlink has no referent" in line for line in lines)

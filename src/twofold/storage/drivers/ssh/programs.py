"""The programs of OpenSSH as child processes: one connection for all of them (ControlMaster), passwords, messages.

A password reaches ssh from a file in memory that only this account can open, through a helper of two lines: it is in
nobody's arguments or environment, and on no disk. The master ends by itself when nobody has used it for a minute, so
that a killed run leaves nothing behind for long.
"""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from twofold import system
from twofold.concurrency import exclusion
from twofold.errors import Forbidden, NoSpace, NotFound, StorageError, Unavailable, Untrusted
from twofold.storage import local_files, processes
from twofold.storage.drivers.ssh.options import SshTarget
from twofold.storage.settings import Rates
from twofold.storage.store import Operation

MOMENT: Final = 1.0
"""Seconds that clearing up may take where people wait for the end."""

_DEFAULT_PORT: Final = 22
_IDLE_SECONDS: Final = 60
_LONGEST_SOCKET: Final = 60
"""Of the folder's path; a socket's may have 104 bytes, and ssh appends to the name while it makes it."""

_PASSED_ON: Final = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_RUNTIME_DIR", "KRB5CCNAME", "DISPLAY", "WAYLAND_DISPLAY"),
    *("SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_SK_PROVIDER", "SSH_SK_HELPER"),
)
_HELPER: Final = """#!/bin/sh
case "$1" in {prompts}) exec cat {secret};; *) exit 1;; esac
"""
"""Asked for anything else, such as the password of a host on the way (ProxyJump), it has no answer."""
_MEANINGS: Final[tuple[tuple[str, type[StorageError], str], ...]] = (
    ("IDENTIFICATION HAS CHANGED", Untrusted, "if the host has been set up anew, type: ssh-keygen -R KNOWN"),
    ("Host key verification failed", Untrusted, "type: ssh WHERE, once, and compare the fingerprint"),
    ("Permission denied (", Forbidden, "the login was refused: check key, agent, password"),
    ("Too many authentication failures", Forbidden, "the login was refused: check key, agent, password"),
    ("No space left", NoSpace, "make room there"),
    ("No such file", NotFound, ""),
    ("not found", NotFound, ""),
    ("Permission denied", Forbidden, "check owner and permissions there"),
)
_LOST: Final = 255
"""What ssh, and so sftp, ends with when it is the connection that failed; or a signal ends it, of a broken pipe."""


class Programs:
    """Runs sftp for one target. Safe between threads."""

    def __init__(
        self, target: SshTarget, environment: Mapping[str, str], *, sftp: str, rates: Rates | None = None
    ) -> None:
        self._target = target
        self.rates = rates or Rates()
        self._sftp = shlex.split(sftp) or ["sftp"]
        self._environment = {name: environment[name] for name in _PASSED_ON if name in environment}
        # Else sftp shows letters beyond ASCII as numbers.
        self._environment["LC_ALL"] = "C.UTF-8"
        self._starting = exclusion()
        self._folder = ""
        self._secret = -1

    def batch(
        self,
        commands: Sequence[str],
        *,
        operation: Operation,
        name: str,
        watch: Callable[[], None],
        limit: float = math.inf,
    ) -> str:
        """Has sftp carry out commands up to the first that fails; what it printed. `watch` is called now and then.

        After `limit` seconds that is given up: Unavailable. Raises also NotFound, Forbidden, NoSpace, Untrusted,
        StorageError, MissingLibrary.
        """
        self._begin(operation)
        port = ["-P", str(self._target.port)] if self._target.port is not None else []
        rate = self.rates.upload if operation is Operation.PUT else self.rates.download
        limit_rate = [] if rate is None else ["-l", str(max(1, rate * 8 // 1024))]
        words = [*self._sftp, *self._options(), *limit_rate, "-b", "-", *port, self._account]
        text = "".join(f"{command}\n" for command in commands)
        code, said, complaint = self._run(words, text, watch, limit=limit)
        if code:
            raise self._meaning(complaint, code, operation, name)
        return said

    def close(self) -> None:
        """Ends the master and forgets the password. May be called twice."""
        with self._starting:
            folder, self._folder = self._folder, ""
            if folder:
                leaving = ["ssh", "-q", "-S", f"{folder}/c", "-O", "exit", self._account]
                with contextlib.suppress(StorageError):
                    self._run(leaving, "", limit=MOMENT)
                shutil.rmtree(folder, ignore_errors=True)
            if self._secret >= 0:
                os.close(self._secret)
                self._secret = -1

    @property
    def _account(self) -> str:
        host = f"[{self._target.host}]" if ":" in self._target.host else self._target.host
        return f"{self._target.user}@{host}" if self._target.user else host

    def _options(self) -> list[str]:
        seconds = max(1, round(self._target.timeout))
        settings = [
            f"ControlPath={self._folder}/c",
            f"ConnectTimeout={seconds}",
            f"ServerAliveInterval={seconds}",
            "ServerAliveCountMax=1",
            # NB: before -b, which says yes.
            f"BatchMode={'no' if self._target.password else 'yes'}",
            "NumberOfPasswordPrompts=1",
            "LogLevel=ERROR",
        ]
        # Of each setting the first counts. `no` would also mean a host whose key has changed.
        first = ["-oStrictHostKeyChecking=accept-new"] if self._target.options.accepts_new else []
        return [*first, *self._target.options.words, *(f"-o{setting}" for setting in settings)]

    def _begin(self, operation: Operation) -> None:
        """Connects, if nobody has."""
        with self._starting:
            if not self._folder:
                with local_files.translating(operation, name="", path="a directory for the connection"):
                    self._folder = tempfile.mkdtemp(prefix="twofold-", dir=self._short_folder())
                    self._prepare_password(operation)
            if os.path.exists(f"{self._folder}/c"):
                return
            self._ssh(["-M", "-N", "-f", f"-oControlPersist={_IDLE_SECONDS}"], operation)

    def _ssh(self, flags: Sequence[str], operation: Operation) -> str:
        port = ["-p", str(self._target.port)] if self._target.port is not None else []
        code, said, complaint = self._run(["ssh", *self._options(), *flags, *port, self._account], "")
        if code:
            raise self._meaning(complaint, code, operation, "")
        return said

    def _short_folder(self) -> str:
        wanted = self._target.temp_dir or tempfile.gettempdir()
        return wanted if len(wanted) < _LONGEST_SOCKET else "/tmp"  # noqa: S108 - a private folder is made in it

    def _prompts(self, operation: Operation) -> str:
        """What ssh asks for the target's own password and for locked keys with, as patterns of a shell's `case`."""
        found = dict(line.split(" ", 1) for line in self._ssh(["-G"], operation).splitlines() if " " in line)
        user, host = found["user"], found.get("hostkeyalias") or found["hostname"].lower()
        # The second is how OpenSSH before 8.4 shortens it, the third an answer to the server's own question.
        accounts = (f"{user}@{host}'s password: ", f"{user:.30}@{host:.128}'s password: ", f"({user}@{host}) ")
        first, second, third = map(shlex.quote, accounts)
        return f"{first}|{second}|{third}*|'Enter passphrase for key '*"

    def _prepare_password(self, operation: Operation) -> None:
        if self._target.password is None:
            return
        prompts = self._prompts(operation)
        secret = f"{self._target.password}\n".encode("utf-8", "surrogateescape")
        self._secret = os.memfd_create("secret", os.MFD_CLOEXEC)
        local_files.write_all(self._secret, secret)
        os.fchmod(self._secret, 0o600)
        helper = f"{self._folder}/answer"
        descriptor = os.open(helper, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o700)
        try:
            secret_path = f"/proc/{os.getpid()}/fd/{self._secret}"
            text = _HELPER.format(prompts=prompts, secret=secret_path)
            local_files.write_all(descriptor, text.encode("utf-8", "surrogateescape"))
        finally:
            os.close(descriptor)
        self._environment |= {"SSH_ASKPASS": helper, "SSH_ASKPASS_REQUIRE": "force"}

    def _run(
        self, words: Sequence[str], text: str, watch: Callable[[], None] = lambda: None, *, limit: float = math.inf
    ) -> processes.Ended:
        """Exit code, output and messages."""
        if self._secret >= 0:
            system.shield_memory(shielded=False)  # else the helper could not open the file in memory
        remedy = "install it (Debian: openssh-client), or use sftp://"
        return processes.run(words, text, environment=self._environment, remedy=remedy, watch=watch, limit=limit)

    def _meaning(self, said: str, code: int, operation: Operation, name: str) -> StorageError:
        lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("@")]
        message = lines[-1] if lines else f"exit code {code}"
        kind: type[StorageError] = Unavailable if code == _LOST or code < 0 else StorageError
        remedy = ""
        host, port = self._target.host, self._target.port
        known = shlex.quote(host if port in {None, _DEFAULT_PORT} else f"[{host}]:{port}")
        where = host if port is None else f"-p {port} {host}"
        for pattern, meant, advice in _MEANINGS:
            if pattern in said:
                kind, remedy = meant, advice.replace("KNOWN", known).replace("WHERE", where)
                break
        else:
            if "onnection" in said or "Broken pipe" in said:
                kind = Unavailable
        what = (
            f"{operation.value} of {name} at {self._target.label}"
            if name
            else f"{operation.value} at {self._target.label}"
        )
        advised = f" ({remedy})" if remedy else ""
        return kind(f"{what} failed: {message}{advised}", name=name, operation=operation.value)

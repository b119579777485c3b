"""twofold and duplicity 3.2.1 as a person runs them: child processes whose environment holds nothing of the caller's.

`TWOFOLD_TEST_PROGRAM` names another program to be tested in place of `python -m twofold`, and
`TWOFOLD_TEST_DUPLICITY` the duplicity to compare with (else the one that `make test` installs).
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.support.tools import unavailable

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
DUPLICITY_VERSION = "3.2.1"
SECONDS_LIMIT = 120


@dataclass(frozen=True, slots=True)
class Program:
    """A command line that understands duplicity's words."""

    name: str
    command: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished program left behind; both streams are decoded leniently since names may be any bytes."""

    arguments: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    def expect(self, returncode: int = 0) -> Outcome:
        assert self.returncode == returncode, str(self)
        return self

    def statistic(self, name: str) -> int:
        """A number of the statistics block, for instance `DeltaEntries`."""
        found = re.search(rf"^{name} (\d+)", self.stdout, re.MULTILINE)
        assert found is not None, f"no {name} in the statistics\n{self}"
        return int(found[1])

    def __str__(self) -> str:
        command = shlex.join(self.arguments)
        return f"$ {command}\n[{self.returncode}]\nstdout:\n{self.stdout}\nstderr:\n{self.stderr}"


@dataclass(frozen=True, slots=True)
class Workspace:
    """Folders of one scenario: cache, temporary files, home, and the GnuPG home that programs are given."""

    folder: bytes
    gnupg_home: str
    archive_dir: bytes
    passphrase: str | None = None
    sign_passphrase: str | None = None
    extra_variables: dict[str, str] = field(default_factory=dict)

    @classmethod
    def below(cls, folder: bytes, *, gnupg_home: str) -> Workspace:
        for name in (b"home", b"tmp"):
            os.makedirs(os.path.join(folder, name), exist_ok=True)
        return cls(folder=folder, gnupg_home=gnupg_home, archive_dir=os.path.join(folder, b"archive"))

    def path(self, *names: str | bytes) -> bytes:
        return os.path.join(self.folder, *(os.fsencode(name) for name in names))

    def url(self, name: str = "target") -> str:
        return "file://" + os.fsdecode(self.path(name))

    def with_archive_dir(self, name: str) -> Workspace:
        return replace(self, archive_dir=self.path(name))

    def with_passphrase(self, passphrase: str | None, *, sign: str | None = None) -> Workspace:
        return replace(self, passphrase=passphrase, sign_passphrase=sign)

    def with_gnupg_home(self, gnupg_home: str) -> Workspace:
        return replace(self, gnupg_home=gnupg_home)

    def environment(self, program: Program) -> dict[str, str]:
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": os.fsdecode(self.path("home")),
            "TMPDIR": os.fsdecode(self.path("tmp")),
            "GNUPGHOME": self.gnupg_home,
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
        if self.passphrase is not None:
            variables["PASSPHRASE"] = self.passphrase
        if self.sign_passphrase is not None:
            variables["SIGN_PASSPHRASE"] = self.sign_passphrase
        return {**variables, **dict(program.variables), **self.extra_variables}

    def command(self, program: Program, arguments: Iterable[str | bytes]) -> list[str]:
        words = [os.fsdecode(word) for word in arguments]
        return [*program.command, *words, "--archive-dir", os.fsdecode(self.archive_dir)]

    def run(self, program: Program, *arguments: str | bytes, cwd: bytes | None = None) -> Outcome:
        """Runs to the end, without a terminal and without input; more than two minutes fail the test."""
        command = self.command(program, arguments)
        with self.start(program, *arguments, cwd=cwd) as process:
            try:
                stdout, stderr = process.communicate(timeout=SECONDS_LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                stdout, stderr = process.communicate()
                outcome = _outcome(command, process.returncode, stdout, stderr)
                raise AssertionError(f"no end after {SECONDS_LIMIT} s: {outcome}") from None
        return _outcome(command, process.returncode, stdout, stderr)

    def start(self, program: Program, *arguments: str | bytes, cwd: bytes | None = None) -> subprocess.Popen[bytes]:
        """A running program in a process group of its own, for tests that interrupt it."""
        return subprocess.Popen(
            self.command(program, arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder if cwd is None else cwd,
            env=self.environment(program),
            start_new_session=True,
        )


def find_twofold() -> Program:
    chosen = os.environ.get("TWOFOLD_TEST_PROGRAM")
    if chosen:
        return Program("twofold", tuple(shlex.split(chosen)))
    source = str(REPOSITORY_ROOT / "src")
    return Program("twofold", (sys.executable, "-m", "twofold"), (("PYTHONPATH", source),))


def find_duplicity() -> Program:
    installed = REPOSITORY_ROOT / ".build" / f"duplicity-{DUPLICITY_VERSION}" / "bin" / "duplicity"
    path = os.environ.get("TWOFOLD_TEST_DUPLICITY") or str(installed)
    if not os.access(path, os.X_OK):
        unavailable(f"No duplicity {DUPLICITY_VERSION}: run `make duplicity` or set TWOFOLD_TEST_DUPLICITY")
    found = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=60).stdout.split()
    if found[1:2] != [DUPLICITY_VERSION]:
        unavailable(f"{path} is not duplicity {DUPLICITY_VERSION} but {' '.join(found) or 'broken'}")
    return Program("duplicity", (path,))


def _outcome(command: list[str], returncode: int, stdout: bytes, stderr: bytes) -> Outcome:
    texts = (stream.decode("utf-8", "backslashreplace") for stream in (stdout, stderr))
    return Outcome(tuple(command), returncode, *texts)

"""The folder that everything happens in: where it is, what programs see of it, and that it is gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.machine import available_memory
from bench.programs import PASSPHRASE, Place, Program

_SHARED_MEMORY = "/dev/shm"
_SPARE = 2 << 30


@dataclass(frozen=True, slots=True)
class Workspace:
    """A fresh folder with a GnuPG home of its own; its agent stays for the whole run, as on a desktop."""

    folder: str
    gnupg: str

    @property
    def source(self) -> str:
        return os.path.join(self.folder, "source")

    @property
    def log(self) -> str:
        return os.path.join(self.folder, "output.log")

    def place(self, program: Program) -> Place:
        """Where a program keeps its things."""
        base = self._base(program)
        return Place(self.source, f"{base}/repository", f"{base}/cache", self._environment(base))

    def fresh_place(self, program: Program) -> Place:
        """The same, emptied."""
        base = self._base(program)
        shutil.rmtree(base, ignore_errors=True)
        for name in ("repository", "cache", "home", "tmp"):
            os.makedirs(f"{base}/{name}")
        return self.place(program)

    def remove_place(self, program: Program) -> None:
        shutil.rmtree(self._base(program), ignore_errors=True)

    def fresh_folder(self, name: str) -> str:
        """An empty folder of this name."""
        path = os.path.join(self.folder, name)
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        return path

    def remove_folder(self, name: str) -> None:
        shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)

    def _base(self, program: Program) -> str:
        return os.path.join(self.folder, program.name.replace(" ", "-"))

    def _environment(self, base: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": f"{base}/home",
            "XDG_CACHE_HOME": f"{base}/home/.cache",
            "TMPDIR": f"{base}/tmp",
            "GNUPGHOME": self.gnupg,
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }


def room_needed(footprint: int, programs: int) -> int:
    """Bytes on disk while a data set of this size is measured: source, one restored tree, a repository for each
    program with temporary files of one of them."""
    return int(footprint * (2.3 + 0.75 * programs)) + _SPARE


def parent_folder(needed: int) -> str:
    """Where to work: in memory if so much fits there, else where temporary files go."""
    if os.path.isdir(_SHARED_MEMORY):
        room = min(shutil.disk_usage(_SHARED_MEMORY).free, available_memory())
        if room > needed:
            return _SHARED_MEMORY
    return tempfile.gettempdir()


@contextmanager
def workspace(parent: str) -> Iterator[Workspace]:
    """Made below `parent`, and removed with everything in it."""
    folder = tempfile.mkdtemp(prefix="twofold-bench-", dir=os.path.abspath(parent))
    # Sockets of the agent have to lie at a short path.
    gnupg = tempfile.mkdtemp(prefix="twofold-gpg-")
    try:
        _start_agent(gnupg)
        yield Workspace(folder, gnupg)
    finally:
        if shutil.which("gpgconf"):
            environment = {"PATH": os.environ["PATH"], "GNUPGHOME": gnupg}
            subprocess.run(["gpgconf", "--kill", "all"], env=environment, capture_output=True, check=False)
        shutil.rmtree(gnupg, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def _start_agent(gnupg: str) -> None:
    """Encrypts something once: the agent measures how fast the machine is when it is first asked, for half a second."""
    if shutil.which("gpg") is None:
        return
    command = ("gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", PASSPHRASE, "--symmetric")
    environment = {"PATH": os.environ["PATH"], "GNUPGHOME": gnupg}
    subprocess.run(command, env=environment, input=b"1", capture_output=True, check=True)

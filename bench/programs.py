"""The programs that are set beside each other, each as the command lines of its operations.

All encrypt symmetrically with the same passphrase, run with their default settings, and keep their caches and temporary
files inside the work folder. An operation that a program does not have is None, and is not measured.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from bench.data_sets import Operation
from bench.measure import Command

PASSPHRASE = "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one program in one round, all made and empty at first, and the variables it runs with."""

    source: str
    repository: str
    cache: str
    environment: dict[str, str]

    def command(self, *arguments: str, folder: str | None = None, **variables: str) -> Command:
        return Command(arguments, {**self.environment, **variables}, self.source if folder is None else folder)


@dataclass(frozen=True, slots=True)
class Program:
    """One backup program. Each method that returns a command is a description only; nothing is run here. None means
    that the program has no such operation.

    `number` counts the backups of a repository, from 1 for the full one; readers are given that of the newest.
    `output` is an empty folder. Restores are compared with the source down to `mtime_ns`, the unit in nanoseconds that
    modification times are restored to.
    """

    name: str
    executable: tuple[str, ...]
    mtime_ns: int = 1

    def prepare(self, place: Place) -> Command | None:
        """What has to be run once before the full backup and is not measured."""
        del place
        return None

    def full(self, place: Place) -> Command | None:
        del place
        return None

    def increment(self, place: Place, number: int) -> Command | None:
        del place, number
        return None

    def restore_all(self, place: Place, number: int, *, output: str) -> Command | None:
        del place, number, output
        return None

    def restore_one(self, place: Place, number: int, *, path: str, output: str) -> Command | None:
        del place, number, path, output
        return None

    def verify(self, place: Place) -> Command | None:
        del place
        return None

    def list(self, place: Place, number: int) -> Command | None:
        del place, number
        return None

    def status(self, place: Place) -> Command | None:
        del place
        return None

    def version(self, place: Place) -> Command:
        return place.command(*self.executable, "--version")

    def restored(self, place: Place, output: str) -> str:
        """Where below `output` the restored tree begins."""
        del place
        return output

    def restored_one(self, place: Place, *, path: str, output: str) -> str:
        del place
        return f"{output}/{path}"


@dataclass(frozen=True, slots=True)
class DuplicityLike(Program):
    """twofold and duplicity: the same command line."""

    variables: tuple[tuple[str, str], ...] = ()

    def _command(self, place: Place, *arguments: str) -> Command:
        more = ("--archive-dir", place.cache)
        return place.command(*self.executable, *arguments, *more, PASSPHRASE=PASSPHRASE, **dict(self.variables))

    def full(self, place: Place) -> Command | None:
        return self._command(place, "full", place.source, _url(place))

    def increment(self, place: Place, number: int) -> Command | None:
        del number
        return self._command(place, "incremental", place.source, _url(place))

    def restore_all(self, place: Place, number: int, *, output: str) -> Command | None:
        del number
        return self._command(place, "restore", _url(place), output)

    def restore_one(self, place: Place, number: int, *, path: str, output: str) -> Command | None:
        del number
        target = self.restored_one(place, path=path, output=output)
        return self._command(place, "restore", "--path-to-restore", path, _url(place), target)

    def verify(self, place: Place) -> Command | None:
        return self._command(place, "verify", "--compare-data", _url(place), place.source)

    def list(self, place: Place, number: int) -> Command | None:
        del number
        return self._command(place, "list-current-files", _url(place))

    def status(self, place: Place) -> Command | None:
        return self._command(place, "collection-status", _url(place))

    def version(self, place: Place) -> Command:
        return place.command(*self.executable, "--version", **dict(self.variables))

    def restored_one(self, place: Place, *, path: str, output: str) -> str:
        del place, path
        return f"{output}/one"


def _url(place: Place) -> str:
    return f"file://{place.repository}"


@dataclass(frozen=True, slots=True)
class Restic(Program):
    """restic keeps absolute paths, so that restored trees begin below them."""

    def _command(self, place: Place, *arguments: str) -> Command:
        return place.command(
            *self.executable,
            *arguments,
            RESTIC_PASSWORD=PASSPHRASE,
            RESTIC_REPOSITORY=place.repository,
            RESTIC_CACHE_DIR=place.cache,
        )

    def prepare(self, place: Place) -> Command | None:
        return self._command(place, "init")

    def full(self, place: Place) -> Command | None:
        return self._command(place, "backup", place.source)

    def increment(self, place: Place, number: int) -> Command | None:
        del number
        return self._command(place, "backup", place.source)

    def restore_all(self, place: Place, number: int, *, output: str) -> Command | None:
        del number
        return self._command(place, "restore", "latest", "--target", output)

    def restore_one(self, place: Place, number: int, *, path: str, output: str) -> Command | None:
        del number
        wanted = f"{place.source}/{path}"
        return self._command(place, "restore", "latest", "--target", output, "--include", wanted)

    def verify(self, place: Place) -> Command | None:
        return self._command(place, "check", "--read-data")

    def list(self, place: Place, number: int) -> Command | None:
        del number
        return self._command(place, "ls", "latest")

    def status(self, place: Place) -> Command | None:
        return self._command(place, "snapshots")

    def version(self, place: Place) -> Command:
        return place.command(*self.executable, "version")

    def restored(self, place: Place, output: str) -> str:
        return output + place.source

    def restored_one(self, place: Place, *, path: str, output: str) -> str:
        return f"{output}{place.source}/{path}"


@dataclass(frozen=True, slots=True)
class Borg(Program):
    """borg 1.x, with its default compression (lz4) or the one given."""

    compression: str | None = None

    def _command(self, place: Place, *arguments: str, folder: str | None = None) -> Command:
        return place.command(
            *self.executable,
            *arguments,
            folder=folder,
            BORG_REPO=place.repository,
            BORG_PASSPHRASE=PASSPHRASE,
            BORG_BASE_DIR=place.cache,
        )

    def prepare(self, place: Place) -> Command | None:
        return self._command(place, "init", "--encryption", "repokey-blake2")

    def full(self, place: Place) -> Command | None:
        return self.increment(place, 1)

    def increment(self, place: Place, number: int) -> Command | None:
        options = () if self.compression is None else ("--compression", self.compression)
        return self._command(place, "create", *options, f"::{number}", ".")

    def restore_all(self, place: Place, number: int, *, output: str) -> Command | None:
        return self._command(place, "extract", f"::{number}", folder=output)

    def restore_one(self, place: Place, number: int, *, path: str, output: str) -> Command | None:
        return self._command(place, "extract", f"::{number}", path, folder=output)

    def verify(self, place: Place) -> Command | None:
        return self._command(place, "check", "--verify-data")

    def list(self, place: Place, number: int) -> Command | None:
        return self._command(place, "list", f"::{number}")

    def status(self, place: Place) -> Command | None:
        return self._command(place, "list")


_WRITE_TAR = 'tar -C "$1" -cf - . | gpg --batch --pinentry-mode loopback --passphrase-fd 3 -co "$2" 3<<<"$PASSPHRASE"'
_READ_TAR = 'gpg --batch --quiet --pinentry-mode loopback --passphrase-fd 3 -d "$1" 3<<<"$PASSPHRASE" | tar "${@:2}"'


@dataclass(frozen=True, slots=True)
class TarAndGpg(Program):
    """What a person without a backup program does: one archive, and no increments."""

    def _command(self, place: Place, script: str, *arguments: str) -> Command:
        words = (*self.executable, "-o", "pipefail", "-c", script, "tar", *arguments)
        return place.command(*words, PASSPHRASE=PASSPHRASE)

    def full(self, place: Place) -> Command | None:
        return self._command(place, _WRITE_TAR, place.source, _archive(place))

    def restore_all(self, place: Place, number: int, *, output: str) -> Command | None:
        del number
        return self._command(place, _READ_TAR, _archive(place), "-C", output, "-xpf", "-")

    def list(self, place: Place, number: int) -> Command | None:
        del number
        return self._command(place, _READ_TAR, _archive(place), "-tvf", "-")

    def version(self, place: Place) -> Command:
        return place.command("tar", "--version")


def _archive(place: Place) -> str:
    return f"{place.repository}/archive.tar.gpg"


@dataclass(frozen=True, slots=True)
class Interpreter(Program):
    """Python alone, for what of a start is not ours."""

    def version(self, place: Place) -> Command:
        return place.command(*self.executable, "-c", "pass")


def command_of(
    program: Program, operation: Operation, place: Place, *, number: int, output: str, one: str | None
) -> Command | None:
    """The command line of an operation; None if the program does not have it. `number` is that of the newest backup,
    also the one being made."""
    match operation:
        case Operation.FULL:
            return program.full(place)
        case Operation.UNCHANGED | Operation.CHANGE:
            return program.increment(place, number)
        case Operation.RESTORE:
            return program.restore_all(place, number, output=output)
        case Operation.RESTORE_ONE:
            return None if one is None else program.restore_one(place, number, path=one, output=output)
        case Operation.VERIFY:
            return program.verify(place)
        case Operation.LIST:
            return program.list(place, number)
        case Operation.STATUS:
            return program.status(place)
        case Operation.VERSION:
            return program.version(place)


def version_of(program: Program, place: Place) -> str:
    """What it says of itself, in a line."""
    command = program.version(place)
    if isinstance(program, Interpreter):
        command = place.command(*program.executable, "--version")
    done = subprocess.run(command.arguments, env=command.environment, capture_output=True, text=True, check=False)
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0].strip() if lines and not done.returncode else f"ended with {done.returncode}"

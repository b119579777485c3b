"""exec://: whatever can be reached by commands, which a file of the user's names (docs/storage.md).

With a command that moves, a file is put under a temporary name and gets its own when the listing tells the right size;
without one, a put that fails is deleted. How a command went is told by its exit code: 0 done, 66 nothing of that name
or no such place, 73 no room, 77 not allowed; everything else may work another time.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence

from twofold.errors import (
    Forbidden,
    Incomplete,
    NoPlace,
    NoSpace,
    NotFound,
    StorageError,
    Unavailable,
    Unsupported,
)
from twofold.storage import local_files, processes
from twofold.storage.drivers.exec.commands import Commands, Words, filled, listed, read_commands
from twofold.storage.network_errors import failure
from twofold.storage.part_names import PartNames, is_unfinished
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Atomicity, ByteCounter, Key, Operation, StoredFile, StoreTraits, ignore_bytes
from twofold.storage.url import StorageUrl

_NOT_PASSED_ON = frozenset({"PASSPHRASE", "SIGN_PASSPHRASE"})
_NOT_THERE = 66
_MEANINGS: dict[int, type[StorageError]] = {_NOT_THERE: NotFound, 73: NoSpace, 77: Forbidden}


class ExecStore:
    """A Store by commands; it has no ability besides, for nothing is known about what is behind them."""

    def __init__(self, commands: Commands, place: str, settings: StoreSettings) -> None:
        self._commands = commands
        self._place = place
        atomic = Atomicity.BY_RENAME if commands.move else Atomicity.BY_SIZE_CHECK
        self._traits = StoreTraits(parallel=commands.parallel, atomic_put=atomic)
        self._variables = {name: text for name, text in settings.environment.items() if name not in _NOT_PASSED_ON}
        self._parts = PartNames()
        self._seen = False

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> ExecStore:
        return cls(read_commands(url), url.redacted(), settings)

    @property
    def traits(self) -> StoreTraits:
        return self._traits

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)
        os.close(descriptor)
        if self._commands.move:
            self._sweep()
        name = self._parts.new() if self._commands.move else key.name
        try:
            # Asked now and then, so that whoever wants to stop can raise.
            self._run(
                self._commands.put, Operation.PUT, key.name, lambda: sent(0), name=name, local=os.path.abspath(source)
            )
            found = self._find(name, Operation.PUT)
            local_files.require_size(found.size if found else 0, size, operation=Operation.PUT, name=key.name)
            if found is None:
                raise self._failure(Incomplete, "the listing does not show the file", Operation.PUT, key.name)
            sent(size)
            if self._commands.move:
                self._run(self._commands.move, Operation.PUT, key.name, name=name, to=key.name)
        except BaseException:
            self._undo(name)
            raise
        self._seen = True
        return StoredFile(key.name, size)

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        size = self.stat(key).size
        part = os.path.abspath(target) + local_files.PART_SUFFIX
        told = 0

        def watch() -> None:
            nonlocal told
            with contextlib.suppress(FileNotFoundError):
                arrived = min(os.lstat(part).st_size, size)
                told, more = arrived, arrived - told
                received(more)

        with local_files.translating(Operation.GET, name=key.name, path=target):
            # Made before the command does: for its owner only, and nobody says so well that nothing can be made here.
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            try:
                self._run(self._commands.get, Operation.GET, key.name, watch, name=key.name, local=part)
                self._require_arrived(part, size, key=key)
                received(os.lstat(part).st_size - told)
                os.replace(part, target)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(part)
                raise

    def list(self) -> Iterator[StoredFile]:
        found = self._listed(self._commands.list, Operation.LIST, "")
        if found is None and self._seen:
            raise self._failure(NoPlace, "it was there before", Operation.LIST, "")
        self._seen |= found is not None
        files = found or ()
        self._parts.see(file.name for file in files)
        return iter([file for file in files if not is_unfinished(file.name)])

    def stat(self, key: Key) -> StoredFile:
        found = self._find(key.name, Operation.STAT)
        if found is None:
            raise self._failure(NotFound, "there is no such file", Operation.STAT, key.name)
        return found

    def delete(self, key: Key) -> None:
        try:
            self._run(self._commands.delete, Operation.DELETE, key.name, name=key.name)
        except NotFound:
            return
        except StorageError:
            if self._find(key.name, Operation.DELETE) is not None:
                raise

    def close(self) -> None:
        """Nothing is kept."""

    # ---- what the commands say ---------------------------------------------------------------------------------------

    def _find(self, name: str, operation: Operation) -> StoredFile | None:
        found = self._listed(self._commands.stat or self._commands.list, operation, name)
        return next((file for file in found or () if file.name == name), None)

    def _listed(self, command: Words, operation: Operation, name: str) -> Sequence[StoredFile] | None:
        """None when the place, or the file asked for, is not there."""
        try:
            output = self._run(command, operation, name, name=name)
        except NotFound:
            return None
        try:
            return listed(output)
        except ValueError as error:
            raise self._failure(
                StorageError, f"{command[0]} has written what is no list: {error}", operation, name
            ) from error

    def _require_arrived(self, part: str, size: int, *, key: Key) -> None:
        """`size` was told before; if somebody has replaced the file meanwhile, what is told now counts."""
        try:
            found = os.lstat(part)
        except FileNotFoundError as error:
            raise self._failure(Incomplete, "the command has left no file", Operation.GET, key.name) from error
        if not stat.S_ISREG(found.st_mode):
            raise self._failure(StorageError, "the command has not made a file", Operation.GET, key.name)
        if found.st_size != size:
            local_files.require_size(found.st_size, self.stat(key).size, operation=Operation.GET, name=key.name)
        os.chmod(part, 0o600)

    def _sweep(self) -> None:
        """Removes what dead writers have left; what resists is left alone, for a backup must not fail by it."""
        if not self._parts.looked:
            self._parts.see(file.name for file in self._listed(self._commands.list, Operation.PUT, "") or ())
        for name in self._parts.take_abandoned():
            with contextlib.suppress(StorageError):
                self._run(self._commands.delete, Operation.PUT, name, name=name)

    def _undo(self, name: str) -> None:
        """A short file under its own name has to go at once; one with a temporary name can wait for the next put."""
        if self._commands.move:
            self._parts.abandon(name)
            return
        with contextlib.suppress(StorageError):
            self._run(self._commands.delete, Operation.PUT, name, name=name)

    def _run(
        self,
        command: Words,
        operation: Operation,
        about: str,
        watch: Callable[[], None] = lambda: None,
        **values: str,
    ) -> str:
        """What the command has printed."""
        commands = self._commands
        try:
            ended = processes.run(
                filled(command, values),
                environment=self._variables,
                remedy=f"install it, or name its whole path in the settings of {self._place}",
                watch=watch,
                limit=commands.seconds,
                folder=commands.folder,
            )
        except ValueError as error:
            raise self._failure(Unsupported, error, operation, about) from error
        except Unavailable as error:
            raise self._failure(Unavailable, f"{error}, {commands.seconds:g} seconds", operation, about) from error
        except OSError as error:
            reason = f"{command[0]} cannot be run: {error.strerror}"
            raise self._failure(StorageError, reason, operation, about) from error
        if ended.code:
            kind = _MEANINGS.get(ended.code, Unavailable)
            complaint = "".join([f": {line.strip()}" for line in ended.complaint.splitlines() if line.strip()][-1:])
            raise self._failure(kind, f"{command[0]} ended with {ended.code}{complaint}", operation, about)
        return ended.said

    def _failure(self, kind: type[StorageError], reason: object, operation: Operation, name: str) -> StorageError:
        return failure(kind, reason, operation=operation, name=name, place=self._place)

"""pexpect+sftp:// and pexpect+scp://: the same files, moved by OpenSSH's own sftp.

For whom only OpenSSH will do: security keys, GSSAPI, KnownHostsCommand, a ControlMaster. Each call is a process.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Callable, Iterator
from typing import Final

from twofold.errors import NoPlace, NotFound, StorageError, Unavailable, UserError
from twofold.storage import local_files, unfinished
from twofold.storage.drivers.ssh.listing import Listed, is_days_older, listed
from twofold.storage.drivers.ssh.options import SshTarget
from twofold.storage.drivers.ssh.programs import MOMENT, Programs
from twofold.storage.settings import Rates, StoreSettings
from twofold.storage.store import Atomicity, ByteCounter, Key, Operation, StoredFile, StoreTraits, ignore_bytes
from twofold.storage.url import StorageUrl

_TRAITS: Final = StoreTraits(parallel=4, atomic_put=Atomicity.BY_RENAME, keeps_rates=True)
_LIMITED: Final = StoreTraits(parallel=1, atomic_put=Atomicity.BY_RENAME, keeps_rates=True)
"""Each process keeps to a rate for itself, so there is only one that moves anything."""
_SPECIAL: Final = frozenset("\\\"'*?[] #~")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class OpenSshStore:
    """A Store reached by the program sftp. It tells bytes only when they have arrived."""

    def __init__(self, target: SshTarget, programs: Programs) -> None:
        self._target = target
        self._programs = programs
        self._traits = _TRAITS if programs.rates == Rates() else _LIMITED
        self._seen = False
        self._is_prepared = False
        self._left: list[Listed] | None = None
        self._left_by_us: set[str] = set()

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> OpenSshStore:
        """Raises UserError when the options or the path cannot be handed on."""
        target = SshTarget.of(url, settings)
        _quoted(target.place)
        sftp, rates = settings.options.sftp_command, settings.rates
        return cls(target, Programs(target, settings.environment, sftp=sftp, rates=rates))

    @property
    def traits(self) -> StoreTraits:
        return self._traits

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)
        os.close(descriptor)
        self._prepare()
        part_name = unfinished.PART_PREFIX + os.urandom(8).hex()
        part = self._quoted(part_name)
        try:
            # -f has the server write the file out to the disk.
            putting = f"put -f {_quoted(os.path.abspath(source))} {part}"
            (stored,) = listed(self._batch(Operation.PUT, key.name, putting, f"ls -ln {part}"))
            local_files.require_size(stored.size, size, operation=Operation.PUT, name=key.name)
            sent(size)
            self._batch(Operation.PUT, key.name, f"rename {part} {self._quoted(key.name)}")
            self._sweep(stored.date)
        except BaseException as error:
            self._left_by_us.add(part_name)
            if not isinstance(error, Unavailable):  # else the line is dead, and the next put sees to it
                with contextlib.suppress(StorageError):
                    self._batch(Operation.DELETE, key.name, f"rm {part}", limit=MOMENT)
                    self._left_by_us.discard(part_name)
            raise
        self._seen = True
        return StoredFile(key.name, size)

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        before = self.stat(key).size
        with local_files.arriving(target, size=None, name=key.name) as descriptor:
            told = 0

            def watch() -> None:
                nonlocal told
                now = os.fstat(descriptor).st_size
                received(now - told)
                told = now

            part = _quoted(os.path.abspath(target + local_files.PART_SUFFIX))
            self._batch(Operation.GET, key.name, f"get {self._quoted(key.name)} {part}", watch=watch)
            watch()
            if told != before:  # replaced meanwhile, perhaps
                local_files.require_size(told, self.stat(key).size, operation=Operation.GET, name=key.name)

    def list(self) -> Iterator[StoredFile]:
        try:
            said = self._batch(Operation.LIST, "", f"cd {_quoted(self._target.place)}", "ls -lan")
        except NotFound as error:
            if self._seen:
                raise self._no_place(Operation.LIST, "") from error
            return iter(())
        self._seen = True
        files = [*listed(said)]
        self._left = [file for file in files if file.name.startswith(unfinished.PART_PREFIX)]
        return (StoredFile(file.name, file.size) for file in files if not file.name.startswith(unfinished.PREFIX))

    def stat(self, key: Key) -> StoredFile:
        # NB: without the slash, ls of a directory would show what is in it.
        found = listed(self._batch(Operation.STAT, key.name, f"ls -ln {self._quoted(key.name)}"))
        for file in found:
            if os.path.basename(file.name) == key.name:
                self._seen = True
                return StoredFile(key.name, file.size)
        raise NotFound(f"No file {key.name} at {self._target.label}", name=key.name, operation=Operation.STAT.value)

    def delete(self, key: Key) -> None:
        with contextlib.suppress(NotFound):
            self._batch(Operation.DELETE, key.name, f"rm {self._quoted(key.name)}")

    def close(self) -> None:
        self._programs.close()

    def _quoted(self, name: str) -> str:
        return _quoted(self._target.path(name))

    def _batch(
        self,
        operation: Operation,
        name: str,
        *commands: str,
        watch: Callable[[], None] = lambda: None,
        limit: float = math.inf,
    ) -> str:
        return self._programs.batch(commands, operation=operation, name=name, watch=watch, limit=limit)

    def _no_place(self, operation: Operation, name: str) -> NoPlace:
        message = f"No directory {self._target.directory} at {self._target.label} (it was there before)"
        return NoPlace(message, name=name, operation=operation.value)

    def _sweep(self, now: str) -> None:
        """Removes what we left behind, and what others left unfinished days ago."""
        left, self._left = self._left or [], []
        ours, self._left_by_us = self._left_by_us, set()
        old = ours | {file.name for file in left if is_days_older(file.date, now)}
        if old:
            self._batch(Operation.DELETE, "", *(f"-rm {self._quoted(name)}" for name in old))

    def _prepare(self) -> None:
        """Makes the directory before the first write, with those above it."""
        if self._is_prepared:
            return
        if self._left is None:
            self.list()
        if not self._seen and self._target.directory:
            parts = self._target.directory.rstrip("/").split("/")
            paths = ["/".join(parts[: number + 1]) for number in range(len(parts))]
            self._batch(Operation.PUT, "", *(f"-mkdir {_quoted(path)}" for path in paths if path))
        self._is_prepared = True


def _quoted(path: str) -> str:
    """A path as sftp reads it from a batch: neither split nor taken for a pattern, nor for an option.

    Raises UserError for what no backslash helps: a line of its own would be a command, even one for this machine.
    """
    if _CONTROL.search(path):
        raise UserError(f"sftp takes no path with control characters: {path!r}; use another name, or sftp://")
    safe = "".join(f"\\{letter}" if letter in _SPECIAL else letter for letter in path)
    return safe if safe.startswith("/") else f"./{safe}"

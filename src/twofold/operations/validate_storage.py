"""Finds out what a storage service does for backups, by doing it with a few files that are removed again.

Whatever happens, an interruption included, what was put is deleted at the end as far as the service lets us; what a
killed run has left, a later one removes. No file of a backup is touched, and no program takes ours for one.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

from twofold.concurrency import pause, spawn
from twofold.errors import AlreadyExists, Incomplete, NotFound, StorageError, Unavailable
from twofold.model.backup import FileRole
from twofold.model.times import format_compact
from twofold.operations.validate_storage_findings import (
    MIB,
    PREFIX,
    Finding,
    Speed,
    Standing,
    Step,
    StorageReport,
    is_left_over,
    size_for_speed,
    standing_after,
)
from twofold.storage.store import (
    CanCopy,
    CanCreateExclusive,
    CanReadRange,
    CanReportSpace,
    Key,
    Operation,
    Store,
    StoredFile,
    ability,
)

T = TypeVar("T")


class _Running(Protocol):
    """What may be at work in a thread."""

    @property
    def running(self) -> bool: ...


_SMALL: Final = 1000
_LOOKS: Final = 75
_SECONDS_BETWEEN: Final = 0.02
_PIECE: Final = (300, 200)
_ROLE: Final = FileRole.MANIFEST
"""Services that put volumes into cold storage keep these at hand."""


def validate_storage(
    store: Store, *, temp_dir: str, now: int, elapsed: Callable[[], float], writes: bool = True
) -> StorageReport:
    """Tries everything once; unless it `writes`, only what reads. Errors of the store become findings.

    `now` is in seconds since 1970, `elapsed` counts seconds from anywhere. Raises OSError for files here.
    """
    # A transfer that has stalled may still hold something in it.
    with tempfile.TemporaryDirectory(prefix="twofold-", dir=temp_dir, ignore_cleanup_errors=True) as folder:
        validation = _Validation(store, folder, now, elapsed)
        try:
            if validation.look() and writes:
                validation.store_and_read()
        except BaseException:
            _remove_soon(validation)
            raise
        return validation.report(validation.remove())


def _remove_soon(validation: _Validation) -> None:
    """A service that is silent must not keep whoever wants to leave; what stays, a later run removes."""
    validation.stop()
    looks = iter(range(_LOOKS))
    while validation.is_busy and next(looks, None) is not None:
        pause(_SECONDS_BETWEEN)
    removing = spawn(validation.remove, name="remove")
    while removing.running and next(looks, None) is not None:
        pause(_SECONDS_BETWEEN)


class _Validation:
    def __init__(self, store: Store, folder: str, now: int, elapsed: Callable[[], float]) -> None:
        self._store = store
        self._folder = folder
        self._now = now
        self._elapsed = elapsed
        self._prefix = f"{PREFIX}{format_compact(now)}-{os.urandom(4).hex()}-"
        self._made: dict[Key, None] = {}
        self._stale: list[Key] = []
        self._running: Sequence[_Running] = ()
        self._stopped = False
        self._findings: dict[Step, Finding] = {}
        self._files: int | None = None
        self._free_bytes: int | None = None
        self._speeds: list[Speed] = []

    def look(self) -> bool:
        """The first call: name, address, certificate, login and place are right, or not."""
        if not self._works(Step.LIST, self._list_first):
            return False
        space = ability(self._store, CanReportSpace)
        if space is None:
            self._lacks(Step.SPACE)
        else:
            self._works(Step.SPACE, lambda: self._ask_space(space))
        return True

    def store_and_read(self) -> None:
        """All that puts something there. Before it is known that files can be deleted, there is only one."""
        self._made.update(dict.fromkeys(self._stale))
        if self._one_file() and self._works(Step.DELETE, self._delete):
            self._create_and_copy()
            if self._works(Step.SPEED, self._measure_one) and self._store.traits.parallel > 1:
                self._works(Step.AT_ONCE, self._measure_several)

    @property
    def is_busy(self) -> bool:
        return any(each.running for each in self._running)

    def stop(self) -> None:
        """Lets transfers end at their next bytes."""
        self._stopped = True

    def report(self, left: tuple[str, ...]) -> StorageReport:
        found = tuple(self._findings.get(step, Finding(step, Standing.UNTRIED)) for step in Step)
        return StorageReport(self._store.traits, found, self._files, self._free_bytes, tuple(self._speeds), left)

    def remove(self) -> tuple[str, ...]:
        """Deletes what was put; gives the names of what is still there, for all that can be known."""
        names = {key.name for key in self._made}
        if not names:
            return ()
        try:
            for key in [*self._made]:
                self._store.delete(key)
                del self._made[key]
        except Unavailable:
            return tuple(sorted(key.name for key in self._made))
        except StorageError:
            pass
        # A store may say that it has deleted and have done nothing; one that lists late is believed.
        if not self._store.traits.consistent_list:
            names = {key.name for key in self._made}
        try:
            return tuple(sorted(names & {file.name for file in self._store.list()}))
        except StorageError:
            return tuple(sorted(names))

    # ---- steps -------------------------------------------------------------------------------------------------------

    def _one_file(self) -> bool:
        first, second = os.urandom(_SMALL), os.urandom(_SMALL + 1)
        key = self._key("file")
        needed = (
            (Step.PUT, lambda: self._put(key, first)),
            (Step.LIST, lambda: self._find_in_list(key, len(first))),
            (Step.STAT, lambda: _require_size(self._store.stat(key), len(first), Operation.STAT)),
            (Step.GET, lambda: self._require_content(key, first)),
        )
        if not all(self._works(step, work) for step, work in needed):
            return False
        reader = ability(self._store, CanReadRange)
        if reader is None:
            self._lacks(Step.RANGE)
        else:
            self._works(Step.RANGE, lambda: _require_piece(reader, key, first))
        self._works(Step.REPLACE, lambda: self._replace(key, second))
        return True

    def _list_first(self) -> None:
        files = [*self._store.list()]
        self._files = len(files)
        self._stale = [Key(_ROLE, file.name) for file in files if is_left_over(file.name, now=self._now)]

    def _find_in_list(self, key: Key, size: int) -> None:
        sizes = {file.name: file.size for file in self._store.list()}
        if key.name in sizes or self._store.traits.consistent_list:
            if key.name not in sizes:
                raise _failure(Operation.LIST, "", f"{key.name} has been stored and is not listed")
            _require_size(StoredFile(key.name, sizes[key.name]), size, Operation.LIST)

    def _replace(self, key: Key, content: bytes) -> None:
        self._put(key, content)
        self._require_content(key, content)

    def _ask_space(self, space: CanReportSpace) -> None:
        self._free_bytes = space.free_bytes()

    def _delete(self) -> None:
        for key in [*self._made]:
            self._store.delete(key)
            try:
                self._store.stat(key)
            except NotFound:
                del self._made[key]
            else:
                raise _failure(Operation.DELETE, key.name, f"{key.name} has been deleted and is still there")

    def _create_and_copy(self) -> None:
        creator = ability(self._store, CanCreateExclusive)
        if creator is None:
            self._lacks(Step.CREATE)
        else:
            self._works(Step.CREATE, lambda: self._create_twice(creator))
        copier = ability(self._store, CanCopy)
        if copier is None:
            self._lacks(Step.COPY)
        else:
            self._works(Step.COPY, lambda: self._copy(copier))

    def _create_twice(self, creator: CanCreateExclusive) -> None:
        key = self._key("once")
        creator.create(key, b"first")
        try:
            creator.create(key, b"second")
        except AlreadyExists:
            self._require_content(key, b"first")
        else:
            raise _failure(
                Operation.CREATE, key.name, "A file has been created twice, so nobody can rely on being first"
            )

    def _copy(self, copier: CanCopy) -> None:
        source, target = self._key("original"), self._key("copy")
        content = os.urandom(_SMALL)
        self._put(source, content)
        copier.copy(source, target)
        self._require_content(target, content)

    # ---- speed -------------------------------------------------------------------------------------------------------

    def _measure_one(self) -> None:
        trial = self._measured(("trial",), MIB)
        size = size_for_speed(max(trial.put_seconds, trial.get_seconds))
        self._speeds.append(trial if size == MIB else self._measured(("large",), size))

    def _measure_several(self) -> None:
        count = self._store.traits.parallel
        size = max(MIB, self._speeds[0].size // count)
        self._speeds.append(self._measured([f"large-{number}" for number in range(count)], size))

    def _measured(self, names: Sequence[str], size: int) -> Speed:
        content = os.urandom(size)
        keys = [self._key(name) for name in names]
        source = self._local(content)
        begun = self._elapsed()
        for stored in self._at_once(lambda key: self._store.put(key, source, sent=self._heed), keys):
            _require_size(stored, size, Operation.PUT)
        stored_at = self._elapsed()
        targets = self._at_once(self._fetched, keys)
        ended = self._elapsed()
        for key, target in zip(keys, targets, strict=True):
            _require_same(key, target, content)
        for path in (source, *targets):
            os.unlink(path)
        return Speed(len(keys), size, stored_at - begun, ended - stored_at)

    def _at_once(self, work: Callable[[Key], T], keys: Sequence[Key]) -> list[T]:
        tasks = [spawn(partial(work, key), name="validate") for key in keys]
        self._running = tasks
        for task in tasks:
            task.wait()
        return [task.join() for task in tasks]

    def _heed(self, _count: int) -> None:
        if self._stopped:
            raise KeyboardInterrupt

    # ---- single calls ------------------------------------------------------------------------------------------------

    def _works(self, step: Step, work: Callable[[], object]) -> bool:
        begun = self._elapsed()
        try:
            work()
        except StorageError as error:
            self._findings[step] = Finding(step, standing_after(error, step), error=error)
            return False
        self._findings[step] = Finding(step, Standing.WORKS, self._elapsed() - begun)
        return True

    def _lacks(self, step: Step) -> None:
        self._findings[step] = Finding(step, Standing.ABSENT)

    def _key(self, name: str) -> Key:
        """A file that from now on is removed at the end."""
        key = Key(_ROLE, self._prefix + name)
        self._made[key] = None
        return key

    def _local(self, content: bytes) -> str:
        path = os.path.join(self._folder, "source")
        with open(path, "wb") as file:
            file.write(content)
        return path

    def _put(self, key: Key, content: bytes) -> None:
        _require_size(self._store.put(key, self._local(content)), len(content), Operation.PUT)

    def _fetched(self, key: Key) -> str:
        target = os.path.join(self._folder, key.name)
        self._store.get(key, target, received=self._heed)
        return target

    def _require_content(self, key: Key, content: bytes) -> None:
        _require_same(key, self._fetched(key), content)


def _require_size(stored: StoredFile, size: int, operation: Operation) -> None:
    if stored.size != size:
        message = f"{stored.name} has {stored.size} bytes there and not {size}"
        raise Incomplete(message, name=stored.name, operation=operation.value)


def _require_same(key: Key, path: str, content: bytes) -> None:
    with open(path, "rb") as file:
        if file.read() != content:
            message = f"{key.name} comes back with other bytes than were sent"
            raise Incomplete(message, name=key.name, operation=Operation.GET.value)


def _require_piece(reader: CanReadRange, key: Key, content: bytes) -> None:
    start, size = _PIECE
    for begin in (start, len(content) - size // 2):
        if reader.read_range(key, begin, size) != content[begin : begin + size]:
            raise Incomplete(
                f"A piece of {key.name} is not what lies there", name=key.name, operation=Operation.READ_RANGE.value
            )


def _failure(operation: Operation, name: str, message: str) -> StorageError:
    return StorageError(message, name=name, operation=operation.value)

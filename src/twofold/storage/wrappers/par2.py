"""par2+…://: a store whose files have recovery files beside them, with which damage at the target is repaired.

They are duplicity's: NAME.par2, the index, and NAME.vol….par2, which repairs. Always holds, whatever is interrupted: a
listed file has all of its recovery files (duplicity cannot read one without), and they are never those of another
content. So they are stored before a file that is new and deleted after it; of a file that is replaced, the old ones are
deleted first and the new ones stored last. What an interruption leaves is recovery files without file, never listed.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeVar, cast

from twofold.concurrency import exclusion
from twofold.errors import NeedsWarmUp, NotFound, StorageError
from twofold.model.backup import FileRole
from twofold.model.times import Clock, SystemClock
from twofold.model.value import replace
from twofold.storage import local_files
from twofold.storage.part_names import LONGEST_UPLOAD
from twofold.storage.registry import open_store
from twofold.storage.settings import StoreSettings
from twofold.storage.store import (
    ByteCounter,
    CanMove,
    CanReportSpace,
    CanSeeWriters,
    CanStage,
    Key,
    Operation,
    Store,
    StoredFile,
    StoreWrapper,
    ability,
    ignore_bytes,
)
from twofold.storage.url import StorageUrl
from twofold.storage.wrappers.par2_program import SUFFIX, Par2Program

T = TypeVar("T")

_RECOVERY = re.compile(r"(.+?)(?:\.vol\d+\+\d+)?" + re.escape(SUFFIX), re.ASCII | re.DOTALL)
_SHOWN = (CanMove, CanStage, CanReportSpace, CanSeeWriters)
"""Abilities that do not pass by the recovery files."""
_ALL_PERCENT = 100


class _Seen(NamedTuple):
    """What a listing has told: names of files, and of each the names of its recovery files, the index first."""

    names: set[str]
    recovery: dict[str, list[str]]


class Par2Store(StoreWrapper):
    """A Store that protects what it stores; get says what it has repaired.

    What cannot be repaired, or has no recovery files, is given as it is, with a warning: whether it is right is seen by
    the hashes that whoever reads it has.
    """

    def __init__(self, inner: Store, settings: StoreSettings, *, clock: Clock | None = None) -> None:
        super().__init__(inner)
        self._warn = settings.warn
        self._tempdir = settings.options.tempdir
        self._rebuilds_files = settings.options.par2_redundancy >= _ALL_PERCENT
        self._program = Par2Program(settings)
        self._clock = clock or SystemClock()
        self._looking = exclusion()
        self._seen: _Seen | None = None
        self._is_swept = False

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> Par2Store:
        return cls(open_store(replace(url, prefixes=url.prefixes[1:]), settings=settings), settings)

    def ability(self, wanted: Callable[..., T]) -> T | None:
        found = ability(self.inner, wanted) if wanted in _SHOWN else None
        return cast(T, self) if found is not None and wanted is CanMove else found

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        return self._store(key, source, Operation.PUT, lambda: self.inner.put(key, source, sent=sent))

    def move(self, source: str, key: Key) -> StoredFile:
        mover = self.inner_ability(CanMove)
        return self._store(key, source, Operation.MOVE, lambda: mover.move(source, key))

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        with self._workplace(key.name) as folder:
            path = os.path.join(folder, key.name)
            self.inner.get(key, path, received=received)
            self._mend(key, folder)
            with local_files.translating(Operation.GET, name=key.name, path=f"{key.name} (to {target})"):
                _bring(path, target, name=key.name)

    def list(self) -> Iterator[StoredFile]:
        return iter([file for file in self._look() if not _RECOVERY.fullmatch(file.name)])

    def delete(self, key: Key) -> None:
        recovery = self._recovery_of(key.name)
        self.inner.delete(key)
        self._forget(key, recovery)

    # ---- storing ----------------------------------------------------------------------------------------------------

    def _store(self, key: Key, source: str, operation: Operation, store: Callable[[], StoredFile]) -> StoredFile:
        descriptor, size = local_files.open_source(source, operation, name=key.name)
        os.close(descriptor)
        seen = self._swept()
        with self._workplace(key.name) as folder:
            # par2 knows no empty files, in which there is nothing to repair.
            made = self._program.create(folder, key.name, source) if size else []
            if key.name in seen.names:
                self._forget(key, seen.recovery.pop(key.name, []))
                stored = store()
                self._protect(key, folder, made)
            else:
                self._protect(key, folder, made)
                stored = store()
        seen.names.add(key.name)
        return stored

    def _protect(self, key: Key, folder: str, made: Iterable[str]) -> None:
        recovery = self._seen_before().recovery.setdefault(key.name, [])
        for name in made:
            self.inner.put(Key(key.role, name), os.path.join(folder, name))
            if name not in recovery:
                recovery.append(name)

    def _forget(self, key: Key, recovery: Iterable[str]) -> None:
        for name in recovery:
            self.inner.delete(Key(key.role, name))

    # ---- repairing --------------------------------------------------------------------------------------------------

    def _mend(self, key: Key, folder: str) -> None:
        """Checks a fetched file with its index, and repairs it if it can be."""
        name = key.name
        path = os.path.join(folder, name)
        before = os.stat(path)
        recovery = self._recovery_of(name)
        if not recovery:
            if before.st_size:
                self._warn(f"{name} has no recovery files at the target, so nobody can tell whether it is damaged")
            return
        try:
            self._fetch(key, recovery[:1], folder)
        except NeedsWarmUp:
            self._warn(f"{name} is not checked for damage: its recovery files lie in cold storage")
            return
        if self._program.is_sound(folder, name):
            return
        self._fetch(key, recovery[1:], folder)
        if not self._program.repair(folder, name, recovery):
            self._warn(f"{name} does not agree with its recovery files, which cannot repair it; it is used as it is")
        elif os.stat(path).st_ino != before.st_ino:  # par2 makes a new file
            self._warn(
                f"{name} is damaged at the target and has been repaired for this run; what lies there is still "
                "damaged: check that disk or service, and make a new full backup"
            )
        else:
            self._warn(f"{name} is sound, but {recovery[0]} is damaged at the target")

    def _fetch(self, key: Key, recovery: Iterable[str], folder: str) -> None:
        """Fetches recovery files; those that have gone meanwhile are not missed."""
        for name in recovery:
            with suppress(NotFound):
                self.inner.get(Key(key.role, name), os.path.join(folder, name))

    # ---- what is there ----------------------------------------------------------------------------------------------

    def _look(self) -> Sequence[StoredFile]:
        files = [*self.inner.list()]
        seen = _Seen(set(), {})
        for file in files:
            if match := _RECOVERY.fullmatch(file.name):
                seen.recovery.setdefault(match[1], []).append(file.name)
            else:
                seen.names.add(file.name)
        for recovery in seen.recovery.values():
            recovery.sort()  # the index comes first: p before v
        self._seen = seen
        return files

    def _seen_before(self) -> _Seen:
        """What was there when it was last listed, and what has been stored since."""
        with self._looking:
            if self._seen is None:
                self._look()
            assert self._seen is not None
            return self._seen

    def _recovery_of(self, name: str) -> Sequence[str]:
        """The recovery files of a file, for which is listed again if the file was not there before."""
        if name not in self._seen_before().names:
            self._look()
        return self._seen_before().recovery.get(name, [])

    def _swept(self) -> _Seen:
        """What is there, before the first write without what interrupted runs left.

        That must be old enough for nobody to be storing its file any more. It stays where recovery files alone can make
        up for a file that was lost.
        """
        with self._looking:
            if not self._is_swept and not self._rebuilds_files:
                for file in [*_lone(self._look(), oldest=self._clock.now() - LONGEST_UPLOAD)]:
                    with suppress(StorageError):  # housekeeping: a backup must not fail by it
                        self.inner.delete(Key(FileRole.VOLUME, file))
            self._is_swept = True
        return self._seen_before()

    def _workplace(self, name: str) -> tempfile.TemporaryDirectory[str]:
        try:
            return tempfile.TemporaryDirectory(prefix="twofold-par2-", dir=self._tempdir, ignore_cleanup_errors=True)
        except OSError as error:
            reason = f"there is no room for working with par2: {error.strerror}; name another place with --tempdir"
            raise StorageError(f"{name}: {reason}", name=name) from error


def _lone(files: Iterable[StoredFile], *, oldest: float) -> Iterator[str]:
    """Recovery files from before `oldest`, as far as the store says, that have nothing to repair."""
    files = [*files]
    names = {file.name for file in files}
    for file in files:
        match = _RECOVERY.fullmatch(file.name)
        if match and match[1] not in names and file.modified is not None and file.modified < oldest:
            yield file.name


def _bring(path: str, target: str, *, name: str) -> None:
    """Gives a finished file the name it was fetched for, on another file system or not."""
    os.chmod(path, 0o600)  # par2 makes what it repairs readable for all
    try:
        os.replace(path, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with open(path, "rb", buffering=0) as source:
            size = os.fstat(source.fileno()).st_size
            with local_files.arriving(target, size=size, name=name) as arriving:
                local_files.copy_content(source.fileno(), arriving, moved=ignore_bytes)

"""file://: a local directory.

A file appears by rename after it has been written out to the disk, and its name is written out too. The directory is
made by the first writer only; once this store has seen it, its disappearance is an error: a disk that has been
unmounted must neither look empty nor be filled up at its mount point (docs/cli.md section 11, item 14).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from twofold.errors import NoPlace, NotFound, StorageError, Unavailable
from twofold.storage import local_files, unfinished
from twofold.storage.places import local_directory
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Atomicity, ByteCounter, Key, Operation, StoredFile, StoreTraits, ignore_bytes
from twofold.storage.url import StorageUrl

_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
_TRAITS = StoreTraits(parallel=2, atomic_put=Atomicity.BY_RENAME)


class LocalStore:
    """A Store in a directory; also CanMove, CanStage, CanOpenInPlace, CanReadRange, CanCopy, CanCreateExclusive,
    CanReportSpace and CanSeeWriters.

    Stored files get the permissions that a file newly made there gets (umask, default ACL), moved ones too.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._seen = False
        self._file_mode: int | None = None
        self._stagings: list[unfinished.Staging | None] = []

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> LocalStore:
        return cls(local_directory(url))

    @property
    def traits(self) -> StoreTraits:
        return _TRAITS

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)
        try:
            with self._doing(Operation.PUT, key.name):
                self._prepare()
                return self._store(descriptor, key.name, size=size, operation=Operation.PUT, sent=sent)
        finally:
            os.close(descriptor)

    def move(self, source: str, key: Key) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.MOVE, name=key.name)
        try:
            with self._doing(Operation.MOVE, key.name):
                mode = self._prepare()
                if self._is_near(source):
                    os.fchmod(descriptor, mode)
                    os.fsync(descriptor)
                    stored = self._stored(key.name, os.fstat(descriptor))
                    os.replace(source, self._path(key.name))
                    local_files.sync_directory(self._directory)
                else:
                    stored = self._store(descriptor, key.name, size=size, operation=Operation.MOVE, sent=ignore_bytes)
                    os.unlink(source)
                return stored
        finally:
            os.close(descriptor)

    def copy(self, source: Key, target: Key) -> StoredFile:
        with self._doing(Operation.COPY, source.name):
            descriptor, size = self._open(source.name)
            try:
                return self._store(descriptor, target.name, size=size, operation=Operation.COPY, sent=ignore_bytes)
            finally:
                os.close(descriptor)

    def create(self, key: Key, content: bytes) -> None:
        with self._doing(Operation.CREATE, key.name):
            self._prepare()
            with unfinished.PartFile(self._directory) as part:
                local_files.write_all(part.descriptor, content)
                os.fsync(part.descriptor)
                try:
                    part.link_as(self._path(key.name))
                except OSError as error:
                    if error.errno not in _NO_HARD_LINKS:
                        raise
                    self._create_unlinked(key.name, content)
            local_files.sync_directory(self._directory)

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        with self._doing(Operation.GET, key.name):
            descriptor, size = self._open(key.name)
        try:
            with local_files.arriving(target, size=size, name=key.name) as arriving:
                local_files.copy_content(descriptor, arriving, moved=received)
        finally:
            os.close(descriptor)

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        pieces = []
        with self._doing(Operation.READ_RANGE, key.name):
            descriptor, _ = self._open(key.name)
            try:
                while size > 0 and (piece := os.pread(descriptor, size, start)):
                    pieces.append(piece)
                    start += len(piece)
                    size -= len(piece)
            finally:
                os.close(descriptor)
        return b"".join(pieces)

    def open_local(self, key: Key) -> str:
        self.stat(key)
        return self._path(key.name)

    def list(self) -> Iterator[StoredFile]:
        with self._doing(Operation.LIST, ""):
            try:
                entries = os.scandir(self._directory or ".")
            except FileNotFoundError:
                if self._seen:
                    raise
                return iter(())
            self._seen = True
            with entries:
                found = [self._listed(entry) for entry in entries if not entry.name.startswith(unfinished.PREFIX)]
        return (file for file in found if file is not None)

    def stat(self, key: Key) -> StoredFile:
        with self._doing(Operation.STAT, key.name):
            found = os.stat(self._path(key.name))
            self._seen = True
            if not stat.S_ISREG(found.st_mode):
                raise FileNotFoundError(errno.ENOENT, "Not a file", self._path(key.name))
            return self._stored(key.name, found)

    def delete(self, key: Key) -> None:
        with self._doing(Operation.DELETE, key.name):
            try:
                os.unlink(self._path(key.name))
            except FileNotFoundError:
                if self._seen and not os.path.isdir(self._directory or "."):
                    raise

    def free_bytes(self) -> int | None:
        """Of the file system that the directory is on, or will be on."""
        with self._doing(Operation.FREE_BYTES, ""):
            path = os.path.abspath(self._directory)
            while not os.path.exists(path):
                path = os.path.dirname(path)
            found = os.statvfs(path)
            return found.f_bavail * found.f_frsize

    def staging_directory(self) -> str | None:
        with self._doing(Operation.PUT, ""):
            if not self._stagings:
                self._prepare()
                # Two threads may both come here: both stagings are removed at the end, and both threads get the first.
                self._stagings.append(unfinished.Staging.make(self._directory or "."))
            staging = self._stagings[0]
            return None if staging is None else staging.path

    def has_other_writer(self) -> bool:
        with self._doing(Operation.LIST, ""):
            own = [staging.path for staging in self._stagings if staging is not None]
            return unfinished.is_being_written(self._directory or ".", own=own)

    def close(self) -> None:
        with self._doing(Operation.DELETE, ""):
            while self._stagings:
                if (staging := self._stagings.pop()) is not None:
                    staging.remove()

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)

    def _prepare(self) -> int:
        """Sees to it that the directory is there and clean before the first write; the mode of new files in it."""
        if self._file_mode is None:
            if not self._seen:
                local_files.make_directories(self._directory)
            unfinished.sweep(self._directory or ".")
            with unfinished.PartFile(self._directory) as probe:
                self._file_mode = stat.S_IMODE(os.fstat(probe.descriptor).st_mode)
            self._seen = True
        return self._file_mode

    def _store(self, source: int, name: str, *, size: int, operation: Operation, sent: ByteCounter) -> StoredFile:
        with unfinished.PartFile(self._directory) as part:
            copied = local_files.copy_content(source, part.descriptor, moved=sent)
            os.fsync(part.descriptor)
            found = os.fstat(part.descriptor)
            local_files.require_size(min(copied, found.st_size), size, operation=operation, name=name)
            part.keep_as(self._path(name))
        local_files.sync_directory(self._directory)
        return self._stored(name, found)

    def _create_unlinked(self, name: str, content: bytes) -> None:
        """For file systems without hard links (FAT): still exclusive, but an interruption can leave a short file."""
        descriptor = os.open(self._path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            local_files.write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _open(self, name: str) -> tuple[int, int]:
        # O_NONBLOCK: a named pipe of that name must not make us wait for ever.
        descriptor = os.open(self._path(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise FileNotFoundError(errno.ENOENT, "Not a file", self._path(name))
        self._seen = True
        return descriptor, found.st_size

    def _is_near(self, source: str) -> bool:
        """Whether a rename can bring the file here."""
        found = os.lstat(source)
        return stat.S_ISREG(found.st_mode) and found.st_dev == os.stat(self._directory or ".").st_dev

    @contextmanager
    def _doing(self, operation: Operation, name: str) -> Iterator[None]:
        """Translates what the system says into what a store says."""
        path = self._path(name) if name else self._directory
        with local_files.translating(operation, name=name, path=path):
            try:
                yield
            except FileNotFoundError as error:
                raise self._absent(operation, name) from error

    def _absent(self, operation: Operation, name: str) -> StorageError:
        word = operation.value
        if not os.path.isdir(self._directory or "."):
            remedy = "it was there before: is the disk still mounted?" if self._seen else "is the disk mounted?"
            return NoPlace(f"No directory {self._directory} ({remedy})", name=name, operation=word)
        if operation in {Operation.PUT, Operation.MOVE, Operation.CREATE}:
            message = f"A temporary file in {self._directory} has been removed by somebody else"
            return Unavailable(message, name=name, operation=word)
        return NotFound(f"No file {name} in {self._directory}", name=name, operation=word)

    def _stored(self, name: str, found: os.stat_result) -> StoredFile:
        return StoredFile(name, found.st_size, int(found.st_mtime_ns // 1_000_000_000))

    def _listed(self, entry: os.DirEntry[str]) -> StoredFile | None:
        try:
            found = entry.stat()
        except FileNotFoundError:
            return None  # removed meanwhile, or a link to nowhere
        return self._stored(entry.name, found) if stat.S_ISREG(found.st_mode) else None

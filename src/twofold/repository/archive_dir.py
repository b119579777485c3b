"""The local copy of manifests and signature files: duplicity's own cache folder, used in turn by both programs.

Files here are plain or gzipped whatever the target holds (docs/format.md section 8). Every file gets its name only
when it is whole and durable; what an interrupted run leaves has a name of ours, and goes at the next start.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from enum import Enum
from typing import Final, Self

from twofold import system
from twofold.errors import UserError
from twofold.format.names import NameCodec
from twofold.model.backup import FileRole, SetId, StoredName, Wrapping

LOCK_NAME: Final = "lockfile"
STATE_NAME: Final = "twofold-state"
_SCRATCH_PREFIX: Final = "twofold-scratch-"


class Beside(Enum):
    """Files that go with a manifest, after which they are named: entrances with a whole one, the others with a partial.

    These are what an interrupted backup has come to: its checkpoints, and the signatures and list of changed files
    that belong to them.
    """

    ENTRANCES = "twofold-entrances."
    CHECKPOINTS = "twofold-checkpoints."
    SIGNATURES = "twofold-signatures."
    CHANGES = "twofold-changes."


class ArchiveDir:
    """One folder, one backup. Everything but `list` wants the lock to be held."""

    def __init__(self, path: str, codec: NameCodec, *, tidies: bool = True) -> None:
        """Unless it `tidies`, what killed runs have left here stays, as a dry run wants it."""
        self.path = path
        self._tidies = tidies
        self.codec = codec
        self._lock = -1
        self._scratch_number = 0

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Makes the folder if it is missing and takes its lock at once. Raises UserError when somebody else has it."""
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            self._lock = self._take_lock()
        except OSError as error:
            raise UserError(
                f"Cannot use the archive directory {self.path}: {error.strerror}; name another one with --archive-dir"
            ) from error
        names = frozenset(os.listdir(self.path))
        for name in names if self._tidies else ():
            left = name.startswith((_SCRATCH_PREFIX, STATE_NAME + "."))  # by a run that was killed: it has no lock
            alone = any(name.startswith(each.value) and name[len(each.value) :] not in names for each in Beside)
            if left or alone:
                os.unlink(os.path.join(self.path, name))

    def _take_lock(self) -> int:
        path = os.path.join(self.path, LOCK_NAME)
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if not system.lock_at_once(descriptor):
                os.close(descriptor)
                raise UserError(
                    f"Another backup is running on the archive directory {self.path} (its lock file is {path}); "
                    "wait until it has ended"
                )
            # NB: duplicity unlinks the file when it ends, even the lock file of somebody else: a lock on a file that
            # is no longer there protects nothing, so take the new one.
            try:
                if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    return descriptor
            except FileNotFoundError:
                pass
            os.close(descriptor)

    def release(self) -> None:
        """Gives the lock back; may be called twice. The lock file stays: removing it is how two runs get in at once."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def list(self) -> Iterator[tuple[str, int]]:
        """Name and size of each file; nothing when the folder does not exist."""
        try:
            entries = os.scandir(self.path)
        except FileNotFoundError:
            return
        with entries:
            for entry in entries:
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(found.st_mode):
                    yield entry.name, found.st_size

    def path_of(self, name: str) -> str:
        return os.path.join(self.path, name)

    def manifest_path(self, set_id: SetId, *, partial: bool = False) -> str:
        return self.path_of(self.codec.format(StoredName(set_id, FileRole.MANIFEST, Wrapping.PLAIN, partial=partial)))

    def signature_path(self, set_id: SetId, *, partial: bool = False) -> str:
        wrapping = Wrapping.PLAIN if partial else Wrapping.GZIP
        return self.path_of(self.codec.format(StoredName(set_id, FileRole.SIGNATURES, wrapping, partial=partial)))

    def entrances_path(self, set_id: SetId) -> str:
        return self.path_beside(Beside.ENTRANCES, set_id)

    def path_beside(self, what: Beside, set_id: SetId) -> str:
        manifest = self.manifest_path(set_id, partial=what is not Beside.ENTRANCES)
        return self.path_of(what.value + os.path.basename(manifest))

    @property
    def state_path(self) -> str:
        return self.path_of(STATE_NAME)

    def remove_beside(self, set_id: SetId) -> None:
        """Deletes what goes with a partial manifest, but not that."""
        for what in Beside:
            if what is not Beside.ENTRANCES:
                _unlink_if_there(self.path_beside(what, set_id))

    def scratch(self) -> str:
        """A path for a file in the making, on the same file system; removed at the next start if it is still there."""
        self._scratch_number += 1
        return self.path_of(f"{_SCRATCH_PREFIX}{os.getpid()}-{self._scratch_number}")

    def install(self, scratch: str, path: str) -> None:
        """Gives a whole, closed file its name, durably: contents first, then the name, then the folder."""
        descriptor = os.open(scratch, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(scratch, path)
        self.sync()

    def write(self, path: str, content: bytes) -> None:
        """Stores a small file whole or not at all. Raises OSError, which names the file."""
        scratch = self.scratch()
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
            except OSError as error:
                raise OSError(error.errno, error.strerror, path) from error
            self.install(scratch, path)
        finally:
            _unlink_if_there(scratch)

    def remove(self, name: str) -> None:
        """Deletes a file of this folder with what goes with it; a missing one is no error."""
        for each in (*(each.value + name for each in Beside), name):
            _unlink_if_there(self.path_of(each))

    def sync(self) -> None:
        """Makes names in the folder durable."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _unlink_if_there(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


class AppendOnlyFile:
    """A file that grows by whole, durable pieces: the partial manifest of a running backup."""

    def __init__(self, path: str, *, keep: bool = False) -> None:
        """Begins an empty file, or goes on behind what is there if that is to be kept."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._path = path
        self._descriptor = os.open(path, flags if keep else flags | os.O_TRUNC, 0o600)

    def append(self, content: bytes) -> None:
        """Returns when the content, and all before it, is on the disk."""
        self.append_softly(content)
        os.fsync(self._descriptor)

    def append_softly(self, content: bytes) -> None:
        """Returns before the content is on the disk; the next `append` brings it there."""
        view = memoryview(content)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._path) from error

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

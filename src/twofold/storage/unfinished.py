"""Files and directories that are still being made inside a local target, and how those of dead processes are found.

Their names begin with a dot, so that they never extend a name that duplicity recognises (docs/format.md sections 2.2
and 13, row 31). Each is locked (flock) as long as its maker lives; the kernel drops the lock with the process. So what
is not locked is nobody's, and only that is ever removed. Where a file system has no locks, nothing is removed.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Collection
from enum import Enum
from types import TracebackType
from typing import Self

PREFIX = ".twofold-"
PART_PREFIX = ".twofold-part-"
STAGING_PREFIX = ".twofold-staging-"
LOCK_NAME = ".lock"

_BUSY = frozenset({errno.EWOULDBLOCK, errno.EACCES})
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF})
_ANYBODY_ELSE = 0o077


class PartFile:
    """A new file under a temporary name in `directory`, removed on the way out unless `keep_as` has named it."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self.path = ""
        self.descriptor = -1

    def __enter__(self) -> Self:
        while True:
            self.path = os.path.join(self._directory, PART_PREFIX + _random_word())
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self.descriptor = os.open(self.path, flags, 0o666)
            # A sweeper may have come between open and lock; then it has the lock or the file is gone: make another.
            if _lock(self.descriptor) is not _Lock.BUSY and os.fstat(self.descriptor).st_nlink:
                return self
            os.close(self.descriptor)

    def keep_as(self, path: str) -> None:
        """Gives the file its name, replacing a file of that name."""
        os.replace(self.path, path)
        self.path = ""

    def link_as(self, path: str) -> None:
        """Gives the file its name. Raises FileExistsError when it is taken, EPERM and the like without hard links."""
        os.link(self.path, path)

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        try:
            if self.path:
                os.unlink(self.path)
        finally:
            os.close(self.descriptor)


class Staging:
    """A private directory inside a target, locked by the lock file in it."""

    def __init__(self, path: str, *, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def make(cls, parent: str) -> Staging | None:
        """None where the file system knows neither owners nor locks, so that it cannot be private or guarded."""
        while True:
            path = os.path.join(parent, STAGING_PREFIX + _random_word())
            os.mkdir(path, 0o700)
            try:
                lock = _lock_directory(path)
            except FileNotFoundError:
                continue  # a sweeper took it for a dead one before it was locked: make another
            if lock is not None:
                return cls(path, lock=lock)
            _remove_tree(path)
            return None

    def remove(self) -> None:
        """Removes the directory with all that is in it; when it is gone already, that is fine."""
        try:
            _remove_tree(self.path)
        except FileNotFoundError:
            return
        finally:
            os.close(self._lock)


def sweep(directory: str, *, owner: int | None = None) -> None:
    """Removes what dead processes left unfinished in `directory`: that of one `owner` alone, if it is given.

    It has to be where everybody may write, for there an entry of somebody else may turn into a link while it is looked
    at. This is housekeeping: what resists is left alone, for a backup must not fail by it.
    """
    with os.scandir(directory) as entries:
        unfinished = [entry for entry in entries if entry.name.startswith(PREFIX)]
    for entry in unfinished:
        try:
            if owner is not None and entry.stat(follow_symlinks=False).st_uid != owner:
                continue
            if entry.name.startswith(PART_PREFIX) and entry.is_file(follow_symlinks=False):
                _sweep_part(entry.path)
            elif entry.name.startswith(STAGING_PREFIX) and entry.is_dir(follow_symlinks=False):
                _sweep_staging(entry.path)
        except OSError:
            continue


def is_being_written(directory: str, *, own: Collection[str]) -> bool:
    """Whether a living process holds something unfinished in `directory`, except for the paths in `own`.

    What cannot be opened, and what a file system without locks holds, tells nothing.
    """
    with os.scandir(directory) as entries:
        others = [entry for entry in entries if entry.name.startswith(PREFIX) and entry.path not in own]
    return any(map(_is_locked, others))


def _is_locked(entry: os.DirEntry[str]) -> bool:
    path = os.path.join(entry.path, LOCK_NAME) if entry.name.startswith(STAGING_PREFIX) else entry.path
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return _lock(descriptor) is _Lock.BUSY
    finally:
        os.close(descriptor)


def _sweep_part(path: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        # The lock may have become free because the file has just got its final name: path and file must still agree.
        if _lock(descriptor) is _Lock.HELD and os.path.samestat(os.fstat(descriptor), os.lstat(path)):
            os.unlink(path)
    finally:
        os.close(descriptor)


def _sweep_staging(path: str) -> None:
    try:
        lock = os.open(os.path.join(path, LOCK_NAME), os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        os.rmdir(path)  # refuses when there is anything in it
        return
    try:
        if _lock(lock) is _Lock.HELD:
            _remove_tree(path)
    finally:
        os.close(lock)


class _Lock(Enum):
    """What came of an attempt to lock."""

    HELD = "held"
    BUSY = "busy"
    IMPOSSIBLE = "impossible"


def _lock(descriptor: int) -> _Lock:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            return _Lock.BUSY
        if error.errno in _NO_LOCKS:
            return _Lock.IMPOSSIBLE
        raise
    return _Lock.HELD


def _lock_directory(path: str) -> int | None:
    """The descriptor of the lock in a new directory; None where it cannot be private or guarded.

    Raises FileNotFoundError when a sweeper was faster.
    """
    if os.stat(path).st_mode & _ANYBODY_ELSE:
        return None
    descriptor = os.open(os.path.join(path, LOCK_NAME), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    result = _lock(descriptor)
    if result is _Lock.HELD and os.fstat(descriptor).st_nlink:
        return descriptor
    os.close(descriptor)
    if result is _Lock.IMPOSSIBLE:
        return None
    raise FileNotFoundError(errno.ENOENT, "Removed by a sweeper", path)


def _remove_tree(path: str) -> None:
    """Removes a directory; its lock file last, so that whoever is interrupted here leaves it to the next sweeper."""
    with os.scandir(path) as entries:
        inside = sorted(entries, key=lambda entry: entry.name == LOCK_NAME)
    for entry in inside:
        if entry.is_dir(follow_symlinks=False):
            _remove_tree(entry.path)
        else:
            os.unlink(entry.path)
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return  # a sweeper found it empty in the moment after the lock file had gone


def _random_word() -> str:
    return os.urandom(8).hex()

"""Local files as drivers meet them: what the system's errors mean, contents copied by the kernel, names made durable.

Used by the drivers of local directories and by every driver's get. Nothing here knows a store.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from twofold.errors import (
    AlreadyExists,
    Forbidden,
    Incomplete,
    NoPlace,
    NoSpace,
    NotFound,
    StorageError,
    Unavailable,
    Unsupported,
)
from twofold.storage.store import ByteCounter, Operation

PART_SUFFIX = ".part"
CHUNK = 1 << 20
KERNEL_CHUNK = 16 << 20
"""Bytes per copy_file_range: large enough to cost nothing, small enough for a progress display."""

_MEANINGS: dict[type[StorageError], tuple[int, ...]] = {
    NotFound: (errno.ENOENT,),
    NoPlace: (errno.ENOTDIR, errno.ELOOP),
    Forbidden: (errno.EACCES, errno.EPERM, errno.EROFS),
    NoSpace: (errno.ENOSPC, errno.EDQUOT),
    AlreadyExists: (errno.EEXIST,),
    Unsupported: (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.EFBIG, errno.ENOSYS, errno.EOPNOTSUPP),
    # An input/output error may be a dying disk, but also a network file system that was gone for a moment. Another try
    # writes a new file from the start, so it cannot take a page for written that a failed fsync has dropped.
    Unavailable: (
        *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ENXIO, errno.ENODEV),
        *(errno.ENOTCONN, errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED, errno.EHOSTDOWN),
        *(errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    ),
}
_KINDS = {number: kind for kind, numbers in _MEANINGS.items() for number in numbers}

_REMEDIES: dict[type[StorageError], str] = {
    NoPlace: "is the path right and the disk mounted?",
    Forbidden: "check owner and permissions",
    NoSpace: "make room or use another target",
    Unsupported: "this file system cannot do it",
}

_NOT_FOR_DIRECTORIES = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES, errno.EPERM})

_NO_KERNEL_COPY = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.ETXTBSY, errno.EIO}
)


def translated(error: OSError, *, operation: Operation, name: str, path: str) -> StorageError:
    """The StorageError that an error of the system means; unknown numbers are a plain StorageError: not tried again."""
    kind = _KINDS.get(error.errno or 0, StorageError)
    remedy = f" ({_REMEDIES[kind]})" if kind in _REMEDIES else ""
    message = f"{operation.value} failed at {path}: {error.strerror or error}{remedy}"
    return kind(message, name=name, operation=operation.value)


@contextmanager
def translating(operation: Operation, *, name: str, path: str) -> Iterator[None]:
    """Turns every OSError inside into a StorageError about `path`."""
    try:
        yield
    except OSError as error:
        raise translated(error, operation=operation, name=name, path=path) from error


def open_source(source: str, operation: Operation, *, name: str) -> tuple[int, int]:
    """Descriptor and size of a local file that is to be stored.

    Raises plain StorageError: that our own file is missing must not look as if the store lacked it.
    """
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        return descriptor, os.fstat(descriptor).st_size
    except OSError as error:
        message = f"Cannot read {source}, which was to be stored: {error.strerror}"
        raise StorageError(message, name=name, operation=operation.value) from error


def copy_content(source: int, target: int, *, moved: ByteCounter) -> int:
    """Copies from where the descriptors stand to the end of the source; the bytes copied, each told to `moved`.

    The kernel does it where it can: without a copy at all on file systems that share blocks.
    """
    copied = _kernel_copy(source, target, moved)
    # Goes on where the kernel stopped: some kernels answer "end of file" where only the next call would have failed.
    buffer = memoryview(bytearray(CHUNK))
    while count := os.readv(source, [buffer]):
        write_all(target, buffer[:count])
        copied += count
        moved(count)
    return copied


def _kernel_copy(source: int, target: int, moved: ByteCounter) -> int:
    if not hasattr(os, "copy_file_range"):
        return 0
    copied = 0
    try:
        while count := os.copy_file_range(source, target, KERNEL_CHUNK):
            copied += count
            moved(count)
    except OSError as error:
        if copied or error.errno not in _NO_KERNEL_COPY:
            raise
    return copied


def write_all(target: int, content: bytes | memoryview) -> None:
    """Writes all of `content`, however little the system takes at once."""
    view = memoryview(content)
    while view:
        view = view[os.write(target, view) :]


def require_size(found: int, expected: int, *, operation: Operation, name: str) -> None:
    """Raises Incomplete unless the sizes, in bytes, are equal."""
    if found != expected:
        message = f"{operation.value} of {name} moved {found} of {expected} bytes; it has been undone, try again"
        raise Incomplete(message, name=name, operation=operation.value)


def sync_directory(path: str) -> None:
    """Makes the names in a directory survive a power cut.

    Some file systems cannot do that for a directory, and some directories may be written but not opened: there is
    nothing more to do for those. A failing disk raises OSError.
    """
    try:
        descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_FOR_DIRECTORIES:
            raise
    finally:
        os.close(descriptor)


def make_directories(path: str) -> None:
    """Makes a directory and its parents, each durable before the next; permissions are left to the user's umask.

    duplicity does the same, and other accounts that fetch backups by their group depend on it.
    """
    missing = []
    while path and not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path.rstrip("/"))
    for directory in reversed(missing):
        try:
            os.mkdir(directory)
        except FileExistsError:
            if not os.path.isdir(directory):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), directory) from None
        sync_directory(os.path.dirname(directory.rstrip("/")))


@contextmanager
def arriving(target: str, *, size: int | None, name: str) -> Iterator[int]:
    """The descriptor to which a fetched file is written: `target`.part, renamed when it has the right size.

    `size` is None where it is known only afterwards: then the caller compares, before it leaves.
    Leaving by an exception removes the part; an OSError becomes a StorageError.
    """
    part = target + PART_SUFFIX
    with translating(Operation.GET, name=name, path=f"{name} (to {target})"):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(part, flags, 0o600)
        try:
            try:
                yield descriptor
                if size is not None:
                    require_size(os.fstat(descriptor).st_size, size, operation=Operation.GET, name=name)
            finally:
                os.close(descriptor)
            os.replace(part, target)
        except BaseException:
            os.unlink(part)
            raise


def pieces_of(descriptor: int, *, operation: Operation, name: str, size: int = CHUNK) -> Iterator[bytes]:
    """What stands behind the position of a local file, in pieces of `size` bytes; for stores that are sent it.

    Raises plain StorageError, as open_source does.
    """
    while True:
        try:
            piece = os.read(descriptor, size)
        except OSError as error:
            message = f"Cannot read on in {name}, which was to be stored: {error.strerror}"
            raise StorageError(message, name=name, operation=operation.value) from error
        if not piece:
            return
        yield piece

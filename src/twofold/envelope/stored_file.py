"""The file that a sealer makes: its digests, its last steps and its removal."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Final

from twofold.envelope.protocol import Buffer, Sealed

_READ_SIZE: Final = 1 << 18
_ROOM: Final = 1 << 16
"""The most that gpg writes at once."""


class SharedDescriptor:
    """A descriptor that one thread uses, in `with` blocks, and that any thread may close.

    NB: closed in the middle of a call, its number could belong to another file when the call goes on. Each side first
    says what it does and then looks at the other, so that at least one of them sees both and closes.
    """

    def __init__(self, descriptor: int) -> None:
        self._held = [descriptor]
        self._busy = False
        self._closed = False

    def __enter__(self) -> int:
        """Raises OSError when it has been closed."""
        self._busy = True
        if self._closed:
            self.__exit__()
            raise OSError(errno.EBADF, "Closed by another thread")
        return self._held[0]

    def __exit__(self, *_: object) -> None:
        self._busy = False
        if self._closed:
            self._close_now()

    def close(self) -> None:
        """Closes at once, or as soon as the other thread has done its call; may be called twice."""
        self._closed = True
        if not self._busy:
            self._close_now()

    def _close_now(self) -> None:
        try:
            descriptor = self._held.pop()  # in one step, whichever thread comes first
        except IndexError:
            return
        os.close(descriptor)


class StoredFile:
    """A file that grows, by `append` or by another process, and its digests, which `follow` keeps close behind."""

    def __init__(self, descriptor: int, path: str) -> None:
        import hashlib

        self.path = path
        self._descriptor = SharedDescriptor(descriptor)
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._size = 0
        self._buffer = bytearray()
        self._finished = False

    @classmethod
    def create(cls, path: str) -> StoredFile:
        return cls(create_file(path), path)

    def append(self, data: Buffer) -> None:
        """Writes and digests. Raises OSError, which names the file."""
        try:
            with self._descriptor as descriptor:
                write_all(descriptor, data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.path) from error
        self._digest(data)

    def follow(self, *, to_the_end: bool = False) -> None:
        """Digests what another process has written since; small amounts wait for the next time. Raises OSError."""
        if not self._buffer:
            self._buffer = bytearray(_READ_SIZE)
        view = memoryview(self._buffer)
        with self._descriptor as descriptor:
            behind = os.fstat(descriptor).st_size - self._size
            while behind >= _READ_SIZE or (to_the_end and behind > 0):
                count = os.preadv(descriptor, [view], self._size)
                if not count:
                    raise OSError(f"{self.path} became shorter while it was written")
                self._digest(view[:count])
                behind -= count

    def finish(self) -> Sealed:
        """Brings the file to the disk and closes it. Raises OSError, which names the file."""
        try:
            with self._descriptor as descriptor:
                os.fsync(descriptor)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.path) from error
        self._finished = True
        self._descriptor.close()
        return Sealed(self.path, self._size, self._sha1.hexdigest(), self._sha256.hexdigest())

    def remove(self) -> None:
        """Closes the file and deletes it; may be called twice. Nothing happens after `finish`."""
        if not self._finished:
            self._finished = True
            self._descriptor.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)

    def check_room(self) -> None:
        """Raises OSError, which names the file, if it cannot grow. It is only to be removed afterwards."""
        with self._descriptor as descriptor:
            check_room(descriptor, self.path)

    def rename(self, path: str) -> None:
        """Moves the file, open as it is. Raises OSError."""
        os.rename(self.path, path)
        self.path = path

    def _digest(self, data: Buffer) -> None:
        self._sha1.update(data)
        self._sha256.update(data)
        self._size += len(data)


def create_file(path: str) -> int:
    """Opens a new or emptied file that only its owner may read. Raises OSError."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)


def check_room(descriptor: int, path: str) -> None:
    """Raises the OSError, with that path, that whoever lets this file grow meets; spoils the file.

    NB: gpg tells programs neither that a disk is full nor which: of what it had to write, it says that it was tampered
    with. So what it tried is tried here.
    """
    try:
        end = os.fstat(descriptor).st_size
        view = memoryview(bytes(_ROOM))
        while view:
            count = os.pwrite(descriptor, view, end)
            view, end = view[count:], end + count
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


def write_all(descriptor: int, data: Buffer) -> None:
    """Writes everything, however often that takes. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]

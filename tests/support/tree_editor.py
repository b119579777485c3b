"""Makes and changes trees whose every time stamp is decided here, so that two runs make the same tree.

All paths are bytes relative to the tree's root. Parents of what was changed get their time in `close()`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from types import TracebackType
from typing import Self

STEP_SECONDS = 10_000
FIRST_STAMP = 1_600_000_000


def random_bytes(seed: str, size: int) -> bytes:
    """Incompressible, and the same for the same seed."""
    return hashlib.shake_128(seed.encode()).digest(size)


def plain_text(seed: str, size: int) -> bytes:
    """Text that deflates to about a fifth, and the same for the same seed."""
    words = [hashlib.sha256(f"{seed}{number}".encode()).hexdigest()[:8].encode() for number in range(64)]
    order = random_bytes(f"{seed} order", size // 9 + 1)
    return b" ".join(words[each % 64] for each in order)[:size]


class TreeEditor:
    """Edits of one step; each touched name gets a time of its own within the step."""

    def __init__(self, root: bytes, *, step: int) -> None:
        self.root = root
        self._first = FIRST_STAMP + step * STEP_SECONDS
        self._count = 0
        self._parents: set[bytes] = set()
        os.makedirs(root, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()

    def close(self) -> None:
        """Gives the folders whose contents changed a time of this step."""
        for folder in sorted(self._parents, key=lambda path: path.count(b"/"), reverse=True):
            if os.path.isdir(self.at(folder)) and not os.path.islink(self.at(folder)):
                self._stamp(folder, len(folder))

    def at(self, path: bytes) -> bytes:
        return os.path.join(self.root, path) if path else self.root

    def write(self, path: bytes, data: bytes, *, mode: int = 0o644) -> None:
        """Creates or replaces; the old inode is kept when there is one."""
        self._changes_folder(path)
        with open(self.at(path), "wb") as file:
            file.write(data)
        os.chmod(self.at(path), mode)
        self.touch(path)

    def overwrite(self, path: bytes, offset: int, data: bytes) -> None:
        with open(self.at(path), "r+b") as file:
            file.seek(offset)
            file.write(data)
        self.touch(path)

    def insert(self, path: bytes, offset: int, data: bytes) -> None:
        with open(self.at(path), "r+b") as file:
            old = file.read()
            file.seek(0)
            file.write(old[:offset] + data + old[offset:])
        self.touch(path)

    def append(self, path: bytes, data: bytes) -> None:
        with open(self.at(path), "ab") as file:
            file.write(data)
        self.touch(path)

    def truncate(self, path: bytes, size: int) -> None:
        os.truncate(self.at(path), size)
        self.touch(path)

    def write_sparse(self, path: bytes, size: int, pieces: dict[int, bytes]) -> None:
        self._changes_folder(path)
        with open(self.at(path), "wb") as file:
            for offset, data in pieces.items():
                file.seek(offset)
                file.write(data)
            file.truncate(size)
        self.touch(path)

    def mkdir(self, path: bytes, *, mode: int = 0o755) -> None:
        self._changes_folder(path)
        os.mkdir(self.at(path))
        os.chmod(self.at(path), mode)
        self._parents.add(path)

    def symlink(self, path: bytes, target: bytes) -> None:
        self._changes_folder(path)
        os.symlink(target, self.at(path))
        self.touch(path)

    def hard_link(self, path: bytes, other: bytes) -> None:
        self._changes_folder(path)
        os.link(self.at(other), self.at(path), follow_symlinks=False)

    def special(self, path: bytes, kind: int, *, mode: int = 0o600, device: int = 0) -> None:
        """A fifo or socket, or a device if the caller is root."""
        self._changes_folder(path)
        os.mknod(self.at(path), kind | mode, device)
        os.chmod(self.at(path), mode)
        self.touch(path)

    def chmod(self, path: bytes, mode: int) -> None:
        os.chmod(self.at(path), mode)

    def chown(self, path: bytes, uid: int, gid: int) -> None:
        """Root only; keeps the mode's set-id bits, which the system call clears."""
        mode = stat.S_IMODE(os.lstat(self.at(path)).st_mode)
        os.chown(self.at(path), uid, gid, follow_symlinks=False)
        if not os.path.islink(self.at(path)):
            os.chmod(self.at(path), mode)

    def set_xattr(self, path: bytes, name: str, value: bytes) -> None:
        """Does nothing on a file system without extended attributes; test_support says when that is so."""
        if supports_xattrs(self.root):
            os.setxattr(self.at(path), name, value, follow_symlinks=False)

    def touch(self, path: bytes) -> None:
        self._count += 1
        self._stamp(path, self._count)

    def set_mtime(self, path: bytes, nanoseconds: int) -> None:
        """A time of the caller's choice; for a folder, after everything in it has been made."""
        os.utime(self.at(path), ns=(nanoseconds, nanoseconds), follow_symlinks=False)
        self._parents.discard(path)

    def rename(self, old: bytes, new: bytes) -> None:
        self._changes_folder(old)
        self._changes_folder(new)
        os.rename(self.at(old), self.at(new))

    def remove(self, path: bytes) -> None:
        self._changes_folder(path)
        if os.path.isdir(self.at(path)) and not os.path.islink(self.at(path)):
            shutil.rmtree(self.at(path))
        else:
            os.unlink(self.at(path))

    def _changes_folder(self, path: bytes) -> None:
        self._parents.add(os.path.dirname(path))

    def _stamp(self, path: bytes, number: int) -> None:
        """Fractions stay below .99, which duplicity would round up to the next second (docs/format.md section 5.3)."""
        fraction = (self._first * 7919 + number * 104_729 * 1_009) % 990_000_000
        nanoseconds = (self._first + number) * 10**9 + fraction
        os.utime(self.at(path), ns=(nanoseconds, nanoseconds), follow_symlinks=False)


def supports_xattrs(folder: bytes) -> bool:
    try:
        os.setxattr(folder, "user.twofold_probe", b"1")
        os.removexattr(folder, "user.twofold_probe")
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM):
            return False
        raise
    return True

"""Random changes of a tree: contents, kinds, names, links, modes, times."""

from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import Callable, Sequence

NAMES = (b"a", b"b", b"b-c", b"b.d", b"zeta \xff\n", b"x" * 60)
SIZES = (0, 1, 4095, 65535, 65536, 65537, 131072, 200_001, 500_000)
MODES = (0o600, 0o644, 0o755, 0o4711, 0o000)


class Edits:
    """Random changes of a tree; every decision comes from one seed. Some are `hidden` from who looks at mtimes only."""

    def __init__(self, root: bytes, seed: int, *, sizes: Sequence[int] = SIZES, hidden: bool = True) -> None:
        self.root = root
        self.sizes = sizes
        self.hidden = hidden
        self.random = random.Random(seed)

    def make_some(self, count: int) -> None:
        kinds: tuple[Callable[[bytes], None], ...] = (
            *(self.write, self.write, self.write, self.append, self.insert, self.truncate, self.swap_unseen),
            *(self.change_mode, self.rename, self.delete, self.make_directory, self.make_directory),
            *(self.symlink, self.hard_link, self.hard_link, self.sparse, self.set_attribute, self.fifo, self.touch),
        )
        for _ in range(count):
            edit = self.random.choice(kinds)
            if self.hidden or edit not in (self.swap_unseen, self.touch):
                edit(self.path())

    def path(self) -> bytes:
        """Somewhere in the tree, there or not; below an existing directory."""
        path = self.root
        while True:
            path = os.path.join(path, self.random.choice(NAMES))
            if not (os.path.isdir(path) and not os.path.islink(path) and self.random.random() < 0.6):
                return path

    def content(self) -> bytes:
        return self.random.randbytes(self.random.choice(self.sizes))

    def is_file(self, path: bytes) -> bool:
        return os.path.lexists(path) and stat.S_ISREG(os.lstat(path).st_mode)

    def write(self, path: bytes) -> None:
        if os.path.lexists(path) and not self.is_file(path):
            self.delete(path)
        with open(path, "wb") as file:
            file.write(self.content())

    def append(self, path: bytes) -> None:
        if self.is_file(path):
            with open(path, "ab") as file:
                file.write(self.content())

    def insert(self, path: bytes) -> None:
        if self.is_file(path):
            with open(path, "r+b") as file:
                old = file.read()
                at = self.random.randrange(len(old) + 1)
                file.seek(at)
                file.write(self.random.randbytes(self.random.randrange(5000)) + old[at:])

    def truncate(self, path: bytes) -> None:
        if self.is_file(path):
            os.truncate(path, self.random.randrange(os.path.getsize(path) + 1))

    def swap_unseen(self, path: bytes) -> None:
        """Another content of the same size, with the old modification time: only the change time tells."""
        if self.is_file(path):
            found = os.lstat(path)
            with open(path, "r+b") as file:
                file.write(self.random.randbytes(found.st_size))
            os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

    def change_mode(self, path: bytes) -> None:
        if os.path.lexists(path) and not os.path.islink(path):
            os.chmod(path, self.random.choice(MODES))

    def rename(self, path: bytes) -> None:
        other = self.path()
        if os.path.lexists(path) and not os.path.lexists(other) and not (other + b"/").startswith(path + b"/"):
            os.rename(path, other)

    def delete(self, path: bytes) -> None:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)

    def make_directory(self, path: bytes) -> None:
        if self.is_file(path):
            os.unlink(path)
        if not os.path.lexists(path):
            os.mkdir(path)
            for name in NAMES[: self.random.randrange(4)]:
                self.write(os.path.join(path, name))

    def symlink(self, path: bytes) -> None:
        self.delete(path)
        os.symlink(self.random.choice((b"a", b"../nowhere", b"l" * 120)), path)

    def hard_link(self, path: bytes) -> None:
        other = self.path()
        if self.is_file(path) and not os.path.lexists(other):
            os.link(path, other)

    def sparse(self, path: bytes) -> None:
        self.delete(path)
        with open(path, "wb") as file:
            file.seek(self.random.randrange(1 << 18))
            file.write(self.random.randbytes(5000))
            file.truncate(1 << 19)

    def set_attribute(self, path: bytes) -> None:
        if os.path.lexists(path) and stat.S_IFMT(os.lstat(path).st_mode) in (stat.S_IFREG, stat.S_IFDIR):
            os.setxattr(path, b"user.colour", self.random.randbytes(self.random.choice((0, 3, 900))))

    def fifo(self, path: bytes) -> None:
        if not os.path.lexists(path):
            os.mkfifo(path, 0o640)

    def touch(self, path: bytes) -> None:
        if os.path.lexists(path):
            times = (self.random.choice((0, 1_000_000_000 * 10**9, 1_234_567_890_123_456_789)),) * 2
            os.utime(path, ns=times, follow_symlinks=False)

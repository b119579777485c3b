"""The way down into the restore folder: descriptors of the directories that lead to the current entry.

Always holds: everything happens relative to descriptors, one component at a time and never through a symlink, so no
entry can lead outside (docs/format.md section 12); paths may be longer than PATH_MAX. A directory gets its metadata
when it is left, so its mode and mtime survive what is written into it; until then a new one is 0700. Only the current
branch is in memory, and of a deep branch only the lowest directories are open. Raises OSError throughout.
"""

from __future__ import annotations

import errno
import os

from twofold import system
from twofold.model.entry import Entry
from twofold.model.relpath import is_within, join, parent_of
from twofold.model.value import record, value
from twofold.tree.attributes import AttributeWriter, Birth, birth_of
from twofold.tree.shortfalls import DegradedKind, Shortfalls

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
BELOW_FLAGS = DIRECTORY_FLAGS | os.O_NOFOLLOW
MOST_OPEN = 64
CLOSED = -1
NO_ENTRY = "The archive has no entry for it"


@record
class Directory:
    """One directory on the current branch. `own` is its state when opened, `files` what new files in it are born with.

    Without an `entry` it keeps the metadata that it has.
    """

    name: bytes
    fd: int
    own: Birth
    entry: Entry | None = None
    files: Birth | None = None


@value
class Policy:
    """`overwrite` takes over directories that exist. `ordered`: entries come in archive order, none comes twice."""

    overwrite: bool = False
    ordered: bool = True


class DirectoryStack:
    """The branch from the root to the current directory, whose path is `path` and which is `top`."""

    def __init__(self, root: bytes, policy: Policy, *, attributes: AttributeWriter, shortfalls: Shortfalls) -> None:
        self._policy = policy
        self._attributes = attributes
        self._shortfalls = shortfalls
        self._made: dict[bytes, Entry | None] = {}
        self.root = _open_root(root)
        self.top = self.root
        self.path = b""
        self._stack = [self.root]

    def enter(self, path: bytes) -> Directory:
        """Makes `path`, which has no faults, the current directory; parents that the archive lacks come into being."""
        while not is_within(path, self.path):
            self._leave()
        if self.top.fd == CLOSED:
            self._open_again()
        if path != self.path:
            for name in path[len(self.path) + 1 if self.path else 0 :].split(b"/"):
                self._push(name, self._open_parent(name), None)
        return self.top

    def make(self, name: bytes, entry: Entry) -> None:
        """Makes a directory in the current one, and then makes it the current one."""
        try:
            os.mkdir(name, 0o700, dir_fd=self.top.fd)
            fd = os.open(name, BELOW_FLAGS, dir_fd=self.top.fd)
        except FileExistsError:
            fd = self._take_over(name)
        self._push(name, fd, entry)

    def finish(self) -> None:
        """Leaves all directories, the root last. `make` and `enter` must not follow."""
        while len(self._stack) > 1:
            self._leave()
        for path in sorted(self._made, reverse=True):  # whatever is below a path comes before it
            entry = self._made[path]
            if entry is None:
                self._shortfalls.count(DegradedKind.MISSING_PARENT, path, NO_ENTRY)
            else:
                try:
                    self._attributes.apply(self.enter(path).fd, path, entry, self.top.own)
                except OSError as error:
                    self._shortfalls.count(DegradedKind.MOVED_DIRECTORY, path, error)
        if self.root.entry is not None:
            self._attributes.apply(self.root.fd, b"", self.root.entry, self.root.own)

    def close(self) -> None:
        """Closes all descriptors; metadata that was not applied by then never will be."""
        for directory in self._stack:
            if directory.fd != CLOSED:
                os.close(directory.fd)
                directory.fd = CLOSED
        del self._stack[1:]

    def _open_parent(self, name: bytes) -> int:
        """Opens a directory for which there was no entry before what is in it."""
        path = join(self.path, name)
        made = True
        try:
            os.mkdir(name, 0o700, dir_fd=self.top.fd)
        except FileExistsError:
            made = False
        if not made and not self._policy.overwrite and path not in self._made:
            raise NotADirectoryError(errno.ENOTDIR, "What should be its parent is not a directory")
        try:
            fd = os.open(name, BELOW_FLAGS, dir_fd=self.top.fd)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise NotADirectoryError(errno.ENOTDIR, "What should be its parent is not a directory") from error
            raise
        if made and self._policy.ordered:
            self._shortfalls.count(DegradedKind.MISSING_PARENT, path, NO_ENTRY)
        return fd

    def _take_over(self, name: bytes) -> int:
        """Opens a directory that is there already; anything else that may be replaced is."""
        path = join(self.path, name)
        ours = path in self._made and self._made[path] is None
        if not self._policy.overwrite and not ours:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        top = self.top.fd
        try:
            try:
                fd = os.open(name, BELOW_FLAGS, dir_fd=top)
            except PermissionError:  # an own directory without permission to read it
                system.change_mode(name, 0o700, dir_fd=top)
                fd = os.open(name, BELOW_FLAGS, dir_fd=top)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            os.unlink(name, dir_fd=top)
            os.mkdir(name, 0o700, dir_fd=top)
            return os.open(name, BELOW_FLAGS, dir_fd=top)
        open_up(fd)
        return fd

    def _push(self, name: bytes, fd: int, entry: Entry | None) -> None:
        self.top = Directory(name, fd, birth_of(os.fstat(fd)), entry)
        self.path = join(self.path, name)
        self._stack.append(self.top)
        if not self._policy.ordered and (entry is not None or self.path not in self._made):
            self._made[self.path] = entry
        self._close_unneeded(len(self._stack) - 1)

    def _close_unneeded(self, index: int) -> None:
        """Closes what lies just above the lowest `MOST_OPEN` directories, given that `index` has been opened."""
        above = min(index, len(self._stack) - MOST_OPEN) - 1
        if above > 0 and self._stack[above].fd != CLOSED:
            os.close(self._stack[above].fd)
            self._stack[above].fd = CLOSED

    def _leave(self) -> None:
        left = self.top
        try:
            if left.entry is not None and self._policy.ordered:
                if left.fd == CLOSED:
                    self._open_again()
                self._attributes.apply(left.fd, self.path, left.entry, left.own)
        except OSError as error:
            self._shortfalls.count(DegradedKind.MOVED_DIRECTORY, self.path, error)
        self._stack.pop()
        if left.fd != CLOSED:
            os.close(left.fd)
        self.top = self._stack[-1]
        self.path = parent_of(self.path)

    def _open_again(self) -> None:
        """Walks down from the root once more, since the current directory of a deep branch had been closed.

        Keeping the lowest ones open makes this rare: once every `MOST_OPEN` directories on the way up.
        """
        parent = self.root.fd
        for index, directory in enumerate(self._stack[1:], 1):
            if directory.fd == CLOSED:
                directory.fd = os.open(directory.name, BELOW_FLAGS, dir_fd=parent)
            parent = directory.fd
            self._close_unneeded(index)


def open_up(fd: int) -> None:
    """Lets its owner write into a directory that exists, until its own mode is restored."""
    mode = os.fstat(fd).st_mode & 0o7777
    if mode & 0o700 != 0o700:
        try:
            os.fchmod(fd, mode | 0o700)
        except OSError:
            pass  # another user's: if it matters, each entry in it says so


def open_below(root_fd: int, path: bytes) -> int:
    """A descriptor of the directory `path`, which has no faults, reached without following a symlink."""
    fd = os.dup(root_fd)
    for name in path.split(b"/") if path else ():
        try:
            below = os.open(name, BELOW_FLAGS, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def _open_root(root: bytes) -> Directory:
    """The folder that the user named, made with its parents if it is missing; it may be a symlink to a directory."""
    try:
        os.mkdir(root, 0o700)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(root))
        os.mkdir(root, 0o700)
    except FileExistsError:
        pass
    fd = os.open(root, DIRECTORY_FLAGS)
    return Directory(b"", fd, birth_of(os.fstat(fd)))

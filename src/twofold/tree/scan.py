"""Reads the user's tree a directory at a time, in archive order, through directory descriptors.

Nothing is ever opened by a path with more than one component, so a directory that is exchanged for a symlink while the
backup runs cannot lead elsewhere. What cannot be read is reported to the monitor and left out.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import NamedTuple

from twofold.errors import UserError
from twofold.model.relpath import join
from twofold.monitor import Monitor, Problem, SocketSkipped
from twofold.select.selector import Selector, Verdict

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: opening a fifo that has just taken a file's place must not wait for a writer.
FILE_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class Listing(NamedTuple):
    """One opened directory: names in archive order with what lstat says of each."""

    path: bytes
    fd: int
    names: list[bytes]
    stats: list[os.stat_result]


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """`follow_links` stores what a symbolic link points to instead of the link."""

    follow_links: bool = False


class SourceTree:
    """The tree to back up. Not thread-safe: one walker uses it."""

    def __init__(self, root: bytes, choice: Selector | None, *, options: ScanOptions, monitor: Monitor) -> None:
        self._choice = None if choice is None or choice.trivial else choice
        self._follow = options.follow_links
        self._monitor = monitor
        self._hopeful: dict[bytes, bool] = {}
        self.root = root
        try:
            self.root_stat = os.stat(root)
        except OSError as error:
            raise UserError(f"Cannot read the source {os.fsdecode(root)}: {error.strerror}") from error

    def open_root(self) -> Listing | None:
        """The listing of the root, or None when the source is a single file."""
        if not stat.S_ISDIR(self.root_stat.st_mode):
            return None
        try:
            fd = os.open(self.root, DIRECTORY_FLAGS)
            return self._listing(b"", fd)
        except OSError as error:
            raise UserError(f"Cannot list the source {os.fsdecode(self.root)}: {error.strerror}") from error

    def enter(self, parent: Listing, index: int) -> Listing | None:
        """Opens and lists a sub-directory; None, after a report, when it cannot be read or has gone."""
        name = parent.names[index]
        path = join(parent.path, name)
        fd = -1
        try:
            fd = os.open(name, DIRECTORY_FLAGS if self._follow else DIRECTORY_FLAGS | os.O_NOFOLLOW, dir_fd=parent.fd)
            return self._listing(path, fd)
        except OSError as error:
            if fd >= 0:
                os.close(fd)
            self._monitor.report(Problem(path, error.strerror or str(error)))
            return None

    def open_file(self, parent_fd: int, name: bytes) -> int:
        """Opens a file for reading, the root itself for a descriptor of -1.

        Raises OSError, also when a symlink has taken its place.
        """
        if parent_fd < 0:
            return os.open(self.root, FILE_FLAGS)
        flags = FILE_FLAGS if self._follow else FILE_FLAGS | os.O_NOFOLLOW
        return os.open(name, flags, dir_fd=parent_fd)

    def _listing(self, path: bytes, fd: int) -> Listing:
        listed = self._choice.listed(path) if self._choice is not None and self._choice.has_list else None
        names = sorted(map(os.fsencode, os.listdir(fd))) if listed is None else list(listed)
        try:
            stats = [os.stat(name, dir_fd=fd, follow_symlinks=False) for name in names]
        except OSError:
            names, stats = self._stat_each(path, fd, names)
        if self._follow:
            stats = [self._followed(fd, name, found) for name, found in zip(names, stats, strict=True)]
        if any(found.st_mode & 0o170000 == 0o140000 for found in stats):
            names, stats = self._without_sockets(path, names, stats)
        if self._choice is not None:
            names, stats = self._chosen(self._choice, Listing(path, fd, names, stats))
        return Listing(path, fd, names, stats)

    def _stat_each(self, path: bytes, fd: int, names: list[bytes]) -> tuple[list[bytes], list[os.stat_result]]:
        kept, stats = [], []
        for name in names:
            try:
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone since the directory was read
            except OSError as error:
                self._monitor.report(Problem(join(path, name), error.strerror or str(error)))
                continue
            kept.append(name)
            stats.append(found)
        return kept, stats

    def _followed(self, fd: int, name: bytes, found: os.stat_result) -> os.stat_result:
        if not stat.S_ISLNK(found.st_mode):
            return found
        try:
            return os.stat(name, dir_fd=fd)
        except OSError:
            return found  # a link that leads nowhere stays a link

    def _without_sockets(
        self, path: bytes, names: list[bytes], stats: list[os.stat_result]
    ) -> tuple[list[bytes], list[os.stat_result]]:
        kept = []
        for index, found in enumerate(stats):
            if stat.S_ISSOCK(found.st_mode):
                self._monitor.report(SocketSkipped(join(path, names[index])))
            else:
                kept.append(index)
        return [names[index] for index in kept], [stats[index] for index in kept]

    def _chosen(self, choice: Selector, listing: Listing) -> tuple[list[bytes], list[os.stat_result]]:
        verdicts = choice.choose(listing.path, listing.names, facts=listing.stats, root_device=self.root_stat.st_dev)
        taken = []
        for index, verdict in enumerate(verdicts):
            if verdict is Verdict.EXCLUDE or (choice.has_markers and self._barred(choice, listing, index)):
                continue
            if verdict is Verdict.INCLUDE or self._leads_somewhere(listing, index):
                taken.append(index)
        return [listing.names[index] for index in taken], [listing.stats[index] for index in taken]

    def _barred(self, choice: Selector, parent: Listing, index: int) -> bool:
        if not stat.S_ISDIR(parent.stats[index].st_mode):
            return False
        name = parent.names[index]
        try:
            fd = os.open(name, DIRECTORY_FLAGS | os.O_NOFOLLOW, dir_fd=parent.fd)
        except OSError:
            return False  # reported when it is entered
        try:
            return choice.is_barred(join(parent.path, name), [os.fsencode(each) for each in os.listdir(fd)])
        except OSError:
            return False
        finally:
            os.close(fd)

    def _leads_somewhere(self, parent: Listing, index: int) -> bool:
        """Whether anything below a directory will be stored; asked once for each, remembered for the walk."""
        path = join(parent.path, parent.names[index])
        if path not in self._hopeful:
            self._hopeful[path] = self._search(parent, index)
        return self._hopeful[path]

    def _search(self, parent: Listing, index: int) -> bool:
        listing = self.enter(parent, index)
        if listing is None:
            return False
        try:
            return bool(listing.names)
        finally:
            os.close(listing.fd)

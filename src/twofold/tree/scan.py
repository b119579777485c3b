"""Reads the user's tree a directory at a time, in archive order, through directory descriptors.

Nothing is ever opened by a path with more than one component, so a directory that is exchanged for a symlink while the
backup runs cannot lead elsewhere. What cannot be read is reported to the monitor and left out.
"""

from __future__ import annotations

import errno
import os
import stat
from array import array
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, overload

from twofold.errors import UserError
from twofold.model.relpath import join
from twofold.model.value import value
from twofold.monitor import Monitor, Problem, SocketSkipped
from twofold.select.selector import Selector, Verdict
from twofold.tree.bulk import FACTS, LISTED, MODE, list_files

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: opening a fifo that has just taken a file's place must not wait for a writer.
FILE_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
# So many names are looked at with one call.
MANY: Final = 8192


class CompactStats(Sequence[os.stat_result]):
    """What lstat says of many files, in a seventh of the memory: without access times and sub-second birth times."""

    def __init__(self) -> None:
        self._numbers = array("q")

    def extend(self, stats: Iterable[os.stat_result]) -> None:
        """Adds facts; times beyond 64 bits become the last there are."""
        for found in stats:
            self._numbers.extend(_row(found))

    def extend_listed(self, rows: memoryview[int]) -> None:
        """Adds what `list_files` gives."""
        self._numbers.frombytes(rows.cast("B"))

    def replace(self, index: int, found: os.stat_result) -> None:
        """Has other facts of one."""
        self._numbers[index * LISTED : (index + 1) * LISTED] = array("q", _row(found))

    def packed(self) -> array[int]:
        """FACTS numbers an entry."""
        packed = array("q", bytes(8 * FACTS * len(self)))
        for column in range(FACTS):
            packed[column::FACTS] = self._numbers[column::LISTED]
        return packed

    def clear(self) -> None:
        """Gives the memory back; there are no facts any more."""
        self._numbers = array("q")

    def __len__(self) -> int:
        return len(self._numbers) // LISTED

    @overload
    def __getitem__(self, index: int) -> os.stat_result: ...
    @overload
    def __getitem__(self, index: slice) -> list[os.stat_result]: ...
    def __getitem__(self, index: int | slice) -> os.stat_result | list[os.stat_result]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        mode, uid, gid, size, mtime, ctime, *others = self._numbers[index * LISTED : (index + 1) * LISTED]
        inode, device, links, blocks, rdev = (number & _MASK for number in others)
        seconds, changed = mtime // _SECOND, ctime // _SECOND
        # The order of a stat_result's fields: ten that have been there for ever, the times as floats and as
        # nanoseconds, block size, blocks, device.
        return os.stat_result(
            (mode, inode, device, links, uid, gid, size, 0, seconds, changed)
            + (0.0, mtime / _SECOND, ctime / _SECOND, 0, mtime, ctime, 0, blocks, rdev)
        )


_MASK: Final = (1 << 64) - 1
_SECOND: Final = 1_000_000_000
_TYPE: Final = 0o170000


_LATEST: Final = (1 << 63) - 1


def bounded_time(nanoseconds: int) -> int:
    """The time as a signed number of 64 bits; what is beyond 2262, as damaged inodes are, becomes the last instant.

    Likewise the first for what is before 1677.
    """
    return nanoseconds if -_LATEST <= nanoseconds <= _LATEST else max(-_LATEST, min(nanoseconds, _LATEST))


def _row(found: os.stat_result) -> list[int]:
    """As `list_files` has it."""
    row = [found.st_mode, found.st_uid, found.st_gid, found.st_size]
    row += bounded_time(found.st_mtime_ns), bounded_time(found.st_ctime_ns)
    row += map(_signed, (found.st_ino, found.st_dev, found.st_nlink, found.st_blocks, found.st_rdev))
    return row


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


class Listing(NamedTuple):
    """One opened directory: names in archive order with what lstat says of each.

    `unread` are further names, of which lstat says nothing: they are there, but cannot be read.
    """

    path: bytes
    fd: int
    names: list[bytes]
    stats: Sequence[os.stat_result]
    unread: frozenset[bytes] = frozenset()


@value
class ScanOptions:
    """`follow_links` stores what a symbolic link points to instead of the link."""

    follow_links: bool = False


class SourceTree:
    """The tree to back up. Not thread-safe: one walker uses it."""

    def __init__(self, root: bytes, choice: Selector | None, *, options: ScanOptions, monitor: Monitor) -> None:
        self._choice = None if choice is None or choice.trivial else choice
        self._follow = options.follow_links
        self._file_flags = FILE_FLAGS if self._follow else FILE_FLAGS | os.O_NOFOLLOW
        self._monitor = monitor
        self._hopeful: dict[bytes, bool] = {}
        self.problems = 0  # what could not be read so far
        self._searching = 0
        self._trail: list[tuple[bytes, tuple[int, int]]] = []
        self.root = root
        try:
            self.root_stat = os.stat(root)
        except OSError as error:
            raise UserError(
                f"Cannot read the source {os.fsdecode(root)}: {error.strerror}. Check its path and permissions"
            ) from error

    def open_root(self) -> Listing | None:
        """The listing of the root, or None when the source is a single file."""
        if not stat.S_ISDIR(self.root_stat.st_mode):
            return None
        try:
            fd = os.open(self.root, DIRECTORY_FLAGS)
            return self._listing(b"", fd)
        except OSError as error:
            raise UserError(
                f"Cannot list the source {os.fsdecode(self.root)}: {error.strerror}. Check its permissions"
            ) from error

    def enter(self, parent: Listing, index: int) -> Listing | None:
        """Opens and lists a sub-directory; None, after a report, when it cannot be read or has gone."""
        name = parent.names[index]
        path = join(parent.path, name)
        fd = -1
        try:
            fd = os.open(name, DIRECTORY_FLAGS if self._follow else DIRECTORY_FLAGS | os.O_NOFOLLOW, dir_fd=parent.fd)
            if self._follow:
                self._refuse_cycle(path, fd)
            return self._listing(path, fd)
        except BaseException as error:
            if fd >= 0:
                os.close(fd)
            if not isinstance(error, OSError):
                raise
            self.report(Problem(path, error.strerror or str(error)))
            return None

    def facts(self, parent_fd: int, name: bytes) -> os.stat_result:
        """What the walk would say of an entry now. Raises OSError."""
        found = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
        return self._followed(parent_fd, name, found) if self._follow else found

    def report(self, event: Problem | SocketSkipped) -> None:
        """Tells of something, unless the walk is only looking ahead and will come by again."""
        if not self._searching:
            self.problems += isinstance(event, Problem)
            self._monitor.report(event)

    @property
    def file_flags(self) -> int:
        """How regular files are opened."""
        return self._file_flags

    def open_file(self, parent_fd: int, name: bytes) -> int:
        """Opens a file for reading, the root itself for a descriptor of -1.

        Raises OSError, also when a symlink has taken its place.
        """
        if parent_fd < 0:
            return os.open(self.root, FILE_FLAGS)
        return os.open(name, self._file_flags, dir_fd=parent_fd)

    def _refuse_cycle(self, path: bytes, fd: int) -> None:
        """A followed link may lead to a directory above itself. Raises OSError."""
        while self._trail and not path.startswith(self._trail[-1][0] + b"/"):
            self._trail.pop()
        found = os.fstat(fd)
        here = found.st_dev, found.st_ino
        if here == (self.root_stat.st_dev, self.root_stat.st_ino) or any(here == above for _, above in self._trail):
            raise OSError(errno.ELOOP, "A symbolic link leads to a directory above itself")
        self._trail.append((path, here))

    def _listing(self, path: bytes, fd: int) -> Listing:
        listed = self._choice.listed(path) if self._choice is not None and self._choice.has_list else None
        names = _sorted_names(fd) if listed is None else list(listed)
        unread: set[bytes] = set()
        taken: list[bytes] = []
        compact = CompactStats()
        for start in range(0, len(names), MANY):
            some = names[start : start + MANY]
            rows = self._listed(fd, some)
            if rows is not None:
                taken += some
                compact.extend_listed(rows)
                continue
            some, stats = self._looked_at(path, fd, some, unread)
            if len(names) <= MANY:
                return Listing(path, fd, some, stats, frozenset(unread))
            taken += some
            compact.extend(stats)
        return Listing(path, fd, taken, compact, frozenset(unread))

    def _listed(self, fd: int, names: list[bytes]) -> memoryview[int] | None:
        """Facts of all these names, if all are to be stored as they are."""
        if self._choice is not None or self._follow:
            return None
        rows = list_files(fd, names)
        whole = len(rows) == len(names) * LISTED
        return rows if whole and stat.S_IFSOCK not in {mode & _TYPE for mode in rows[MODE::LISTED]} else None

    def _looked_at(
        self, path: bytes, fd: int, names: list[bytes], unread: set[bytes]
    ) -> tuple[list[bytes], list[os.stat_result]]:
        """What of these names in a directory is to be stored, and its facts; adds to `unread`."""
        try:
            stats = [os.lstat(name, dir_fd=fd) for name in names]
        except OSError:
            names, stats = self._stat_each(path, fd, names, unread)
        if self._follow:
            stats = [self._followed(fd, name, found) for name, found in zip(names, stats, strict=True)]
        if 0o140000 in {found.st_mode & 0o170000 for found in stats}:
            names, stats = self._without_sockets(path, names, stats)
        if self._choice is not None:
            names, stats = self._chosen(self._choice, Listing(path, fd, names, stats))
        return names, stats

    def _stat_each(
        self, path: bytes, fd: int, names: list[bytes], unread: set[bytes]
    ) -> tuple[list[bytes], list[os.stat_result]]:
        kept, stats = [], []
        for name in names:
            try:
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone since the directory was read
            except OSError as error:
                self.report(Problem(join(path, name), error.strerror or str(error)))
                unread.add(name)
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
                self.report(SocketSkipped(join(path, names[index])))
            else:
                kept.append(index)
        return [names[index] for index in kept], [stats[index] for index in kept]

    def _chosen(self, choice: Selector, listing: Listing) -> tuple[list[bytes], list[os.stat_result]]:
        names, stats = listing.names, listing.stats
        verdicts = choice.choose(listing.path, listing.names, facts=listing.stats, root_device=self.root_stat.st_dev)
        taken = []
        for index, verdict in enumerate(verdicts):
            if verdict is Verdict.EXCLUDE or (choice.has_markers and self._barred(choice, listing, index)):
                continue
            if verdict is Verdict.INCLUDE or self._leads_somewhere(listing, index):
                taken.append(index)
        return [names[index] for index in taken], [stats[index] for index in taken]

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
        """Whether anything below a directory will be stored; remembered until the walk itself comes by."""
        path = join(parent.path, parent.names[index])
        hopeful = self._hopeful.pop(path, None)
        if hopeful is None:
            hopeful = self._search(parent, index)
        if self._searching:
            self._hopeful[path] = hopeful
        return hopeful

    def _search(self, parent: Listing, index: int) -> bool:
        """What cannot be looked into counts as something: nobody knows, and what a backup has of it must stay."""
        self._searching += 1
        try:
            listing = self.enter(parent, index)
        finally:
            self._searching -= 1
        if listing is None:
            return True
        try:
            return bool(listing.names or listing.unread)
        finally:
            os.close(listing.fd)


def _sorted_names(fd: int) -> list[bytes]:
    """The names in a directory in archive order. Many are encoded at once, and what has been encoded is let go."""
    found = os.listdir(fd)
    names: list[bytes] = []
    while found:
        names += os.fsencode("\0".join(found[-MANY:])).split(b"\0")
        del found[-MANY:]
    names.sort()
    return names


class AskedAgain(Sequence[os.stat_result]):
    """Facts of entries that are looked up when they are asked for, which may raise OSError."""

    def __init__(self, source: SourceTree, fd: int, names: list[bytes]) -> None:
        self._source = source
        self._fd = fd
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> os.stat_result: ...
    @overload
    def __getitem__(self, index: slice) -> list[os.stat_result]: ...
    def __getitem__(self, index: int | slice) -> os.stat_result | list[os.stat_result]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        return self._source.facts(self._fd, self._names[index])

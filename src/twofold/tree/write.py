"""Writes restored entries into a folder, which nothing in an archive can leave (docs/format.md sections 11.2 and 12).

Always holds: no system call below the restore folder gets a path of more than one component, none follows a symlink,
and what exists is never written into: a file is made new under its name or, when overwriting, beside it and renamed.
An entry that cannot be restored is an `EntryProblem` and harms no other entry; metadata that this user may not set is
counted and told once a kind, by `finish`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from types import TracebackType
from typing import Self

from twofold.errors import UserError
from twofold.model.entry import Entry, Kind
from twofold.model.relpath import LONGEST_COMPONENT, fault_of, order_key
from twofold.model.value import value
from twofold.monitor import Monitor
from twofold.tree.attributes import AttributeWriter, Birth, birth_of
from twofold.tree.directories import Directory, DirectoryStack, Policy, open_below, open_up
from twofold.tree.output import NO_LINKS, OutputFile, Placement, rename_without_replacing, write_all, write_sparse
from twofold.tree.owners import Owners
from twofold.tree.shortfalls import DegradedKind, EntryProblem, Shortfalls, problem_of

CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# A large file may be read back before it gets its name.
LARGE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
SOURCE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NEVER_NS = 2**63
RESERVED = frozenset({b"", b".", b".."})
FILE_TYPES = {
    Kind.REGULAR: stat.S_IFREG,
    Kind.DIRECTORY: stat.S_IFDIR,
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.FIFO: stat.S_IFIFO,
    Kind.CHARACTER_DEVICE: stat.S_IFCHR,
    Kind.BLOCK_DEVICE: stat.S_IFBLK,
}


@value
class WriteOptions:
    """How to restore.

    `numeric_owner` ignores the recorded names of users and groups. `overwrite` replaces existing files and takes over
    existing directories, else whatever exists is a problem. `any_order` gives up the check that entries come in archive
    order, each once, and keeps the metadata of all directories in memory until the end: for renamed subtrees.
    """

    restore_ownership: bool = True
    numeric_owner: bool = False
    overwrite: bool = False
    any_order: bool = False


class TreeWriter:
    """Makes one restored tree, entries coming in archive order. Not thread-safe.

    Every method that makes something raises `EntryProblem`; the tree is complete only after `finish`. The folder is
    made 0700 with its parents if it is missing, and gets its own metadata from an entry for the root, if there is one.
    """

    def __init__(self, root: bytes, options: WriteOptions, *, monitor: Monitor) -> None:
        self._options = options
        self._monitor = monitor
        self._overwrite = options.overwrite
        self._ordered = not options.any_order
        self._shortfalls = Shortfalls()
        self.attributes = AttributeWriter(
            Owners(),
            restore_ownership=options.restore_ownership,
            numeric_owner=options.numeric_owner,
            shortfalls=self._shortfalls,
        )
        self._last = b""
        self._temporary = b".twofold-" + os.urandom(8).hex().encode() + b"-%d"
        self._temporaries = 0
        self._output: OutputFile | None = None
        self._link_parent: tuple[bytes, int] | None = None
        try:
            self._directories = DirectoryStack(
                root,
                Policy(overwrite=options.overwrite, ordered=self._ordered),
                attributes=self.attributes,
                shortfalls=self._shortfalls,
            )
        except OSError as error:
            raise UserError(
                f"Cannot restore to {os.fsdecode(root)}: {error.strerror}. Name a directory that can be made there"
            ) from error
        self._started_ns = self._now_ns() if options.overwrite else 0

    def make_directory(self, path: bytes, entry: Entry) -> None:
        """Makes a directory, or sets what the root of the tree shall be like."""
        if not path:
            root = self._directories.root
            if root.entry is not None:
                raise EntryProblem(path, "It comes twice in the archive")
            root.entry = entry
            open_up(root.fd)
            return
        _, name = self._locate(path)
        try:
            self._directories.make(name, entry)
        except OSError as error:
            raise problem_of(path, error) from error

    def write_file(self, path: bytes, entry: Entry, data: bytes | memoryview) -> None:
        """Makes a regular file with all of its content. NB: hot, the floor of restore time."""
        directory, name = self._locate(path)
        working = name
        try:
            try:
                fd = os.open(name, CREATE_FLAGS, 0o600, dir_fd=directory.fd)
            except FileExistsError:
                working = self._name_beside()
                fd = os.open(working, CREATE_FLAGS, 0o600, dir_fd=directory.fd)
        except OSError as error:
            raise problem_of(path, error) from error
        try:
            try:
                if entry.holes:
                    write_sparse(fd, data, offset=0, holes=tuple(sorted(entry.holes)))
                    os.ftruncate(fd, len(data))
                elif data:
                    write_all(fd, data)
                self.attributes.apply(fd, path, entry, directory.files or _learn(directory, fd))
            finally:
                os.close(fd)
            if working is not name:
                os.rename(working, name, src_dir_fd=directory.fd, dst_dir_fd=directory.fd)
        except BaseException as error:
            _remove(working, directory)
            if isinstance(error, OSError):
                raise problem_of(path, error) from error
            raise

    def directory_of(self, path: bytes) -> Directory:
        """Where `path` and others beside it are to be made by the caller, who says so to `made`.

        Refuses, like every method that makes something, what must not be made.
        """
        last = self._last
        try:
            return self._locate(path)[0]
        finally:
            self._last = last

    def made(self, path: bytes) -> None:
        """All files up to `path` that belong into the directory given by `directory_of` are there."""
        self._last = order_key(path)

    def create_file(self, path: bytes, entry: Entry) -> OutputFile:
        """Begins a large regular file, to be committed or discarded before the next entry."""
        directory, name = self._locate(path)
        return self._create(path, entry, directory=directory, name=name)

    def make_symlink(self, path: bytes, entry: Entry) -> None:
        """Makes a symlink, wherever it points to."""
        self._make_node(path, entry, lambda name, dir_fd: os.symlink(entry.target, name, dir_fd=dir_fd))

    def make_fifo(self, path: bytes, entry: Entry) -> None:
        """Makes a fifo."""
        self._make_node(path, entry, lambda name, dir_fd: os.mkfifo(name, 0o600, dir_fd=dir_fd))

    def make_device(self, path: bytes, entry: Entry) -> bool:
        """Makes a device, or counts it as lost and answers False where this user may not."""
        mode = FILE_TYPES[entry.kind] | 0o600

        def make(name: bytes, dir_fd: int) -> None:
            os.mknod(name, mode, os.makedev(*entry.device), dir_fd=dir_fd)

        try:
            self._make_node(path, entry, make)
        except EntryProblem as problem:
            if problem.error_number != errno.EPERM:
                raise
            self._shortfalls.count(DegradedKind.DEVICE, path, problem.reason)
            return False
        return True

    def make_hard_link(self, path: bytes, entry: Entry, first: bytes) -> bool:
        """Makes a further name of a file that this writer restored as `first`.

        Where the file system has no hard links the file is copied. False, and nothing done, if `first` is not there
        or not of the kind and size that the entry tells: then the caller restores `path` on its own.
        """
        last = self._last
        directory, name = self._locate(path)
        source_fd = self._restored_before(first, path, entry)
        if source_fd is None:
            self._last = last
            return False
        source = first.rpartition(b"/")[2]
        try:
            self._link(source, source_fd, target=name, directory=directory)
        except OSError as error:
            if error.errno not in NO_LINKS or entry.kind is not Kind.REGULAR:
                raise problem_of(path, error) from error
            self._shortfalls.count(DegradedKind.HARD_LINK, path, error)
            self._copy(source, source_fd, output=self._create(path, entry, directory=directory, name=name), path=path)
        return True

    def finish(self) -> None:
        """Applies the metadata of the directories that are still open, and tells what could not be restored."""
        self._refuse_unfinished()
        self._directories.finish()
        self._shortfalls.report(self._monitor)

    def close(self) -> None:
        """Lets go of everything; a file that was not committed is removed. May be called twice."""
        if self._output is not None:
            self._output.discard()
        if self._link_parent is not None:
            os.close(self._link_parent[1])
            self._link_parent = None
        self._directories.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _locate(self, path: bytes) -> tuple[Directory, bytes]:
        """The directory in which an entry is to be made, and its name there; refuses paths that must not be used."""
        if self._output is not None:
            self._refuse_unfinished()
        parent, slash, name = path.rpartition(b"/")
        directories = self._directories
        beside = parent == directories.path and (parent or not slash)
        if not beside or name in RESERVED or len(name) > LONGEST_COMPONENT or b"\0" in name:
            fault = fault_of(path) if path else "no name"
            if fault is not None:
                raise EntryProblem(path, f"Its path has {fault}")
        key = path.replace(b"/", b"\0")
        if self._ordered:
            if key <= self._last:
                raise EntryProblem(path, "It comes out of order, or twice, in the archive")
            self._last = key
        if beside:
            return directories.top, name
        try:
            return directories.enter(parent), name
        except OSError as error:
            raise problem_of(path, error) from error

    def _refuse_unfinished(self) -> None:
        if self._output is not None:
            if not self._output.finished:
                raise RuntimeError("The last file has neither been committed nor discarded")
            self._output = None

    def _name_beside(self) -> bytes:
        """A name for something that will replace what exists; raises FileExistsError if nothing may be replaced."""
        if not self._overwrite:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        self._temporaries += 1
        return self._temporary % self._temporaries

    def _create(self, path: bytes, entry: Entry, *, directory: Directory, name: bytes) -> OutputFile:
        self._temporaries += 1
        working = self._temporary % self._temporaries

        def settle(fd: int) -> None:
            self.attributes.apply(fd, path, entry, directory.files or _learn(directory, fd))

        def place() -> None:
            if self._overwrite:
                os.rename(working, name, src_dir_fd=directory.fd, dst_dir_fd=directory.fd)
            else:
                rename_without_replacing(working, name, directory.fd)

        try:
            fd = os.open(working, LARGE_FLAGS, 0o600, dir_fd=directory.fd)
        except OSError as error:
            raise problem_of(path, error) from error
        placement = Placement(settle, place, lambda: _remove(working, directory))
        self._output = OutputFile(fd, path, holes=entry.holes, placement=placement)
        return self._output

    def _make_node(self, path: bytes, entry: Entry, make: Callable[[bytes, int], None]) -> None:
        """Makes something that has no content and must not be opened."""
        directory, name = self._locate(path)
        dir_fd = directory.fd
        working = name
        try:
            try:
                make(name, dir_fd)
            except FileExistsError:
                working = self._name_beside()
                make(working, dir_fd)
        except (OSError, ValueError, OverflowError) as error:
            raise problem_of(path, error) from error
        try:
            birth = directory.files or _learn_from_node(directory, working)
            self.attributes.apply_to_node(working, dir_fd, path=path, entry=entry, birth=birth)
            if working is not name:
                os.rename(working, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        except OSError as error:
            _remove(working, directory)
            raise problem_of(path, error) from error

    def _restored_before(self, first: bytes, path: bytes, entry: Entry) -> int | None:
        """A descriptor of the directory of `first`, if that is what the entry can be a further name of."""
        if not first or fault_of(first) is not None or (self._ordered and order_key(first) >= order_key(path)):
            return None
        parent, _, name = first.rpartition(b"/")
        try:
            dir_fd = self._open_link_parent(parent)
            found = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        except OSError:
            return None
        same = stat.S_IFMT(found.st_mode) == FILE_TYPES[entry.kind] and entry.size in (None, found.st_size)
        # When overwriting, a file of that name may be left from before; one of this run has a later ctime.
        return dir_fd if same and found.st_ctime_ns >= self._started_ns else None

    def _open_link_parent(self, parent: bytes) -> int:
        """Many links in a row have their first names in one directory, so the last one stays open."""
        if parent == self._directories.path:
            return self._directories.top.fd
        if self._link_parent is None or self._link_parent[0] != parent:
            fd = open_below(self._directories.root.fd, parent)
            if self._link_parent is not None:
                os.close(self._link_parent[1])
            self._link_parent = parent, fd
        return self._link_parent[1]

    def _link(self, source: bytes, source_fd: int, *, target: bytes, directory: Directory) -> None:
        fds = {"src_dir_fd": source_fd, "dst_dir_fd": directory.fd}
        try:
            os.link(source, target, follow_symlinks=False, **fds)
        except FileExistsError:
            working = self._name_beside()
            os.link(source, working, follow_symlinks=False, **fds)
            try:
                os.rename(working, target, src_dir_fd=directory.fd, dst_dir_fd=directory.fd)
            finally:
                _remove(working, directory)  # renaming does nothing at all if both are the same file already

    def _copy(self, source: bytes, source_fd: int, *, output: OutputFile, path: bytes) -> None:
        with output:
            try:
                fd = os.open(source, SOURCE_FLAGS, dir_fd=source_fd)
            except OSError as error:
                raise problem_of(path, error) from error
            try:
                output.copy(fd)
            finally:
                os.close(fd)
            output.commit()

    def _now_ns(self) -> int:
        """The time by the clock that the file system uses; where nothing can be made, a time that never comes."""
        name = self._name_beside()
        try:
            fd = os.open(name, CREATE_FLAGS, 0o600, dir_fd=self._directories.root.fd)
        except OSError:
            return NEVER_NS
        try:
            return os.fstat(fd).st_ctime_ns
        finally:
            os.close(fd)
            _remove(name, self._directories.root)


def _learn(directory: Directory, fd: int) -> Birth:
    directory.files = birth_of(os.fstat(fd))
    return directory.files


def _learn_from_node(directory: Directory, name: bytes) -> Birth:
    directory.files = birth_of(os.stat(name, dir_fd=directory.fd, follow_symlinks=False))
    return directory.files


def _remove(name: bytes, directory: Directory) -> None:
    try:
        os.unlink(name, dir_fd=directory.fd)
    except OSError:
        pass  # it is already gone, or the problem that led here is told in its place

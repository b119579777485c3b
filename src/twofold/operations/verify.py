"""Compares a backup with the files on disk: metadata always, contents when asked to.

All volumes are fetched, checked and replayed whatever is compared, so that a verification also proves that the backup
can be restored.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from twofold.concurrency import Crew
from twofold.errors import CorruptStream, FormatError, PartlyDone
from twofold.model.entry import Entry, Kind
from twofold.model.relpath import is_within, order_key
from twofold.model.value import value
from twofold.monitor import Monitor, Problem
from twofold.operations.counting import CountingMonitor
from twofold.operations.restore import RestorePlan, report_lost_volumes
from twofold.pipeline.chain_reading import ChainReader
from twofold.pipeline.compare import Work
from twofold.pipeline.entries import EntryMaker
from twofold.pipeline.known import KINDS
from twofold.pipeline.merge import FileHistory
from twofold.pipeline.rebuild import Content, Rebuilt, rebuild
from twofold.pipeline.replay import DataLost
from twofold.repository.repository import Repository
from twofold.tree.compare import Difference, difference
from twofold.tree.owners import Owners
from twofold.tree.scan import Listing, SourceTree


@value
class VerifyOptions:
    """`within` is the path in the backup that the local tree is compared with, empty for all of it."""

    temp_dir: str
    within: bytes = b""
    compare_data: bool = False
    numeric_owner: bool = False


@value
class OnlyLocal:
    """A path that the backup does not have."""

    path: bytes


@value
class OnlyInBackup:
    """A path that the disk does not have."""

    path: bytes


@value
class Differs:
    """A path that both have, with the first thing that is not the same."""

    path: bytes
    difference: Difference


@value
class DataDiffers:
    """A regular file with another content."""

    path: bytes


class VerifySummary(NamedTuple):
    """Entries seen on either side, and those that differ."""

    compared: int
    differences: int


class _Local(NamedTuple):
    """A local entry; usable until the next one is asked for."""

    path: bytes
    work: Work
    at: int


def verify(
    source: SourceTree, repository: Repository, *, plan: RestorePlan, options: VerifyOptions, monitor: Monitor
) -> VerifySummary:
    """Compares and reports each difference. Raises BadVolume or PartlyDone, at the end, where the archive failed."""
    counting = CountingMonitor(monitor)
    with Crew(monitor=monitor) as crew:
        reader = ChainReader(plan.reading, repository, crew, monitor=counting)
        try:
            summary = _Verifier(source, options, counting).verify(reader.histories())
        finally:
            reader.close()
    report_lost_volumes(reader.failures)
    if counting.problems:
        raise PartlyDone(f"{counting.problems} file(s) could not be verified; they are named above")
    return summary


class _Verifier:
    def __init__(self, source: SourceTree, options: VerifyOptions, monitor: Monitor) -> None:
        self._source = source
        self._options = options
        self._monitor = monitor
        self._entries = EntryMaker(source, began_ns=0)
        self._owners = Owners()
        self._compared = 0
        self._differences = 0

    def verify(self, histories: Iterator[FileHistory]) -> VerifySummary:
        local_files = walk(self._source)
        try:
            local = next(local_files, None)
            for history in histories:
                path = self._local_path(history.path)
                key = order_key(path)
                while local is not None and order_key(local.path) < key:
                    self._only_local(local)
                    local = next(local_files, None)
                here = local if local is not None and local.path == path else None
                self._take(history, path, here)
                if here is not None:
                    local = next(local_files, None)
            while local is not None:
                self._only_local(local)
                local = next(local_files, None)
        finally:
            local_files.close()  # type: ignore[attr-defined]
        return VerifySummary(self._compared, self._differences)

    def _local_path(self, path: bytes) -> bytes:
        within = self._options.within
        return path[len(within) + 1 :] if within and is_within(path, within) else path

    def _only_local(self, local: _Local) -> None:
        self._compared += 1
        self._report(OnlyLocal(local.path))

    def _take(self, history: FileHistory, path: bytes, local: _Local | None) -> None:
        try:
            rebuilt = rebuild(history, temp_dir=self._options.temp_dir)
            if rebuilt is None:
                if local is not None:
                    self._only_local(local)
                return
            self._compared += 1
            try:
                if local is None:
                    self._report(OnlyInBackup(path))
                    _drain(rebuilt.content)
                else:
                    self._compare(rebuilt, path, local)
            finally:
                if rebuilt.content is not None:
                    rebuilt.content.close()
        except (FormatError, CorruptStream, DataLost) as error:
            self._monitor.report(Problem(history.path, str(error), "restore"))

    def _compare(self, rebuilt: Rebuilt, path: bytes, local: _Local) -> None:
        """Compares one entry; a local file is opened once, for its metadata and its content."""
        descriptor = None
        try:
            try:
                descriptor = self._open(local)
                found = self._found(local, descriptor)
            except OSError as error:
                self._unreadable(local, error)
                _drain(rebuilt.content)
            else:
                self._compare_with(found, rebuilt, path, descriptor=descriptor, local=local)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _compare_with(
        self, found: Entry, rebuilt: Rebuilt, path: bytes, *, descriptor: int | None, local: _Local
    ) -> None:
        owners = None if self._options.numeric_owner else self._owners
        first = difference(found, rebuilt.entry, owners=owners)
        content = rebuilt.content
        if first is not None:
            self._report(Differs(path, first))
        if first is not None or content is None or descriptor is None or not self._options.compare_data:
            _drain(content)
            return
        comparison = _Comparison(descriptor, found.size)
        for block in content.blocks():
            comparison.take(block)
        if comparison.error is not None:
            self._unreadable(local, comparison.error)
        elif not comparison.is_same():
            self._report(DataDiffers(path))

    def _open(self, local: _Local) -> int | None:
        """A descriptor of a regular file; None for all else, which must not be opened. Raises OSError."""
        work, at = local.work, local.at
        if KINDS[stat.S_IFMT(work.stats[at].st_mode)] is not Kind.REGULAR:
            return None
        return self._source.open_file(work.fd, work.names[at])

    def _found(self, local: _Local, descriptor: int | None) -> Entry:
        if descriptor is None:
            return self._entries.other(local.work, local.at, local.path)
        return self._entries.regular(local.work, local.at, local.path, descriptor)

    def _unreadable(self, local: _Local, error: OSError) -> None:
        self._monitor.report(Problem(local.path, error.strerror or str(error)))

    def _report(self, event: object) -> None:
        self._differences += 1
        self._monitor.report(event)


def walk(source: SourceTree) -> Iterator[_Local]:
    """Every entry of a tree in archive order, the root first; directories are open while their entries are given."""
    root = Work(Listing(b"", -1, [b""], [source.root_stat]), None, 0)
    yield _Local(b"", root, 0)
    inside = source.open_root()
    if inside is None:
        return
    stack = [(Work(inside, root, 0), 0)]
    try:
        while stack:
            work, at = stack.pop()
            if at == len(work.names):
                os.close(work.fd)
                continue
            stack.append((work, at + 1))
            yield _Local(work.prefix + work.names[at], work, at)
            if stat.S_ISDIR(work.stats[at].st_mode):
                below = source.enter(Listing(work.path, work.fd, work.names, work.stats), at)
                if below is not None:
                    stack.append((Work(below, work, at), 0))
    finally:
        for work, _ in stack:
            os.close(work.fd)


def _drain(content: Content | None) -> None:
    """Reads all the same: what the archive holds is proved by it."""
    if content is not None:
        for _ in content.blocks():
            pass


class _Comparison:
    """Compares a local file with the content that it should have, read once and side by side."""

    def __init__(self, descriptor: int, size: int | None) -> None:
        self._descriptor = descriptor
        self._size = size
        self._taken = 0
        self._same = True
        self.error: OSError | None = None

    def take(self, block: bytes) -> None:
        """Compares the next bytes; after a difference or an `error` nothing is read any more."""
        if not self._same or self.error is not None:
            return
        try:
            self._same = _read_exactly(self._descriptor, len(block)) == block
        except OSError as error:
            self.error = error
        self._taken += len(block)

    def is_same(self) -> bool:
        """Whether the local file was no different, and is no longer either."""
        return self._same and self._taken == self._size


def _read_exactly(descriptor: int, size: int) -> bytes:
    data = os.read(descriptor, size)
    while 0 < len(data) < size:
        more = os.read(descriptor, size - len(data))
        if not more:
            break
        data += more
    return data

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
from twofold.format.volume_reader import Run
from twofold.model.entry import Entry
from twofold.model.relpath import is_within, order_key
from twofold.model.value import value
from twofold.monitor import Monitor, Problem
from twofold.operations.counting import CountingMonitor
from twofold.operations.local_walk import Local, LocalWalk
from twofold.operations.restore import RestorePlan, report_lost_volumes
from twofold.operations.verify_runs import RunComparison, beside
from twofold.pipeline.chain_reading import ChainReader
from twofold.pipeline.differences import NoScratch
from twofold.pipeline.entries import EntryMaker
from twofold.pipeline.known import FIELDS, MODE, TYPE
from twofold.pipeline.merge import CheckedRun, FileHistory, Stretch, history_of
from twofold.pipeline.rebuild import Content, Rebuilt, rebuild
from twofold.pipeline.versions import DataLost
from twofold.repository.repository import Repository
from twofold.tree.compare import Difference, difference
from twofold.tree.owners import Owners
from twofold.tree.scan import SourceTree


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
    """Entries seen on either side, those that differ, and local ones that could not be read; these have been told."""

    compared: int
    differences: int
    unread: int = 0


def verify(
    source: SourceTree, repository: Repository, *, plan: RestorePlan, options: VerifyOptions, monitor: Monitor
) -> VerifySummary:
    """Compares and reports each difference. Raises BadVolume or PartlyDone, at the end, where the archive failed."""
    counting = CountingMonitor(monitor)
    with Crew(monitor=monitor) as crew:
        reader = ChainReader(plan.reading, repository, crew, monitor=counting)
        try:
            summary = _Verifier(source, options, counting).verify(reader.stretches())
        finally:
            reader.close()
    report_lost_volumes(reader.failures)
    if counting.problems:
        raise PartlyDone(f"{counting.problems} file(s) could not be verified; they are named above")
    return summary._replace(unread=counting.unread + source.problems)


class _Verifier:
    def __init__(self, source: SourceTree, options: VerifyOptions, monitor: Monitor) -> None:
        self._source = source
        self._options = options
        self._monitor = monitor
        self._entries = EntryMaker(source, began_ns=0)
        self._owners = Owners()
        self._walk = LocalWalk(source)
        self._runs = RunComparison(
            source, owners=None if options.numeric_owner else self._owners, compare_data=options.compare_data
        )
        self._compared = 0
        self._differences = 0

    def verify(self, stretches: Iterator[Stretch]) -> VerifySummary:
        walk = self._walk
        try:
            for stretch in stretches:
                if isinstance(stretch, CheckedRun):
                    self._take_run(*stretch)
                else:
                    self._take_next(stretch)
            while walk.here is not None:
                self._only_local(walk.here)
                walk.step()
        finally:
            walk.close()
        return VerifySummary(self._compared, self._differences)

    def _take_next(self, history: FileHistory) -> None:
        """Compares the next path of the backup with the local one, if that is the same."""
        path = self._local_path(history.path)
        local = self._find(path)
        self._take(history, path, local)
        if local is not None:
            self._walk.step()

    def _find(self, path: bytes) -> Local | None:
        """The local entry of that path; those before it are not in the backup."""
        walk, key = self._walk, order_key(path)
        while walk.here is not None and walk.here.path != path and order_key(walk.here.path) < key:
            self._only_local(walk.here)
            walk.step()
        return walk.here if walk.here is not None and walk.here.path == path else None

    def _take_run(self, run: Run, damaged: frozenset[int]) -> None:
        """Compares the files of a folder at once; what is not as it was backed up is then looked at by itself."""
        expected = self._runs.expected(run, damaged)
        paths = [self._local_path(path) for path in run.paths]
        at = 0
        while at < len(paths):
            local = self._find(paths[at])
            if local is None:
                self._take_next(history_of(run, at))
                at += 1
                continue
            count = beside(paths, at, local)
            for index in self._runs.different(run, at, count, expected=expected, local=local):
                found = Local(paths[at + index], local.work, local.at + index)
                self._take(history_of(run, at + index), found.path, found)
                self._compared -= 1
            self._compared += count
            self._walk.step(count)
            at += count

    def _local_path(self, path: bytes) -> bytes:
        within = self._options.within
        return path[len(within) + 1 :] if within and is_within(path, within) else path

    def _only_local(self, local: Local) -> None:
        self._compared += 1
        self._report(OnlyLocal(local.path))

    def _take(self, history: FileHistory, path: bytes, local: Local | None) -> None:
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
        except (FormatError, CorruptStream, DataLost, NoScratch) as error:
            self._monitor.report(Problem(history.path, str(error), "restore"))

    def _compare(self, rebuilt: Rebuilt, path: bytes, local: Local) -> None:
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
        self, found: Entry, rebuilt: Rebuilt, path: bytes, *, descriptor: int | None, local: Local
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

    def _open(self, local: Local) -> int | None:
        """A descriptor of a regular file; None for all else, which must not be opened. Raises OSError."""
        work, at = local.work, local.at
        if work.packed[at * FIELDS + MODE] & TYPE != stat.S_IFREG:
            return None
        return self._source.open_file(work.fd, work.names[at])

    def _found(self, local: Local, descriptor: int | None) -> Entry:
        if descriptor is None:
            return self._entries.other(local.work, local.at, local.path)
        return self._entries.regular(local.work, local.at, local.path, descriptor)

    def _unreadable(self, local: Local, error: OSError) -> None:
        self._monitor.report(Problem(local.path, error.strerror or str(error)))

    def _report(self, event: object) -> None:
        self._differences += 1
        self._monitor.report(event)


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

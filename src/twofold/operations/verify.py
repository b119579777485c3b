"""Compares a backup with the files on disk: metadata always, contents when asked to.

All volumes are fetched, checked and replayed whatever is compared, so that a verification also proves that the backup
can be restored.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from twofold.concurrency import Crew
from twofold.errors import CorruptStream, FormatError, PartlyDone
from twofold.model.entry import Entry, Kind
from twofold.model.relpath import is_within, order_key
from twofold.monitor import Monitor, Problem
from twofold.operations.counting import CountingMonitor
from twofold.operations.restore import RestorePlan, report_lost_volumes
from twofold.pipeline.chain_reading import ChainReader
from twofold.pipeline.compare import Work
from twofold.pipeline.entries import KINDS, EntryMaker
from twofold.pipeline.rebuild import Content, Rebuilt, rebuild
from twofold.pipeline.replay import DataLost, FileHistory
from twofold.repository.repository import Repository
from twofold.tree.compare import Difference, difference
from twofold.tree.owners import Owners
from twofold.tree.scan import Listing, SourceTree


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """`within` is the path in the backup that the local tree is compared with, empty for all of it."""

    temp_dir: str
    within: bytes = b""
    compare_data: bool = False
    numeric_owner: bool = False


@dataclass(frozen=True, slots=True)
class OnlyLocal:
    """A path that the backup does not have."""

    path: bytes


@dataclass(frozen=True, slots=True)
class OnlyInBackup:
    """A path that the disk does not have."""

    path: bytes


@dataclass(frozen=True, slots=True)
class Differs:
    """A path that both have, with the first thing that is not the same."""

    path: bytes
    difference: Difference


@dataclass(frozen=True, slots=True)
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
        found = self._found(local)
        if found is None:
            _drain(rebuilt.content)
            return
        expected = rebuilt.entry
        owners = None if self._options.numeric_owner else self._owners
        if owners is not None:
            uid, gid = owners.ids_of(expected)
            expected = expected._replace(uid=uid, gid=gid)
        first = difference(found, expected, owners=owners)
        if first is not None:
            self._report(Differs(path, first))
            _drain(rebuilt.content)
        elif rebuilt.content is not None and self._options.compare_data:
            self._compare_data(rebuilt.content, path, local)
        else:
            _drain(rebuilt.content)

    def _found(self, local: _Local) -> Entry | None:
        work, at = local.work, local.at
        try:
            if KINDS[stat.S_IFMT(work.stats[at].st_mode)] is not Kind.REGULAR:
                return self._entries.other(work, at, local.path)
            descriptor = self._source.open_file(work.fd, work.names[at])
            try:
                return self._entries.regular(work, at, local.path, descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            self._monitor.report(Problem(local.path, error.strerror or str(error)))
            return None

    def _compare_data(self, content: Content, path: bytes, local: _Local) -> None:
        try:
            descriptor = self._source.open_file(local.work.fd, local.work.names[local.at])
        except OSError as error:
            self._monitor.report(Problem(local.path, error.strerror or str(error)))
            _drain(content)
            return
        try:
            same = True
            for block in content.blocks():
                same = same and _read_exactly(descriptor, len(block)) == block
            if not same or os.read(descriptor, 1):
                self._report(DataDiffers(path))
        finally:
            os.close(descriptor)

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


def _read_exactly(descriptor: int, size: int) -> bytes:
    data = os.read(descriptor, size)
    while 0 < len(data) < size:
        more = os.read(descriptor, size - len(data))
        if not more:
            break
        data += more
    return data

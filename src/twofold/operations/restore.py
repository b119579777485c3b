"""Restores a tree, or a part of it, as it was at a moment.

What is written has been checked: volumes against their hashes and gpg's verdict before they are decoded, contents
against their records where the archive has them. A file that does not come out right is not there, and is named.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence

from twofold.collection.collection import Collection
from twofold.collection.restore_point import RestorePoint, restore_point
from twofold.concurrency import Crew
from twofold.errors import (
    BadVolume,
    CorruptStream,
    FormatError,
    NothingRestored,
    PartlyDone,
    PathNotFound,
    TargetNotEmpty,
    TwofoldError,
)
from twofold.format.volume_reader import Run
from twofold.model.entry import Entry, Kind
from twofold.model.times import format_asctime
from twofold.model.value import value
from twofold.monitor import FileRestored, Monitor, Note, Problem
from twofold.operations.counting import CountingMonitor
from twofold.pipeline.chain_reading import ChainReader, ReadingPlan, plan_reading, require_volumes
from twofold.pipeline.differences import NoScratch
from twofold.pipeline.mentions import narrowed
from twofold.pipeline.merge import CheckedRun, FileHistory, Stretch, history_of, one_by_one
from twofold.pipeline.rebuild import Content, Rebuilt, rebuild
from twofold.pipeline.versions import DataLost
from twofold.repository.repository import Repository
from twofold.select.selector import Selector
from twofold.select.sifting import Recorded, sift
from twofold.tree.shortfalls import EntryProblem, problem_of
from twofold.tree.write import TreeWriter, WriteOptions
from twofold.tree.write_runs import RunWriter

_NOTHING_RESTORED = "No files found in archive - nothing restored. Check what is included and excluded"
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)  # every further file would fail as well
UNSOUND = (FormatError, CorruptStream, DataLost, NoScratch)


@value
class RestoreOptions:
    """What to restore and how. `within` is the path to restore, empty for everything.

    `selection` says which paths are wanted, None for all. `renames` are (old, new) paths. `overwrite` allows a target
    that is not empty.
    """

    target: bytes
    temp_dir: str
    within: bytes = b""
    selection: Selector | None = None
    renames: tuple[tuple[bytes, bytes], ...] = ()
    overwrite: bool = False
    restore_ownership: bool = True
    numeric_owner: bool = False
    detailed: bool = False


@value
class RestorePlan:
    """The moment that will be seen and the volumes it needs."""

    point: RestorePoint
    reading: ReadingPlan


@value
class RestoreSummary:
    """How many entries were restored, and from which backup (seconds since 1970).

    `shortfalls` are kinds of metadata that could not be set; each has been told.
    """

    entries: int
    instant: int
    shortfalls: int = 0


def plan_restore(
    collection: Collection,
    repository: Repository,
    *,
    instant: int,
    within: bytes,
    ignore_errors: bool,
    monitor: Monitor,
) -> RestorePlan:
    """Raises NoBackups, MissingVolume, and what loading a manifest raises. Nothing has been written then."""
    point = restore_point(collection, instant)
    report_point(point, monitor)
    reading = narrowed(repository, plan_reading(repository, point.sets, within=within))
    if not ignore_errors:
        require_volumes(reading, repository)
    return RestorePlan(point, reading)


def report_point(point: RestorePoint, monitor: Monitor) -> None:
    """Says when what will be seen is not what a person may expect."""
    if point.before_first:
        text = f"There is no backup from so early; the oldest one is used, of {format_asctime(point.instant)}"
        monitor.report(Note(text, warning=True))
    for skipped in point.skipped:
        text = (
            f"The backup of {format_asctime(skipped.id.end)} is not complete and is passed over; "
            f"what is used is of {format_asctime(point.instant)}"
        )
        monitor.report(Note(text, warning=True))


def check_target(target: bytes, *, overwrite: bool) -> None:
    """Raises TargetNotEmpty unless the target is absent or an empty directory other than the current one."""
    if overwrite or not os.path.lexists(target):
        return
    if not os.path.isdir(target):
        fault = "is no directory"
    elif os.path.samefile(target, os.curdir):
        fault = "is the current directory"
    elif os.listdir(target):
        fault = "is not empty"
    else:
        return
    raise TargetNotEmpty(
        f"Cannot restore to {os.fsdecode(target)}: it {fault}.\n"
        "Will not overwrite without --force; name a new directory or an empty one"
    )


def restore(repository: Repository, plan: RestorePlan, *, options: RestoreOptions, monitor: Monitor) -> RestoreSummary:
    """Carries the plan out. After all else is restored, raises PathNotFound, NothingRestored, BadVolume, PartlyDone."""
    check_target(options.target, overwrite=options.overwrite)
    counting = CountingMonitor(monitor)
    with Crew(monitor=monitor) as crew:
        reader = ChainReader(plan.reading, repository, crew, monitor=counting)
        try:
            restorer = _Restorer(options, counting)
            entries = restorer.restore(reader.stretches())
        finally:
            reader.close()
    report_lost_volumes(reader.failures)
    if not restorer.seen and not counting.problems:
        if options.within:
            raise PathNotFound(
                f"{os.fsdecode(options.within)} not found in archive - no files restored. Paths are as "
                "list-current-files shows them; those of another day need --time"
            )
        raise NothingRestored(_NOTHING_RESTORED)
    if not entries and not counting.problems:
        raise NothingRestored(_NOTHING_RESTORED)
    if counting.problems:
        raise PartlyDone(f"{counting.problems} file(s) could not be restored; they are named above. All others were")
    return RestoreSummary(entries, plan.point.instant, counting.shortfalls)


def report_lost_volumes(failures: Sequence[TwofoldError]) -> None:
    """Raises BadVolume or PartlyDone if volumes could not be read, whether or not a file was lost by it."""
    if not failures:
        return
    first = next((each for each in failures if isinstance(each, BadVolume)), failures[0])
    more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
    text = f"{first}{more}. The files that are lost by it are named above; all others were read"
    if isinstance(first, BadVolume):
        raise BadVolume(text, name=first.name)
    raise PartlyDone(text)


@value
class _Unsound:
    """A path that the archive no longer gives, and why."""

    path: bytes
    reason: str


class _Restorer:
    """Writes histories into a target."""

    def __init__(self, options: RestoreOptions, monitor: Monitor) -> None:
        self._options = options
        self._monitor = monitor
        self._writer: TreeWriter | None = None
        self._runs: RunWriter | None = None
        self._single = False  # whether the target itself is the one file to be restored
        # First names of hard link groups that stand in the target: path in the archive -> (path here, digest).
        self._leaders: dict[bytes, tuple[bytes, bytes]] = {}
        self.seen = False

    def restore(self, stretches: Iterator[Stretch]) -> int:
        """Gives the number of entries written."""
        options = self._options
        try:
            if options.selection is None and not options.renames and not options.detailed:
                written = sum(map(self._take, stretches))
            else:
                written = sum(map(self._take_rebuilt, self._selected(self._rebuilt(one_by_one(stretches)))))
            if self._writer is not None:
                self._writer.finish()
        finally:
            if self._writer is not None:
                self._writer.close()
        return written

    def _take(self, stretch: Stretch) -> int:
        if isinstance(stretch, CheckedRun):
            return self._write_run(*stretch)
        rebuilt = self._rebuild(stretch)
        return 0 if rebuilt is None else self._take_rebuilt(rebuilt)

    def _take_rebuilt(self, rebuilt: Rebuilt | _Unsound) -> int:
        if isinstance(rebuilt, _Unsound):
            self._monitor.report(Problem(rebuilt.path, rebuilt.reason, "restore"))
            return 0
        return int(self._place(rebuilt))

    def _write_run(self, run: Run, damaged: frozenset[int]) -> int:
        """Writes most files of a run at once, the others one by one."""
        if self._writer is None or self._single:
            return sum(self._take(history_of(run, at)) for at in range(len(run)))
        self._runs = self._runs or RunWriter(self._writer)
        self.seen = True
        written = len(run)
        for at in self._runs.write(run, within=self._options.within, unfit=damaged):
            written -= 1 - self._take(history_of(run, at))
        return written

    def _rebuild(self, history: FileHistory) -> Rebuilt | _Unsound | None:
        try:
            rebuilt = rebuild(history, temp_dir=self._options.temp_dir)
        except UNSOUND as error:
            self.seen = True
            return _Unsound(history.path, str(error))
        self.seen = self.seen or rebuilt is not None
        return rebuilt

    def _rebuilt(self, histories: Iterator[FileHistory]) -> Iterator[Rebuilt | _Unsound]:
        return (rebuilt for history in histories if (rebuilt := self._rebuild(history)) is not None)

    def _selected(self, rebuilt: Iterator[Rebuilt | _Unsound]) -> Iterator[Rebuilt | _Unsound]:
        if self._options.selection is None:
            return rebuilt
        return _more_than_root(sift(rebuilt, selector=self._options.selection, describe=_describe))

    def _place(self, rebuilt: Rebuilt) -> bool:
        try:
            self._write(rebuilt)
        except UNSOUND as error:
            self._monitor.report(Problem(rebuilt.path, str(error), "restore"))
            return False
        except OSError as error:
            return self._failed(problem_of(rebuilt.path, error))
        except EntryProblem as error:
            return self._failed(error)
        if self._options.detailed:
            self._monitor.report(FileRestored(rebuilt.path, rebuilt.entry.kind.value))
        return True

    def _failed(self, problem: EntryProblem) -> bool:
        if problem.error_number in NO_SPACE:
            raise PartlyDone(f"{problem}. Make room and restore again, into an empty folder") from problem
        self._monitor.report(Problem(problem.path, problem.reason, "restore"))
        return False

    def _write(self, rebuilt: Rebuilt) -> None:
        path, entry = self._target_path(rebuilt.path), rebuilt.entry
        alone = not path and entry.kind is not Kind.DIRECTORY
        writer = self._writer_for(rebuilt.path, alone=alone)
        if alone:
            path = os.path.basename(os.path.abspath(self._options.target))
        match entry.kind:
            case Kind.REGULAR:
                self._write_regular(writer, path, rebuilt)
            case Kind.DIRECTORY:
                writer.make_directory(path, entry)
            case Kind.SYMLINK:
                writer.make_symlink(path, entry)
            case Kind.FIFO:
                writer.make_fifo(path, entry)
            case Kind.CHARACTER_DEVICE | Kind.BLOCK_DEVICE:
                writer.make_device(path, entry)

    def _write_regular(self, writer: TreeWriter, path: bytes, rebuilt: Rebuilt) -> None:
        content = rebuilt.content
        assert content is not None
        try:
            entry = rebuilt.entry
            if entry.links_to is None:
                self._write_content(writer, path, entry, content)
            else:
                self._write_of_group(writer, path, rebuilt, content)
        finally:
            content.close()

    def _write_of_group(self, writer: TreeWriter, path: bytes, rebuilt: Rebuilt, content: Content) -> None:
        """One name of a hard link group."""
        leader = rebuilt.entry.links_to
        assert leader is not None
        if leader in self._leaders:
            content.spool()  # a large file's record stands at its end
        if not self._link(writer, path, rebuilt):
            self._write_content(writer, path, rebuilt.entry, content)
        record = rebuilt.entry.content
        if record is not None and any(record.digest):
            self._leaders[leader] = (path, record.digest)

    def _write_content(self, writer: TreeWriter, path: bytes, entry: Entry, content: Content) -> None:
        whole = content.whole
        if whole is not None:
            writer.write_file(path, entry, whole)
            return
        with writer.create_file(path, entry) as output:
            if entry.holes:
                for block in content.blocks():
                    output.write(block)
            else:
                content.write_to(output.fd)
            output.commit()

    def _link(self, writer: TreeWriter, path: bytes, rebuilt: Rebuilt) -> bool:
        """Restores a hard link where its group stands in the target already with the same content."""
        entry = rebuilt.entry
        if entry.links_to is None or entry.links_to not in self._leaders:
            return False
        first, digest = self._leaders[entry.links_to]
        if entry.content is None or entry.content.digest != digest:
            return False
        return writer.make_hard_link(path, entry, first)

    def _target_path(self, path: bytes) -> bytes:
        within = self._options.within
        for old, new in self._options.renames:
            if path == old or path.startswith(old + b"/"):
                path = new + path[len(old) :]
                break
        if within and (path == within or path.startswith(within + b"/")):
            path = path[len(within) + 1 :]
        return path

    def _writer_for(self, path: bytes, *, alone: bool) -> TreeWriter:
        """The target is made when the first entry comes: a single file takes the target's own name.

        NB: its folder is then what the writer writes into, so whatever else such an archive holds must be refused.
        """
        if self._writer is None:
            self._single = alone
            root = os.path.abspath(self._options.target)
            if alone:
                if os.path.isdir(root) and not os.path.islink(root):
                    os.rmdir(root)
                root = os.path.dirname(root)
            self._writer = self._open_writer(root)
        elif self._single:
            raise EntryProblem(path, "It stands below something that is not a directory")
        elif alone:
            raise EntryProblem(path, "It would take the place of the folder that is restored to")
        return self._writer

    def _open_writer(self, root: bytes) -> TreeWriter:
        options = self._options
        return TreeWriter(
            root,
            WriteOptions(
                restore_ownership=options.restore_ownership,
                numeric_owner=options.numeric_owner,
                overwrite=options.overwrite,
                any_order=bool(options.renames),
            ),
            monitor=self._monitor,
        )


def _describe(item: Rebuilt | _Unsound) -> Recorded:
    if isinstance(item, _Unsound):
        return Recorded(item.path, Kind.REGULAR, 0)
    return Recorded(item.path, item.entry.kind, item.entry.mtime_ns)


def _more_than_root(selected: Iterator[Rebuilt | _Unsound]) -> Iterator[Rebuilt | _Unsound]:
    """The root belongs to every selection, but alone it is nothing that anybody can have meant."""
    root: Rebuilt | _Unsound | None = None
    for each in selected:
        if root is None and not each.path:
            root = each
            continue
        if root is not None:
            yield root
            root = None
        yield each

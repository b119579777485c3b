"""Restores and verifications in this process, from a target in memory: errors and reports as values."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.archive import Target
from twofold.envelope.gzip import GzipEnvelope
from twofold.envelope.plain import PlainEnvelope
from twofold.errors import TwofoldError
from twofold.format.names import NameCodec
from twofold.model.backup import Wrapping
from twofold.monitor import Problem, RecordingMonitor
from twofold.operations.restore import RestoreOptions, check_target, plan_restore, restore
from twofold.operations.verify import VerifyOptions, VerifySummary, verify
from twofold.repository.archive_dir import ArchiveDir
from twofold.repository.repository import Repository, RepositoryOptions
from twofold.repository.sync import plan_sync, synchronize
from twofold.select.compiling import compile_selection
from twofold.select.conditions import Mode
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.store import Store
from twofold.tree.scan import ScanOptions, SourceTree

LAST = 1 << 62


@dataclass
class Result:
    """How it ended: `error` is None when all went well."""

    error: TwofoldError | None
    monitor: RecordingMonitor
    summary: VerifySummary | None = None

    @property
    def exit_code(self) -> int:
        return 0 if self.error is None else self.error.exit_code

    @property
    def named(self) -> list[bytes]:
        """The paths that were reported as lost."""
        return [event.path for event in self.monitor.events if isinstance(event, Problem)]

    @property
    def reasons(self) -> str:
        return "\n".join(event.reason for event in self.monitor.events if isinstance(event, Problem))


@dataclass
class Place:
    """Folders of one scenario; everything outside of `target` has to stay as it is."""

    folder: Path
    files: dict[str, bytes] = field(default_factory=dict)
    attempts: int = 2
    transfers: int = 1
    store: Store | None = None

    @property
    def target(self) -> Path:
        return self.folder / "restored"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def repository(self, monitor: RecordingMonitor) -> Repository:
        temp_dir = self.folder / "tmp"
        temp_dir.mkdir(parents=True, exist_ok=True)
        self.cache.mkdir(parents=True, exist_ok=True)
        return Repository(
            self.store or MemoryStore(self.files),
            ArchiveDir(str(self.cache), NameCodec()),
            envelopes={Wrapping.PLAIN: PlainEnvelope(), Wrapping.GZIP: GzipEnvelope()},
            written=Wrapping.PLAIN,
            options=RepositoryOptions(str(temp_dir), self.attempts, self.transfers),
            monitor=monitor,
        )

    def synchronize(self, *, lenient: bool = True) -> RecordingMonitor:
        monitor = RecordingMonitor()
        repository = self.repository(monitor)
        plan = plan_sync(repository.collection(), wanted=None)
        synchronize(repository, plan, dry_run=False, monitor=monitor, lenient=lenient)
        return monitor

    def restore(
        self,
        *,
        instant: int = LAST,
        within: bytes = b"",
        ignore_errors: bool = False,
        overwrite: bool = False,
        renames: tuple[tuple[bytes, bytes], ...] = (),
        target: Path | None = None,
        detailed: bool = False,
    ) -> Result:
        monitor = RecordingMonitor()
        try:
            options = RestoreOptions(
                os.fsencode(target or self.target),
                str(self.folder / "tmp"),
                within,
                renames=renames,
                overwrite=overwrite,
                detailed=detailed,
            )
            check_target(options.target, overwrite=overwrite)
            repository = self.repository(monitor)
            plan = plan_restore(
                repository.collection(),
                repository,
                instant=instant,
                within=within,
                ignore_errors=ignore_errors,
                monitor=monitor,
            )
            restore(repository, plan, options=options, monitor=monitor)
        except TwofoldError as error:
            return Result(error, monitor)
        return Result(None, monitor)

    def verify(
        self, source: Path, *, compare_data: bool = False, within: bytes = b"", ignore_errors: bool = False
    ) -> Result:
        monitor = RecordingMonitor()
        try:
            repository = self.repository(monitor)
            plan = plan_restore(
                repository.collection(),
                repository,
                instant=LAST,
                within=within,
                ignore_errors=ignore_errors,
                monitor=monitor,
            )
            root = os.fsencode(source)
            tree = SourceTree(
                root, compile_selection((), source=root, mode=Mode.BACKUP), options=ScanOptions(), monitor=monitor
            )
            options = VerifyOptions(str(self.folder / "tmp"), within, compare_data)
            return Result(None, monitor, verify(tree, repository, plan=plan, options=options, monitor=monitor))
        except TwofoldError as error:
            return Result(error, monitor)

    def restored(self) -> dict[bytes, bytes]:
        """Contents of all regular files in the restored folder, link texts, and nothing for directories."""
        root = os.fsencode(self.target)
        found: dict[bytes, bytes] = {}
        for folder, names, files in os.walk(root):
            for name in (*names, *files):
                path = os.path.join(folder, name)
                relative = os.path.relpath(path, root)
                if os.path.islink(path):
                    found[relative] = b"-> " + os.readlink(path)
                elif os.path.isdir(path):
                    found[relative] = b"/"
                elif os.path.isfile(path):
                    with open(path, "rb") as file:
                        found[relative] = file.read()
        return found


def place(folder: Path, target: Target) -> Place:
    return Place(folder, target.files)

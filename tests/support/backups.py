"""Backups and restores in this process, into a store in memory, with everything a test may want to replace."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.clock import FakeClock
from twofold.envelope.gzip import GzipEnvelope
from twofold.envelope.plain import PlainEnvelope
from twofold.envelope.protocol import Envelope
from twofold.format.manifest import Manifest, parse_manifest
from twofold.format.names import NameCodec
from twofold.model.backup import FileRole, SetId, SetKind, Wrapping
from twofold.monitor import Problem, RecordingMonitor
from twofold.operations.backup import backup
from twofold.operations.backup_plan import BackupOptions, BackupSummary, plan_backup
from twofold.operations.restore import RestoreOptions, plan_restore, restore
from twofold.operations.resumption import find_resumption, settled
from twofold.operations.unfinished import clear_unfinished, plan_unfinished, without_unfinished
from twofold.repository.archive_dir import ArchiveDir, Beside
from twofold.repository.repository import Repository, RepositoryOptions
from twofold.repository.sync import plan_sync, synchronize
from twofold.select.selector import Selector
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.store import Store
from twofold.tree.scan import ScanOptions, SourceTree

SMALL_VOLUME = 300_000
NOW = 1 << 60


@dataclass
class Place:
    """One target with its archive directory; `folder` holds what else is needed, the source tree included."""

    folder: Path
    wrapping: Wrapping = Wrapping.GZIP
    store: Store = field(default_factory=MemoryStore)
    clock: FakeClock = field(default_factory=FakeClock)
    monitor: RecordingMonitor = field(default_factory=RecordingMonitor)
    volume_size: int = SMALL_VOLUME
    workers: int = 2
    transfers: int = 1
    envelope: Envelope | None = None
    fingerprint: str = "the same"
    by_passphrase: bool = False
    _restored: int = 0

    def __post_init__(self) -> None:
        for each in (self.source, self.archive, self.scratch):
            os.makedirs(each, exist_ok=True)

    @property
    def source(self) -> bytes:
        return os.fsencode(self.folder / "source")

    @property
    def archive(self) -> str:
        return str(self.folder / "archive")

    @property
    def scratch(self) -> str:
        return str(self.folder / "scratch")

    @property
    def files(self) -> dict[str, bytes]:
        """What is at the target, if the store is one in memory or wraps one."""
        store = self.store
        while not isinstance(store, MemoryStore):
            store = store.inner  # type: ignore[attr-defined]
        return store.files

    def problems(self) -> list[bytes]:
        return [event.path for event in self.monitor.events if isinstance(event, Problem)]

    def repository(self) -> Repository:
        plain, zipped = PlainEnvelope(), GzipEnvelope()
        envelopes: dict[Wrapping, Envelope] = {Wrapping.PLAIN: plain, Wrapping.GZIP: zipped}
        if self.envelope is not None:
            envelopes[self.wrapping] = self.envelope
        return Repository(
            self.store,
            ArchiveDir(self.archive, NameCodec()),
            envelopes=envelopes,
            written=self.wrapping,
            options=RepositoryOptions(self.scratch, transfers=self.transfers),
            monitor=self.monitor,
        )

    def options(self, **changes: object) -> BackupOptions:
        given = {
            "volume_size": self.volume_size,
            "workers": self.workers,
            "fingerprint": self.fingerprint,
            **changes,
        }
        return BackupOptions(b"host", b"source", **given)  # type: ignore[arg-type]

    def back_up(
        self,
        asked: SetKind | None = None,
        *,
        tree: SourceTree | None = None,
        choice: Selector | None = None,
        check: Callable[[], None] | None = None,
        **changes: object,
    ) -> BackupSummary:
        """One backup as the command line makes it: clears, synchronizes, plans, carries out."""
        self.clock.advance(10)
        source = tree or SourceTree(self.source, choice, options=ScanOptions(), monitor=self.monitor)
        repository = self.repository()
        with repository.archive_dir:
            options = self.options(**changes)
            unfinished = plan_unfinished(repository.collection(), now=self.clock.now())
            resumption = unfinished and find_resumption(
                repository,
                unfinished,
                fingerprint=options.fingerprint,
                header=options.manifest_header,
                source=self.source,
                now=self.clock.now(),
            )
            if unfinished is not None and resumption is None:
                clear_unfinished(repository, unfinished, monitor=self.monitor)
            collection = without_unfinished(repository.collection(), unfinished)
            synchronize(repository, plan_sync(collection, wanted=None), dry_run=False, monitor=self.monitor)
            collection = without_unfinished(repository.collection(), unfinished)
            plan = plan_backup(collection, asked=asked, options=options)
            if resumption is not None and unfinished is not None:
                resumption = settled(
                    repository, resumption, plan=plan, by_passphrase=self.by_passphrase, monitor=self.monitor
                )
                if resumption is None:
                    clear_unfinished(repository, unfinished, monitor=self.monitor)
            try:
                return backup(
                    source,
                    repository,
                    plan=plan,
                    options=options,
                    check=check,
                    resumption=resumption,
                    clock=self.clock,
                    monitor=self.monitor,
                )
            finally:
                repository.close()

    def restore(self, instant: int = NOW) -> bytes:
        """Restores to a new folder and gives its path."""
        self._restored += 1
        target = os.fsencode(self.folder / f"restored-{self._restored}")
        repository = self.repository()
        with repository.archive_dir:
            synchronize(
                repository, plan_sync(repository.collection(), wanted=None), dry_run=False, monitor=self.monitor
            )
            plan = plan_restore(
                repository.collection(),
                repository,
                instant=instant,
                within=b"",
                ignore_errors=False,
                monitor=self.monitor,
            )
            restore(repository, plan, options=RestoreOptions(target, self.scratch), monitor=self.monitor)
        return target

    # ---- what is at the target, read by others' means ----------------------------------------------------------------

    def set_ids(self) -> list[SetId]:
        """The sets, oldest first."""
        codec = NameCodec()
        names = [codec.parse(name) for name in self.files]
        found = {name.set_id for name in names if name is not None and name.role is FileRole.MANIFEST}
        return sorted(found, key=lambda set_id: set_id.end)

    def manifest(self, set_id: SetId) -> Manifest:
        return parse_manifest(self._content(set_id, FileRole.MANIFEST)[0], with_file_changes=True)

    def volumes(self, set_id: SetId) -> list[bytes]:
        """The tar streams of a set."""
        return [self.unwrapped(content) for content in self._content(set_id, FileRole.VOLUME)]

    def signatures(self, set_id: SetId) -> bytes:
        return self.unwrapped(self._content(set_id, FileRole.SIGNATURES)[0])

    def unwrapped(self, content: bytes) -> bytes:
        return gzip.decompress(content) if self.wrapping is Wrapping.GZIP else content

    def _content(self, set_id: SetId, role: FileRole) -> list[bytes]:
        codec = NameCodec()
        found = []
        for name, content in self.files.items():
            meaning = codec.parse(name)
            if meaning is not None and meaning.set_id == set_id and meaning.role is role:
                found.append((meaning.volume or 0, content))
        return [content for _, content in sorted(found)]

    def leftovers(self) -> list[str]:
        """What lies in the scratch folder, and in the archive directory under names that are not meant to stay.

        What the next run needs to go on goes with a partial manifest.
        """
        codec = NameCodec()
        names = os.listdir(self.archive)
        expected = {"lockfile", "twofold-state", *(each.value + name for name in names for each in Beside)}
        stray = [name for name in names if codec.parse(name) is None and name not in expected]
        return sorted(os.listdir(self.scratch)) + sorted(stray)

    def partial_files(self) -> list[str]:
        codec = NameCodec()
        return sorted(name for name in os.listdir(self.archive) if (found := codec.parse(name)) and found.partial)


def tar_members(stream: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
    """The members of a tar stream and their data, as Python's own reader sees them; names as bytes in `pax_headers`."""
    found = []
    with tarfile.open(fileobj=io.BytesIO(stream), mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            found.append((member, file.read() if file is not None else b""))
    return found

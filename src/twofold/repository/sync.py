"""Makes the archive directory agree with the target, which is authoritative (docs/format.md section 8)."""

from __future__ import annotations

import os
from collections.abc import Collection as SetIds
from collections.abc import Sequence
from typing import BinaryIO, Final

from twofold.collection.collection import Collection
from twofold.collection.sets import FoundFile, in_order_of_trust
from twofold.envelope.protocol import Opened
from twofold.errors import (
    CorruptStream,
    EnvelopeError,
    Forbidden,
    FormatError,
    NotFound,
    PassphraseNeeded,
    TwofoldError,
    WrongSigner,
)
from twofold.model.backup import FileRole, SetId, Wrapping
from twofold.model.value import value
from twofold.monitor import MetadataSynchronized, MetadataSyncing, Monitor, Note
from twofold.repository.manifests import read_manifest
from twofold.repository.repository import Repository

_METADATA: Final = (FileRole.MANIFEST, FileRole.SIGNATURES)
_PIECE: Final = 1 << 20

TARGET_EMPTY: Final = Note(
    "The target holds no backup at all, though there were some before; the local cache is left alone. "
    "Is the disk mounted?",
    warning=True,
)
"""What is said where `SyncPlan.target_empty`."""


@value
class SyncPlan:
    """Files to fetch from the target and cached files to remove. `target_empty` says why nothing is removed."""

    copy: tuple[FoundFile, ...]
    remove: tuple[FoundFile, ...]
    target_empty: bool = False


def plan_sync(collection: Collection, *, wanted: SetIds[SetId] | None) -> SyncPlan:
    """What is missing here and what is superfluous; only the sets in `wanted` are fetched, all when it is None.

    A target without a single backup file is more often a disk that is not mounted than a target that was emptied:
    then nothing is removed. Nor is the manifest of a set that has lost its own: it can be copied back.
    """
    unfinished = {_base(file) for file in collection.local if file.meaning.partial}
    cached = {_base(file) for file in collection.local if file.meaning.role in _METADATA and not file.meaning.partial}
    there = {_base(file) for file in collection.remote if not file.meaning.partial}
    missing: dict[tuple[SetId, FileRole], FoundFile] = {}
    for file in in_order_of_trust(collection.remote):
        base = _base(file)
        if file.meaning.role not in _METADATA or file.meaning.partial or base in cached or base in unfinished:
            continue
        if wanted is None or file.meaning.set_id in wanted:
            missing.setdefault(base, file)
    rescued = {each.id for each in collection.lost_manifests}
    superfluous = [
        file
        for file in collection.local
        if file.meaning.role in _METADATA
        and not file.meaning.partial
        and file.meaning.set_id not in rescued
        and (_base(file) not in there or _base(file) in unfinished)
    ]
    # Manifests first: they are small, and a wrong passphrase shows at once.
    order = sorted(
        missing.values(),
        key=lambda file: (file.meaning.role is FileRole.SIGNATURES, file.meaning.set_id.end, file.name),
    )
    if not collection.remote:
        return SyncPlan(tuple(order), (), target_empty=bool(superfluous))
    return SyncPlan(tuple(order), tuple(superfluous))


def synchronize(
    repository: Repository, plan: SyncPlan, *, dry_run: bool, monitor: Monitor, lenient: bool = False
) -> None:
    """Carries the plan out. Raises what opening a remote file raises; what was fetched until then stays.

    `lenient` reports files that cannot be opened and goes on: reading a backup may not need them. But when nothing can
    be opened, keys or passphrase are wrong, and that is raised.
    """
    if plan.target_empty:
        monitor.report(TARGET_EMPTY)
    if not dry_run:
        if plan.copy or plan.remove:
            monitor.report(MetadataSyncing())
        for file in plan.remove:
            monitor.report(MetadataSyncing(removing=repository.archive_dir.path_of(file.name)))
            repository.archive_dir.remove(file.name)
        _copy_all(repository, plan.copy, lenient=lenient, monitor=monitor)
    monitor.report(
        MetadataSynchronized(
            tuple(file.name for file in plan.copy), tuple(file.name for file in plan.remove), dry_run=dry_run
        )
    )


def _copy_all(repository: Repository, files: Sequence[FoundFile], *, lenient: bool, monitor: Monitor) -> None:
    failures: list[TwofoldError] = []
    copied = 0
    for file in files:
        monitor.report(MetadataSyncing(copying=file.name))
        try:
            _copy(repository, file)
        except (EnvelopeError, FormatError, NotFound, Forbidden) as error:
            if not lenient or isinstance(error, (PassphraseNeeded, WrongSigner)):
                raise
            failures.append(error)
            if not copied and len(failures) > 1 and all(isinstance(each, EnvelopeError) for each in failures):
                raise failures[0] from None
            monitor.report(Note(f"Cannot use {file.name}, so it is not cached: {error}", warning=True))
        else:
            copied += 1


def _copy(repository: Repository, file: FoundFile) -> None:
    opened = repository.open_file(file)
    scratch = repository.archive_dir.scratch()
    try:
        if file.meaning.role is FileRole.MANIFEST:
            _copy_manifest(opened, scratch, file.name)
            repository.archive_dir.install(scratch, repository.archive_dir.manifest_path(file.meaning.set_id))
        else:
            _copy_gzipped(repository, opened, scratch)
            repository.archive_dir.install(scratch, repository.archive_dir.signature_path(file.meaning.set_id))
    except CorruptStream as error:
        raise CorruptStream(f"{file.name}: {error}", error.log) from error
    finally:
        opened.close()
        if os.path.exists(scratch):
            os.unlink(scratch)


def _copy_manifest(opened: Opened, path: str, name: str) -> None:
    """Copies it while it is read, so that what makes no sense ends before it fills the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        read_manifest(_Copied(opened, file), name, None)


class _Copied:
    """A source whose bytes are written to a file as they are read."""

    def __init__(self, source: Opened, file: BinaryIO) -> None:
        self._source = source
        self._file = file

    def read(self, size: int, /) -> bytes:
        block = self._source.read(size)
        self._file.write(block)
        return block


def _copy_gzipped(repository: Repository, opened: Opened, path: str) -> None:
    envelope = repository.envelope_for(Wrapping.GZIP)
    sealer = envelope.create(path)
    try:
        while block := opened.read(_PIECE):
            sealer.write(envelope.compress(block))
        sealer.finish()
    except BaseException:
        sealer.abort()
        raise


def _base(file: FoundFile) -> tuple[SetId, FileRole]:
    return file.meaning.set_id, file.meaning.role

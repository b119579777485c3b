"""What a backup set records about itself: which regular files it changed, and its statistics (--jsonstat).

The copy in the archive directory is read if there is one, else the file at the target.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from twofold import system
from twofold.collection.sets import BackupSet, FoundFile
from twofold.errors import CorruptManifest, NotFound
from twofold.format.manifest import FileChange, parse_manifest
from twofold.model.backup import FileRole, SetId, StoredName, Wrapping
from twofold.repository.repository import Repository, read_whole

_LARGEST_MANIFEST: Final = 1 << 30
_LARGEST_STATISTICS: Final = 1 << 24


class RecordedChanges(NamedTuple):
    """The regular files that a set changed, in archive order; None where its manifest does not list them."""

    backup_set: BackupSet
    changes: tuple[tuple[FileChange, bytes], ...] | None


def read_changes(repository: Repository, backup_set: BackupSet) -> RecordedChanges:
    """Raises NotFound when the set has no manifest, CorruptManifest, and what opening a file raises."""
    local = [file for file in backup_set.local_manifests if file.meaning.wrapping is Wrapping.PLAIN]
    if local:
        name = local[0].name
        with open(repository.archive_dir.path_of(name), "rb") as cached:
            content = cached.read()
    elif backup_set.manifests:
        name = backup_set.manifests[0].name
        content = read_whole(repository.open_file(backup_set.manifests[0]), limit=_LARGEST_MANIFEST)
    else:
        raise NotFound("The backup set has no manifest at the target", operation="get")
    try:
        return RecordedChanges(backup_set, parse_manifest(content, with_file_changes=True).file_changes)
    except CorruptManifest as error:
        raise CorruptManifest(f"{name}: {error}") from error


def local_statistics(backup_set: BackupSet) -> FoundFile | None:
    """The copy in the archive directory of what --jsonstat stored."""
    return next((file for file in backup_set.local if file.meaning.role is FileRole.STATISTICS), None)


def read_statistics(repository: Repository, backup_set: BackupSet, *, may_decrypt: bool) -> bytes | None:
    """What --jsonstat stored with a set, None if there is nothing that can be read without being asked for a secret.

    Raises what opening a file raises.
    """
    copy = local_statistics(backup_set)
    if copy is not None:
        opened = repository.envelope_for(copy.meaning.wrapping).open(repository.archive_dir.path_of(copy.name))
        return read_whole(opened, limit=_LARGEST_STATISTICS)
    for file in backup_set.statistics:
        if may_decrypt or file.meaning.wrapping in (Wrapping.PLAIN, Wrapping.GZIP):
            return read_whole(repository.open_file(file), limit=_LARGEST_STATISTICS)
    return None


def store_statistics(repository: Repository, set_id: SetId, content: bytes) -> None:
    """Stores statistics beside a set that is complete already, and a copy in the archive directory.

    Raises what storing a file raises; the backup itself is there and whole in any case.
    """
    archive_dir = repository.archive_dir
    wrapping = repository.written_wrapping(FileRole.STATISTICS)
    path = system.scratch_name(repository.staging_directory())
    _make(repository, wrapping, path, content)
    try:
        repository.hand_over(path, StoredName(set_id, FileRole.STATISTICS, wrapping))
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    scratch = archive_dir.scratch()
    _make(repository, Wrapping.GZIP, scratch, content)
    name = archive_dir.codec.format(StoredName(set_id, FileRole.STATISTICS, Wrapping.GZIP))
    archive_dir.install(scratch, archive_dir.path_of(name))


def _make(repository: Repository, wrapping: Wrapping, path: str, content: bytes) -> None:
    envelope = repository.envelope_for(wrapping)
    sealer = envelope.create(path)
    try:
        sealer.feed_raw(content)
        sealer.write(envelope.compress(content))
        sealer.finish()
    finally:
        sealer.abort()


def history_of(path: bytes, sets: Iterable[RecordedChanges]) -> Sequence[tuple[BackupSet, FileChange]]:
    """In which of the sets something happened to one file, and what."""
    return [(each.backup_set, change) for each in sets for change, name in each.changes or () if name == path]

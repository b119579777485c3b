"""Makes sure that an increment continues what it seems to continue: same host, same source, same passphrase."""

from __future__ import annotations

import os
from collections.abc import Callable

from twofold.collection.sets import BackupSet
from twofold.errors import (
    CorruptManifest,
    EnvelopeError,
    HostChanged,
    ManifestMismatch,
    NotFound,
    SourceChanged,
    TwofoldError,
)
from twofold.format.manifest import Manifest
from twofold.repository.manifests import load_manifest, load_remote_manifest
from twofold.repository.repository import Repository


class UnreadableManifest(TwofoldError):
    """The newest manifest at the target cannot be opened with what was given for this backup."""

    exit_code = 1


def check_source(
    repository: Repository, newest: BackupSet, *, hostname: bytes, qualified: Callable[[], bytes], source: bytes
) -> None:
    """Compares with the newest set's manifest (docs/format.md section 3.3). Raises HostChanged, SourceChanged.

    `qualified` gives the host's full name and is only asked when the short one differs.
    """
    try:
        manifest = load_manifest(repository, newest)
    except (NotFound, CorruptManifest, EnvelopeError):
        return  # what cannot be read here is found out by the comparison with the target's copy
    before = manifest.hostname
    if before and before != hostname and before != qualified():
        raise HostChanged("Backup source host has changed.", now=os.fsdecode(hostname), before=os.fsdecode(before))
    if manifest.source and manifest.source != source:
        raise SourceChanged(
            "Backup source directory has changed.", now=os.fsdecode(source), before=os.fsdecode(manifest.source)
        )


def check_target_manifest(repository: Repository, newest: BackupSet) -> None:
    """Opens the newest manifest at the target and compares it with the cached one.

    This is also what finds a mistyped passphrase before anything is stored under it. Raises UnreadableManifest,
    ManifestMismatch.
    """
    name = newest.manifests[0].name if newest.manifests else ""
    try:
        remote = load_remote_manifest(repository, newest)
    except EnvelopeError as error:
        log = f"\n{error.log.rstrip()}" if error.log else ""
        raise UnreadableManifest(
            f"Error processing remote file ({name}): {error}\n"
            f"An increment under other keys could not be restored together with what is there{log}"
        ) from error
    cached = load_manifest(repository, newest)
    if _essence(remote) != _essence(cached):
        raise ManifestMismatch(
            f"The cached copy of {name} and the one at the target belong to different backups. Delete "
            f"{repository.archive_dir.manifest_path(newest.id)}, so that it is fetched again"
        )


def _essence(manifest: Manifest) -> tuple[object, ...]:
    return manifest.hostname, manifest.source, tuple(volume.number for volume in manifest.volumes)

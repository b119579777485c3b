"""Looks whether all volumes that the manifests of a chain list are at the target: names and sizes, nothing is read."""

from __future__ import annotations

from collections.abc import Iterable

from twofold.collection.sets import BackupSet
from twofold.errors import CorruptManifest, EnvelopeError, NotFound
from twofold.model.value import value
from twofold.repository.manifests import load_cached_manifest
from twofold.repository.repository import Repository


@value
class VolumeFault:
    """A volume that a set's manifest lists and that is missing, or has another size than it was stored with."""

    set_end: int
    number: int
    reason: str


def find_volume_faults(repository: Repository, sets: Iterable[BackupSet]) -> list[VolumeFault]:
    """Faults of all sets whose manifest is in the archive directory; what is not there cannot be judged cheaply."""
    faults = []
    for backup_set in sets:
        try:
            manifest = load_cached_manifest(repository, backup_set)
        except (CorruptManifest, EnvelopeError, NotFound):
            continue  # restoring and comparing say so themselves
        if manifest is None:
            continue
        for record in manifest.volumes:
            candidates = backup_set.volumes.get(record.number, ())
            sizes = {file.size for file in candidates}
            if not candidates:
                faults.append(VolumeFault(backup_set.id.end, record.number, "is missing"))
            elif record.size is not None and None not in sizes and record.size not in sizes:
                faults.append(VolumeFault(backup_set.id.end, record.number, "has not the size it was stored with"))
    return faults

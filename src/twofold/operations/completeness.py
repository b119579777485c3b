"""Looks whether what sets consist of is at the target: names, sizes and manifests; no volume is read.

What cannot be opened with the keys at hand is judged by the listing alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from twofold.collection.sets import BackupSet
from twofold.errors import (
    CorruptManifest,
    CorruptStream,
    EnvelopeError,
    MissingVolume,
    NotFound,
    UserError,
    WrongSigner,
)
from twofold.format.manifest import Manifest
from twofold.model.backup import FileRole, SetId, Wrapping
from twofold.model.times import format_asctime
from twofold.model.value import value
from twofold.repository.manifests import load_cached_manifest, load_remote_manifest
from twofold.repository.repository import Repository
from twofold.storage.store import Key


@value
class SetFault:
    """Why a set cannot be restored whole: what is wrong with a volume, or with its manifest if `number` is None."""

    set_id: SetId
    number: int | None
    reason: str

    @property
    def text(self) -> str:
        """The fault as the beginning of a sentence."""
        what = "The manifest" if self.number is None else f"Volume {self.number}"
        return f"{what} of the backup of {format_asctime(self.set_id.end)} {self.reason}"


def find_faults(repository: Repository, sets: Iterable[BackupSet], *, unlocks: bool = False) -> list[SetFault]:
    """Faults of those of the sets that have a manifest at the target, which is read if no sound copy of it is here.

    Encrypted ones are opened only with `unlocks`, since somebody may be asked for a passphrase. Raises StorageError.
    """
    return [fault for each in sets if each.is_complete for fault in _faults_of(repository, each, unlocks=unlocks)]


def require_stored(repository: Repository, sizes: Mapping[str, int], *, set_id: SetId) -> None:
    """Raises MissingVolume unless files of these names and sizes are at the target, which is listed once.

    Raises UserError when a run elsewhere has made this very set, or another one from the same start, meanwhile. Where
    the target is not to be listed at all (--no-check-remote), nothing is looked at.
    """
    if not repository.options.check_remote:
        return
    listed = {file.name: file.size for file in repository.store.list()}
    _refuse_twin(repository, listed, set_id)
    found = {name: size for name, size in listed.items() if name in sizes}
    differing = [name for name in sizes if found.get(name) != sizes[name]]
    if not repository.store.traits.consistent_list:
        differing = [name for name in differing if _asked_size(repository, name) != sizes[name]]
    if differing:
        raise MissingVolume(
            f"{len(differing)} of the files that this backup has stored are not at the target any more, or not as they "
            f"were stored ({differing[0]}), so it does not count as a backup. See to it that no other backup and no "
            "cleanup works on this target, then run the same command again"
        )


def _refuse_twin(repository: Repository, names: Iterable[str], set_id: SetId) -> None:
    for name in names:
        found = repository.codec.parse(name)
        if found is None or found.role is not FileRole.MANIFEST or found.partial:
            continue
        if found.set_id == set_id or (set_id.start is not None and found.set_id.start == set_id.start):
            raise UserError(
                f"Another backup of this target was made at the same time ({name}), so this one does not count. Give "
                "each machine a directory of its own at the target, or run the same command again when no other runs"
            )


def _asked_size(repository: Repository, name: str) -> int | None:
    meaning = repository.codec.parse(name)
    try:
        return repository.store.stat(Key(FileRole.VOLUME if meaning is None else meaning.role, name)).size
    except NotFound:
        return None


def _faults_of(repository: Repository, backup_set: BackupSet, *, unlocks: bool) -> Iterator[SetFault]:
    found = _read_manifest(repository, backup_set, unlocks=unlocks)
    expected: dict[int, int | None] = dict.fromkeys(range(1, max(backup_set.volumes, default=1) + 1))
    if isinstance(found, str):
        yield SetFault(backup_set.id, None, found)
    elif found is not None:
        expected = {record.number: record.size for record in found.volumes}
    for number, size in expected.items():
        sizes = {file.size for file in backup_set.volumes.get(number, ())}
        if not sizes:
            yield SetFault(backup_set.id, number, "is missing")
        elif sizes == {0}:
            yield SetFault(backup_set.id, number, "is empty")
        elif size is not None and None not in sizes and size not in sizes:
            yield SetFault(backup_set.id, number, "has not the size it was stored with")


def _read_manifest(repository: Repository, backup_set: BackupSet, *, unlocks: bool) -> Manifest | str | None:
    """The manifest, what is wrong with it, or None when it cannot be opened here and now."""
    stored = backup_set.manifests[0]
    if stored.size == 0:
        return "is empty"
    is_plain = stored.meaning.wrapping is Wrapping.PLAIN
    try:
        if not is_plain or stored.size in (None, *(file.size for file in backup_set.local_manifests)):
            cached = load_cached_manifest(repository, backup_set)
            if cached is not None:
                return cached
    except (CorruptManifest, OSError):
        pass  # the one at the target counts
    if not is_plain and not unlocks:
        return None
    try:
        return load_remote_manifest(repository, backup_set)
    except (CorruptManifest, CorruptStream, NotFound, WrongSigner) as error:
        return f"cannot be used ({error})"
    except (EnvelopeError, UserError):
        return None  # the keys or options of this run do not open it

"""Decides whether a backup goes on with what an interrupted run has left, and where.

Only what is proven counts: volumes by name and size, what is kept here by checksums, the file in whose middle the
work is to go on by what the system says of it now. Whatever is missing or differs, an earlier position is taken, or a
fresh set.
"""

from __future__ import annotations

import os
from typing import Final

from twofold.collection.sets import BackupSet, FoundFile
from twofold.errors import BadVolume, CorruptStream, EnvelopeError, NeedsWarmUp, NotFound, OtherSettings
from twofold.model.backup import FileRole, SetId, SetKind, StoredName
from twofold.model.times import format_asctime
from twofold.model.value import replace, value
from twofold.monitor import Monitor, Note
from twofold.operations.backup_plan import BackupPlan
from twofold.operations.unfinished import UnfinishedPlan
from twofold.pipeline.checkpoint import Checkpoint, Mark, read_checkpoints, silence_of
from twofold.pipeline.set_files import EarlierSignatures, is_kept
from twofold.repository.archive_dir import Beside
from twofold.repository.repository import Repository
from twofold.storage.store import CanOpenInPlace, Key, ability

_AHEAD: Final = 60
"""Seconds. A set may be called by a time to come, where one of now was there; a clock further behind was set back."""


@value
class Resumption:
    """The set to go on with, and its volumes that stay: the next one begins behind the last of them."""

    backup_set: BackupSet
    checkpoints: tuple[Checkpoint, ...]

    @property
    def set_id(self) -> SetId:
        return self.backup_set.id

    @property
    def mark(self) -> Mark | None:
        """What is known at the end of the last volume that stays; None if none does."""
        return self.checkpoints[-1].mark if self.checkpoints else None

    @property
    def surplus(self) -> tuple[FoundFile, ...]:
        """What of the set at the target is made anew, in the order in which it is deleted."""
        found = self.backup_set
        numbers = sorted((number for number in found.volumes if number > len(self.checkpoints)), reverse=True)
        volumes = [file for number in numbers for file in found.volumes[number]]
        return (*found.signatures, *found.statistics, *found.leftovers, *volumes)

    def earlier_signatures(self, repository: Repository) -> EarlierSignatures | None:
        mark = self.mark
        path = repository.archive_dir.path_beside(Beside.SIGNATURES, self.set_id)
        return mark and EarlierSignatures(path, mark.signature_bytes, self.checkpoints[-1].signature_crc)


def find_resumption(
    repository: Repository, unfinished: UnfinishedPlan, *, fingerprint: str, header: bytes, source: bytes, now: float
) -> Resumption | None:
    """How to go on with an unfinished set, at the latest position that can be trusted, or None.

    `fingerprint` and `header` of the manifest are what this run would begin a set with; `source` is the path of the
    tree, `now` in seconds since 1970. Raises StorageError.
    """
    found = unfinished.backup_set
    if unfinished.completed or unfinished.spared or found.unfinished is None or not fingerprint:
        return None
    if now < found.id.end - _AHEAD:
        return None
    archive_dir = repository.archive_dir
    try:
        with open(archive_dir.path_beside(Beside.CHECKPOINTS, found.id), "rb") as file:
            before, checkpoints = read_checkpoints(file.read())
        with open(archive_dir.path_of(found.unfinished.name), "rb") as file:
            manifest = file.read()
    except OSError:
        return None
    if before != fingerprint or manifest != header:  # duplicity has listed volumes: it has made some of them
        return None
    there = [each for each in checkpoints if _is_there(repository, found, each)]
    count = next((at for at, each in enumerate(there) if each.record.number != at + 1), len(there))
    for end in range(count, 0, -1):
        resumption = Resumption(found, tuple(there[:end]))
        if _is_sound(repository, resumption, source):
            return resumption
    return None


def before_the_file(repository: Repository, resumption: Resumption) -> Resumption:
    """The latest position at which no file is in the middle; the beginning of the set if there is none."""
    for end in range(len(resumption.checkpoints) - 1, 0, -1):
        earlier = replace(resumption, checkpoints=resumption.checkpoints[:end])
        if earlier.checkpoints[-1].position.block is None and _is_kept(repository, earlier):
            return earlier
    return replace(resumption, checkpoints=())


def settled(
    repository: Repository, resumption: Resumption, *, plan: BackupPlan, by_passphrase: bool, monitor: Monitor
) -> Resumption | None:
    """The resumption, if the plan is to make that very set and its volumes can be gone on with; says so then.

    Raises OtherSettings, StorageError.
    """
    begun = resumption.set_id
    if begun.start != (plan.chain.end if plan.chain is not None else None):
        return None
    if any(end >= begun.end for end in plan.taken):  # what is complete now must be the newest there is
        return None
    if not _prove(repository, resumption, by_passphrase=by_passphrase, monitor=monitor):
        return None
    _tell(resumption, monitor)
    return resumption


def _prove(repository: Repository, resumption: Resumption, *, by_passphrase: bool, monitor: Monitor) -> bool:
    """Whether the last volume that stays is whole and opens with the passphrase of this run, if there is one.

    What lies where it can be read costs no transfer, and is looked at in any case. Raises OtherSettings, StorageError.
    """
    record = resumption.checkpoints[-1].record
    candidates = resumption.backup_set.volumes[record.number]
    try:
        if by_passphrase:
            repository.open_volume(candidates, record).close()
        elif ability(repository.store, CanOpenInPlace) is not None:
            repository.check_volume(candidates, record)
    except (BadVolume, NotFound, NeedsWarmUp) as error:
        monitor.report(Note(f"The interrupted backup is begun anew: {error}", warning=True))
        return False
    except EnvelopeError as error:
        kept = repository.archive_dir.path_beside(Beside.CHECKPOINTS, resumption.set_id)
        raise OtherSettings(
            f"The volumes that the interrupted backup of {format_asctime(resumption.set_id.end)} has stored cannot be "
            f"opened with this passphrase: {error}. Give the one of that backup to go on with it; or remove {kept}, to "
            "begin anew"
        ) from error
    return True


def _tell(resumption: Resumption, monitor: Monitor) -> None:
    """Says where the work goes on, in duplicity's manner."""
    kind = "full" if resumption.set_id.kind is SetKind.FULL else "incremental"
    monitor.report(Note(f"Last {kind} backup left a partial set, restarting."))
    count = len(resumption.checkpoints)
    stored = "Volume 1 has" if count == 1 else f"Volumes 1 to {count} have"
    monitor.report(Note(f"RESTART: {stored} been stored; going on with volume {count + 1}."))


def _is_there(repository: Repository, found: BackupSet, checkpoint: Checkpoint) -> bool:
    record = checkpoint.record
    wrapping = repository.written_wrapping(FileRole.VOLUME)
    name = repository.codec.format(StoredName(found.id, FileRole.VOLUME, wrapping, volume=record.number))
    file = next((each for each in found.volumes.get(record.number, ()) if each.name == name), None)
    if file is None:
        return False
    size = repository.store.stat(Key(FileRole.VOLUME, name)).size if file.size is None else file.size
    return size == record.size


def _is_sound(repository: Repository, resumption: Resumption, source: bytes) -> bool:
    position = resumption.checkpoints[-1].position
    last = _below(source, position.path)
    if position.block is None and os.path.isdir(last) and not os.path.islink(last):
        return False  # no position is behind a directory, so it was something else
    silence = silence_of(resumption.checkpoints[-1])
    if silence is not None:
        try:
            found = os.stat(_below(source, silence.path))
        except OSError:
            return False
        if (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns) != silence.identity:
            return False
    return _is_kept(repository, resumption)


def _below(source: bytes, path: bytes) -> bytes:
    return os.path.join(source, path) if path else source


def _is_kept(repository: Repository, resumption: Resumption) -> bool:
    """Whether the signatures and the list of changed files up to there are in the archive directory."""
    mark, signatures = resumption.mark, resumption.earlier_signatures(repository)
    if mark is None or signatures is None or not is_kept(repository.archive_dir, resumption.set_id, mark.changes):
        return False
    try:
        for _ in signatures.pieces():
            pass
    except (OSError, CorruptStream):
        return False
    return True

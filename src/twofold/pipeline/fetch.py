"""Fetches and opens the volumes of a set ahead of their reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from twofold.collection.sets import BackupSet, FoundFile
from twofold.concurrency import Crew, Pool
from twofold.envelope.protocol import Opened
from twofold.errors import BadVolume, CorruptStream, Forbidden, NotFound, TwofoldError
from twofold.format.manifest import Manifest, VolumeRecord
from twofold.model.backup import SetId
from twofold.model.relpath import order_key
from twofold.monitor import Monitor, Note, VolumeRead
from twofold.pipeline.entrances import Stretch
from twofold.pipeline.replay import LostVolume, OpenVolume
from twofold.pipeline.unwrap import Unwrapped, Unwrapper
from twofold.repository.manifests import load_remote_manifest
from twofold.repository.repository import Repository

_AT_ONCE: Final = 2
_LOSSES: Final = (BadVolume, NotFound, Forbidden, CorruptStream)


class NeededVolume(NamedTuple):
    """A volume that is wanted, with the stored files that may be it, and what of it will do."""

    record: VolumeRecord
    candidates: tuple[FoundFile, ...]
    stretch: Stretch | None = None


class LostOfSet(NamedTuple):
    """A volume that could not be read, and why."""

    set_id: SetId
    record: VolumeRecord
    error: TwofoldError


def needed_volumes(backup_set: BackupSet, manifest: Manifest, *, within: bytes) -> list[NeededVolume]:
    """The volumes that can hold `within` or something below it, all for the root, in the manifest's order."""
    needed = []
    key = order_key(within)
    previous: bytes | None = None
    for record in manifest.volumes:
        begin, last = range_of(record, previous)
        if not within or (last >= key and (begin <= key or begin.startswith(key + b"\0"))):
            needed.append(NeededVolume(record, backup_set.volumes.get(record.number, ())))
        previous = last
    return needed


def range_of(record: VolumeRecord, previous: bytes | None) -> tuple[bytes, bytes]:
    """The order keys between which a volume's paths lie, both included.

    A resumed volume may begin before its StartingPath, so it is taken to begin where the one before it ended, at the
    order key `previous` (docs/format.md section 10.4).
    """
    first = order_key(record.first.path)
    return first if previous is None else min(first, previous), order_key(record.last.path)


class VolumeFetcher:
    """Opens volumes in threads, a bounded number at once over all sets. All its volumes are read by one thread."""

    def __init__(self, repository: Repository, crew: Crew, *, total: int, monitor: Monitor) -> None:
        self._repository = repository
        self._crew = crew
        self._tokens: Pool[int] = crew.pool(range(_AT_ONCE))
        self._unwrapper = Unwrapper(crew)
        self._total = total
        self._done = 0
        self._monitor = monitor
        self.lost: list[LostOfSet] = []

    @property
    def failures(self) -> list[TwofoldError]:
        """Why volumes could not be read, so far."""
        return [lost.error for lost in self.lost]

    @property
    def read_bytes(self) -> int:
        """How much has been read of the content of all volumes."""
        return self._unwrapper.read_bytes

    def feeds(
        self, sets: Sequence[tuple[BackupSet, Sequence[NeededVolume]]]
    ) -> list[Iterable[OpenVolume | LostVolume]]:
        """The volumes of each set, opened ahead of being asked for.

        The first volume of each set must be asked for in the order of the sets.
        """
        alone = [(backup_set, volumes) for backup_set, volumes in sets if len(volumes) == 1]
        together = self._opened_together(alone) if len(alone) > 1 else None
        feeds: list[Iterable[OpenVolume | LostVolume]] = []
        for backup_set, volumes in sets:
            opened = self._open_all(backup_set, volumes)
            if len(volumes) > 1:
                feeds.append(self._crew.ahead(opened, depth=1, name="fetch"))
            else:
                feeds.append(opened if together is None else _next_of(together))
        return feeds

    def _opened_together(
        self, sets: Sequence[tuple[BackupSet, Sequence[NeededVolume]]]
    ) -> Iterator[OpenVolume | LostVolume]:
        """The only volumes of sets; of a long chain it is gpg's key derivations that take the time."""

        def open_one(each: tuple[BackupSet, Sequence[NeededVolume]]) -> OpenVolume | LostVolume:
            return next(self._open_all(*each))

        return self._crew.ordered_map(open_one, sets, workers=_AT_ONCE, name="fetch")

    def _open_all(self, backup_set: BackupSet, volumes: Sequence[NeededVolume]) -> Iterator[OpenVolume | LostVolume]:
        second_opinion = _SecondOpinion(self._repository, backup_set)
        for volume in volumes:
            token = self._tokens.take()
            try:
                opened = self._open(backup_set, volume, second_opinion)
            finally:
                self._tokens.give(token)
            yield opened

    def _open(
        self, backup_set: BackupSet, volume: NeededVolume, second_opinion: _SecondOpinion
    ) -> OpenVolume | LostVolume:
        try:
            opened = self._open_checked(volume, second_opinion)
        except _LOSSES as error:
            # Any other EnvelopeError concerns keys and passphrases, since the hash was right: it ends the work.
            self.lost.append(LostOfSet(backup_set.id, volume.record, error))
            return LostVolume(volume.record, error)
        self._done += 1
        self._monitor.report(VolumeRead(self._done, self._total, volume.candidates[0].name))
        content = Unwrapped(opened, self._unwrapper)
        return OpenVolume(volume.record, content, content.close)

    def _open_checked(self, volume: NeededVolume, second_opinion: _SecondOpinion) -> Opened:
        try:
            inside = volume.stretch.inside() if volume.stretch is not None else None
            return self._repository.open_volume(volume.candidates, volume.record, inside)
        except BadVolume:
            other = second_opinion.on(volume.record)
            if other is None:
                raise
            opened = self._repository.open_volume(volume.candidates, other)
        text = f"The cached manifest is damaged: volume {other.number} is what the manifest at the target says"
        self._monitor.report(Note(text, warning=True))
        return opened


def _next_of(opened: Iterator[OpenVolume | LostVolume]) -> Iterator[OpenVolume | LostVolume]:
    yield next(opened)


class _SecondOpinion:
    """What the manifest at the target says of volumes that do not match the cached one."""

    def __init__(self, repository: Repository, backup_set: BackupSet) -> None:
        self._repository = repository
        self._set = backup_set
        self._volumes: dict[int, VolumeRecord] | None = None

    def on(self, record: VolumeRecord) -> VolumeRecord | None:
        """The volume as it is recorded there, None if that is no different or cannot be known."""
        if not self._set.local_manifests or not self._set.manifests:
            return None
        if self._volumes is None:
            self._volumes = {}
            try:
                manifest = load_remote_manifest(self._repository, self._set)
            except TwofoldError:
                return None  # the mismatch itself is what will be told
            self._volumes.update((volume.number, volume) for volume in manifest.volumes)
        other = self._volumes.get(record.number)
        return other if other is not None and other.hashes != record.hashes else None

"""Fetches and opens the volumes of a set ahead of their reader."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple, Self

from twofold.collection.sets import BackupSet, FoundFile
from twofold.concurrency import Crew, Task, exclusion
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
    """Opens volumes ahead of their reader in threads, a bounded number over all sets. One thread reads all of them."""

    def __init__(self, repository: Repository, crew: Crew, *, total: int, monitor: Monitor) -> None:
        self._repository = repository
        self._crew = crew
        self._unwrapper = Unwrapper(crew)
        self._total = total
        self._done = 0
        self._monitor = monitor
        self._waiting: deque[_Opening] = deque()
        self._ahead: set[_Opening] = set()
        self._at_once = 0
        self.lost: list[LostOfSet] = []
        crew.afterwards(self._drop)

    @property
    def failures(self) -> list[TwofoldError]:
        """Why volumes could not be read, so far."""
        return [lost.error for lost in self.lost]

    @property
    def read_bytes(self) -> int:
        """How much has been read of the content of all volumes."""
        return self._unwrapper.read_bytes

    def feeds(
        self, sets: Sequence[tuple[BackupSet, Sequence[NeededVolume]]], *, merged: bool = True
    ) -> list[Iterator[OpenVolume | LostVolume]]:
        """The volumes of each set, opened ahead of being asked for; may be called once.

        Sets that are not `merged` by path are read one after the other.
        """
        openings: list[list[_Opening]] = []
        for backup_set, volumes in sets:
            opinion = _SecondOpinion(self._repository, backup_set)
            openings.append([_Opening(partial(self._open, volume, opinion)) for volume in volumes])
        order = demand_order([volumes for _, volumes in sets]) if merged else _in_turn(openings)
        self._waiting.extend(openings[which][at] for which, at in order)
        sizes = (file.size or 0 for _, volumes in sets for volume in volumes for file in volume.candidates)
        self._at_once = self._repository.downloads_at_once(max(sizes, default=0))
        self._begin()
        return [_Lasting(self._feed(each, volumes, of)) for (each, volumes), of in zip(sets, openings, strict=True)]

    def _begin(self) -> None:
        while self._waiting and len(self._ahead) < self._at_once:
            opening = self._waiting.popleft()
            if not opening.taken:
                opening.begin(self._crew)
                self._ahead.add(opening)

    def _drop(self) -> None:
        """Closes what nobody has asked for, when all threads have ended."""
        for opening in self._ahead:
            opening.drop()

    def _feed(
        self, backup_set: BackupSet, volumes: Sequence[NeededVolume], openings: Sequence[_Opening]
    ) -> Iterator[OpenVolume | LostVolume]:
        for volume, opening in zip(volumes, openings, strict=True):
            try:
                found = opening.result()
            except _LOSSES as error:
                # Any other EnvelopeError concerns keys and passphrases, since the hash was right: it ends the work.
                self.lost.append(LostOfSet(backup_set.id, volume.record, error))
                yield LostVolume(volume.record, error)
                continue
            finally:
                self._ahead.discard(opening)
                self._begin()
            self._done += 1
            self._monitor.report(VolumeRead(self._done, self._total, volume.candidates[0].name))
            content = Unwrapped(found, self._unwrapper)
            yield OpenVolume(volume.record, content, content.close)

    def _open(self, volume: NeededVolume, second_opinion: _SecondOpinion) -> Opened:
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


def demand_order(sets: Sequence[Sequence[NeededVolume]]) -> list[tuple[int, int]]:
    """When volumes of sets that are merged by path are wanted, each as the number of its set and its place there.

    The first ones at the beginning, any other when the end of the one before it has been reached.
    """
    wanted = [
        (at > 0, order_key(volumes[at - 1].record.last.path) if at else b"", which, at)
        for which, volumes in enumerate(sets)
        for at in range(len(volumes))
    ]
    return [(which, at) for _, _, which, at in sorted(wanted)]


def _in_turn(sets: Sequence[Sequence[object]]) -> list[tuple[int, int]]:
    return [(which, at) for which, volumes in enumerate(sets) for at in range(len(volumes))]


class _Lasting:
    """The volumes of a feed; an error that has ended it comes again however often it is asked."""

    def __init__(self, feed: Iterator[OpenVolume | LostVolume]) -> None:
        self._feed = feed
        self._error: BaseException | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> OpenVolume | LostVolume:
        if self._error is not None:
            raise self._error
        try:
            return next(self._feed)
        except StopIteration:
            raise
        except BaseException as error:
            self._error = error
            raise


class _Opening:
    """A volume on its way to its reader. All but the opening itself happens in the reader's thread."""

    def __init__(self, opens: Callable[[], Opened]) -> None:
        self._opens = opens
        self._task: Task[None] | None = None
        self._opened: list[Opened] = []
        self.taken = False

    def begin(self, crew: Crew) -> None:
        self._task = crew.background(self._run, name="fetch")

    def result(self) -> Opened:
        """The opened volume, to be taken once; not begun yet, it is opened now, so that nobody waits in vain."""
        self.taken = True
        if self._task is None:
            return self._opens()
        self._task.join()
        return self._opened.pop()

    def drop(self) -> None:
        for opened in self._opened:
            opened.close()

    def _run(self) -> None:
        # NB: not the task's result, which would be held on to as long as the crew.
        self._opened.append(self._opens())


class _SecondOpinion:
    """What the manifest at the target says of volumes that do not match the cached one."""

    def __init__(self, repository: Repository, backup_set: BackupSet) -> None:
        self._repository = repository
        self._set = backup_set
        self._volumes: dict[int, VolumeRecord] | None = None
        self._alone = exclusion()

    def on(self, record: VolumeRecord) -> VolumeRecord | None:
        """The volume as it is recorded there, None if that is no different or cannot be known."""
        if not self._set.local_manifests or not self._set.manifests:
            return None
        with self._alone:
            if self._volumes is None:
                self._volumes = self._load()
        other = self._volumes.get(record.number)
        return other if other is not None and other.hashes != record.hashes else None

    def _load(self) -> dict[int, VolumeRecord]:
        try:
            manifest = load_remote_manifest(self._repository, self._set)
        except TwofoldError:
            return {}  # the mismatch itself is what will be told
        return {volume.number: volume for volume in manifest.volumes}

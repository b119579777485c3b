"""Reads backups as a restore does and writes nothing: every state of every file that a chain can give is made once.

What was stored whole, and what each difference makes of it, is compared with its content record where there is one;
what the volumes hold is compared with what the signature files and manifests tell (check_agreement.py), and every
content with its block signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from twofold.collection.sets import BackupSet
from twofold.concurrency import Crew
from twofold.errors import CorruptStream, FormatError
from twofold.format.difftar import Action
from twofold.model.backup import SetId
from twofold.monitor import Advance, Monitor, Problem, Underway, VolumeRead
from twofold.operations.check_agreement import (
    Agreement,
    GivingUp,
    Word,
    compared,
    manifest_damages,
    overseen,
    signed_members,
    wrongly_signed,
)
from twofold.operations.check_metadata import Metadata
from twofold.operations.check_plan import CheckedVolume, Damage, set_text
from twofold.pipeline.chain_reading import ChainReader, ReadingPlan
from twofold.pipeline.differences import BLOCK
from twofold.pipeline.fetch import LostOfSet, NeededVolume, VolumeFetcher
from twofold.pipeline.merge import CheckedRun, FileHistory, Stretch, history_of, merge_sets
from twofold.pipeline.rebuild import rebuild
from twofold.pipeline.replay import OpenVolume, SetReader
from twofold.pipeline.versions import DataLost, Doubt, Lost, Version
from twofold.repository.repository import Repository

_UNSOUND: Final = (FormatError, CorruptStream, DataLost)


class DataCheck:
    """Reads chains, or single volumes, one after another. Problems go to the monitor."""

    def __init__(self, repository: Repository, *, temp_dir: str, total: int, monitor: Monitor) -> None:
        """`total` is the number of volumes of all that will be read."""
        self._repository = repository
        self._temp_dir = temp_dir
        self._monitor = _Overall(monitor, total)
        self.entries = 0
        self.lost: list[LostOfSet] = []
        self.damages: list[Damage] = []
        self._words: dict[bytes, list[Word]] = {}

    def read_chain(self, sets: Sequence[tuple[Metadata, Sequence[NeededVolume]]]) -> None:
        """All of a chain. What is not sound is reported."""
        plan = ReadingPlan(tuple((metadata.backup_set, tuple(needed)) for metadata, needed in sets), b"")
        agreements = {metadata.backup_set.id: self._agreement(metadata) for metadata, _ in sets}

        def reader_of(backup_set: BackupSet) -> Callable[..., SetReader]:
            return overseen(agreements[backup_set.id], self._words)

        with Crew(monitor=self._monitor) as crew:
            reader = ChainReader(plan, self._repository, crew, monitor=self._monitor, reader_of=reader_of)
            try:
                for stretch in reader.stretches():
                    self._take(stretch)
                reader.close()
                for agreement in agreements.values():
                    agreement.finish()
            finally:
                reader.close()
                for agreement in agreements.values():
                    agreement.close()
        self.lost += reader.lost
        self.damages += manifest_damages((metadata, agreements[metadata.backup_set.id]) for metadata, _ in sets)
        self._monitor.next_part(reader_total=plan.total)

    def _agreement(self, metadata: Metadata) -> Agreement:
        members = signed_members(self._repository, metadata) if metadata.signatures_sound else None
        ours = metadata.manifest is not None and metadata.manifest.format_version is not None
        return Agreement(members, self._monitor, set_id=metadata.backup_set.id, ours=ours)

    def read_volumes(self, volumes: Iterable[CheckedVolume]) -> None:
        """Each volume for itself: what begins or ends in another one is read, but not compared."""
        by_set: dict[int, tuple[BackupSet, list[NeededVolume]]] = {}
        for volume in volumes:
            by_set.setdefault(id(volume.backup_set), (volume.backup_set, []))[1].append(volume.needed)
        sets = list(by_set.values())
        total = sum(len(needed) for _, needed in sets)
        with Crew(monitor=self._monitor) as crew:
            fetcher = VolumeFetcher(self._repository, crew, total=total, monitor=self._monitor)
            self._monitor.report(Underway(lambda: Advance(fetcher.read_bytes)))
            for (backup_set, _), feed in zip(sets, fetcher.feeds(sets, merged=False), strict=True):
                for opened in feed:
                    if isinstance(opened, OpenVolume):
                        self._read_alone(opened, backup_set.id)
        self.lost += fetcher.lost

    def _read_alone(self, volume: OpenVolume, set_id: SetId) -> None:
        alone = GivingUp(self._monitor, Agreement(None, self._monitor, set_id=set_id, ours=False))
        reader = SetReader([volume], within=b"", members_between=lambda low, high: None, monitor=alone)
        try:
            for stretch in merge_sets([reader]):
                if isinstance(stretch, CheckedRun):
                    self._words[stretch.run.path(0)] = [Word(set_id, None)] * len(stretch.run)
                    self._take(stretch)
                elif _stands_alone(stretch):
                    self._words[stretch.path] = [Word(set_id, None)]
                    self._take(stretch)
                else:
                    self.entries += 1
                    self._drain(stretch, set_id)
        finally:
            reader.close()

    def _drain(self, history: FileHistory, set_id: SetId) -> None:
        try:
            for version in history.versions:
                while isinstance(version, Version) and version.read(BLOCK):
                    pass
        except DataLost:
            pass  # the rest stands in a volume that was not chosen; a damaged tar has been reported
        except _UNSOUND as error:
            self._report(history.path, str(error), set_id)

    def _take(self, stretch: Stretch) -> None:
        if isinstance(stretch, CheckedRun):
            self._take_run(stretch)
            return
        self.entries += 1
        words = self._words.pop(stretch.path)
        told = [version for version in stretch.versions if not isinstance(version, Doubt)]
        said = {id(version): word for version, word in zip(told, words, strict=True)}
        for history in states(stretch):
            self._rebuild(history, said)

    def _take_run(self, checked: CheckedRun) -> None:
        run = checked.run
        self.entries += len(run)
        words = self._words.pop(run.path(0))
        for at in sorted(checked.damaged):
            history = history_of(run, at)
            self._rebuild(history, {id(history.versions[0]): words[at]})
        for at, reason in wrongly_signed(run, words).items():
            if at not in checked.damaged:
                self._report(run.path(at), reason, words[at].set_id)

    def _rebuild(self, history: FileHistory, said: Mapping[int, Word]) -> None:
        right = set()

        def witness(version: Version, blocks: Iterable[bytes]) -> Iterator[bytes]:
            signed = said[id(version)].signed
            yield from blocks if signed is None else compared(signed, blocks)
            right.add(id(version))

        try:
            rebuilt = rebuild(history, temp_dir=self._temp_dir, witness=witness)
            if rebuilt is None or rebuilt.content is None:
                return
            try:
                for _ in rebuilt.content.blocks():
                    pass
            finally:
                rebuilt.content.close()
        except _UNSOUND as error:
            told = [id(version) for version in history.versions if id(version) in said]
            at_fault = next((each for each in told if each not in right), told[-1])
            self._report(history.path, str(error), said[at_fault].set_id)

    def _report(self, path: bytes, reason: str, set_id: SetId) -> None:
        self._monitor.report(Problem(path, f"{reason} ({set_text(set_id)})", "restore"))


def states(history: FileHistory) -> Iterator[FileHistory]:
    """A history taken apart: each part begins with something whole, or deleted, and goes on with differences to it."""
    begun: list[Version | Lost | Doubt] = []
    for version in history.versions:
        begins = isinstance(version, Lost) or (isinstance(version, Version) and version.action is not Action.DIFF)
        if begins and begun:
            yield FileHistory(history.path, begun)
            begun = []
        begun.append(version)
    if begun:
        yield FileHistory(history.path, begun)


def _stands_alone(history: FileHistory) -> bool:
    (version,) = history.versions
    return isinstance(version, Version) and version.action is not Action.DIFF and version.first_part is None


class _Overall:
    """Counts the volumes of several readings in one row, and their bytes in one sum."""

    def __init__(self, monitor: Monitor, total: int) -> None:
        self._monitor = monitor
        self._total = total
        self._before = 0
        self._bytes_before = 0
        self._ask: Callable[[], Advance] | None = None

    def next_part(self, *, reader_total: int) -> None:
        """A reading of so many volumes has ended."""
        self._before += reader_total
        ask, self._ask = self._ask, None
        self._bytes_before += ask().done_bytes if ask is not None else 0

    def report(self, event: object) -> None:
        match event:
            case VolumeRead():
                event = VolumeRead(event.number + self._before, self._total, event.name)
            case Underway():
                begun, self._ask = self._ask is not None or self._before > 0, event.ask
                if begun:
                    return
                event = Underway(self._advance)
        self._monitor.report(event)

    def _advance(self) -> Advance:
        ask = self._ask
        return Advance(self._bytes_before + (ask().done_bytes if ask is not None else 0))

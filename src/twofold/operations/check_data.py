"""Reads backups as a restore does and writes nothing: every state of every file that a chain can give is made once.

What was stored whole, and what each difference makes of it, is compared with its content record where there is one;
what the volumes hold is compared with what the signature files tell.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Final

from twofold.collection.sets import BackupSet
from twofold.concurrency import Crew
from twofold.errors import CorruptStream, FormatError
from twofold.format import sigtar
from twofold.format.difftar import Action
from twofold.format.sigtar import SigMember, read_members
from twofold.format.tar_reader import TarReader
from twofold.format.volume_reader import Run
from twofold.model.entry import Entry
from twofold.model.relpath import order_key
from twofold.monitor import Advance, Monitor, Problem, Underway, VolumeRead
from twofold.operations.check_metadata import Metadata
from twofold.operations.check_plan import CheckedVolume
from twofold.pipeline.chain_reading import ChainReader, ReadingPlan
from twofold.pipeline.differences import BLOCK
from twofold.pipeline.fetch import LostOfSet, NeededVolume, VolumeFetcher
from twofold.pipeline.merge import CheckedRun, FileHistory, Stretch, history_of, merge_sets
from twofold.pipeline.rebuild import rebuild
from twofold.pipeline.replay import Feed, LostVolume, OpenVolume, SetReader
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

    def read_chain(self, sets: Sequence[tuple[Metadata, Sequence[NeededVolume]]]) -> None:
        """All of a chain. What is not sound is reported."""
        plan = ReadingPlan(tuple((metadata.backup_set, tuple(needed)) for metadata, needed in sets), b"")
        agreements = {
            metadata.backup_set.id: Agreement(
                _members(self._repository, metadata),
                self._monitor,
                ours=metadata.manifest is not None and metadata.manifest.format_version is not None,
            )
            for metadata, _ in sets
            if metadata.signatures_sound
        }

        def reader_of(backup_set: BackupSet) -> Callable[..., SetReader]:
            agreement = agreements.get(backup_set.id)
            return SetReader if agreement is None else _overseen(agreement)

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
        self._monitor.next_part(reader_total=plan.total)

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
            for feed in fetcher.feeds(sets):
                for opened in feed:
                    if isinstance(opened, OpenVolume):
                        self._read_alone(opened)
        self.lost += fetcher.lost

    def _read_alone(self, volume: OpenVolume) -> None:
        reader = SetReader([volume], within=b"", members_between=lambda low, high: None, monitor=self._monitor)
        try:
            for stretch in merge_sets([reader]):
                if isinstance(stretch, CheckedRun) or _stands_alone(stretch):
                    self._take(stretch)
                else:
                    self.entries += 1
                    self._drain(stretch)
        finally:
            reader.close()

    def _drain(self, history: FileHistory) -> None:
        try:
            for version in history.versions:
                while isinstance(version, Version) and version.read(BLOCK):
                    pass
        except DataLost:
            pass  # the rest stands in a volume that was not chosen; a damaged tar has been reported
        except _UNSOUND as error:
            self._report(history.path, str(error))

    def _take(self, stretch: Stretch) -> None:
        if isinstance(stretch, CheckedRun):
            self.entries += len(stretch.run)
            for at in sorted(stretch.damaged):
                self._rebuild(history_of(stretch.run, at))
            return
        self.entries += 1
        for history in states(stretch):
            self._rebuild(history)

    def _rebuild(self, history: FileHistory) -> None:
        try:
            rebuilt = rebuild(history, temp_dir=self._temp_dir, every_step=True)
            if rebuilt is None or rebuilt.content is None:
                return
            try:
                for _ in rebuilt.content.blocks():
                    pass
            finally:
                rebuilt.content.close()
        except _UNSOUND as error:
            self._report(history.path, str(error))

    def _report(self, path: bytes, reason: str) -> None:
        self._monitor.report(Problem(path, reason, "restore"))


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


# ---- volumes and signatures ------------------------------------------------------------------------------------------


class Agreement:
    """Compares what the volumes of one set say, path by path, with its signature file; both are read once, in order.

    Of sets by duplicity only names and kinds are compared, and its volumes may hold more: after it resumed a set, they
    do (docs/format.md section 10.4). When something of the set could not be read, nothing more is compared.
    """

    def __init__(self, members: Generator[SigMember, None, None], monitor: Monitor, *, ours: bool) -> None:
        self._members = members
        self._monitor = monitor
        self._ours = ours
        self._begun = False
        self._next: SigMember | None = None
        self._broken = False

    def give_up(self) -> None:
        """Something of the set is lost, which has been told."""
        self._broken = True

    def see(self, path: bytes, entry: Entry, *, deleted: bool) -> None:
        """What a volume holds next, all of it having been read."""
        key = order_key(path)
        self._pass_over(key)
        member = self._next
        if self._broken:
            return
        if member is None or order_key(member.path) > key:
            if self._ours:
                self._report(path, "it is in a volume, but not in the signatures of its backup")
            return
        self._advance()
        if (member.action is sigtar.Action.DELETED) != deleted or not self._same(member.entry, entry, deleted):
            self._report(path, "the signatures of its backup tell something else of it than the volume")

    def see_run(self, run: Run) -> None:
        for at, path in enumerate(run.paths):
            self.see(path, run.entry(at), deleted=False)

    def finish(self) -> None:
        """The volumes have no more."""
        self._pass_over(None)

    def close(self) -> None:
        """Gives the signature file back."""
        self._members.close()

    def _same(self, known: Entry, entry: Entry, deleted: bool) -> bool:
        if deleted:
            return True
        if not self._ours:
            return known.kind is entry.kind
        first, second = known.content, entry.content
        if first is not None and second is not None and any(second.digest) and first != second:
            return False
        return known[:7] == entry[:7] and known.target == entry.target and known.device == entry.device

    def _pass_over(self, key: bytes | None) -> None:
        """Reports what the signatures have before `key`."""
        if not self._begun:
            self._begun = True
            self._advance()
        while not self._broken and self._next is not None and (key is None or order_key(self._next.path) < key):
            self._report(self._next.path, "the signatures of its backup tell of it, but no volume holds it")
            self._advance()

    def _advance(self) -> None:
        self._next = next(self._members, None)

    def _report(self, path: bytes, reason: str) -> None:
        self._monitor.report(Problem(path, reason, "restore"))


def _members(repository: Repository, metadata: Metadata) -> Generator[SigMember, None, None]:
    """What the signature file of a set tells, from the copy here if that has been found equal.

    A path that stands there twice comes once (COMPAT: duplicity <= 0.6: the root).
    """
    copy = metadata.copy
    if copy is None:
        opened = repository.open_file(metadata.backup_set.signatures[0])
    else:
        opened = repository.envelope_for(copy.meaning.wrapping).open(repository.archive_dir.path_of(copy.name))
    try:
        last: bytes | None = None
        for member in read_members(TarReader(opened)):
            if member.path != last:
                yield member
            last = member.path
    finally:
        opened.close()


def _overseen(agreement: Agreement) -> Callable[..., SetReader]:
    """Makes a reader that tells an agreement what it reads."""

    class Overseen(SetReader):
        """Has read all of a path when it is done with it: only then is the content record of a large file known."""

        _taken: Version | None = None

        def __init__(
            self,
            feed: Feed,
            *,
            within: bytes,
            members_between: Callable[[bytes, bytes], Iterable[SigMember] | None],
            monitor: Monitor,
        ) -> None:
            watching = _GivingUp(monitor, agreement)
            super().__init__(
                _watched(feed, agreement), within=within, members_between=members_between, monitor=watching
            )

        def take(self) -> Version | Lost:
            taken = super().take()
            self._taken = taken if isinstance(taken, Version) else None
            return taken

        def take_run(self, until: bytes | None) -> Run | None:
            run = super().take_run(until)
            if run is not None:
                agreement.see_run(run)
            return run

        def finish(self) -> None:
            super().finish()
            taken, self._taken = self._taken, None
            if taken is not None:
                agreement.see(taken.path, taken.entry, deleted=taken.action is Action.DELETED)

    return Overseen


def _watched(feed: Feed, agreement: Agreement) -> Iterator[OpenVolume | LostVolume]:
    for volume in feed:
        if isinstance(volume, LostVolume):
            agreement.give_up()
        yield volume


class _GivingUp:
    """Takes note when a reader has told of something that it could not read."""

    def __init__(self, monitor: Monitor, agreement: Agreement) -> None:
        self._monitor = monitor
        self._agreement = agreement

    def report(self, event: object) -> None:
        if isinstance(event, Problem):
            self._agreement.give_up()
        self._monitor.report(event)

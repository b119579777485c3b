"""Opens a chain up to a moment for restoring or verifying: which volumes are needed, and all paths of their sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from twofold.collection.sets import BackupSet, FoundFile
from twofold.concurrency import Crew
from twofold.errors import MissingVolume, TwofoldError
from twofold.format.sigtar import SigMember
from twofold.model.backup import Wrapping
from twofold.model.relpath import order_key
from twofold.model.value import value
from twofold.monitor import Advance, Monitor, Note, Underway
from twofold.pipeline.fetch import LostOfSet, NeededVolume, VolumeFetcher, needed_volumes
from twofold.pipeline.merge import Stretch, merge_sets
from twofold.pipeline.read_ahead import ReadAhead
from twofold.pipeline.replay import SetReader
from twofold.repository.manifests import load_manifest, load_remote_manifest
from twofold.repository.repository import Repository
from twofold.system import keep_freed_memory


@value
class ReadingPlan:
    """The sets to read, oldest first, each with the volumes that are needed of it."""

    sets: tuple[tuple[BackupSet, tuple[NeededVolume, ...]], ...]
    within: bytes

    @property
    def volume_names(self) -> tuple[str, ...]:
        """The names of all needed volumes that are at the target, oldest set first."""
        return tuple(volume.candidates[0].name for _, volumes in self.sets for volume in volumes if volume.candidates)

    @property
    def files(self) -> Iterator[FoundFile]:
        """All stored files that may be one of the volumes."""
        return (file for _, volumes in self.sets for volume in volumes for file in volume.candidates)

    @property
    def total(self) -> int:
        return sum(len(volumes) for _, volumes in self.sets)

    def missing(self) -> list[tuple[BackupSet, int]]:
        """Needed volumes that are not at the target."""
        return [
            (backup_set, volume.record.number)
            for backup_set, volumes in self.sets
            for volume in volumes
            if not volume.candidates
        ]


def plan_reading(repository: Repository, sets: Iterable[BackupSet], *, within: bytes) -> ReadingPlan:
    """Which volumes hold `within`, all for the root. Raises what loading a manifest raises."""
    planned = []
    for backup_set in sets:
        needed = needed_volumes(backup_set, load_manifest(repository, backup_set), within=within)
        if not all(volume.candidates for volume in needed):
            needed = _by_the_target(repository, backup_set, within) or needed
        planned.append((backup_set, tuple(needed)))
    return ReadingPlan(tuple(planned), within)


def _by_the_target(repository: Repository, backup_set: BackupSet, within: bytes) -> list[NeededVolume] | None:
    """Where volumes are missing by the cached manifest: those of the one at the target, if all of them are there."""
    if not backup_set.local_manifests:
        return None
    try:
        needed = needed_volumes(backup_set, load_remote_manifest(repository, backup_set), within=within)
    except TwofoldError:
        return None  # the missing volumes are what will be told
    if not all(volume.candidates for volume in needed):
        return None
    name = backup_set.local_manifests[0].name
    text = f"The cached manifest {name} lists volumes that do not exist; the one at the target is used instead"
    repository.monitor.report(Note(text, warning=True))
    return needed


def require_volumes(plan: ReadingPlan, repository: Repository) -> None:
    """Raises MissingVolume when a needed volume is not at the target."""
    missing = plan.missing()
    if missing:
        backup_set, number = missing[0]
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        manifest = backup_set.manifests[0].name if backup_set.manifests else "its manifest"
        raise MissingVolume(
            f"difftar volume {number} not found in backup{more}: {manifest} lists it, but it is not at the target. "
            "Nothing was done; with --ignore-errors the files that are not in it are restored"
        )


class ChainReader:
    """All paths of a plan's sets in archive order. Use it within the crew's block."""

    def __init__(
        self,
        plan: ReadingPlan,
        repository: Repository,
        crew: Crew,
        *,
        monitor: Monitor,
        reader_of: Callable[[BackupSet], Callable[..., SetReader]] = lambda _: SetReader,
    ) -> None:
        """`reader_of` gives what makes the reader of a set, with the arguments of `SetReader`."""
        keep_freed_memory()
        self._fetcher = VolumeFetcher(repository, crew, total=plan.total, monitor=monitor)
        sets = [(backup_set, volumes) for backup_set, volumes in plan.sets if volumes]
        feeds = self._fetcher.feeds(sets)
        self._readers = [
            reader_of(backup_set)(
                feed,
                within=plan.within,
                members_between=_members_between(repository, backup_set),
                monitor=monitor,
            )
            for (backup_set, _), feed in zip(sets, feeds, strict=True)
        ]
        self._ahead = ReadAhead(merge_sets(self._readers), crew)
        monitor.report(Underway(lambda: Advance(self._fetcher.read_bytes)))

    @property
    def failures(self) -> list[TwofoldError]:
        """Why volumes could not be read, so far."""
        return self._fetcher.failures

    @property
    def lost(self) -> list[LostOfSet]:
        """The same with where they belong."""
        return self._fetcher.lost

    def stretches(self) -> Iterator[Stretch]:
        """See `merge_sets` and `ReadAhead`."""
        return iter(self._ahead)

    def close(self) -> None:
        self._ahead.close()
        for reader in self._readers:
            reader.close()


def _members_between(
    repository: Repository, backup_set: BackupSet
) -> Callable[[bytes, bytes], Iterable[SigMember] | None]:
    """Looks entries of a set up in the cached copy of its signatures."""

    def between(low: bytes, high: bytes) -> list[SigMember] | None:
        from twofold.pipeline.basis import read_entries  # rarely needed: every restore would pay for it

        path = repository.archive_dir.signature_path(backup_set.id)
        try:
            opened = repository.envelope_for(Wrapping.GZIP).open(path)
        except OSError:
            return None
        try:
            entries = read_entries(opened, 0, monitor=_Silent())
            return [each.member for each in entries if low <= order_key(each.member.path) <= high]
        except (TwofoldError, OSError):
            return None  # damaged as well: the whole range is in doubt
        finally:
            opened.close()

    return between


class _Silent:
    def report(self, event: object) -> None:
        """The signatures' own faults have been reported when they were compared."""

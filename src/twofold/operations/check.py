"""Proves that the backups at a target are whole, without their sources. Nothing is changed, neither there nor here.

Everything is looked at, whatever has been found before: each damaged file is reported once, with what it means.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from twofold.collection.collection import Collection, build_collection
from twofold.collection.sets import FoundFile, find_files
from twofold.concurrency import Crew
from twofold.errors import BadVolume, CorruptStream, Forbidden, NotFound
from twofold.model.backup import FileRole, SetId
from twofold.model.value import value
from twofold.monitor import Advance, Expecting, Monitor, Underway, VolumeRead
from twofold.operations.check_data import DataCheck
from twofold.operations.check_keeping import keeping, needed_twice
from twofold.operations.check_metadata import Findings, check_metadata
from twofold.operations.check_plan import (
    WHOLE_PPM,
    ChainVerdict,
    Chance,
    CheckedVolume,
    CheckPlan,
    Damage,
    VolumePlan,
    damaged_volume,
    plan_volumes,
    sampled,
    verdicts,
)
from twofold.operations.counting import CountingMonitor
from twofold.pipeline.fetch import needed_volumes
from twofold.repository.repository import Repository

_LOSSES: Final = (BadVolume, NotFound, Forbidden, CorruptStream)


@value
class CheckOptions:
    """`sample_ppm` is the share of the volumes to look into, in millionths, None for all of them."""

    temp_dir: str
    read_data: bool = False
    sample_ppm: int | None = None

    @property
    def reads_chains(self) -> bool:
        """Whether all states of all files are made, for which volumes and signatures are read side by side."""
        return self.read_data and self.sample_ppm in (None, WHOLE_PPM)


class Found(NamedTuple):
    """What lies at a target: the backups, and the names of files that belong to none."""

    collection: Collection
    foreign: tuple[str, ...]


class CheckSummary(NamedTuple):
    """Stored files that were found right and their bytes; `entries` were read out of them, None if that was not asked.

    `problems` counts entries that cannot be had as they were backed up. `unlisted` are volumes that no manifest knows,
    `unopened` files for which there was no key.
    """

    sets: int
    files: int
    stored_bytes: int
    entries: int | None
    problems: int
    damages: tuple[Damage, ...]
    verdicts: tuple[ChainVerdict, ...]
    unlisted: tuple[str, ...]
    unopened: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """That of a restore: 21 where bytes are not those on record, 1 for other damage."""
        if any(damage.mismatch for damage in self.damages):
            return BadVolume.exit_code
        return int(bool(self.damages or self.problems))


def look(repository: Repository) -> Found:
    """Lists the target once; what no name of ours is belongs to none of its backups."""
    listed = [(file.name, file.size) for file in repository.store.list()]
    remote = find_files(listed, repository.codec.parse)
    local = find_files(repository.archive_dir.list(), repository.codec.parse)
    known = {file.name for file in remote}
    return Found(
        build_collection(remote=remote, local=local), tuple(sorted(name for name, _ in listed if name not in known))
    )


def check(
    repository: Repository, plan: CheckPlan, *, options: CheckOptions, chance: Chance, monitor: Monitor
) -> CheckSummary:
    """Carries the plan out. Raises EnvelopeError for keys missing or wrong, StorageError where the target fails."""
    checker = _Checker(repository, plan, options, monitor)
    if not options.reads_chains:
        return checker.check(chance)
    names = needed_twice(each for chain in plan.chains for each in chain.usable)
    with keeping(repository, names, temp_dir=options.temp_dir):
        return checker.check(chance)


class _Checker:
    def __init__(self, repository: Repository, plan: CheckPlan, options: CheckOptions, monitor: Monitor) -> None:
        self._repository = repository
        self._plan = plan
        self._options = options
        self._monitor = CountingMonitor(monitor)
        self._damages: dict[tuple[SetId, FileRole, int | None], Damage] = {}
        self._files = self._stored_bytes = 0
        self._entries: int | None = None

    def check(self, chance: Chance) -> CheckSummary:
        self._take(self._plan.damages)
        findings = check_metadata(
            self._repository, self._plan.sets, demands_keys=self._options.read_data, monitor=self._monitor
        )
        self._take(findings.damages)
        self._count(file for metadata in findings.sets for file in metadata.opened)
        plans = self._plan_volumes(findings)
        volumes = tuple(volume for each in plans.values() for volume in each.volumes)
        chosen = sampled(volumes, self._options.sample_ppm, chance)
        self._look_into(findings, chosen)
        return CheckSummary(
            len(self._plan.sets),
            self._files,
            self._stored_bytes,
            self._entries,
            self._monitor.problems,
            tuple(self._damages.values()),
            verdicts(self._plan.chains, self._damages.values()),
            tuple(name for each in plans.values() for name in each.unlisted),
            findings.unopened,
        )

    def _plan_volumes(self, findings: Findings) -> dict[SetId, VolumePlan]:
        plans = {}
        for metadata in findings.sets:
            if metadata.manifest is not None:
                plan = plan_volumes(metadata.backup_set, metadata.manifest, metadata.other)
                self._take(plan.damages)
                plans[metadata.backup_set.id] = plan
        return plans

    def _look_into(self, findings: Findings, chosen: Sequence[CheckedVolume]) -> None:
        if not self._options.read_data:
            self._compare(chosen)
            return
        data = DataCheck(self._repository, temp_dir=self._options.temp_dir, total=len(chosen), monitor=self._monitor)
        if not self._options.reads_chains:
            data.read_volumes(chosen)
            read = list(chosen)
        else:
            sets = self._read_chains(data, findings)
            read = [volume for volume in chosen if volume.backup_set.id in sets]
            self._compare([volume for volume in chosen if volume.backup_set.id not in sets])
        self._entries = data.entries
        self._take(data.damages)
        for lost in data.lost:
            name = lost.error.name if isinstance(lost.error, BadVolume) else ""
            mismatch = isinstance(lost.error, BadVolume)
            self._take((damaged_volume(lost.set_id, lost.record, name, str(lost.error), mismatch=mismatch),))
        self._count(
            volume.needed.candidates[0]
            for volume in read
            if (volume.backup_set.id, FileRole.VOLUME, volume.needed.record.number) not in self._damages
        )

    def _read_chains(self, data: DataCheck, findings: Findings) -> set[SetId]:
        """Gives the sets that could be read one on another."""
        known = {metadata.backup_set.id: metadata for metadata in findings.sets}
        read: set[SetId] = set()
        for chain in self._plan.chains:
            sets = []
            for backup_set in chain.usable:
                metadata = known[backup_set.id]
                if metadata.manifest is None:
                    break
                sets.append((metadata, needed_volumes(backup_set, metadata.manifest, within=b"")))
                read.add(backup_set.id)
            if sets:
                data.read_chain(sets)
        return read

    def _compare(self, volumes: Sequence[CheckedVolume]) -> None:
        """Fetches volumes and compares their hashes; nothing is decrypted."""
        done = 0
        sizes = [volume.needed.candidates[0].size or 0 for volume in volumes]
        expected = sum(sizes)
        at_once = self._repository.downloads_at_once(max(sizes, default=0))
        self._monitor.report(Expecting(lambda: expected or None))
        self._monitor.report(Underway(lambda: Advance(done)))
        with Crew(monitor=self._monitor) as crew:
            compared = crew.ordered_map(self._compare_one, volumes, workers=at_once, name="check")
            for number, (volume, found) in enumerate(zip(volumes, compared, strict=True), 1):
                if isinstance(found, Damage):
                    self._take((found,))
                else:
                    done += found
                    self._files += 1
                    self._stored_bytes += found
                name = volume.needed.candidates[0].name
                self._monitor.report(VolumeRead(number, len(volumes), name))

    def _compare_one(self, volume: CheckedVolume) -> int | Damage:
        record, candidates, _ = volume.needed
        try:
            try:
                return self._repository.check_volume(candidates, record)
            except BadVolume:
                if volume.other is None:
                    raise
                return self._repository.check_volume(candidates, volume.other)
        except _LOSSES as error:
            mismatch = isinstance(error, BadVolume)
            return damaged_volume(volume.backup_set.id, record, candidates[0].name, str(error), mismatch=mismatch)

    def _take(self, damages: Sequence[Damage]) -> None:
        """Reports each once: a volume that has another size has another hash, too."""
        for damage in damages:
            key = (damage.set_id, damage.role, damage.volume)
            if key not in self._damages:
                self._damages[key] = damage
                self._monitor.report(damage)

    def _count(self, files: Iterable[FoundFile]) -> None:
        for file in files:
            self._files += 1
            self._stored_bytes += file.size or 0

"""What a check of a target has to look at, and what the names at the target alone prove wrong. Pure.

Nothing is judged by more than one rule: a file belongs to a set that is looked at, to one that is not complete, or to
nothing. A set whose manifest is gone though it once was complete is damage; one that never was is left over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol, TypeVar

from twofold.collection.collection import Collection
from twofold.collection.restore_point import restore_point
from twofold.collection.retention import plan_cleanup
from twofold.collection.sets import BackupSet, order_in_time
from twofold.format.manifest import Manifest, VolumeRecord
from twofold.model.backup import FileRole, SetId, SetKind
from twofold.model.relpath import order_key
from twofold.model.times import format_asctime
from twofold.model.value import value
from twofold.pipeline.fetch import NeededVolume

_FOREVER = 1 << 62
_NEVER = -_FOREVER
WHOLE_PPM = 1_000_000
"""All of it."""
_KINDS = {SetKind.FULL: "full", SetKind.INCREMENTAL: "incremental"}
T = TypeVar("T")


@value
class Damage:
    """A stored file that is missing or not what was stored; `volume` is its number where it is one.

    `mismatch` tells that bytes are not those on record, `costs_files` that something cannot be restored because of it.
    """

    set_id: SetId
    role: FileRole
    name: str
    reason: str
    volume: int | None = None
    mismatch: bool = False
    costs_files: bool = True


@value
class CheckedChain:
    """Complete sets of one chain, oldest first: those that can be read one on another, and those behind a gap."""

    usable: tuple[BackupSet, ...]
    beyond: tuple[BackupSet, ...] = ()

    @property
    def sets(self) -> tuple[BackupSet, ...]:
        return self.usable + self.beyond


@value
class CheckPlan:
    """`leftovers` are names that belong to no set which counts; `unfinished` are sets whose runs did not end.

    `stray` are signature files of sets of which nothing else is left.
    """

    chains: tuple[CheckedChain, ...]
    damages: tuple[Damage, ...]
    leftovers: tuple[str, ...] = ()
    unfinished: tuple[BackupSet, ...] = ()
    stray: tuple[str, ...] = ()

    @property
    def sets(self) -> tuple[BackupSet, ...]:
        return tuple(backup_set for chain in self.chains for backup_set in chain.sets)


def plan_check(collection: Collection, *, instant: int | None) -> CheckPlan:
    """All chains, or with an `instant` what a restore of that moment needs. Raises NoBackups where there is nothing."""
    chains = []
    damages: list[Damage] = []
    unfinished = []
    for chain in collection.chains:
        usable = chain.usable
        rest = chain.sets[len(usable) :]
        chains.append(CheckedChain(usable, tuple(each for each in rest if each.is_complete)))
        lacking = [each for each in rest if not each.is_complete]
        lost = [each for each in lacking if each.has_lost_manifest or _is_built_on(each, rest)]
        damages += map(_lost_manifest, lost)
        unfinished += [each for each in lacking if each not in lost]
    damages += [_lost_full(each) for each in collection.orphaned if each.is_complete]
    damages += _gone(collection, {damage.set_id for damage in damages})
    if instant is not None:
        return _plan_of_instant(collection, instant, damages)
    told = {damage.set_id for damage in damages}
    unfinished = [each for each in unfinished if each.id not in told]
    damages += _without_signatures(backup_set for chain in chains for backup_set in chain.sets)
    _require_something(collection, damages)
    told |= {damage.set_id for damage in damages} | {each.id for each in unfinished}
    leftovers = tuple(
        name for removal in plan_cleanup(collection).removals if removal.set_id not in told for name in removal.remote
    )
    stray = (name for set_id, name in _stray_signatures(collection) if set_id not in told)
    lone = tuple(name for name in stray if name not in leftovers)
    return CheckPlan(tuple(chains), tuple(damages), leftovers, tuple(unfinished), lone)


def _plan_of_instant(collection: Collection, instant: int, damages: Sequence[Damage]) -> CheckPlan:
    """Of the damages those that give that moment an older state than it had."""
    sets = restore_point(collection, instant).sets
    newer = [damage for damage in damages if sets[-1].id.end < damage.set_id.end <= instant]
    return CheckPlan((CheckedChain(sets),), (*newer, *_without_signatures(sets)))


def _require_something(collection: Collection, damages: Sequence[Damage]) -> None:
    """Where there is nothing, not even something that is damaged, the target is the wrong one, or empty."""
    if not (damages and collection.sets) and not any(chain.usable for chain in collection.chains):
        restore_point(collection, _FOREVER)


def _gone(collection: Collection, told: AbstractSet[SetId]) -> Iterable[Damage]:
    """Sets that are known here as complete and are not at the target, though nothing that is there explains it.

    Explained are sets that are older than all there is, as chains that have expired are, those that another one has
    replaced, and those that are unfinished by what is noted here.
    """
    at_target = {each.id for each in collection.sets if each.is_complete}
    excused = told | at_target | {each.id for each in collection.sets if each.unfinished is not None}
    copies = {
        file.meaning.set_id: file.name
        for file in collection.local
        if file.meaning.role is FileRole.MANIFEST and not file.meaning.partial
    }
    living = _in_living_chains(at_target, copies)
    newest = max((each.end for each in at_target), default=_NEVER)
    for set_id in sorted(copies.keys() - excused, key=order_in_time):
        replaced = any(set_id.start is not None and set_id.start == each.start for each in at_target)
        if not replaced and (set_id.end > newest or set_id in living):
            left = [file.name for file in collection.remote if file.meaning.set_id == set_id]
            yield Damage(set_id, FileRole.MANIFEST, "", _text_of_gone(copies[set_id], left))


def _in_living_chains(at_target: AbstractSet[SetId], copies: Iterable[SetId]) -> set[SetId]:
    """Increments that lead back to a full backup at the target."""
    living = {each for each in at_target if each.start is None}
    ends = {each.end for each in living}
    for each in sorted({*at_target, *copies}, key=order_in_time):
        if each.start is not None and each.start in ends:
            living.add(each)
            ends.add(each.end)
    return living


def _text_of_gone(copy: str, left: Sequence[str]) -> str:
    there = f"of its files only {len(left)} are left there, such as {left[0]}" if left else "as are all of its files"
    return (
        f"it is missing at the target, {there}, though this backup is known here as complete, by {copy}. "
        "Unless another machine has removed it on purpose, the target has lost it"
    )


def _stray_signatures(collection: Collection) -> Iterable[tuple[SetId, str]]:
    """Signatures at the target of sets of which nothing else is there."""
    sets = {each.id for each in collection.sets}
    for file in collection.remote:
        if file.meaning.role is FileRole.SIGNATURES and file.meaning.set_id not in sets:
            yield file.meaning.set_id, file.name


def _is_built_on(one: BackupSet, sets: tuple[BackupSet, ...]) -> bool:
    return any(later.is_complete for later in sets[sets.index(one) + 1 :])


def _lost_manifest(backup_set: BackupSet) -> Damage:
    reason = "it is missing at the target"
    if backup_set.has_lost_manifest:
        reason = f"{reason}, though there is a copy of it here, {backup_set.local_manifests[0].name}"
    return Damage(backup_set.id, FileRole.MANIFEST, "", reason)


def _lost_full(backup_set: BackupSet) -> Damage:
    return Damage(
        backup_set.id, FileRole.MANIFEST, backup_set.manifests[0].name, "the backup that it builds on is missing"
    )


def _without_signatures(sets: Iterable[BackupSet]) -> Iterable[Damage]:
    return (
        Damage(each.id, FileRole.SIGNATURES, "", "it is missing at the target", costs_files=False)
        for each in sets
        if not each.signatures
    )


# ---- volumes ---------------------------------------------------------------------------------------------------------


@value
class CheckedVolume:
    """A volume that is to be looked at; `other` is what another copy of the manifest says of it, if that differs."""

    backup_set: BackupSet
    needed: NeededVolume
    other: VolumeRecord | None = None


@value
class VolumePlan:
    """Volumes whose names and sizes are right, those whose are not, and files that no manifest lists."""

    volumes: tuple[CheckedVolume, ...]
    damages: tuple[Damage, ...]
    unlisted: tuple[str, ...]


def plan_volumes(backup_set: BackupSet, manifest: Manifest, other: Manifest | None) -> VolumePlan:
    """Compares names and sizes with a manifest; where they are wrong, the `other` copy of it may be the right one."""
    others = {} if other is None else {record.number: record for record in other.volumes}
    volumes, damages = [], []
    for record in manifest.volumes:
        second = others.get(record.number)
        second = None if second == record else second
        candidates = backup_set.volumes.get(record.number, ())
        sizes = {record.size, None} | ({second.size} if second is not None else set())
        fitting = tuple(file for file in candidates if file.size in sizes or None in (record.size, *_size(second)))
        if fitting:
            volumes.append(CheckedVolume(backup_set, NeededVolume(record, fitting), second))
        elif not candidates:
            damages.append(damaged_volume(backup_set.id, record, "", "it is missing at the target"))
        else:
            reason = f"it has {candidates[0].size} bytes and not {record.size}"
            damages.append(damaged_volume(backup_set.id, record, candidates[0].name, reason, mismatch=True))
    listed = {record.number for record in manifest.volumes} | others.keys()
    unlisted = (file.name for number, files in backup_set.volumes.items() if number not in listed for file in files)
    return VolumePlan(tuple(volumes), tuple(damages), tuple(unlisted))


def fault_of_ranges(manifest: Manifest) -> tuple[str, ...]:
    """Why the ranges of its volumes cannot be right, if so: they follow each other.

    But an empty last volume of duplicity's begins with the root again (docs/format.md section 4.6).
    """
    before = b""
    for record in manifest.volumes:
        first, last = order_key(record.first.path), order_key(record.last.path)
        if (first and not before <= first <= last) or last < before:
            return (f"the paths of volume {record.number} in it do not follow those before them",)
        before = last
    return ()


def _size(record: VolumeRecord | None) -> tuple[int | None, ...]:
    return () if record is None else (record.size,)


def damaged_volume(set_id: SetId, record: VolumeRecord, name: str, reason: str, *, mismatch: bool = False) -> Damage:
    """A volume that is missing, or whose bytes are not those on record; `name` is empty where there is none."""
    return Damage(set_id, FileRole.VOLUME, name, reason, volume=record.number, mismatch=mismatch)


def set_text(set_id: SetId) -> str:
    """A set as people are told of it."""
    return f"the {_KINDS[set_id.kind]} backup of {format_asctime(set_id.end)}"


class Chance(Protocol):
    """Where chance comes from, such as `random.Random`."""

    def sample(self, population: Sequence[T], k: int) -> list[T]: ...


def sampled(volumes: Sequence[T], share_ppm: int | None, chance: Chance) -> tuple[T, ...]:
    """So many millionths of them, rounded up, each as likely as any other, in their order; all for None.

    Each night draws anew, so that sooner or later every volume has been looked at.
    """
    if share_ppm is None:
        return tuple(volumes)
    count = -(-len(volumes) * share_ppm // WHOLE_PPM)
    return tuple(volumes[at] for at in sorted(chance.sample(range(len(volumes)), count)))


# ---- what it means ---------------------------------------------------------------------------------------------------


@value
class ChainVerdict:
    """How far a chain that has been harmed can still be restored whole; `until` is None where it cannot at all."""

    start: int
    until: int | None
    end: int


def verdicts(chains: Iterable[CheckedChain], damages: Iterable[Damage]) -> tuple[ChainVerdict, ...]:
    """Of the chains in which damage costs files: a set is whole if it and all that it builds on are."""
    harmed = {damage.set_id for damage in damages if damage.costs_files}
    found = []
    for chain in chains:
        whole = []
        for backup_set in chain.usable:
            if backup_set.id in harmed:
                break
            whole.append(backup_set.id.end)
        if chain.sets and len(whole) < len(chain.sets):
            found.append(ChainVerdict(chain.sets[0].id.end, whole[-1] if whole else None, chain.sets[-1].id.end))
    return tuple(found)

"""Which files of which sets a copy of an archive lacks, from names and sizes on both sides, and manifests (pure).

Chains are copied whole and oldest first, each set after the one it builds on and with its manifest last. So whatever
stops a copy, the target holds complete chains and at most one set that does not count yet.
"""

from __future__ import annotations

from collections.abc import Iterable

from twofold.collection.chains import BackupChain
from twofold.collection.collection import Collection
from twofold.collection.sets import BackupSet, FoundFile
from twofold.errors import MissingVolume, NoBackups, UserError
from twofold.format.manifest import Manifest, VolumeRecord
from twofold.model.backup import SetId
from twofold.model.times import format_asctime
from twofold.model.value import value

_ALL = 1 << 62


class OtherArchive(UserError):
    """Source and target hold backups that do not belong together."""


@value
class SetCopy:
    """What of a set is to be sent, in the order of the fields; each volume as the names that may be it.

    `there` is the set at the target if its manifest is there already: then `manifest` is None, and only files are named
    that the target has lost or has in another size.
    """

    backup_set: BackupSet
    volumes: tuple[tuple[FoundFile, ...], ...]
    others: tuple[FoundFile, ...]
    manifest: FoundFile | None
    there: BackupSet | None

    @property
    def files(self) -> tuple[FoundFile, ...]:
        """One file for each that is to be sent, the likeliest where there are several."""
        last = () if self.manifest is None else (self.manifest,)
        return (*(candidates[0] for candidates in self.volumes), *self.others, *last)

    @property
    def total_bytes(self) -> int:
        return sum(file.size or 0 for file in self.files)


@value
class ChainCopy:
    """What is to be done for one chain, in that order; of sets that the target seems to have whole it is nothing.

    `same` is the newest set complete on both sides, source first: its manifests have to be equal. `forked` cannot be
    copied, since the target's chain goes on otherwise.
    """

    copies: tuple[SetCopy, ...]
    same: tuple[BackupSet, BackupSet] | None
    forked: tuple[BackupSet, ...]


@value
class ReplicatePlan:
    """All chains, oldest first. Of sets that nobody can restore, and which are not copied, `unfinished` are those that
    are being made or were interrupted, `broken` those that have lost something: a manifest, or a set they build on.
    """

    chains: tuple[ChainCopy, ...]
    unfinished: tuple[BackupSet, ...]
    broken: tuple[BackupSet, ...]

    @property
    def sets(self) -> tuple[SetCopy, ...]:
        """Those of which there is something to send."""
        return tuple(each for chain in self.chains for each in chain.copies if each.files)

    @property
    def present(self) -> tuple[BackupSet, ...]:
        return tuple(each.backup_set for chain in self.chains for each in chain.copies if not each.files)

    @property
    def forked(self) -> tuple[BackupSet, ...]:
        return tuple(each for chain in self.chains for each in chain.forked)

    @property
    def total_bytes(self) -> int:
        return sum(each.total_bytes for each in self.sets)


def plan_replicate(
    source: Collection, target: Collection, *, until: int | None = None, mixing: bool = False
) -> ReplicatePlan:
    """What the target lacks of the sets that ended not later than `until`; all for None.

    Raises NoBackups when there is nothing to copy from, and OtherArchive where a set of one name has another manifest
    at the target, or, unless `mixing` is allowed, where the target has backups that the source does not know and none
    that is complete on both sides.
    """
    chains = sorted((chain for chain in source.chains if chain.usable), key=lambda chain: chain.start)
    if not chains:
        raise NoBackups("There is no complete backup at the source. Check its URL and the file prefixes")
    complete = {each.id: each for each in target.sets if each.is_complete}
    known = frozenset(each.id for each in source.sets)
    strange = any(each.is_complete or each.id not in known for each in target.sets)
    if not mixing and strange and not any(each.is_complete and each.id in complete for each in source.sets):
        raise OtherArchive(
            "The target holds backups, none of which is at the source, so it may be the place of another archive. If "
            "it is a copy of this one from long ago, add --allow-source-mismatch"
        )
    rivals = {each.start for each in complete if each.start is not None and each not in known}
    sizes = {file.name: file.size for file in target.remote}
    limit = _ALL if until is None else until
    copies = [_plan_chain(chain, complete, rivals=rivals, sizes=sizes, until=limit) for chain in chains]
    if not any(each.id.end <= limit for chain in chains for each in chain.usable):
        raise NoBackups(f"The oldest backup at the source is of {format_asctime(chains[0].start)}: none is so old")
    unfinished, broken = _left_out(source, limit)
    return ReplicatePlan(tuple(copies), unfinished, broken)


def _plan_chain(
    chain: BackupChain,
    complete: dict[SetId, BackupSet],
    *,
    rivals: set[int],
    sizes: dict[str, int | None],
    until: int,
) -> ChainCopy:
    """`rivals` are the moments from which the target goes on with a backup that the source does not know."""
    copies: list[SetCopy] = []
    same: tuple[BackupSet, BackupSet] | None = None
    usable = [each for each in chain.usable if each.id.end <= until]
    for position, backup_set in enumerate(usable):
        there = complete.get(backup_set.id)
        if there is None and backup_set.id.start in rivals:
            return ChainCopy(tuple(copies), same, tuple(usable[position:]))
        if there is not None:
            _check_manifests(backup_set, there)
            same = (backup_set, there)
        copies.append(_plan_set(backup_set, there, sizes))
    return ChainCopy(tuple(copies), same, ())


def _plan_set(backup_set: BackupSet, there: BackupSet | None, sizes: dict[str, int | None]) -> SetCopy:
    """Of a set that is complete at the target, what it has lost; of any other all, since pieces may be torn."""

    def lacks(candidates: Iterable[FoundFile]) -> bool:
        """Nothing that is stored is empty, so an empty file is as good as none, even where both sides have it."""
        return there is None or not any(file.size and sizes.get(file.name) == file.size for file in candidates)

    volumes = (candidates for _, candidates in sorted(backup_set.volumes.items()))
    others = (each[:1] for each in (backup_set.signatures, backup_set.statistics) if each and lacks(each))
    return SetCopy(
        backup_set,
        tuple(candidates for candidates in volumes if lacks(candidates)),
        tuple(file for several in others for file in several),
        None if there is not None else backup_set.manifests[0],
        there,
    )


def _check_manifests(ours: BackupSet, theirs: BackupSet) -> None:
    first, second = ours.manifests[0], theirs.manifests[0]
    if (first.name, first.size) != (second.name, second.size):
        raise other_archive(ours)


def other_archive(backup_set: BackupSet) -> OtherArchive:
    """What is raised about a set that has different manifests on the two sides."""
    return OtherArchive(
        f"The manifest {backup_set.manifests[0].name} at the source is not the one at the target: they are different "
        "archives, or one of the two files is damaged. Nothing has been copied; use another target"
    )


def _left_out(source: Collection, limit: int) -> tuple[tuple[BackupSet, ...], tuple[BackupSet, ...]]:
    """What is being made or was given up, and what is broken at the source. A set that another one replaces is neither.

    Signatures are stored after all volumes. So a set that has them, and yet no manifest though newer ones were made
    since, was complete once.
    """
    found = [each for chain in source.chains for each in chain.sets[len(chain.usable) :]]
    rest = [each for each in (*found, *source.orphaned) if each.id.end <= limit]
    bases = {each.id.start for each in source.sets}
    newest = max((each.id.end for each in source.sets), default=0)

    def is_unfinished(one: BackupSet) -> bool:
        was_complete = one.is_complete or one.has_lost_manifest or (one.signatures and one.id.end < newest)
        return not was_complete and one.id.end not in bases

    return tuple(filter(is_unfinished, rest)), tuple(each for each in rest if not is_unfinished(each))


# ---- by the manifest -------------------------------------------------------------------------------------------------


def records_by_number(manifest: Manifest | None) -> dict[int, VolumeRecord] | None:
    """None where there is no manifest to read."""
    return None if manifest is None else {each.number: each for each in manifest.volumes}


def _wanted(manifest: Manifest | None, *sides: BackupSet) -> list[int]:
    """The numbers of all volumes; without a manifest up to the highest that is anywhere."""
    if manifest is not None:
        return [each.number for each in manifest.volumes]
    return list(range(1, max((number for side in sides for number in side.volumes), default=0) + 1))


def check_numbers(backup_set: BackupSet, manifest: Manifest | None) -> None:
    """Raises MissingVolume for the first one that has to be there and is not."""
    for number in _wanted(manifest, backup_set):
        if number not in backup_set.volumes:
            raise MissingVolume(f"At the source: volume {number} is missing")


def lacking_volumes(backup_set: BackupSet, there: BackupSet, manifest: Manifest | None) -> list[int]:
    """Volumes that the target alone has. Raises MissingVolume for the first one that neither side has."""
    lacking = [number for number in _wanted(manifest, backup_set, there) if number not in backup_set.volumes]
    for number in lacking:
        if number not in there.volumes:
            raise MissingVolume(f"Volume {number} is missing at the source and at the target")
    return lacking

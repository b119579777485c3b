"""Which files of which sets a copy of an archive lacks, from the names and sizes on both sides alone (pure).

Chains are copied whole and oldest first, each set after the one it builds on and with its manifest last. So whatever
stops a copy, the target holds complete chains and at most one set that does not count yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twofold.collection.chains import BackupChain
from twofold.collection.collection import Collection
from twofold.collection.sets import BackupSet, FoundFile
from twofold.errors import NoBackups, UserError
from twofold.model.backup import SetId
from twofold.model.times import format_asctime
from twofold.model.value import value

_ALL = 1 << 62


class OtherArchive(UserError):
    """Source and target hold backups that do not belong together."""


@value
class SetCopy:
    """What of a set is to be sent, in the order of the fields; each volume as the names that may be it.

    `manifest` is None where the target has it already: then only files are sent that it has lost.
    """

    backup_set: BackupSet
    volumes: tuple[tuple[FoundFile, ...], ...]
    others: tuple[FoundFile, ...]
    manifest: FoundFile | None

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
    """What is to be done for one chain, in that order.

    `present` are sets that the target has whole. `same` is the newest set complete on both sides, source first: its
    manifests have to be equal. `forked` cannot be copied, since the target's chain goes on otherwise.
    """

    sets: tuple[SetCopy, ...]
    present: tuple[BackupSet, ...]
    same: tuple[BackupSet, BackupSet] | None
    forked: tuple[BackupSet, ...]


@value
class ReplicatePlan:
    """All chains, oldest first; `incomplete` are sets of the source that nobody can restore, which are not copied."""

    chains: tuple[ChainCopy, ...]
    incomplete: tuple[BackupSet, ...]

    @property
    def sets(self) -> tuple[SetCopy, ...]:
        return tuple(each for chain in self.chains for each in chain.sets)

    @property
    def present(self) -> tuple[BackupSet, ...]:
        return tuple(each for chain in self.chains for each in chain.present)

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
    at the target, or, unless `mixing` is allowed, where the target has backups and none of them is at the source.
    """
    chains = sorted((chain for chain in source.chains if chain.usable), key=lambda chain: chain.start)
    if not chains:
        raise NoBackups("There is no complete backup at the source. Check its URL and the file prefixes")
    complete = {each.id: each for each in target.sets if each.is_complete}
    if not mixing and complete and not any(each.is_complete and each.id in complete for each in source.sets):
        raise OtherArchive(
            "The target holds backups, none of which is at the source, so it may be the place of another archive. If "
            "it is a copy of this one from long ago, add --allow-source-mismatch"
        )
    known = frozenset(each.id for each in source.sets)
    rivals = {each.start for each in complete if each.start is not None and each not in known}
    sizes = {file.name: file.size for file in target.remote}
    limit = _ALL if until is None else until
    copies = [_plan_chain(chain, complete, rivals=rivals, sizes=sizes, until=limit) for chain in chains]
    if not any(each.id.end <= limit for chain in chains for each in chain.usable):
        raise NoBackups(f"The oldest backup at the source is of {format_asctime(chains[0].start)}: none is so old")
    return ReplicatePlan(tuple(copies), tuple(each for each in _incomplete(source) if each.id.end <= limit))


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
    present: list[BackupSet] = []
    same: tuple[BackupSet, BackupSet] | None = None
    usable = [each for each in chain.usable if each.id.end <= until]
    for position, backup_set in enumerate(usable):
        there = complete.get(backup_set.id)
        if there is None and backup_set.id.start in rivals:
            return ChainCopy(tuple(copies), tuple(present), same, tuple(usable[position:]))
        if there is not None:
            _check_manifests(backup_set, there)
            same = (backup_set, there)
        copy = _plan_set(backup_set, sizes, complete=there is not None)
        if copy.files:
            copies.append(copy)
        else:
            present.append(backup_set)
    return ChainCopy(tuple(copies), tuple(present), same, ())


def _plan_set(backup_set: BackupSet, sizes: dict[str, int | None], *, complete: bool) -> SetCopy:
    """Of a set that is complete at the target, what it has lost; of any other all, since pieces may be torn."""

    def lacks(candidates: Iterable[FoundFile]) -> bool:
        return not complete or not any(sizes.get(file.name) == file.size for file in candidates)

    volumes = (candidates for _, candidates in sorted(backup_set.volumes.items()))
    others = (each[:1] for each in (backup_set.signatures, backup_set.statistics) if each and lacks(each))
    return SetCopy(
        backup_set,
        tuple(candidates for candidates in volumes if lacks(candidates)),
        tuple(file for several in others for file in several),
        None if complete else backup_set.manifests[0],
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


def _incomplete(source: Collection) -> Iterator[BackupSet]:
    """What is begun or broken at the source; a set that another one replaces is no loss."""
    for chain in source.chains:
        yield from chain.sets[len(chain.usable) :]
    yield from source.orphaned

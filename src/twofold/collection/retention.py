"""What may be deleted: plans only, which an operation prints or carries out (docs/format.md section 9.3).

Always holds: the newest backup that can be restored stays, as far as names tell and the caller, who may have looked
closer and name `unsound` sets; and nothing goes that a set that stays builds on. Names are
in the order in which to delete them, so that an interruption leaves incomplete sets, never wrong ones (docs/design.md
section 10): newest chain first, increments before their full set; in each set what has been copied here, signatures,
statistics, manifest, then volumes from high to low, and last what says here that it is unfinished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Collection as SetIds
from functools import partial
from itertools import takewhile

from twofold.collection.chains import BackupChain, SignatureFile
from twofold.collection.collection import Collection
from twofold.collection.sets import BackupSet, FoundFile, order_in_time
from twofold.errors import UserError
from twofold.model.backup import FileRole, SetId
from twofold.model.value import value

_BEFORE_ALL = -(2**62)


@value
class Removal:
    """The files of one set (or its signatures alone) to delete, in order: first `copies` here, then `remote` ones.

    `unfinished` are the partial files here, which go last: until then everybody knows that the set is no whole one.
    """

    set_id: SetId
    copies: tuple[str, ...]
    remote: tuple[str, ...]
    unfinished: tuple[str, ...] = ()

    @property
    def local(self) -> tuple[str, ...]:
        """All in the archive directory."""
        return self.copies + self.unfinished


@value
class CleanupPlan:
    """`held_back` are sets without a manifest at the target that might still be rescued.

    Complete sets build on them, or there is a copy of the manifest here.
    """

    removals: tuple[Removal, ...]
    held_back: tuple[BackupSet, ...]


@value
class ExpirePlan:
    """What a remove command would delete; the removals contain the interrupted set first.

    `chains` are those that go, or that lose their increments, newest first. `needed` are old sets that stay because
    newer ones build on them. `active_is_old` says that even the newest chain is older than asked for, and stays.
    """

    removals: tuple[Removal, ...]
    chains: tuple[BackupChain, ...]
    interrupted: BackupSet | None = None
    needed: tuple[BackupSet, ...] = ()
    active_is_old: bool = False


def plan_cleanup(collection: Collection) -> CleanupPlan:
    """Everything that no usable set has a use for; what one pass of duplicity would only uncover is included."""
    removals: list[Removal] = []
    while True:
        sets = {one.id: one for one in (*collection.orphaned, *_dispensable(collection))}
        step = [_removal_of(one) for one in sorted(sets.values(), key=_newest_first)]
        step += _removals_of_signatures(collection, except_for={*sets, *_resumable(collection)})
        if not step:
            break
        removals += step
        collection = collection.without(
            {name for removal in step for name in removal.remote},
            local={name for removal in step for name in removal.local},
        )
    return CleanupPlan(tuple(removals), held_back=collection.abandoned)


def plan_remove_older_than(
    collection: Collection, instant: int, *, now: float, unsound: SetIds[SetId] = ()
) -> ExpirePlan:
    """All chains that end before `instant`, but never the newest; `now` in seconds since 1970, as in the others."""
    return _plan(collection, lambda rest: instant, now=now, unsound=unsound, increments_only=False)


def plan_remove_all_but_n_full(
    collection: Collection, count: int, *, now: float, unsound: SetIds[SetId] = ()
) -> ExpirePlan:
    """All chains that end before the full backup of the `count`-th newest sound chain; raises UserError."""
    _check_count(count)
    limit_in = partial(_nth_newest_full, count=count, unsound=unsound)
    return _plan(collection, limit_in, now=now, unsound=unsound, increments_only=False)


def plan_remove_all_inc_of_but_n_full(
    collection: Collection, count: int, *, now: float, unsound: SetIds[SetId] = ()
) -> ExpirePlan:
    """The increments of the chains that `plan_remove_all_but_n_full` would delete; raises UserError."""
    _check_count(count)
    limit_in = partial(_nth_newest_full, count=count, unsound=unsound)
    return _plan(collection, limit_in, now=now, unsound=unsound, increments_only=True)


def _plan(
    collection: Collection,
    limit_in: Callable[[Collection], int],
    *,
    now: float,
    unsound: SetIds[SetId],
    increments_only: bool,
) -> ExpirePlan:
    interrupted = _cut_short(collection, now)
    first = () if interrupted is None else (_removal_of(interrupted),)
    rest = collection if not first else collection.without(first[0].remote, local=first[0].local)
    limit = limit_in(rest)
    protected = _protected(rest)
    sound = _newest_sound(rest, unsound)
    doomed = [chain for chain in rest.chains if _last_instant(chain) < limit and chain not in (*protected, *sound)]
    if increments_only:
        doomed = [chain for chain in doomed if chain.increments or chain.replaced]
    doomed.reverse()
    return ExpirePlan(
        removals=first + tuple(_removals_of_chains(rest, doomed, increments_only=increments_only)),
        chains=tuple(doomed),
        interrupted=interrupted,
        needed=tuple(
            one for chain in rest.chains if _last_instant(chain) >= limit for one in chain.sets if one.id.end < limit
        ),
        active_is_old=any(_last_instant(chain) < limit for chain in protected),
    )


def _cut_short(collection: Collection, now: float) -> BackupSet | None:
    """The interrupted set, unless the target holds a manifest of it: that may well be the newest good backup."""
    interrupted = collection.interrupted
    return interrupted if interrupted is not None and interrupted.is_given_up(now) else None


def _protected(collection: Collection) -> list[BackupChain]:
    """The chain to continue, the one with the newest usable backup, and the newest there is: it might be rescued."""
    active = collection.active
    protected = [] if active is None else [active.chain]
    if collection.newest_usable is not None:
        protected.append(collection.newest_usable)
    return protected + [chain for chain in collection.chains[-1:] if chain not in protected]


def _newest_sound(collection: Collection, unsound: SetIds[SetId]) -> list[BackupChain]:
    """The newest chain without a fault, and the one with the newest backup that no fault affects."""
    newest = [chain for chain in collection.chains if _is_sound(chain, unsound)][-1:]
    points = {
        one.id.end: chain
        for chain in collection.chains
        for one in takewhile(lambda one: one.id not in unsound, chain.usable)
    }
    return newest + ([points[max(points)]] if points else [])


def _is_sound(chain: BackupChain, unsound: SetIds[SetId]) -> bool:
    return bool(chain.usable) and not any(one.id in unsound for one in chain.sets)


def _last_instant(chain: BackupChain) -> int:
    return max(one.id.end for one in (*chain.sets, *chain.replaced))


def _nth_newest_full(collection: Collection, *, count: int, unsound: SetIds[SetId]) -> int:
    """When that backup was begun; a time before all others if there are fewer."""
    fulls = sorted((chain.start for chain in collection.chains if _is_sound(chain, unsound)), reverse=True)
    return fulls[count - 1] if len(fulls) >= count else _BEFORE_ALL


def _check_count(count: int) -> None:
    if count < 1:
        raise UserError(f"Cannot keep {count} full backups: give a number of 1 or more")


def _removals_of_chains(
    collection: Collection, chains: Iterable[BackupChain], *, increments_only: bool
) -> Iterable[Removal]:
    for chain in chains:
        # Replaced ones first: they would fit again once that which replaces them is no longer complete.
        sets = [*sorted(chain.replaced, key=_newest_first), *reversed(chain.increments)]
        if not increments_only:
            sets.append(chain.full)
        done = {chain.full.id, *(one.id for one in sets)}
        yield from _removals_of_lone_signatures(collection, chain, done)
        yield from (_removal_of(one) for one in sets)


def _removals_of_lone_signatures(collection: Collection, chain: BackupChain, done: set[SetId]) -> Iterable[Removal]:
    """Signatures that continue those of the chain's full set, though their own sets are gone."""
    chains = [one for one in collection.signature_chains if one.files[0].set_id == chain.full.id]
    kept = {one.id for one in collection.sets}
    lone = {
        file.set_id
        for one in chains
        for file in (*one.files, *one.replaced)
        if file.set_id not in done and file.set_id not in kept
    }
    for set_id in sorted(lone, key=order_in_time, reverse=True):
        yield _removal_by_id(collection, set_id)


def _removal_by_id(collection: Collection, set_id: SetId) -> Removal:
    remote = tuple(file.name for file in collection.remote if file.meaning.set_id == set_id)
    return _removal(set_id, remote, (file for file in collection.local if file.meaning.set_id == set_id))


def _dispensable(collection: Collection) -> list[BackupSet]:
    """Sets without a manifest, also here, that nothing with a manifest builds on."""
    found = []
    for chain in collection.chains:
        for backup_set in reversed(chain.sets):
            if not _is_lost(backup_set):
                break
            found.append(backup_set)
        found += [one for one in chain.replaced if _is_lost(one)]
    return found


def _is_lost(backup_set: BackupSet) -> bool:
    return backup_set.is_abandoned and not backup_set.has_lost_manifest


def _resumable(collection: Collection) -> Iterable[SetId]:
    return (one.id for one in collection.sets if one.unfinished is not None)


def _removals_of_signatures(collection: Collection, *, except_for: set[SetId]) -> Iterable[Removal]:
    remote = _candidates_by_id(collection.orphaned_signatures)
    local = _candidates_by_id(collection.orphaned_local_signatures)
    ids = (remote.keys() | local.keys()) - except_for
    for set_id in sorted(ids, key=order_in_time, reverse=True):
        yield _removal(set_id, _names(remote.get(set_id, ())), local.get(set_id, ()))


def _candidates_by_id(files: Iterable[SignatureFile]) -> dict[SetId, tuple[FoundFile, ...]]:
    return {file.set_id: file.candidates for file in files}


def _removal_of(backup_set: BackupSet) -> Removal:
    volumes = [file for number in sorted(backup_set.volumes, reverse=True) for file in backup_set.volumes[number]]
    remote = (*backup_set.signatures, *backup_set.statistics, *backup_set.manifests, *backup_set.leftovers, *volumes)
    return _removal(backup_set.id, _names(remote), backup_set.local)


def _removal(set_id: SetId, remote: tuple[str, ...], local: Iterable[FoundFile]) -> Removal:
    here = tuple(local)
    # The partial manifest is the very last: without it partial signatures would look like a chain of their own.
    partial = sorted(
        (file for file in here if file.meaning.partial), key=lambda file: file.meaning.role is FileRole.MANIFEST
    )
    return Removal(set_id, _names(file for file in here if not file.meaning.partial), remote, _names(partial))


def _names(files: Iterable[FoundFile]) -> tuple[str, ...]:
    return tuple(file.name for file in files)


def _newest_first(backup_set: BackupSet) -> tuple[int, int]:
    end, start = order_in_time(backup_set.id)
    return (-end, -start)

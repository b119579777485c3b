"""Deletes what a plan says may go (collection/retention.py decides; here is looked at what it is to know)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Collection as SetIds

from twofold.collection.collection import Collection
from twofold.collection.retention import ExpirePlan, Removal
from twofold.model.backup import SetId
from twofold.operations.completeness import SetFault, find_faults
from twofold.repository.repository import Repository


def plan_on_sound_sets(
    repository: Repository, collection: Collection, plan: Callable[[SetIds[SetId]], ExpirePlan], *, unlocks: bool
) -> tuple[ExpirePlan, list[SetFault]]:
    """What may go when only sound backups count, and what is wrong with those that would stay.

    `plan` is told the unsound sets; `unlocks` as for find_faults, which raises the same.
    """
    faults: list[SetFault] = []
    judged: set[SetId] = set()
    while True:
        found = plan({fault.set_id for fault in faults})
        going = {chain.full.id for chain in found.chains}
        staying = [each for chain in collection.chains if chain.full.id not in going for each in chain.sets]
        unjudged = [each for each in staying if each.id not in judged]
        if not going or not unjudged:
            return found, faults
        faults += find_faults(repository, unjudged, unlocks=unlocks)
        judged.update(each.id for each in unjudged)


def carry_out_removals(repository: Repository, collection: Collection, removals: Iterable[Removal]) -> None:
    """Deletes set after set in the plan's order; `collection` is the one that was planned on.

    An interruption leaves sets that are incomplete, never wrong ones; the next run goes on. Raises StorageError, and
    UserError while somebody else stores files at the target and a set may be his.
    """
    removals = tuple(removals)
    going = {removal.set_id for removal in removals if removal.remote}
    if any(each.id in going and not each.is_complete and not each.is_begun_here for each in collection.sets):
        repository.refuse_beside_writer()
    by_name = {file.name: file for file in collection.remote}
    for removal in removals:
        for name in removal.copies:
            repository.archive_dir.remove(name)
        repository.delete(by_name[name] for name in removal.remote)
        for name in removal.unfinished:
            repository.archive_dir.remove(name)

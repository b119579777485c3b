"""What to do with a backup that was interrupted before another one begins."""

from __future__ import annotations

from collections.abc import Sequence

from twofold.collection.collection import Collection
from twofold.collection.sets import BackupSet, FoundFile
from twofold.model.backup import FileRole, SetKind
from twofold.model.value import value
from twofold.monitor import Monitor, Note
from twofold.repository.repository import Repository


@value
class UnfinishedPlan:
    """A set that never became whole: what of it is deleted at the target and in the archive directory, in order."""

    backup_set: BackupSet
    remote: tuple[FoundFile, ...]
    local: tuple[FoundFile, ...]
    completed: bool = False


def plan_unfinished(collection: Collection) -> UnfinishedPlan | None:
    """What stands in the way of a new backup, or None.

    A manifest at the target is put there last and whole, so a set that has one is complete even if this machine was
    stopped before it could note it: then only the local partial files go, and the sync fetches the manifest.
    """
    found = collection.interrupted
    if found is None:
        return None
    partial = tuple(file for file in found.local if file.meaning.partial)
    if found.is_complete:
        return UnfinishedPlan(found, (), partial, completed=True)
    volumes = [file for number in sorted(found.volumes, reverse=True) for file in found.volumes[number]]
    remote = (*found.signatures, *found.statistics, *found.leftovers, *found.manifests, *volumes)
    return UnfinishedPlan(found, remote, found.local)


def clear_unfinished(repository: Repository, plan: UnfinishedPlan, *, monitor: Monitor) -> None:
    """Deletes what the plan names; interrupted itself, it is simply done again."""
    if not plan.completed:
        kind = "full" if plan.backup_set.id.kind is SetKind.FULL else "incremental"
        monitor.report(Note(f"Cleaning up previous partial {kind} backup set, restarting."))
    repository.delete(plan.remote)
    _remove_local(repository, plan.local)


def _remove_local(repository: Repository, files: Sequence[FoundFile]) -> None:
    # The partial manifest goes last: as long as it is there, the set is known to be unfinished.
    for file in sorted(files, key=lambda file: (file.meaning.partial, file.meaning.role is FileRole.MANIFEST)):
        repository.archive_dir.remove(file.name)

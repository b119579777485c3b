"""What to do with a backup that was interrupted before another one begins."""

from __future__ import annotations

from collections.abc import Sequence

from twofold.collection.collection import Collection
from twofold.collection.sets import BackupSet, FoundFile
from twofold.model.backup import FileRole, SetKind
from twofold.model.times import format_asctime
from twofold.model.value import value
from twofold.monitor import Monitor, Note
from twofold.repository.repository import Repository


@value
class UnfinishedPlan:
    """A set that never became whole: what of it is deleted at the target and in the archive directory, in order.

    If it is `spared`, nothing is: the backup is made as if these files were not there.
    """

    backup_set: BackupSet
    remote: tuple[FoundFile, ...]
    local: tuple[FoundFile, ...]
    completed: bool = False
    spared: bool = False


def plan_unfinished(collection: Collection, *, now: float) -> UnfinishedPlan | None:
    """What stands in the way of a new backup, or None; `now` in seconds since 1970.

    What may be being made elsewhere, or be whole but for a lost manifest, is spared. A manifest at the target is put
    there last and whole, so a set that has one is complete even if this machine was stopped before it could note it:
    then only the local partial files go, and the sync fetches the manifest.
    """
    found = collection.interrupted
    if found is None:
        return None
    partial = tuple(file for file in found.local if file.meaning.partial)
    if found.is_complete:
        return UnfinishedPlan(found, (), partial, completed=True)
    volumes = [file for number in sorted(found.volumes, reverse=True) for file in found.volumes[number]]
    remote = (*found.signatures, *found.statistics, *found.leftovers, *found.manifests, *volumes)
    return UnfinishedPlan(found, remote, found.local, spared=not found.is_given_up(now))


def without_unfinished(collection: Collection, plan: UnfinishedPlan | None) -> Collection:
    """What there is beside the set of the plan."""
    if plan is None:
        return collection
    remote, local = ({file.name for file in files} for files in (plan.remote, plan.local))
    return collection.without(remote, local=local)


def clear_unfinished(repository: Repository, plan: UnfinishedPlan, *, monitor: Monitor) -> None:
    """Deletes what the plan names, unless it is spared; interrupted itself, it is simply done again.

    Raises UserError while somebody else stores files at the target and the set was not begun here.
    """
    if plan.remote and not plan.backup_set.is_begun_here:
        repository.refuse_beside_writer()
    if plan.spared:
        text = (
            f"The backup of {format_asctime(plan.backup_set.id.end)} has no manifest at the target and was not begun "
            "with this archive directory: it may be being made elsewhere, so it is left alone. If it is not, cleanup "
            "--force deletes it"
        )
        monitor.report(Note(text, warning=True))
        return
    if not plan.completed:
        kind = "full" if plan.backup_set.id.kind is SetKind.FULL else "incremental"
        monitor.report(Note(f"Cleaning up previous partial {kind} backup set, restarting."))
    repository.delete(plan.remote)
    _remove_local(repository, plan.local)


def _remove_local(repository: Repository, files: Sequence[FoundFile]) -> None:
    # The partial manifest goes last: as long as it is there, the set is known to be unfinished.
    for file in sorted(files, key=lambda file: (file.meaning.partial, file.meaning.role is FileRole.MANIFEST)):
        repository.archive_dir.remove(file.name)

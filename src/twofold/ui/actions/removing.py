"""The actions that delete: cleanup and the remove ones. Without --force they only say what they would do."""

from __future__ import annotations

from collections.abc import Collection as SetIds
from collections.abc import Sequence

from twofold.collection.chains import BackupChain
from twofold.collection.collection import Collection
from twofold.collection.retention import (
    ExpirePlan,
    Removal,
    plan_cleanup,
    plan_remove_all_but_n_full,
    plan_remove_all_inc_of_but_n_full,
    plan_remove_older_than,
)
from twofold.model.backup import SetId
from twofold.model.times import format_asctime
from twofold.operations.expire import carry_out_removals, plan_on_sound_sets
from twofold.ui.actions.preparing import report_as_found, report_last_full, synchronized
from twofold.ui.assemble import Run
from twofold.ui.commands import Action
from twofold.ui.message import notice, warning

_RERUN = "Rerun command with --force option to actually delete."


def clean_up(run: Run) -> int:
    """Deletes what belongs to no usable backup."""
    collection = synchronized(run, run.repository.collection(), None)
    report_last_full(run, collection)
    plan = plan_cleanup(collection)
    names = [name for removal in plan.removals for name in (*removal.remote, *removal.local)]
    for held in plan.held_back:
        if not held.has_lost_manifest:  # of such a one all actions speak
            when = format_asctime(held.id.end)
            run.sink.tell(
                warning(f"The set of {when} has lost its manifest, but others build on it: its volumes are left alone")
            )
    _report_unfinished(run, collection, {removal.set_id for removal in plan.removals})
    if not names:
        run.sink.tell(notice("No extraneous files found, nothing deleted in cleanup."))
    elif not run.command.options.force:
        run.sink.tell(notice("\n".join(("Found the following file(s) to delete:", *names))))
        run.sink.tell(notice("Run duplicity again with the --force option to actually delete."))
    else:
        run.sink.tell(notice("\n".join(("Deleting these file(s) from backend:", *names))))
        _delete(run, collection, plan.removals)
    if run.answer is not None:
        from twofold.ui.results import cleanup_json

        run.answer.give(cleanup_json(plan, deleted=_deletes(run)))
    return 0


def _report_unfinished(run: Run, collection: Collection, going: SetIds[SetId]) -> None:
    """What is left to the next backup, and what goes although it may be being made."""
    for each in collection.sets:
        when = format_asctime(each.id.end)
        if each.unfinished is not None and not each.is_complete and each.id not in going:
            run.sink.tell(notice(f"The interrupted backup of {when} is left alone: the next backup sees to it"))
        elif each.id in going and not each.is_complete and not each.is_given_up(run.clock.now()):
            text = f"The backup of {when} has no manifest and was begun elsewhere: if it is being made, it is lost"
            run.sink.tell(warning(text))


def expire(run: Run) -> int:
    """Deletes old chains, or their increments."""
    command = run.command
    collection = run.repository.collection()
    report_as_found(run, collection)
    plan, faults = plan_on_sound_sets(
        run.repository,
        collection,
        lambda unsound: _plan(run, collection, unsound),
        unlocks=run.environment.passphrase is not None,
    )
    for fault in {each.set_id: each for each in reversed(faults)}.values():
        run.sink.tell(warning(f"{fault.text}: that backup does not count, and older ones stay in its place"))
    _report_kept(run, plan)
    if not plan.chains and plan.interrupted is None:
        run.sink.tell(notice("No old backup sets found, nothing deleted."))
    elif not command.options.force:
        _report_found(run, plan)
    elif plan.chains:
        _report_deletion(run, plan.chains)
    if command.options.force:
        if plan.interrupted is not None:
            run.sink.tell(notice(f"Cleaning up previous partial backup set for {command.action.value}"))
        _delete(run, collection, plan.removals)
    if run.answer is not None:
        from twofold.ui.results import expiry_json

        run.answer.give(expiry_json(plan, deleted=_deletes(run)))
    return 0


def _plan(run: Run, collection: Collection, unsound: SetIds[SetId]) -> ExpirePlan:
    command, now = run.command, run.clock.now()
    match command.action:
        case Action.REMOVE_OLDER:
            return plan_remove_older_than(collection, command.time or 0, now=now, unsound=unsound)
        case Action.REMOVE_ALL_BUT:
            return plan_remove_all_but_n_full(collection, command.count or 0, now=now, unsound=unsound)
        case _:
            return plan_remove_all_inc_of_but_n_full(collection, command.count or 0, now=now, unsound=unsound)


def _deletes(run: Run) -> bool:
    return run.command.options.force and not run.command.options.dry_run


def _report_kept(run: Run, plan: ExpirePlan) -> None:
    if plan.needed:
        times = [format_asctime(one.id.end) for one in plan.needed]
        lines = ("There are backup set(s) at time(s):", *times)
        run.sink.tell(warning("\n".join((*lines, "Which can't be deleted because newer sets depend on them."))))
    if plan.active_is_old:
        run.sink.tell(
            warning(
                "Current active backup chain is older than specified time.  However, it will not be deleted.  "
                "To remove all your backups, manually purge the repository."
            )
        )


def _ends(chains: Sequence[BackupChain]) -> list[str]:
    return [format_asctime(chain.end) for chain in reversed(chains)]


def _report_found(run: Run, plan: ExpirePlan) -> None:
    run.sink.tell(notice(f"Need to use '{run.command.action.value} --force' to actually delete."))
    if plan.interrupted is not None:
        when = format_asctime(plan.interrupted.id.end)
        run.sink.tell(notice(f"Found an interrupted backup, which would be deleted, too:\n{when}"))
    if plan.chains:
        found = "Found old backup chain(s) at the following time:"
        run.sink.tell(notice("\n".join((found, *_ends(plan.chains), _RERUN))))


def _report_deletion(run: Run, chains: Sequence[BackupChain]) -> None:
    run.sink.tell(notice("\n".join(("Deleting backup chain(s) at time:", *_ends(chains)))))
    whole = run.command.action is not Action.REMOVE_INCREMENTALS
    for files in ("signature", "backup"):
        for chain in chains:
            root = format_asctime(chain.sets[0].id.end)
            what = f"complete {files} chain {format_asctime(chain.end)}" if whole else f"any incremental {files} chain"
            run.sink.tell(notice(f"Deleting {what}" if whole else f"Deleting {what} rooted at {root}"))


def _delete(run: Run, collection: Collection, removals: Sequence[Removal]) -> None:
    if not run.command.options.dry_run:
        carry_out_removals(run.repository, collection, removals)

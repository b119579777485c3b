"""The actions that only tell: what a backup holds, and which backups there are."""

from __future__ import annotations

from twofold.collection.chains import BackupChain
from twofold.collection.collection import Collection
from twofold.collection.retention import plan_cleanup
from twofold.operations.completeness import find_faults
from twofold.ui.actions.preparing import instant_of, prepared, report_as_found
from twofold.ui.assemble import Run
from twofold.ui.status import ChainRows, SetRow, StatusReport, status_message


def print_list(run: Run) -> int:
    """Prints what a backup holds; gives the exit code."""
    from twofold.operations.listing import list_files
    from twofold.ui.listed import ListedMessages

    collection = prepared(run)
    times: dict[int, bytes] = {}
    count = 0
    for some in list_files(collection, run.repository, instant=instant_of(run), monitor=run.monitor):
        run.sink.tell_all(ListedMessages(some, times))
        count += len(some.paths)
        if run.answer is not None:
            from twofold.ui.results import listed_json

            run.answer.stream(listed_json(some))
    if run.answer is not None:
        run.answer.give({"entries": count})
    return 0


def print_status(run: Run) -> int:
    """Prints which backups there are; gives the exit code."""
    collection = run.repository.collection()
    report_as_found(run, collection)
    options = run.command.options
    if options.show_changes_in_set is not None:
        from twofold.ui.actions.changes import print_changes

        print_changes(run, collection, options.show_changes_in_set)
    elif options.file_changed is not None:
        from twofold.ui.actions.changes import print_history

        print_history(run, collection, options.file_changed)
    else:
        _print_collection(run, collection)
    return 0


def _print_collection(run: Run, collection: Collection) -> None:
    found = find_faults(run.repository, collection.sets)
    faults = tuple(f"{fault.text}: that backup cannot be restored whole." for fault in found)
    run.sink.tell(status_message(status_report(run, collection, faults=faults)))
    if run.answer is not None:
        from twofold.ui.results import status_json

        run.answer.give(status_json(collection, archive_dir=run.archive_dir.path, faults=found))


def status_report(run: Run, collection: Collection, *, faults: tuple[str, ...] = ()) -> StatusReport:
    """What the names at the target tell; `faults` is what somebody found out by reading."""
    active = collection.active
    primary = active.chain if active is not None else None
    secondary = [chain for chain in collection.chains if chain is not primary]
    return StatusReport(
        archive_dir=run.archive_dir.path,
        secondary=tuple(filter(None, map(_rows, secondary))),
        primary=_rows(primary) if primary is not None else None,
        # A set that another one from the same start has replaced is in no chain either: nothing is restored from it.
        orphaned_set_count=len(collection.orphaned) + sum(len(chain.replaced) for chain in collection.chains),
        incomplete_set_count=sum(1 for each in collection.sets if not each.is_complete),
        faults=faults,
        cleanup_helps=bool(plan_cleanup(collection).removals),
    )


def _rows(chain: BackupChain) -> ChainRows | None:
    """The chain without what an interrupted backup left at its end: nobody can restore that; it is counted apart."""
    sets = list(chain.sets)
    while sets and not sets[-1].is_complete:
        sets.pop()
    rows = tuple(SetRow(each.id.kind, each.id.end, len(each.volumes), each.is_encrypted) for each in sets)
    return ChainRows(rows) if rows else None

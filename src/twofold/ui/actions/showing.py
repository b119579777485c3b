"""The actions that only tell: what a backup holds, and which backups there are."""

from __future__ import annotations

from twofold.collection.chains import BackupChain
from twofold.model.times import format_asctime
from twofold.operations.completeness import find_volume_faults
from twofold.ui.actions.preparing import instant_of, prepared, report_last_full
from twofold.ui.assemble import Run
from twofold.ui.status import ChainRows, SetRow, StatusReport, status_message


def print_list(run: Run) -> int:
    """Prints what a backup holds; gives the exit code."""
    from twofold.operations.listing import list_files
    from twofold.ui.listed import ListedMessages

    collection = prepared(run)
    times: dict[int, bytes] = {}
    for some in list_files(collection, run.repository, instant=instant_of(run), monitor=run.monitor):
        run.sink.tell_all(ListedMessages(some, times))
    return 0


def print_status(run: Run) -> int:
    """Prints which backups there are; gives the exit code."""
    collection = run.repository.collection()
    report_last_full(run, collection)
    active = collection.active
    primary = active.chain if active is not None else None
    secondary = [chain for chain in collection.chains if chain is not primary]
    report = StatusReport(
        archive_dir=run.archive_dir.path,
        secondary=tuple(map(_rows, secondary)),
        primary=_rows(primary) if primary is not None else None,
        # A set that another one from the same start has replaced is in no chain either: nothing is restored from it.
        orphaned_set_count=len(collection.orphaned) + sum(len(chain.replaced) for chain in collection.chains),
        incomplete_set_count=sum(1 for each in collection.sets if not each.is_complete),
        faults=tuple(
            f"Volume {fault.number} of the backup of {format_asctime(fault.set_end)} {fault.reason}: "
            "that backup cannot be restored whole."
            for fault in find_volume_faults(run.repository, collection.sets)
        ),
    )
    run.sink.tell(status_message(report))
    return 0


def _rows(chain: BackupChain) -> ChainRows:
    return ChainRows(
        tuple(SetRow(each.id.kind, each.id.end, len(each.volumes), each.is_encrypted) for each in chain.sets)
    )

"""One function an action: puts the operations in the order that a person expects and says what came out."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from twofold import system
from twofold.collection.chains import BackupChain
from twofold.collection.collection import Collection
from twofold.collection.restore_point import restore_point
from twofold.collection.sets import BackupSet
from twofold.errors import MissingVolume, NoBackups, UserError
from twofold.model.backup import SetId, SetKind
from twofold.model.entry import Kind
from twofold.model.times import format_asctime
from twofold.monitor import LastFull, Note
from twofold.operations.backup import BackupOptions, BackupPlan, BackupSummary, backup, plan_backup
from twofold.operations.completeness import find_volume_faults
from twofold.operations.listing import list_files
from twofold.operations.restore import RestoreOptions, check_target, plan_restore, restore
from twofold.operations.source_check import check_source, check_target_manifest
from twofold.operations.unfinished import clear_unfinished, plan_unfinished
from twofold.operations.verify import VerifyOptions, verify
from twofold.repository.sync import plan_sync, synchronize
from twofold.select.compiling import normalized_source
from twofold.select.conditions import Mode
from twofold.tree.scan import ScanOptions, SourceTree
from twofold.ui import files
from twofold.ui.assemble import Run
from twofold.ui.commands import Action
from twofold.ui.message import Level
from twofold.ui.option_values import MetadataSync
from twofold.ui.selection import build_selection
from twofold.ui.statistics import BackupStatistics, statistics_message
from twofold.ui.status import ChainRows, SetRow, StatusReport, status_message
from twofold.ui.version import DUPLICITY

_ASKED = {Action.FULL: SetKind.FULL, Action.INCREMENTAL: SetKind.INCREMENTAL, Action.BACKUP: None}
_FOREVER = 1 << 62


# ---- backup ----------------------------------------------------------------------------------------------------------


def back_up(run: Run) -> int:
    """Makes a backup; gives the exit code."""
    command, options = run.command, run.command.options
    source = os.fsencode(command.path)
    selection = build_selection(
        command.conditions,
        source=source,
        mode=Mode.BACKUP,
        null_separator=options.null_separator,
        sink=run.sink,
    )
    tree = SourceTree(
        normalized_source(source), selection, options=ScanOptions(options.copy_links), monitor=run.monitor
    )
    collection = _clear_unfinished(run, run.repository.collection())
    if command.action is not Action.FULL:
        newest = collection.chains[-1] if collection.chains else None
        collection = synchronized(run, collection, newest)
    report_last_full(run, collection)
    backup_options = _backup_options(run, normalized_source(source))
    plan = plan_backup(collection, asked=_ASKED[command.action], options=backup_options)
    if plan.kind is SetKind.INCREMENTAL and collection.active is not None:
        plan = _checked_plan(run, plan, collection, collection.active.chain)
    if plan.reason is not None:
        run.monitor.report(Note(plan.reason, warning=plan.is_warning))
    newest_set = (
        collection.active.chain.usable[-1] if plan.chain is not None and collection.active is not None else None
    )
    summary = backup(
        tree,
        run.repository,
        plan=plan,
        options=backup_options,
        check=_check_of_continued(run, newest_set, backup_options),
        clock=run.clock,
        monitor=run.monitor,
    )
    _report_backup(run, summary)
    return 0


def _checked_plan(run: Run, plan: BackupPlan, collection: Collection, chain: BackupChain) -> BackupPlan:
    """An increment on a chain that has lost a volume could never be restored whole, so it is not begun."""
    faults = find_volume_faults(run.repository, chain.usable)
    if not faults or not run.command.options.check_remote:
        return plan
    first = faults[0]
    text = f"Volume {first.number} of the backup of {format_asctime(first.set_end)} {first.reason}"
    if run.command.action is Action.INCREMENTAL:
        raise MissingVolume(f"{text}, so the chain cannot be continued. Make a full backup")
    full = plan_backup(collection, asked=SetKind.FULL, options=_backup_options(run, b""))
    return replace(full, reason=f"{text}, so a full backup is made instead of continuing", is_warning=True)


def _clear_unfinished(run: Run, collection: Collection) -> Collection:
    plan = plan_unfinished(collection)
    if plan is None or run.command.options.dry_run:
        return collection
    clear_unfinished(run.repository, plan, monitor=run.monitor)
    return run.repository.collection()


def _backup_options(run: Run, source_name: bytes) -> BackupOptions:
    options = run.command.options
    if options.volsize_bytes < 1 << 20:
        raise UserError("--volsize must be at least 1 (MiB)")
    return BackupOptions(
        hostname=os.fsencode(run.environment.hostname),
        source_name=source_name,
        volume_size=options.volsize_bytes,
        workers=max(1, options.concurrency or min(4, system.usable_processors())),
        largest_block=options.max_blocksize_bytes,
        record_changes=options.files_changed,
        skip_if_no_change=options.skip_if_no_change,
        dry_run=options.dry_run,
        detailed=options.verbosity >= Level.INFO,
        full_before=options.full_if_older_than,
        full_after=options.full_if_n_inc,
    )


def _check_of_continued(run: Run, newest: BackupSet | None, options: BackupOptions) -> Callable[[], None] | None:
    """What is still to be checked before anything is stored. Raises SourceChanged, HostChanged."""
    if newest is None:
        return None
    _check_source(run, newest, options)
    if not _can_open_manifest(run):
        return None
    return lambda: check_target_manifest(run.repository, newest)


def _check_source(run: Run, newest: BackupSet, options: BackupOptions) -> None:
    if not run.command.options.allow_source_mismatch:
        check_source(
            run.repository,
            newest,
            hostname=options.hostname,
            qualified=lambda: os.fsencode(run.environment.fqdn()),
            source=options.source_name,
        )


def _can_open_manifest(run: Run) -> bool:
    """An unattended backup to a public key has no passphrase, and may have no secret key either."""
    options = run.command.options
    if not options.check_remote:
        return False
    by_key = bool(options.encrypt_keys or options.hidden_encrypt_keys)
    return not options.encryption or not by_key or run.environment.passphrase is not None


def _report_backup(run: Run, summary: BackupSummary) -> None:
    if summary.skipped and not run.command.options.dry_run:
        run.monitor.report(Note("Skipped volume upload, as effectivly nothing has changed"))
    if run.command.options.print_statistics:
        tally = summary.tally
        statistics = BackupStatistics(
            start_time=summary.began,
            end_time=summary.ended,
            source_files=tally.source_files,
            source_file_size=tally.source_bytes,
            new_files=tally.new_files,
            new_file_size=tally.new_bytes,
            deleted_files=tally.deleted,
            changed_files=tally.changed_files,
            changed_file_size=tally.changed_bytes,
            raw_delta_size=tally.raw_delta,
            destination_size=summary.stored_bytes,
            errors=tally.errors,
        )
        run.sink.tell(statistics_message(statistics))


# ---- reading ---------------------------------------------------------------------------------------------------------


def restore_files(run: Run) -> int:
    """Restores all or a part; gives the exit code."""
    command, options = run.command, run.command.options
    target = os.fsencode(command.path)
    check_target(target, overwrite=options.force)
    selection = build_selection(
        command.conditions, source=b"", mode=Mode.RESTORE, null_separator=options.null_separator, sink=run.sink
    )
    collection = _prepared(run, lenient=True)
    within = _path_to_restore(run)
    plan = plan_restore(
        collection,
        run.repository,
        instant=_instant(run),
        within=within,
        ignore_errors=options.ignore_errors,
        monitor=run.monitor,
    )
    if options.dry_run:
        run.sink.tell(files.required_volumes(plan.reading.volume_names))
        return 0
    restore(
        run.repository,
        plan,
        options=RestoreOptions(
            target=target,
            temp_dir=run.temp_dir,
            within=within,
            selection=None if selection.trivial else selection,
            renames=tuple((os.fsencode(old), os.fsencode(new)) for old, new in options.renames),
            overwrite=options.force,
            restore_ownership=options.restore_ownership,
            numeric_owner=options.numeric_owner,
            detailed=options.verbosity >= Level.INFO,
        ),
        monitor=run.monitor,
    )
    return 0


def verify_files(run: Run) -> int:
    """Compares a backup with local files; gives the exit code."""
    command, options = run.command, run.command.options
    source = os.fsencode(command.path)
    if not os.path.lexists(source):
        raise UserError(f"There is nothing to compare with at {command.path}")
    selection = build_selection(
        command.conditions, source=source, mode=Mode.BACKUP, null_separator=options.null_separator, sink=run.sink
    )
    collection = _prepared(run, lenient=True)
    within = _path_to_restore(run)
    plan = plan_restore(
        collection,
        run.repository,
        instant=_instant(run),
        within=within,
        ignore_errors=options.ignore_errors,
        monitor=run.monitor,
    )
    tree = SourceTree(
        normalized_source(source), selection, options=ScanOptions(options.copy_links), monitor=run.monitor
    )
    summary = verify(
        tree,
        run.repository,
        plan=plan,
        options=VerifyOptions(run.temp_dir, within, options.compare_data, options.numeric_owner),
        monitor=run.monitor,
    )
    run.sink.tell(files.verified(summary.compared, summary.differences))
    # Scripts that call duplicity rely on 0 from a verify that was not asked to compare contents.
    tolerant = run.environment.program == DUPLICITY and not options.compare_data
    return 1 if summary.differences and not tolerant else 0


def print_list(run: Run) -> int:
    """Prints what a backup holds; gives the exit code."""
    collection = _prepared(run)
    for file in list_files(collection, run.repository, instant=_instant(run), monitor=run.monitor):
        run.sink.tell(files.listed(file.path, Kind(file.kind), time=file.mtime))
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


# ---- what they share -------------------------------------------------------------------------------------------------


def _prepared(run: Run, *, lenient: bool = False) -> Collection:
    """The collection for reading: the cache agrees with the target as far as the moment in question needs it.

    `lenient` is for what can do without some of it.
    """
    collection = run.repository.collection()
    try:
        chain = restore_point(collection, _instant(run)).chain
    except NoBackups:
        chain = None
    collection = synchronized(run, collection, chain, lenient=lenient)
    report_last_full(run, collection)
    return collection


def synchronized(run: Run, collection: Collection, chain: BackupChain | None, *, lenient: bool = False) -> Collection:
    """The collection once the cache agrees with the target; `chain` is the one whose metadata is needed."""
    options = run.command.options
    if not options.check_remote:
        return collection
    wanted: set[SetId] | None = None
    if options.metadata_sync_mode is MetadataSync.PARTIAL:
        wanted = {each.id for each in chain.sets} if chain is not None else set()
    plan = plan_sync(collection, wanted=wanted)
    synchronize(run.repository, plan, dry_run=options.dry_run, monitor=run.monitor, lenient=lenient)
    changed = (plan.copy or plan.remove) and not options.dry_run
    return run.repository.collection() if changed else collection


def report_last_full(run: Run, collection: Collection) -> None:
    """Says when the last full backup was made."""
    last = collection.last_full
    run.monitor.report(LastFull(None if last is None else last.id.end))


def _instant(run: Run) -> int:
    asked = run.command.options.restore_time
    return _FOREVER if asked is None else asked


def _path_to_restore(run: Run) -> bytes:
    """The path as the archive has it: people also write ./docs, /docs and docs/."""
    asked = run.command.options.path_to_restore
    if asked is None:
        return b""
    parts = [part for part in os.fsencode(asked).split(b"/") if part not in (b"", b".")]
    return b"/".join(parts)

"""The actions that make backups: full, incremental, and whichever is due."""

from __future__ import annotations

import os
from collections.abc import Callable

from twofold import system
from twofold.collection.chains import BackupChain
from twofold.collection.collection import Collection
from twofold.collection.sets import BackupSet
from twofold.errors import CorruptManifest, EnvelopeError, FormatError, MissingVolume, NotFound, UserError
from twofold.model.backup import FileRole, SetKind
from twofold.model.times import format_asctime
from twofold.model.value import replace
from twofold.monitor import Finished, Note
from twofold.operations.backup import backup
from twofold.operations.backup_plan import BackupOptions, BackupPlan, BackupSummary, plan_backup
from twofold.operations.completeness import find_faults
from twofold.operations.resumption import Resumption, find_resumption, settled
from twofold.operations.source_check import check_source
from twofold.operations.unfinished import UnfinishedPlan, clear_unfinished, plan_unfinished, without_unfinished
from twofold.repository.manifests import load_remote_manifest
from twofold.select.compiling import normalized_source
from twofold.select.conditions import Mode
from twofold.storage.places import local_directory
from twofold.storage.url import StorageUrl, redact
from twofold.tree.scan import ScanOptions, SourceTree
from twofold.ui import files
from twofold.ui.actions.beginning import Beginning
from twofold.ui.actions.preparing import expect_newest, report_last_full, synchronized
from twofold.ui.assemble import Run
from twofold.ui.commands import Action
from twofold.ui.fingerprint import fingerprint_of
from twofold.ui.message import Level, Message
from twofold.ui.selection import build_selection
from twofold.ui.statistics import BackupFacts, BackupStatistics, statistics_json, statistics_message
from twofold.ui.version import DUPLICITY

_FULL_INSTEAD = "so a full backup is made instead of continuing"
_ASKED = {Action.FULL: SetKind.FULL, Action.INCREMENTAL: SetKind.INCREMENTAL, Action.BACKUP: None}


def back_up(run: Run, beginning: Beginning) -> int:
    """Makes a backup, or what is left to be done of it; gives the exit code."""
    source = normalized_source(os.fsencode(run.command.path))
    lists: list[bytes] = []
    tree = _source_tree(run, lists)
    _check_place(run, beginning.collection)
    backup_options = replace(
        _backup_options(run, source), fingerprint=fingerprint_of(run.command, run.environment, source, lists)
    )
    unfinished = plan_unfinished(beginning.collection, now=run.clock.now())
    resumption = _resumption(run, unfinished, backup_options)
    collection, asked, doubt = _cleared(run, beginning.collection, unfinished, clears=resumption is None)
    report_last_full(run, collection)
    plan = plan_backup(collection, asked=asked or _asked(run, collection), options=backup_options)
    if doubt:
        plan = replace(plan, reason=doubt, is_warning=True)
    if plan.kind is SetKind.INCREMENTAL and collection.active is not None:
        plan = _checked_plan(run, plan, collection, collection.active.chain)
    if plan.reason is not None:
        run.monitor.report(Note(plan.reason, warning=plan.is_warning))
    newest_set = (
        collection.active.chain.usable[-1] if plan.chain is not None and collection.active is not None else None
    )
    expect_newest(run, collection)
    if resumption is not None and unfinished is not None:
        resumption = _settled(run, resumption, plan, unfinished)
    summary = backup(
        tree,
        run.repository,
        plan=plan,
        options=backup_options,
        check=_check(run, beginning, newest_set, collection=collection, options=backup_options),
        resumption=resumption,
        clock=run.clock,
        monitor=run.monitor,
    )
    run.monitor.report(Finished())
    _report_backup(run, plan, summary, collection)
    return _exit_code(run, unread=summary.tally.errors)


def _resumption(run: Run, unfinished: UnfinishedPlan | None, options: BackupOptions) -> Resumption | None:
    """How to go on with what an interrupted run has left, if this run turns out to make the same set."""
    if unfinished is None or run.command.options.dry_run:
        return None
    return find_resumption(
        run.repository,
        unfinished,
        fingerprint=options.fingerprint,
        header=options.manifest_header,
        source=options.source_name,
        now=run.clock.now(),
    )


def _settled(run: Run, resumption: Resumption, plan: BackupPlan, unfinished: UnfinishedPlan) -> Resumption | None:
    """The resumption if it turns out to be of the set that is to be made; else that has been cleared away."""
    options = run.command.options
    by_passphrase = options.encryption and not options.encrypt_keys and not options.hidden_encrypt_keys
    found = settled(run.repository, resumption, plan=plan, by_passphrase=by_passphrase, monitor=run.monitor)
    if found is None:
        clear_unfinished(run.repository, unfinished, monitor=run.monitor)
    return found


def _source_tree(run: Run, lists: list[bytes]) -> SourceTree:
    """What is to be backed up, of which nothing has been looked at yet; adds to `lists` what its lists hold.

    Raises SelectionError.
    """
    command, options = run.command, run.command.options
    source = os.fsencode(command.path)
    selection = build_selection(
        command.conditions,
        source=source,
        mode=Mode.BACKUP,
        null_separator=options.null_separator,
        sink=run.sink,
        noted=lists.append,
    )
    return SourceTree(
        normalized_source(source), selection, options=ScanOptions(options.copy_links), monitor=run.monitor
    )


def _check_place(run: Run, collection: Collection) -> None:
    """A local directory that held backups and is gone is rather a disk that is not mounted: none is begun beside it.

    Scripts that call duplicity are warned only, when the cache is compared with the target. Raises UserError.
    """
    known = any(each.meaning.role is FileRole.MANIFEST and not each.meaning.partial for each in collection.local)
    if collection.remote or not known or run.environment.program == DUPLICITY:
        return
    url = run.command.url.removeprefix("gio+")
    if url.startswith("file:") and not os.path.isdir(place := local_directory(StorageUrl.parse(url))):
        raise UserError(
            f"There were backups in {place}, which does not exist now. Mount the disk; "
            "or make the directory, if backups are to begin anew there"
        )


def _exit_code(run: Run, *, unread: int) -> int:
    """0 as scripts that call duplicity rely on, or if all of the source could be read."""
    if not unread or run.environment.program == DUPLICITY:
        return 0
    run.sink.tell(files.unread(unread, "stored as they are now"))
    return 1


def _asked(run: Run, collection: Collection) -> SetKind | None:
    """The kind that is asked for; --full-if-older-than allows a full one where there is none yet, too."""
    asked, limit = _ASKED[run.command.action], run.command.options.full_if_older_than
    if asked is SetKind.INCREMENTAL and limit is not None:
        last = collection.last_full
        return None if last is None or last.id.end < limit else asked
    return asked


def _checked_plan(run: Run, plan: BackupPlan, collection: Collection, chain: BackupChain) -> BackupPlan:
    """An increment on a chain that has lost a volume could never be restored whole, so it is not begun."""
    if not run.command.options.check_remote:
        return plan
    faults = find_faults(run.repository, chain.usable)
    if not faults:
        return plan
    if run.command.action is Action.INCREMENTAL:
        raise MissingVolume(f"{faults[0].text}, so the chain cannot be continued. Make a full backup")
    full = plan_backup(collection, asked=SetKind.FULL, options=_backup_options(run, b""))
    return replace(full, reason=f"{faults[0].text}, {_FULL_INSTEAD}", is_warning=True)


def _cleared(
    run: Run, collection: Collection, plan: UnfinishedPlan | None, *, clears: bool
) -> tuple[Collection, SetKind | None, str | None]:
    """What there is without what is unfinished, which goes if it `clears`, in agreement with the cache.

    When a manifest is damaged, then also that only a full backup can be made, and why. Raises CorruptManifest when an
    increment is asked for.
    """
    action = run.command.action
    if plan is not None and clears and not run.command.options.dry_run:
        clear_unfinished(run.repository, plan, monitor=run.monitor)
        collection = run.repository.collection()
    collection = without_unfinished(collection, plan)
    if action is not Action.FULL:
        try:
            collection = synchronized(run, collection, collection.chains[-1] if collection.chains else None)
        except CorruptManifest as error:
            if action is Action.INCREMENTAL:
                raise
            return collection, SetKind.FULL, f"{error}, {_FULL_INSTEAD}"
    return without_unfinished(collection, plan), None, None


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


def _check(
    run: Run, beginning: Beginning, newest: BackupSet | None, *, collection: Collection, options: BackupOptions
) -> Callable[[], None] | None:
    """What is still to be checked before anything is stored. Raises SourceChanged, HostChanged."""
    if newest is None:
        return _check_of_passphrase(run, collection)
    _check_source(run, newest, options)
    if not _can_open_manifest(run):
        return None
    return beginning.check_of(newest)


def _check_of_passphrase(run: Run, collection: Collection) -> Callable[[], None] | None:
    """A full backup may begin with a new passphrase, but whoever mistyped the old one has to hear of it."""
    asked = run.command.options
    by_passphrase = asked.encryption and not asked.encrypt_keys and not asked.hidden_encrypt_keys
    newest = collection.chains[-1].usable[-1] if collection.chains and collection.chains[-1].usable else None
    if newest is None or not newest.is_encrypted or not by_passphrase or not _can_open_manifest(run):
        return None

    def warn() -> None:
        try:
            load_remote_manifest(run.repository, newest)
        except (EnvelopeError, FormatError, NotFound) as error:
            text = (
                f"The backup of {format_asctime(newest.id.end)} cannot be opened with the passphrase of this one, and "
                f"needs its own from now on: {error}. If that is not what you want, delete this backup and make it anew"
            )
            run.monitor.report(Note(text, warning=True))

    return warn


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


def _report_backup(run: Run, plan: BackupPlan, summary: BackupSummary, collection: Collection) -> None:
    options = run.command.options
    if options.dry_run:
        # Programs take it as the whole of the real run, which tells after each volume how much has been read.
        run.sink.tell(files.to_be_read(summary.tally.new_bytes + summary.tally.changed_bytes))
    if summary.skipped and not options.dry_run:
        run.monitor.report(Note("Skipped volume upload, as effectivly nothing has changed"))
    statistics = _statistics(summary)
    if options.jsonstat:
        _report_json(run, summary, statistics, collection)
    if options.print_statistics:
        run.sink.tell(statistics_message(statistics))
    if run.answer is not None:
        from twofold.ui.results import backup_json

        result = backup_json(
            summary.set_id,
            statistics,
            skipped=summary.skipped or options.dry_run,
            dry_run=options.dry_run,
            reason=plan.reason,
        )
        run.answer.give(result)


def _report_json(run: Run, summary: BackupSummary, statistics: BackupStatistics, collection: Collection) -> None:
    """Prints the statistics as JSON and, where a set has come into being, stores them beside it."""
    from twofold.operations.recorded import local_statistics, store_statistics

    options, set_id = run.command.options, summary.set_id
    active = collection.active if set_id.start is not None else None
    earlier = active.chain.usable if active is not None else ()
    copies = [local_statistics(each) for each in earlier]
    facts = BackupFacts(
        kind=set_id.kind,
        full_time=earlier[0].id.end if earlier else set_id.end,
        increments_before=max(0, len(earlier) - 1),
        concurrency=options.concurrency,
        target=redact(run.command.url_as_typed),
        source=run.command.path,
        skipped_incremental=summary.skipped and not options.dry_run,
        earlier_files=tuple(None if copy is None else copy.name for copy in copies) or (None,),
    )
    text = statistics_json(statistics, facts)
    run.sink.tell(Message(Level.NOTICE, text, always=True))
    if not summary.skipped and not options.dry_run:
        store_statistics(run.repository, set_id, f"{text}\n".encode("utf-8", "surrogateescape"))


def _statistics(summary: BackupSummary) -> BackupStatistics:
    tally = summary.tally
    return BackupStatistics(
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

"""The actions that read backups back: restore and verify."""

from __future__ import annotations

import os

from twofold.errors import UserError
from twofold.monitor import Finished
from twofold.operations.restore import RestoreOptions, RestorePlan, check_target, plan_restore, restore
from twofold.select.compiling import normalized_source
from twofold.select.conditions import Mode
from twofold.ui import files
from twofold.ui.actions.preparing import expect_newest, instant_of, prepared
from twofold.ui.assemble import Run
from twofold.ui.message import Level
from twofold.ui.selection import build_selection
from twofold.ui.version import DUPLICITY

# Bytes of tar that stand beside the content of an entry: headers, records, half a block of padding.
_FRAMING = 1792


def restore_files(run: Run) -> int:
    """Restores all or a part; gives the exit code."""
    command, options = run.command, run.command.options
    target = os.fsencode(command.path)
    check_target(target, overwrite=options.force)
    selection = build_selection(
        command.conditions, source=b"", mode=Mode.RESTORE, null_separator=options.null_separator, sink=run.sink
    )
    within = _path_to_restore(run)
    plan = _planned(run, within)
    if options.dry_run:
        run.sink.tell(files.required_volumes(plan.reading.volume_names))
        _answer_restore(run, plan, entries=None)
        return 0
    run.repository.require_warm(plan.reading.files)
    summary = restore(
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
    run.monitor.report(Finished())
    _answer_restore(run, plan, entries=summary.entries)
    return 1 if summary.shortfalls and run.environment.program != DUPLICITY else 0


def _answer_restore(run: Run, plan: RestorePlan, *, entries: int | None) -> None:
    if run.answer is not None:
        from twofold.ui.results import restore_json

        instant, volumes = plan.point.instant, plan.reading.volume_names
        run.answer.give(restore_json(entries=entries, instant=instant, volumes=volumes))


def verify_files(run: Run) -> int:
    """Compares a backup with local files; gives the exit code."""
    from twofold.operations.verify import VerifyOptions, verify
    from twofold.tree.scan import ScanOptions, SourceTree

    command, options = run.command, run.command.options
    source = os.fsencode(command.path)
    if not os.path.lexists(source):
        raise UserError(f"There is nothing to compare with at {command.path}. Name the directory that was backed up")
    selection = build_selection(
        command.conditions, source=source, mode=Mode.BACKUP, null_separator=options.null_separator, sink=run.sink
    )
    within = _path_to_restore(run)
    plan = _planned(run, within)
    run.repository.require_warm(plan.reading.files)
    tree = SourceTree(
        normalized_source(source), selection, options=ScanOptions(options.copy_links), monitor=run.monitor
    )
    verify_options = VerifyOptions(run.temp_dir, within, options.compare_data, options.numeric_owner)
    if run.answer is None:
        summary = verify(tree, run.repository, plan=plan, options=verify_options, monitor=run.monitor)
    else:
        from twofold.ui.results import Differences, verify_json

        differing = Differences(run.monitor)
        summary = verify(tree, run.repository, plan=plan, options=verify_options, monitor=differing)
        instant = plan.point.instant
        run.answer.give(verify_json(compared=summary.compared, differences=differing.found, instant=instant))
    run.monitor.report(Finished())
    if summary.unread:
        run.sink.tell(files.unread(summary.unread, "compared"))
    run.sink.tell(files.verified(summary.compared, summary.differences))
    # Scripts that call duplicity rely on 0 from a verify that was not asked to compare contents.
    tolerant = run.environment.program == DUPLICITY and not options.compare_data
    return 1 if (summary.differences or summary.unread) and not tolerant else 0


def _planned(run: Run, within: bytes) -> RestorePlan:
    """What has to be read of the backup that the options name."""
    collection = prepared(run, lenient=True)
    if not within and run.command.options.restore_time is None:
        expect_newest(run, collection, framing=_FRAMING)
    return plan_restore(
        collection,
        run.repository,
        instant=instant_of(run),
        within=within,
        ignore_errors=run.command.options.ignore_errors,
        monitor=run.monitor,
    )


def _path_to_restore(run: Run) -> bytes:
    """The path as the archive has it: people also write ./docs, /docs and docs/."""
    asked = run.command.options.path_to_restore
    if asked is None:
        return b""
    parts = [part for part in os.fsencode(asked).split(b"/") if part not in (b"", b".")]
    return b"/".join(parts)

"""The action that proves that backups are whole without their sources: check."""

from __future__ import annotations

import random

from twofold.collection.restore_point import restore_point
from twofold.errors import UserError
from twofold.monitor import Finished, LastFull
from twofold.operations.check import CheckOptions, check, look
from twofold.operations.check_plan import plan_check
from twofold.operations.restore import report_point
from twofold.ui.actions.preparing import instant_of
from twofold.ui.assemble import Run
from twofold.ui.checked import completed, findings, leftovers


def check_backups(run: Run) -> int:
    """Checks all backups, or what one moment needs; gives the exit code. The cache is compared with, never changed."""
    options = run.command.options
    if not options.check_remote:
        raise UserError("check looks at the target, so --no-check-remote cannot be given with it")
    found = look(run.repository)
    plan = plan_check(found.collection, instant=options.restore_time)
    last = found.collection.last_full
    run.monitor.report(LastFull(None if last is None else last.id.end))
    if options.restore_time is not None:
        report_point(restore_point(found.collection, instant_of(run)), run.monitor)
    for message in leftovers(plan, found.foreign):
        run.sink.tell(message)
    summary = check(
        run.repository,
        plan,
        options=CheckOptions(run.temp_dir, options.read_data, options.sample_ppm),
        chance=random.SystemRandom(),
        monitor=run.monitor,
    )
    run.monitor.report(Finished())
    for message in findings(summary):
        run.sink.tell(message)
    if run.answer is not None:
        from twofold.ui.results import check_json

        run.answer.give(check_json(plan, summary, foreign=found.foreign))
    run.sink.tell(completed(summary))
    return summary.exit_code

"""The action that tries a target out: validate-storage. Neither backups nor gpg nor the cache have a part in it."""

from __future__ import annotations

import time

from twofold.operations.validate_storage import validate_storage
from twofold.storage.url import redact
from twofold.ui.assemble import Run
from twofold.ui.validated import conclusions, failure, table


def validate_target(run: Run) -> int:
    """Tries and tells everything; then raises what keeps backups from being made there."""
    dry_run = run.command.options.dry_run
    place = redact(run.command.url)
    report = validate_storage(
        run.repository.store,
        temp_dir=run.temp_dir,
        now=int(run.clock.now()),
        elapsed=time.perf_counter,
        writes=not dry_run,
    )
    run.sink.tell(table(report, place=place))
    for message in conclusions(report, dry_run=dry_run):
        run.sink.tell(message)
    if run.answer is not None:
        from twofold.ui.results import storage_json

        run.answer.give(storage_json(report, place=place))
    if report.fault is not None:
        raise failure(report.fault) from report.fault.error
    return 0

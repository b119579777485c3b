"""The action that copies the backups of one target to another."""

from __future__ import annotations

import os

from twofold.errors import BadVolume, CorruptStream, EnvelopeError, KeyMissing, PartlyDone, UserError
from twofold.model.backup import SetId
from twofold.model.times import format_asctime
from twofold.monitor import Expecting
from twofold.operations.replicate import (
    Doubt,
    FileSent,
    LostSet,
    ReplicateSummary,
    SetBegins,
    check_same_archive,
    list_source,
    list_target,
    replicate,
)
from twofold.operations.replicate_plan import OtherArchive, ReplicatePlan, SetCopy, plan_replicate
from twofold.storage.places import local_directory
from twofold.storage.url import StorageUrl, redact
from twofold.ui.assemble import Copy, Run
from twofold.ui.message import Message, info, notice, warning
from twofold.ui.text import format_size


def replicate_sets(run: Run) -> int:
    """Copies what the target lacks; gives the exit code. Raises what the worst of the damage means, at the end."""
    copy = run.copy
    assert copy is not None  # the parser gives replicate two URLs
    if _is_same_place(run.command.url, run.command.copy_url):
        raise UserError(f"Source and target are the same: {copy.place}")
    with copy.archive_dir:
        return _replicate(run, copy)


def _is_same_place(first: str, second: str) -> bool:
    """Whether two URLs are the same, or name the same local directory in different words."""
    if first == second:
        return True
    urls = [StorageUrl.parse(each.removeprefix("gio+")) for each in (first, second)]
    if any(url.scheme != "file" or url.prefixes for url in urls):
        return False
    try:
        return os.path.samefile(*(local_directory(url) or "." for url in urls))
    except OSError:
        return False  # what is not there, or cannot be looked at, is told of by its store


def _replicate(run: Run, copy: Copy) -> int:
    options = run.command.options
    collection = list_source(run.repository)
    listing = list_target(copy.store, run.repository)
    try:
        plan = plan_replicate(
            collection, listing.collection, until=options.restore_time, mixing=options.allow_source_mismatch
        )
        check_same_archive(run.repository, copy.store, plan=plan)
    except OtherArchive as error:
        raise OtherArchive(f"{redact(run.command.url)} cannot be copied to {copy.place}: {error}") from error
    _report_left_out(run, plan)
    if options.dry_run:
        _report_dry_run(run, plan)
        summary = ReplicateSummary()
    else:
        run.monitor.report(Expecting(lambda: plan.total_bytes))
        summary = replicate(run.repository, copy.store, plan=plan, listing=listing, monitor=_Telling(run))
        run.sink.tell(notice(_result(plan, summary)))
    if run.answer is not None:
        from twofold.ui.results import replicate_json

        run.answer.give(replicate_json(plan, summary, dry_run=options.dry_run))
    _raise_worst(plan, summary)
    return 0


class _Telling:
    """Says what becomes of sets and files, and hands everything else on."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def report(self, event: object) -> None:
        match event:
            case SetBegins():
                self._run.sink.tell(notice(f"Copying {_described(event.copy)}"))
            case FileSent():
                self._run.sink.tell(info(f"Writing {event.name}"))
            case LostSet():
                self._run.sink.tell(_lost(event))
            case Doubt():
                self._run.sink.tell(warning(f"The {_name(event.set_id)} is in doubt: {event.reason}"))
            case _:
                self._run.monitor.report(event)


def _lost(lost: LostSet) -> Message:
    fate = "is at the target, but cannot be compared and mended" if lost.there else "is not copied"
    waiting = f", nor are the {len(lost.waiting)} set(s) that build on it" if lost.waiting else ""
    remedy = ""
    if isinstance(lost.error, EnvelopeError) and not isinstance(lost.error, (KeyMissing, CorruptStream)):
        remedy = ". If it has another passphrase, give that one, or copy it unread: without PASSPHRASE"
    return warning(f"The {_name(lost.set_id)} {fate}{waiting}: {lost.error}{remedy}")


def _report_left_out(run: Run, plan: ReplicatePlan) -> None:
    for backup_set in plan.unfinished:
        run.sink.tell(warning(f"The {_name(backup_set.id)} is not complete at the source, so it is not copied"))
    for backup_set in plan.broken:
        lost = "a backup that it builds on" if backup_set.is_complete else "its manifest"
        run.sink.tell(warning(f"The {_name(backup_set.id)} is not copied: the source has lost {lost}"))
    for backup_set in plan.forked:
        run.sink.tell(
            warning(
                f"The {_name(backup_set.id)} is not copied: at the target, a backup made there continues its chain. "
                "Begin a new chain at the source with the action full"
            )
        )


def _name(set_id: SetId) -> str:
    return f"{'full' if set_id.start is None else 'incremental'} backup of {format_asctime(set_id.end)}"


def _described(copy: SetCopy) -> str:
    some = "" if copy.manifest is not None else "what the target has lost of "
    return f"{some}the {_name(copy.backup_set.id)}: {len(copy.files)} file(s), {format_size(copy.total_bytes)}"


def _report_dry_run(run: Run, plan: ReplicatePlan) -> None:
    for copy in plan.sets:
        run.sink.tell(notice(f"Would copy {_described(copy)}"))
        for file in copy.files:
            run.sink.tell(info(file.name))
    run.sink.tell(
        notice(
            f"Would copy {len(plan.sets)} backup set(s) ({sum(len(copy.files) for copy in plan.sets)} file(s), at most "
            f"{format_size(plan.total_bytes)}), {len(plan.present)} there already."
        )
    )


def _result(plan: ReplicatePlan, summary: ReplicateSummary) -> str:
    doubts = len({each.set_id for each in summary.doubts})
    return (
        f"Replicate complete: {len(summary.copied)} backup set(s) copied ({summary.files} file(s), "
        f"{format_size(summary.sent_bytes)}), {len(summary.present)} there already, {_left(plan, summary)} not copied"
        f"{f', {doubts} in doubt' if doubts else ''}."
    )


def _left(plan: ReplicatePlan, summary: ReplicateSummary) -> int:
    """How many sets are not at the target as they should be."""
    return sum(1 + len(each.waiting) for each in summary.lost) + len(plan.forked) + len(plan.broken)


def _raise_worst(plan: ReplicatePlan, summary: ReplicateSummary) -> None:
    """A wrong hash counts more than anything else: scripts know its exit code."""
    errors = [each.error for each in summary.lost]
    if errors:
        raise next((error for error in errors if isinstance(error, BadVolume)), errors[0])
    left = _left(plan, summary)
    if left:
        raise PartlyDone(f"{left} backup set(s) have not been copied; they have been named")
    if summary.doubts:
        raise PartlyDone("Not all is as it should be at the source or at the target; what is in doubt has been named")

"""What comes before an action: the cache agrees with the target, and a person knows when the last backup was."""

from __future__ import annotations

from twofold.collection.chains import BackupChain
from twofold.collection.collection import Collection
from twofold.collection.restore_point import restore_point
from twofold.errors import NoBackups
from twofold.model.backup import FileRole, SetId
from twofold.model.times import format_asctime
from twofold.monitor import Expecting, LastFull
from twofold.repository.sync import TARGET_EMPTY, plan_sync, synchronize
from twofold.ui.assemble import Run
from twofold.ui.commands import Action
from twofold.ui.message import warning
from twofold.ui.option_values import MetadataSync

_FOREVER = 1 << 62
_WITH_STATUS = 8  # the verbosity from which every action prints the collection status (docs/cli.md section 1.5)


def prepared(run: Run, *, lenient: bool = False) -> Collection:
    """The collection for reading: the cache agrees with the target as far as the moment in question needs it.

    `lenient` is for what can do without some of it.
    """
    collection = run.repository.collection()
    try:
        chain = restore_point(collection, instant_of(run)).chain
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
    if not options.dry_run:
        needed = (file for file in plan.copy if not lenient or file.meaning.role is FileRole.MANIFEST)
        run.repository.require_warm(needed)
    synchronize(run.repository, plan, dry_run=options.dry_run, monitor=run.monitor, lenient=lenient)
    changed = (plan.copy or plan.remove) and not options.dry_run
    return run.repository.collection() if changed else collection


def report_as_found(run: Run, collection: Collection) -> None:
    """`report_last_full` for actions that leave the cache as it is, and ask by themselves whether a disk is missing."""
    if plan_sync(collection, wanted=set()).target_empty:
        run.monitor.report(TARGET_EMPTY)
    report_last_full(run, collection)


def report_last_full(run: Run, collection: Collection) -> None:
    """Says when the last full backup was made; before that, what belongs to no backup, and all there is if asked."""
    if collection.orphaned or collection.orphaned_signatures or collection.orphaned_local_signatures:
        from twofold.ui.leftovers import leftover_messages

        for message in leftover_messages(collection):
            run.sink.tell(message)
    for lost in collection.lost_manifests:
        copy = run.archive_dir.path_of(lost.local_manifests[0].name)
        run.sink.tell(
            warning(
                f"The target has lost the manifest of the backup of {format_asctime(lost.id.end)}, which cannot be "
                f"restored until {copy} is copied to the target. To give that backup up, delete this copy and clean up"
            )
        )
    if run.command.options.verbosity >= _WITH_STATUS and run.command.action is not Action.STATUS:
        from twofold.ui.actions.showing import status_report
        from twofold.ui.status import status_message

        run.sink.tell(status_message(status_report(run, collection)))
    last = collection.last_full
    run.monitor.report(LastFull(None if last is None else last.id.end))


def expect_newest(run: Run, collection: Collection, *, framing: int = 0) -> None:
    """Has whoever shows progress find out how much the newest backup holds, when and if somebody wants to know."""
    if run.command.options.progress:
        from twofold.operations.expectation import bytes_of_newest

        run.monitor.report(Expecting(lambda: bytes_of_newest(collection, run.repository, framing=framing)))


def instant_of(run: Run) -> int:
    """The moment whose state is asked for, in seconds since 1970."""
    asked = run.command.options.restore_time
    return _FOREVER if asked is None else asked

"""What collection-status tells of the newest chain with --show-changes-in-set and --file-changed."""

from __future__ import annotations

import os
from collections.abc import Sequence

from twofold.collection.collection import Collection
from twofold.collection.sets import BackupSet
from twofold.errors import NoBackups
from twofold.model.times import format_asctime
from twofold.monitor import Note
from twofold.operations.recorded import RecordedChanges, history_of, read_changes, read_statistics
from twofold.ui.assemble import Run
from twofold.ui.status import Change, FileHistory, SetChanges, changes_json_message, changes_message, history_message
from twofold.ui.usage import NoSuchSet


def print_changes(run: Run, collection: Collection, number: int) -> None:
    """Prints which files changed in the set of that number, 0 for the newest, or with -1 in all of the newest chain."""
    sets = _chosen(_newest_chain(collection), number)
    wants_statistics = run.command.options.jsonstat or run.answer is not None
    found = (_changes(run, backup_set, wants_statistics=wants_statistics) for backup_set in sets)
    if run.answer is not None:
        from twofold.ui.results import changes_json

        run.answer.give(changes_json(found))
    elif wants_statistics:
        run.sink.tell(changes_json_message(found))
    else:
        for changes in found:
            run.sink.tell(changes_message(changes))


def print_history(run: Run, collection: Collection, path: str) -> None:
    """Prints in which sets of the newest chain something happened to one file."""
    name = b"/".join(part for part in os.fsencode(path).split(b"/") if part not in (b"", b"."))
    sets = reversed(_newest_chain(collection))
    rows = history_of(name, (_recorded(run, backup_set) for backup_set in sets))
    history = FileHistory(name, tuple((each.id.kind, each.id.end, Change(change.value)) for each, change in rows))
    if run.answer is not None:
        from twofold.ui.results import history_json

        run.answer.give(history_json(history))
    run.sink.tell(history_message(history))


def _newest_chain(collection: Collection) -> Sequence[BackupSet]:
    """Its complete sets, the newest first."""
    active = collection.active
    chain = active.chain if active is not None else collection.newest_usable
    if chain is None:
        raise NoBackups("There is no backup at the target that could be looked at")
    return tuple(reversed(chain.usable))


def _chosen(sets: Sequence[BackupSet], number: int) -> Sequence[BackupSet]:
    if number < 0:
        return sets
    if number >= len(sets):
        raise NoSuchSet(
            f"There is no set {number} in the newest chain, which has {len(sets)}: 0 is the newest, "
            f"{len(sets) - 1} the oldest"
        )
    return sets[number : number + 1]


def _changes(run: Run, backup_set: BackupSet, *, wants_statistics: bool) -> SetChanges:
    statistics = None
    if wants_statistics:
        may_decrypt = run.environment.passphrase is not None or run.command.options.use_agent
        statistics = read_statistics(run.repository, backup_set, may_decrypt=may_decrypt)
    changes = _recorded(run, backup_set).changes or ()
    return SetChanges(
        backup_set.id.kind,
        backup_set.id.end,
        tuple((path, Change(change.value)) for change, path in changes),
        None if statistics is None else statistics.decode(),
    )


def _recorded(run: Run, backup_set: BackupSet) -> RecordedChanges:
    found = read_changes(run.repository, backup_set)
    if found.changes is None:
        when = format_asctime(backup_set.id.end)
        run.monitor.report(Note(f"The backup of {when} has no list of the files that it changed", warning=True))
    return found

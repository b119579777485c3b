"""What a backup begins before the program that makes it has been loaded: gpg derives its keys meanwhile.

Nothing heavy may be imported here. What is begun and turns out not to be needed ends with the run.
"""

from __future__ import annotations

from collections.abc import Callable

from twofold.collection.collection import Collection
from twofold.collection.sets import BackupSet
from twofold.concurrency import Task, spawn
from twofold.operations.source_check import check_target_manifest
from twofold.repository.repository import Repository
from twofold.ui.assemble import Run
from twofold.ui.commands import Action


class Beginning:
    """What is there, and the check of the newest set's manifest, which may be under way already."""

    def __init__(self, collection: Collection, repository: Repository) -> None:
        self.collection = collection
        self._repository = repository
        self._checked: BackupSet | None = None
        self._task: Task[None] | None = None

    def check_ahead(self, newest: BackupSet, run: Run) -> None:
        """Lets a thread begin with the check of what an increment is going to continue."""
        self._checked = newest
        self._task = spawn(
            lambda: check_target_manifest(self._repository, newest), name="check the target", monitor=run.monitor
        )

    def check_of(self, newest: BackupSet) -> Callable[[], None]:
        """The check of that set; calling it raises what is wrong with it."""
        if self._task is not None and newest == self._checked:
            return self._task.join
        return lambda: check_target_manifest(self._repository, newest)

    def end(self) -> None:
        """Waits for what is under way, so that nothing is left of it."""
        if self._task is not None:
            self._task.wait()


def begin_ahead(run: Run) -> Beginning:
    """Finds what is there; if the run is going to add to it and no person has to be asked, that has been begun.

    Where there is nothing yet, the target may be the wrong one and is not touched before more is known.
    """
    collection = run.repository.collection()
    beginning = Beginning(collection, run.repository)
    if collection.remote and _begins_unasked(run):
        active = collection.active
        usable = active.chain.usable if active is not None else ()
        if usable and run.command.action is not Action.FULL and run.command.options.check_remote:
            beginning.check_ahead(usable[-1], run)
        try:
            run.repository.begin_set()
        except BaseException:
            beginning.end()
            raise
    return beginning


def _begins_unasked(run: Run) -> bool:
    """Whether a backup is encrypted by a passphrase that is known already, and by nothing else."""
    options = run.command.options
    by_key = options.encrypt_keys or options.hidden_encrypt_keys or options.sign_key is not None
    return options.encryption and not options.dry_run and not by_key and run.environment.passphrase is not None

"""Deletes what a plan says may go (collection/retention.py decides; nothing is decided here)."""

from __future__ import annotations

from collections.abc import Iterable

from twofold.collection.collection import Collection
from twofold.collection.retention import Removal
from twofold.repository.repository import Repository


def carry_out_removals(repository: Repository, collection: Collection, removals: Iterable[Removal]) -> None:
    """Deletes set after set in the plan's order; `collection` is the one that was planned on.

    An interruption leaves sets that are incomplete, never wrong ones; the next run goes on. Raises StorageError.
    """
    by_name = {file.name: file for file in collection.remote}
    for removal in removals:
        for name in removal.copies:
            repository.archive_dir.remove(name)
        repository.delete(by_name[name] for name in removal.remote)
        for name in removal.unfinished:
            repository.archive_dir.remove(name)

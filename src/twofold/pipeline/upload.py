"""Sends finished volumes to the target, several at once, and hands them on in order once they are there.

Volumes are visible only whole, but not always in order: when the work breaks off, a later one may be at the target
where an earlier one is not. Whatever counts what is there, the manifest above all, goes by what comes out of here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from twofold.concurrency import Crew, Task
from twofold.model.backup import FileRole, SetId, StoredName
from twofold.monitor import Monitor, Storing
from twofold.pipeline.seal import Finishing, Volume
from twofold.repository.repository import Repository
from twofold.storage.store import StoredFile


class Uploaded(NamedTuple):
    """A volume that is at the target; its local file is gone."""

    volume: Volume
    stored: StoredFile


class Uploader:
    """Stores the volumes of one set. `begin` is called when the first one is about to be sent."""

    def __init__(self, repository: Repository, set_id: SetId, *, begin: Callable[[], None], monitor: Monitor) -> None:
        self._repository = repository
        self._set_id = set_id
        self._begin = begin
        self._monitor = monitor

    def upload(
        self, volumes: Iterable[Finishing], checking: Task[None] | None, *, at_once: int, crew: Crew
    ) -> Iterator[Uploaded]:
        """The volumes in order, each once it and all before it are there; `at_once` are on their way.

        None is sent before `checking` has ended well, which it must in any case. Raises what the first one in order
        raises that cannot be stored; the others are then broken off when the crew's block is left.
        """
        checked = self._checked_first(volumes, checking)
        if at_once == 1:
            return map(self._upload, checked)
        return crew.ordered_map(self._upload, checked, workers=at_once, name="upload")

    def _checked_first(self, volumes: Iterable[Finishing], checking: Task[None] | None) -> Iterator[Finishing]:
        has_begun = False
        for volume in volumes:
            if not has_begun:
                if checking is not None:
                    checking.join()
                self._begin()
                has_begun = True
            yield volume
        if checking is not None:
            checking.join()

    def _upload(self, finishing: Finishing) -> Uploaded:
        volume = finishing.complete()
        self._monitor.report(Storing(f"volume {volume.number}"))
        name = volume_name(self._repository, self._set_id, volume.number)
        return Uploaded(volume, self._repository.hand_over(volume.sealed.path, name))


def volume_name(repository: Repository, set_id: SetId, number: int) -> StoredName:
    """What a volume of a set that is being made is called at the target."""
    return StoredName(set_id, FileRole.VOLUME, repository.written_wrapping(FileRole.VOLUME), volume=number)

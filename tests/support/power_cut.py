"""Ends a backup at a chosen moment as a power cut does: nothing is cleared away, and what was not synced is lost.

Moments are all that matters to whoever looks afterwards: a file at the target comes, goes or is replaced; one in the
archive directory is synced, renamed or removed. At the moment a picture is taken; then the run dies, tidies up as it
may, and the picture is put back.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from tests.support.backups import Place
from twofold.storage.store import CanMove, Key, StoredFile, StoreWrapper
from twofold.storage.testing.faulty import Killed

T = TypeVar("T")


class PowerCut(StoreWrapper):
    """The store of a place while a run lasts that may end at moment `at`, counted from 0, or as soon as `when` holds.

    Unless `all_is_kept`, files in the archive directory are as long as when they were last synced. `sent` bytes went to
    the target.
    """

    def __init__(
        self,
        place: Place,
        at: int | None = None,
        *,
        when: Callable[[], bool] | None = None,
        all_is_kept: bool = False,
    ) -> None:
        super().__init__(place.store)
        self._place = place
        self._at = at
        self._when = when
        self._all_is_kept = all_is_kept
        self._synced = {each.stat().st_ino: each.stat().st_size for each in os.scandir(place.archive)}
        self._picture: tuple[dict[str, bytes], dict[str, bytes]] | None = None
        self.moments = 0
        self.sent = 0

    def run(self, call: Callable[[], T]) -> T | None:
        """What the call gives, or None if it has been ended; then the place is as it was at that moment."""
        place = self._place
        place.store = self
        try:
            with pytest.MonkeyPatch.context() as patched:
                for name in ("fsync", "replace", "unlink"):
                    patched.setattr(os, name, self._watched(name, getattr(os, name)))
                return call()
        except Killed:
            self._put_back()
            return None
        finally:
            place.store = self.inner

    def move(self, source: str, key: Key) -> StoredFile:
        self.sent += os.path.getsize(source)
        stored = self.inner_ability(CanMove).move(source, key)
        self._pass()
        return stored

    def delete(self, key: Key) -> None:
        self.inner.delete(key)
        self._pass()

    def _watched(self, name: str, call: Callable[..., None]) -> Callable[..., None]:
        def watched(*arguments: object, **named: object) -> None:
            target = arguments[0]
            path = target if isinstance(target, str) else os.readlink(f"/proc/self/fd/{target}")
            call(*arguments, **named)
            if isinstance(target, int):
                found = os.fstat(target)
                self._synced[found.st_ino] = found.st_size
            if threading.current_thread() is threading.main_thread() and path.startswith(self._place.archive):
                self._pass()

        return watched

    def _pass(self) -> None:
        moment = self.moments
        self.moments += 1
        if self._picture is None and (moment == self._at or (self._when is not None and self._when())):
            self._picture = self._place.files.copy(), self._archive_dir()
            raise Killed

    def _archive_dir(self) -> dict[str, bytes]:
        found = {}
        for each in os.scandir(self._place.archive):
            with open(each.path, "rb") as file:
                size = None if self._all_is_kept else self._synced.get(each.inode(), 0)
                found[each.name] = file.read(-1 if size is None else size)
        return found

    def _put_back(self) -> None:
        assert self._picture is not None
        stored, kept = self._picture
        self._place.files.clear()
        self._place.files.update(stored)
        for name in os.listdir(self._place.archive):
            os.unlink(os.path.join(self._place.archive, name))
        for name, content in kept.items():
            with open(os.path.join(self._place.archive, name), "wb") as file:
                file.write(content)

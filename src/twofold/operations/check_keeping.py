"""What a check needs twice it fetches once: signature files are examined first and then read beside the volumes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import Final

from twofold import system
from twofold.collection.sets import BackupSet
from twofold.model.backup import FileRole
from twofold.repository.repository import Repository
from twofold.storage.local_files import translating
from twofold.storage.store import ByteCounter, Key, Operation, Store, StoreWrapper, ignore_bytes

_MOST_BYTES: Final = 512 << 20
"""What may lie in the temporary directory besides volumes; signature files beyond it are fetched again."""


def needed_twice(sets: Iterable[BackupSet]) -> frozenset[str]:
    """The names of signature files that will be read a second time, since there is no copy of them here."""
    return frozenset(
        each.signatures[0].name
        for each in sets
        if each.signatures
        and not any(file.meaning.role is FileRole.SIGNATURES and not file.meaning.partial for file in each.local)
    )


@contextlib.contextmanager
def keeping(repository: Repository, names: frozenset[str], *, temp_dir: str) -> Iterator[None]:
    """While it lasts, files of these names are fetched from the target only once, as far as there is room."""
    store = repository.store
    kept = _KeepingStore(store, names, temp_dir)
    repository.store = kept
    try:
        yield
    finally:
        repository.store = store
        kept.drop()


class _KeepingStore(StoreWrapper):
    """Fetched files get a second name in the temporary directory, under which the second get finds them."""

    def __init__(self, inner: Store, names: frozenset[str], temp_dir: str) -> None:
        super().__init__(inner)
        self._names = names
        self._temp_dir = temp_dir
        self._room = _MOST_BYTES
        self._kept: dict[str, str] = {}

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        kept = self._kept.pop(key.name, None)
        if kept is not None:
            with translating(Operation.GET, name=key.name, path=target):
                os.replace(kept, target)
            return
        self.inner.get(key, target, received=received)
        if key.name in self._names:
            self._keep(key.name, target)

    def drop(self) -> None:
        """Removes what nobody has asked for again."""
        for path in self._kept.values():
            os.unlink(path)
        self._kept.clear()

    def _keep(self, name: str, fetched: str) -> None:
        size = os.stat(fetched).st_size
        if size > self._room:
            return
        path = system.scratch_name(self._temp_dir)
        # A file system without hard links is no reason to fail: the file is fetched again.
        with contextlib.suppress(OSError):
            os.link(fetched, path)
            self._kept[name] = path
            self._room -= size

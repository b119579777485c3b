"""No put counts before the store has told the size and it is right: for drivers whose put cannot promise that itself.

A file that arrived with another size is sent again, a bounded number of times; what stays wrong is deleted.
"""

from __future__ import annotations

import os

from twofold.errors import Incomplete
from twofold.storage.local_files import open_source
from twofold.storage.store import ByteCounter, Key, Operation, Store, StoredFile, StoreWrapper, ignore_bytes

ATTEMPTS = 3


class _WrongSize(Incomplete):
    """The store keeps a file of the wrong size, as opposed to a driver that has noticed and undone it."""


class CheckSizeStore(StoreWrapper):
    """A Store whose put asks for the size of what has arrived.

    `attempts` counts all puts of one file; an Incomplete that the driver raises itself is tried again as well. Files
    taken over by `move` need no check: they come by rename, or by a put of the driver's own.
    """

    def __init__(self, inner: Store, *, attempts: int = ATTEMPTS) -> None:
        super().__init__(inner)
        self._more_attempts = attempts - 1

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        for _ in range(self._more_attempts):
            moved: list[int] = []
            try:
                return self._checked_put(key, source, sent=sent, moved=moved)
            except Incomplete:
                sent(-sum(moved))
        try:
            return self._checked_put(key, source, sent=sent, moved=[])
        except _WrongSize:
            # A short file under the final name would pass for a whole one at the next listing.
            self.inner.delete(key)
            raise

    def _checked_put(self, key: Key, source: str, *, sent: ByteCounter, moved: list[int]) -> StoredFile:
        def count(number: int) -> None:
            moved.append(number)
            sent(number)

        descriptor, size = open_source(source, Operation.PUT, name=key.name)
        os.close(descriptor)
        self.inner.put(key, source, sent=count)
        stored = self.inner.stat(key)
        if stored.size != size:
            message = f"put of {key.name} left {stored.size} of {size} bytes at the target"
            raise _WrongSize(message, name=key.name, operation=Operation.PUT.value)
        return stored

"""A Store that notes every call, so that tests can guard speed without a stopwatch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twofold.model.value import value
from twofold.storage.store import (
    ByteCounter,
    CanCopy,
    CanCreateExclusive,
    CanDeleteMany,
    CanMove,
    CanReadRange,
    Key,
    Operation,
    Store,
    StoredFile,
    StoreWrapper,
    ignore_bytes,
)


@value
class Call:
    """One call; `moved` counts the bytes through us: sent by put and create, received by get and read_range."""

    operation: Operation
    name: str
    moved: int = 0


class RecordingStore(StoreWrapper):
    """Notes calls in `calls` when they return; those that raise are not noted. Safe between threads."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.calls: list[Call] = []

    def count(self, operation: Operation) -> int:
        """How many calls of this kind came back."""
        return sum(call.operation is operation for call in self.calls)

    def names(self, operation: Operation) -> list[str]:
        """The files of these calls, in order."""
        return [call.name for call in self.calls if call.operation is operation]

    def moved(self, *operations: Operation) -> int:
        """Bytes through us in calls of these kinds."""
        return sum(call.moved for call in self.calls if call.operation in operations)

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        stored = self.inner.put(key, source, sent=sent)
        self._note(Operation.PUT, key, stored.size)
        return stored

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        counts: list[int] = []

        def count(number: int) -> None:
            counts.append(number)
            received(number)

        self.inner.get(key, target, received=count)
        self._note(Operation.GET, key, sum(counts))

    def list(self) -> Iterator[StoredFile]:
        files = self.inner.list()
        self.calls.append(Call(Operation.LIST, ""))
        return files

    def stat(self, key: Key) -> StoredFile:
        stored = self.inner.stat(key)
        self._note(Operation.STAT, key)
        return stored

    def delete(self, key: Key) -> None:
        self.inner.delete(key)
        self._note(Operation.DELETE, key)

    def move(self, source: str, key: Key) -> StoredFile:
        stored = self.inner_ability(CanMove).move(source, key)
        self._note(Operation.MOVE, key)
        return stored

    def copy(self, source: Key, target: Key) -> StoredFile:
        stored = self.inner_ability(CanCopy).copy(source, target)
        self._note(Operation.COPY, target)
        return stored

    def create(self, key: Key, content: bytes) -> None:
        self.inner_ability(CanCreateExclusive).create(key, content)
        self._note(Operation.CREATE, key, len(content))

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        content = self.inner_ability(CanReadRange).read_range(key, start, size)
        self._note(Operation.READ_RANGE, key, len(content))
        return content

    def delete_many(self, keys: Iterable[Key]) -> Iterator[Key]:
        for key in self.inner_ability(CanDeleteMany).delete_many(keys):
            self._note(Operation.DELETE, key)
            yield key

    def _note(self, operation: Operation, key: Key, moved: int = 0) -> None:
        self.calls.append(Call(operation, key.name, moved))

"""A Store that fails when a test tells it to: errors, uploads cut short, and the death of the process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Self, TypeVar

from twofold.errors import StorageError, Unavailable
from twofold.model.value import record
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

T = TypeVar("T")

SHORT_SUFFIX = ".short"


class Killed(BaseException):
    """The process dies here: no Exception, so that nothing but clean-up runs."""


class _Moment(Enum):
    BEFORE = "before"
    AFTER = "after"


@record
class _Fault:
    operation: Operation
    skip: int
    times: int
    error: Callable[[], BaseException]
    moment: _Moment


class FaultyStore(StoreWrapper):
    """Does what the inner Store does, except for the faults that are set; each method that sets one returns the store.

    Faults are taken in the order in which they were set, one a call.
    """

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self._faults: list[_Fault] = []
        self._short: list[int] = []

    def fail(self, operation: Operation, *, times: int = 1, error: StorageError | None = None, skip: int = 0) -> Self:
        """After `skip` calls, the next `times` raise `error` (Unavailable by default) and do nothing."""
        raised = error or Unavailable("A test wants this to fail", operation=operation.value)
        self._faults.append(_Fault(operation, skip, times, lambda: raised, _Moment.BEFORE))
        return self

    def lose_answer(self, operation: Operation, *, times: int = 1, skip: int = 0) -> Self:
        """After `skip` calls, the next `times` do their work and raise Unavailable all the same."""
        lost = Unavailable("A test wants the answer to be lost", operation=operation.value)
        self._faults.append(_Fault(operation, skip, times, lambda: lost, _Moment.AFTER))
        return self

    def cut_short(self, size: int, *, times: int = 1) -> Self:
        """The next `times` puts store only the first `size` bytes and report success, as some servers do."""
        self._short += [size] * times
        return self

    def kill_before(self, operation: Operation, *, skip: int = 0) -> Self:
        """After `skip` calls, raises Killed instead of the operation."""
        self._faults.append(_Fault(operation, skip, 1, Killed, _Moment.BEFORE))
        return self

    def kill_after(self, operation: Operation, *, skip: int = 0) -> Self:
        """After `skip` calls, raises Killed when the operation has been done."""
        self._faults.append(_Fault(operation, skip, 1, Killed, _Moment.AFTER))
        return self

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        return self._faulty(Operation.PUT, lambda: self._put(key, source, sent))

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        self._faulty(Operation.GET, lambda: self.inner.get(key, target, received=received))

    def list(self) -> Iterator[StoredFile]:
        return self._faulty(Operation.LIST, self.inner.list)

    def stat(self, key: Key) -> StoredFile:
        return self._faulty(Operation.STAT, lambda: self.inner.stat(key))

    def delete(self, key: Key) -> None:
        self._faulty(Operation.DELETE, lambda: self.inner.delete(key))

    def move(self, source: str, key: Key) -> StoredFile:
        inner = self.inner_ability(CanMove)
        return self._faulty(Operation.MOVE, lambda: inner.move(source, key))

    def copy(self, source: Key, target: Key) -> StoredFile:
        inner = self.inner_ability(CanCopy)
        return self._faulty(Operation.COPY, lambda: inner.copy(source, target))

    def create(self, key: Key, content: bytes) -> None:
        inner = self.inner_ability(CanCreateExclusive)
        self._faulty(Operation.CREATE, lambda: inner.create(key, content))

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        inner = self.inner_ability(CanReadRange)
        return self._faulty(Operation.READ_RANGE, lambda: inner.read_range(key, start, size))

    def delete_many(self, keys: Iterable[Key]) -> Iterator[Key]:
        for key in keys:
            # One by one, so that a fault may come in the middle.
            yield from self._delete_one(key)

    def _faulty(self, operation: Operation, work: Callable[[], T]) -> T:
        fault = self._next_fault(operation)
        if fault is not None and fault.moment is _Moment.BEFORE:
            raise fault.error()
        result = work()
        if fault is not None:
            raise fault.error()
        return result

    def _next_fault(self, operation: Operation) -> _Fault | None:
        for fault in self._faults:
            if fault.operation is not operation or not fault.times:
                continue
            if fault.skip:
                fault.skip -= 1
                return None
            fault.times -= 1
            return fault
        return None

    def _delete_one(self, key: Key) -> Iterator[Key]:
        inner = self.inner_ability(CanDeleteMany)
        return iter(self._faulty(Operation.DELETE, lambda: [*inner.delete_many([key])]))

    def _put(self, key: Key, source: str, sent: ByteCounter) -> StoredFile:
        if not self._short:
            return self.inner.put(key, source, sent=sent)
        with open(source, "rb") as whole:
            content = whole.read(self._short.pop(0))
        short = source + SHORT_SUFFIX
        with open(short, "wb") as file:
            file.write(content)
        try:
            return self.inner.put(key, short, sent=sent)
        finally:
            os.unlink(short)

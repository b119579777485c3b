"""Another try for what was Unavailable, after exponentially growing pauses with full jitter.

A file that arrived Incomplete is sent or fetched again in the same way; nothing else is retried.

Sleeping and chance are handed in, so that tests neither wait nor throw dice. The clock is not needed: the limit is the
sum of the pauses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from twofold.errors import AlreadyExists, Incomplete, Unavailable
from twofold.model.value import value
from twofold.storage.store import (
    ByteCounter,
    CanCopy,
    CanCreateExclusive,
    CanDeleteMany,
    CanMove,
    CanReadRange,
    CanReportSpace,
    CanRetain,
    CanWarmUp,
    Key,
    Operation,
    RetainMode,
    Store,
    StoredFile,
    StoreWrapper,
    Warming,
    ability,
    ignore_bytes,
)

T = TypeVar("T")


@value
class RetryPolicy:
    """How often and how patiently: all times in seconds.

    `attempts` counts the first one too (--num-retries), `base_delay` bounds the first pause (--backend-retry-delay),
    every further bound doubles up to `longest_delay`; `patience` bounds the sum of all pauses of one operation.
    """

    attempts: int = 5
    base_delay: float = 1.0
    longest_delay: float = 60.0
    patience: float = 900.0


@value
class FailedAttempt:
    """An attempt that failed and will be repeated after `pause` seconds; `number` counts from 1."""

    operation: Operation
    name: str
    number: int
    error: Unavailable | Incomplete
    pause: float


def pause_after(
    attempt: int, *, policy: RetryPolicy, chance: float, retry_after: float | None, waited: float
) -> float | None:
    """Seconds to wait after the failed attempt with this number (from 1), or None to give up.

    `chance` is in [0, 1). `retry_after` is what the server asked for: never less than that; a server that asks for
    more than is left of the patience is not waited for.
    """
    if attempt >= policy.attempts:
        return None
    # The exponent is bounded because 2.0 ** 1024 is an error.
    bound = min(policy.longest_delay, policy.base_delay * 2.0 ** min(attempt - 1, 60))
    pause = max(chance * bound, retry_after or 0.0)
    return None if waited + pause > policy.patience else pause


class RetryStore(StoreWrapper):
    """A Store that tries again; abilities are retried as well. `noticed` is told before each pause."""

    def __init__(
        self,
        inner: Store,
        *,
        policy: RetryPolicy,
        sleep: Callable[[float], None],
        chance: Callable[[], float],
        noticed: Callable[[FailedAttempt], None],
    ) -> None:
        super().__init__(inner)
        self._policy = policy
        self._sleep = sleep
        self._chance = chance
        self._noticed = noticed

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        return self._counted(
            Operation.PUT, key, lambda counter: self.inner.put(key, source, sent=counter), counter=sent
        )

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        self._counted(
            Operation.GET, key, lambda counter: self.inner.get(key, target, received=counter), counter=received
        )

    def list(self) -> Iterator[StoredFile]:
        # The whole listing is one attempt: one that breaks off must not yield the first pages twice.
        return iter(self._attempts(Operation.LIST, "", lambda: [*self.inner.list()]))

    def stat(self, key: Key) -> StoredFile:
        return self._attempts(Operation.STAT, key.name, lambda: self.inner.stat(key))

    def delete(self, key: Key) -> None:
        self._attempts(Operation.DELETE, key.name, lambda: self.inner.delete(key))

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        inner = self.inner_ability(CanReadRange)
        return self._attempts(Operation.READ_RANGE, key.name, lambda: inner.read_range(key, start, size))

    def copy(self, source: Key, target: Key) -> StoredFile:
        inner = self.inner_ability(CanCopy)
        return self._attempts(Operation.COPY, target.name, lambda: inner.copy(source, target))

    def move(self, source: str, key: Key) -> StoredFile:
        inner = self.inner_ability(CanMove)
        return self._attempts(Operation.MOVE, key.name, lambda: inner.move(source, key))

    def create(self, key: Key, content: bytes) -> None:
        inner = self.inner_ability(CanCreateExclusive)
        failures = 0

        def attempt() -> None:
            nonlocal failures
            try:
                inner.create(key, content)
            except Unavailable:
                failures += 1
                raise
            except AlreadyExists:
                # The answer to an earlier attempt may have been lost, and then the file that is there is ours.
                if not failures or not self._holds(key, content):
                    raise

        self._attempts(Operation.CREATE, key.name, attempt)

    def warm_up(self, keys: Iterable[Key]) -> Warming:
        inner = self.inner_ability(CanWarmUp)
        wanted = [*keys]
        return self._attempts(Operation.WARM_UP, "", lambda: inner.warm_up(wanted))

    def retain(self, key: Key, until: int, mode: RetainMode) -> None:
        inner = self.inner_ability(CanRetain)
        self._attempts(Operation.RETAIN, key.name, lambda: inner.retain(key, until, mode))

    def free_bytes(self) -> int | None:
        inner = self.inner_ability(CanReportSpace)
        return self._attempts(Operation.FREE_BYTES, "", inner.free_bytes)

    def delete_many(self, keys: Iterable[Key]) -> Iterator[Key]:
        inner = self.inner_ability(CanDeleteMany)
        left = dict.fromkeys(keys)
        gone: list[Key] = []

        def attempt() -> None:
            for key in inner.delete_many([*left]):
                left.pop(key, None)
                gone.append(key)

        self._attempts(Operation.DELETE, "", attempt)
        return iter(gone)

    def _holds(self, key: Key, content: bytes) -> bool:
        reader = ability(self.inner, CanReadRange)
        return reader is not None and reader.read_range(key, 0, len(content) + 1) == content

    def _counted(
        self, operation: Operation, key: Key, transfer: Callable[[ByteCounter], T], *, counter: ByteCounter
    ) -> T:
        """Attempts at a transfer; bytes of one that failed are taken back from `counter`."""

        def attempt() -> T:
            moved = 0

            def count(number: int) -> None:
                nonlocal moved
                moved += number
                counter(number)

            try:
                return transfer(count)
            except (Unavailable, Incomplete):
                if moved:
                    counter(-moved)
                raise

        return self._attempts(operation, key.name, attempt, incomplete=Incomplete)

    def _attempts(
        self,
        operation: Operation,
        name: str,
        attempt: Callable[[], T],
        *,
        incomplete: type[Unavailable | Incomplete] = Unavailable,
    ) -> T:
        """What `attempt` gives in the end; `incomplete` is what is retried besides Unavailable."""
        number = 0
        waited = 0.0
        while True:
            number += 1
            try:
                return attempt()
            except (Unavailable, incomplete) as error:
                pause = pause_after(
                    number,
                    policy=self._policy,
                    chance=self._chance(),
                    retry_after=error.retry_after if isinstance(error, Unavailable) else None,
                    waited=waited,
                )
                if pause is None:
                    raise
                self._noticed(FailedAttempt(operation, name, number, error, pause))
            waited += pause
            self._sleep(pause)

"""A bound on the bytes a second, over all transfers of all stores that share it (--limit-upload, --limit-download).

Whoever moves bytes tells a ByteCounter, which keeps him waiting. Drivers whose bytes other programs move cannot be held
back so and keep to `settings.rates` themselves (`StoreTraits.keeps_rates`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twofold.concurrency import exclusion
from twofold.storage.store import (
    ByteCounter,
    CanCreateExclusive,
    CanReadRange,
    Key,
    Store,
    StoredFile,
    StoreWrapper,
    ignore_bytes,
)

_SAVED: Final = 1.0
"""Seconds whose bytes may be moved at once after nobody moved any."""


class TokenBucket:
    """Lets so many bytes a second through, from any thread: whoever has moved some waits until they are paid for."""

    def __init__(self, rate: int, *, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        """`rate` in bytes a second; the clock in seconds."""
        self._rate = rate
        self._monotonic = monotonic
        self._sleep = sleep
        self._alone = exclusion()
        self._paid_at = monotonic()

    def take(self, count: int) -> None:
        """Waits for these bytes and all that were moved before; negative numbers, which take back, are nothing to us.

        What has to be sent again has used the line twice.
        """
        if count <= 0:
            return
        with self._alone:
            now = self._monotonic()
            self._paid_at = max(self._paid_at, now - _SAVED) + count / self._rate
            wait = self._paid_at - now
        if wait > 0:
            self._sleep(wait)


class LimitedStore(StoreWrapper):
    """A Store that moves no more bytes than the buckets let through; None is no limit.

    Files taken over by `move` lie on this machine, where there is no line to spare.
    """

    def __init__(self, inner: Store, *, upload: TokenBucket | None, download: TokenBucket | None) -> None:
        super().__init__(inner)
        self._upload = upload
        self._download = download

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        return self.inner.put(key, source, sent=_held(sent, self._upload))

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        self.inner.get(key, target, received=_held(received, self._download))

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        content = self.inner_ability(CanReadRange).read_range(key, start, size)
        _held(ignore_bytes, self._download)(len(content))
        return content

    def create(self, key: Key, content: bytes) -> None:
        self.inner_ability(CanCreateExclusive).create(key, content)
        _held(ignore_bytes, self._upload)(len(content))


def _held(told: ByteCounter, bucket: TokenBucket | None) -> ByteCounter:
    if bucket is None:
        return told

    def tell(count: int) -> None:
        told(count)
        bucket.take(count)

    return tell

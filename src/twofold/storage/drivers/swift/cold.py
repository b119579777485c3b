"""pca://: OVH's Public Cloud Archive, a Swift whose objects have to be asked for before they can be read.

Asking is reading: the service refuses, says how many seconds it will take, and begins. Its listings do not tell what is
cold, so all that they name counts as that: to ask for a warm file costs no more than one request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twofold.errors import NeedsWarmUp
from twofold.model.value import replace
from twofold.storage.drivers.swift.store import SwiftStore
from twofold.storage.store import Key, Operation, StoredFile, Warming, Warmth


class PcaStore(SwiftStore):
    """A SwiftStore that also is CanWarmUp."""

    is_cold = True

    def list(self) -> Iterator[StoredFile]:
        return (replace(file, warmth=Warmth.COLD) for file in super().list())

    def warm_up(self, keys: Iterable[Key]) -> Warming:
        warm, coming, times = [], [], []
        for key in keys:
            try:
                self._read(Operation.WARM_UP, key.name, 0, 1)
            except NeedsWarmUp as error:
                coming.append(key)
                times.append(error.ready_at)
            else:
                warm.append(key)
        known = [time for time in times if time is not None]
        return Warming(tuple(warm), tuple(coming), max(known) if known and len(known) == len(times) else None)

"""Where one volume ends and the next begins, decided on the bytes that come out of compression.

A stored file never exceeds the volume size, and where the cuts are does not depend on how many threads work: a cut is
decided between chunks from the exact sizes of all before. Most of the time the worst case of what is still being
compressed is bound enough, and nobody waits.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

from twofold.concurrency import Ledger

LONGEST_TAIL: Final = 10240


class SizeRules(Protocol):
    """What an envelope promises about sizes (envelope/protocol.py)."""

    def worst_case(self, raw_size: int) -> int:
        """The most bytes that so many can become."""

    def overhead(self, deflated_size: int) -> int:
        """The most bytes that a file adds to its pieces."""


class VolumeMeter:
    """Says whether the next chunk still fits. Used by the packing stage; `ledger` is filled by the compressing one."""

    def __init__(self, rules: SizeRules, ledger: Ledger, *, limit: int) -> None:
        """`limit` is the largest stored file in bytes."""
        self._rules = rules
        self._ledger = ledger
        self._limit = limit
        self._settled = 0
        self._pending: deque[tuple[int, int]] = deque()
        self._pending_worst = 0

    def fits(self, raw_size: int) -> bool:
        """Whether a chunk of at most `raw_size` bytes and the volume's tail still fit; an empty volume takes any.

        Raises Cancelled when the work has been given up.
        """
        if not self._settled and not self._pending:
            return True
        more = self._rules.worst_case(raw_size) + self._rules.worst_case(LONGEST_TAIL)
        while not self._within(self._settled + self._pending_worst + more):
            if not self._pending:
                return False
            number, worst = self._pending.popleft()
            self._settled += self._ledger.wait(number)
            self._pending_worst -= worst
            self._ledger.forget(number)
        return True

    def add(self, number: int, raw_size: int) -> None:
        """Chunk `number` goes into the current volume."""
        worst = self._rules.worst_case(raw_size)
        self._pending.append((number, worst))
        self._pending_worst += worst

    def begin(self) -> None:
        """A new volume begins with the next chunk."""
        self._settled = 0
        self._pending.clear()
        self._pending_worst = 0

    def _within(self, deflated: int) -> bool:
        return deflated + self._rules.overhead(deflated) <= self._limit

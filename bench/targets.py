"""How much faster twofold has to be than each peer, and wants to be; and its bounds in bytes and seconds."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from bench.data_sets import Operation
from bench.installed import BORG, DUPLICITY, RESTIC

VOLUME_BYTES = 4_000_000
SET_BYTES = 8_500_000
"""Of the increment of 1,300 pages in 1 GiB: its volumes, and volumes with the signature file."""
START_SECONDS = 0.10
"""What `--version` may take longer than a bare interpreter."""


class Target(NamedTuple):
    """Their time through ours: at least, and hoped for (None where there is but the one)."""

    must: float
    aim: float | None = None

    def __str__(self) -> str:
        return f"{self.must:g}" if self.aim is None else f"{self.must:g}/{self.aim:g}"


class Verdict(Enum):
    """The mark of each stands in the tables."""

    MISSED = "✗"
    REACHED = "✓"
    AIMED = "✓✓"


class _Row(NamedTuple):
    operation: Operation
    data_sets: frozenset[str]
    duplicity: Target
    restic: Target
    borg: Target


_SMALL = frozenset({"sources", "tiny"})
_LARGE = frozenset({"home", "image"})
_ALL = _SMALL | _LARGE
_CHAINS = frozenset({"chains"})
_ROWS = (
    _Row(Operation.FULL, _SMALL, Target(5, 8), Target(2, 3), Target(1.5, 2)),
    _Row(Operation.FULL, _LARGE, Target(5, 8), Target(1.8, 3), Target(1.3, 2)),
    _Row(Operation.UNCHANGED, _ALL | _CHAINS, Target(5, 8), Target(3, 5), Target(2.2, 4)),
    _Row(Operation.CHANGE, _SMALL | _CHAINS, Target(4, 6), Target(2.5, 4), Target(1.8, 3)),
    _Row(Operation.CHANGE, frozenset({"image"}), Target(4, 10), Target(2, 4), Target(1.5, 3)),
    _Row(Operation.RESTORE, _ALL, Target(3, 5), Target(2, 3), Target(1.7, 3)),
    _Row(Operation.RESTORE_ONE, _CHAINS, Target(5, 20), Target(1.6), Target(1, 1.5)),
    _Row(Operation.VERIFY, _ALL, Target(4, 6), Target(1.7, 3), Target(1.3, 2)),
    _Row(Operation.LIST, _SMALL | _CHAINS, Target(6, 10), Target(4), Target(2.5, 4)),
)


def target(data_set: str, operation: Operation, program: str) -> Target | None:
    for row in _ROWS:
        if row.operation is operation and data_set in row.data_sets:
            return {DUPLICITY: row.duplicity, RESTIC: row.restic, BORG: row.borg}.get(program)
    return None


def verdict(ratio: float, wanted: Target) -> Verdict:
    """A target that is reached to the digit shown counts as reached nowhere but in the digits."""
    if ratio < wanted.must:
        return Verdict.MISSED
    aim = wanted.must if wanted.aim is None else wanted.aim
    return Verdict.AIMED if ratio >= aim else Verdict.REACHED

"""Decides from the facts of an entry, then and now, whether it is to be stored."""

from __future__ import annotations

import stat
from array import array
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

from twofold.pipeline.known import CTIME, GID, MODE, MTIME, NOWHERE, SIZE, TYPE, UID, UNKNOWN, split_location

_SECOND: Final = 1_000_000_000
# duplicity rounds the time up where a double cannot hold it (docs/format.md section 5.3).
_DOUBLE_SLACK: Final = 120


class Verdict(Enum):
    """What is to be done; CHECK means that the content decides."""

    SAME = auto()
    CHANGED = auto()
    CHECK = auto()


def judge(old: array[int], new: array[int], where: int, set_times: Sequence[int]) -> Verdict:
    """Compares the FIELDS numbers of one entry; `where` locates it in signature files of sets begun at those times."""
    if old[MODE] & TYPE != new[MODE] & TYPE:
        return Verdict.CHANGED
    if old[SIZE] == UNKNOWN:
        return _judge_by_seconds(old, new, where, set_times)
    directory = old[MODE] & TYPE == stat.S_IFDIR
    if old[:SIZE] != new[:SIZE] or old[MTIME] != new[MTIME] or (old[SIZE] != new[SIZE] and not directory):
        return Verdict.CHANGED
    if old[CTIME] == new[CTIME]:
        return Verdict.SAME  # the inode may differ: a moved disk is no change
    return Verdict.CHECK


def _judge_by_seconds(old: array[int], new: array[int], where: int, set_times: Sequence[int]) -> Verdict:
    """What duplicity wrote says less: neither size nor fractions nor ctime (docs/format.md section 5.3)."""
    if old[MODE] != new[MODE] or old[UID] != new[UID] or old[GID] != new[GID]:
        return Verdict.CHANGED
    kind = new[MODE] & TYPE
    if kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK):
        return Verdict.CHECK
    seconds = new[MTIME] // _SECOND
    same = old[MTIME] == seconds * _SECOND or (
        old[MTIME] == (seconds + 1) * _SECOND and new[MTIME] % _SECOND >= _SECOND - _DOUBLE_SLACK
    )
    if not same and not (old[MTIME] <= 0 and new[MTIME] <= 0):
        return Verdict.CHANGED
    if kind == stat.S_IFREG and where != NOWHERE:
        # An old mtime can be put back after a change; the change time cannot. What was touched since that backup
        # began is compared by content.
        began = set_times[split_location(where)[0]]
        if max(seconds, new[CTIME] // _SECOND) >= began:
            return Verdict.CHECK
    return Verdict.SAME

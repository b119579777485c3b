"""Counts what the tests have tried to break; `make reliability` writes the sums into docs/reliability.md."""

from __future__ import annotations

import enum
import json
import os
from collections import Counter
from pathlib import Path


class Tried(enum.Enum):
    """What is counted; the values are the words of the page."""

    SEQUENCES = "random sequences of edits, backups, interruptions, retention and losses"
    TURNS = "of them with twofold and duplicity in turns"
    POWER_CUTS = "power cuts at a call of the store or a write to the archive directory"
    KILLS = "processes killed in the middle of a backup"
    INTERRUPTS = "Ctrl-C while walking, encrypting, or waiting for a server"
    FAULTS = "errors of the store in the middle of a backup or a deletion"
    DAMAGES = "files damaged: deleted, cut, extended, flipped, swapped, replayed"
    HOSTILE = "archives made to do harm"
    INPUTS = "inputs of fuzzing replayed"
    SECRETS = "secrets looked for in every process, log and file while a backup and a restore run"
    RESTORES = "trees restored and compared with what they had been, byte by byte"


_counts: Counter[str] = Counter()


def tally(what: Tried, count: int = 1) -> None:
    """Adds to the sum of this process."""
    _counts[what.name] += count


def write_tally(folder: str) -> None:
    """Leaves the sums of this process in a file of its own, where there are any."""
    if _counts:
        os.makedirs(folder, exist_ok=True)
        Path(folder, f"{os.getpid()}.json").write_text(json.dumps(_counts))


def read_tallies(folder: str) -> dict[str, int]:
    """The sums of all processes."""
    total: Counter[str] = Counter()
    for path in Path(folder).glob("*.json"):
        total.update(json.loads(path.read_text()))
    return dict(total)

"""The kept inputs of a target: one archive each, the same bytes for the same inputs."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable
from pathlib import Path

from tests.fuzz import archive_targets, envelope_targets, kernel_targets
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {**archive_targets.TARGETS, **envelope_targets.TARGETS, **kernel_targets.TARGETS}
FOLDER = Path(__file__).parent / "corpus"
LARGEST = 60_000
"""Bytes of one archive: all of them together stay below a megabyte."""

_NO_DATE = (1980, 1, 1, 0, 0, 0)


def inputs(name: str) -> list[bytes]:
    """The seeds and what fuzzing has found since."""
    found = list(TARGETS[name].seeds())
    path = FOLDER / f"{name}.zip"
    if path.exists():
        with zipfile.ZipFile(path) as archive:
            found += [archive.read(member) for member in archive.infolist()]
    return found


def keep(name: str, found: Iterable[bytes]) -> int:
    """Writes the archive, the smallest inputs first, as many as there is room for; returns how many."""
    seeds = set(TARGETS[name].seeds())
    kept = sorted(set(found) - seeds, key=lambda each: (len(each), each))
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.zip"
    while True:
        with zipfile.ZipFile(path, "w") as archive:
            for each in kept:
                member = zipfile.ZipInfo(hashlib.sha256(each).hexdigest()[:16], _NO_DATE)
                archive.writestr(member, each, zipfile.ZIP_DEFLATED, 9)
        if path.stat().st_size <= LARGEST:
            return len(kept)
        kept = kept[: len(kept) * 9 // 10]

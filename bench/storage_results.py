"""What moving files took: kept in storage.json, shown in storage.md."""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import NamedTuple

from bench.installed import DUPLICITY, OURS
from bench.measure import Cost
from bench.tables import MEGABYTE, NOTHING, markdown, number

DRIVER, RCLONE = "twofold's driver", "rclone copyto"
CONTENDERS = (DRIVER, RCLONE, OURS, DUPLICITY)
_DATA, _PAGE = "storage.json", "storage.md"
_METHOD = """\
Servers and programs run on this machine, which they share; the round trip is made by a proxy that holds every byte back
for half of it and lets through as many at once as come (FTP: data connections, too). Each combination has a fresh
server: OpenSSH, pyftpdlib, nginx, rsyncd, SeaweedFS. What is moved are {count:,.0f} MB in 4 files that do not compress,
and what comes back is compared with them. Wall time of the whole command is counted, with its start and its login, so
no figure is higher than a person would see it; shown is the median of the rounds.

*twofold's driver* only moves the files, as does *rclone copyto*; *twofold* and *duplicity* make a full backup and
restore it, without encryption and compression, with volumes as large as the files: what their work costs besides
moving is seen in the rows of `file`. *4 at once*: four threads, `--transfers 4`, `--concurrency 4`. duplicity restores
one volume after another whatever it is told.
"""


class Move(enum.Enum):
    """In the order in which they happen."""

    PUT = "put"
    GET = "get"


class Moved(NamedTuple):
    """One measured command; without cost it failed. `round_trip` is in milliseconds."""

    service: str
    round_trip: int
    at_once: int
    program: str
    move: Move
    bytes: int
    cost: Cost | None
    failure: str = ""

    @property
    def combination(self) -> tuple[str, int, int, str, Move]:
        return self[:5]

    @property
    def megabytes_a_second(self) -> float:
        """0 where it failed."""
        return 0.0 if self.cost is None else self.bytes / MEGABYTE / max(self.cost.seconds, 0.001)

    def line(self) -> str:
        where = (
            f"{self.service:<7} {self.round_trip:>3} ms  {self.at_once} at once  {self.program:<17} {self.move.value}"
        )
        if self.cost is None:
            return f"{where}  {self.failure}"
        return f"{where} {self.megabytes_a_second:8.1f} MB/s {self.cost.cpu_seconds:8.2f} s CPU"


class Session(NamedTuple):
    """When and where it was measured, and with what."""

    began: str
    scale: float
    machine: dict[str, str]
    versions: dict[str, str]


def moved_before(folder: str, *, scale: float) -> list[Moved]:
    """What earlier runs of the same scale have left."""
    try:
        with open(os.path.join(folder, _DATA), encoding="utf-8") as file:
            kept = json.load(file)
    except FileNotFoundError:
        return []
    return [_moved(*row) for row in kept["moved"]] if kept["session"]["scale"] == scale else []


def _moved(
    service: str,
    round_trip: int,
    at_once: int,
    program: str,
    move: str,
    size: int,
    cost: dict[str, float],
    failure: str,
) -> Moved:
    made = Cost(**cost) if cost else None  # type: ignore[arg-type]
    return Moved(service, round_trip, at_once, program, Move(move), size, made, failure)


def write(folder: str, session: Session, before: Sequence[Moved], made: Sequence[Moved]) -> None:
    """Data and page, each replaced as a whole; what was measured anew takes the place of what was there."""
    anew = {moved.combination for moved in made}
    moved = [*(old for old in before if old.combination not in anew), *made]
    rows = [(*one[:4], one.move.value, one.bytes, one.cost and asdict(one.cost), one.failure) for one in moved]
    os.makedirs(folder, exist_ok=True)
    _replace(os.path.join(folder, _DATA), json.dumps({"session": session._asdict(), "moved": rows}, indent=1) + "\n")
    _replace(os.path.join(folder, _PAGE), page(session, moved))


def _replace(path: str, text: str) -> None:
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.new", path)


def page(session: Session, moved: Sequence[Moved]) -> str:
    trial = "" if session.scale == 1 else f"**A trial at {session.scale:g} of the real size: it says nothing.**\n\n"
    programs = list(
        dict.fromkeys(one.program for one in sorted(moved, key=lambda one: one.program in session.versions))
    )
    figures: dict[tuple[str, int, int, str, Move], list[Moved]] = {}
    for one in moved:
        figures.setdefault(one.combination, []).append(one)
    lines = list(dict.fromkeys(one[:3] for one in moved))
    sections = []
    for move in Move:
        rows = [
            (service, f"{round_trip} ms", f"{at_once}", *(_cell(figures.get((*line, each, move))) for each in programs))
            for line in lines
            for service, round_trip, at_once in [line]
        ]
        table = markdown(("service", "round trip", "at once", *programs), rows, texts=1)
        sections.append(f"## {move.value}: MB a second\n\n{table}")
    facts = markdown(("", ""), [("measured", session.began), *session.machine.items(), *session.versions.items()])
    size = max((one.bytes for one in moved), default=0) / MEGABYTE
    head = "# Storage protocols\n\nMade by `python -m bench storage`.\n\n"
    return "\n".join([head + trial + _METHOD.format(count=size), *sections, f"## Machine and programs\n\n{facts}"])


def _cell(found: Sequence[Moved] | None) -> str:
    """The median; duplicity's get is not measured where its put has failed."""
    if not found:
        return NOTHING
    if any(one.failure for one in found):
        return "failed"
    return number(median(one.megabytes_a_second for one in found))

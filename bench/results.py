"""Results as they are kept: runs of measurements in one JSON file, written anew after each measurement.

A later run takes the place of an earlier one, cell by cell; what is set in relation always comes from the same run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import NamedTuple

from bench.data_sets import Operation
from bench.measure import Cost

FILE_NAME = "results.json"
_LEAST_SECONDS = 0.001
"""Below this a duration says nothing, and must not be divided by."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured operation. `stored` is what it added to the repository in bytes, by kind of file."""

    data_set: str
    operation: Operation
    program: str
    round: int
    step: int
    cost: Cost | None
    stored: dict[str, int] = field(default_factory=dict)
    failure: str = ""


@dataclass(slots=True)
class Run:
    """What was measured in one go, with everything a reader needs to judge it. It grows while it is measured."""

    command: str
    began: str
    scale: float
    machine: dict[str, str]
    versions: dict[str, str]
    data_sets: dict[str, dict[str, str | int]] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)


class Spread(NamedTuple):
    """Median, smallest and largest of some paired figures, and how many there were."""

    median: float
    least: float
    most: float
    pairs: int


def spread(values: Iterable[float]) -> Spread | None:
    found = sorted(values)
    return Spread(median(found), found[0], found[-1], len(found)) if found else None


def seconds(cost: Cost) -> float:
    return max(cost.seconds, _LEAST_SECONDS)


def cpu_seconds(cost: Cost) -> float:
    return max(cost.cpu_seconds, _LEAST_SECONDS)


class Results:
    """Answers for the tables from all runs of one scale."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self.runs = list(runs)
        self._cells: list[dict[tuple[str, Operation, str], list[Measurement]]] = []
        for run in self.runs:
            cells: dict[tuple[str, Operation, str], list[Measurement]] = {}
            for measurement in run.measurements:
                key = (measurement.data_set, measurement.operation, measurement.program)
                cells.setdefault(key, []).append(measurement)
            self._cells.append(cells)

    def measurements(self, data_set: str, operation: Operation, program: str) -> list[Measurement]:
        """Those of the latest run that has any."""
        for cells in reversed(self._cells):
            found = cells.get((data_set, operation, program))
            if found:
                return found
        return []

    def failed(self, data_set: str, operation: Operation, program: str) -> bool:
        return any(found.failure for found in self.measurements(data_set, operation, program))

    def spread(
        self, data_set: str, operation: Operation, program: str, value: Callable[[Cost], float]
    ) -> Spread | None:
        found = self.measurements(data_set, operation, program)
        return spread(value(one.cost) for one in found if one.cost is not None)

    def stored(self, data_set: str, operation: Operation, program: str) -> dict[str, int]:
        """Bytes by kind that one such backup added: the median over rounds, each kind for itself."""
        found = [one.stored for one in self.measurements(data_set, operation, program) if one.cost is not None]
        kinds = {kind: None for stored in found for kind in stored}
        return {kind: round(median(stored.get(kind, 0) for stored in found)) for kind in kinds}

    def ratio(
        self, data_set: str, operation: Operation, *, ours: str, theirs: str, value: Callable[[Cost], float]
    ) -> Spread | None:
        """Theirs through ours, paired by round and step, from the latest run that measured both."""
        for cells in reversed(self._cells):
            mine = _by_pair(cells.get((data_set, operation, ours), []))
            other = _by_pair(cells.get((data_set, operation, theirs), []))
            found = spread(value(other[pair]) / value(mine[pair]) for pair in mine.keys() & other.keys())
            if found is not None:
                return found
        return None

    def programs(self, order: Iterable[str]) -> list[str]:
        measured = {measurement.program for run in self.runs for measurement in run.measurements}
        return [name for name in order if name in measured]

    def has(self, data_set: str) -> bool:
        return any(data_set == key[0] for cells in self._cells for key in cells)

    def about(self, data_set: str) -> dict[str, str | int]:
        return next((run.data_sets[data_set] for run in reversed(self.runs) if data_set in run.data_sets), {})


def _by_pair(measurements: list[Measurement]) -> dict[tuple[int, int], Cost]:
    return {(one.round, one.step): one.cost for one in measurements if one.cost is not None}


class ResultFile:
    """The runs of a file, the newest of them still growing."""

    def __init__(self, path: str, run: Run) -> None:
        self._path = path
        self._runs = [*read_runs(path), run]
        self._run = run

    def add(self, measurement: Measurement) -> None:
        self._run.measurements.append(measurement)
        self.write()

    def write(self) -> None:
        write_runs(self._path, self._runs)


def write_runs(path: str, runs: Iterable[Run]) -> None:
    """The file is replaced as a whole: a run that is cut off leaves the state before."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    text = json.dumps({"runs": [asdict(run) for run in runs]}, indent=1)
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text + "\n")
    os.replace(f"{path}.new", path)


def read_runs(path: str) -> list[Run]:
    """Those of a file, oldest first; none if there is no file."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [_run(fields) for fields in json.load(file)["runs"]]


def _run(fields: dict[str, object]) -> Run:
    run = Run(**fields)  # type: ignore[arg-type]
    measurements: list[dict[str, object]] = run.measurements  # type: ignore[assignment]
    return replace(run, measurements=[_measurement(one) for one in measurements])


def _measurement(fields: dict[str, object]) -> Measurement:
    measurement = Measurement(**fields)  # type: ignore[arg-type]
    cost: dict[str, float] | None = fields["cost"]  # type: ignore[assignment]
    made = None if cost is None else Cost(**cost)  # type: ignore[arg-type]
    return replace(measurement, operation=Operation(measurement.operation), cost=made)

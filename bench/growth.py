"""The second table: how cost grows with the number of files, the length of a chain and the size of one file."""

from __future__ import annotations

from collections.abc import Sequence

from bench.data_sets import Operation
from bench.installed import NAMES
from bench.results import Results
from bench.tables import MEGABYTE, NOTHING, markdown, number

_TITLES = {
    "files": "Files of 0 to 1,500 bytes",
    "chain": "Increments in a chain (2,000 files, 1 % changed each time)",
    "image": "Size of one file, 1,300 pages changed",
}


def growth_section(results: Results, data_sets: Sequence[str]) -> str:
    """Empty when nothing of it has been measured."""
    tables = []
    for family, title in _TITLES.items():
        names = [name for name in data_sets if name.startswith(f"{family}-") and results.has(name)]
        if names:
            tables.append(f"### {title}\n\n{_table(results, names)}")
    if not tables:
        return ""
    about = "Wall seconds, CPU seconds and peak memory of all processes; of backups also what they stored."
    return f"## How cost grows\n\n{about}\n\n" + "\n".join(tables)


def _table(results: Results, names: Sequence[str]) -> str:
    rows = [
        (operation.value, program, *(_cell(results, name, operation, program) for name in names))
        for operation in Operation
        for program in NAMES
        if any(results.measurements(name, operation, program) for name in names)
    ]
    return markdown(("operation", "program", *(name.partition("-")[2] for name in names)), rows)


def _cell(results: Results, data_set: str, operation: Operation, program: str) -> str:
    if results.failed(data_set, operation, program):
        return "failed"
    wall = results.spread(data_set, operation, program, lambda cost: cost.seconds)
    cpu = results.spread(data_set, operation, program, lambda cost: cost.cpu_seconds)
    memory = results.spread(data_set, operation, program, lambda cost: cost.tree_bytes)
    if wall is None or cpu is None or memory is None:
        return NOTHING
    stored = sum(results.stored(data_set, operation, program).values())
    text = f"{number(wall.median)} s, {number(cpu.median)} s CPU, {memory.most / MEGABYTE:,.0f} MB"
    return text if not stored else f"{text}, {stored / MEGABYTE:,.2f} MB stored"

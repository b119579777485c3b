"""Markdown tables of results: one row for each data set and operation, one column for each program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from bench.data_sets import Operation
from bench.installed import OURS
from bench.measure import Cost
from bench.results import Results, Spread
from bench.targets import Verdict, target, verdict

NOTHING = "-"
MEGABYTE = 1e6
Row = tuple[str, Operation]
Cell = Callable[[str, Operation, str], str]


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int = 2) -> str:
    """The first so many columns hold text, the others numbers, which stand to the right."""
    rule = ["---" if number < texts else "---:" for number in range(len(header))]
    lines = [header, rule, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def number(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def rows_of(results: Results, data_sets: Iterable[str], programs: Sequence[str]) -> list[Row]:
    """Every data set and operation that anything was measured of, in the order of the catalogue."""
    return [
        (data_set, operation)
        for data_set in data_sets
        for operation in Operation
        if any(results.measurements(data_set, operation, program) for program in programs)
    ]


def program_table(rows: Iterable[Row], programs: Sequence[str], cell: Cell) -> str:
    """Rows of which every cell is empty are left out."""
    made = [
        (data_set, operation, [cell(data_set, operation, program) for program in programs])
        for data_set, operation in rows
    ]
    shown = [(data_set, operation.value, *cells) for data_set, operation, cells in made if set(cells) != {NOTHING}]
    return markdown(("data set", "operation", *programs), shown)


def cost_cell(results: Results, value: Callable[[Cost], float], *, unit: float = 1.0) -> Cell:
    """The median of all rounds."""

    def cell(data_set: str, operation: Operation, program: str) -> str:
        if results.failed(data_set, operation, program):
            return "failed"
        found = results.spread(data_set, operation, program, value)
        return NOTHING if found is None else number(found.median / unit)

    return cell


def memory_cell(results: Results) -> Cell:
    """Megabytes of the largest process, and of the tree where that is more."""

    def cell(data_set: str, operation: Operation, program: str) -> str:
        largest = results.spread(data_set, operation, program, lambda cost: cost.process_bytes)
        tree = results.spread(data_set, operation, program, lambda cost: cost.tree_bytes)
        if largest is None or tree is None:
            return NOTHING
        one, all_of_it = round(largest.most / MEGABYTE), round(tree.most / MEGABYTE)
        return f"{one}" if one == all_of_it else f"{one} / {all_of_it}"

    return cell


def stored_cell(results: Results) -> Cell:
    """Megabytes that a backup added to the repository."""

    def cell(data_set: str, operation: Operation, program: str) -> str:
        stored = results.stored(data_set, operation, program)
        return f"{sum(stored.values()) / MEGABYTE:,.3f}" if stored else NOTHING

    return cell


def ratio_cell(results: Results, value: Callable[[Cost], float], *, with_targets: bool) -> Cell:
    """The peer's cost through ours, with the spread over rounds, the target, and whether it is reached."""

    def cell(data_set: str, operation: Operation, program: str) -> str:
        if results.failed(data_set, operation, program) or results.failed(data_set, operation, OURS):
            return "failed"
        found = results.ratio(data_set, operation, ours=OURS, theirs=program, value=value)
        if found is None:
            return NOTHING
        text = spread_text(found)
        wanted = target(data_set, operation, program) if with_targets else None
        if wanted is None:
            return text
        reached = verdict(found.median, wanted)
        mark = f"**{reached.value}**" if reached is Verdict.MISSED else reached.value
        return f"{text} {mark} {wanted}"

    return cell


def spread_text(found: Spread) -> str:
    if found.pairs == 1:
        return number(found.median)
    return f"{number(found.median)} ({number(found.least)}-{number(found.most)})"

"""Writes docs/benchmarks: README.md with the tables, ratios.svg, and the results that they were made from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from statistics import median

from bench.catalogue import compared, growing
from bench.data_sets import Operation
from bench.growth import growth_section
from bench.installed import INTERPRETER, NAMES, OURS
from bench.plot import lines_of, svg
from bench.results import FILE_NAME, Measurement, Results, Run, cpu_seconds, read_runs, seconds, write_runs
from bench.tables import (
    NOTHING,
    cost_cell,
    markdown,
    memory_cell,
    number,
    program_table,
    ratio_cell,
    rows_of,
    stored_cell,
)
from bench.targets import SET_BYTES, START_SECONDS, VOLUME_BYTES, Verdict, target, verdict

_PLOT = "ratios.svg"
_METHOD = """\
All programs encrypt symmetrically with the same passphrase and otherwise run with their defaults: twofold and duplicity
with `PASSPHRASE`, restic with its password, borg with `repokey-blake2` and lz4 (once more with zstd), and
`tar -cf - | gpg -c`. They back up to a folder beside the source, with their caches there, too. In each round every
program does one operation before any does the next, and the order moves by one from round to round. A ratio is the
peer's figure through twofold's of the same round; shown is the median over the rounds, with the least and the most.
One figure alone comes from one round: what takes long is measured once, and so is borg with zstd. Sources have been
read before, so that they are in memory.

Everything that is restored is compared with the source: names, kinds, modes, modification times and every byte.
*small change* edits 1 % of the files and adds and removes a few (image: it rewrites pages all over it); *restore all*,
*verify* and *list* follow after it and read the whole chain (tar: its one archive). *verify* is `verify --compare-data`
for twofold and duplicity, which decrypts everything and compares it with the source; `check --read-data` for restic and
`check --verify-data` for borg, which decrypt everything and check it against their hashes. Not measured are `restic
init` and `borg init`, and the processor time of gpg-agent, which is none of the children of the programs.

CPU seconds are those of the program and its children. Memory is the peak of the largest process and, behind the slash
where it is more, of all its processes together, looked at twenty times a second, memory that they share counted for
each.
"""


def write(output: str, *, more: Sequence[str] = ()) -> None:
    """Merges the results of other files with those that lie in `output`, and writes everything there."""
    runs = _merged([*read_runs(os.path.join(output, FILE_NAME)), *(run for path in more for run in read_runs(path))])
    if not any(run.measurements for run in runs):
        raise SystemExit(f"Nothing has been measured yet: {os.path.join(output, FILE_NAME)} holds no results")
    if more:
        write_runs(os.path.join(output, FILE_NAME), runs)
    text, picture = document(runs)
    _write(os.path.join(output, "README.md"), text)
    if picture:
        _write(os.path.join(output, _PLOT), picture)
    print(f"Written: {os.path.join(output, 'README.md')}", flush=True)


def _merged(runs: Iterable[Run]) -> list[Run]:
    """Oldest first, each once."""
    made: list[Run] = []
    for run in sorted(runs, key=lambda run: run.began):
        if run not in made:
            made.append(run)
    return made


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def document(runs: Sequence[Run]) -> tuple[str, str]:
    """The page and the picture. Only runs of the newest run's scale count."""
    measured = [run for run in runs if run.measurements]
    results = Results(run for run in measured if run.scale == measured[-1].scale)
    data_sets = [data_set.name for data_set in compared(1.0)]
    programs = results.programs(name for name in NAMES if name != INTERPRETER)
    peers = [name for name in programs if name != OURS]
    rows = rows_of(results, (name for name in data_sets if name != "start"), programs)
    picture = svg(lines_of(results, rows, peers), title="Peers take how many times as long as twofold (logarithmic)")
    parts = [_introduction(results)]
    if rows:
        parts += [_ratios(results, rows, peers, with_picture=bool(picture)), _figures(results, rows, programs)]
    if results.has("image1"):
        parts.append(_image_bytes(results))
    if results.has("start"):
        parts.append(_start(results, programs))
    parts += [growth_section(results, [data_set.name for data_set in growing(1.0)])]
    return "\n".join(part for part in parts if part), picture


def _introduction(results: Results) -> str:
    run = results.runs[-1]
    scale = "" if run.scale == 1 else f"\n**A trial at {run.scale:g} of the real size: it says nothing about speed.**\n"
    facts = [*run.machine.items(), *_versions(results)]
    table = markdown(("", ""), facts)
    done = markdown(
        ("run", "twofold", "load before", "measurements"),
        [
            (
                f"{run.began}, {run.command}",
                run.versions.get(OURS, NOTHING),
                run.machine["load before"],
                f"{len(run.measurements)}",
            )
            for run in results.runs
        ],
    )
    abouts = {name: run.data_sets[name] for run in results.runs for name in run.data_sets}
    sets = markdown(("data set", "what it is"), [(name, str(found["about"])) for name, found in abouts.items()])
    return (
        "# Benchmarks\n\nMade by `make bench`; `python -m bench report` writes this page again from `results.json`.\n"
        f"{scale}\n## How it is measured\n\n{_METHOD}\n{sets}\n## Machine and programs\n\n{table}\n{done}"
    )


def _versions(results: Results) -> list[tuple[str, str]]:
    found = {name: text for run in results.runs for name, text in run.versions.items()}
    return [(name, found[name]) for name in NAMES if name in found]


def _ratios(
    results: Results, rows: Sequence[tuple[str, Operation]], peers: Sequence[str], *, with_picture: bool
) -> str:
    wall = program_table(rows, peers, ratio_cell(results, seconds, with_targets=True))
    cpu = program_table(rows, peers, ratio_cell(results, cpu_seconds, with_targets=False))
    picture = f"\n![Ratios to the peers]({_PLOT})\n" if with_picture else ""
    return (
        "## How many times as fast as the peers\n\n"
        "The peer's wall time through twofold's: more is better. Behind it the target, at least / hoped for: "
        f"{Verdict.AIMED.value} what was hoped for is reached, {Verdict.REACHED.value} at least that, "
        f"**{Verdict.MISSED.value}** missed. The target of borg is one against its default compression.\n\n"
        f"{_summary(results, rows, peers)}\n{wall}{picture}\nThe same of CPU seconds:\n\n{cpu}"
    )


def _summary(results: Results, rows: Sequence[tuple[str, Operation]], peers: Sequence[str]) -> str:
    """How many targets are reached, and which are not."""
    reached: list[Verdict] = []
    missed: list[str] = []
    for data_set, operation in rows:
        for program in peers:
            wanted = target(data_set, operation, program)
            found = results.ratio(data_set, operation, ours=OURS, theirs=program, value=seconds)
            if wanted is None or found is None:
                continue
            reached.append(verdict(found.median, wanted))
            if reached[-1] is Verdict.MISSED:
                short = f"{number(found.median)} instead of {wanted.must:g}"
                missed.append(f"- {data_set}, {operation}, {program}: {short}")
    hoped = reached.count(Verdict.AIMED)
    text = f"{len(reached) - len(missed)} of {len(reached)} targets reached, {hoped} of them as hoped for.\n"
    return text + ("" if not missed else "Missed:\n\n" + "\n".join(missed) + "\n")


def _figures(results: Results, rows: Sequence[tuple[str, Operation]], programs: Sequence[str]) -> str:
    tables = {
        "Wall seconds": cost_cell(results, lambda cost: cost.seconds),
        "CPU seconds": cost_cell(results, lambda cost: cost.cpu_seconds),
        "Peak memory, MB": memory_cell(results),
        "Stored by each backup, MB": stored_cell(results),
    }
    return "\n".join(f"## {title}\n\n{program_table(rows, programs, cell)}" for title, cell in tables.items())


def _image_bytes(results: Results) -> str:
    stored = results.stored("image1", Operation.CHANGE, OURS)
    if not stored:
        return ""
    volumes = stored.get("volumes", 0)
    both = volumes + stored.get("signatures", 0)
    table = markdown(
        ("bytes of the increment of 1,300 pages in 1 GiB", "twofold", "at most", ""),
        [
            ("volumes", f"{volumes:,}", f"{VOLUME_BYTES:,}", _mark(volumes <= VOLUME_BYTES)),
            ("volumes and signature file", f"{both:,}", f"{SET_BYTES:,}", _mark(both <= SET_BYTES)),
        ],
        texts=1,
    )
    return f"## Bytes of an increment with scattered edits\n\n{table}"


def _mark(reached: bool) -> str:
    return Verdict.REACHED.value if reached else f"**{Verdict.MISSED.value}**"


def _start(results: Results, programs: Sequence[str]) -> str:
    """`--version` of each program, and what twofold adds to its interpreter."""
    shown = [*programs, INTERPRETER]
    cell = cost_cell(results, lambda cost: cost.seconds)
    table = markdown(shown, [[cell("start", Operation.VERSION, program) for program in shown]], texts=0)
    ours = _by_pair(results.measurements("start", Operation.VERSION, OURS))
    bare = _by_pair(results.measurements("start", Operation.VERSION, INTERPRETER))
    more = [ours[pair] - bare[pair] for pair in ours.keys() & bare.keys()]
    verdict_text = ""
    if more:
        found = median(more)
        mark = _mark(found <= START_SECONDS)
        verdict_text = (
            f"\ntwofold takes {found:.3f} s more than a bare interpreter; at most {START_SECONDS:.2f} s {mark}\n"
        )
    return f"## Start-up: wall seconds of `--version`\n\n{table}{verdict_text}"


def _by_pair(measurements: Sequence[Measurement]) -> dict[tuple[int, int], float]:
    return {(one.round, one.step): one.cost.seconds for one in measurements if one.cost is not None}

"""`python -m bench`: twofold beside its peers, how its cost grows, its kernel beside librsync, its drivers.

Every measurement is written to `results.json` at once; `python -m bench report` makes tables and plot from it again.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

from bench import catalogue, kernel, report
from bench.compare import Extent, compare
from bench.data_sets import DataSet, Operation
from bench.installed import INTERPRETER, NAMES, OURS, ROOT, find
from bench.machine import commit, description
from bench.programs import Program, version_of
from bench.results import FILE_NAME, ResultFile, Run
from bench.workspace import Workspace, parent_folder, room_needed, workspace

_OUTPUT = os.path.join(ROOT, "docs", "benchmarks")
_TRIAL_OUTPUT = os.path.join(ROOT, ".build", "benchmarks")
_PATIENCE = 120.0
_STORAGE = "storage"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("command", nargs="?", default="all", choices=tuple(_PARTS))
    parser.add_argument("files", nargs="*", help="report: results.json of other runs to merge")
    parser.add_argument("--only", type=_words, metavar="DATASET[,..]", help="only these data sets; storage: protocols")
    parser.add_argument("--operations", type=_words, metavar="NAME[,..]", help="only these, as in 'full,restore all'")
    parser.add_argument("--programs", type=_words, metavar="NAME[,..]", help=f"only these of {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, help="default: 3, and 1 for growth")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the data sets; 0.02 for a trial")
    parser.add_argument("--patience", type=float, default=_PATIENCE, help="seconds that all rounds of a peer may take")
    parser.add_argument("--work", help="folder to work in; default: in memory if it has room, else for temporary files")
    parser.add_argument("--output", help="default: docs/benchmarks; .build/benchmarks when scaled")
    return parser


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _check_names(options: argparse.Namespace) -> None:
    """Before anything is measured: a typing error after an hour is one too late."""
    data_sets = [data_set.name for make in (catalogue.compared, catalogue.growing) for data_set in make(1.0)]
    known: dict[str, Sequence[str]] = {"only": data_sets, "operations": list(Operation), "programs": NAMES}
    if options.command == _STORAGE:
        from bench import storage

        known = storage.names()
    for option, names in known.items():
        unknown = [name for name in getattr(options, option) or [] if name not in names]
        if unknown:
            raise SystemExit(f"--{option} does not know {', '.join(unknown)}: there are {', '.join(names)}")


def _programs(names: Sequence[str]) -> list[Program]:
    programs, missing = find(names)
    if missing:
        print(f"Not installed, so not measured: {', '.join(missing)} (`make bench` installs them)", flush=True)
    return programs


def _measure(
    command: str, data_sets: Sequence[DataSet], programs: Sequence[Program], options: argparse.Namespace, *, rounds: int
) -> bool:
    """Measures the data sets that are wanted one after another; False if anything failed."""
    data_sets = [data_set for data_set in data_sets if options.only is None or data_set.name in options.only]
    if not data_sets:
        return True
    operations = frozenset(Operation(name) for name in options.operations or Operation)
    extent = Extent(rounds if options.rounds is None else options.rounds, options.patience, operations)
    needed = max(room_needed(data_set.footprint, len(programs)) for data_set in data_sets)
    good = True
    with workspace(options.work or parent_folder(needed)) as work:
        run = _begin(command, programs, work, scale=options.scale)
        file = ResultFile(os.path.join(options.output, FILE_NAME), run)
        for data_set in data_sets:
            began = time.monotonic()
            taking_part = [one for one in programs if one.name != INTERPRETER or data_set.footprint == 0]
            run.data_sets[data_set.name] = {"about": data_set.about}
            good = compare(data_set, taking_part, work=work, extent=extent, add=file.add) and good
            print(f"{data_set.name} took {time.monotonic() - began:.0f} s", flush=True)
    return good


def _begin(command: str, programs: Sequence[Program], work: Workspace, *, scale: float) -> Run:
    versions = {program.name: version_of(program, work.fresh_place(program)) for program in programs}
    if commit(ROOT):
        versions[OURS] = f"{versions.get(OURS, OURS)} ({commit(ROOT)})"
    machine = description(work.folder)
    for name, text in (machine | versions).items():
        print(f"{name}: {text}", flush=True)
    return Run(command, time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), scale, machine, versions)


def _compare(options: argparse.Namespace) -> bool:
    return _measure(
        "compare", catalogue.compared(options.scale), _programs(options.programs or NAMES), options, rounds=3
    )


def _growth(options: argparse.Namespace) -> bool:
    return _measure(
        "growth", catalogue.growing(options.scale), _programs(options.programs or (OURS,)), options, rounds=1
    )


def _kernel(options: argparse.Namespace) -> bool:
    del options
    kernel.main([])
    return True


def _storage(options: argparse.Namespace) -> bool:
    from bench import storage  # the servers of the tests

    return storage.run(options)


_PARTS: dict[str, Sequence[Callable[[argparse.Namespace], bool]]] = {
    "all": (_compare, _growth, _kernel),
    "compare": (_compare,),
    "growth": (_growth,),
    "kernel": (_kernel,),
    _STORAGE: (_storage,),
    "report": (),
}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_intermixed_args(arguments)
    _check_names(options)
    if options.output is None:
        options.output = _OUTPUT if options.scale == 1.0 else _TRIAL_OUTPUT
    good = [part(options) for part in _PARTS[options.command]]
    if options.command not in ("kernel", _STORAGE):
        report.write(options.output, more=options.files)
    return 0 if all(good) else 1


if __name__ == "__main__":
    # So that the work folder is removed then, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(main())

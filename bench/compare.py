"""Measures programs side by side: in each round every program does an operation before any does the next one.

The order of the programs moves by one with each round, so that none always comes first. What is not measured: making
and changing the source, making empty repositories, and comparing what was restored with the source, byte by byte.
A program that fails, or restores something else than what it was given, takes no further part in that round.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from bench.comparison import file_differences, tree_differences
from bench.data_sets import DataSet, Operation, Step, Undo
from bench.installed import BORG_ZSTD, INTERPRETER, OURS
from bench.measure import Command, CommandFailed, Cost, measured
from bench.programs import Place, Program, command_of
from bench.results import Measurement
from bench.workspace import Workspace

BACKUPS = frozenset({Operation.FULL, Operation.UNCHANGED, Operation.CHANGE})
_NECESSARY = frozenset({Operation.FULL, Operation.CHANGE})
_APART_SECONDS = 1.2
"""Between two backups of one repository, and between a change and a backup: duplicity names sets by the second, and
several programs mistrust files that changed in the second in which they look."""
_SHOWN_DIFFERENCES = 5


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured; `patience` is the time in seconds that all rounds of one peer and data set may take, if
    there is more than one."""

    rounds: int
    patience: float
    operations: frozenset[Operation] = frozenset(Operation)

    def steps(self, data_set: DataSet) -> list[Step]:
        """Those that are wanted and those that they need before them."""
        steps = [step for step in data_set.steps if step.operation in self.operations | _NECESSARY]
        while steps and steps[-1].operation not in self.operations:
            steps.pop()
        return steps


@dataclass(slots=True)
class _Contestant:
    """One program in one round."""

    program: Program
    place: Place
    backups: int = 0
    last_backup: float = 0.0
    spent: float = 0.0
    failed: bool = False


@dataclass(slots=True)
class _Source:
    """The data set on disk, with the changes made to it."""

    data_set: DataSet
    folder: str
    changes: list[tuple[int, Undo]] = field(default_factory=list)
    changed_at: float = 0.0

    def change(self, number: int) -> None:
        self.changes.append((number, self.data_set.change(self.folder, number)))
        self.changed_at = time.monotonic()

    def restore(self) -> list[int]:
        """Puts everything back and returns the numbers of the changes that were made."""
        numbers = [number for number, _ in self.changes]
        while self.changes:
            self.changes.pop()[1].undo()
        self.changed_at = time.monotonic()
        return numbers

    @contextmanager
    def pristine(self) -> Iterator[None]:
        """As it was before all changes, for looking at what a program without increments restored."""
        numbers = self.restore()
        try:
            yield
        finally:
            for number in numbers:
                self.change(number)

    def read(self) -> None:
        """Once through all of it, so that no program is the first to read it from the disk."""
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with open(os.path.join(folder, name), "rb", buffering=0) as file:
                    while file.read(1 << 20):
                        pass


class Differs(Exception):
    """A restore ended well and did not restore what was backed up."""


Add = Callable[[Measurement], None]


def compare(data_set: DataSet, programs: Sequence[Program], *, work: Workspace, extent: Extent, add: Add) -> bool:
    """Runs all rounds of a data set and hands each measurement to `add` at once; False if anything failed."""
    source = _Source(data_set, work.fresh_folder("source"))
    data_set.create(source.folder)
    steps = extent.steps(data_set)
    rounds = extent.rounds if data_set.rounds is None else min(extent.rounds, data_set.rounds)
    taking_part = list(programs)
    spent: dict[str, list[float]] = {program.name: [] for program in programs}
    good = True
    for number in range(rounds):
        turn = number % len(taking_part)
        order = [_Contestant(program, work.fresh_place(program)) for program in taking_part[turn:] + taking_part[:turn]]
        _Round(source, order, work=work, number=number, wanted=extent.operations, add=add).run(steps)
        good = good and not any(contestant.failed for contestant in order)
        for contestant in order:
            spent[contestant.program.name].append(contestant.spent)
            work.remove_place(contestant.program)
        taking_part = [
            program
            for program in taking_part
            if takes_part_again(program.name, spent[program.name], patience=extent.patience)
        ]
        left = [program.name for program in taking_part]
        if not left or (left == [OURS] and len(programs) > 1):
            break
    work.remove_folder("source")
    return good


def takes_part_again(name: str, spent: Sequence[float], *, patience: float) -> bool:
    """Whether a program that spent so many seconds in each round should have one more.

    What takes long is told well enough by one round; what does not has more of them.
    """
    if name in (OURS, INTERPRETER):
        return True
    return name != BORG_ZSTD and sum(spent) + spent[-1] <= patience


class _Round:
    """All steps of a data set for all programs, once."""

    def __init__(
        self,
        source: _Source,
        contestants: list[_Contestant],
        *,
        work: Workspace,
        number: int,
        wanted: frozenset[Operation],
        add: Add,
    ) -> None:
        self._source = source
        self._contestants = contestants
        self._work = work
        self._number = number
        self._wanted = wanted
        self._add = add

    def run(self, steps: Iterable[Step]) -> None:
        self._source.read()
        for contestant in self._contestants:
            command = contestant.program.prepare(contestant.place)
            if command is not None:
                measured(command, log=self._work.log)
        for at, step in enumerate(steps):
            if step.change:
                self._source.change(step.change)
            for contestant in self._contestants:
                if not contestant.failed:
                    self._attempt(contestant, step.operation, at)
        self._source.restore()

    def _attempt(self, contestant: _Contestant, operation: Operation, at: int) -> None:
        """One operation of one program, with all that has to be told about it."""
        if operation in BACKUPS:
            self._settle(contestant)
            contestant.backups += 1
        name, program = self._source.data_set.name, contestant.program.name
        output = self._work.fresh_folder("restored")
        command = self._command(contestant, operation, output)
        if command is None:
            return
        before = stored_bytes(contestant.place.repository)
        try:
            cost = measured(command, log=self._work.log)
            self._check(contestant, operation, output)
        except (CommandFailed, Differs) as error:
            contestant.failed = True
            print(f"\n*** {program} failed: {operation} of {name}\n{error}\n", file=sys.stderr, flush=True)
            why = "restored something else" if isinstance(error, Differs) else "ended with an error"
            self._add(Measurement(name, operation, program, self._number, at, None, failure=why))
            return
        finally:
            contestant.last_backup = time.monotonic() if operation in BACKUPS else contestant.last_backup
            self._work.remove_folder("restored")
        contestant.spent += cost.seconds
        stored = _added(before, stored_bytes(contestant.place.repository)) if operation in BACKUPS else {}
        self._told(Measurement(name, operation, program, self._number, at, cost, stored), cost)

    def _command(self, contestant: _Contestant, operation: Operation, output: str) -> Command | None:
        one = self._source.data_set.one_file()
        return command_of(
            contestant.program, operation, contestant.place, number=contestant.backups, output=output, one=one
        )

    def _settle(self, contestant: _Contestant) -> None:
        """What was written before is on its disk, and the clock has gone on."""
        os.sync()
        since = max(contestant.last_backup, self._source.changed_at)
        time.sleep(max(0.0, since + _APART_SECONDS - time.monotonic()))

    def _told(self, measurement: Measurement, cost: Cost) -> None:
        stored = sum(measurement.stored.values())
        print(
            f"{measurement.data_set:<12} round {measurement.round + 1}  {measurement.operation:<17}"
            f"{measurement.program:<11}{cost.seconds:9.2f} s  {cost.cpu_seconds:9.2f} s CPU"
            f"{cost.tree_bytes / 1e6:8.0f} MB" + (f"{stored / 1e6:+10.2f} MB stored" if stored else ""),
            flush=True,
        )
        if measurement.operation in self._wanted:
            self._add(measurement)

    def _check(self, contestant: _Contestant, operation: Operation, output: str) -> None:
        """Raises Differs if a restore did not give back the source."""
        program, folder = contestant.program, self._source.folder
        if operation is Operation.RESTORE:
            restored = program.restored(contestant.place, output)
            has_increments = program.increment(contestant.place, 1) is not None
            with nullcontext() if has_increments else self._source.pristine():
                shown = _first(tree_differences(folder, restored, mtime_ns=program.mtime_ns))
        elif operation is Operation.RESTORE_ONE:
            path = self._source.data_set.one_file() or ""
            restored = program.restored_one(contestant.place, path=path, output=output)
            shown = _first(file_differences(os.path.join(folder, path), restored, mtime_ns=program.mtime_ns))
        else:
            return
        if shown:
            raise Differs("\n".join(shown))


def _first(differences: Iterator[str]) -> list[str]:
    return list(itertools.islice(differences, _SHOWN_DIFFERENCES))


def stored_bytes(repository: str) -> dict[str, int]:
    """Bytes of the files of a repository by kind; the kinds are those of duplicity's files, or one for all."""
    found: dict[str, int] = {}
    for folder, _, names in os.walk(repository):
        for name in names:
            kind = kind_of(name)
            found[kind] = found.get(kind, 0) + os.path.getsize(os.path.join(folder, name))
    return found


def kind_of(name: str) -> str:
    if not name.startswith("duplicity-"):
        return "repository"
    if "sigtar" in name:
        return "signatures"
    return "volumes" if ".vol" in name else "manifest"


def _added(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {kind: size - before.get(kind, 0) for kind, size in sorted(after.items())}

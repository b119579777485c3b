"""Who moves files to a server: command lines only, nothing is run here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest
from tests.servers.process import program

from bench.installed import OURS, ROOT, find
from bench.measure import Command
from bench.programs import DuplicityLike, Place, Program
from bench.storage_results import DRIVER, RCLONE, Move
from bench.storage_services import Target

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Load:
    """What is moved: the files of a folder, all of the same size."""

    source: str
    file_bytes: int
    files: int

    @property
    def bytes(self) -> int:
        return self.file_bytes * self.files


@dataclass(frozen=True, slots=True)
class Contender:
    """One of the CONTENDERS."""

    name: str
    executable: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def folder(self) -> str:
        """What its place at the server is called."""
        return self.name.replace(" ", "-").replace("'", "")

    @property
    def has_version(self) -> bool:
        return self.name != DRIVER

    def program(self) -> Program:
        return DuplicityLike(
            self.folder if self.name == DRIVER else self.name, self.executable, variables=self.variables
        )

    def command(
        self, move: Move, target: Target, load: Load, place: Place, *, output: str, at_once: int
    ) -> Command | None:
        """Brings `load` there or all that is there to `output`; None where it does not know the protocol."""
        local = load.source if move is Move.PUT else output
        if self.name == RCLONE:
            return self._rclone(move, target, place, local=local, at_once=at_once)
        variables = {**dict(self.variables), **target.variables}
        if self.name == DRIVER:
            options = (f"{name}={value}" for name, value in target.options.items())
            words = (*self.executable, move.value, target.url, local, str(at_once), *options)
            return place.command(*words, folder=ROOT, **variables)
        words = ("full", local, target.url) if move is Move.PUT else ("restore", target.url, local)
        more = self._options(move, target, load, at_once=at_once)
        return place.command(*self.executable, *words, *more, "--archive-dir", place.cache, **variables)

    def _options(self, move: Move, target: Target, load: Load, *, at_once: int) -> Iterator[str]:
        """Volumes are as large as the files. duplicity's 0 is one after another, and it fetches nothing ahead."""
        yield "--no-encryption"
        for name, value in target.options.items():
            yield f"--{name.replace('_', '-')}={value}"
        if move is Move.PUT:
            yield from ("--no-compression", "--volsize", str(max(1, load.file_bytes // _MIB)))
        if self.name == OURS:
            yield from ("--concurrency", str(at_once))
        elif move is Move.PUT:
            yield from ("--concurrency", str(0 if at_once == 1 else at_once))

    def _rclone(self, move: Move, target: Target, place: Place, *, local: str, at_once: int) -> Command | None:
        if target.remote is None:
            return None
        variables = {f"RCLONE_CONFIG_THERE_{name.upper()}": value for name, value in target.remote.items()}
        there = f"there:{target.remote_path}"
        ends = (local, there) if move is Move.PUT else (there, local)
        options = ("--config", "", "--retries", "1", "--transfers", str(at_once))
        return place.command(*self.executable, "copyto", *ends, *options, **variables)


def contenders(names: Iterable[str]) -> list[Contender]:
    """Those that are installed; of the others the names are printed."""
    found: list[Contender] = []
    for name in names:
        if name == DRIVER:
            path = os.pathsep.join((os.path.join(ROOT, "src"), ROOT))
            found.append(Contender(name, (sys.executable, "-m", "bench.storage_move"), (("PYTHONPATH", path),)))
        elif name == RCLONE:
            try:
                found.append(Contender(name, (program("rclone"),)))
            except pytest.skip.Exception as error:
                print(f"Not measured: {error}", flush=True)
        else:
            programs, missing = find([name])
            found += [Contender(name, one.executable, getattr(one, "variables", ())) for one in programs]
            for absent in missing:
                print(f"Not measured: {absent} is not installed", flush=True)
    return found

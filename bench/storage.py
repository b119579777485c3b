"""`python -m bench storage`: how fast files reach the server of each protocol and come back, by program.

Drivers alone are set beside rclone; whole backups and restores beside duplicity's, whose drivers cannot be had without
the program around them. Everything that comes back is compared with what went there.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import sys
import time
from collections.abc import Iterator, Sequence

import pytest

from bench.content import random_bytes
from bench.installed import OURS, ROOT
from bench.machine import commit, description
from bench.measure import Command, CommandFailed, Cost, measured
from bench.programs import version_of
from bench.storage_contenders import Contender, Load, contenders
from bench.storage_results import CONTENDERS, Move, Moved, Session, moved_before, write
from bench.storage_services import SERVICES, serving
from bench.workspace import Workspace, parent_folder, workspace

FILES = 4
BYTES = 200_000_000
ROUND_TRIPS = (0, 20)
"""Milliseconds."""
AT_ONCE = (1, 4)


def run(options: argparse.Namespace) -> bool:
    """Measures what is wanted and writes the page; False if anything failed."""
    taking_part = contenders(options.programs or CONTENDERS)
    services = [name for name in SERVICES if options.only is None or name in options.only]
    made: list[Moved] = []
    before = moved_before(options.output, scale=options.scale)
    with workspace(options.work or parent_folder(BYTES * (3 + len(taking_part)))) as work:
        session = _begin(taking_part, work, scale=options.scale)
        for moved in _measure(work, taking_part, services, scale=options.scale, rounds=options.rounds or 3):
            print(moved.line(), flush=True)
            made.append(moved)
            write(options.output, session, before, made)
    return all(not moved.failure for moved in made)


def names() -> dict[str, Sequence[str]]:
    """What the options may say here."""
    return {"only": tuple(SERVICES), "operations": (), "programs": CONTENDERS}


def _begin(taking_part: Sequence[Contender], work: Workspace, *, scale: float) -> Session:
    programs = [each.program() for each in taking_part if each.has_version]
    versions = {program.name: version_of(program, work.fresh_place(program)) for program in programs}
    if OURS in versions and commit(ROOT):
        versions[OURS] += f" ({commit(ROOT)})"
    machine = description(work.folder)
    for name, text in (machine | versions).items():
        print(f"{name}: {text}", flush=True)
    return Session(time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), scale, machine, versions)


def _measure(
    work: Workspace, taking_part: Sequence[Contender], services: Sequence[str], *, scale: float, rounds: int
) -> Iterator[Moved]:
    load = Load(work.fresh_folder("source"), max(1, int(BYTES * scale) // FILES), FILES)
    for number in range(FILES):
        with open(os.path.join(load.source, f"file{number}"), "wb") as file:
            file.write(random_bytes(load.file_bytes, seed=number))
    for service in services:
        try:
            for round_trip in ROUND_TRIPS if service != "file" else (0,):
                for number in range(rounds):
                    turn = number % len(taking_part)
                    order = [*taking_part[turn:], *taking_part[:turn]]
                    for at_once in AT_ONCE:
                        yield from _round(work, order, service, load, round_trip=round_trip, at_once=at_once)
        except pytest.skip.Exception as error:  # what tests.servers says of a program that is not there
            print(f"Not measured: {service}: {error}", flush=True)


def _round(
    work: Workspace, order: Sequence[Contender], service: str, load: Load, *, round_trip: int, at_once: int
) -> Iterator[Moved]:
    """On a server of its own, so that none meets what others have left."""
    with serving(service, work.fresh_folder("there"), round_trip=round_trip) as target:
        for each in order:
            place = work.fresh_place(each.program())
            for move in Move:
                output = work.fresh_folder("restored")
                command = each.command(move, target(each.folder), load, place, output=output, at_once=at_once)
                if command is None:
                    break
                os.sync()
                cost, failure = _attempt(command, move, load.source, output, log=work.log)
                yield Moved(service, round_trip, at_once, each.name, move, load.bytes, cost, failure)
                if failure:
                    break
            work.remove_place(each.program())


def _attempt(command: Command, move: Move, source: str, output: str, *, log: str) -> tuple[Cost | None, str]:
    """What it took, and what went wrong. Only content is compared: drivers know no modes and times."""
    try:
        cost = measured(command, log=log)
    except CommandFailed as error:
        print(f"\n*** {error}\n", file=sys.stderr, flush=True)
        return None, "ended with an error"
    if move is Move.GET:
        wanted = sorted(os.listdir(source))
        found = sorted(os.listdir(output))
        if wanted != found or filecmp.cmpfiles(source, output, wanted, shallow=False)[0] != wanted:
            return None, "brought back something else"
    return cost, ""

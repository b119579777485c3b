"""A backup that was killed in the middle, and then the same or the other program: nothing may be lost or mixed up."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from tests.support.chain import FIRST_TIME, Chain, Mode
from tests.support.gnupg import GnupgHome
from tests.support.golden_tree import GoldenTree, build_step
from tests.support.interruption import kill_after_volumes
from tests.support.programs import Program, Workspace
from tests.support.tree import Fidelity, assert_same_tree

pytestmark = pytest.mark.interop

KILLED_LATER = FIRST_TIME + 1_000_000


def _chain(workspace: Workspace, home: GnupgHome, tree: GoldenTree) -> Chain:
    chain = Chain.begin(workspace, Mode.PLAIN, home, "--volsize", "1")
    chain.build = lambda root: build_step(tree, root, 0)
    chain.change = lambda root, step: build_step(tree, root, step)
    return chain


@pytest.mark.parametrize("turns", ["TD", "DT", "TT"])
def test_a_killed_incremental_is_completed_or_made_anew(
    turns: str, twofold: Program, duplicity: Program, workspace: Workspace, gnupg_home: GnupgHome
) -> None:
    killed, next_one = ({"T": twofold, "D": duplicity}[turn] for turn in turns)
    chain = _chain(workspace, gnupg_home, GoldenTree.LATE_VOLUMES)
    chain.back_up(killed)
    step = chain.advance()
    words = (chain.source, workspace.url(), *chain.options)
    time = ("--current-time", str(KILLED_LATER))
    kill_after_volumes(workspace, killed, "incremental", *words, *time, cwd=workspace.folder)

    again = ("--current-time", str(KILLED_LATER + 100))
    done = workspace.run(next_one, "incremental", *words, *again).expect()
    assert turns != "TT" or "RESTART: Volume" in done.stdout
    for program in (twofold, duplicity):
        chain.assert_verifies(program)
        newest = workspace.path(f"newest-{program}")
        chain.run(program, "restore", workspace.url(), newest).expect()
        assert_same_tree(newest, chain.states[step], fidelity=Fidelity.DUPLICITY)
    status = workspace.run(twofold, "collection-status", workspace.url()).expect()
    assert "Number of contained backup sets: 2" in status.stdout
    assert "No orphaned or incomplete backup sets found" in status.stdout


@pytest.mark.parametrize("turns", ["TD", "DT", "TT"])
def test_a_killed_full_backup_is_completed_or_made_anew(
    turns: str, twofold: Program, duplicity: Program, workspace: Workspace, gnupg_home: GnupgHome
) -> None:
    killed, next_one = ({"T": twofold, "D": duplicity}[turn] for turn in turns)
    chain = _chain(workspace, gnupg_home, GoldenTree.LATE_VOLUMES)
    for _ in range(2):
        chain.advance()
    words = (chain.source, workspace.url(), *chain.options)
    kill_after_volumes(workspace, killed, "full", *words, "--current-time", str(KILLED_LATER), cwd=workspace.folder)
    done = workspace.run(next_one, "full", *words, "--current-time", str(KILLED_LATER + 100)).expect()
    assert turns != "TT" or "RESTART: Volume" in done.stdout
    for program in (twofold, duplicity):
        chain.assert_verifies(program)
    status = workspace.run(twofold, "collection-status", workspace.url()).expect()
    assert "Number of contained backup sets: 1" in status.stdout


@pytest.mark.parametrize("turns", ["TDT", "TTT", "DTT", "TTD", "DTD"])
@pytest.mark.parametrize("kind", ["full", "incremental"])
def test_what_is_killed_again_and_again_is_whole_in_the_end(
    turns: str, kind: str, twofold: Program, duplicity: Program, workspace: Workspace
) -> None:
    programs = [{"T": twofold, "D": duplicity}[turn] for turn in turns]
    source, content = Path(os.fsdecode(workspace.path("source"))), random.Random(1)
    words = (os.fsencode(source), workspace.url(), "--no-encryption", "--volsize", "1")
    if kind == "incremental":
        _fill(source, content, 40_000)
        workspace.run(twofold, "full", *words, "--current-time", str(FIRST_TIME)).expect()
    _fill(source, content, 3_500_000)
    before = len(os.listdir(workspace.path("target"))) if kind == "incremental" else 0
    for number, program in enumerate(programs[:-1]):
        time = ("--current-time", str(KILLED_LATER + 100 * number))
        with workspace.start(program, kind, *words, *time) as process:
            while process.poll() is None and _stored(workspace) < before + 3 + 2 * number:
                pass
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    workspace.run(programs[-1], kind, *words, "--current-time", str(KILLED_LATER + 1000)).expect()
    for program in (twofold, duplicity):
        workspace.run(program, "verify", "--compare-data", words[1], words[0], *words[2:]).expect()
        workspace.run(program, "restore", words[1], workspace.path(f"restored-{program}"), *words[2:]).expect()
        assert_same_tree(workspace.path(f"restored-{program}"), words[0], fidelity=Fidelity.DUPLICITY)
    workspace.run(twofold, "check", "--read-data", *words[1:]).expect()


def _fill(source: Path, content: random.Random, size: int) -> None:
    source.mkdir(exist_ok=True)
    for name in ("a", "large", "z"):
        (source / name).write_bytes(content.randbytes(size if name == "large" else size // 2))
        os.utime(source / name, (FIRST_TIME - size, FIRST_TIME - size))


def _stored(workspace: Workspace) -> int:
    target = workspace.path("target")
    return len([name for name in os.listdir(target) if name[:1] != b"."]) if os.path.exists(target) else 0


@pytest.mark.parametrize("killed", ["T", "D"])
def test_what_was_complete_before_restores_while_a_set_is_unfinished(
    killed: str, twofold: Program, duplicity: Program, workspace: Workspace, gnupg_home: GnupgHome
) -> None:
    program = {"T": twofold, "D": duplicity}[killed]
    chain = _chain(workspace, gnupg_home, GoldenTree.LATE_VOLUMES)
    chain.back_up(program)
    source, url = chain.source, workspace.url()
    complete = chain.states
    chain.advance()
    time = ("--current-time", str(KILLED_LATER))
    kill_after_volumes(workspace, program, "incremental", source, url, *chain.options, *time, cwd=workspace.folder)
    chain.states = complete
    for reader in (twofold, duplicity):
        chain.assert_restores(reader, fidelity=Fidelity.DUPLICITY)

"""A real process that is killed, gpg and all: the same command does what is left."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from tests.cli.scene import set_time
from tests.support.gnupg import SYMMETRIC_PASSPHRASE
from tests.support.programs import Program, Workspace
from tests.support.tree import Fidelity, assert_same_tree

PAST = 1_600_000_000
OPTIONS = ("--volsize", "1", "--gpg-options=--s2k-count=65536")


def fill(source: Path, seed: int) -> None:
    content = random.Random(seed)
    for name in ("a/1", "b/large", "b/more", "c/1"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content.randbytes(content.choice((40_000, 900_000, 2_500_000))))
        set_time(source / name, PAST)


def names(space: Workspace) -> list[str]:
    target = space.path("target")
    return sorted(name for name in os.listdir(os.fsdecode(target)) if name[0] != ".") if os.path.exists(target) else []


def kill(space: Workspace, twofold: Program, *words: str | bytes, stored: int, later: int) -> None:
    """When so many files are at the target, and a while after that."""
    with space.start(twofold, *words) as process:
        while process.poll() is None and len(names(space)) < stored:
            pass
        for _ in range(later):
            names(space)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("seed", range(10))
def test_a_killed_backup_is_gone_on_with(workspace: Workspace, twofold: Program, seed: int) -> None:
    chosen = random.Random(seed)
    space = workspace.with_passphrase(SYMMETRIC_PASSPHRASE)
    source = Path(os.fsdecode(space.path("source")))
    fill(source, seed)
    words = ("backup", space.path("source"), space.url(), *OPTIONS)
    if seed % 2:
        space.run(twofold, *words).expect()
        fill(source, seed + 100)
    before = len(names(space))
    for _ in range(chosen.choice((1, 2))):
        kill(space, twofold, *words, stored=before + chosen.randrange(5), later=chosen.randrange(2000))
    lines = [path.read_bytes().count(b"\n") for path in Path(os.fsdecode(space.archive_dir)).rglob("twofold-checkp*")]
    was_complete = sum(".manifest" in name for name in names(space)) == 1 + seed % 2
    done = space.run(twofold, *words).expect()
    assert ("RESTART: Volume" in done.stdout) == (not was_complete and any(count > 1 for count in lines))

    space.run(twofold, "check", "--read-data", space.url(), *OPTIONS).expect()
    space.run(twofold, "restore", space.url(), space.path("restored"), *OPTIONS).expect()
    assert_same_tree(space.path("restored"), space.path("source"), fidelity=Fidelity.FULL)
    listed = space.run(twofold, "cleanup", space.url(), *OPTIONS).expect()
    assert "No extraneous files found" in listed.stdout
    assert not [name for name in os.listdir(os.fsdecode(space.path("target"))) if name[0] == "."]
    kept = [path.name for path in Path(os.fsdecode(space.archive_dir)).rglob("*.part")]
    assert kept == []
    assert space.run(twofold, *words).expect().statistic("DeltaEntries") == 0


def test_other_keys_are_refused_and_another_selection_begins_anew(workspace: Workspace, twofold: Program) -> None:
    space = workspace.with_passphrase(SYMMETRIC_PASSPHRASE)
    fill(Path(os.fsdecode(space.path("source"))), 4)
    words = ("full", space.path("source"), space.url(), *OPTIONS)
    kill(space, twofold, *words, stored=4, later=0)
    stored = names(space)
    refused = workspace.with_passphrase("another").run(twofold, *words).expect(45)
    assert "cannot be opened with this passphrase" in refused.stderr
    assert names(space) == stored
    done = space.run(twofold, *words, "--exclude", space.path("source", "c")).expect()
    assert "RESTART" not in done.stdout
    assert "Cleaning up previous partial full backup set, restarting." in done.stdout

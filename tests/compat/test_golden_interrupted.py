"""Archives whose newest set was never finished: what is complete restores, the rest is resumed or made anew."""

from __future__ import annotations

import os
import shutil
import tarfile

import pytest

from tests.support.chain import STEP_SECONDS, time_of
from tests.support.golden import Golden, all_goldens, as_restored_by
from tests.support.programs import Outcome, Program, Workspace
from tests.support.tree import Snapshot, assert_same_tree, snapshot

UNFINISHED = [golden for golden in all_goldens() if golden.about.unfinished]
EVERY = pytest.mark.parametrize("golden", UNFINISHED, ids=str)
NAME = ("--name", "golden")


def _state(golden: Golden) -> Snapshot:
    return as_restored_by(golden.states()[-1], user=os.geteuid(), group=os.getegid())


def _unpack_source(golden: Golden, workspace: Workspace) -> bytes:
    """The source as it was when the program was killed, at the relative path that the manifest names."""
    with tarfile.open(golden.folder / "source.tar.xz") as tar:
        tar.extractall(os.fsdecode(workspace.folder), filter="fully_trusted" if os.geteuid() == 0 else "tar")
    return workspace.path("source")


def _back_up(golden: Golden, workspace: Workspace, program: Program, *options: str) -> Outcome:
    later = str(time_of(len(golden.about.times)) + STEP_SECONDS)
    words = ("--allow-source-mismatch", "--no-compression", "--volsize", "1", "--current-time", later, *NAME)
    arguments = ("incremental", *options, *words, *golden.about.options, "source", workspace.url())
    return workspace.run(program, *arguments, cwd=workspace.folder).expect()


def _restore(golden: Golden, workspace: Workspace, program: Program, *options: str) -> bytes:
    folder = workspace.path("restored")
    shutil.rmtree(folder, ignore_errors=True)
    workspace.run(program, "restore", *options, *NAME, *golden.about.options, workspace.url(), folder).expect()
    return folder


@EVERY
def test_the_finished_sets_restore_on_a_machine_without_the_archive_dir(
    golden: Golden, twofold: Program, workspace: Workspace
) -> None:
    golden.copy_into(workspace.folder)
    shutil.rmtree(workspace.archive_dir)
    assert_same_tree(_restore(golden, workspace, twofold), _state(golden), fidelity=golden.fidelity)


@EVERY
def test_the_finished_sets_restore_while_the_archive_dir_has_partial_files(
    golden: Golden, twofold: Program, workspace: Workspace
) -> None:
    golden.copy_into(workspace.folder)
    time = str(golden.about.times[-1])
    assert_same_tree(_restore(golden, workspace, twofold, "--time", time), _state(golden), fidelity=golden.fidelity)


@EVERY
def test_the_next_backup_redoes_the_interrupted_set_and_leaves_nothing_of_it(
    golden: Golden, twofold: Program, workspace: Workspace
) -> None:
    golden.copy_into(workspace.folder)
    source = _unpack_source(golden, workspace)
    interrupted = {name for name in os.listdir(workspace.path("target")) if b".vol" in name and b"-inc." in name}
    _back_up(golden, workspace, twofold)
    after = os.listdir(workspace.path("target"))
    assert not interrupted & set(after)
    manifests = [name for name in after if b"-inc." in name and b".manifest" in name]
    assert len(manifests) == 1
    assert not [name for name in os.listdir(workspace.archive_dir) if b".part" in name]
    folder = _restore(golden, workspace, twofold)
    assert_same_tree(folder, snapshot(source), fidelity=golden.fidelity)


@EVERY
def test_a_backup_from_a_machine_without_the_archive_dir_starts_the_set_anew(
    golden: Golden, twofold: Program, workspace: Workspace
) -> None:
    golden.copy_into(workspace.folder)
    shutil.rmtree(workspace.archive_dir)
    source = _unpack_source(golden, workspace)
    interrupted = {name for name in os.listdir(workspace.path("target")) if b".vol" in name and b"-inc." in name}
    _back_up(golden, workspace, twofold)
    assert not interrupted & set(os.listdir(workspace.path("target")))
    folder = _restore(golden, workspace, twofold)
    assert_same_tree(folder, snapshot(source), fidelity=golden.fidelity)

"""An edit that hides behind a restored mtime is found also where only duplicity's seconds are known."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.programs import Program, Workspace
from tests.support.tree import Fidelity, assert_same_tree, snapshot

pytestmark = pytest.mark.interop


def test_an_edit_with_its_old_mtime_put_back_is_stored_after_a_set_of_duplicity(
    twofold: Program, duplicity: Program, workspace: Workspace, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("aaaa\n")
    os.utime(source / "file", (1577836800, 1577836800))
    words = ("--no-encryption", "backup", str(source), workspace.url("target"))
    workspace.run(duplicity, *words).expect()
    (source / "file").write_text("completely different and longer\n")
    os.utime(source / "file", (1577836800, 1577836800))
    workspace.run(twofold, *words).expect()
    restored = tmp_path / "restored"
    workspace.run(twofold, "--no-encryption", "restore", workspace.url("target"), str(restored)).expect()
    assert (restored / "file").read_text() == "completely different and longer\n"
    assert_same_tree(os.fsencode(restored), snapshot(os.fsencode(source)), fidelity=Fidelity.DUPLICITY)

"""Statistics and changes of sets (--jsonstat, --show-changes-in-set): each program tells what either has stored."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.support.chain import Chain, Mode
from tests.support.gnupg import GnupgHome
from tests.support.programs import Program, Workspace
from tests.support.tree import Fidelity
from twofold.format.manifest import quote

pytestmark = pytest.mark.interop

TOLD = ("collection-status", "--show-changes-in-set", "-1", "--jsonstat")


def told(program: Program, workspace: Workspace) -> dict[str, Any]:
    output = workspace.run(program, *TOLD, workspace.url()).expect().stdout
    found: dict[str, Any] = json.loads(output[output.index("\n{") : output.rindex("\n}") + 2])
    return found


def plan(statistics: dict[str, Any]) -> list[str]:
    return [*statistics, *statistics["backup_meta"]]


def _as_in_manifests(told: dict[str, Any]) -> dict[str, Any]:
    """With names as duplicity shows them: in the quotes that they have in its manifests."""
    shown = {}
    for key, each in told.items():
        changes = each["files_changed"].items()
        shown[key] = {**each, "files_changed": {os.fsdecode(quote(os.fsencode(path))): kind for path, kind in changes}}
    return shown


@pytest.mark.parametrize("turns", ["TD", "DT"])
def test_either_program_tells_what_both_have_stored(
    turns: str, twofold: Program, duplicity: Program, workspace: Workspace, gnupg_home: GnupgHome
) -> None:
    programs = {"T": twofold, "D": duplicity}
    chain = Chain.begin(workspace, Mode.PLAIN, gnupg_home, "--jsonstat")
    for turn in turns:
        chain.back_up(programs[turn])
    ours, theirs = told(twofold, chain.workspace), told(duplicity, chain.workspace)
    assert _as_in_manifests(ours) == theirs
    assert list(ours) == list(theirs)
    assert len(ours) == 2
    newest, oldest = (each["json_stat"] for each in ours.values())
    assert plan(newest) == plan(oldest)
    (full,) = (name.decode() for name in chain.target_files() if b"full" in name and b"jsonstat" in name)
    assert newest["backup_meta"]["local_json_stat"] == [f"{full}.gz"]
    assert oldest["NewFiles"] > 0
    chain.assert_restores(duplicity, fidelity=Fidelity.DUPLICITY)

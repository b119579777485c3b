"""exec:// from end to end: a whole backup by a shell script of the user's own."""

from __future__ import annotations

import os
from pathlib import Path

from tests.conformance.test_exec import MOVING, SCRIPT, SETTINGS
from tests.services.journey import travel
from tests.support.programs import Program, Workspace


def _prepared(folder: Path, settings: str) -> Path:
    (folder / "store.sh").write_text(SCRIPT)
    path = folder / "settings.toml"
    path.write_text(settings)
    path.chmod(0o600)
    return path


def test_a_whole_backup(twofold: Program, workspace: Workspace, tmp_path: Path) -> None:
    settings = _prepared(tmp_path, SETTINGS + MOVING)
    travel(twofold, workspace, f"exec://{settings}?place={tmp_path}/daily")
    assert all(name.startswith("duplicity-") for name in os.listdir(tmp_path / "daily"))


def test_what_a_command_complains_about_is_passed_on(twofold: Program, workspace: Workspace, tmp_path: Path) -> None:
    settings = _prepared(tmp_path, SETTINGS)
    (tmp_path / "store.sh.mode").write_text("list fails")
    url = f"exec://{settings}?place={tmp_path}/daily"
    failed = workspace.run(twofold, "collection-status", url, "--num-retries", "1").expect(50)
    assert "sh ended with 1: the tape is busy" in failed.stderr
    settings.chmod(0o666)
    refused = workspace.run(twofold, "collection-status", url).expect(23)
    assert "chmod go-w" in refused.stderr

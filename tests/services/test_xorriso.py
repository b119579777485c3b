"""xorriso:// from end to end, and duplicity in the same image."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from tests.servers.process import program
from tests.services.journey import contents, restored_by, travel
from tests.support.gnupg import SYMMETRIC_PASSPHRASE
from tests.support.programs import Program, Workspace


@pytest.fixture
def image(workspace: Workspace) -> str:
    program("xorriso")
    return os.fsdecode(workspace.path("image of a disc.iso"))


def test_a_whole_backup(twofold: Program, workspace: Workspace, image: str) -> None:
    travel(twofold, workspace, f"xorriso://{image}:/daily backups")


def _restored_by_duplicity(duplicity: Program, workspace: Workspace, url: str) -> dict[str, bytes]:
    """It types commands at xorriso's prompt and now and then sees an image as empty: then it is asked again."""
    for _ in range(4):
        with contextlib.suppress(AssertionError):
            return restored_by(duplicity, workspace, url)
    return restored_by(duplicity, workspace, url)


@pytest.mark.interop
def test_each_restores_what_the_other_stored(
    twofold: Program, duplicity: Program, workspace: Workspace, image: str
) -> None:
    url = f"xorriso://{image}"
    assert travel(twofold, workspace, url) == _restored_by_duplicity(duplicity, workspace, url)
    folder = Path(os.fsdecode(workspace.path("other source")))
    folder.mkdir()
    (folder / "file").write_bytes(b"content")
    there = workspace.with_passphrase(SYMMETRIC_PASSPHRASE)
    other = f"xorriso://{image}:/other"
    there.run(duplicity, "full", str(folder), other).expect()
    assert restored_by(twofold, workspace.with_archive_dir("other"), other) == contents(folder)

"""--limit-upload and --limit-download as people type them; what they do stands in tests/unit/storage/test_limit.py."""

from __future__ import annotations

import os

import pytest

from tests.support.programs import Program, Workspace


def test_a_directory_is_not_limited_and_that_is_said_once(workspace: Workspace, twofold: Program) -> None:
    os.mkdir(workspace.path("source"))
    options = ("--no-encryption", "--limit-upload", "1", "--limit-download", "1")
    done = workspace.run(twofold, "full", workspace.path("source"), workspace.url(), *options).expect()
    text = "--limit-upload and --limit-download have no effect on a directory of this machine"
    assert (done.stdout + done.stderr).count(text) == 1


@pytest.mark.parametrize("amount", ["0", "-1", "fast", "1.5"])
def test_a_limit_is_a_whole_number_of_at_least_one(workspace: Workspace, twofold: Program, amount: str) -> None:
    refused = workspace.run(twofold, "collection-status", workspace.url(), "--limit-upload", amount)
    assert "--limit-upload" in refused.expect(23).stderr

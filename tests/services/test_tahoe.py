"""tahoe:// from end to end, and duplicity reading what was stored."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers.process import Running, program
from tests.servers.tahoe import make_directory, make_home, tahoe
from tests.services.journey import contents, restored_by, travel
from tests.support.gnupg import SYMMETRIC_PASSPHRASE
from tests.support.programs import Program, Workspace


@pytest.fixture(scope="module")
def grid() -> Iterator[Running]:
    with tahoe() as running:
        yield running


@pytest.fixture
def customer(workspace: Workspace, grid: Running) -> Workspace:
    """Somebody who has a node, and the tahoe program, which duplicity runs."""
    make_home(Path(os.fsdecode(workspace.path("home"))), grid.port, {"backups": make_directory(grid)})
    folders = [str(Path(program("tahoe")).parent), os.environ["PATH"]]
    return replace(workspace, extra_variables={"PATH": os.pathsep.join(folders)})


def test_a_whole_backup(twofold: Program, customer: Workspace) -> None:
    travel(twofold, customer, "tahoe://backups/daily/my%20docs")


@pytest.mark.interop
def test_duplicity_restores_from_the_same_url(twofold: Program, duplicity: Program, customer: Workspace) -> None:
    """A small backup: duplicity starts the tahoe program for each file."""
    source = Path(os.fsdecode(customer.path("source")))
    source.mkdir()
    (source / "file").write_bytes(b"content")
    there = customer.with_passphrase(SYMMETRIC_PASSPHRASE)
    there.run(twofold, "full", str(source), "tahoe://backups/daily/docs").expect()
    assert restored_by(duplicity, customer, "tahoe://backups/daily/docs") == contents(source)

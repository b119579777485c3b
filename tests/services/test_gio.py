"""gio+dav:// from end to end, as from a cron job that has no desktop around it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers.gio import variables
from tests.servers.process import HOST, Running
from tests.servers.webdav import PASSWORD, USER, nginx
from tests.services.journey import travel
from tests.support.programs import Program, Workspace


@pytest.fixture(scope="module")
def two_doors() -> Iterator[Running]:
    with nginx() as running:
        yield running


def test_a_whole_backup(twofold: Program, workspace: Workspace, two_doors: Running) -> None:
    home = Path(os.fsdecode(workspace.path("home of gio")))
    home.mkdir()
    customer = replace(workspace, extra_variables={**variables(home), "BACKEND_PASSWORD": PASSWORD})
    travel(twofold, customer, f"gio+dav://{USER}@{HOST}:{two_doors.port}/{uuid.uuid4()}/daily backups")


def test_the_password_is_nowhere_in_what_is_said(twofold: Program, workspace: Workspace, two_doors: Running) -> None:
    home = Path(os.fsdecode(workspace.path("home of gio")))
    home.mkdir()
    url = f"gio+dav://{USER}:dragon@{HOST}:{two_doors.port}/x"
    customer = replace(workspace, extra_variables=variables(home))
    failed = customer.run(twofold, "collection-status", url, "-v9").expect(50)
    assert "the password is refused" in failed.stderr
    assert "dragon" not in failed.stdout + failed.stderr

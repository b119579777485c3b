"""validate-storage against a real server, and how it tells apart what is in the way."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.servers.process import HOST, Running, free_ports
from tests.servers.webdav import PASSWORD, USER, nginx
from tests.support.programs import Outcome, Program, Workspace


@pytest.fixture(scope="module")
def two_doors() -> Iterator[Running]:
    with nginx() as running:
        yield running


def validated(twofold: Program, workspace: Workspace, url: str, *options: str, password: str = PASSWORD) -> Outcome:
    customer = replace(workspace, extra_variables={"BACKEND_PASSWORD": password})
    return customer.run(twofold, "validate-storage", url, "--num-retries", "1", *options)


def test_a_good_server_is_left_without_a_file(twofold: Program, workspace: Workspace, two_doors: Running) -> None:
    name = str(uuid.uuid4())
    said = validated(twofold, workspace, f"webdav://{USER}@{HOST}:{two_doors.port}/{name}").expect().stdout
    assert said.endswith("All that backups need works.\n")
    assert list((two_doors.folder / "root" / name).iterdir()) == []


@pytest.mark.parametrize("kind", ["Credentials", "Network", "Certificate or host key"])
def test_what_is_in_the_way_is_told_in_one_line(
    twofold: Program, workspace: Workspace, two_doors: Running, kind: str
) -> None:
    closed = free_ports(1)[0]
    url, password = {
        "Credentials": (f"webdav://{USER}@{HOST}:{two_doors.port}/x", "wrong one"),
        "Network": (f"webdav://{USER}@{HOST}:{closed}/x", PASSWORD),
        "Certificate or host key": (f"webdavs://{USER}@{HOST}:{two_doors.ports[1]}/x", PASSWORD),
    }[kind]
    done = validated(twofold, workspace, url, password=password).expect(50)
    (line,) = done.stderr.splitlines()
    assert line.startswith((f"Giving up list of the target: {kind}: ", f"BackendException: {kind}: "))
    assert "wrong one" not in done.stdout + done.stderr

"""multi:// from end to end, over directories and a WebDAV server, and both programs reading what the other stored."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.process import HOST, Running
from tests.servers.webdav import PASSWORD, USER, nginx
from tests.services.journey import contents, restored_by, travel
from tests.support.gnupg import SYMMETRIC_PASSPHRASE
from tests.support.programs import Program, Workspace


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with nginx() as running:
        yield running


def listing(workspace: Workspace, *stores: dict[str, object]) -> str:
    """The URL of a list of these stores."""
    path = Path(os.fsdecode(workspace.path("stores.json")))
    path.write_text(json.dumps(stores))
    return f"multi://{path}"


def two_directories(workspace: Workspace) -> str:
    return listing(workspace, {"description": "here", "url": workspace.url("one")}, {"url": workspace.url("two")})


def test_a_whole_backup_on_a_directory_and_a_server(twofold: Program, workspace: Workspace, server: Running) -> None:
    away = {
        "url": f"webdav://{USER}@{HOST}:{server.port}/{uuid.uuid4()}",
        "env": [{"name": "FTP_PASSWORD", "value": PASSWORD}],
    }
    url = listing(workspace, {"url": workspace.url("one")}, away) + "?mode=mirror&onfail=abort&subpath=/daily"
    after = travel(twofold, workspace, url)
    shutil.rmtree(workspace.path("one"))
    assert restored_by(twofold, workspace, url) == after


def test_a_backup_goes_on_without_a_store_that_fails_and_says_so(twofold: Program, workspace: Workspace) -> None:
    source = Path(os.fsdecode(workspace.path("source")))
    source.mkdir()
    (source / "file").write_bytes(b"content")
    broken = workspace.url("stores.json") + "/x"  # below a file no directory can be made
    url = listing(workspace, {"description": "broken", "url": broken}, {"url": workspace.url("two")})
    there = workspace.with_passphrase(SYMMETRIC_PASSPHRASE)
    made = there.run(twofold, "full", str(source), f"{url}?mode=mirror").expect()
    assert made.stdout.count(f"broken ({broken}) is passed over: put failed at ") == 3
    assert restored_by(twofold, workspace, f"{url}?mode=mirror") == contents(source)
    there.run(twofold, "full", str(source), f"{url}?mode=mirror&onfail=abort").expect(50)


@pytest.mark.interop
def test_duplicity_restores_what_was_striped(twofold: Program, duplicity: Program, workspace: Workspace) -> None:
    url = two_directories(workspace)
    after = travel(twofold, workspace, url)
    assert restored_by(duplicity, workspace, url) == after


@pytest.mark.interop
@pytest.mark.parametrize("query", ["", "?mode=mirror"])
def test_twofold_goes_on_where_duplicity_began(
    twofold: Program, duplicity: Program, workspace: Workspace, query: str
) -> None:
    there = workspace.with_passphrase(SYMMETRIC_PASSPHRASE)
    source = Path(os.fsdecode(there.path("source")))
    source.mkdir()
    (source / "large").write_bytes(os.urandom(3 << 20))
    url = two_directories(workspace) + query
    there.run(duplicity, "full", str(source), url, "--volsize", "1").expect()
    (source / "more").write_bytes(b"content")
    there.run(twofold, "incremental", str(source), url).expect()
    for program in (twofold, duplicity):
        assert restored_by(program, workspace, url) == contents(source)

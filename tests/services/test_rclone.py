"""rclone:// from end to end over a local and a WebDAV remote, and duplicity, which runs rclone itself, beside it."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers import webdav
from tests.servers.process import HOST, Running, program
from tests.services.journey import contents, restored_by, travel
from tests.support.gnupg import SYMMETRIC_PASSPHRASE
from tests.support.programs import Program, Workspace


@pytest.fixture(scope="module")
def nginx() -> Iterator[Running]:
    with webdav.nginx() as running:
        yield running


@pytest.fixture
def customer(workspace: Workspace, nginx: Running, tmp_path: Path) -> Workspace:
    """Has rclone on PATH and two remotes."""
    rclone = program("rclone")
    obscured = subprocess.run([rclone, "obscure", webdav.PASSWORD], check=True, capture_output=True, text=True).stdout
    login = f"vendor = other\nuser = {webdav.USER}\npass = {obscured}\npacer_min_sleep = 1ms\n"
    configuration = tmp_path / "rclone.conf"
    configuration.write_text(
        f"[disk]\ntype = local\n[dav]\ntype = webdav\nurl = http://{HOST}:{nginx.port}/\n{login}", encoding="utf-8"
    )
    path = f"{os.path.dirname(rclone)}{os.pathsep}{os.environ['PATH']}"
    return replace(workspace, extra_variables={"RCLONE_CONFIG": str(configuration), "PATH": path})


def test_a_whole_backup_to_a_local_remote(twofold: Program, customer: Workspace, tmp_path: Path) -> None:
    travel(twofold, customer, f"rclone://disk:/{tmp_path}/a%20place/daily")
    assert all(path.name.startswith("duplicity-") for path in (tmp_path / "a place" / "daily").iterdir())


def test_a_whole_backup_to_a_webdav_remote(twofold: Program, customer: Workspace) -> None:
    travel(twofold, customer, f"rclone://dav:/{uuid.uuid4()}/daily")


def test_an_unknown_remote_is_named_with_the_remedy(twofold: Program, customer: Workspace) -> None:
    failed = customer.run(twofold, "collection-status", "rclone://nowhere:/x").expect(50)
    assert "rclone://nowhere:/x" in failed.stderr
    assert "rclone listremotes shows those there are" in failed.stderr


def test_a_service_without_a_login_says_how_to_get_one(twofold: Program, customer: Workspace) -> None:
    failed = customer.run(twofold, "collection-status", "dpbx:///x").expect(50)
    assert "log in once with: rclone config create dpbx dropbox" in failed.stderr


@pytest.mark.interop
@pytest.mark.parametrize(
    "form", ["rclone://disk:/{}/place", "rclone://disk:{}/place", "rclone://dav:/{}", "rclone://dav://{}"]
)
def test_duplicity_restores_from_the_same_url(
    twofold: Program, duplicity: Program, customer: Workspace, tmp_path: Path, form: str
) -> None:
    url = form.format(tmp_path if "disk" in form else uuid.uuid4())
    after = travel(twofold, customer, url)
    assert restored_by(duplicity, customer, url) == after


@pytest.mark.interop
def test_twofold_restores_what_duplicity_stored(
    twofold: Program, duplicity: Program, customer: Workspace, tmp_path: Path
) -> None:
    there = customer.with_passphrase(SYMMETRIC_PASSPHRASE)
    folder = Path(os.fsdecode(there.path("source")))
    folder.mkdir()
    (folder / "file").write_bytes(b"content")
    url = f"rclone://disk:/{tmp_path}/place"
    there.run(duplicity, "full", str(folder), url).expect()
    assert restored_by(twofold, there, url) == contents(folder)

"""rsync:// from end to end, and duplicity in the same places."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers.process import HOST, Running
from tests.servers.rsync import MODULE, PASSWORD, USER, rsyncd
from tests.servers.ssh import Sshd, sshd
from tests.services.journey import contents, restored_by, travel
from tests.support.gnupg import SYMMETRIC_PASSPHRASE
from tests.support.programs import Program, Workspace


@pytest.fixture(scope="module")
def daemon() -> Iterator[Running]:
    with rsyncd() as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with sshd(sftp=False) as running:
        yield running


def test_a_whole_backup(twofold: Program, workspace: Workspace, daemon: Running) -> None:
    customer = replace(workspace, extra_variables={"RSYNC_PASSWORD": PASSWORD})
    travel(twofold, customer, f"rsync://{USER}@{HOST}:{daemon.port}::{MODULE}/{uuid.uuid4()}/daily backups")


@pytest.mark.interop
def test_duplicity_restores_from_the_same_module(
    twofold: Program, duplicity: Program, workspace: Workspace, daemon: Running
) -> None:
    customer = replace(workspace, extra_variables={"FTP_PASSWORD": PASSWORD})
    url = f"rsync://{USER}@{HOST}:{daemon.port}::/{MODULE}/{uuid.uuid4()}/daily"
    after = travel(twofold, customer, url)
    assert restored_by(duplicity, customer, url) == after


@pytest.mark.interop
def test_each_restores_over_ssh_what_the_other_stored(
    twofold: Program, duplicity: Program, workspace: Workspace, server: Sshd, tmp_path: Path
) -> None:
    daily, other = (f"rsync://{server.user}@{HOST}:{server.port}/{tmp_path}/{name}" for name in ("a/daily", "other"))
    options = ("--ssh-options", server.client_options)
    after = travel(twofold, workspace, daily, *options)
    assert restored_by(duplicity, workspace, daily, *options) == after
    # duplicity makes no directories over ssh.
    (tmp_path / "other").mkdir()
    folder = tmp_path / "other source"
    folder.mkdir()
    (folder / "file").write_bytes(b"content")
    there = workspace.with_passphrase(SYMMETRIC_PASSPHRASE)
    there.run(duplicity, "full", str(folder), other, *options).expect()
    assert restored_by(twofold, workspace.with_archive_dir("other"), other, *options) == contents(folder)

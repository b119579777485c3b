"""sftp:// and its kin from end to end, and duplicity reading what was stored."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers.process import HOST
from tests.servers.ssh import PASSWORD, USER, Sshd, rclone_sftp, sshd
from tests.services.journey import restored_by, travel
from tests.support.programs import Program, Workspace


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with sshd() as running:
        yield running


@pytest.fixture(scope="module")
def rclone_port() -> Iterator[int]:
    with rclone_sftp() as port:
        yield port


@pytest.fixture
def address(server: Sshd, tmp_path: Path) -> str:
    """What follows the two slashes: an absolute path on the server."""
    return f"{server.user}@{HOST}:{server.port}/{tmp_path}/of the server/daily"


def options(server: Sshd) -> tuple[str, str]:
    return "--ssh-options", server.client_options


@pytest.mark.parametrize("scheme", ["paramiko+scp", "pexpect+sftp", "fish"])
def test_a_whole_backup(twofold: Program, workspace: Workspace, server: Sshd, address: str, scheme: str) -> None:
    # fish:// asks for a password, as in duplicity, also where a key will do.
    customer = replace(workspace, extra_variables={"BACKEND_PASSWORD": "not needed"} if scheme == "fish" else {})
    travel(twofold, customer, f"{scheme}://{address}", *options(server))


def test_a_whole_backup_with_a_password_and_a_relative_path(
    twofold: Program, workspace: Workspace, rclone_port: int
) -> None:
    customer = replace(workspace, extra_variables={"FTP_PASSWORD": PASSWORD})
    url = f"scp://{USER}@{HOST}:{rclone_port}/{uuid.uuid4()}/daily"
    travel(twofold, customer, url, "--ssh-options=-oStrictHostKeyChecking=accept-new")


@pytest.mark.parametrize("variable", ["FTP_PASSWORD", "BACKEND_PASSWORD"])
@pytest.mark.parametrize("scheme", ["sftp", "pexpect+scp"])
def test_the_password_comes_from_a_variable(
    twofold: Program, workspace: Workspace, rclone_port: int, scheme: str, variable: str
) -> None:
    customer = replace(workspace, extra_variables={variable: PASSWORD})
    known = f"-oUserKnownHostsFile={os.fsdecode(workspace.path('known'))}"
    url = f"{scheme}://{USER}@{HOST}:{rclone_port}/{uuid.uuid4()}"
    hosts = f"--ssh-options={known} -oStrictHostKeyChecking=accept-new"
    assert "No backup chains" in customer.run(twofold, "collection-status", url, hosts).expect().stdout


@pytest.mark.interop
def test_duplicity_restores_it(
    twofold: Program, duplicity: Program, workspace: Workspace, server: Sshd, address: str
) -> None:
    url = f"sftp://{address}"
    backed_up = travel(twofold, workspace, url, *options(server))
    assert restored_by(duplicity, workspace, url, *options(server)) == backed_up


def test_an_unknown_host_is_refused_with_the_line_to_type(
    twofold: Program, workspace: Workspace, server: Sshd, address: str
) -> None:
    failed = workspace.run(twofold, "collection-status", f"sftp://{address}").expect(50)
    assert f"ssh-keyscan -p {server.port} {HOST} >> ~/.ssh/known_hosts" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_the_password_is_nowhere_in_what_is_said(twofold: Program, workspace: Workspace, rclone_port: int) -> None:
    url = f"sftp://{USER}:dragon@{HOST}:{rclone_port}/x"
    failed = workspace.run(
        twofold, "collection-status", url, "--ssh-options=-oStrictHostKeyChecking=accept-new", "-v9"
    ).expect(50)
    assert "refuses the login" in failed.stderr
    assert "dragon" not in failed.stdout + failed.stderr

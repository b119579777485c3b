"""ftp:// and its kin from end to end, and duplicity, whose hands are lftp's, reading what was stored."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers.ftp import ANONYMOUS, MAIL, PASSWORD, USER, Tls, pyftpdlib, vsftpd
from tests.servers.process import HOST, Running
from tests.services.journey import contents, restored_by, travel
from tests.support.gnupg import SYMMETRIC_PASSPHRASE
from tests.support.programs import Program, Workspace
from tests.support.tools import require_tool


@pytest.fixture(scope="module")
def plain() -> Iterator[Running]:
    with pyftpdlib() as running:
        yield running


@pytest.fixture(scope="module")
def secret() -> Iterator[Running]:
    with vsftpd(Tls.EXPLICIT) as running:
        yield running


@pytest.mark.parametrize("variable", ["FTP_PASSWORD", "BACKEND_PASSWORD"])
def test_a_whole_backup(twofold: Program, workspace: Workspace, plain: Running, variable: str) -> None:
    customer = replace(workspace, extra_variables={variable: PASSWORD})
    travel(twofold, customer, f"ftp://{USER}@{HOST}:{plain.port}/{uuid.uuid4()}/daily backups")


def test_a_whole_backup_over_tls(twofold: Program, workspace: Workspace, secret: Running) -> None:
    url = f"ftpes://{ANONYMOUS}:{MAIL.replace('@', '%40')}@{HOST}:{secret.port}/up/{uuid.uuid4()}"
    travel(twofold, workspace, url, "--ssl-cacert-file", str(secret.folder.parent / "cert.pem"))


@pytest.mark.interop
@pytest.mark.parametrize("path", ["{name}", "{name}/daily", "/{name}", "{name}/"])
def test_duplicity_restores_from_the_same_url(
    twofold: Program, duplicity: Program, workspace: Workspace, plain: Running, path: str
) -> None:
    require_tool("lftp")
    customer = replace(workspace, extra_variables={"FTP_PASSWORD": PASSWORD})
    url = f"ftp://{USER}@{HOST}:{plain.port}/{path.format(name=uuid.uuid4())}"
    after = travel(twofold, customer, url)
    assert restored_by(duplicity, customer, url) == after


@pytest.mark.interop
def test_twofold_restores_what_duplicity_stored(
    twofold: Program, duplicity: Program, workspace: Workspace, plain: Running
) -> None:
    require_tool("lftp")
    customer = replace(workspace, extra_variables={"FTP_PASSWORD": PASSWORD}).with_passphrase(SYMMETRIC_PASSPHRASE)
    folder = Path(os.fsdecode(customer.path("source")))
    folder.mkdir()
    (folder / "file").write_bytes(b"content")
    url = f"ftp://{USER}@{HOST}:{plain.port}/{uuid.uuid4()}/daily"
    customer.run(duplicity, "full", str(folder), url).expect()
    assert restored_by(twofold, customer, url) == contents(folder)

"""webdav:// from end to end, and duplicity reading what was stored."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers.process import HOST, Running
from tests.servers.webdav import PASSWORD, USER, apache, nginx
from tests.services.journey import contents, restored_by, travel
from tests.support.gnupg import SYMMETRIC_PASSPHRASE
from tests.support.programs import Program, Workspace


@pytest.fixture(scope="module")
def two_doors() -> Iterator[Running]:
    with nginx() as running:
        yield running


@pytest.fixture(scope="module")
def digesting() -> Iterator[Running]:
    with apache() as running:
        yield running


def test_a_whole_backup_over_tls(twofold: Program, workspace: Workspace, two_doors: Running) -> None:
    customer = replace(workspace, extra_variables={"BACKEND_PASSWORD": PASSWORD})
    url = f"webdavs://{USER}@{HOST}:{two_doors.ports[1]}/{uuid.uuid4()}/daily backups"
    travel(twofold, customer, url, "--ssl-cacert-file", str(two_doors.folder.parent / "cert.pem"))


def test_a_whole_backup_with_digests(twofold: Program, workspace: Workspace, digesting: Running) -> None:
    customer = replace(workspace, extra_variables={"FTP_PASSWORD": PASSWORD})
    travel(twofold, customer, f"webdav://{USER}@{HOST}:{digesting.port}/{uuid.uuid4()}")


@pytest.mark.interop
@pytest.mark.parametrize("path", ["{name}", "/{name}/daily/"])
def test_duplicity_restores_from_the_same_url(
    twofold: Program, duplicity: Program, workspace: Workspace, two_doors: Running, path: str
) -> None:
    customer = replace(workspace, extra_variables={"FTP_PASSWORD": PASSWORD})
    url = f"webdav://{USER}@{HOST}:{two_doors.port}/{path.format(name=uuid.uuid4())}"
    after = travel(twofold, customer, url)
    assert restored_by(duplicity, customer, url) == after


@pytest.mark.interop
def test_twofold_restores_what_duplicity_stored(
    twofold: Program, duplicity: Program, workspace: Workspace, two_doors: Running
) -> None:
    customer = replace(workspace, extra_variables={"FTP_PASSWORD": PASSWORD}).with_passphrase(SYMMETRIC_PASSPHRASE)
    folder = Path(os.fsdecode(customer.path("source")))
    folder.mkdir()
    (folder / "file").write_bytes(b"content")
    url = f"webdav://{USER}@{HOST}:{two_doors.port}/{uuid.uuid4()}/daily"
    customer.run(duplicity, "full", str(folder), url).expect()
    assert restored_by(twofold, customer, url) == contents(folder)

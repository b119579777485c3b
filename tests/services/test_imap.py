"""imaps:// and imap:// from end to end; duplicity's own driver for mailboxes has not worked since 1.0."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.servers.mail import PASSWORD, dovecot
from tests.servers.process import HOST, Running
from tests.services.journey import travel
from tests.support.programs import Program, Workspace


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with dovecot() as running:
        yield running


@pytest.mark.parametrize("scheme", ["imap", "imaps"])
def test_a_whole_backup(twofold: Program, workspace: Workspace, running: Running, scheme: str) -> None:
    customer = replace(workspace, extra_variables={"IMAP_PASSWORD": PASSWORD})
    port = running.ports[scheme == "imaps"]
    certificate = str(running.folder.parent / "cert.pem")
    url = f"{scheme}://me@{HOST}:{port}/daily/{scheme}"
    travel(twofold, customer, url, "--ssl-cacert-file", certificate, "--imap-mailbox", "Sicherung täglich")
    messages = [path for path in (running.folder / "mail/me").rglob("cur/*") if path.is_file()]
    assert all(b"Subject: duplicity-" in path.read_bytes() for path in messages)


def test_a_wrong_password_is_said_in_one_line(twofold: Program, workspace: Workspace, running: Running) -> None:
    customer = replace(workspace, extra_variables={"IMAP_PASSWORD": "wrong secret"})
    url = f"imap://me@{HOST}:{running.port}/daily"
    failed = customer.run(twofold, "collection-status", url, "--ssl-no-check-certificate").expect(50)
    assert "check user, password" in failed.stderr
    assert "wrong secret" not in failed.stderr

"""swift:// and pca:// from end to end, and duplicity and twofold reading what the other stored."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers import swift
from tests.services.journey import contents, restored_by, travel
from tests.support.gnupg import SYMMETRIC_PASSPHRASE
from tests.support.programs import Program, Workspace


@pytest.fixture(scope="session")
def port(swift_port: int) -> int:
    return swift_port


@pytest.fixture(scope="module")
def identity(port: int) -> Iterator[dict[str, str]]:
    """A login of version 3."""
    with swift.keystone(port) as address:
        words = {"AUTHVERSION": "3", "AUTHURL": f"{address}/v3", "USERNAME": swift.NAME, "REGIONNAME": "here"}
        names = {"PROJECT_NAME": swift.TENANT, "USER_DOMAIN_NAME": "Default", "PROJECT_DOMAIN_NAME": "Default"}
        login = {**words, **names, "PASSWORD": swift.KEY}
        yield {f"SWIFT_{name}": value for name, value in login.items()}


def customer_of(workspace: Workspace, port: int, kind: str = "SWIFT") -> Workspace:
    login = {"USERNAME": swift.USER, "PASSWORD": swift.KEY, "AUTHURL": swift.auth_url(port)}
    return replace(workspace, extra_variables={f"{kind}_{name}": value for name, value in login.items()})


@pytest.mark.interop
def test_a_whole_backup_that_duplicity_restores(
    twofold: Program, duplicity: Program, workspace: Workspace, port: int
) -> None:
    customer, url = customer_of(workspace, port), f"swift://c{uuid.uuid4()}/daily/docs"
    after = travel(twofold, customer, url)
    assert restored_by(duplicity, customer, url) == after


@pytest.mark.interop
def test_large_objects_of_either_are_restored_by_the_other(
    twofold: Program, duplicity: Program, workspace: Workspace, identity: dict[str, str]
) -> None:
    customer = replace(workspace, extra_variables=identity).with_passphrase(SYMMETRIC_PASSPHRASE)
    source = Path(os.fsdecode(customer.path("source")))
    source.mkdir()
    (source / "large").write_bytes(os.urandom(5 << 20))
    for writer, reader in ((twofold, duplicity), (duplicity, twofold)):
        url = f"swift://c{uuid.uuid4()}/daily"
        there = customer.with_archive_dir(f"writing {writer}")
        there.run(writer, "full", str(source), url, "--volsize", "3", "--mp-segment-size", "1").expect()
        assert restored_by(reader, customer, url) == contents(source)


def test_a_cold_backup_is_asked_for_and_then_restored(twofold: Program, workspace: Workspace, port: int) -> None:
    customer = customer_of(workspace, port, "PCA").with_passphrase(SYMMETRIC_PASSPHRASE)
    source, url = Path(os.fsdecode(customer.path("source"))), f"pca://cold{uuid.uuid4()}"
    source.mkdir()
    (source / "file").write_bytes(b"content")
    customer.run(twofold, "full", str(source), url).expect()
    arguments = ("restore", url, os.fsdecode(customer.path("restored")))
    elsewhere = customer.with_archive_dir("another cache")
    runs = [elsewhere.run(twofold, *arguments)]
    while runs[-1].returncode and len(runs) < 6:  # manifests and signatures first, then the volumes
        assert "asked for" in runs[-1].stderr
        runs.append(elsewhere.run(twofold, *arguments))
    assert len(runs) > 1, runs[-1]
    runs[-1].expect()
    assert contents(Path(os.fsdecode(customer.path("restored")))) == {"file": b"content"}


def test_without_a_login_the_message_says_what_to_set(twofold: Program, workspace: Workspace) -> None:
    failed = workspace.run(twofold, "collection-status", "swift://container").expect(50)
    assert "set SWIFT_USERNAME, SWIFT_PASSWORD, SWIFT_AUTHURL" in failed.stderr
    assert "Traceback" not in failed.stderr

"""azure:// from end to end, and duplicity reading what was stored."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers import azure
from tests.services.journey import contents, restored_by, travel
from tests.support.gnupg import SYMMETRIC_PASSPHRASE
from tests.support.programs import Program, Workspace

SIZES = ("--azure-max-single-put-size", "100000", "--azure-max-block-size", "300000", "--azure-blob-tier", "Cool")


@pytest.fixture(scope="module")
def azurite() -> Iterator[int]:
    with azure.azurite() as running:
        yield running.port


@pytest.fixture
def customer(workspace: Workspace, azurite: int) -> Workspace:
    return replace(workspace, extra_variables={"AZURE_CONNECTION_STRING": azure.connection_string(azurite)})


def test_a_whole_backup_in_a_folder_and_in_parts(twofold: Program, customer: Workspace) -> None:
    travel(twofold, customer, f"azure:///{uuid.uuid4()}/daily", *SIZES)


def test_without_an_account_the_message_says_what_to_set(twofold: Program, workspace: Workspace) -> None:
    failed = workspace.run(twofold, "collection-status", "azure://backups").expect(50)
    assert "set AZURE_CONNECTION_STRING" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.interop
def test_duplicity_restores_from_the_same_url(twofold: Program, duplicity: Program, customer: Workspace) -> None:
    url = f"azure://{uuid.uuid4()}"
    after = travel(twofold, customer, url)
    assert restored_by(duplicity, customer, url) == after


@pytest.mark.interop
def test_twofold_restores_what_duplicity_stored(twofold: Program, duplicity: Program, customer: Workspace) -> None:
    there = customer.with_passphrase(SYMMETRIC_PASSPHRASE)
    folder = Path(os.fsdecode(there.path("source")))
    folder.mkdir()
    (folder / "file").write_bytes(b"content")
    url = f"azure://{uuid.uuid4()}"
    there.run(duplicity, "full", str(folder), url).expect()
    assert restored_by(twofold, customer, url) == contents(folder)

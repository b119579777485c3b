"""gs:// from end to end; duplicity has no such scheme."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.servers import gcs
from tests.servers.process import HOST
from tests.services.journey import travel
from tests.support.programs import Program, Workspace
from twofold.storage.drivers.gcs.store import connect
from twofold.storage.settings import StoreSettings


@pytest.fixture(scope="module")
def emulator() -> Iterator[dict[str, str]]:
    with gcs.fake_gcs() as running:
        variables = {"STORAGE_EMULATOR_HOST": f"http://{HOST}:{running.port}"}
        connect(StoreSettings(environment=variables)).create_bucket("backups", project="any")
        yield variables


@pytest.fixture
def customer(workspace: Workspace, emulator: dict[str, str]) -> Workspace:
    return replace(workspace, extra_variables=emulator)


def test_a_whole_backup(twofold: Program, customer: Workspace) -> None:
    travel(twofold, customer, f"gs://backups/{uuid.uuid4()}/daily")


def test_a_wrong_bucket_is_named(twofold: Program, customer: Workspace) -> None:
    failed = customer.run(twofold, "collection-status", "gs:///nowhere/x").expect(50)
    assert "gs://nowhere/x" in failed.stderr
    assert "make the bucket first" in failed.stderr

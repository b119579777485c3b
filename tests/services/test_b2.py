"""b2:// from end to end."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.servers.b2 import Service, b2_service
from tests.servers.process import HOST
from tests.services.journey import travel
from tests.support.programs import Program, Workspace


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with b2_service() as found:
        yield found


@pytest.fixture
def customer(workspace: Workspace, service: Service) -> Workspace:
    variables = {"B2_ENVIRONMENT": f"http://{HOST}:{service.port}", "BACKEND_PASSWORD": service.key}
    return replace(workspace, extra_variables=variables)


def test_a_whole_backup(twofold: Program, customer: Workspace, service: Service) -> None:
    travel(twofold, customer, f"b2://{service.key_id}@b-{uuid.uuid4()}/daily/docs")


def test_without_a_key_the_message_says_what_to_set(twofold: Program, workspace: Workspace) -> None:
    failed = workspace.run(twofold, "collection-status", "b2://bucket").expect(50)
    assert "set B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY" in failed.stderr
    assert "Traceback" not in failed.stderr

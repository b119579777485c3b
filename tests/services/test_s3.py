"""s3:// from end to end, and duplicity reading what was stored."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from tests.servers import s3
from tests.servers.process import HOST
from tests.services.journey import contents, travel
from tests.support.programs import Program, Workspace

BUCKET = "backups"


@pytest.fixture(scope="module")
def seaweed() -> Iterator[int]:
    with s3.seaweedfs() as running:
        login = {"aws_access_key_id": s3.KEY, "aws_secret_access_key": s3.SECRET, "region_name": s3.REGION}
        boto3.client("s3", endpoint_url=f"http://{HOST}:{running.port}", **login).create_bucket(Bucket=BUCKET)
        yield running.port


@pytest.fixture(scope="module")
def glacier() -> Iterator[int]:
    with s3.moto() as running:
        login = {"aws_access_key_id": s3.KEY, "aws_secret_access_key": s3.SECRET, "region_name": s3.REGION}
        boto3.client("s3", endpoint_url=f"http://{HOST}:{running.port}", **login).create_bucket(Bucket=BUCKET)
        yield running.port


@pytest.fixture
def customer(workspace: Workspace) -> Workspace:
    return replace(workspace, extra_variables={"AWS_ACCESS_KEY_ID": s3.KEY, "AWS_SECRET_ACCESS_KEY": s3.SECRET})


@pytest.mark.parametrize("scheme", ["s3", "boto3+s3"])
def test_a_whole_backup(twofold: Program, customer: Workspace, seaweed: int, scheme: str) -> None:
    url = f"{scheme}:///{BUCKET}/{uuid.uuid4()}/daily"
    travel(twofold, customer, url, "--s3-endpoint-url", f"http://{HOST}:{seaweed}", "--s3-region-name", s3.REGION)


def test_cold_volumes_are_asked_for_all_at_once_and_the_same_command_restores_them(
    twofold: Program, customer: Workspace, glacier: int
) -> None:
    url = f"s3:///{BUCKET}/{uuid.uuid4()}"
    options = ("--no-encryption", "--s3-endpoint-url", f"http://{HOST}:{glacier}", "--s3-region-name", s3.REGION)
    source = Path(os.fsdecode(customer.path("source")))
    source.mkdir()
    (source / "large").write_bytes(os.urandom(3 << 20))
    customer.run(twofold, "full", str(source), url, "--volsize", "1", "--s3-use-glacier", *options).expect()
    restored = Path(os.fsdecode(customer.path("restored")))
    customer.run(twofold, "restore", "--dry-run", url, str(restored), *options).expect()
    asked = customer.run(twofold, "restore", url, str(restored), *options).expect(50).stderr
    assert "4 of the files that are needed lie in cold storage. All that are needed have been asked for" in asked
    assert "they can be read: run the same command again then" in asked
    assert not restored.exists()
    customer.run(twofold, "restore", url, str(restored), *options).expect()
    assert contents(restored) == contents(source)
    customer.run(twofold, "verify", url, str(source), *options).expect()


def test_without_a_key_the_message_says_what_to_set(twofold: Program, workspace: Workspace, seaweed: int) -> None:
    customer = replace(workspace, extra_variables={"AWS_EC2_METADATA_DISABLED": "true"})
    endpoint = ("--s3-endpoint-url", f"http://{HOST}:{seaweed}")
    failed = customer.run(twofold, "collection-status", f"s3:///{BUCKET}/x", *endpoint, "--s3-region-name", s3.REGION)
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in failed.expect(50).stderr
    assert "Traceback" not in failed.stderr


def test_a_wrong_bucket_is_named(twofold: Program, customer: Workspace, seaweed: int) -> None:
    endpoint = ("--s3-endpoint-url", f"http://{HOST}:{seaweed}", "--s3-region-name", s3.REGION)
    failed = customer.run(twofold, "collection-status", "s3:///nowhere/x", *endpoint).expect(50)
    assert "s3:///nowhere/x" in failed.stderr
    assert "make the bucket first" in failed.stderr

"""par2+ from end to end: backups that survive damage at the target, read by both programs."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers.process import HOST, Running, program
from tests.servers.webdav import PASSWORD, USER, nginx
from tests.services.journey import contents, restored_by, travel
from tests.support.gnupg import SYMMETRIC_PASSPHRASE
from tests.support.programs import Program, Workspace


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with nginx() as running:
        yield running


@pytest.fixture
def customer(workspace: Workspace) -> Workspace:
    folders = [str(Path(program("par2")).parent), os.environ["PATH"]]
    return replace(workspace, extra_variables={"PATH": os.pathsep.join(folders)})


def damage(folder: Path) -> list[str]:
    """Turns bytes of every file of a backup into others; the names of these files."""
    hit = [path for path in folder.iterdir() if path.suffix != ".par2"]
    for path in hit:
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 10] = bytes(each ^ 255 for each in content[middle : middle + 10])
        path.write_bytes(content)
    return [path.name for path in hit]


def test_backups_outlive_damage_to_all_of_their_files(twofold: Program, customer: Workspace) -> None:
    url = f"par2+{customer.url()}"
    source = Path(os.fsdecode(customer.path("source")))
    source.mkdir()
    (source / "large").write_bytes(os.urandom(3 << 20))
    there = customer.with_passphrase(SYMMETRIC_PASSPHRASE)
    options = ["--volsize", "1", "--par2-redundancy", "20", "--par2-volumes", "2"]
    there.run(twofold, "full", str(source), url, *options).expect()
    (source / "more").write_bytes(b"content")
    there.run(twofold, "incremental", str(source), url, *options).expect()
    target = Path(os.fsdecode(customer.path("target")))
    damaged = damage(target)
    assert len(list(target.glob("*.par2"))) == 3 * len(damaged)
    elsewhere = there.with_archive_dir("another cache")
    restored = Path(os.fsdecode(there.path("restored")))
    outcome = elsewhere.run(twofold, "restore", url, str(restored)).expect()
    assert contents(restored) == contents(source)
    for name in damaged:
        assert f"{name} is damaged at the target and has been repaired for this run" in outcome.stdout


def test_a_whole_backup_on_a_server(twofold: Program, customer: Workspace, server: Running) -> None:
    there = replace(customer, extra_variables={**customer.extra_variables, "FTP_PASSWORD": PASSWORD})
    travel(twofold, there, f"par2+webdav://{USER}@{HOST}:{server.port}/{uuid.uuid4()}")


@pytest.mark.interop
def test_both_programs_read_what_the_other_has_protected(
    twofold: Program, duplicity: Program, customer: Workspace
) -> None:
    url = f"par2+{customer.url()}"
    source = Path(os.fsdecode(customer.path("source")))
    source.mkdir()
    (source / "large").write_bytes(os.urandom(3 << 20))
    there = customer.with_passphrase(SYMMETRIC_PASSPHRASE)
    there.run(duplicity, "full", str(source), url, "--volsize", "1").expect()
    (source / "more").write_bytes(b"content")
    there.run(twofold, "incremental", str(source), url).expect()
    assert restored_by(duplicity, customer, url) == contents(source)
    damage(Path(os.fsdecode(customer.path("target"))))
    assert restored_by(twofold, customer, url) == contents(source)

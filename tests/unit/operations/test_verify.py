"""Verifying against a folder: metadata always, contents on demand, and the archive in any case."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.archive import DIRECTORY, FILE, Target, diff, one_volume, other, snapshot, symlink
from tests.support.restoring import Place, Result, place
from twofold.errors import BadVolume
from twofold.model.backup import FileRole, SetId
from twofold.operations.verify import DataDiffers, Differs, OnlyInBackup, OnlyLocal
from twofold.tree.compare import Aspect

FULL, FIRST = SetId(1000), SetId(2000, 1000)
MINE = {"uid": os.geteuid(), "gid": os.getegid()}
CONTENT = b"content" * 100


@pytest.fixture
def here(tmp_path: Path) -> Place:
    """A backup and the folder that it was made of, equal in everything."""
    directory, file = DIRECTORY._replace(**MINE), FILE._replace(**MINE)
    target = Target()
    target.add_set(
        FULL,
        one_volume(
            other(b"", directory),
            snapshot(b"a", b"a", entry=file),
            snapshot(b"b", CONTENT[:-1], entry=file),
            other(b"d", directory),
            snapshot(b"d/x", b"x", entry=file),
            other(b"l", symlink(b"a")._replace(**MINE)),
        ),
    )
    target.add_set(FIRST, one_volume(diff(b"b", CONTENT[:-1], CONTENT, entry=file)))
    found = place(tmp_path, target)
    source = tmp_path / "source"
    (source / "d").mkdir(parents=True)
    for name, content in (("a", b"a"), ("b", CONTENT), ("d/x", b"x")):
        (source / name).write_bytes(content)
        (source / name).chmod(0o644)
    (source / "l").symlink_to("a")
    settle(source)
    return found


def settle(source: Path) -> None:
    for path in (source / "a", source / "b", source / "d" / "x", source / "d", source):
        if path.exists():
            if path.is_dir():
                path.chmod(0o755)
            os.utime(path, ns=(FILE.mtime_ns, FILE.mtime_ns))


def differences(result: Result) -> list[object]:
    kinds = (OnlyLocal, OnlyInBackup, Differs, DataDiffers)
    return [event for event in result.monitor.events if isinstance(event, kinds)]


@pytest.mark.parametrize("compare_data", [False, True])
def test_what_is_equal_has_no_differences(here: Place, tmp_path: Path, compare_data: bool) -> None:
    result = here.verify(tmp_path / "source", compare_data=compare_data)
    assert result.error is None
    assert result.summary == (6, 0)


@pytest.mark.parametrize("compare_data", [False, True])
def test_metadata_are_always_compared(here: Place, tmp_path: Path, compare_data: bool) -> None:
    source = tmp_path / "source"
    (source / "a").chmod(0o600)
    os.utime(source / "d" / "x", (1, 1))
    result = here.verify(source, compare_data=compare_data)
    found = {event.path: event.difference.aspect for event in differences(result) if isinstance(event, Differs)}
    assert found == {b"a": Aspect.PERMISSIONS, b"d/x": Aspect.MTIME}
    assert result.summary == (6, 2)


def test_contents_are_compared_when_asked_for(here: Place, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "b").write_bytes(CONTENT[:-1] + b"!")
    settle(source)
    assert here.verify(source).summary == (6, 0)
    result = here.verify(source, compare_data=True)
    assert differences(result) == [DataDiffers(b"b")]


def test_what_only_one_side_has_is_told(here: Place, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a").unlink()
    (source / "new").write_bytes(b"")
    settle(source)
    assert set(map(repr, differences(here.verify(source)))) == {
        repr(OnlyInBackup(b"a")),
        repr(OnlyLocal(b"new")),
    }


def test_a_part_of_the_backup_is_compared_with_a_folder(here: Place, tmp_path: Path) -> None:
    assert here.verify(tmp_path / "source" / "d", within=b"d").summary == (2, 0)


@pytest.mark.parametrize("compare_data", [False, True])
def test_every_volume_is_read_and_replayed_whatever_is_compared(
    here: Place, tmp_path: Path, compare_data: bool
) -> None:
    name = Target().name(FIRST, FileRole.VOLUME, 1)
    here.files[name] = here.files[name].replace(b"rs\x026", b"rs\x027")
    result = here.verify(tmp_path / "source", compare_data=compare_data)
    assert isinstance(result.error, BadVolume)
    assert name in str(result.error)


@pytest.mark.parametrize("compare_data", [False, True])
def test_a_content_that_is_not_the_recorded_one_is_told(here: Place, tmp_path: Path, compare_data: bool) -> None:
    damaged = Target()
    member = snapshot(b"a", b"a", entry=FILE._replace(**MINE))
    damaged.add_set(FIRST, one_volume(member[:-512] + b"?" + bytes(511)))
    here.files.update(damaged.files)
    result = here.verify(tmp_path / "source", compare_data=compare_data)
    assert result.exit_code == 1
    assert result.named == [b"a"]

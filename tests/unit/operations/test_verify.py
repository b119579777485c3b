"""Verifying against a folder: metadata always, contents on demand, and the archive in any case."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.archive import DIRECTORY, FILE, Target, diff, one_volume, other, parts, snapshot, symlink
from tests.support.restoring import Place, Result, place
from twofold.errors import BadVolume
from twofold.model.backup import FileRole, SetId
from twofold.operations import verify_runs
from twofold.operations.verify import DataDiffers, Differs, OnlyInBackup, OnlyLocal
from twofold.tree.compare import Aspect
from twofold.tree.scan import SourceTree

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
    assert result.summary == (6, 0, 0)


@pytest.mark.parametrize("compare_data", [False, True])
def test_metadata_are_always_compared(here: Place, tmp_path: Path, compare_data: bool) -> None:
    source = tmp_path / "source"
    (source / "a").chmod(0o600)
    os.utime(source / "d" / "x", (1, 1))
    result = here.verify(source, compare_data=compare_data)
    found = {event.path: event.difference.aspect for event in differences(result) if isinstance(event, Differs)}
    assert found == {b"a": Aspect.PERMISSIONS, b"d/x": Aspect.MTIME}
    assert result.summary == (6, 2, 0)


def test_contents_are_compared_when_asked_for(here: Place, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "b").write_bytes(CONTENT[:-1] + b"!")
    settle(source)
    assert here.verify(source).summary == (6, 0, 0)
    result = here.verify(source, compare_data=True)
    assert differences(result) == [DataDiffers(b"b")]


def test_a_local_file_is_opened_once_and_read_once(
    here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, read = [], []
    open_file, read_once, compare = SourceTree.open_file, os.read, verify_runs.compare_files

    def counting_open(self: SourceTree, directory: int, name: bytes) -> int:
        opened.append(name)
        descriptor = open_file(self, directory, name)
        ours.add(descriptor)
        return descriptor

    def counting_read(descriptor: int, size: int) -> bytes:
        data = read_once(descriptor, size)
        if descriptor in ours:
            read.append(len(data))
        return data

    def counting_compare(directory: int, names: list[bytes], *others: object, **flags: object) -> memoryview[int]:
        opened.extend(names)
        return compare(directory, names, *others, **flags)  # type: ignore[arg-type]

    ours: set[int] = set()
    monkeypatch.setattr(SourceTree, "open_file", counting_open)
    monkeypatch.setattr(os, "read", counting_read)
    monkeypatch.setattr(verify_runs, "compare_files", counting_compare)
    assert here.verify(tmp_path / "source", compare_data=True).summary == (6, 0, 0)
    assert opened == [b"a", b"b", b"x"]
    assert read == [len(CONTENT)], "the others by calls that do it all"


@pytest.mark.parametrize("there", [CONTENT[:-1], CONTENT + b"more"])
def test_a_file_of_another_length_has_other_data_even_if_the_archive_does_not_know_its_size(
    here: Place, tmp_path: Path, there: bytes
) -> None:
    source = tmp_path / "source"
    target = Target()
    target.add_set(SetId(3000, 2000), one_volume(*parts(b"b", CONTENT, entry=FILE._replace(**MINE))))
    here.files.update(target.files)
    (source / "b").write_bytes(there)
    settle(source)
    assert differences(here.verify(source, compare_data=True)) == [DataDiffers(b"b")]


def test_a_local_file_that_cannot_be_read_is_named_and_the_rest_is_compared(
    here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_once = os.read

    def failing_read(descriptor: int, size: int) -> bytes:
        data = read_once(descriptor, size)
        if data == CONTENT:
            raise OSError(5, "Input/output error")
        return data

    monkeypatch.setattr(os, "read", failing_read)
    result = here.verify(tmp_path / "source", compare_data=True)
    assert result.named == [b"b"]
    assert result.summary == (6, 0, 1)
    assert not differences(result)


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
    assert here.verify(tmp_path / "source" / "d", within=b"d").summary == (2, 0, 0)


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

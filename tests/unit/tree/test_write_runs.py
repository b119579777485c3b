"""Runs written by people who may not do everything, or where not everything can be done."""

from __future__ import annotations

import io
import os
import stat

import pytest

from tests.support.archive import snapshot
from tests.unit.tree.conftest import MTIME_NS, entry, losses, needs_root, ordinary_user, writing
from twofold.format.volume_reader import Run, VolumeReader
from twofold.model.entry import Entry
from twofold.monitor import RecordingMonitor
from twofold.tree import write_runs
from twofold.tree.shortfalls import DegradedKind, EntryProblem
from twofold.tree.write import TreeWriter
from twofold.tree.write_runs import RunWriter

COUNT = 40
NAMES = [b"%02d" % number for number in range(COUNT)]


def run_of(names: list[bytes], file: Entry) -> Run:
    """A run of files whose names are their contents."""
    before = snapshot(b"", b"", entry=file) + snapshot(b"\1", b"", entry=file)
    reader = VolumeReader(io.BytesIO(before + b"".join(snapshot(name, name, entry=file) for name in names)))
    for _ in range(3):
        reader.next()
    run = reader.run(None)
    assert run is not None
    assert run.paths == names
    return run


def write(writer: TreeWriter, run: Run) -> list[int]:
    """Gives the numbers of those that had to be written by themselves."""
    singly = []
    for at in RunWriter(writer).write(run, within=b"", unfit=()):
        singly.append(at)
        writer.write_file(run.paths[at], run.entry(at), run.content(at))
    return singly


@needs_root
def test_files_whose_owner_must_not_be_given_are_written_singly_and_counted(
    open_root: bytes, monitor: RecordingMonitor
) -> None:
    with ordinary_user(), writing(open_root, monitor) as writer:
        singly = write(writer, run_of(NAMES, entry()._replace(uid=0, gid=0)))
    assert singly == list(range(COUNT))
    assert losses(monitor) == {DegradedKind.OWNER: (COUNT, NAMES[0])}
    found = os.stat(os.path.join(open_root, NAMES[-1]))
    assert (found.st_uid, found.st_mtime_ns) == (65534, MTIME_NS)


@needs_root
def test_an_owner_that_is_given_is_the_recorded_one(root: bytes, monitor: RecordingMonitor) -> None:
    with writing(root, monitor) as writer:
        assert write(writer, run_of(NAMES, entry()._replace(uid=12345, gid=54321))) == []
    found = os.stat(os.path.join(root, NAMES[7]))
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12345, 54321, 0o644)


@needs_root
def test_without_owners_they_are_who_restores(root: bytes) -> None:
    with writing(root, restore_ownership=False) as writer:
        assert write(writer, run_of(NAMES, entry()._replace(uid=12345, gid=54321))) == []
    assert os.stat(os.path.join(root, NAMES[7])).st_uid == os.geteuid()


def test_where_every_file_is_special_calls_are_not_made_for_ever(root: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def refuse(*_: object) -> int:
        calls.append(1)
        return 0

    monkeypatch.setattr(write_runs, "write_files", refuse)
    with writing(root) as writer:
        assert write(writer, run_of(NAMES, entry())) == list(range(COUNT))
    assert len(calls) == 16
    assert sorted(os.listdir(root)) == NAMES


def test_after_a_while_it_is_tried_again(root: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_runs, "_PAUSE", 10)
    given: list[int] = []
    write_files = write_runs.write_files

    def refuse_at_first(directory: int, names: list[bytes], *others: object) -> int:
        given.append(len(names))
        return 0 if len(given) <= 16 else write_files(directory, names, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(write_runs, "write_files", refuse_at_first)
    with writing(root) as writer:
        assert write(writer, run_of(NAMES, entry())) == list(range(25))
    assert given[16:] == [15]
    assert sorted(os.listdir(root)) == NAMES


def test_a_run_keeps_to_the_order_of_the_archive(root: bytes) -> None:
    with writing(root) as writer:
        writer.write_file(b"10", entry(), b"")
        run = run_of(NAMES[10:], entry())
        with pytest.raises(EntryProblem, match="order"):
            write(writer, run)
        write(writer, run_of(NAMES[11:], entry()))
        with pytest.raises(EntryProblem, match="order"):
            writer.write_file(NAMES[12], entry(), b"")
    assert sorted(os.listdir(root)) == NAMES[10:]


def test_what_a_link_leads_to_is_not_written_into(root: bytes, tmp_path: object) -> None:
    outside = os.path.join(os.path.dirname(root), b"outside")
    os.mkdir(outside)
    os.mkdir(root)
    os.symlink(outside, os.path.join(root, b"d"))
    with writing(root, overwrite=True) as writer:
        run = run_of([b"d/" + name for name in NAMES], entry())
        for at in RunWriter(writer).write(run, within=b"", unfit=()):
            with pytest.raises(EntryProblem, match="not a directory"):
                writer.write_file(run.paths[at], run.entry(at), run.content(at))
    assert os.listdir(outside) == []

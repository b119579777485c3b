"""What shows progress is told: how far work has come, and how much there will be to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.backups import Place
from twofold.model.backup import SetKind, Wrapping
from twofold.monitor import Storing, Underway, VolumeDone
from twofold.operations.expectation import bytes_of_newest
from twofold.operations.known_state import state_identity
from twofold.pipeline.known import KnownDirectory, StateWriter, numbers_of


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path, Wrapping.PLAIN)
    source = Path(os.fsdecode(place.source))
    (source / "dir" / "inner").mkdir(parents=True)
    for number, name in enumerate(("dir/inner/deep", "dir/f", "top"), start=1):
        (source / name).write_bytes(b"x" * 50_000 * number)
    return place


def sizes(place: Place) -> int:
    folder = Path(os.fsdecode(place.source))
    return sum(path.lstat().st_size for path in (folder, *folder.rglob("*")))


def expected(place: Place, *, framing: int = 0) -> int | None:
    repository = place.repository()
    return bytes_of_newest(repository.collection(), repository, framing=framing)


def test_the_newest_backup_tells_how_much_there_will_be(place: Place) -> None:
    assert expected(place) is None
    place.back_up(SetKind.FULL)
    assert expected(place) == sizes(place)
    assert expected(place, framing=100) == sizes(place) + 6 * 100
    Path(os.fsdecode(place.source), "dir", "f").unlink()
    place.back_up(SetKind.INCREMENTAL)
    assert expected(place) == sizes(place)


def test_without_a_state_file_that_can_be_used_nothing_is_known(place: Place) -> None:
    place.back_up(SetKind.FULL)
    path = place.repository().archive_dir.state_path
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[:100] + b"\xff" * 50 + content[150:])
    assert expected(place) is None
    Path(path).unlink()
    assert expected(place) is None


def test_a_state_file_that_points_to_itself_keeps_nobody_busy(place: Place) -> None:
    place.back_up(SetKind.FULL)
    path = place.repository().archive_dir.state_path
    repository = place.repository()
    active = repository.collection().active
    assert active is not None
    writer = StateWriter(path)
    numbers = bytes(8 * 3) + (7).to_bytes(8, "little") + bytes(8 * 3)
    at = 16  # where the first record stands, which is this one
    itself = numbers_of("Q", at.to_bytes(8, "little"))
    record = KnownDirectory(b"x", numbers_of("q", numbers), numbers_of("Q", bytes(8)), itself)
    assert writer.write(record) == at
    writer.finish(at, state_identity(repository, active.signatures, None))
    assert expected(place) == 7


def test_a_backup_tells_how_far_it_has_come(place: Place) -> None:
    place.back_up(SetKind.FULL)
    (underway,) = (event for event in place.monitor.events if isinstance(event, Underway))
    last = underway.ask()
    assert (last.read_bytes, last.entries) == (300_000, 6)
    assert last.done_bytes == last.read_bytes
    assert last.made_bytes > last.read_bytes
    kinds = [type(event) for event in place.monitor.events if isinstance(event, Storing | VolumeDone)]
    assert kinds == [Storing, VolumeDone, Storing, VolumeDone, Storing]


def test_what_is_unchanged_counts_as_done_but_not_as_read(place: Place) -> None:
    place.back_up(SetKind.FULL)
    place.monitor.events.clear()
    Path(os.fsdecode(place.source), "new").write_bytes(b"y" * 1000)
    place.back_up(SetKind.INCREMENTAL)
    (underway,) = (event for event in place.monitor.events if isinstance(event, Underway))
    last = underway.ask()
    assert last.read_bytes == 1000
    assert 300_000 + 1000 <= last.done_bytes <= sizes(place)


def test_a_restore_tells_how_much_it_has_read(place: Place) -> None:
    place.back_up(SetKind.FULL)
    place.monitor.events.clear()
    place.restore()
    (underway,) = (event for event in place.monitor.events if isinstance(event, Underway))
    tars = sum(len(content) for name, content in place.files.items() if "difftar" in name)
    assert 300_000 < underway.ask().done_bytes <= tars

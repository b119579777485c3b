"""A listing says the same from the state file as from the signature files, and asks these only where it must."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.backups import NOW, Place
from twofold.model.backup import SetKind, Wrapping
from twofold.operations.listing import ListedFiles, list_files
from twofold.pipeline.known import KnownTree
from twofold.pipeline.known_runs import known_runs
from twofold.repository.archive_dir import STATE_NAME


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Two sets, with every type of file that an ordinary user can make."""
    place = Place(tmp_path, Wrapping.PLAIN)
    source = Path(os.fsdecode(place.source))
    (source / "dir/inner").mkdir(parents=True)
    (source / "empty").mkdir()
    for name in ("dir/inner/deep", "dir/f", "dir-x", "z" * 120, os.fsdecode(b"\xff")):
        (source / name).write_bytes(b"content")
    (source / "dir/link").symlink_to("f")
    os.mkfifo(source / "pipe")
    place.back_up(SetKind.FULL)
    (source / "dir/inner/deep").unlink()
    (source / "dir/new").write_bytes(b"new")
    place.back_up(SetKind.INCREMENTAL)
    return place


class Counted:
    """How often the plain signature files of the archive directory have been opened."""

    def __init__(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = 0
        from twofold.envelope.gzip import GzipEnvelope

        original = GzipEnvelope.open

        def counting(envelope: GzipEnvelope, path: str) -> object:
            self.opened += 1
            return original(envelope, path)

        monkeypatch.setattr(GzipEnvelope, "open", counting)


def listed(place: Place, instant: int = NOW) -> list[tuple[bytes, int, str]]:
    repository = place.repository()
    blocks: list[ListedFiles] = list(
        list_files(repository.collection(), repository, instant=instant, monitor=place.monitor)
    )
    return [(path, mtime, kind.value) for block in blocks for path, mtime, kind in zip(*block, strict=True)]


def state_path(place: Place) -> str:
    return os.path.join(place.archive, STATE_NAME)


def from_signatures(place: Place) -> list[tuple[bytes, int, str]]:
    os.rename(state_path(place), state_path(place) + "-away")
    try:
        return listed(place)
    finally:
        os.rename(state_path(place) + "-away", state_path(place))


def test_the_newest_backup_is_listed_without_a_look_at_signatures(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = from_signatures(place)
    counted = Counted(place, monkeypatch)
    assert listed(place) == expected
    assert counted.opened == 0
    assert [(path, kind) for path, _, kind in expected] == [
        (b"", "dir"),
        (b"dir", "dir"),
        (b"dir/f", "reg"),
        (b"dir/inner", "dir"),
        (b"dir/link", "sym"),
        (b"dir/new", "reg"),
        (b"dir-x", "reg"),
        (b"empty", "dir"),
        (b"pipe", "fifo"),
        (b"z" * 120, "reg"),
        (b"\xff", "reg"),
    ]


def test_an_older_backup_is_listed_from_its_signatures(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(place, monkeypatch)
    paths = [path for path, *_ in listed(place, place.set_ids()[0].end)]
    assert b"dir/inner/deep" in paths
    assert b"dir/new" not in paths
    assert counted.opened == 1


def test_a_state_file_of_another_chain_is_not_believed(place: Place) -> None:
    stale = Path(state_path(place)).read_bytes()
    source = Path(os.fsdecode(place.source))
    (source / "later").write_bytes(b"later")
    place.back_up(SetKind.INCREMENTAL)
    Path(state_path(place)).write_bytes(stale)
    assert b"later" in [path for path, *_ in listed(place)]


def test_a_listing_goes_on_from_the_signatures_where_the_state_file_is_damaged(place: Place) -> None:
    expected = from_signatures(place)
    content = bytearray(Path(state_path(place)).read_bytes())
    tree = KnownTree(state_path(place))
    top = tree.directory(tree.directory(tree.root).children[0])
    tree.close()
    damaged = top.children[top.name_list().index(b"empty")]
    content[damaged + 4] ^= 1  # its length of names
    Path(state_path(place)).write_bytes(content)
    assert listed(place) == expected


@pytest.mark.parametrize(
    "nanoseconds", [-1, -5_000_000_000, 999_999_999, 1_600_000_000_999_999_900, 1_600_000_000_999_999_879]
)
def test_strange_times_are_listed_as_the_signatures_have_them(place: Place, nanoseconds: int) -> None:
    os.utime(os.path.join(place.source, b"dir/f"), ns=(0, nanoseconds))
    place.back_up(SetKind.INCREMENTAL)
    assert listed(place) == from_signatures(place)


def test_a_directory_of_very_many_names_is_read_a_part_at_a_time(tmp_path: Path) -> None:
    place = Place(tmp_path, Wrapping.PLAIN)
    source = Path(os.fsdecode(place.source))
    for number in range(1300):
        (source / f"{number:04}{'n' * 240}").touch()
    (source / f"0650{'n' * 239}").mkdir()
    (source / f"0650{'n' * 239}" / "inside").touch()
    place.back_up(SetKind.FULL)
    tree = KnownTree(state_path(place))
    runs = list(known_runs(tree))
    tree.close()
    assert len(runs) == 5  # the root, up to the directory, what is in it, and the rest in two parts
    assert listed(place) == from_signatures(place)

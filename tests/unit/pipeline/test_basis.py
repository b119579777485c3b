"""The state made from signature files is as good as the one that a backup leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.backups import Place
from twofold.errors import CorruptTar
from twofold.format.tar_writer import tail
from twofold.model.backup import SetKind, Wrapping
from twofold.monitor import RecordingMonitor
from twofold.pipeline.basis import current_entries, rebuild_state
from twofold.pipeline.known import EMPTY_IDENTITY, DamagedState, KnownTree, subtree_entries


class FromMemory:
    """Satisfies `Opened`."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0
        self.closed = False

    def read(self, size: int) -> bytes:
        piece = self._content[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A chain of three sets in which paths came, changed and went."""
    place = Place(tmp_path, Wrapping.PLAIN)
    source = place.source
    os.makedirs(os.path.join(source, b"dir/inner"))
    for name in (b"dir/inner/deep", b"dir/f", b"dir-x", b"z" * 120, b"\xff"):
        Path(os.fsdecode(os.path.join(source, name))).write_bytes(os.urandom(100))
    os.symlink(b"f", os.path.join(source, b"dir/link"))
    os.mkfifo(os.path.join(source, b"pipe"))
    place.back_up(SetKind.FULL)
    os.unlink(os.path.join(source, b"dir/inner/deep"))
    os.rmdir(os.path.join(source, b"dir/inner"))
    Path(os.fsdecode(os.path.join(source, b"dir/f"))).write_bytes(b"changed")
    place.back_up(SetKind.INCREMENTAL)
    Path(os.fsdecode(os.path.join(source, b"dir/inner"))).write_bytes(b"now a file")
    place.back_up(SetKind.INCREMENTAL)
    return place


def test_the_newest_word_on_each_path_counts(place: Place) -> None:
    streams = [place.signatures(set_id) for set_id in place.set_ids()]
    opened: list[FromMemory] = []

    def opener(stream: bytes) -> FromMemory:
        opened.append(FromMemory(stream))
        return opened[-1]

    openers = [lambda stream=stream: opener(stream) for stream in streams]  # type: ignore[misc]
    entries = list(current_entries(openers, monitor=RecordingMonitor()))
    assert [(entry.member.path, -entry.age) for entry in entries] == [
        *((b"", 0), (b"dir", 2), (b"dir/f", 1), (b"dir/inner", 2), (b"dir/link", 0)),
        *((b"dir-x", 0), (b"pipe", 0), (b"z" * 120, 0), (b"\xff", 0)),
    ]
    assert all(each.closed for each in opened)


def test_a_rebuilt_state_finds_nothing_changed(place: Place) -> None:
    os.unlink(os.path.join(place.archive, "twofold-state"))
    assert place.back_up(SetKind.INCREMENTAL).tally.stored == 0
    os.unlink(os.path.join(place.archive, "twofold-state"))
    assert place.back_up(SetKind.INCREMENTAL).tally.stored == 0
    assert place.problems() == []


def test_a_rebuilt_state_notices_a_change_of_the_same_size_within_the_same_time(place: Place) -> None:
    path = os.path.join(place.source, b"dir-x")
    found = os.lstat(path)
    Path(os.fsdecode(path)).write_bytes(os.urandom(100))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    os.unlink(os.path.join(place.archive, "twofold-state"))
    assert place.back_up(SetKind.INCREMENTAL).tally.changed_files == 1


def test_entries_without_their_directory_are_reported_and_left_out(place: Place, tmp_path: Path) -> None:
    from tests.support.backups import tar_members

    stream = place.signatures(place.set_ids()[0])
    members = tar_members(stream)
    offsets = [info.offset for info, _ in members] + [members[-1][0].offset_data + 2048]
    start = next(number for number, (info, _) in enumerate(members) if info.name == "snapshot/dir")
    # NB: the member's offset is that of its extended header, if it has one.
    without = stream[: offsets[start]] + stream[offsets[start + 1] :]
    monitor = RecordingMonitor()
    path = str(tmp_path / "state")
    rebuild_state(path, [lambda: FromMemory(without + tail(len(without)))], EMPTY_IDENTITY, monitor=monitor)
    tree = KnownTree(path)
    top = tree.directory(tree.root).children[0]
    assert [name for name, _ in subtree_entries(tree, top, b"")] == [b"dir-x", b"pipe", b"z" * 120, b"\xff"]
    tree.close()
    assert len(monitor.events) == 4


def test_signatures_that_cannot_be_read_leave_no_state(place: Place, tmp_path: Path) -> None:
    stream = bytearray(place.signatures(place.set_ids()[0]))
    stream[100] ^= 1
    path = str(tmp_path / "state")
    with pytest.raises(CorruptTar):
        rebuild_state(path, [lambda: FromMemory(bytes(stream))], EMPTY_IDENTITY, monitor=RecordingMonitor())
    with pytest.raises(DamagedState):
        KnownTree(path)
    assert not [name for name in os.listdir(tmp_path) if name.startswith("state")]

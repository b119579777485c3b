"""The walk over the user's tree: order, selection, and what cannot be read."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.unit.tree.conftest import ordinary_user
from twofold.errors import UserError
from twofold.monitor import Problem, RecordingMonitor, SocketSkipped
from twofold.pipeline.compare import Leave, Store, compare
from twofold.pipeline.known import pack_stats
from twofold.select.compiling import compile_selection
from twofold.select.conditions import Condition, Exclude, ExcludeIfPresent, Include, Mode
from twofold.tree import scan
from twofold.tree.scan import CompactStats, ScanOptions, SourceTree


def tree_of(
    root: bytes, *conditions: Condition, monitor: RecordingMonitor | None = None, follow: bool = False
) -> SourceTree:
    choice = None
    if conditions:
        choice = compile_selection(conditions, source=root, mode=Mode.BACKUP)
    return SourceTree(root, choice, options=ScanOptions(follow), monitor=monitor or RecordingMonitor())


def paths_of(tree: SourceTree) -> list[bytes]:
    found: list[bytes] = []
    for step in compare(tree, None):
        if isinstance(step, Store):
            found += [step.work.prefix + step.work.names[at] for at in step.indexes]
        else:
            assert isinstance(step, Leave)
    return found


def make(root: bytes, *paths: bytes) -> None:
    for path in paths:
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if path.endswith(b"/"):
            os.makedirs(full, exist_ok=True)
        else:
            with open(full, "wb") as file:
                file.write(path)


@pytest.fixture
def source(tmp_path: Path) -> bytes:
    folder = os.fsencode(tmp_path / "source")
    os.mkdir(folder)
    return folder


def test_entries_come_in_archive_order(source: bytes) -> None:
    make(source, b"dir/b", b"dir/sub/f", b"dir-x/f", b"dir.y", b"\xff\n", b"A")
    assert paths_of(tree_of(source)) == [
        *(b"", b"A", b"dir", b"dir/b", b"dir/sub", b"dir/sub/f", b"dir-x", b"dir-x/f", b"dir.y", b"\xff\n")
    ]


def test_a_directory_of_very_many_files_is_listed_as_any_other(source: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    make(source, *(b"%03d" % number for number in range(30)), b"015-dir/x", b"no/1", b"no/2")
    conditions = (Exclude("**/no"), Exclude("**/007"))
    expected = paths_of(tree_of(source, *conditions))
    monkeypatch.setattr(scan, "MANY", 7)
    assert paths_of(tree_of(source, *conditions)) == expected
    assert len(expected) == 32


def test_compact_facts_are_those_of_lstat() -> None:
    originals = [os.lstat(path) for path in ("/", "/dev/null", __file__)]
    compact = CompactStats()
    compact.extend(originals)
    names = ("mode", "ino", "dev", "nlink", "uid", "gid", "size", "mtime_ns", "ctime_ns", "blocks", "rdev", "mtime")
    for before, after in zip(originals, compact, strict=True):
        assert [getattr(after, f"st_{name}") for name in names] == [getattr(before, f"st_{name}") for name in names]
    with pytest.raises(IndexError):
        compact[3]


def test_compact_facts_reach_beyond_the_usual(source: bytes) -> None:
    make(source, b"old")
    os.utime(os.path.join(source, b"old"), ns=(0, -1_500_000_001))
    compact = CompactStats()
    found = os.lstat(os.path.join(source, b"old"))
    compact.extend([found])
    assert compact[0].st_mtime_ns == found.st_mtime_ns < 0


def test_facts_of_ordinary_directories_come_by_one_call(source: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    make(source, *(b"%03d" % number for number in range(30)))
    asked = []
    monkeypatch.setattr(os, "lstat", lambda *_, **__: asked.append(1))
    listing = tree_of(source).open_root()
    assert listing is not None
    os.close(listing.fd)
    assert asked == []
    for name, found in zip(listing.names, listing.stats, strict=True):
        there = os.stat(os.path.join(source, name))
        assert (found.st_mode, found.st_mtime_ns, found.st_ino) == (there.st_mode, there.st_mtime_ns, there.st_ino)


def test_changed_facts_replace_listed_ones() -> None:
    compact = CompactStats()
    compact.extend([os.lstat("/"), os.lstat("/dev/null")])
    found = os.lstat(__file__)
    compact.replace(1, found)
    assert (compact[0].st_ino, compact[1].st_ino) == (os.lstat("/").st_ino, found.st_ino)
    assert list(compact.packed()[7:]) == list(pack_stats([found]))


def test_only_directories_that_lead_to_something_included_are_taken(source: bytes) -> None:
    make(source, b"a/b/c/wanted.py", b"a/b/d/other", b"e/f/other", b"e/wanted.py", b"g/h/other")
    tree = tree_of(source, Include("**.py"), Exclude("**"))
    assert paths_of(tree) == [b"", b"a", b"a/b", b"a/b/c", b"a/b/c/wanted.py", b"e", b"e/wanted.py"]


def test_looking_ahead_remembers_nothing_once_the_walk_has_been_by(source: bytes) -> None:
    make(source, *(b"%d/%d/%d/f" % (one, two, three) for one in range(3) for two in range(3) for three in range(3)))
    tree = tree_of(source, Include("**/f"), Exclude("**"))
    assert len(paths_of(tree)) == 1 + 3 + 9 + 27 + 27
    assert tree._hopeful == {}


def test_a_directory_with_a_marker_is_left_out(source: bytes) -> None:
    make(source, b"a/f", b"b/.nobackup", b"b/f")
    assert paths_of(tree_of(source, ExcludeIfPresent(b".nobackup"))) == [b"", b"a", b"a/f"]


def test_what_cannot_be_looked_into_is_reported_once_whatever_is_selected(open_root: bytes) -> None:
    monitor = RecordingMonitor()
    with ordinary_user():
        make(open_root, b"a/closed/f", b"a/wanted.py")
        os.chmod(os.path.join(open_root, b"a/closed"), 0)
        try:
            assert paths_of(tree_of(open_root, Include("**.py"), Exclude("**"), monitor=monitor)) == [
                *(b"", b"a", b"a/wanted.py")
            ]
        finally:
            os.chmod(os.path.join(open_root, b"a/closed"), 0o700)
    assert [event.path for event in monitor.events if isinstance(event, Problem)] == [b"a/closed"]


def test_names_without_facts_are_reported_and_listed_apart(open_root: bytes) -> None:
    monitor = RecordingMonitor()
    with ordinary_user():
        make(open_root, b"a/f")
        os.chmod(os.path.join(open_root, b"a"), 0o400)
        tree = tree_of(open_root, monitor=monitor)
        root = tree.open_root()
        assert root is not None
        inside = tree.enter(root, 0)
        assert inside is not None
        assert (inside.names, list(inside.stats), inside.unread) == ([], [], {b"f"})
        for listing in (root, inside):
            os.close(listing.fd)
        os.chmod(os.path.join(open_root, b"a"), 0o700)
    assert [event.path for event in monitor.events if isinstance(event, Problem)] == [b"a/f"]


def test_a_directory_exchanged_for_a_link_is_not_followed(source: bytes) -> None:
    make(source, b"a/f", b"elsewhere/secret")
    monitor = RecordingMonitor()
    tree = tree_of(source, monitor=monitor)
    root = tree.open_root()
    assert root is not None
    os.unlink(os.path.join(source, b"a/f"))
    os.rmdir(os.path.join(source, b"a"))
    os.symlink(b"elsewhere", os.path.join(source, b"a"))
    assert tree.enter(root, 0) is None
    os.close(root.fd)
    assert [event.path for event in monitor.events if isinstance(event, Problem)] == [b"a"]


def test_links_are_followed_when_asked_but_not_in_circles(source: bytes) -> None:
    make(source, b"a/f", b"b/g")
    os.symlink(b"../b", os.path.join(source, b"a/to-b"))
    os.symlink(b"../a", os.path.join(source, b"b/to-a"))
    os.symlink(b"..", os.path.join(source, b"b/up"))
    os.symlink(b"nowhere", os.path.join(source, b"c"))
    monitor = RecordingMonitor()
    assert paths_of(tree_of(source, follow=True, monitor=monitor)) == [
        *(b"", b"a", b"a/f", b"a/to-b", b"a/to-b/g", b"b", b"b/g", b"b/to-a", b"b/to-a/f", b"c")
    ]
    assert [event.path for event in monitor.events if isinstance(event, Problem)] == [
        *(b"a/to-b/to-a", b"a/to-b/up", b"b/to-a/to-b", b"b/up")
    ]


def test_sockets_are_left_out_and_named(source: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(os.fsdecode(source))
    monitor = RecordingMonitor()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        assert paths_of(tree_of(source, monitor=monitor)) == [b""]
    assert monitor.events == [SocketSkipped(b"s")]


def test_a_source_that_is_not_there_is_an_error_of_the_user(source: bytes) -> None:
    with pytest.raises(UserError, match="Cannot read the source"):
        tree_of(source + b"/missing")


def test_an_abandoned_walk_closes_its_directories(source: bytes) -> None:
    make(source, b"a/b/c/f", b"d")
    before = len(os.listdir("/proc/self/fd"))
    for count in range(1, 8):
        steps = compare(tree_of(source), None)
        for _ in range(count):
            next(steps)
        steps.close()
        assert len(os.listdir("/proc/self/fd")) == before

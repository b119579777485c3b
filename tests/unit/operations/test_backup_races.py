"""Files that change, shrink, grow, vanish or cannot be read while they are backed up never break the archive."""

from __future__ import annotations

import errno
import os
import stat
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.backups import Place
from tests.support.tree import Fidelity, assert_same_tree, snapshot
from twofold.model.backup import SetKind
from twofold.monitor import Problem
from twofold.tree.scan import ScanOptions, SourceTree

LARGE = 300_000


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def write(place: Place, name: bytes, content: bytes) -> bytes:
    path = os.path.join(place.source, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    return path


def read(folder: bytes, name: bytes) -> bytes:
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


class MeddledTree(SourceTree):
    """Does something to the tree just before a file of that name is opened, or a batch of files that it may be in."""

    def __init__(self, place: Place, name: bytes, meddle: Callable[[], None]) -> None:
        super().__init__(place.source, None, options=ScanOptions(), monitor=place.monitor)
        self._name = name
        self._meddle: Callable[[], None] | None = meddle

    def open_file(self, parent_fd: int, name: bytes) -> int:
        if name == self._name:
            self._meddle_once()
        return super().open_file(parent_fd, name)

    @property
    def file_flags(self) -> int:
        self._meddle_once()
        return super().file_flags

    def _meddle_once(self) -> None:
        if self._meddle is not None:
            meddle, self._meddle = self._meddle, None
            meddle()


def replace_by(path: bytes, make: Callable[[bytes], object]) -> Callable[[], None]:
    def meddle() -> None:
        os.unlink(path)
        make(path)

    return meddle


REPLACEMENTS: dict[str, Callable[[bytes], object]] = {
    "nothing": lambda path: None,
    "a symlink": lambda path: os.symlink(b"/etc/passwd", path),
    "a fifo": os.mkfifo,
    "a directory": os.mkdir,
}


@pytest.mark.parametrize("by", REPLACEMENTS.values(), ids=REPLACEMENTS)
@pytest.mark.parametrize("size", [10, LARGE])
def test_a_file_replaced_before_it_is_opened_is_left_out_and_caught_up_with(
    place: Place, by: Callable[[bytes], object], size: int
) -> None:
    write(place, b"a", b"stays")
    path = write(place, b"f", b"x" * size)
    write(place, b"z", b"stays, too")
    place.back_up(SetKind.FULL, tree=MeddledTree(place, b"f", replace_by(path, by)))
    assert place.problems() == [b"f"]
    restored = place.restore()
    assert sorted(os.listdir(restored)) == [b"a", b"z"]
    place.back_up(SetKind.INCREMENTAL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


@pytest.mark.parametrize("by", REPLACEMENTS.values(), ids=REPLACEMENTS)
@pytest.mark.parametrize("size", [10, LARGE])
def test_a_known_file_that_cannot_be_read_keeps_its_last_state_until_it_can(
    place: Place, by: Callable[[bytes], object], size: int
) -> None:
    path = write(place, b"f", b"old" * size)
    place.back_up(SetKind.FULL)
    before = snapshot(place.source)
    write(place, b"f", b"new" * size)
    place.back_up(SetKind.INCREMENTAL, tree=MeddledTree(place, b"f", replace_by(path, by)))
    assert place.problems() == [b"f"]
    assert read(place.restore(), b"f") == b"old" * size
    assert place.manifest(place.set_ids()[-1]).file_changes == ()
    place.back_up(SetKind.INCREMENTAL)
    after = place.restore()
    assert_same_tree(after, place.source, fidelity=Fidelity.FULL)
    assert_same_tree(place.restore(place.set_ids()[0].end), before, fidelity=Fidelity.FULL)


def test_a_directory_whose_place_an_unreadable_file_has_taken_stays_with_all_below(place: Place) -> None:
    write(place, b"d/e/one", b"1")
    write(place, b"d/two", b"2")
    place.back_up(SetKind.FULL)
    before = snapshot(place.source)
    for name in (b"d/e/one", b"d/two"):
        os.unlink(os.path.join(place.source, name))
    os.rmdir(os.path.join(place.source, b"d/e"))
    os.rmdir(os.path.join(place.source, b"d"))
    path = write(place, b"d", b"now a file")
    place.back_up(SetKind.INCREMENTAL, tree=MeddledTree(place, b"d", replace_by(path, os.mkfifo)))
    restored = snapshot(place.restore())
    assert {name: restored[name] for name in before if name != b"."} == {
        name: before[name] for name in before if name != b"."
    }
    place.back_up(SetKind.INCREMENTAL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


class Reading:
    """Stands for os.readv and os.preadv: does something at the nth call, or at several from there on, then reads."""

    def __init__(self, at: int, meddle: Callable[[], object], *, times: int = 1) -> None:
        self._left = at
        self._meddle = meddle
        self._last = 1 - times
        self._readv, self._preadv = os.readv, os.preadv

    def __call__(self, descriptor: int, buffers: Sequence[memoryview], *offset: int) -> int:
        self._left -= 1
        if self._last <= self._left <= 0:
            self._meddle()
        return self._preadv(descriptor, buffers, *offset) if offset else self._readv(descriptor, buffers)


def failing() -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("new_size", [0, 70_000, 65_536, 1_000_000])
@pytest.mark.parametrize("kind", [SetKind.FULL, SetKind.INCREMENTAL])
def test_a_file_that_shrinks_or_grows_while_it_is_read_is_whole_in_the_next_backup(
    place: Place, monkeypatch: pytest.MonkeyPatch, new_size: int, kind: SetKind
) -> None:
    path = write(place, b"f", os.urandom(LARGE))
    write(place, b"g", b"behind it")
    if kind is SetKind.INCREMENTAL:
        place.back_up(SetKind.FULL)
        write(place, b"f", os.urandom(LARGE))
    with monkeypatch.context() as patched:
        reading = Reading(2, lambda: os.truncate(path, new_size))
        patched.setattr(os, "readv", reading)
        patched.setattr(os, "preadv", reading)
        place.back_up(kind)
    assert place.problems() == []
    assert read(place.restore(), b"g") == b"behind it"
    place.back_up(SetKind.INCREMENTAL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


@pytest.mark.parametrize("kind", [SetKind.FULL, SetKind.INCREMENTAL])
def test_a_file_that_is_always_added_to_ends(place: Place, monkeypatch: pytest.MonkeyPatch, kind: SetKind) -> None:
    path = write(place, b"log", b"line\n" * 40_000)
    if kind is SetKind.INCREMENTAL:
        place.back_up(SetKind.FULL)
        write(place, b"log", b"other line\n" * 40_000)
    readv = os.readv

    def read_and_add(descriptor: int, buffers: Sequence[memoryview]) -> int:
        with open(path, "ab") as file:
            file.write(b"more and more\n" * 100_000)
        return readv(descriptor, buffers)

    with monkeypatch.context() as patched:
        patched.setattr(os, "readv", read_and_add)
        place.back_up(kind)
    place.back_up(SetKind.INCREMENTAL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


@pytest.mark.parametrize("kind", [SetKind.FULL, SetKind.INCREMENTAL])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_read_error_never_breaks_the_archive_and_the_next_backup_looks_again(
    place: Place, monkeypatch: pytest.MonkeyPatch, call: int, kind: SetKind
) -> None:
    write(place, b"f", os.urandom(LARGE))
    place.volume_size = 5_000_000
    if kind is SetKind.INCREMENTAL:
        place.back_up(SetKind.FULL)
        write(place, b"f", os.urandom(LARGE))
    write(place, b"g", b"behind it")
    with monkeypatch.context() as patched:
        # A small file is tried twice, which hides an error that does not stay.
        reading = Reading(call, failing, times=2)
        patched.setattr(os, "readv", reading)
        patched.setattr(os, "preadv", reading)
        summary = place.back_up(kind)
    assert len(place.problems()) == summary.tally.errors == 1
    place.restore()
    place.monitor.events.clear()
    place.back_up(SetKind.INCREMENTAL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)
    assert place.problems() == []


# ---- an ordinary user ------------------------------------------------------------------------------------------------


def as_ordinary_user(work: Callable[[], None]) -> None:
    """Does something as user 65534 if this is root; what it raises or asserts fails the test."""
    if os.geteuid() != 0:
        work()
        return
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setegid(65534)
            os.seteuid(65534)
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def give_away(place: Place) -> None:
    """Everything belongs to the ordinary user, who may get at it."""
    if os.geteuid() != 0:
        return
    for parent in place.folder.parents:
        if stat.S_IMODE(parent.stat().st_mode) & 0o700 == 0o700 and parent.owner() == "root" and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    for folder, folders, names in os.walk(place.folder):
        for each in (".", *folders, *names):
            os.chown(os.path.join(folder, each), 65534, 65534, follow_symlinks=False)


def unreadable_scenario(place: Place, spoil: Callable[[], None], heal: Callable[[], None], named: bytes) -> None:
    place.back_up(SetKind.FULL)
    before = snapshot(place.source)
    spoil()
    place.back_up(SetKind.INCREMENTAL)
    assert place.problems()
    assert all(path == named or path.startswith(named + b"/") for path in place.problems())
    for _ in range(2):
        restored = place.restore()
        os.chmod(os.path.join(restored, named), 0o755)  # the new mode may have been stored
        assert {name for name in before if name.startswith(named)} <= snapshot(restored).keys()
        place.back_up(SetKind.INCREMENTAL)
    heal()
    place.back_up(SetKind.INCREMENTAL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o100])
def test_a_directory_that_cannot_be_read_keeps_all_below_it(place: Place, mode: int) -> None:
    write(place, b"d/sub/deep/file", b"1")
    write(place, b"d/file", b"2")
    write(place, b"e", b"3")
    directory = os.path.join(place.source, b"d")
    give_away(place)

    def spoil() -> None:
        write(place, b"e", b"another")
        os.chmod(directory, mode)

    as_ordinary_user(lambda: unreadable_scenario(place, spoil, lambda: os.chmod(directory, 0o755), b"d"))


def test_a_file_that_cannot_be_read_keeps_its_last_state(place: Place) -> None:
    path = write(place, b"f", b"old")
    give_away(place)

    def spoil() -> None:
        write(place, b"f", b"new and longer")
        os.chmod(path, 0)

    as_ordinary_user(lambda: unreadable_scenario(place, spoil, lambda: os.chmod(path, 0o644), b"f"))


def test_what_could_never_be_read_has_no_entry_but_is_taken_as_soon_as_it_can(place: Place) -> None:
    write(place, b"d/file", b"1")
    write(place, b"f", b"2")
    write(place, b"g", b"3")
    give_away(place)

    def work() -> None:
        for name in (b"d", b"f"):
            os.chmod(os.path.join(place.source, name), 0)
        place.back_up(SetKind.FULL)
        assert place.problems() == [b"d", b"f"]
        assert sorted(os.listdir(place.restore())) == [b"g"]
        for name in (b"d", b"f"):
            os.chmod(os.path.join(place.source, name), 0o755)
        place.back_up(SetKind.INCREMENTAL)
        assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)

    as_ordinary_user(work)


def test_sockets_are_passed_over_and_said_to_be(place: Place) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        write(place, b"f", b"1")
        os.chdir(place.source)
        server.bind(b"s")
        place.back_up(SetKind.FULL)
    assert sorted(os.listdir(place.restore())) == [b"f"]
    assert not any(isinstance(event, Problem) for event in place.monitor.events)


def test_a_time_beyond_64_bits_of_nanoseconds_is_stored_and_seen_to_be_unchanged(place: Place) -> None:
    """As damaged inodes have them; a restore gives the last instant that there is."""
    path = write(place, b"file", b"content")
    os.utime(path, (10_413_792_000, 10_413_792_000))
    place.back_up(SetKind.FULL)
    place.clock.advance(100)
    summary = place.back_up(SetKind.INCREMENTAL)
    assert summary.tally.stored == 0
    os.unlink(os.path.join(place.archive, "twofold-state"))
    assert place.back_up(SetKind.INCREMENTAL).tally.stored == 0
    assert os.stat(os.path.join(place.restore(), b"file")).st_mtime_ns == (1 << 63) - 1

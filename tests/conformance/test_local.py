"""The local driver: the conformance suite, and what a file system can do: power cuts, full disks, permissions."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.tools import unavailable
from twofold.errors import Forbidden, Incomplete, NoPlace, NoSpace, NotFound, StorageError, Unavailable, Unsupported
from twofold.storage import local_files, unfinished
from twofold.storage.drivers.local import LocalStore
from twofold.storage.store import Store
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import LARGE, Files, Interruption, interrupt, key, listed, put

NOBODY = 65534


@pytest.fixture(autouse=True)
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here survives a power cut anyway; what is written out, and when, is recorded below."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


class TestLocalStore(StoreConformance):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: LocalStore(str(tmp_path / "parent" / "target"))


class TestLocalStoreWithoutKernelCopies(StoreConformance):
    @pytest.fixture
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Store]:
        def refuse(*_arguments: object) -> int:
            raise OSError(38, "Function not implemented")

        monkeypatch.setattr(os, "copy_file_range", refuse)
        return lambda: LocalStore(str(tmp_path / "target"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "target"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local files")


@pytest.fixture
def store(directory: Path) -> Iterator[LocalStore]:
    opened = LocalStore(str(directory))
    yield opened
    opened.close()


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch, directory: Path) -> list[str]:
    """What is written out and renamed, in order; files by kind: target directory, parent, or part file by its size."""
    recorded: list[str] = []
    rename = os.replace

    def kind(descriptor: int) -> str:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if path == str(directory):
            return "target"
        if path == str(directory.parent):
            return "parent"
        return f"file of {os.fstat(descriptor).st_size}"

    def replace(source: str, target: str) -> None:
        recorded.append(f"rename to {os.path.basename(target)}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", lambda descriptor: recorded.append(f"fsync {kind(descriptor)}"))
    monkeypatch.setattr(os, "replace", replace)
    return recorded


class TestPowerCuts:
    def test_content_is_on_the_disk_before_the_name_and_the_name_before_put_returns(
        self, store: LocalStore, files: Files, events: list[str]
    ) -> None:
        put(store, files, "a", b"content")
        assert events == ["fsync parent", "fsync file of 7", "rename to a", "fsync target"]

    def test_a_moved_file_is_written_out_before_its_rename(
        self, store: LocalStore, files: Files, events: list[str]
    ) -> None:
        put(store, files, "a", b"content")
        events.clear()
        store.move(files.source(b"moved"), key("b"))
        assert events == ["fsync file of 5", "rename to b", "fsync target"]

    def test_an_exclusive_file_is_written_out_before_it_has_its_name(
        self, store: LocalStore, events: list[str]
    ) -> None:
        store.create(key("lock"), b"mine")
        assert events == ["fsync parent", "fsync file of 4", "fsync target"]

    def test_a_disk_that_cannot_write_out_makes_put_fail(
        self, store: LocalStore, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(store, files, "a", b"old")

        def fail(_descriptor: int) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(Unavailable, match=r"put failed at .*/a: Input/output error"):
            put(store, files, "a", b"new")
        assert files.fetched(store, "a") == b"old"
        assert listed(store) == {"a": 3}

    def test_a_file_system_that_cannot_sync_directories_is_accepted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_descriptor: int) -> None:
            raise OSError(22, "Invalid argument")

        monkeypatch.setattr(os, "fsync", refuse)
        local_files.sync_directory(str(tmp_path))


class TestPlace:
    def test_only_a_writer_makes_the_directory(self, store: LocalStore, files: Files, directory: Path) -> None:
        assert listed(store) == {}
        with pytest.raises(NoPlace, match="is the disk mounted"):
            store.stat(key("a"))
        with pytest.raises(NoPlace):
            store.get(key("a"), files.target())
        assert not directory.exists()
        assert store.free_bytes()

    def test_a_directory_that_was_there_and_vanished_is_an_error_not_an_empty_place(
        self, store: LocalStore, files: Files, directory: Path
    ) -> None:
        put(store, files, "a", b"content")
        shutil.rmtree(directory)
        for attempt in (
            store.list,
            lambda: store.stat(key("a")),
            lambda: store.delete(key("a")),
            lambda: put(store, files, "b", b"content"),
            lambda: store.move(files.source(b"content"), key("b")),
        ):
            with pytest.raises(NoPlace, match="is the disk still mounted"):
                attempt()
        assert not directory.exists()

    def test_a_directory_seen_by_a_listing_only_is_not_made_again(self, files: Files, directory: Path) -> None:
        directory.mkdir()
        store = LocalStore(str(directory))
        assert listed(store) == {}
        directory.rmdir()
        with pytest.raises(NoPlace):
            put(store, files, "a", b"content")

    def test_a_file_in_the_place_of_the_directory_is_said_so(self, files: Files, tmp_path: Path) -> None:
        store = LocalStore(files.source(b"a file") + "/target")
        with pytest.raises(NoPlace, match="Not a directory"):
            store.list()
        with pytest.raises(NoPlace, match="Not a directory"):
            put(store, files, "a", b"content")

    def test_a_relative_directory_is_one_below_the_current(
        self, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        put(LocalStore("some/where"), files, "a", b"content")
        assert (tmp_path / "some/where/a").read_bytes() == b"content"

    def test_directories_links_and_pipes_are_no_files(self, store: LocalStore, files: Files, directory: Path) -> None:
        put(store, files, "a", b"content")
        (directory / "folder").mkdir()
        (directory / "dangling").symlink_to("nowhere")
        (directory / "linked").symlink_to("a")
        os.mkfifo(directory / "pipe")
        assert listed(store) == {"a": 7, "linked": 7}
        for name in ("folder", "pipe", "dangling"):
            with pytest.raises(NotFound):
                store.stat(key(name))
            with pytest.raises(NotFound):
                store.get(key(name), files.target())

    def test_names_that_are_no_utf8_survive_the_trip(self, store: LocalStore, files: Files, directory: Path) -> None:
        put(store, files, "\udcff\udc80", b"content")
        assert os.listdir(os.fsencode(directory)) == [b"\xff\x80"]
        assert listed(store) == {"\udcff\udc80": 7}

    def test_names_that_are_too_long_are_unsupported(self, store: LocalStore, files: Files) -> None:
        with pytest.raises(Unsupported):
            put(store, files, "n" * 256, b"content")
        assert listed(store) == {}

    def test_stored_files_follow_the_umask_moved_ones_too(
        self, store: LocalStore, files: Files, directory: Path
    ) -> None:
        before = os.umask(0o027)
        try:
            put(store, files, "put", b"content")
            source = files.source(b"content")
            os.chmod(source, 0o600)
            store.move(source, key("moved"))
            store.create(key("created"), b"content")
        finally:
            os.umask(before)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
        assert modes == {"put": 0o640, "moved": 0o640, "created": 0o640}
        assert stat.S_IMODE(directory.stat().st_mode) == 0o750


class TestUnfinished:
    def test_an_interrupted_put_leaves_no_part(self, store: LocalStore, files: Files, directory: Path) -> None:
        with pytest.raises(Interruption):
            store.put(key("a"), files.source(bytes(LARGE)), sent=interrupt)
        assert list(directory.iterdir()) == []

    @pytest.fixture
    def small_pieces(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(local_files, "KERNEL_CHUNK", 1000)

    @pytest.mark.usefixtures("small_pieces")
    def test_a_source_that_shrinks_meanwhile_is_incomplete(self, store: LocalStore, files: Files) -> None:
        put(store, files, "a", b"old")
        source = files.source(bytes(5000))
        with pytest.raises(Incomplete):
            store.put(key("a"), source, sent=lambda _: os.truncate(source, 0))
        assert listed(store) == {"a": 3}

    @pytest.mark.usefixtures("small_pieces")
    def test_a_stored_file_that_shrinks_while_it_is_fetched_is_incomplete(
        self, store: LocalStore, files: Files, directory: Path
    ) -> None:
        put(store, files, "a", bytes(5000))
        before = files.names()
        with pytest.raises(Incomplete):
            store.get(key("a"), files.target(), received=lambda _: os.truncate(directory / "a", 0))
        assert files.names() == before

    def test_parts_of_the_living_are_kept_and_those_of_the_dead_swept(self, files: Files, directory: Path) -> None:
        directory.mkdir()
        dead = directory / f"{unfinished.PART_PREFIX}dead"
        dead.write_bytes(b"half")
        foreign = directory / ".foreign-part-x"
        foreign.write_bytes(b"not ours")
        with unfinished.PartFile(str(directory)) as living:
            put(LocalStore(str(directory)), files, "a", b"content")
            assert set(os.listdir(directory)) == {"a", foreign.name, os.path.basename(living.path)}

    def test_stagings_of_the_living_are_kept_and_those_of_the_dead_swept(self, files: Files, directory: Path) -> None:
        directory.mkdir()
        killed, living, writer = (LocalStore(str(directory)) for _ in range(3))
        left = killed.staging_directory()
        kept = living.staging_directory()
        assert left is not None
        assert kept is not None
        Path(left, "folder").mkdir()
        Path(left, "folder", "volume").write_bytes(b"half")
        killed._stagings.clear()
        os.close(self._descriptor_of(left))
        put(writer, files, "a", b"content")
        assert set(os.listdir(directory)) == {"a", os.path.basename(kept)}
        living.close()
        assert os.listdir(directory) == ["a"]

    def test_it_sees_who_else_is_writing_and_neither_itself_nor_the_dead(self, directory: Path) -> None:
        directory.mkdir()
        (directory / f"{unfinished.PART_PREFIX}dead").write_bytes(b"half")
        (directory / f"{unfinished.STAGING_PREFIX}dead").mkdir()
        first, second = LocalStore(str(directory)), LocalStore(str(directory))
        assert not first.has_other_writer()
        first.staging_directory()
        assert not first.has_other_writer()
        assert second.has_other_writer()
        first.close()
        assert not second.has_other_writer()
        with unfinished.PartFile(str(directory)):
            assert second.has_other_writer()
        assert not second.has_other_writer()

    def test_a_staging_without_lock_file_is_swept_only_when_empty(self, files: Files, directory: Path) -> None:
        empty = directory / f"{unfinished.STAGING_PREFIX}empty"
        full = directory / f"{unfinished.STAGING_PREFIX}full"
        empty.mkdir(parents=True)
        full.mkdir()
        (full / "volume").write_bytes(b"x")
        put(LocalStore(str(directory)), files, "a", b"content")
        assert set(os.listdir(directory)) == {"a", full.name}

    def test_a_link_in_the_guise_of_a_part_is_left_alone(self, files: Files, directory: Path) -> None:
        directory.mkdir()
        victim = files.source(b"precious")
        (directory / f"{unfinished.PART_PREFIX}x").symlink_to(victim)
        (directory / f"{unfinished.STAGING_PREFIX}x").symlink_to(os.path.dirname(victim))
        put(LocalStore(str(directory)), files, "a", b"content")
        assert Path(victim).read_bytes() == b"precious"

    def test_a_file_system_without_owners_lends_no_staging_directory(
        self, store: LocalStore, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mkdir = os.mkdir
        monkeypatch.setattr(os, "mkdir", lambda path, _mode=0o777: mkdir(path, 0o755))
        assert store.staging_directory() is None
        assert list(directory.iterdir()) == []

    def test_a_file_system_without_locks_lends_no_staging_directory_and_sweeps_nothing(
        self, store: LocalStore, files: Files, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_descriptor: int, _how: int) -> None:
            raise OSError(37, "No locks available")

        monkeypatch.setattr("fcntl.flock", refuse)
        directory.mkdir()
        (directory / f"{unfinished.PART_PREFIX}x").write_bytes(b"perhaps alive")
        assert store.staging_directory() is None
        put(store, files, "a", b"content")
        assert set(os.listdir(directory)) == {"a", f"{unfinished.PART_PREFIX}x"}

    def test_a_staging_that_a_sweeper_took_for_dead_is_made_again(
        self, store: LocalStore, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mkdir = os.mkdir
        made: list[str] = []

        def sweep_the_first(path: str, mode: int = 0o777) -> None:
            mkdir(path, mode)
            if unfinished.STAGING_PREFIX in path:
                made.append(path)
                if len(made) == 1:
                    unfinished.sweep(str(directory))

        monkeypatch.setattr(os, "mkdir", sweep_the_first)
        assert store.staging_directory() == made[1]
        assert os.listdir(directory) == [os.path.basename(made[1])]

    def test_a_part_that_a_sweeper_took_for_dead_is_made_again(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        directory.mkdir()
        lock = fcntl.flock
        swept: list[int] = []

        def sweep_first(descriptor: int, how: int) -> None:
            if not swept:
                swept.append(descriptor)
                unfinished.sweep(str(directory))
            lock(descriptor, how)

        monkeypatch.setattr(fcntl, "flock", sweep_first)
        with unfinished.PartFile(str(directory)) as part:
            assert swept
            assert os.listdir(directory) == [os.path.basename(part.path)]

    def test_a_staging_that_somebody_removed_does_not_disturb_the_end(self, store: LocalStore, directory: Path) -> None:
        staging = store.staging_directory()
        assert staging is not None
        shutil.rmtree(directory)
        store.close()

    def _descriptor_of(self, staging: str) -> int:
        lock = os.path.join(staging, unfinished.LOCK_NAME)
        for name in os.listdir("/proc/self/fd"):
            try:
                if os.readlink(f"/proc/self/fd/{name}") == lock:
                    return int(name)
            except FileNotFoundError:
                continue
        raise AssertionError("the lock is not open")


class TestMoves:
    def test_a_near_file_comes_by_rename(self, store: LocalStore, files: Files, directory: Path) -> None:
        source = files.source(b"content")
        inode = os.stat(source).st_ino
        store.move(source, key("a"))
        assert (directory / "a").stat().st_ino == inode

    def test_a_far_file_is_copied_and_then_removed(self, store: LocalStore, directory: Path) -> None:
        if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat(directory.parent).st_dev:
            unavailable("no second file system at /dev/shm")
        source = f"/dev/shm/twofold-test-{os.getpid()}"
        Path(source).write_bytes(b"content")
        stored = store.move(source, key("a"))
        assert not os.path.exists(source)
        assert (directory / "a").read_bytes() == b"content"
        assert stored == store.stat(key("a"))

    def test_a_link_is_stored_as_what_it_points_to(self, store: LocalStore, files: Files, directory: Path) -> None:
        original = files.source(b"content")
        link = files.target()
        os.symlink(original, link)
        store.move(link, key("a"))
        assert (directory / "a").read_bytes() == b"content"
        assert not (directory / "a").is_symlink()
        assert not os.path.lexists(link)
        assert Path(original).read_bytes() == b"content"


class TestExclusiveWithoutHardLinks:
    def test_creation_is_exclusive_all_the_same(
        self, store: LocalStore, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_source: str, _target: str) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
        store.create(key("lock"), b"first")
        with pytest.raises(StorageError, match="File exists"):
            store.create(key("lock"), b"second")
        assert files.fetched(store, "lock") == b"first"
        assert listed(store) == {"lock": 5}


class TestFullDisk:
    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        mount = tmp_path / "disk"
        mount.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)]
        if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
            unavailable("a small file system cannot be mounted here")
        yield mount
        subprocess.run(["umount", str(mount)], check=True)

    def test_put_says_no_space_and_leaves_what_was_there(self, small_disk: Path, files: Files) -> None:
        store = LocalStore(str(small_disk / "target"))
        put(store, files, "a", b"old")
        for name in ("a", "b"):
            with pytest.raises(NoSpace, match="make room"):
                put(store, files, name, bytes(2 << 20))
        with pytest.raises(NoSpace):
            store.move(files.source(bytes(2 << 20)), key("c"))
        assert listed(store) == {"a": 3}
        assert files.fetched(store, "a") == b"old"
        assert os.listdir(small_disk / "target") == ["a"]
        assert 0 < (store.free_bytes() or 0) <= 1 << 20

    def test_get_to_a_full_disk_leaves_no_part(self, small_disk: Path, files: Files, store: LocalStore) -> None:
        put(store, files, "a", bytes(2 << 20))
        with pytest.raises(NoSpace, match=r"a \(to .*/disk/x\)"):
            store.get(key("a"), str(small_disk / "x"))
        assert os.listdir(small_disk) == []


class TestPermissions:
    @pytest.fixture
    def as_nobody(self, tmp_path: Path) -> Iterator[Callable[[], None]]:
        """Lets the rest of the test run without root's rights; the directories above are opened for that."""
        if os.geteuid() != 0:
            yield lambda: None
            return
        opened = [path for path in (tmp_path, *tmp_path.parents) if not path.stat().st_mode & 0o001]
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in opened}
        for path in opened:
            path.chmod(modes[path] | 0o011)

        def become() -> None:
            os.setegid(NOBODY)
            os.seteuid(NOBODY)

        yield become
        os.seteuid(0)
        os.setegid(0)
        for path, mode in modes.items():
            path.chmod(mode)

    def test_a_directory_that_may_not_be_written_is_forbidden(
        self, directory: Path, files: Files, as_nobody: Callable[[], None]
    ) -> None:
        directory.mkdir()
        (directory / "a").write_bytes(b"content")
        directory.chmod(0o555)
        source = files.source(b"new")
        as_nobody()
        store = LocalStore(str(directory))
        assert listed(store) == {"a": 7}
        for attempt in (
            lambda: store.put(key("b"), source),
            lambda: store.move(source, key("b")),
            lambda: store.delete(key("a")),
            lambda: store.create(key("lock"), b""),
            store.staging_directory,
        ):
            with pytest.raises(Forbidden, match="check owner and permissions"):
                attempt()
        assert listed(store) == {"a": 7}

    def test_a_directory_that_may_not_be_read_is_forbidden_not_empty(
        self, directory: Path, as_nobody: Callable[[], None]
    ) -> None:
        directory.mkdir(mode=0o700)
        directory.chmod(0)
        as_nobody()
        with pytest.raises(Forbidden):
            LocalStore(str(directory)).list()

    def test_an_unreadable_file_is_forbidden_not_missing(
        self, directory: Path, tmp_path: Path, as_nobody: Callable[[], None]
    ) -> None:
        directory.mkdir(mode=0o755)
        (directory / "a").write_bytes(b"content")
        (directory / "a").chmod(0)
        as_nobody()
        with pytest.raises(Forbidden):
            LocalStore(str(directory)).get(key("a"), str(tmp_path / "x"))

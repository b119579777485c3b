"""The driver of the program rsync: against its daemon with a password, and over ssh."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.servers.process import HOST, Running, free_ports, program
from tests.servers.proxy import Fault, proxied
from tests.servers.rsync import MODULE, PASSWORD, USER, rsyncd
from tests.servers.ssh import Sshd, sshd
from tests.support.clock import FakeClock
from twofold.concurrency import spawn
from twofold.errors import Forbidden, InvalidUrl, MissingLibrary, NoPlace, NotFound, Unavailable, Untrusted
from twofold.model.times import SystemClock
from twofold.storage.drivers.rsync.program import RsyncTarget
from twofold.storage.drivers.rsync.store import RsyncStore
from twofold.storage.part_names import PartNames
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.store import Store
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import LARGE, ODD_NAMES, Files, key, listed, put
from twofold.storage.url import StorageUrl


@pytest.fixture(scope="module")
def daemon() -> Iterator[Running]:
    with rsyncd() as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with sshd(sftp=False) as running:
        yield running


def opened(url: str, *, password: str | None = PASSWORD, timeout: float = 30, **options: object) -> RsyncStore:
    environment = {"PATH": os.environ["PATH"], "RSYNC_RSH": "false", "LC_ALL": "C"}
    settings = StoreSettings(environment, password, timeout, ServiceOptions(**options))  # type: ignore[arg-type]
    return RsyncStore.from_url(StorageUrl.parse(url), settings)


def of_daemon(port: int, directory: str, **options: object) -> RsyncStore:
    return opened(f"rsync://{USER}@{HOST}:{port}::{MODULE}/{directory}", **options)  # type: ignore[arg-type]


def over_ssh(server: Sshd, directory: object, options: str = "") -> RsyncStore:
    known = options or server.client_options
    return opened(f"rsync://{server.user}@{HOST}:{server.port}/{directory}", ssh_options=f"-F/dev/null {known}")


class _RsyncConformance(StoreConformance):
    """Each call is a process, so what takes many is asked for at once or laid down directly."""

    odd_names: tuple[str, ...] = (*ODD_NAMES, "new\nline", "no \udcff text", "\\#012", "wi[ld] and \\ more")

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
            put(store, files, each, each.encode("utf-8", "surrogateescape"))
        sizes = {each: len(each.encode("utf-8", "surrogateescape")) for each in names}
        assert listed(store) == sizes
        for each in names:
            assert files.fetched(store, each) == each.encode("utf-8", "surrogateescape")
        for each in names & {"star*[x]", "wi[ld] and \\ more", "back\\slash", "-leading dash"}:
            assert store.stat(key(each)).size == sizes[each]
            store.delete(key(each))
            del sizes[each]
        assert listed(store) == sizes

    def test_a_reader_never_sees_half_a_replacement(self, store: Store, files: Files) -> None:
        contents = [b"a" * 300_000, b"b" * 200_000]
        sources = [files.source(content) for content in contents]
        store.put(key("a"), sources[0])
        task = spawn(lambda: [store.put(key("a"), sources[number % 2]) for number in range(6)], name="replace")
        while task.running:
            assert files.fetched(store, "a") in contents
        task.join()


class TestDaemon(_RsyncConformance):
    @pytest.fixture
    def directory(self, daemon: Running, tmp_path: Path) -> Path:
        return daemon.folder / "root" / tmp_path.name / "of [the] server"

    @pytest.fixture
    def place(self, daemon: Running, tmp_path: Path) -> Callable[[], Store]:
        return lambda: of_daemon(daemon.port, f"{tmp_path.name}/of [the]%20server")


class TestSsh(_RsyncConformance):
    odd_names = (
        "with space",
        "star*[x]",
        "wi[ld] and \\ more",
        "'single' \"double\" `back`",
        "-leading dash",
        "~tilde",
    )

    @pytest.fixture
    def place(self, server: Sshd, directory: Path) -> Callable[[], Store]:
        return lambda: over_ssh(server, directory)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local files")


@pytest.fixture
def folder(daemon: Running, tmp_path: Path) -> Path:
    """Where the files of the store below lie."""
    return daemon.folder / "root" / tmp_path.name


@pytest.fixture
def store(daemon: Running, folder: Path) -> Iterator[RsyncStore]:
    with closing(of_daemon(daemon.port, folder.name)) as store:
        yield store


class TestPlace:
    @pytest.mark.parametrize(
        ("url", "root", "path"),
        [
            ("rsync://u@h::mod/x/y", "u@h::mod/", "u@h::mod/x/y/n"),
            ("rsync://u:pw@h:873::/mod//x", "u@h::mod/", "u@h::mod/x/n"),
            ("rsync://h::mod", "h::mod/", "h::mod/n"),
            ("rsync://[::1]::mod/x", "[::1]::mod/", "[::1]::mod/x/n"),
            ("rsync://u@h/x", "u@h:.", "u@h:./x/n"),
            ("rsync://u@h/~/.x", "u@h:.", "u@h:./.x/n"),
            ("rsync://h:22", "h:.", "h:./n"),
            ("rsync://h:22//abs/./x/", "h:/", "h:/abs/x/n"),
            ("rsync://h//", "h:/", "h:/n"),
        ],
    )
    def test_a_url_names_what_it_names_in_duplicity(self, url: str, root: str, path: str) -> None:
        target = RsyncTarget.of(StorageUrl.parse(url), StoreSettings())
        assert (target.root, target.path("n")) == (root, path)

    def test_a_place_above_the_home_is_refused(self) -> None:
        with pytest.raises(InvalidUrl, match="absolute"):
            opened("rsync://h/../x")

    def test_what_is_above_the_place_is_left_alone_links_included(
        self, daemon: Running, folder: Path, files: Files
    ) -> None:
        (folder / "real").mkdir(parents=True, mode=0o705)
        (folder / "link").symlink_to("real")
        with closing(of_daemon(daemon.port, f"{folder.name}/link/below")) as store:
            put(store, files, "a", b"content")
        assert (folder / "link").is_symlink()
        assert stat.S_IMODE((folder / "real").stat().st_mode) == 0o705
        assert os.listdir(folder / "real/below") == ["a"]
        assert stat.S_IMODE((folder / "real/below/a").stat().st_mode) == 0o644

    def test_links_to_files_are_files_and_directories_are_none(self, store: RsyncStore, folder: Path) -> None:
        (folder / "below").mkdir(parents=True)
        (folder / "file").write_bytes(b"content")
        (folder / "link").symlink_to("file")
        (folder / "astray").symlink_to("nowhere")
        assert listed(store) == {"file": 7, "link": 7}
        with pytest.raises(NotFound):
            store.stat(key("below"))
        store.delete(key("below"))
        assert (folder / "below").exists()

    def test_a_place_that_disappears_is_not_an_empty_one(self, store: RsyncStore, folder: Path, files: Files) -> None:
        put(store, files, "a", b"content")
        shutil.rmtree(folder)
        with pytest.raises(NoPlace):
            list(store.list())
        with pytest.raises(NoPlace):
            store.delete(key("a"))
        for _ in range(2):
            with pytest.raises(NoPlace):
                put(store, files, "b", b"content")
        assert not folder.exists()

    def test_what_killed_writers_left_is_not_listed_and_removed(
        self, store: RsyncStore, folder: Path, files: Files
    ) -> None:
        old, living = (PartNames(FakeClock(when)).new() for when in (1_000_000_000, SystemClock().now()))
        for name in (old, living):
            (folder / name).mkdir(parents=True)
            (folder / name / ".a.XyZabc").write_bytes(b"half")
        assert listed(store) == {}
        put(store, files, "a", b"content")
        store.close()
        assert set(os.listdir(folder)) == {"a", living}

    def test_a_server_without_fsync_is_written_to_all_the_same(
        self, daemon: Running, folder: Path, files: Files, tmp_path: Path
    ) -> None:
        """A program that knows no --fsync stands before the real one."""
        old = tmp_path / "rsync"
        complaint = "echo 'rsync: --fsync: unknown option' >&2; exit 1"
        old.write_text(f'#!/bin/sh\ncase "$*" in *--fsync*) {complaint};; esac\nexec {program("rsync")} "$@"\n')
        old.chmod(0o700)
        url = f"rsync://{USER}@{HOST}:{daemon.port}::{MODULE}/{folder.name}"
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        with closing(RsyncStore.from_url(StorageUrl.parse(url), StoreSettings(environment, PASSWORD))) as store:
            put(store, files, "a", b"content")
            assert listed(store) == {"a": 7}


class TestLogin:
    def test_a_wrong_password_is_forbidden_and_not_shown(self, daemon: Running) -> None:
        with closing(of_daemon(daemon.port, "x", password="wrong secret")) as store:
            with pytest.raises(Forbidden, match="check user and password") as caught:
                list(store.list())
            assert "wrong secret" not in f"{caught.value} {caught.value!r} {store!r}"

    def test_the_password_is_in_no_arguments_and_no_variables(
        self, store: RsyncStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started: list[str] = []
        popen = subprocess.Popen

        def note(words: list[str], **how: object) -> object:
            started.append(f"{words} {how['env']}")
            return popen(words, **how)  # type: ignore[call-overload]

        monkeypatch.setattr(subprocess, "Popen", note)
        assert listed(store) == {}
        assert started
        assert not [text for text in started if PASSWORD in text or "RSYNC_RSH" in text]

    def test_a_module_that_is_missing_is_no_empty_place(self, daemon: Running) -> None:
        with (
            closing(opened(f"rsync://{USER}@{HOST}:{daemon.port}::none/x")) as store,
            pytest.raises(NoPlace, match="two colons"),
        ):
            list(store.list())

    def test_where_nobody_answers_it_is_unavailable(self) -> None:
        with closing(of_daemon(free_ports(1)[0], "x")) as store, pytest.raises(Unavailable, match="refused"):
            list(store.list())

    def test_an_unknown_host_key_is_untrusted(self, server: Sshd, tmp_path: Path) -> None:
        options = f"-oUserKnownHostsFile=/dev/null -oIdentityFile={server.folder}/id"
        with closing(over_ssh(server, tmp_path, options)) as store, pytest.raises(Untrusted, match="fingerprint"):
            list(store.list())

    def test_without_its_key_a_login_is_forbidden(self, server: Sshd, tmp_path: Path) -> None:
        options = f"-oUserKnownHostsFile={server.folder}/known_hosts -oIdentityFile=/dev/null -oIdentitiesOnly=yes"
        with closing(over_ssh(server, tmp_path, options)) as store, pytest.raises(Forbidden, match="check key"):
            list(store.list())

    def test_a_program_that_is_missing_is_named(self) -> None:
        store = RsyncStore.from_url(StorageUrl.parse("rsync://h::m/x"), StoreSettings({"PATH": "/missing"}))
        with pytest.raises(MissingLibrary, match="rsync is not installed"):
            list(store.list())


class TestOptions:
    def test_those_of_the_command_line_are_handed_on_last(
        self, daemon: Running, folder: Path, files: Files, tmp_path: Path
    ) -> None:
        log = tmp_path / "log of rsync"
        with closing(of_daemon(daemon.port, folder.name, rsync_options=f"--log-file='{log}' --compress")) as store:
            put(store, files, "a", b"content")
        assert "sent" in log.read_text()


class TestBadWeather:
    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT, Fault.STALL])
    def test_what_breaks_off_is_unavailable_leaves_the_old_file_and_works_the_next_time(
        self, daemon: Running, folder: Path, files: Files, fault: Fault
    ) -> None:
        content = os.urandom(LARGE)
        with (
            proxied(daemon.port) as proxy,
            closing(of_daemon(proxy.port, folder.name, timeout=1 if fault is Fault.STALL else 30)) as store,
        ):
            put(store, files, "a", b"old")
            proxy.weather.fault = fault
            with pytest.raises(Unavailable):
                put(store, files, "a", content)
            assert files.fetched(store, "a") == b"old"
            proxy.weather.fault = Fault.NONE
            put(store, files, "a", content)
            assert listed(store) == {"a": LARGE}
            before = files.names()
            proxy.weather.fault = fault
            with pytest.raises(Unavailable):
                store.get(key("a"), files.target())
            assert files.names() == before
            proxy.weather.fault = Fault.NONE
            assert files.fetched(store, "a") == content
        assert os.listdir(folder) == ["a"]

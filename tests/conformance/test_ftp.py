"""FTP against four programs that serve it: the conformance suite, and what goes wrong on the way."""

from __future__ import annotations

import ftplib
import os
import shutil
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.servers.ftp import ANONYMOUS, MAIL, PASSWORD, USER, Tls, pyftpdlib, rclone_ftp, replacing_nothing, vsftpd
from tests.servers.process import HOST, Running, free_ports
from tests.servers.proxy import Fault, Weather, proxied
from twofold.errors import (
    Forbidden,
    Incomplete,
    NoPlace,
    NoSpace,
    NotFound,
    StorageError,
    Unavailable,
    Unsupported,
    Untrusted,
)
from twofold.storage.drivers.ftp.listing import Listed, from_mlsd, from_nlst
from twofold.storage.drivers.ftp.session import Security, Session
from twofold.storage.drivers.ftp.store import FtpStore, meaning
from twofold.storage.part_names import PartNames
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.store import Store
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import LARGE, Files, Interruption, interrupt, key, listed, put
from twofold.storage.url import StorageUrl

TIMEOUT = 20.0
Open = Callable[..., FtpStore]


def opened(
    port: int,
    path: str,
    *,
    scheme: str = "ftp",
    user: str = USER,
    password: str = PASSWORD,
    timeout: float = TIMEOUT,
    **options: object,
) -> FtpStore:
    url = StorageUrl.parse(f"{scheme}://{user}@{HOST}:{port}/{path}")
    return FtpStore.from_url(
        url,
        StoreSettings(password=password, timeout=timeout, options=ServiceOptions(**options)),  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def plain() -> Iterator[Running]:
    with vsftpd(Tls.NONE) as running:
        yield running


@pytest.fixture(scope="module")
def with_facts() -> Iterator[Running]:
    with pyftpdlib() as running:
        yield running


@pytest.fixture(scope="module")
def rclone() -> Iterator[Running]:
    with rclone_ftp() as running:
        yield running


@pytest.fixture(scope="module")
def explicit() -> Iterator[Running]:
    with vsftpd(Tls.EXPLICIT) as running:
        yield running


SECRET: dict[str, Any] = {"scheme": "ftpes", "user": ANONYMOUS, "password": MAIL}


def trusting(running: Running) -> dict[str, Any]:
    return {"ssl_cacert_file": str(running.folder.parent / "cert.pem")}


class TestVsftpd(StoreConformance):
    @pytest.fixture
    def place(self, plain: Running, tmp_path: Path) -> Callable[[], Store]:
        return lambda: opened(plain.port, f"up/{tmp_path.name}/target", user=ANONYMOUS, password=MAIL)


class TestPyftpdlib(StoreConformance):
    @pytest.fixture
    def place(self, with_facts: Running, tmp_path: Path) -> Callable[[], Store]:
        return lambda: opened(with_facts.port, f"{tmp_path.name}/target")


class TestRclone(StoreConformance):
    @pytest.fixture
    def place(self, rclone: Running, tmp_path: Path) -> Callable[[], Store]:
        return lambda: opened(rclone.port, f"{tmp_path.name}/target")

    def test_a_reader_never_sees_half_a_replacement(self, store: Store, files: Files) -> None:
        pytest.skip("rclone goes on in the new file when one is replaced while it is sent")


class TestExplicitTls(StoreConformance):
    @pytest.fixture
    def place(self, explicit: Running, tmp_path: Path) -> Callable[[], Store]:
        return lambda: opened(explicit.port, f"up/{tmp_path.name}/target", **SECRET, **trusting(explicit))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local files")


@pytest.fixture
def folder(with_facts: Running, tmp_path: Path) -> Path:
    """Where the files of the store below lie."""
    return with_facts.folder / "root" / tmp_path.name


@pytest.fixture
def store(with_facts: Running, tmp_path: Path) -> Iterator[FtpStore]:
    with closing(opened(with_facts.port, tmp_path.name)) as store:
        yield store


class TestPlace:
    def test_a_second_slash_makes_the_path_absolute(self, plain: Running, tmp_path: Path, files: Files) -> None:
        login = {"user": ANONYMOUS, "password": MAIL}
        with closing(opened(plain.port, f"/up/{tmp_path.name}", **login)) as absolute:  # type: ignore[arg-type]
            put(absolute, files, "a", b"content")
        with closing(opened(plain.port, f"up/{tmp_path.name}", **login)) as relative:  # type: ignore[arg-type]
            assert listed(relative) == {"a": 7}

    def test_without_a_path_files_lie_in_the_login_directory(self, with_facts: Running, files: Files) -> None:
        with closing(opened(with_facts.port, "")) as store:
            put(store, files, "in the login directory", b"content")
            assert (with_facts.folder / "root/in the login directory").read_bytes() == b"content"
            store.delete(key("in the login directory"))

    def test_directories_and_what_is_below_them_are_not_listed(
        self, plain: Running, files: Files, tmp_path: Path
    ) -> None:
        path = f"up/{tmp_path.name}"
        with closing(opened(plain.port, path, user=ANONYMOUS, password=MAIL)) as store:
            put(store, files, "a", b"content")
            below = plain.folder / "ftp" / path / "below"
            below.mkdir()
            (below / "b").write_bytes(b"content")
            assert listed(store) == {"a": 7}
            with pytest.raises(NotFound):
                store.stat(key("below"))

    def test_a_directory_that_cannot_be_entered_is_not_an_empty_one(self, plain: Running, tmp_path: Path) -> None:
        closed = plain.folder / "ftp/up" / tmp_path.name
        closed.mkdir(mode=0o700)
        with closing(opened(plain.port, f"up/{tmp_path.name}", user=ANONYMOUS, password=MAIL)) as store:
            with pytest.raises(Forbidden):
                list(store.list())
            with pytest.raises(Forbidden):
                store.stat(key("a"))

    def test_a_place_that_was_looked_for_in_vain_is_made_where_it_was_looked_for(
        self, plain: Running, tmp_path: Path, files: Files
    ) -> None:
        with closing(opened(plain.port, f"up/{tmp_path.name}/below", user=ANONYMOUS, password=MAIL)) as store:
            assert listed(store) == {}
            put(store, files, "a", b"content")
        assert (plain.folder / "ftp/up" / tmp_path.name / "below/a").exists()

    def test_a_file_that_cannot_be_read_is_forbidden_and_not_missing(
        self, plain: Running, tmp_path: Path, files: Files
    ) -> None:
        with closing(opened(plain.port, f"up/{tmp_path.name}", user=ANONYMOUS, password=MAIL)) as store:
            put(store, files, "a", b"content")
            (plain.folder / "ftp/up" / tmp_path.name / "a").chmod(0)
            with pytest.raises(Forbidden):
                store.get(key("a"), files.target())

    def test_a_place_that_disappears_is_not_an_empty_one(self, store: FtpStore, folder: Path, files: Files) -> None:
        put(store, files, "a", b"content")
        shutil.rmtree(folder)
        with pytest.raises(NoPlace):
            list(store.list())

    def test_where_nothing_is_replaced_the_old_file_is_moved_aside(self, files: Files) -> None:
        with replacing_nothing() as running, closing(opened(running.port, "target")) as store:
            for content in (b"old", b"newer"):
                put(store, files, "a", content)
            assert listed(store) == {"a": 5}
            assert os.listdir(running.folder / "root/target") == ["a"]


class TestLogin:
    def test_a_wrong_password_is_forbidden_and_not_shown(self, with_facts: Running) -> None:
        store = opened(with_facts.port, "target", password="wrong secret")
        with pytest.raises(Forbidden, match="check user, password") as caught:
            list(store.list())
        assert "wrong secret" not in f"{caught.value} {caught.value!r} {store!r}"

    def test_where_nobody_answers_it_is_unavailable(self) -> None:
        with pytest.raises(Unavailable, match="refused"):
            list(opened(free_ports(1)[0], "target").list())

    def test_the_server_may_be_the_one_that_connects(self, plain: Running, files: Files, tmp_path: Path) -> None:
        path = f"up/{tmp_path.name}"
        with closing(opened(plain.port, path, user=ANONYMOUS, password=MAIL, ftp_passive=False)) as store:
            put(store, files, "a", b"content")
            assert files.fetched(store, "a") == b"content"


class TestTls:
    def test_an_unknown_certificate_is_not_trusted(self, explicit: Running) -> None:
        with pytest.raises(Untrusted, match="--ssl-cacert-file"):
            list(opened(explicit.port, "up", **SECRET).list())

    def test_verification_can_be_switched_off(self, explicit: Running, files: Files, tmp_path: Path) -> None:
        with closing(opened(explicit.port, f"up/{tmp_path.name}", **SECRET, ssl_no_check_certificate=True)) as store:
            put(store, files, "a", b"content")
            assert listed(store) == {"a": 7}

    def test_it_may_begin_with_the_first_byte(self, files: Files) -> None:
        secret = {**SECRET, "scheme": "ftps"}
        with (
            vsftpd(Tls.IMPLICIT) as running,
            closing(opened(running.port, "up/target", **secret, **trusting(running))) as store,
        ):
            put(store, files, "a", bytes(LARGE))
            assert listed(store) == {"a": LARGE}
            assert files.fetched(store, "a") == bytes(LARGE)

    def test_servers_without_sessions_work_too(self, files: Files) -> None:
        with (
            pyftpdlib(tls=True) as running,
            closing(opened(running.port, "target", scheme="lftp+ftpes", **trusting(running))) as store,
        ):
            put(store, files, "a", bytes(LARGE))
            assert files.fetched(store, "a") == bytes(LARGE)


@pytest.fixture
def weather(monkeypatch: pytest.MonkeyPatch) -> Iterator[Weather]:
    """What happens to the data connections."""
    shared = Weather()
    ask = Session.makepasv
    with ExitStack() as proxies:

        def through_a_proxy(session: Session) -> tuple[str, int]:
            host, port = ask(session)
            proxy = proxies.enter_context(proxied(port))
            proxy.weather = shared
            return host, proxy.port

        monkeypatch.setattr(Session, "makepasv", through_a_proxy)
        yield shared


class TestBadWeather:
    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT])
    def test_a_put_that_breaks_off_leaves_the_old_file_and_works_the_next_time(
        self, store: FtpStore, files: Files, weather: Weather, folder: Path, fault: Fault
    ) -> None:
        put(store, files, "a", b"old")
        weather.fault, weather.times = fault, 1
        weather.hits = 0
        with pytest.raises((Unavailable, Incomplete)):
            put(store, files, "a", bytes(LARGE))
        assert files.fetched(store, "a") == b"old"
        put(store, files, "a", bytes(LARGE))
        assert listed(store) == {"a": LARGE}
        assert os.listdir(folder) == ["a"]

    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT])
    def test_a_get_that_breaks_off_is_unavailable_and_leaves_nothing(
        self, store: FtpStore, files: Files, weather: Weather, fault: Fault
    ) -> None:
        put(store, files, "a", bytes(LARGE))
        weather.fault, weather.times = fault, 1
        before = files.names()
        with pytest.raises(Unavailable):
            store.get(key("a"), files.target())
        assert files.names() == before
        assert files.fetched(store, "a") == bytes(LARGE)

    @pytest.mark.parametrize("server", ["plain", "with_facts", "rclone"])
    def test_a_listing_that_was_cut_off_is_read_again(
        self, request: pytest.FixtureRequest, tmp_path: Path, files: Files, weather: Weather, server: str
    ) -> None:
        running: Running = request.getfixturevalue(server)
        login = {"user": ANONYMOUS, "password": MAIL} if server == "plain" else {}
        with closing(opened(running.port, f"up/{tmp_path.name}", **login)) as store:  # type: ignore[arg-type]
            put(store, files, "a", b"content")
            weather.fault, weather.times, weather.after = Fault.SHORT, 1, 0
            assert listed(store) == {"a": 7}
            assert weather.hits == 1

    def test_a_listing_that_is_cut_off_again_and_again_is_unavailable(
        self, store: FtpStore, files: Files, weather: Weather
    ) -> None:
        put(store, files, "a", b"content")
        weather.fault, weather.every, weather.after = Fault.SHORT, 2, 0
        with pytest.raises(Unavailable, match="cut off"):
            list(store.list())

    def test_tls_tells_a_listing_that_was_cut_off(
        self, explicit: Running, files: Files, tmp_path: Path, weather: Weather
    ) -> None:
        with closing(opened(explicit.port, f"up/{tmp_path.name}", **SECRET, **trusting(explicit))) as store:
            put(store, files, "a", b"content")
            folder = explicit.folder / "ftp/up" / tmp_path.name
            for number in range(500):
                (folder / f"{number:040}").touch()
            weather.connections = 0
            assert len(listed(store)) == 501
            once = weather.connections
            weather.fault, weather.times, weather.after = Fault.SHORT, 1, 8000
            with pytest.raises(Unavailable, match="cut off"):
                list(store.list())
            assert (once, weather.connections) == (2, 3)  # names and sizes; names

    def test_silence_is_unavailable_after_the_time_limit(
        self, with_facts: Running, tmp_path: Path, files: Files, weather: Weather
    ) -> None:
        with closing(opened(with_facts.port, tmp_path.name, timeout=1)) as store:
            put(store, files, "a", bytes(LARGE))
            weather.fault, weather.times = Fault.STALL, 1
            with pytest.raises(Unavailable, match="--timeout"):
                store.get(key("a"), files.target())

    def test_a_dropped_connection_is_replaced_at_the_next_call(
        self, with_facts: Running, tmp_path: Path, files: Files
    ) -> None:
        with proxied(with_facts.port) as proxy, closing(opened(proxy.port, tmp_path.name)) as store:
            put(store, files, "a", b"content")
            proxy.drop_connections()
            with pytest.raises(Unavailable):
                store.stat(key("a"))
            assert store.stat(key("a")).size == 7


class TestLeftovers:
    def test_what_a_killed_writer_left_is_not_listed_and_goes_with_the_next_put(
        self, store: FtpStore, files: Files, folder: Path
    ) -> None:
        folder.mkdir()
        child = os.fork()
        if not child:
            (folder / PartNames().new()).write_bytes(b"half")
            os._exit(0)
        os.waitpid(child, 0)
        living = PartNames().new()
        (folder / living).write_bytes(b"half")
        assert listed(store) == {}
        put(store, files, "a", b"content")
        assert sorted(os.listdir(folder)) == [living, "a"]

    @pytest.mark.parametrize("successor", [b"", b"new"])
    def test_a_file_that_made_way_gets_its_name_back_unless_that_is_taken(
        self, store: FtpStore, files: Files, folder: Path, successor: bytes
    ) -> None:
        folder.mkdir()
        if successor:
            (folder / "a").write_bytes(successor)
        child = os.fork()
        if not child:
            (folder / PartNames().parked("a")).write_bytes(b"old")
            os._exit(0)
        os.waitpid(child, 0)
        living = PartNames().parked("b")
        (folder / living).write_bytes(b"old")
        put(store, files, "c", b"content")
        assert sorted(os.listdir(folder)) == [living, "a", "c"]
        assert files.fetched(store, "a") == (successor or b"old")

    def test_an_interrupted_put_is_cleared_away_by_the_next_one(
        self, store: FtpStore, files: Files, folder: Path
    ) -> None:
        with pytest.raises(Interruption):
            store.put(key("a"), files.source(bytes(LARGE)), sent=interrupt)
        assert len(os.listdir(folder)) == 1
        put(store, files, "b", b"content")
        assert os.listdir(folder) == ["b"]


def test_names_with_line_ends_are_refused_before_they_become_commands(store: FtpStore, files: Files) -> None:
    with pytest.raises(Unsupported):
        put(store, files, "a\r\nDELE b", b"content")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("421 Timeout.", Unavailable),
        ("425 Failed to establish connection.", Unavailable),
        ("450 File busy", Unavailable),
        ("452 Disk full", NoSpace),
        ("502 Command not implemented.", Unsupported),
        ("530 Login incorrect.", Forbidden),
        ("550 Permission denied.", Forbidden),
        ("551 Error reading file", Unavailable),
        ("552 Quota exceeded", NoSpace),
        ("what?", StorageError),
    ],
)
def test_a_refusal_means(reply: str, kind: type[StorageError]) -> None:
    assert meaning(reply) is kind


def test_facts_are_read_without_directories() -> None:
    lines = ["type=cdir;modify=2; .", "Type=file;Size=12;Modify=1; two  spaces ", "type=dir; below", "type=file; odd"]
    assert [*from_mlsd(lines)] == [Listed("two  spaces ", 12), Listed("odd", None)]


@pytest.mark.parametrize("size", ["²", "9" * 5000, "-1", ""])
def test_sizes_that_are_none_are_asked_for(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [*from_mlsd([f"type=file;size={size}; a"])] == [Listed("a", None)]
    session = Session(Security.NONE, ssl.create_default_context(), timeout=1, passive=True)
    monkeypatch.setattr(session, "sendcmd", lambda _command: f"213 {size}")
    with pytest.raises(ftplib.error_reply):
        session.size("a")


def test_sizes_of_a_long_listing_count_only_for_names_told_exactly() -> None:
    lines = [
        "total 8",
        "-rw-r--r--    1 ftp      ftp            12 Nov 22 04:46 plain",
        "-rw-r--r--    1 two words ftp           13 Nov 22  2025 odd owner",
        "-rw-r--r--    1 ftp      ftp            14 Nov 22  2025  leading space",
        "drwxr-xr-x    2 ftp      ftp          4096 Nov 22 04:46 below",
        "lrwxrwxrwx    1 ftp      ftp             5 Nov 22 04:46 link -> plain",
    ]
    names = [".", "plain", "odd owner", " leading space", "below", "link", "plain"]
    expected = [
        Listed("plain", 12),
        Listed("odd owner", None),
        Listed(" leading space", 14),
        Listed("link", None),
    ]
    assert [*from_nlst(names, lines)] == expected

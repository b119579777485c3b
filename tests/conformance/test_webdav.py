"""WebDAV against four programs that serve it: the conformance suite, and what goes wrong on the way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers.process import HOST, Running, free_ports
from tests.servers.proxy import Fault, proxied
from tests.servers.webdav import PASSWORD, USER, apache, nginx, rclone_webdav, wsgidav
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
    UserError,
)
from twofold.storage.drivers.webdav.multistatus import LONGEST_TEXT, MultistatusReader, NotUnderstood, Resource
from twofold.storage.drivers.webdav.store import WebdavStore
from twofold.storage.part_names import PartNames
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.store import Store
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import LARGE, Files, Interruption, interrupt, key, listed, put
from twofold.storage.url import StorageUrl
from twofold.storage.wrappers.retry import RetryPolicy, RetryStore


def opened(
    port: int, path: str, *, scheme: str = "webdav", password: str = PASSWORD, timeout: float = 20.0, **options: Any
) -> WebdavStore:
    url = StorageUrl.parse(f"{scheme}://{USER}@{HOST}:{port}/{path}")
    settings = StoreSettings(password=password, timeout=timeout, options=ServiceOptions(**options))
    return WebdavStore.from_url(url, settings)


def patient(store: Store) -> Store:
    """With another try, as in the program."""
    return RetryStore(
        store,
        policy=RetryPolicy(attempts=50),
        sleep=lambda _seconds: None,
        chance=lambda: 0.0,
        noticed=lambda _attempt: None,
    )


@pytest.fixture(scope="module")
def python_server() -> Iterator[Running]:
    with wsgidav() as running:
        yield running


@pytest.fixture(scope="module")
def two_doors() -> Iterator[Running]:
    """nginx, plain and with TLS."""
    with nginx() as running:
        yield running


@pytest.fixture(scope="module")
def digesting() -> Iterator[Running]:
    with apache() as running:
        yield running


@pytest.fixture(scope="module")
def rclone() -> Iterator[Running]:
    with rclone_webdav() as running:
        yield running


class TestWsgidav(StoreConformance):
    unspeakable = frozenset({"a#b?c&d=e;f"})  # it cuts the target of a MOVE at the question mark

    @pytest.fixture
    def place(self, python_server: Running, tmp_path: Path) -> Callable[[], Store]:
        return lambda: opened(python_server.port, f"{tmp_path.name}/target")

    def test_a_reader_never_sees_half_a_replacement(self, store: Store, files: Files) -> None:
        pytest.skip("wsgidav removes the old file before it moves the new one there: a reader may find nothing")


class TestNginx(StoreConformance):
    unspeakable = frozenset({".leading dot"})  # it stores and gives them, but does not list them

    @pytest.fixture
    def place(self, two_doors: Running, tmp_path: Path) -> Callable[[], Store]:
        return lambda: opened(two_doors.port, f"{tmp_path.name}/target")


class TestApache(StoreConformance):
    @pytest.fixture
    def place(self, digesting: Running, tmp_path: Path) -> Callable[[], Store]:
        return lambda: opened(digesting.port, f"{tmp_path.name}/target")

    def test_a_reader_never_sees_half_a_replacement(self, store: Store, files: Files) -> None:
        pytest.skip("Apache removes the old file before it moves the new one there: a reader may find nothing")


class TestRclone(StoreConformance):
    @pytest.fixture
    def place(self, rclone: Running, tmp_path: Path) -> Callable[[], Store]:
        return lambda: opened(rclone.port, f"{tmp_path.name}/target")

    def test_a_reader_never_sees_half_a_replacement(self, store: Store, files: Files) -> None:
        pytest.skip("rclone goes on in the new file when one is replaced while it is sent")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local files")


@pytest.fixture
def folder(python_server: Running, tmp_path: Path) -> Path:
    """Where the files of the store below lie."""
    return python_server.folder / "root" / tmp_path.name


@pytest.fixture
def store(python_server: Running, tmp_path: Path) -> Iterator[WebdavStore]:
    with closing(opened(python_server.port, tmp_path.name)) as store:
        yield store


class TestPlace:
    def test_slashes_at_the_ends_and_in_between_do_not_matter(
        self, two_doors: Running, files: Files, tmp_path: Path
    ) -> None:
        with (
            closing(opened(two_doors.port, f"{tmp_path.name}/a b")) as plain,
            closing(opened(two_doors.port, f"/{tmp_path.name}//a%20b/")) as slashes,
        ):
            put(plain, files, "a", b"content")
            assert listed(slashes) == {"a": 7}
        assert (two_doors.folder / "root" / tmp_path.name / "a b/a").exists()

    def test_collections_and_what_is_in_them_are_not_listed(
        self, store: WebdavStore, folder: Path, files: Files
    ) -> None:
        put(store, files, "a", b"content")
        (folder / "below").mkdir()
        (folder / "below/b").write_bytes(b"content")
        assert listed(store) == {"a": 7}
        with pytest.raises(NotFound):
            store.stat(key("below"))

    def test_a_place_that_disappears_is_not_an_empty_one(self, store: WebdavStore, folder: Path, files: Files) -> None:
        put(store, files, "a", b"content")
        shutil.rmtree(folder)
        with pytest.raises(NoPlace):
            list(store.list())
        with pytest.raises(NoPlace):
            store.delete(key("a"))
        with pytest.raises(StorageError):
            put(store, files, "b", b"content")
        assert not folder.exists()

    def test_what_is_no_webdav_is_said_to_be_none(self) -> None:
        page = httpx.Response(207, text="<html><body>Hello</body></html>")
        with answering(lambda _request: page) as store, pytest.raises(StorageError, match="no WebDAV"):
            list(store.list())


class TestLogin:
    @pytest.mark.parametrize("server", ["python_server", "digesting"])
    def test_a_wrong_password_is_forbidden_and_not_shown(self, request: pytest.FixtureRequest, server: str) -> None:
        running: Running = request.getfixturevalue(server)
        with closing(opened(running.port, "target", password="wrong secret")) as store:
            with pytest.raises(Forbidden, match="check user, password") as caught:
                list(store.list())
            assert "wrong secret" not in f"{caught.value} {caught.value!r} {store!r}"

    def test_where_nobody_answers_it_is_unavailable(self) -> None:
        with (
            closing(opened(free_ports(1)[0], "target")) as store,
            pytest.raises(Unavailable, match="refused"),
        ):
            list(store.list())

    def test_a_file_is_sent_once_though_the_server_asks_for_a_digest(
        self, digesting: Running, tmp_path: Path, files: Files
    ) -> None:
        sent: list[int] = []
        with closing(opened(digesting.port, tmp_path.name)) as store:
            store.put(key("a"), files.source(bytes(LARGE)), sent=sent.append)
        assert sum(sent) == sum(abs(count) for count in sent) == LARGE


class TestTls:
    def test_an_unknown_certificate_is_not_trusted(self, two_doors: Running) -> None:
        with (
            closing(opened(two_doors.ports[1], "target", scheme="webdavs")) as store,
            pytest.raises(Untrusted, match="--ssl-cacert-file"),
        ):
            list(store.list())

    @pytest.mark.parametrize("scheme", ["webdavs", "https", "lftp+webdavs", "lftp+https"])
    def test_one_that_was_named_is_trusted(self, two_doors: Running, files: Files, tmp_path: Path, scheme: str) -> None:
        certificate = str(two_doors.folder.parent / "cert.pem")
        with closing(opened(two_doors.ports[1], tmp_path.name, scheme=scheme, ssl_cacert_file=certificate)) as store:
            put(store, files, "a", bytes(LARGE))
            assert listed(store) == {"a": LARGE}

    def test_verification_can_be_switched_off(self, two_doors: Running) -> None:
        with closing(opened(two_doors.ports[1], "none", scheme="https", ssl_no_check_certificate=True)) as store:
            assert listed(store) == {}

    def test_a_bundle_that_is_none_is_a_mistake_of_the_command(self, tmp_path: Path) -> None:
        (tmp_path / "none.pem").write_text("no certificate")
        with pytest.raises(UserError, match=r"none\.pem"):
            opened(1, "", scheme="webdavs", ssl_cacert_file=str(tmp_path / "none.pem"))


class TestBadWeather:
    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT])
    def test_a_put_that_breaks_off_leaves_the_old_file_and_works_the_next_time(
        self, python_server: Running, folder: Path, files: Files, fault: Fault
    ) -> None:
        with proxied(python_server.port) as proxy, closing(opened(proxy.port, folder.name)) as store:
            put(store, files, "a", b"old")
            proxy.drop_connections()
            proxy.weather.fault, proxy.weather.times = fault, 1
            with pytest.raises((Unavailable, Incomplete)):
                put(store, files, "a", bytes(LARGE))
            with closing(opened(python_server.port, folder.name)) as other:
                assert files.fetched(other, "a") == b"old"
            patient(store).put(key("a"), files.source(bytes(LARGE)))
            assert listed(store) == {"a": LARGE}

    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT])
    def test_a_get_that_breaks_off_is_unavailable_and_leaves_nothing(
        self, python_server: Running, folder: Path, files: Files, fault: Fault
    ) -> None:
        with proxied(python_server.port) as proxy, closing(opened(proxy.port, folder.name)) as store:
            put(store, files, "a", bytes(LARGE))
        with proxied(python_server.port) as proxy, closing(opened(proxy.port, folder.name)) as store:
            proxy.weather.fault, proxy.weather.times = fault, 1
            before = files.names()
            with pytest.raises(Unavailable):
                store.get(key("a"), files.target())
            assert files.names() == before
            assert files.fetched(store, "a") == bytes(LARGE)

    def test_silence_is_unavailable_after_the_time_limit(
        self, python_server: Running, folder: Path, files: Files
    ) -> None:
        with closing(opened(python_server.port, folder.name)) as direct:
            put(direct, files, "a", bytes(LARGE))
        with proxied(python_server.port) as proxy, closing(opened(proxy.port, folder.name, timeout=1)) as store:
            proxy.weather.fault = Fault.STALL
            with pytest.raises(Unavailable, match="--timeout"):
                store.get(key("a"), files.target())

    def test_a_busy_server_says_when_to_come_again(self, python_server: Running) -> None:
        with proxied(python_server.port) as proxy, closing(opened(proxy.port, "target")) as store:
            proxy.weather.fault, proxy.weather.retry_after = Fault.BUSY, "7"
            with pytest.raises(Unavailable) as caught:
                list(store.list())
            assert caught.value.retry_after == 7

    def test_a_dropped_connection_is_replaced(self, python_server: Running, folder: Path, files: Files) -> None:
        with proxied(python_server.port) as proxy, closing(opened(proxy.port, folder.name)) as store:
            put(store, files, "a", b"content")
            proxy.drop_connections()
            assert patient(store).stat(key("a")).size == 7


class TestLeftovers:
    def test_what_a_killed_writer_left_is_not_listed_and_goes_with_the_next_put(
        self, store: WebdavStore, files: Files, folder: Path
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

    def test_an_interrupted_put_is_cleared_away_by_the_next_one(
        self, store: WebdavStore, files: Files, folder: Path
    ) -> None:
        with pytest.raises(Interruption):
            store.put(key("a"), files.source(bytes(LARGE)), sent=interrupt)
        put(store, files, "b", b"content")
        assert os.listdir(folder) == ["b"]


def answered(responses: str) -> bytes:
    return f'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">{responses}</D:multistatus>'.encode()


def listing_failure(*statuses: int) -> bytes:
    """What comes with 207 after a change that failed."""
    return answered(
        "".join(
            f"<D:response><D:href>/place/{status}</D:href><D:status>HTTP/1.1 {status} No</D:status></D:response>"
            for status in statuses
        )
    )


@contextmanager
def answering(answer: Callable[[httpx.Request], httpx.Response], **options: Any) -> Iterator[WebdavStore]:
    """A store whose server is a function."""
    store = opened(80, "place", **options)
    store._requests.transport = httpx.MockTransport(answer)
    with closing(store):
        yield store


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (401, Forbidden),
            (403, Forbidden),
            (404, NoPlace),
            (409, NoPlace),
            (413, NoSpace),
            (423, Unavailable),
            (429, Unavailable),
            (500, Unavailable),
            (501, Unsupported),
            (503, Unavailable),
            (507, NoSpace),
        ],
    )
    def test_a_refusal_means(self, files: Files, status: int, kind: type[StorageError]) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            return httpx.Response(status) if request.method == "PUT" else httpx.Response(207, content=COLLECTION)

        with answering(answer) as store, pytest.raises(StorageError) as caught:
            put(store, files, "a", b"content")
        assert type(caught.value) is kind

    def test_another_server_is_not_followed_to(self) -> None:
        asked: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            if request.method == "OPTIONS":
                return httpx.Response(200)
            asked.append(request.url.host)
            return httpx.Response(301, headers={"Location": "http://elsewhere.example/place/"})

        with answering(answer) as store, pytest.raises(StorageError, match=r"elsewhere\.example"):
            list(store.list())
        assert asked == [HOST]

    def test_another_address_on_the_same_server_is_followed_to(self) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/place/":
                return httpx.Response(308, headers={"Location": "/moved/"})
            return httpx.Response(207, content=COLLECTION)

        with answering(answer) as store:
            assert listed(store) == {"a": 12}

    def test_a_server_behind_a_proxy_is_told_the_target_in_its_own_words(self, files: Files) -> None:
        destinations: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            if request.method == "MOVE":
                destinations.append(request.headers["destination"])
                return httpx.Response(502 if "://" in destinations[-1] else 201)
            found = COLLECTION if request.url.path.endswith("/") else FILE
            return httpx.Response(207 if request.method == "PROPFIND" else 201, content=found)

        with answering(answer) as store:
            store.put(key("a"), files.source(bytes(12)))
        assert destinations == [f"http://{HOST}/place/a", "/place/a"]

    def test_a_short_arrival_is_incomplete_and_gets_no_name(self, files: Files) -> None:
        methods: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            methods.append(request.method)
            found = COLLECTION if request.url.path.endswith("/") else FILE
            return httpx.Response(207 if request.method == "PROPFIND" else 201, content=found)

        with answering(answer) as store, pytest.raises(Incomplete):
            store.put(key("a"), files.source(bytes(13)))
        assert "MOVE" not in methods

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (httpx.Response(202), StorageError),
            (httpx.Response(207), StorageError),
            (httpx.Response(207, content=b"Hello"), StorageError),
            (httpx.Response(207, content=listing_failure(403)), Forbidden),
            (httpx.Response(207, content=listing_failure(424, 423)), Unavailable),
            (httpx.Response(201), Incomplete),  # and there is no such file
        ],
    )
    def test_a_move_that_was_not_carried_out_fails_the_put(
        self, files: Files, answer: httpx.Response, kind: type[StorageError]
    ) -> None:
        def served(request: httpx.Request) -> httpx.Response:
            if request.method == "MOVE":
                return answer
            if request.url.path == "/place/a":
                return httpx.Response(404)
            found = COLLECTION if request.url.path.endswith("/") else FILE
            return httpx.Response(207 if request.method == "PROPFIND" else 201, content=found)

        with answering(served) as store, pytest.raises(StorageError) as caught:
            store.put(key("a"), files.source(bytes(12)))
        assert type(caught.value) is kind

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [(httpx.Response(202), StorageError), (httpx.Response(207, content=listing_failure(423)), Unavailable)],
    )
    def test_a_deletion_that_was_not_carried_out_fails(self, answer: httpx.Response, kind: type[StorageError]) -> None:
        with answering(lambda _request: answer) as store, pytest.raises(StorageError) as caught:
            store.delete(key("a"))
        assert type(caught.value) is kind

    def test_an_endless_refusal_is_not_read_to_its_end(self) -> None:
        given = 0

        def endless() -> Iterator[bytes]:
            nonlocal given
            while True:
                given += 1 << 16
                yield bytes(1 << 16)

        with answering(lambda _request: httpx.Response(507, content=endless())) as store, pytest.raises(NoSpace):
            store.delete(key("a"))
        assert given <= 4 << 20  # three requests, a little more than a MiB each

    def test_an_odd_length_is_asked_for_elsewhere(self, files: Files) -> None:
        def served(request: httpx.Request) -> httpx.Response:
            if request.method == "PROPFIND":
                return httpx.Response(207, content=FILE)
            return httpx.Response(200, content=iter([bytes(12)]), headers={"Content-Length": "9" * 5000})

        with answering(served) as store:
            assert files.fetched(store, "a") == bytes(12)

    def test_own_headers_are_sent(self) -> None:
        seen: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            seen.append(request.headers["x-one"] + request.headers["x-two"])
            return httpx.Response(404)

        with answering(answer, webdav_headers="X-One,1,X-Two,2") as store:
            assert listed(store) == {}
        assert set(seen) == {"12"}

    def test_headers_without_values_are_a_mistake_of_the_command(self) -> None:
        with pytest.raises(UserError, match="lacks its value"):
            opened(80, "place", webdav_headers="X-One")


COLLECTION = answered(
    "<D:response><D:href>/place/</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype>"
    "<D:quota-available-bytes>99</D:quota-available-bytes></D:prop></D:propstat></D:response>"
    "<D:response><D:href>http://host:1/place/%61</D:href><D:propstat><D:prop><D:resourcetype/>"
    "<D:getcontentlength>12</D:getcontentlength></D:prop></D:propstat></D:response>"
)
FILE = answered(
    "<D:response><D:href>/place/a</D:href><D:propstat><D:prop><D:getcontentlength>12</D:getcontentlength>"
    "</D:prop></D:propstat></D:response>"
)


def read(content: bytes) -> list[Resource]:
    reader = MultistatusReader()
    for byte in content:
        reader.feed(bytes([byte]))
    return reader.end()


def test_what_propfind_gives_is_read_byte_by_byte() -> None:
    assert read(COLLECTION) == [Resource("/place", True, None, 99), Resource("/place/a", False, 12, None)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Hello",
        b"<html/>",
        COLLECTION[:-1],
        COLLECTION.replace(b">12<", ">²<".encode()),
        COLLECTION.replace(b">12<", b">" + b"9" * 5000 + b"<"),
        COLLECTION.replace(b"%61", b"a" * (LONGEST_TEXT + 1)),
        answered("<D:a>" * 101 + "</D:a>" * 101),
        b'<!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><D:multistatus xmlns:D="DAV:">&b;</D:multistatus>',
    ],
)
def test_what_is_no_multistatus_is_refused(content: bytes) -> None:
    reader = MultistatusReader()
    with pytest.raises(NotUnderstood):  # noqa: PT012 - some are refused at once, some at the end
        reader.feed(content)
        reader.end()

"""tahoe:// against a grid of one node: the conformance suite, and what goes wrong on the way."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.servers.process import HOST, Running, free_ports
from tests.servers.proxy import Fault, proxied
from tests.servers.tahoe import make_directory, make_home, tahoe
from twofold.errors import Forbidden, Incomplete, InvalidUrl, NotFound, StorageError, Unavailable, Unsupported
from twofold.storage.drivers.tahoe import TahoeStore
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Operation, Store
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import LARGE, Files, key, listed, put
from twofold.storage.url import StorageUrl

CAPABILITY = "URI:DIR2:secret:secret"


@pytest.fixture(scope="module")
def grid() -> Iterator[Running]:
    with tahoe() as running:
        yield running


@pytest.fixture(scope="module")
def home(grid: Running, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all, since a key has to be made for every new directory."""
    folder = tmp_path_factory.mktemp("home")
    make_home(folder, grid.port, {"other": CAPABILITY, "backups": make_directory(grid)})
    return folder


def opened(home: Path, path: str, *, port: int | None = None, timeout: float = 20) -> TahoeStore:
    address = {} if port is None else {"TAHOE_URL": f"http://{HOST}:{port}"}
    settings = StoreSettings(environment={"HOME": str(home), **address}, timeout=timeout)
    return TahoeStore.from_url(StorageUrl.parse(f"tahoe://{path}"), settings)


class TestTahoe(StoreConformance):
    unspeakable = frozenset({"e\u0301 composed or not \u00e9"})  # Tahoe stores all names in one normal form

    @pytest.fixture
    def place(self, home: Path, tmp_path: Path) -> Callable[[], Store]:
        return lambda: opened(home, f"backups/{tmp_path.name}")

    def test_1100_files_are_listed_once_each(self, store: Store, files: Files) -> None:
        """Put there at once: a directory is written anew with each file that is added."""
        store.put(key("first"), files.source(b"x"))
        assert isinstance(store, TahoeStore)
        directory = store._facts("", Operation.LIST)["rw_uri"]
        names = {f"duplicity-full.20261122T044630Z.vol{number}.difftar.gpg" for number in range(1100)}
        children = {name: ["filenode", {"ro_uri": "URI:LIT:pa"}] for name in names}
        request = urllib.request.Request(
            f"{store._origin()}/uri/{directory}?t=set_children", json.dumps(children).encode(), method="POST"
        )
        urllib.request.urlopen(request, timeout=60).close()
        assert listed(store) == dict.fromkeys(names | {"first"}, 1)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local files")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return f"backups/{tmp_path.name}"


class TestPlace:
    def test_all_directories_on_the_way_are_made_once_and_what_lies_there_stays(
        self, home: Path, files: Files, path: str
    ) -> None:
        with closing(opened(home, f"{path}/a b/ü")) as first, closing(opened(home, f"{path}//a%20b/%C3%BC/")) as second:
            put(first, files, "a", b"content")
            put(second, files, "b", b"more")
            assert listed(first) == listed(second) == {"a": 7, "b": 4}
        with closing(opened(home, path)) as above:
            assert listed(above) == {}
            for attempt in (above.stat, lambda wanted: above.get(wanted, files.target())):
                with pytest.raises(NotFound):
                    attempt(key("a b"))

    def test_the_alias_alone_is_its_directory(self, home: Path, files: Files) -> None:
        with closing(opened(home, "backups")) as store:
            put(store, files, "at the top", b"content")
            assert listed(store) == {"at the top": 7}
            store.delete(key("at the top"))

    def test_a_copy_sends_nothing(self, home: Path, files: Files, path: str, grid: Running) -> None:
        with closing(opened(home, path)) as direct:
            put(direct, files, "a", bytes(LARGE))
        with proxied(grid.port) as proxy, closing(opened(home, path, port=proxy.port)) as store:
            proxy.weather.fault, proxy.weather.after = Fault.RESET, 10_000
            store.copy(key("a"), key("b"))
            assert listed(store) == {"a": LARGE, "b": LARGE}

    def test_names_that_are_no_utf8_are_unsupported(self, home: Path, files: Files, path: str) -> None:
        with closing(opened(home, path)) as store, pytest.raises(Unsupported, match="UTF-8"):
            put(store, files, "\udcff", b"content")


class TestSettings:
    def test_a_url_without_alias_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidUrl, match="tahoe://alias/directory"):
            opened(tmp_path, "/")

    def test_an_unknown_alias_is_said_so_without_showing_others(self, home: Path) -> None:
        with closing(opened(home, "nobody/x")) as store, pytest.raises(StorageError) as caught:
            store.list()
        assert str(caught.value) == (
            "tahoe://nobody/x: no such alias in ~/.tahoe/private/aliases; tahoe add-alias makes it"
        )

    def test_without_a_node_it_is_said_how_to_get_one(self, tmp_path: Path) -> None:
        with closing(opened(tmp_path, "a/b")) as store, pytest.raises(StorageError, match="create-client, or set TAHO"):
            store.list()

    def test_an_address_that_is_none_is_refused(self, tmp_path: Path) -> None:
        settings = StoreSettings(environment={"HOME": str(tmp_path), "TAHOE_URL": "[grid"})
        store = TahoeStore.from_url(StorageUrl.parse("tahoe://a/b"), settings)
        with pytest.raises(StorageError, match="write http://host:port"):
            store.list()


class TestNetwork:
    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT])
    def test_a_put_that_breaks_off_leaves_nothing_and_works_the_next_time(
        self, home: Path, files: Files, path: str, grid: Running, fault: Fault
    ) -> None:
        source = files.source(os.urandom(LARGE))
        with proxied(grid.port) as proxy, closing(opened(home, path, port=proxy.port)) as store:
            put(store, files, "other", b"content")
            proxy.drop_connections()
            proxy.weather.fault, proxy.weather.times = fault, 1
            with pytest.raises(Unavailable):
                store.put(key("a"), source)
            assert listed(store) == {"other": 7}
            assert store.put(key("a"), source).size == LARGE

    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT, Fault.STALL])
    def test_a_get_that_breaks_off_is_unavailable_and_leaves_nothing(
        self, home: Path, files: Files, path: str, grid: Running, fault: Fault
    ) -> None:
        with closing(opened(home, path)) as direct:
            put(direct, files, "a", os.urandom(LARGE))
        with proxied(grid.port) as proxy, closing(opened(home, path, port=proxy.port, timeout=1)) as store:
            proxy.weather.fault, proxy.weather.times = fault, 1
            before = files.names()
            with pytest.raises(Unavailable):
                store.get(key("a"), files.target())
            assert files.names() == before
            assert len(files.fetched(store, "a")) == LARGE

    def test_a_busy_node_says_when_to_come_again(self, home: Path, path: str, grid: Running) -> None:
        with proxied(grid.port) as proxy, closing(opened(home, path, port=proxy.port)) as store:
            proxy.weather.fault, proxy.weather.retry_after = Fault.BUSY, "7"
            with pytest.raises(Unavailable) as caught:
                store.list()
            assert caught.value.retry_after == 7

    def test_a_node_that_does_not_run_is_unavailable(self, home: Path, path: str) -> None:
        with closing(opened(home, path, port=free_ports(1)[0])) as store, pytest.raises(Unavailable, match="running"):
            store.list()


@contextmanager
def answering(home: Path, answer: Callable[[httpx.Request], httpx.Response]) -> Iterator[TahoeStore]:
    """A store whose node answers so."""
    with closing(opened(home, "other/x", port=1)) as store:
        store.transport = httpx.MockTransport(answer)
        yield store


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [(401, Forbidden), (403, Forbidden), (410, Unavailable), (500, Unavailable), (400, StorageError)],
    )
    def test_refusals_keep_their_meaning_and_show_no_capability(
        self, home: Path, status: int, kind: type[StorageError]
    ) -> None:
        text = f"<p>Sorry: {CAPABILITY}</p>"
        with answering(home, lambda _request: httpx.Response(status, text=text)) as store:
            for attempt in (store.list, lambda: store.delete(key("a")), lambda: store.stat(key("a"))):
                with pytest.raises(StorageError) as caught:
                    attempt()
                assert type(caught.value) is kind
                assert "secret" not in str(caught.value)

    def test_a_lost_connection_shows_no_capability(self, home: Path) -> None:
        def fail(request: httpx.Request) -> httpx.Response:
            raise httpx.ReadError(f"broke {request.url}")

        with answering(home, fail) as store, pytest.raises(Unavailable) as caught:
            store.list()
        assert "secret" not in str(caught.value)

    def test_what_is_no_tahoe_node_is_told(self, home: Path) -> None:
        answer = httpx.Response(200, text="<html>")
        with answering(home, lambda _request: answer) as store, pytest.raises(StorageError, match="not that of a Taho"):
            store.list()

    def test_a_file_in_the_place_of_the_directory_is_no_place(self, home: Path) -> None:
        facts = json.dumps(["filenode", {"size": 1}])
        with answering(home, lambda _request: httpx.Response(200, text=facts)) as store:
            assert listed(store) == {}

    def test_another_size_than_was_sent_is_incomplete(self, home: Path, files: Files) -> None:
        facts = json.dumps(["filenode", {"size": 1}])
        with answering(home, lambda _request: httpx.Response(200, text=facts)) as store, pytest.raises(Incomplete):
            put(store, files, "a", b"12")

    def test_a_large_file_is_given_the_time_that_a_slow_grid_needs(self, home: Path, files: Files) -> None:
        patience: dict[str, float] = {}

        def answer(request: httpx.Request) -> httpx.Response:
            patience[request.method] = request.extensions["timeout"]["read"]
            return httpx.Response(200, text=json.dumps(["filenode", {"size": LARGE}]))

        with answering(home, answer) as store:
            put(store, files, "a", bytes(LARGE))
        assert patience["GET"] == 20
        assert patience["PUT"] > 60

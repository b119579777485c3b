"""The Swift driver beside OpenStack Swift: the conformance suite, logins, large objects, cold storage, trouble."""

from __future__ import annotations

import os
import socket
import ssl
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from swiftclient import client as swiftclient

from tests.servers import swift
from tests.servers.certificate import make_certificate
from tests.servers.process import HOST, free_ports
from tests.servers.proxy import Fault, Proxy, proxied
from twofold.concurrency import spawn
from twofold.errors import (
    Forbidden,
    InvalidUrl,
    NeedsWarmUp,
    NoPlace,
    NoSpace,
    StorageError,
    Unavailable,
    Unsupported,
    Untrusted,
)
from twofold.storage.drivers.swift.cold import PcaStore
from twofold.storage.drivers.swift.login import Account, login_of
from twofold.storage.drivers.swift.store import SwiftStore
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.store import Store, Warmth
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import LARGE, Files, Interruption, interrupt, key, listed, put
from twofold.storage.url import StorageUrl

MIB = 1 << 20
URL = StorageUrl.parse("swift://container")


def variables(port: int, kind: str = "SWIFT", **others: str) -> dict[str, str]:
    login = {"USERNAME": swift.USER, "PASSWORD": swift.KEY, "AUTHURL": swift.auth_url(port), **others}
    return {f"{kind}_{name}": value for name, value in login.items()}


def opened(
    port: int, path: str, *, timeout: float = 20.0, login: dict[str, str] | None = None, **options: Any
) -> SwiftStore:
    environment = variables(port) if login is None else login
    settings = StoreSettings(environment=environment, timeout=timeout, options=ServiceOptions(**options))
    return SwiftStore.from_url(StorageUrl.parse(f"swift://{path}"), settings)


def archive(port: int, path: str) -> PcaStore:
    settings = StoreSettings(environment=variables(port, "PCA"), timeout=20.0)
    return PcaStore(StorageUrl.parse(f"pca://{path}"), settings)


class Service:
    """The server as somebody else sees it."""

    def __init__(self, port: int) -> None:
        self.url, self.token = swiftclient.get_auth(swift.auth_url(port), swift.USER, swift.KEY)

    def names(self, container: str) -> list[str]:
        rows = swiftclient.get_container(self.url, self.token, container, full_listing=True)[1]
        return [row["name"] for row in rows]

    def head(self, container: str) -> dict[str, str]:
        return dict(swiftclient.head_container(self.url, self.token, container))


@pytest.fixture(scope="session")
def port(swift_port: int) -> int:
    return swift_port


@pytest.fixture(scope="module")
def service(port: int) -> Service:
    return Service(port)


@pytest.fixture
def name() -> str:
    """A container that is not there yet."""
    return f"c{uuid.uuid4().hex}"


@pytest.fixture
def store(port: int, name: str) -> Iterator[SwiftStore]:
    with closing(opened(port, name)) as store:
        yield store


class TestSwift(StoreConformance):
    @pytest.fixture
    def place(self, port: int, name: str) -> Callable[[], Store]:
        return lambda: opened(port, f"{name}/a folder/daily")

    def test_1100_files_are_listed_once_each(self, store: Store, files: Files) -> None:
        """Fewer: the server has been told to make its pages small, and takes its time for each file."""
        swift.list_pages(store, files)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local files")


class TestLogin:
    @pytest.mark.parametrize("version", ["2", "3"])
    def test_an_identity_service_may_do_it(self, port: int, name: str, version: str) -> None:
        login = {"USERNAME": swift.NAME, "TENANTNAME": swift.TENANT, "REGIONNAME": "here", "AUTHVERSION": version}
        domains = {"USER_DOMAIN_NAME": "Default", "PROJECT_DOMAIN_NAME": "Default", "PROJECT_NAME": swift.TENANT}
        with swift.keystone(port) as address:
            known = variables(port, AUTHURL=address, **login, **(domains if version == "3" else {}))
            with closing(opened(port, name, login=known)) as store:
                assert listed(store) == {}
            with (
                closing(opened(port, name, login={**known, "SWIFT_PASSWORD": "wrong secret"})) as store,
                pytest.raises(Forbidden, match=r"HTTP 401.*check user") as caught,
            ):
                listed(store)
        assert "wrong secret" not in f"{caught.value} {store._session!r} {login_of(URL, known)}"

    def test_a_wrong_password_is_forbidden(self, port: int, name: str) -> None:
        with (
            closing(opened(port, name, login=variables(port, PASSWORD="wrong"))) as store,
            pytest.raises(Forbidden, match="check user, password"),
        ):
            listed(store)

    def test_who_has_logged_in_elsewhere_brings_the_token(self, port: int, name: str, service: Service) -> None:
        known = {"SWIFT_PREAUTHURL": service.url, "SWIFT_PREAUTHTOKEN": service.token}
        with closing(opened(port, name, login=known)) as store:
            assert listed(store) == {}
        with (
            closing(opened(port, name, login={**known, "SWIFT_PREAUTHTOKEN": "old"})) as store,
            pytest.raises(Forbidden),
        ):
            listed(store)

    def test_an_expired_token_is_replaced(self, store: SwiftStore, files: Files) -> None:
        put(store, files, "a", b"content")
        store._session._account = Account(store._session.connect().account.url, "expired")
        store._connections._close_idle()
        with pytest.raises(Unavailable, match="expired"):
            store.stat(key("a"))
        assert store.stat(key("a")).size == 7

    @pytest.mark.parametrize(
        ("url", "known", "missing"),
        [
            ("swift://c", {"SWIFT_USERNAME": "u", "SWIFT_PREAUTHURL": "x"}, "SWIFT_PASSWORD, SWIFT_AUTHURL"),
            ("pca://c", {}, "PCA_USERNAME, PCA_PASSWORD, PCA_AUTHURL"),
            ("cf+http://c", {"CLOUDFILES_USERNAME": "u"}, "CLOUDFILES_APIKEY"),
        ],
    )
    def test_what_is_missing_is_named(self, url: str, known: dict[str, str], missing: str) -> None:
        with pytest.raises(Forbidden, match=f"set {missing} in"):
            login_of(StorageUrl.parse(url), known)

    def test_only_version_3_looks_at_domains_and_projects(self) -> None:
        known = variables(1, TENANTNAME="t", REGIONNAME="r", USER_DOMAIN_NAME="d", PROJECT_ID="p", ENDPOINT_TYPE="e")
        second = login_of(URL, {**known, "SWIFT_AUTHVERSION": "2"})
        third = login_of(URL, {**known, "SWIFT_AUTHVERSION": "3"})
        assert second.options == {"tenant_name": "t", "region_name": "r"}
        assert third.options == {**second.options, "user_domain_name": "d", "project_id": "p", "endpoint_type": "e"}

    def test_cloud_files_is_swift_with_a_login_of_its_own(self, port: int, name: str) -> None:
        login = {"CLOUDFILES_USERNAME": swift.USER, "CLOUDFILES_APIKEY": swift.KEY}
        known = {**login, "CLOUDFILES_AUTHURL": swift.auth_url(port)}
        url = StorageUrl.parse(f"cf+http://{name}")
        with closing(SwiftStore.from_url(url, StoreSettings(environment=known))) as store:
            assert listed(store) == {}
        assert login_of(url, login).address.startswith("https://")
        with pytest.raises(InvalidUrl, match="CLOUDFILES_REGION"):
            login_of(url, {**known, "CLOUDFILES_REGION": "LON"})


class TestContainer:
    def test_it_is_made_with_the_policy_that_was_asked_for(self, port: int, name: str, files: Files) -> None:
        with (
            closing(opened(port, name, swift_storage_policy="no such policy")) as store,
            pytest.raises(StorageError, match="HTTP 400"),
        ):
            put(store, files, "a", b"content")
        with closing(opened(port, name, swift_storage_policy="Policy-0")) as store:
            put(store, files, "a", b"content")

    def test_one_that_is_there_is_taken_whatever_its_policy(
        self, port: int, store: SwiftStore, name: str, files: Files
    ) -> None:
        put(store, files, "a", b"content")
        with closing(opened(port, name, swift_storage_policy="no such policy")) as other:
            put(other, files, "b", b"content")
            assert listed(other) == {"a": 7, "b": 7}

    def test_what_lies_deeper_is_not_listed(self, port: int, name: str, files: Files) -> None:
        with closing(opened(port, name)) as above, closing(opened(port, f"{name}/below")) as below:
            put(above, files, "a", b"content")
            put(below, files, "b", b"content")
            assert listed(above) == {"a": 7}
            assert listed(below) == {"b": 7}

    def test_one_that_disappears_is_not_an_empty_one(
        self, store: SwiftStore, service: Service, name: str, files: Files
    ) -> None:
        put(store, files, "a", b"content")
        swiftclient.delete_object(service.url, service.token, name, "a")
        swiftclient.delete_container(service.url, service.token, name)
        for ask in (lambda: listed(store), lambda: store.delete(key("a")), lambda: put(store, files, "a", b"x")):
            with pytest.raises(NoPlace):
                ask()

    def test_a_quota_tells_the_free_space_and_is_no_space(
        self, store: SwiftStore, service: Service, name: str, files: Files
    ) -> None:
        put(store, files, "a", b"content")
        assert store.free_bytes() is None
        swiftclient.post_container(service.url, service.token, name, {"X-Container-Meta-Quota-Bytes": "1000"})
        assert store.free_bytes() == 993
        with pytest.raises(NoSpace, match="quota"):
            put(store, files, "b", bytes(2000))


class TestLargeObjects:
    @pytest.fixture
    def store(self, port: int, name: str) -> Iterator[SwiftStore]:
        with closing(opened(port, f"{name}/daily", mp_segment_size_bytes=MIB)) as store:
            yield store

    def test_a_large_one_arrives_in_segments_and_leaves_none_behind(
        self, store: SwiftStore, service: Service, name: str, files: Files
    ) -> None:
        content, sent = os.urandom(LARGE), list[int]()
        stored = store.put(key("a"), files.source(content), sent=sent.append)
        assert sent == [MIB, MIB, MIB, LARGE - 3 * MIB]
        assert stored == store.stat(key("a"))
        assert listed(store) == {"a": LARGE}
        assert files.fetched(store, "a") == content
        assert store.read_range(key("a"), MIB - 2, 4) == content[MIB - 2 : MIB + 2]
        assert [path[:12] for path in service.names(f"{name}_segments")] == ["daily/a/slo/"] * 4
        store.put(key("a"), files.source(content[:-1]))
        assert len(service.names(f"{name}_segments")) == 4
        put(store, files, "b", b"content")
        assert len(list(store.delete_many([key("a"), key("b")]))) == 2
        assert service.names(name) == service.names(f"{name}_segments") == []

    def test_an_interrupted_one_leaves_the_old_one_whole_and_no_segments(
        self, store: SwiftStore, service: Service, name: str, files: Files
    ) -> None:
        content = os.urandom(LARGE)
        store.put(key("a"), files.source(content))
        with pytest.raises(Interruption):
            store.put(key("a"), files.source(bytes(LARGE)), sent=interrupt)
        assert files.fetched(store, "a") == content
        assert len(service.names(f"{name}_segments")) == 4

    def test_the_older_kind_is_read_and_deleted_but_not_what_others_put_there(
        self, store: SwiftStore, service: Service, name: str, files: Files
    ) -> None:
        put(store, files, "b", b"content")
        swiftclient.put_container(service.url, service.token, f"{name}_segments")
        for path, content in (("daily/a/1/0", b"one"), ("daily/a/1/1", b"two"), ("daily/ab", b"others'")):
            swiftclient.put_object(service.url, service.token, f"{name}_segments", path, content)
        headers = {"X-Object-Manifest": f"{name}_segments/daily/a"}
        swiftclient.put_object(service.url, service.token, name, "daily/a", b"", headers=headers)
        assert listed(store) == {"a": 13, "b": 7}
        store.delete(key("a"))
        assert service.names(f"{name}_segments") == ["daily/ab"]

    def test_a_service_without_them_is_not_believed(
        self, store: SwiftStore, service: Service, name: str, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = swiftclient.put_object
        monkeypatch.setattr(swiftclient, "put_object", lambda *a, **k: real(*a, **{**k, "query_string": None}))
        with pytest.raises(Unsupported, match="--mp-segment-size"):
            store.put(key("a"), files.source(bytes(LARGE)))
        assert service.names(name) == service.names(f"{name}_segments") == []


class TestColdStorage:
    @pytest.fixture
    def store(self, port: int, name: str) -> Iterator[PcaStore]:
        with closing(archive(port, f"cold{name}")) as store:
            yield store

    def test_reading_asks_for_the_file_and_says_when_it_will_be_there(self, store: PcaStore, files: Files) -> None:
        put(store, files, "a", b"content")
        assert store.stat(key("a")).warmth is Warmth.COLD
        with pytest.raises(NeedsWarmUp, match="asked for") as caught:
            files.fetched(store, "a")
        assert caught.value.ready_at == swift.WHEN + swift.WAIT
        assert store.stat(key("a")).warmth is Warmth.WARMING

    def test_what_is_asked_for_becomes_warm(self, store: PcaStore, files: Files) -> None:
        put(store, files, "a", b"content")
        warming = store.warm_up([key("a")])
        assert (warming.coming, warming.ready_at) == ((key("a"),), swift.WHEN + swift.WAIT)
        assert store.warm_up([key("a")]).warm == (key("a"),)
        assert files.fetched(store, "a") == b"content"


@pytest.fixture
def proxy(port: int) -> Iterator[Proxy]:
    with proxied(port) as found:
        yield found


class TestBadNetwork:
    """The login is made beside the proxy: its weather hits the transfers."""

    @pytest.fixture
    def login(self, proxy: Proxy, service: Service) -> dict[str, str]:
        url = service.url.replace(service.url.split("/")[2], f"{HOST}:{proxy.port}")
        return {"SWIFT_PREAUTHURL": url, "SWIFT_PREAUTHTOKEN": service.token}

    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT, Fault.STALL])
    def test_a_broken_put_leaves_the_old_file_and_can_be_repeated(
        self, port: int, proxy: Proxy, store: SwiftStore, login: dict[str, str], name: str, files: Files, fault: Fault
    ) -> None:
        put(store, files, "a", b"old")
        proxy.weather.fault, proxy.weather.times = fault, 1
        with closing(opened(port, name, login=login, timeout=1.0)) as broken:
            with pytest.raises(Unavailable):
                put(broken, files, "a", bytes(LARGE))
            assert files.fetched(store, "a") == b"old"
            put(broken, files, "a", bytes(LARGE))
        assert listed(store) == {"a": LARGE}

    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT, Fault.STALL])
    def test_a_broken_get_leaves_no_target(
        self, port: int, proxy: Proxy, store: SwiftStore, login: dict[str, str], name: str, files: Files, fault: Fault
    ) -> None:
        put(store, files, "a", bytes(LARGE))
        proxy.weather.fault, proxy.weather.times = fault, 1
        with closing(opened(port, name, login=login, timeout=1.0)) as broken:
            before = files.names()
            with pytest.raises(Unavailable):
                broken.get(key("a"), files.target())
            assert files.names() == before
            assert files.fetched(broken, "a") == bytes(LARGE)

    def test_a_busy_service_says_when_to_come_again(
        self, port: int, proxy: Proxy, login: dict[str, str], name: str
    ) -> None:
        proxy.weather.fault, proxy.weather.retry_after = Fault.BUSY, "7"
        with closing(opened(port, name, login=login)) as store, pytest.raises(Unavailable) as caught:
            listed(store)
        assert caught.value.retry_after == 7

    @pytest.mark.parametrize("version", ["1", "2", "3"])
    def test_nobody_there_is_worth_another_try_whoever_logs_in(self, name: str, version: str) -> None:
        nobody = free_ports(1)[0]
        known = variables(nobody, AUTHURL=f"http://{HOST}:{nobody}", AUTHVERSION=version, TENANTNAME="t")
        with closing(opened(nobody, name, login=known)) as store, pytest.raises(Unavailable, match="refused"):
            listed(store)

    def test_an_address_that_is_none_is_not_tried_again(self, name: str) -> None:
        with (
            closing(opened(1, name, login=variables(1, AUTHURL="auth.example.org"))) as store,
            pytest.raises(StorageError) as caught,
        ):
            listed(store)
        assert not isinstance(caught.value, Unavailable)

    @pytest.mark.parametrize("version", ["1", "3"])
    def test_an_unknown_certificate_is_not_trusted(self, name: str, tmp_path: Path, version: str) -> None:
        made = make_certificate(tmp_path)
        server = socket.create_server((HOST, 0))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(made.both)
        known = variables(1, AUTHURL=f"https://{HOST}:{server.getsockname()[1]}", AUTHVERSION=version)
        with context.wrap_socket(server, server_side=True) as listening:
            refused = spawn(partial(refusal, listening), name="refuse")
            with closing(opened(1, name, login=known)) as store, pytest.raises(Untrusted, match="--ssl-cacert-file"):
                listed(store)
            refused.join()


def refusal(listening: ssl.SSLSocket) -> None:
    """Waits for a client who does not trust us."""
    with pytest.raises(ssl.SSLError):
        listening.accept()

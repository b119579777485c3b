"""The B2 driver beside b2sdk's simulator, spoken to by HTTP: the conformance suite, versions, large files, trouble."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.servers.b2 import PART, Service, b2_service
from tests.servers.process import HOST, free_ports
from tests.servers.proxy import Fault, Proxy, proxied
from twofold.errors import Forbidden, Incomplete, NoPlace, NotFound, Unavailable, Unsupported
from twofold.storage.drivers.b2.session import keys_of
from twofold.storage.drivers.b2.store import B2Store
from twofold.storage.parts import Piece
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.store import Store
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import LARGE, Files, Interruption, interrupt, key, listed, put
from twofold.storage.url import StorageUrl

BUCKET = "backups"
MANY = 11 * PART + 17  # more than is sent in one piece


def opened(
    service: Service, place: str, *, port: int = 0, secret: str = "", timeout: float = 20.0, **options: Any
) -> B2Store:
    settings = StoreSettings(
        environment={"B2_ENVIRONMENT": f"http://{HOST}:{port or service.port}"},
        password=secret or service.key,
        timeout=timeout,
        options=ServiceOptions(**options),
    )
    return B2Store.from_url(StorageUrl.parse(f"b2://{service.key_id}@{place}"), settings)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with b2_service() as found:
        yield found


@pytest.fixture
def place() -> str:
    return f"{BUCKET}/{uuid.uuid4()}/daily"


@pytest.fixture
def store(service: Service, place: str) -> Iterator[B2Store]:
    with closing(opened(service, place)) as store:
        yield store


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local files")


class TestB2(StoreConformance):
    unspeakable = frozenset({"n" * 255, "ü" * 127})  # B2 takes 250 bytes

    @pytest.fixture
    def place(self, service: Service) -> Callable[[], Store]:
        folder = uuid.uuid4()
        return lambda: opened(service, f"{BUCKET}/{folder}/daily")


class TestLogin:
    @pytest.mark.parametrize(
        ("url", "password", "variables", "expected"),
        [
            ("b2://id:key@bucket/folder", "key", {}, ("id", "key", "production")),
            ("b2://id@bucket", "other", {"B2_APPLICATION_KEY": "no"}, ("id", "other", "production")),
            ("b2://bucket", None, {"B2_APPLICATION_KEY_ID": "a", "B2_APPLICATION_KEY": "b"}, ("a", "b", "production")),
            ("b2://id@bucket", "key", {"B2_ENVIRONMENT": "https://x.example"}, ("id", "key", "https://x.example")),
        ],
    )
    def test_keys_come_from_the_url_or_from_the_environment(
        self, url: str, password: str | None, variables: dict[str, str], expected: tuple[str, ...]
    ) -> None:
        found = keys_of(StorageUrl.parse(url), StoreSettings(environment=variables, password=password))
        assert (found.key_id, found.key, found.realm) == expected
        assert found.key not in repr(found).replace(found.key_id, "")

    @pytest.mark.parametrize(("url", "named"), [("b2://id@bucket", "BACKEND_PASSWORD"), ("b2://bucket", "B2_APPLIC")])
    def test_without_a_key_it_says_what_to_set(self, url: str, named: str) -> None:
        with pytest.raises(Forbidden, match=named):
            B2Store.from_url(StorageUrl.parse(url), StoreSettings())

    def test_a_wrong_key_is_forbidden_and_not_shown(self, service: Service, place: str) -> None:
        with closing(opened(service, place, secret="wrong secret")) as store:
            with pytest.raises(Forbidden, match="check the key") as caught:
                listed(store)
            assert "wrong secret" not in f"{caught.value!r} {store._bucket._keys!r}"

    def test_an_expired_token_is_replaced_unseen(self, service: Service, store: B2Store, files: Files) -> None:
        put(store, files, "a", b"content")
        service.simulator.expire_auth_token(store._session.account_info.get_account_auth_token())
        assert listed(store) == {"a": 7}

    def test_a_key_for_one_bucket_needs_no_right_to_list_them(
        self, service: Service, store: B2Store, files: Files
    ) -> None:
        put(store, files, "a", b"content")
        narrow = service.with_rights("listFiles", "readFiles", bucket=store._bucket.identity())
        with closing(opened(narrow, store._place.removeprefix("b2://"))) as reader:
            assert listed(reader) == {"a": 7}
            with pytest.raises(Forbidden):
                put(reader, files, "b", b"content")
        with closing(opened(narrow, "another-bucket")) as elsewhere, pytest.raises(Forbidden, match=BUCKET):
            listed(elsewhere)


class TestBucket:
    def test_one_that_is_absent_is_made_by_the_first_put_and_not_by_asking(
        self, service: Service, files: Files
    ) -> None:
        bucket = f"b-{uuid.uuid4()}"
        with closing(opened(service, bucket)) as store:
            assert listed(store) == {}
            for ask in (lambda: store.stat(key("a")), lambda: files.fetched(store, "a")):
                with pytest.raises(NotFound):
                    ask()
            with pytest.raises(NoPlace, match=bucket):
                store.stat(key("a"))
            assert bucket not in service.simulator.bucket_name_to_bucket
            put(store, files, "a", b"content")
            assert service.simulator.bucket_name_to_bucket[bucket].bucket_type == "allPrivate"

    def test_folders_below_are_passed_over(self, service: Service, place: str, store: B2Store, files: Files) -> None:
        with closing(opened(service, f"{place}/a folder")) as below:
            for name in "abc":
                put(below, files, name, b"content")
        put(store, files, "a file", b"content")
        put(store, files, "a folder0", b"content")
        assert listed(store) == {"a file": 7, "a folder0": 7}


class TestVersions:
    def test_deleting_takes_the_older_ones_too(self, service: Service, store: B2Store, files: Files) -> None:
        for content in (b"one", b"second", b"third one"):
            put(store, files, "a", content)
        put(store, files, "ab", b"another")
        assert len(versions(service, store)) == 4
        store.delete(key("a"))
        assert versions(service, store) == [("ab", "upload")]

    def test_hiding_deletes_nothing(self, service: Service, place: str, store: B2Store, files: Files) -> None:
        put(store, files, "a", b"content")
        with closing(opened(service, place, b2_hide_files=True)) as hiding:
            hiding.delete(key("a"))
        assert listed(store) == {}
        with pytest.raises(NotFound):
            store.stat(key("a"))
        store.delete(key("a"))
        assert versions(service, store) == [("a", "hide"), ("a", "upload")]
        put(store, files, "a", b"again")
        assert files.fetched(store, "a") == b"again"
        store.delete(key("a"))
        assert versions(service, store) == [("a", "hide"), ("a", "upload")]


def versions(service: Service, store: B2Store) -> list[tuple[str, str]]:
    """Names and what was done, newest first, of all that the store's folder has or had."""
    bucket = service.simulator.bucket_name_to_bucket[BUCKET]
    rows = bucket.list_file_versions(service.simulator.current_token, store._prefix, None, 1000, store._prefix)["files"]
    return [(row["fileName"].removeprefix(store._prefix), row["action"]) for row in rows]


class TestLargeFiles:
    def test_one_in_parts_arrives_whole(self, store: B2Store, files: Files) -> None:
        content, sent = os.urandom(MANY), list[int]()
        stored = store.put(key("a"), files.source(content), sent=sent.append)
        assert sent == [PART] * 11 + [17]
        assert stored == store.stat(key("a"))
        assert files.fetched(store, "a") == content

    def test_an_interrupted_one_leaves_nothing_and_a_killed_one_goes_with_the_next(
        self, service: Service, store: B2Store, files: Files
    ) -> None:
        source, bucket = files.source(bytes(MANY)), store._bucket.made()
        left = store._session.start_large_file(bucket, f"{store._prefix}a", "x", {})["fileId"]
        others = store._session.start_large_file(bucket, f"{store._prefix}ab", "x", {})["fileId"]
        with pytest.raises(Interruption):
            store.put(key("a"), source, sent=interrupt)
        assert listed(store) == {}
        found = store._session.list_unfinished_large_files(bucket, prefix=store._prefix)["files"]
        assert [row["fileId"] for row in found] == [others] != [left]


class TestTrouble:
    def test_what_arrives_with_another_hash_is_incomplete(
        self, store: B2Store, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Piece, "digest", lambda *_: bytes(20))
        with pytest.raises(Incomplete, match="Checksum"):
            put(store, files, "a", b"content")
        assert listed(store) == {}

    def test_a_name_that_is_too_long_is_unsupported(self, store: B2Store, files: Files) -> None:
        with pytest.raises(Unsupported, match="250 bytes"):
            put(store, files, "n" * 251, b"content")

    def test_nobody_there_is_worth_another_try(self, service: Service, place: str) -> None:
        with (
            closing(opened(service, place, port=free_ports(1)[0])) as store,
            pytest.raises(Unavailable, match="refused"),
        ):
            listed(store)


@pytest.fixture
def proxy(service: Service) -> Iterator[Proxy]:
    with proxied(service.port) as found:
        yield found


class TestBadNetwork:
    @pytest.fixture
    def broken(self, service: Service, proxy: Proxy, place: str, files: Files) -> Iterator[B2Store]:
        """Logged in, with the old file there, and no connection open."""
        with closing(opened(service, place, port=proxy.port, timeout=1.0)) as store:
            put(store, files, "a", b"old")
            proxy.drop_connections()
            yield store

    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT, Fault.STALL])
    def test_a_broken_put_leaves_the_old_file_and_can_be_repeated(
        self, proxy: Proxy, broken: B2Store, store: B2Store, files: Files, fault: Fault
    ) -> None:
        proxy.weather.fault, proxy.weather.times = fault, 1
        with pytest.raises(Unavailable):
            put(broken, files, "a", bytes(LARGE))
        assert files.fetched(store, "a") == b"old"
        put(broken, files, "a", bytes(LARGE))
        assert listed(store) == {"a": LARGE}

    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT, Fault.STALL])
    def test_a_broken_get_leaves_no_target(
        self, proxy: Proxy, broken: B2Store, store: B2Store, files: Files, fault: Fault
    ) -> None:
        put(store, files, "a", bytes(LARGE))
        proxy.weather.fault, proxy.weather.times = fault, 1
        before = files.names()
        with pytest.raises(Unavailable):
            broken.get(key("a"), files.target())
        assert files.names() == before
        assert files.fetched(broken, "a") == bytes(LARGE)

    def test_a_busy_service_is_asked_once_and_says_when_to_come_again(self, proxy: Proxy, broken: B2Store) -> None:
        before = proxy.weather.connections
        proxy.weather.fault, proxy.weather.retry_after = Fault.BUSY, "7"
        with pytest.raises(Unavailable) as caught:
            listed(broken)
        assert (caught.value.retry_after, proxy.weather.connections) == (7, before + 1)

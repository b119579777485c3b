"""The driver of Google Cloud Storage beside fake-gcs-server, and what the S3 driver sends to the same service."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from botocore.awsrequest import AWSResponse
from google.api_core import exceptions as google
from google.auth.exceptions import DefaultCredentialsError, TransportError
from google.cloud.storage.exceptions import DataCorruption

from tests.servers import gcs
from tests.servers.process import HOST, Running, free_ports
from tests.servers.proxy import Fault, Proxy, proxied
from twofold.errors import (
    Forbidden,
    Incomplete,
    InvalidUrl,
    NoPlace,
    NotFound,
    Retained,
    StorageError,
    Unavailable,
    Untrusted,
)
from twofold.model.value import replace
from twofold.storage.drivers.gcs.faults import translated
from twofold.storage.drivers.gcs.store import GcsStore, connect
from twofold.storage.drivers.s3.store import S3Store
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.store import DigestName, Operation, Store
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import LARGE, Files, Interruption, interrupt, key, listed, put
from twofold.storage.url import StorageUrl

BUCKET = "backups"
MIB = 1 << 20
PARTS = 20 * MIB  # two of them


def settings_for(port: int, *, scheme: str = "http", **options: object) -> StoreSettings:
    variables = {"STORAGE_EMULATOR_HOST": f"{scheme}://{HOST}:{port}"}
    return StoreSettings(environment=variables, timeout=10.0, options=replace(ServiceOptions(), **options))


def open_store(settings: StoreSettings, folder: str, bucket: str = BUCKET) -> GcsStore:
    return GcsStore.from_url(StorageUrl.parse(f"gs://{bucket}/{folder}"), settings)


@pytest.fixture(scope="module")
def two_doors() -> Iterator[Running]:
    with gcs.fake_gcs() as running:
        connect(settings_for(running.port)).create_bucket(BUCKET, project="any")
        yield running


@pytest.fixture(scope="module")
def server(two_doors: Running) -> int:
    return two_doors.port


@pytest.fixture
def folder() -> str:
    return f"place/{uuid.uuid4()}"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local")


@pytest.fixture
def proxy(server: int) -> Iterator[Proxy]:
    with proxied(server) as found:
        yield found


class TestGcsOnFakeGcs(StoreConformance):
    @pytest.fixture
    def place(self, server: int, folder: str) -> Callable[[], Store]:
        return lambda: open_store(settings_for(server), folder)


class TestFiles:
    @pytest.fixture
    def store(self, server: int, folder: str) -> Iterator[GcsStore]:
        opened = open_store(settings_for(server), folder)
        yield opened
        opened.close()

    def test_a_file_in_parts_arrives_whole(self, store: GcsStore, files: Files) -> None:
        content = os.urandom(PARTS)
        sent: list[int] = []
        assert store.put(key("a"), files.source(content), sent=sent.append).size == PARTS
        assert max(sent) <= 16 * MIB
        assert files.fetched(store, "a") == content

    def test_an_interrupted_one_is_not_seen(self, store: GcsStore, files: Files) -> None:
        with pytest.raises(Interruption):
            store.put(key("a"), files.source(bytes(PARTS)), sent=interrupt)
        assert listed(store) == {}

    def test_nothing_else_is_asked_for_behind_our_back(self, proxy: Proxy, folder: str, files: Files) -> None:
        """The library would look up the bucket, in a thread of its own: no right of ours, and no business of its."""
        store = open_store(settings_for(proxy.port), folder)
        put(store, files, "a", b"content")
        store.stat(key("a"))
        assert proxy.weather.connections == 1

    def test_hashes_are_told(self, store: GcsStore, files: Files) -> None:
        found = store.put(key("a"), files.source(b"content"))
        assert [*store.list()] == [store.stat(key("a"))] == [found]
        assert [digest.name for digest in found.digests] == [DigestName.MD5, DigestName.CRC32C]

    @pytest.mark.parametrize("url", ["gs:///{bucket}/{folder}/", "gs://{bucket}//{folder}"])
    def test_slashes_more_or_less_mean_the_same_place(
        self, store: GcsStore, files: Files, folder: str, server: int, url: str
    ) -> None:
        put(store, files, "a", b"content")
        there = StorageUrl.parse(url.format(bucket=BUCKET, folder=folder))
        assert listed(GcsStore.from_url(there, settings_for(server))) == {"a": 7}


class TestTrouble:
    def test_a_missing_bucket_is_no_empty_place(self, server: int, files: Files) -> None:
        store = open_store(settings_for(server), "place", bucket="nowhere")
        with pytest.raises(NoPlace, match="make the bucket first"):
            listed(store)
        with pytest.raises(NoPlace, match="make the bucket first"):
            put(store, files, "a", b"")

    def test_nobody_there_is_worth_another_try(self, folder: str) -> None:
        with pytest.raises(Unavailable):
            listed(open_store(settings_for(free_ports(1)[0]), folder))

    def test_without_an_account_the_message_says_what_to_set(
        self, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        monkeypatch.setenv("NO_GCE_CHECK", "true")
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        with pytest.raises(Forbidden, match="GOOGLE_APPLICATION_CREDENTIALS"):
            listed(open_store(StoreSettings(), folder))

    @pytest.mark.parametrize("content", [None, b"\xff", b"{}", b"[]"])
    def test_an_account_that_cannot_be_read_is_no_trouble_of_the_network(
        self, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
    ) -> None:
        path = tmp_path / "account"
        path.mkdir() if content is None else path.write_bytes(content)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        with pytest.raises(Forbidden, match="GOOGLE_APPLICATION_CREDENTIALS"):
            listed(open_store(StoreSettings(), folder))

    def test_an_emulator_without_an_address_is_no_trouble_of_the_network(self, folder: str) -> None:
        settings = StoreSettings(environment={"STORAGE_EMULATOR_HOST": f"{HOST}:1"})
        with pytest.raises(StorageError, match="begins with http://") as caught:
            listed(open_store(settings, folder))
        assert not isinstance(caught.value, Unavailable)

    def test_a_place_without_a_bucket_is_refused(self) -> None:
        with pytest.raises(InvalidUrl):
            GcsStore.from_url(StorageUrl.parse("gs:///"), StoreSettings())

    def test_certificates_are_verified(self, two_doors: Running, folder: str) -> None:
        port = two_doors.ports[1]
        with pytest.raises(Untrusted, match="--ssl-cacert-file"):
            listed(open_store(settings_for(port, scheme="https"), folder))
        known = str(two_doors.folder.parent / "cert.pem")
        for options in ({"ssl_cacert_file": known}, {"ssl_no_check_certificate": True}):
            assert listed(open_store(settings_for(port, scheme="https", **options), folder)) == {}

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (requests.exceptions.SSLError("self-signed"), Untrusted),
            (DefaultCredentialsError("no account"), Forbidden),
            (TransportError("no way to the tokens"), Unavailable),
            (DataCorruption(None, "other hash"), Incomplete),
            (google.RetryError("in vain", google.Forbidden("no")), Forbidden),
            (google.RetryError("in vain", requests.exceptions.ConnectionError("gone")), Unavailable),
            (google.TooManyRequests("slowly"), Unavailable),
        ],
    )
    def test_errors_without_a_body(self, error: Exception, kind: type[StorageError]) -> None:
        assert type(translated(error, operation=Operation.GET, name="a", place="gs://b")) is kind

    @pytest.mark.parametrize(
        ("status", "reason", "message", "kind"),
        [
            (403, "retentionPolicyNotMet", "Object is subject to a retention policy", Retained),
            (403, "rateLimitExceeded", "Slow down", Unavailable),
            (403, "forbidden", "No access", Forbidden),
            (404, "notFound", "The specified bucket does not exist.", NoPlace),
            (404, "notFound", "No such object", NotFound),
        ],
    )
    def test_answers_mean_what_google_says_they_do(
        self, status: int, reason: str, message: str, kind: type[StorageError]
    ) -> None:
        class Answer(requests.Response):
            def json(self, **_options: Any) -> Any:
                return {"error": {"code": status, "message": message, "errors": [{"reason": reason}]}}

        error = google.from_http_status(status, "GET https://x: {...}", response=Answer())
        found = translated(error, operation=Operation.DELETE, name="a", place="gs://b")
        assert type(found) is kind
        assert f"delete of a failed at gs://b: {message.removesuffix('.')}" in str(found)


class TestBadNetwork:
    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT, Fault.STALL])
    def test_a_broken_put_leaves_nothing_and_can_be_repeated(
        self, proxy: Proxy, folder: str, files: Files, fault: Fault
    ) -> None:
        store = open_store(replace(settings_for(proxy.port), timeout=1.0), folder)
        proxy.weather.fault, proxy.weather.times = fault, 1
        source = files.source(bytes(LARGE))
        with pytest.raises(Unavailable):
            store.put(key("a"), source)
        with pytest.raises(NotFound):
            store.stat(key("a"))
        assert store.put(key("a"), source).size == LARGE

    def test_a_part_that_breaks_off_is_sent_again(
        self, proxy: Proxy, folder: str, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("google.api_core.retry.retry_unary.time.sleep", lambda _seconds: None)
        store = open_store(settings_for(proxy.port), folder)
        proxy.weather.fault, proxy.weather.times = Fault.RESET, 1
        content = os.urandom(PARTS)
        put(store, files, "a", content)
        assert proxy.weather.hits == 1
        assert files.fetched(store, "a") == content

    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT, Fault.STALL])
    def test_a_broken_get_leaves_no_target(self, proxy: Proxy, folder: str, files: Files, fault: Fault) -> None:
        put(open_store(settings_for(proxy.port), folder), files, "a", bytes(LARGE))
        store = open_store(replace(settings_for(proxy.port), timeout=1.0), folder)
        proxy.weather.fault, proxy.weather.times = fault, 1
        before = files.names()
        with pytest.raises(Unavailable):
            store.get(key("a"), files.target())
        assert files.names() == before

    def test_a_service_that_asks_for_a_pause_says_how_long(self, proxy: Proxy, folder: str) -> None:
        proxy.weather.fault, proxy.weather.retry_after = Fault.BUSY, "7"
        with pytest.raises(Unavailable) as caught:
            listed(open_store(settings_for(proxy.port), folder))
        assert caught.value.retry_after == 7


class TestByItsS3Door:
    """How duplicity reaches Google: s3:///bucket --s3-endpoint-url https://storage.googleapis.com."""

    def test_nothing_is_sent_that_google_refuses(self, files: Files) -> None:
        """It takes neither the signed pieces nor the checksums that the library adds for Amazon of its own accord."""
        options = ServiceOptions(s3_endpoint_url="https://storage.googleapis.com", s3_region_name="auto")
        keys = {"AWS_ACCESS_KEY_ID": "GOOG1E", "AWS_SECRET_ACCESS_KEY": "x"}
        store = S3Store.from_url(
            StorageUrl.parse("s3:///bucket/place"), StoreSettings(environment=keys, options=options)
        )
        seen: list[dict[str, str]] = []

        def answer(request: Any, **_more: object) -> AWSResponse:
            seen.append({name.lower(): str(value) for name, value in request.headers.items()})
            headers = {"ETag": '"5"', "Content-Length": "7", "Last-Modified": "Sun, 22 Nov 2026 04:46:30 GMT"}
            return AWSResponse(request.url, 200, headers, SimpleNamespace(stream=lambda: iter(())))

        store._client.meta.events.register("before-send.s3", answer)
        assert store.put(key("a"), files.source(b"content")).size == 7
        sent = seen[0]
        assert "content-md5" in sent
        assert "aws-chunked" not in sent.get("content-encoding", "")
        assert [name for name in sent if name.startswith(("x-amz-checksum", "x-amz-trailer", "x-amz-sdk-check"))] == []

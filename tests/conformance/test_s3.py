"""The S3 driver beside three servers: one that checks everything, one with cold storage, one that knows little."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.servers import s3, swift
from tests.servers.process import HOST, Running, free_ports
from tests.servers.proxy import Fault, Proxy, proxied
from twofold.concurrency import spawn
from twofold.errors import (
    Forbidden,
    Incomplete,
    InvalidUrl,
    NeedsWarmUp,
    NoPlace,
    NotFound,
    StorageError,
    Unavailable,
    Unsupported,
)
from twofold.model.backup import FileRole
from twofold.model.value import replace
from twofold.storage.drivers.s3.store import S3Store, connection
from twofold.storage.drivers.s3.wishes import storage_class
from twofold.storage.parts import parts_of
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.store import Key, RetainMode, Store, Warmth
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import LARGE, Files, Interruption, interrupt, key, listed, put
from twofold.storage.url import StorageUrl

BUCKET = "backups"
MIB = 1 << 20
KEYS = {"AWS_ACCESS_KEY_ID": s3.KEY, "AWS_SECRET_ACCESS_KEY": s3.SECRET}
SWIFTS = {"AWS_ACCESS_KEY_ID": swift.USER, "AWS_SECRET_ACCESS_KEY": swift.KEY}
PARTS = 6 * MIB  # more than the smallest part of a file sent in parts


def settings_for(port: int, **options: object) -> StoreSettings:
    chosen = replace(ServiceOptions(s3_endpoint_url=f"http://{HOST}:{port}", s3_region_name=s3.REGION), **options)
    return StoreSettings(environment=KEYS, timeout=10.0, options=chosen)


def open_store(settings: StoreSettings, folder: str, bucket: str = BUCKET) -> S3Store:
    return S3Store.from_url(StorageUrl.parse(f"s3:///{bucket}/{folder}"), settings)


def client_of(port: int, keys: Mapping[str, str] = KEYS) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=f"http://{HOST}:{port}",
        region_name=s3.REGION,
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )


def serving(server: Callable[[], AbstractContextManager[Running]]) -> Iterator[int]:
    with server() as running:
        client_of(running.port).create_bucket(Bucket=BUCKET)
        yield running.port


@pytest.fixture(scope="module", autouse=True)
def quick_sessions() -> Iterator[None]:
    """A session reads the description of the service anew, a fifth of a second: a run has one, these tests hundreds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3.session, "Session", cache(boto3.session.Session))
        yield


@pytest.fixture(scope="module")
def seaweed() -> Iterator[int]:
    yield from serving(s3.seaweedfs)


@pytest.fixture(scope="module")
def moto() -> Iterator[int]:
    yield from serving(s3.moto)


@pytest.fixture(scope="module")
def rclone() -> Iterator[int]:
    yield from serving(s3.rclone_s3)


@pytest.fixture(scope="module")
def swifts(swift_port: int) -> int:
    client_of(swift_port, SWIFTS).create_bucket(Bucket=BUCKET)
    return swift_port


@pytest.fixture
def folder() -> str:
    return f"place/{uuid.uuid4()}"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local")


class TestS3OnSeaweed(StoreConformance):
    unspeakable = frozenset({"back\\slash"})

    @pytest.fixture
    def place(self, seaweed: int, folder: str) -> Callable[[], Store]:
        return lambda: open_store(settings_for(seaweed), folder)


class TestS3OnMoto(StoreConformance):
    @pytest.fixture
    def place(self, moto: int, folder: str) -> Callable[[], Store]:
        return lambda: open_store(settings_for(moto), folder)


class TestS3OnRclone(StoreConformance):
    @pytest.fixture
    def place(self, rclone: int, folder: str) -> Callable[[], Store]:
        return lambda: open_store(settings_for(rclone), folder)

    @pytest.mark.parametrize("content", [b""])
    def test_only_the_first_creation_succeeds(self, store: Store, files: Files, content: bytes) -> None:
        """It says that all is well and writes over the file: that is found out."""
        with pytest.raises(Unsupported, match="takes no notice of conditions"):
            store.create(key("lock"), content)
        assert listed(store) == {}

    def test_of_many_creators_one_wins(self) -> None:
        pytest.skip("this server takes no notice of conditions")

    def test_a_reader_never_sees_half_a_replacement(self, store: Store, files: Files) -> None:
        """It replaces files while they are read: that is an error worth another try, never a mixed file."""
        contents = [b"a" * 300_000, b"b" * 200_000]
        sources = [files.source(content) for content in contents]
        store.put(key("a"), sources[0])
        task = spawn(lambda: [store.put(key("a"), sources[number % 2]) for number in range(20)], name="replace")
        while task.running:
            try:
                assert files.fetched(store, "a") in contents
            except (Unavailable, Incomplete):
                continue
        task.join()


class TestS3OnSwift(StoreConformance):
    """An old imitation: no deletion of several at once without an MD5, no conditions, which it says."""

    @pytest.fixture
    def place(self, swifts: int, folder: str) -> Callable[[], Store]:
        return lambda: open_store(replace(settings_for(swifts), environment=SWIFTS), folder)

    def test_1100_files_are_listed_once_each(self, store: Store, files: Files) -> None:
        """Fewer: the server has been told to make its pages small, and takes its time for each file."""
        swift.list_pages(store, files)

    @pytest.mark.parametrize("content", [b""])
    def test_only_the_first_creation_succeeds(self, store: Store, content: bytes) -> None:
        with pytest.raises(Unsupported):
            store.create(key("lock"), content)
        assert listed(store) == {}

    def test_of_many_creators_one_wins(self) -> None:
        pytest.skip("this server refuses conditions")


class TestLargeFiles:
    @pytest.fixture
    def store(self, seaweed: int, folder: str) -> Iterator[S3Store]:
        opened = open_store(settings_for(seaweed, s3_multipart_chunk_size_bytes=5 * MIB), folder)
        yield opened
        opened.close()

    def test_a_file_in_parts_arrives_whole(self, store: S3Store, files: Files) -> None:
        content = os.urandom(PARTS)
        sent: list[int] = []
        assert store.put(key("a"), files.source(content), sent=sent.append).size == PARTS
        assert sent == [5 * MIB, PARTS - 5 * MIB]
        assert files.fetched(store, "a") == content

    def test_an_interrupted_one_leaves_neither_a_file_nor_parts(
        self, store: S3Store, files: Files, seaweed: int
    ) -> None:
        with pytest.raises(Interruption):
            store.put(key("a"), files.source(bytes(PARTS)), sent=interrupt)
        assert listed(store) == {}
        assert "Uploads" not in client_of(seaweed).list_multipart_uploads(Bucket=BUCKET)

    @pytest.mark.parametrize(
        ("size", "wanted", "count", "largest"),
        [
            (1, 5 * MIB, 1, 1),
            (5 * MIB + 1, 5 * MIB, 2, 5 * MIB),
            (200 * MIB, 20 * MIB, 10, 20 * MIB),
            (10**12, 1, 10_000, 10**8),
        ],
    )
    def test_parts_are_not_too_many(self, size: int, wanted: int, count: int, largest: int) -> None:
        parts = parts_of(size, wanted=wanted, most=10_000)
        assert (len(parts), max(part.size for part in parts)) == (count, largest)
        assert sum(part.size for part in parts) == size
        assert [part.start for part in parts[1:]] == [part.start + part.size for part in parts[:-1]]


class Uploads:
    """A service as far as a sweep knows it, with unfinished uploads on two pages."""

    def __init__(self, names: list[str], headers: dict[str, str]) -> None:
        old = datetime(2026, 1, 1, tzinfo=UTC)
        self._uploads = [{"Key": f"place/{name}", "UploadId": name, "Initiated": old} for name in names]
        self._headers = headers
        self.given_up: list[str] = []

    def get_paginator(self, _name: str) -> Uploads:
        return self

    def paginate(self, **_arguments: str) -> Iterator[dict[str, Any]]:
        for uploads in (self._uploads[:1], self._uploads[1:]):
            yield {"ResponseMetadata": {"HTTPHeaders": self._headers}, "Uploads": uploads}

    def abort_multipart_upload(self, *, UploadId: str, **_arguments: str) -> None:  # noqa: N803 - the library's
        self.given_up.append(UploadId)


class TestSweep:
    OURS = ("prefix-duplicity-full.20260101T000000Z.vol1.difftar.gpg", "duplicity-new-signatures.x.to.y.sigtar")
    OTHERS = ("video.mp4", "my-duplicity-notes.tar", "below/duplicity-full.x")

    @pytest.mark.parametrize(
        ("headers", "given_up"),
        [
            ({"date": "Fri, 09 Jan 2026 00:00:00 GMT"}, OURS),
            ({"date": "Wed, 07 Jan 2026 00:00:00 GMT"}, ()),
            ({"date": "today"}, ()),
            ({}, ()),
        ],
    )
    def test_only_our_own_old_uploads_are_given_up(self, headers: dict[str, str], given_up: tuple[str, ...]) -> None:
        store = open_store(settings_for(1), "place")
        store._made = service = Uploads([*self.OURS, *self.OTHERS], headers)
        store._sweep()
        assert tuple(service.given_up) == given_up


class TestCertificates:
    def test_duplicitys_own_place_counts(self, tmp_path: Path) -> None:
        (tmp_path / "duplicity_cacert.pem").touch()
        settings = StoreSettings(environment={"HOME": str(tmp_path)})
        assert connection(settings)["verify"] == str(tmp_path / "duplicity_cacert.pem")

    def test_a_directory_of_them_is_refused(self) -> None:
        with pytest.raises(InvalidUrl, match="--ssl-cacert-file"):
            connection(settings_for(1, ssl_cacert_path="/certificates"))


class TestColdStorage:
    @pytest.fixture
    def store(self, moto: int, folder: str) -> Iterator[S3Store]:
        opened = open_store(settings_for(moto, s3_use_glacier=True), folder)
        yield opened
        opened.close()

    def test_a_cold_volume_has_to_be_warmed_up_first(self, store: S3Store, files: Files) -> None:
        put(store, files, "a", b"content")
        assert store.stat(key("a")).warmth is Warmth.COLD
        with pytest.raises(NeedsWarmUp):
            files.fetched(store, "a")
        assert store.warm_up([key("a")]).coming == (key("a"),)
        assert store.stat(key("a")).warmth is Warmth.WARM  # this server has no delay
        assert files.fetched(store, "a") == b"content"
        assert store.warm_up([key("a")]).warm == (key("a"),)

    def test_manifests_stay_warm(self, store: S3Store, files: Files) -> None:
        manifest = Key(FileRole.MANIFEST, "m")
        store.put(manifest, files.source(b"content"))
        assert store.stat(manifest).warmth is Warmth.WARM

    @pytest.mark.parametrize(
        ("chosen", "volume", "manifest"),
        [
            ({}, "", ""),
            ({"s3_use_ia": True}, "STANDARD_IA", "STANDARD_IA"),
            ({"s3_use_glacier_ir": True}, "GLACIER_IR", ""),
            ({"s3_use_deep_archive": True, "s3_use_rrs": True}, "REDUCED_REDUNDANCY", "REDUCED_REDUNDANCY"),
        ],
    )
    def test_classes_follow_the_options(self, chosen: dict[str, bool], volume: str, manifest: str) -> None:
        options = ServiceOptions(**chosen)
        assert storage_class(options, FileRole.VOLUME) == volume
        assert storage_class(options, FileRole.MANIFEST) == manifest


class TestRetention:
    def test_what_is_retained_stays_behind_a_deletion(self, moto: int, files: Files) -> None:
        client = client_of(moto)
        client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        store = open_store(settings_for(moto), "place", bucket="locked")
        put(store, files, "a", b"content")
        until = int(store.stat(key("a")).modified or 0) + 86_400
        store.retain(key("a"), until, RetainMode.GOVERNANCE)
        store.delete(key("a"))
        assert listed(store) == {}
        version = client.list_object_versions(Bucket="locked")["Versions"][0]["VersionId"]
        with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
            client.delete_object(Bucket="locked", Key="place/a", VersionId=version)


class TestTrouble:
    def test_a_wrong_key_is_refused(self, seaweed: int, folder: str) -> None:
        settings = replace(
            settings_for(seaweed), environment={"AWS_ACCESS_KEY_ID": s3.KEY, "AWS_SECRET_ACCESS_KEY": "no"}
        )
        with pytest.raises(Forbidden, match="check the access key"):
            listed(open_store(settings, folder))

    def test_no_key_at_all_says_what_to_set(self, seaweed: int, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        with pytest.raises(Forbidden, match="set AWS_ACCESS_KEY_ID"):
            listed(open_store(replace(settings_for(seaweed), environment={}), folder))

    def test_a_missing_bucket_is_no_empty_place(self, seaweed: int) -> None:
        with pytest.raises(NoPlace, match="make the bucket first"):
            listed(open_store(settings_for(seaweed), "place", bucket="nowhere"))

    def test_nobody_there_is_worth_another_try(self, folder: str) -> None:
        with pytest.raises(Unavailable):
            listed(open_store(settings_for(free_ports(1)[0]), folder))

    def test_a_place_without_a_bucket_is_refused(self) -> None:
        with pytest.raises(InvalidUrl):
            S3Store.from_url(StorageUrl.parse("s3:///"), StoreSettings())

    def test_kms_without_a_key_is_refused(self) -> None:
        settings = StoreSettings(options=ServiceOptions(s3_use_server_side_kms_encryption=True))
        with pytest.raises(InvalidUrl, match="--s3-kms-key-id"):
            S3Store.from_url(StorageUrl.parse("s3:///bucket"), settings)


@pytest.fixture
def proxy(seaweed: int) -> Iterator[Proxy]:
    with proxied(seaweed) as found:
        yield found


class TestBadNetwork:
    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT, Fault.STALL])
    def test_a_broken_put_leaves_nothing_and_can_be_repeated(
        self, proxy: Proxy, folder: str, files: Files, fault: Fault
    ) -> None:
        hasty = open_store(replace(settings_for(proxy.port), timeout=1.0), folder)
        proxy.weather.fault, proxy.weather.times = fault, 1
        source = files.source(bytes(LARGE))
        with pytest.raises(Unavailable):
            hasty.put(key("a"), source)
        # The server may need long after that: it waits for the rest of what was broken off.
        store = open_store(replace(settings_for(proxy.port), timeout=90.0), folder)
        with pytest.raises(NotFound):
            store.stat(key("a"))
        assert store.put(key("a"), source).size == LARGE

    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT, Fault.STALL])
    def test_a_broken_get_leaves_no_target(self, proxy: Proxy, folder: str, files: Files, fault: Fault) -> None:
        put(open_store(settings_for(proxy.port), folder), files, "a", bytes(LARGE))
        store = open_store(replace(settings_for(proxy.port), timeout=1.0), folder)
        proxy.weather.fault, proxy.weather.times = fault, 1
        before = files.names()
        with pytest.raises(StorageError):
            store.get(key("a"), files.target())
        assert files.names() == before

    def test_a_service_that_asks_for_a_pause_says_how_long(self, proxy: Proxy, folder: str) -> None:
        proxy.weather.fault, proxy.weather.retry_after = Fault.BUSY, "7"
        with pytest.raises(Unavailable) as caught:
            listed(open_store(settings_for(proxy.port), folder))
        assert caught.value.retry_after == 7

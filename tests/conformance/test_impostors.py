"""What the drivers of the clouds make of a captive portal or a proxy at the service's address.

Whatever it answers: no file is stored, absent, or deleted by its word, and nobody sees a traceback. And what the clouds
do with names that they cannot have.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.servers import azure
from tests.servers.impostor import Answer, impostor
from tests.servers.process import HOST
from twofold.errors import Incomplete, StorageError, Unavailable, Unsupported
from twofold.storage.drivers.azure.store import AzureStore
from twofold.storage.drivers.b2.store import B2Store
from twofold.storage.drivers.gcs.store import GcsStore
from twofold.storage.drivers.s3.store import S3Store
from twofold.storage.drivers.swift.store import SwiftStore
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.testing.ground import Files, key
from twofold.storage.url import StorageUrl

_HTML = {"Content-Type": "text/html; charset=utf-8"}
_PAGE = b"<!DOCTYPE html><html><head><meta charset=utf-8><title>Wi-Fi</title></head><body><br>Log in</body></html>"
_DATED = {"Last-Modified": "Sun, 22 Nov 2026 04:46:30 GMT", "ETag": '"5"', "Content-Length": str(len(_PAGE))}
ANSWERS = {
    "a page": Answer(200, _PAGE, _HTML),
    "a page that is XML": Answer(200, b"<html><body>Log in</body></html>", _HTML),
    "XML without a type": Answer(200, b"<html><body>Log in</body></html>"),
    "a static page": Answer(200, _PAGE, _HTML | _DATED),
    "bytes": Answer(200, b"\xff\xfe\x00", {"Content-Type": "application/xml"}),
    "nothing": Answer(200),
    "an empty object": Answer(200, b"{}", {"Content-Type": "application/json"}),
    "a list": Answer(200, b"[]", {"Content-Type": "application/json"}),
    "a plain 404": Answer(404, b"404 nope", {"Content-Type": "text/plain"}),
    "a page with 404": Answer(404, b"<html><body>Not found</body></html>", _HTML),
    "JSON with 404": Answer(404, b'{"error": "no"}', {"Content-Type": "application/json"}),
}


def _azure(port: int) -> AzureStore:
    settings = StoreSettings(environment={"AZURE_CONNECTION_STRING": azure.connection_string(port)}, timeout=5.0)
    return AzureStore.from_url(StorageUrl.parse("azure://backups/daily"), settings)


def _gcs(port: int) -> GcsStore:
    settings = StoreSettings(environment={"STORAGE_EMULATOR_HOST": f"http://{HOST}:{port}"}, timeout=5.0)
    return GcsStore.from_url(StorageUrl.parse("gs://backups/daily"), settings)


def _s3(port: int) -> S3Store:
    options = ServiceOptions(s3_endpoint_url=f"http://{HOST}:{port}", s3_region_name="eu-central-1")
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}
    settings = StoreSettings(environment=keys, timeout=5.0, options=options)
    return S3Store.from_url(StorageUrl.parse("s3:///backups/daily"), settings)


def _swift(port: int) -> SwiftStore:
    account = {"SWIFT_PREAUTHURL": f"http://{HOST}:{port}/v1/AUTH_test", "SWIFT_PREAUTHTOKEN": "token"}
    settings = StoreSettings(environment=account, timeout=5.0)
    return SwiftStore.from_url(StorageUrl.parse("swift://backups/daily"), settings)


def _swift_with_login(port: int) -> SwiftStore:
    login = {"SWIFT_AUTHURL": f"http://{HOST}:{port}/auth/v1.0", "SWIFT_USERNAME": "u", "SWIFT_PASSWORD": "p"}
    return SwiftStore.from_url(StorageUrl.parse("swift://backups/daily"), StoreSettings(environment=login, timeout=5.0))


def _swift_with_keystone(port: int) -> SwiftStore:
    login = {"SWIFT_AUTHURL": f"http://{HOST}:{port}/v3", "SWIFT_USERNAME": "u", "SWIFT_PASSWORD": "p"}
    settings = StoreSettings(environment=login | {"SWIFT_AUTHVERSION": "3", "SWIFT_TENANTNAME": "t"}, timeout=5.0)
    return SwiftStore.from_url(StorageUrl.parse("swift://backups/daily"), settings)


def _b2(port: int) -> B2Store:
    settings = StoreSettings(environment={"B2_ENVIRONMENT": f"http://{HOST}:{port}"}, password="key", timeout=5.0)
    return B2Store.from_url(StorageUrl.parse("b2://id@backups/daily"), settings)


STORES: dict[str, Callable[[int], Any]] = {
    "azure": _azure,
    "gcs": _gcs,
    "s3": _s3,
    "swift": _swift,
    "swift, logging in": _swift_with_login,
    "swift, by Keystone": _swift_with_keystone,
    "b2": _b2,
}
SINGLE: dict[str, Callable[[Any, Files], object]] = {
    "put": lambda store, files: store.put(key("a"), files.source(b"content")),
    "get": lambda store, files: store.get(key("a"), files.target()),
    "list": lambda store, _files: [*store.list()],
    "stat": lambda store, _files: store.stat(key("a")),
    "delete": lambda store, _files: store.delete(key("a")),
    "read_range": lambda store, _files: store.read_range(key("a"), 0, 4),
    "read_range of nothing": lambda store, _files: store.read_range(key("a"), 0, 0),
    "copy": lambda store, _files: store.copy(key("a"), key("b")),
}
SOME: dict[str, Callable[[Any, Files], object]] = {
    "create": lambda store, _files: store.create(key("a"), b"content"),
    "delete_many": lambda store, _files: [*store.delete_many([key("a"), key("b")])],
    "warm_up": lambda store, _files: store.warm_up([key("a")]),
}


_WITH_NAME: dict[str, Callable[[Any, Files, str], object]] = {
    "put": lambda store, files, name: store.put(key(name), files.source(b"content")),
    "get": lambda store, files, name: store.get(key(name), files.target()),
    "stat": lambda store, _files, name: store.stat(key(name)),
    "delete": lambda store, _files, name: store.delete(key(name)),
}


def _seen(store: Any) -> None:
    """The container has been found there before."""
    if isinstance(store, AzureStore):
        store._is_there = True
    elif isinstance(store, SwiftStore):
        store._seen.add("backups")


@contextmanager
def serving_b2(answer: Answer) -> Iterator[int]:
    """One that knows the login, and nothing else."""
    ports: list[int] = []

    def said(_method: str, path: str) -> Answer:
        if not path.endswith("/b2_authorize_account"):
            return answer
        address = f"http://{HOST}:{ports[0]}"
        sizes = {"absoluteMinimumPartSize": 5_000_000, "recommendedPartSize": 100_000_000}
        api = {"apiUrl": address, "downloadUrl": address, "s3ApiUrl": address, **sizes}
        allowed = {"buckets": [{"id": "i", "name": "backups"}], "capabilities": ["listFiles"], "namePrefix": None}
        told = {"accountId": "a", "authorizationToken": "t", "apiInfo": {"storageApi": {**api, "allowed": allowed}}}
        return Answer(200, json.dumps(told).encode())

    with impostor(said) as found:
        ports.append(found)
        yield found


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("scheme", [*STORES, "b2, logged in"])
def test_nothing_is_believed(scheme: str, answer: Answer, tmp_path: Path) -> None:
    files, believed = Files(tmp_path / "local"), dict[str, object]()
    serving = serving_b2(answer) if scheme == "b2, logged in" else impostor(lambda _method, _path: answer)
    with serving as port, closing(STORES[scheme.partition(", logged")[0]](port)) as store:
        for name, action in {**SINGLE, **SOME}.items():
            if name in SOME and not hasattr(store, name):
                continue
            try:
                believed[name] = action(store, files)
            except StorageError as error:
                if not isinstance(error, Unavailable):
                    believed[name] = error
    assert believed == {}


@pytest.mark.parametrize("scheme", ["azure", "gcs", "s3", "swift", "b2"])
@pytest.mark.parametrize("action", ["put", "get", "stat", "delete"])
def test_a_name_that_is_not_utf_8_is_refused_before_it_is_sent(scheme: str, action: str, tmp_path: Path) -> None:
    files, name = Files(tmp_path / "local"), "\udcffa"
    asked: list[str] = []

    def said(_method: str, path: str) -> Answer:
        asked.append(path)
        return Answer(503)

    with serving_b2(Answer(503)) if scheme == "b2" else impostor(said) as port, closing(STORES[scheme](port)) as store:
        _seen(store)
        with pytest.raises(Unsupported, match=r"UTF-8|encode"):
            _WITH_NAME[action](store, files, name)
    assert asked == []


@pytest.mark.parametrize("tells", [True, False])
def test_a_download_cut_short_is_noticed_without_its_length(tells: bool, tmp_path: Path) -> None:
    """What a proxy that strips headers makes of one."""

    def said(_method: str, path: str) -> Answer:
        if "alt=media" in path:
            return Answer(200, b"cont", {"X-Goog-Generation": "1"})
        told = {"kind": "storage#object", "name": "daily/a", "updated": "2026-11-22T04:46:30Z"}
        return Answer(200, json.dumps(told | ({"size": "7"} if tells else {})).encode())

    files = Files(tmp_path / "local")
    with impostor(said) as port, closing(_gcs(port)) as store, pytest.raises(Incomplete):
        store.get(key("a"), files.target())
    assert files.names() == set()


def test_swift_tells_the_length_of_a_download_another_way(tmp_path: Path) -> None:
    def said(method: str, _path: str) -> Answer:
        return Answer(200, b"cont", {"X-Trans-Id": "tx1"} | ({"Content-Length": "7"} if method == "HEAD" else {}))

    files = Files(tmp_path / "local")
    with impostor(said) as port, closing(_swift(port)) as store, pytest.raises(Incomplete):
        store.get(key("a"), files.target())
    assert files.names() == set()

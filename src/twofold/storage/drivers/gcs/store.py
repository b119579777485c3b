"""A Store in a bucket of Google Cloud Storage, or a folder of one.

A file is there whole or not at all by nature. The library compares hashes after every transfer. Large files are sent
in parts, one after another, each tried anew by the library; what stays unfinished is seen by nobody and given up by the
service after a week.
"""

from __future__ import annotations

import base64
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import google.auth
import urllib3
from google.api_core.exceptions import NotFound as GoogleNotFound
from google.api_core.exceptions import RequestRangeNotSatisfiable
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud.storage import Client
from google.cloud.storage.retry import DEFAULT_RETRY
from urllib3.exceptions import InsecureRequestWarning

from twofold.concurrency import exclusion
from twofold.errors import Forbidden, Incomplete, NotFound, StorageError
from twofold.storage import local_files
from twofold.storage.drivers.gcs.faults import refuse_strangers, translating
from twofold.storage.network_errors import MAKES_NO_SENSE, failure
from twofold.storage.parts import Piece
from twofold.storage.places import Container, container
from twofold.storage.settings import StoreSettings
from twofold.storage.store import (
    Atomicity,
    ByteCounter,
    Digest,
    DigestName,
    Key,
    Operation,
    StoredFile,
    StoreTraits,
    ignore_bytes,
)
from twofold.storage.tls import trusted_file
from twofold.storage.url import StorageUrl

_TRAITS = StoreTraits(parallel=4, atomic_put=Atomicity.BY_NATURE, largest_file=5 << 40, put_digest=DigestName.CRC32C)
_PART = 16 << 20
"""Bytes in memory for each transfer; without parts the library reads the whole file."""
_IN_ONE = 8 << 20
"""The library sends files of so many bytes with one request."""
_PART_PATIENCE = 3
"""How many times the time limit one part may take with all its attempts."""
_RIGHTS = ("https://www.googleapis.com/auth/devstorage.read_write",)
_FIELDS = "kind,items(name,size,updated,md5Hash,crc32c),nextPageToken"


class GcsStore:
    """A Store in a bucket; also CanReadRange, CanCopy and CanCreateExclusive."""

    def __init__(self, place: Container, *, settings: StoreSettings) -> None:
        self._bucket = place.name
        self._prefix = place.prefix
        self._place = f"gs://{place.name}/{place.folder}".rstrip("/")
        self._settings = settings
        self._limits = {"timeout": (settings.timeout, settings.timeout), "retry": None}
        self._lock = exclusion()
        self._made: Client | None = None

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> GcsStore:
        return cls(container(url), settings=settings)

    @property
    def traits(self) -> StoreTraits:
        return _TRAITS

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)
        try:
            with self._doing(Operation.PUT, key.name):
                blob = self._blob(key.name, chunk_size=_PART)
                limits = self._limits
                if size > _IN_ONE:
                    limits = limits | {"retry": DEFAULT_RETRY.with_timeout(_PART_PATIENCE * self._settings.timeout)}
                try:
                    blob.upload_from_file(Piece(descriptor, 0, size, sent=sent), size=size, **limits)
                except UnicodeEncodeError:
                    raise
                except ValueError as error:
                    # The library's word for a service that has kept less of a part than it was sent.
                    reason = failure(Incomplete, error, operation=Operation.PUT, name=key.name, place=self._place)
                    raise reason from error
                stored = _told(key.name, blob)
        finally:
            os.close(descriptor)
        local_files.require_size(stored.size, size, operation=Operation.PUT, name=key.name)
        return stored

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        with local_files.arriving(target, size=None, name=key.name) as descriptor:
            sink = _Sink(descriptor, received, name=key.name, target=target)
            with self._doing(Operation.GET, key.name):
                blob = self._blob(key.name)
                with self._sure_of_absence(blob):
                    blob.download_to_file(sink, raw_download=True, **self._limits)
                if not blob.crc32c:  # else the library has compared
                    blob.reload(**self._limits)
                    found = os.fstat(descriptor).st_size
                    local_files.require_size(found, blob.size, operation=Operation.GET, name=key.name)

    def list(self) -> Iterator[StoredFile]:
        with self._doing(Operation.LIST, ""):
            for found in self._client.list_blobs(
                self._bucket, prefix=self._prefix, delimiter="/", fields=_FIELDS, **self._limits
            ):
                if name := found.name[len(self._prefix) :]:
                    yield _told(name, found)

    def stat(self, key: Key) -> StoredFile:
        with self._doing(Operation.STAT, key.name):
            blob = self._blob(key.name)
            blob.reload(**self._limits)
            return _told(key.name, blob)

    def delete(self, key: Key) -> None:
        try:
            with self._doing(Operation.DELETE, key.name):
                self._blob(key.name).delete(**self._limits)
        except NotFound:
            return

    def close(self) -> None:
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        with self._doing(Operation.READ_RANGE, key.name):
            blob = self._blob(key.name)
            if not size:
                blob.reload(**self._limits)
                return b""
            try:
                with self._sure_of_absence(blob):
                    data: bytes = blob.download_as_bytes(
                        start=start, end=start + size - 1, raw_download=True, checksum=None, **self._limits
                    )
            except RequestRangeNotSatisfiable:
                return b""
        return data

    def copy(self, source: Key, target: Key) -> StoredFile:
        with self._doing(Operation.COPY, source.name):
            blob = self._blob(target.name)
            token = None
            while True:
                token, _, _ = blob.rewrite(self._blob(source.name), token=token, **self._limits)
                if token is None:
                    return _told(target.name, blob)

    def create(self, key: Key, content: bytes) -> None:
        with self._doing(Operation.CREATE, key.name):
            self._blob(key.name).upload_from_string(content, if_generation_match=0, **self._limits)

    @property
    def _client(self) -> Client:
        with self._lock:
            if self._made is None:
                self._made = connect(self._settings)
            return self._made

    def _blob(self, name: str, *, chunk_size: int | None = None) -> Any:
        path = self._prefix + name
        path.encode()  # the library would store it by another name
        return self._client.bucket(self._bucket).blob(path, chunk_size=chunk_size)

    @contextmanager
    def _sure_of_absence(self, blob: Any) -> Iterator[None]:
        """Downloads are refused in words that anybody might use; what is asked about a file is not."""
        try:
            yield
        except GoogleNotFound:
            blob.reload(**self._limits)
            raise

    def _doing(self, operation: Operation, name: str) -> Any:
        return translating(operation, name=name, place=self._place)


def connect(settings: StoreSettings) -> Client:
    """A client for whoever the library finds us to be; nobody in particular beside an imitation of the service."""
    endpoint = settings.environment.get("STORAGE_EMULATOR_HOST")
    session: Any = AuthorizedSession(credentials := _credentials(endpoint))
    session.hooks["response"].append(refuse_strangers)
    verify: bool | str = trusted_file(settings) or settings.options.ssl_cacert_path or True
    if settings.options.ssl_no_check_certificate:
        verify = False
        urllib3.disable_warnings(InsecureRequestWarning)  # it has been asked for
    if verify is not True:
        # With each request: what a session says is less than a variable that happens to be set (REQUESTS_CA_BUNDLE).
        session.request = partial(session.request, verify=verify)
    options = {"api_endpoint": endpoint} if endpoint else None
    client = Client(project=None, credentials=credentials, _http=session, client_options=options)
    # Else a thread of its own asks where the bucket lies, for tracing that nobody has switched on.
    client._bucket_metadata_cache = None
    return client


def _credentials(endpoint: str | None) -> Any:
    """Raises Forbidden when the file with them cannot be read, and what the library does."""
    if endpoint:
        if not endpoint.startswith(("http://", "https://")):
            raise StorageError(f"STORAGE_EMULATOR_HOST is no address: {endpoint} (it begins with http:// or https://)")
        return AnonymousCredentials()
    try:
        with warnings.catch_warnings():  # it would tell people on their terminal that a program needs its own account
            warnings.simplefilter("ignore")
            return google.auth.default(scopes=_RIGHTS)[0]
    except (OSError, *MAKES_NO_SENSE) as error:
        if isinstance(error, OSError) and error.filename is None:
            raise  # of the network
        remedy = "check the file that GOOGLE_APPLICATION_CREDENTIALS names"
        raise Forbidden(f"The credentials for Google cannot be read: {error} ({remedy})") from error


class _Sink:
    """Where a fetched file is written; an error of our own disk leaves it as such, not as one of the network."""

    def __init__(self, descriptor: int, received: ByteCounter, *, name: str, target: str) -> None:
        self._descriptor = descriptor
        self._received = received
        self._name = name
        self._target = target

    def write(self, data: bytes) -> None:
        with local_files.translating(Operation.GET, name=self._name, path=self._target):
            local_files.write_all(self._descriptor, data)
        self._received(len(data))


def _told(name: str, blob: Any) -> StoredFile:
    told = ((DigestName.MD5, blob.md5_hash), (DigestName.CRC32C, blob.crc32c))
    digests = tuple(Digest(kind, base64.b64decode(text)) for kind, text in told if text)
    return StoredFile(name, blob.size, int(blob.updated.timestamp()), digests=digests)

"""swift:// and cf+http://: a Store in a container of OpenStack Swift, or in a folder of one.

A file is there whole or not at all by nature; what is sent carries its MD5, which the service checks. One larger than a
segment is sent in several, to the container beside (`…_segments`), and gets its name by a manifest that the service
checks as well (a static large object); duplicity does the same. No exclusive creation: of two writers of one moment,
Swift tells both that they were the first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from swiftclient import client as swiftclient
from swiftclient.exceptions import ClientException

from twofold.concurrency import Crew, exclusion
from twofold.errors import Forbidden, Incomplete, NoPlace, NotFound, StorageError, Unavailable, Unsupported
from twofold.storage import local_files
from twofold.storage.connections import Connections
from twofold.storage.drivers.swift import answers
from twofold.storage.drivers.swift.answers import Headers, Row
from twofold.storage.drivers.swift.faults import UNAUTHORIZED, translating
from twofold.storage.drivers.swift.login import Link, Session, login_of
from twofold.storage.network_errors import failure
from twofold.storage.parts import Part, Piece, parts_of
from twofold.storage.places import container
from twofold.storage.settings import StoreSettings
from twofold.storage.store import (
    Atomicity,
    ByteCounter,
    DigestName,
    Key,
    Operation,
    StoredFile,
    StoreTraits,
    ignore_bytes,
)
from twofold.storage.told_numbers import told_number
from twofold.storage.url import StorageUrl

E = TypeVar("E", bound=StorageError)

# Listings follow what is stored when the service finds the time.
_TRAITS = StoreTraits(parallel=8, atomic_put=Atomicity.BY_NATURE, consistent_list=False, put_digest=DigestName.MD5)
_LARGEST = 5 << 30
"""The most that an object holds which is no manifest."""
_MOST_SEGMENTS = 1000
_SEGMENTS_AT_ONCE = 4
_BATCH = 1000
_BEHIND_THE_END = 416


class SwiftStore:
    """A Store in a container; also CanReadRange, CanCopy, CanDeleteMany and CanReportSpace."""

    is_cold = False

    def __init__(self, url: StorageUrl, settings: StoreSettings) -> None:
        self._container, self._prefix = (place := container(url)).name, place.prefix
        self._segments = f"{place.name}_segments"
        self._place = f"{url.scheme}://{place.name}/{place.folder}".rstrip("/")
        self._segment_size = min(settings.options.mp_segment_size_bytes, _LARGEST)
        self._policy = settings.options.swift_storage_policy
        self._session = Session(login_of(url, settings.environment), settings, place=self._place)
        self._connections = Connections(self._session.connect, close=Link.close)
        self._lock = exclusion()
        self._seen: set[str] = set()

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> SwiftStore:
        return cls(url, settings)

    @property
    def traits(self) -> StoreTraits:
        return _TRAITS

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)
        try:
            self._prepare(self._container)
            if size > self._segment_size:
                return self._put_segments(key.name, descriptor, size, sent=sent)
            piece = Piece(descriptor, 0, size, sent=sent)
            headers = self._put_piece(self._container, self._prefix + key.name, piece, name=key.name)
            return answers.put(key.name, size, headers)
        finally:
            os.close(descriptor)

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        with self._connections.borrowed() as link:
            with self._doing(Operation.GET, key.name, link):
                headers, body = self._on(link, swiftclient.get_object, key.name, resp_chunk_size=local_files.CHUNK)
            size = told_number(headers.get("content-length", ""))
            if size is None:  # else the end of what is cut short would be the end
                size = self._told(Operation.GET, key.name).size
            with local_files.arriving(target, size=size, name=key.name) as descriptor:
                while True:
                    with self._doing(Operation.GET, key.name, link):
                        data = body.read(local_files.CHUNK)
                    if not data:
                        break
                    local_files.write_all(descriptor, data)
                    received(len(data))

    def list(self) -> Iterator[StoredFile]:
        for name, row in self._files():
            found = answers.listed(name, row)
            with suppress(NotFound):  # gone in this moment
                yield found or self._told(Operation.LIST, name)

    def stat(self, key: Key) -> StoredFile:
        return self._told(Operation.STAT, key.name)

    def delete(self, key: Key) -> None:
        try:
            segments = self._segments_of(key.name, Operation.DELETE)
            self._remove(self._container, self._prefix + key.name, name=key.name)
        except NotFound as error:
            if isinstance(error, NoPlace) and self._container in self._seen:
                raise
            return
        for segment in segments:
            self._remove(self._segments, segment, name=key.name)

    def close(self) -> None:
        self._connections.close()

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        return self._read(Operation.READ_RANGE, key.name, start, size)

    def copy(self, source: Key, target: Key) -> StoredFile:
        size = self._told(Operation.COPY, source.name).size
        if size > _LARGEST:
            raise self._failure(Unsupported, "Swift copies no files of more than 5 GiB", Operation.COPY, source.name)
        destination = f"/{self._container}/{self._prefix}{target.name}"
        with self._working(Operation.COPY, source.name) as link:
            self._on(link, swiftclient.copy_object, source.name, destination=destination)
        copied = self.stat(target)
        local_files.require_size(copied.size, size, operation=Operation.COPY, name=target.name)
        return copied

    def delete_many(self, keys: Iterable[Key]) -> Iterator[Key]:
        wanted = {key.name: key for key in keys}
        # What has segments, or is not listed, is deleted by itself.
        names = [name for name, row in self._files() if name in wanted and row["bytes"] and "slo_etag" not in row]
        for first in range(0, len(names), _BATCH):
            for name in self._delete_batch(names[first : first + _BATCH]):
                yield wanted.pop(name)
        for key in wanted.values():
            self.delete(key)
            yield key

    def free_bytes(self) -> int | None:
        """What the quotas of container and account leave; None without quotas, or where we may not see them."""
        left = []
        for kind, function, names in (
            ("container", swiftclient.head_container, (self._container,)),
            ("account", swiftclient.head_account, ()),
        ):
            with suppress(NotFound, Forbidden), self._working(Operation.FREE_BYTES, "") as link:
                headers = function(*link.account, *names, http_conn=link.http)
                limit = told_number(headers.get(f"x-{kind}-meta-quota-bytes", ""))
                used = told_number(headers.get(f"x-{kind}-bytes-used", ""))
                left += [max(0, limit - used)] if limit is not None and used is not None else []
        return min(left, default=None)

    # ---- one request ------------------------------------------------------------------------------------------------

    @contextmanager
    def _working(self, operation: Operation, name: str) -> Iterator[Link]:
        with self._connections.borrowed() as link, self._doing(operation, name, link):
            yield link

    @contextmanager
    def _doing(self, operation: Operation, name: str, link: Link) -> Iterator[None]:
        try:
            with translating(operation, name=name, place=self._place, cold=self.is_cold):
                yield
        except Forbidden as error:
            if getattr(error.__cause__, "http_status", None) == UNAUTHORIZED and self._session.forget(link.account):
                raise self._failure(Unavailable, "the login has expired", operation, name) from error
            raise
        except NotFound as error:
            if isinstance(error, NoPlace) or not name:
                raise
            raise self._absent(operation, name) from error

    def _on(self, link: Link, function: Callable[..., Any], name: str, **arguments: object) -> Any:
        """Calls a function of swiftclient for the file of this name."""
        return function(*link.account, self._container, self._prefix + name, http_conn=link.http, **arguments)

    def _head(self, operation: Operation, name: str) -> Headers:
        with self._working(operation, name) as link:
            return dict(self._on(link, swiftclient.head_object, name))

    def _told(self, operation: Operation, name: str) -> StoredFile:
        if (found := answers.told(name, self._head(operation, name))) is None:
            raise self._failure(StorageError, "the service does not tell its size", operation, name)
        return found

    def _read(self, operation: Operation, name: str, start: int, size: int) -> bytes:
        if not size:
            self._head(operation, name)
            return b""
        headers = {"Range": f"bytes={start}-{start + size - 1}"}
        with self._working(operation, name) as link:
            try:
                data: bytes = self._on(link, swiftclient.get_object, name, headers=headers)[1]
            except ClientException as error:
                if error.http_status != _BEHIND_THE_END:
                    raise
                return b""
        # Who takes no notice of the range sends all.
        return data if len(data) <= size else data[start : start + size]

    def _remove(self, place: str, path: str, *, name: str) -> None:
        with suppress(NotFound), self._working(Operation.DELETE, name) as link:
            swiftclient.delete_object(*link.account, place, path, http_conn=link.http)

    def _delete_batch(self, names: Sequence[str]) -> Sequence[str]:
        """Those that are gone; why others are not is asked by deleting them alone."""
        paths = {f"/{self._container}/{self._prefix}{name}": name for name in names}
        with self._working(Operation.DELETE, "") as link:
            headers = {"Content-Type": "text/plain", "Accept": "application/json"}
            body = "\n".join(map(quote, paths)).encode()
            try:
                _, answer = swiftclient.post_account(
                    *link.account, headers, http_conn=link.http, query_string="bulk-delete", data=body
                )
                failed = {unquote(path) for path, _ in json.loads(answer)["Errors"]}
            except (ClientException, ValueError, KeyError, TypeError):
                return []  # a service that does not know bulk deletion
        return [name for path, name in paths.items() if path not in failed]

    # ---- the container ----------------------------------------------------------------------------------------------

    def _files(self) -> Iterator[tuple[str, Row]]:
        """Name and row of all objects in our folder, page by page."""
        marker = ""
        while page := self._page(marker):
            yield from ((row["name"][len(self._prefix) :], row) for row in page if self._is_file(row))
            marker = page[-1].get("name") or page[-1]["subdir"]

    def _is_file(self, row: Row) -> bool:
        return len(row.get("name", "")) > len(self._prefix)  # a folder of other programs has an object of its own

    def _page(self, marker: str) -> Sequence[Row]:
        try:
            with self._working(Operation.LIST, "") as link:
                limits = {"prefix": self._prefix, "delimiter": "/", "marker": marker}
                rows: Sequence[Row] = swiftclient.get_container(
                    *link.account, self._container, http_conn=link.http, **limits
                )[1]
        except NotFound as error:
            if marker or self._container in self._seen:
                raise self._failure(NoPlace, "the container is gone", Operation.LIST, "") from error
            return []
        self._seen.add(self._container)
        return rows

    def _prepare(self, place: str) -> None:
        """Sees to it before the first write that a container is there; the policy counts only for one that is made."""
        with self._lock:
            if place in self._seen:
                return
            if not self._has(place):
                with self._working(Operation.PUT, "") as link:
                    headers = {"X-Storage-Policy": self._policy} if self._policy else {}
                    swiftclient.put_container(*link.account, place, headers=headers, http_conn=link.http)
            self._seen.add(place)

    def _has(self, place: str) -> bool:
        try:
            with self._working(Operation.PUT, "") as link:
                swiftclient.head_container(*link.account, place, http_conn=link.http)
        except NotFound:
            return False
        except Forbidden:
            return True  # some may write, but not look
        return True

    def _absent(self, operation: Operation, name: str) -> NotFound:
        """Whether the file is missing, or the whole container."""
        kind, what = (NotFound, "file") if self._has(self._container) else (NoPlace, "container")
        return self._failure(kind, f"there is no such {what}", operation, name)

    # ---- one file there ---------------------------------------------------------------------------------------------

    def _put_piece(self, place: str, path: str, piece: Piece, *, name: str) -> Headers:
        """Sends an object of this path; the service refuses it unless it has the right hash."""
        digest, answer = piece.digest("md5").hex(), dict[str, Any]()
        with self._working(Operation.PUT, name) as link:
            size = {"content_length": len(piece), "response_dict": answer}
            etag = swiftclient.put_object(*link.account, place, path, piece, etag=digest, http_conn=link.http, **size)
        if etag != digest:
            reason = "the service has stored something else; try again"
            raise self._failure(Incomplete, reason, Operation.PUT, name)
        headers: Headers = answer["headers"]
        return headers

    def _put_segments(self, name: str, descriptor: int, size: int, *, sent: ByteCounter) -> StoredFile:
        self._prepare(self._segments)
        old = self._segments_of(name, Operation.PUT)
        parts = parts_of(size, wanted=self._segment_size, most=_MOST_SEGMENTS)
        # Where duplicity puts them, but never over those of a file that is there.
        folder = f"{self._prefix}{name}/slo/{os.urandom(8).hex()}/{size}/{parts[0].size}"
        paths = [f"{folder}/{part.number - 1:08}" for part in parts]
        rows = []
        send = partial(self._put_segment, name, descriptor)
        try:
            with Crew() as crew:
                for row in crew.ordered_map(
                    send, zip(paths, parts, strict=True), workers=_SEGMENTS_AT_ONCE, name="segment"
                ):
                    sent(row["size_bytes"])
                    rows.append(row)
        except BaseException:
            self._give_up(paths, name=name)
            raise
        self._name_segments(name, rows, paths=paths)
        stored = self._told(Operation.PUT, name)
        local_files.require_size(stored.size, size, operation=Operation.PUT, name=name)
        self._give_up(old, name=name)
        return stored

    def _put_segment(self, name: str, descriptor: int, sent_as: tuple[str, Part]) -> dict[str, Any]:
        path, part = sent_as
        etag = self._put_piece(self._segments, path, Piece(descriptor, part.start, part.size), name=name)["etag"]
        return {"path": f"/{self._segments}/{path}", "etag": etag, "size_bytes": part.size}

    def _name_segments(self, name: str, rows: Sequence[Row], *, paths: Sequence[str]) -> None:
        manifest = json.dumps(rows).encode()
        try:
            with self._working(Operation.PUT, name) as link:
                self._on(link, swiftclient.put_object, name, contents=manifest, query_string="multipart-manifest=put")
        except Unavailable:
            raise  # NB: perhaps the file has got its name all the same, and these are its content
        except StorageError:
            self._give_up(paths, name=name)
            raise
        if answers.STATIC not in self._head(Operation.PUT, name):
            self._remove(self._container, self._prefix + name, name=name)
            self._give_up(paths, name=name)
            reason = "the service has no large objects; use a smaller --volsize or a larger --mp-segment-size"
            raise self._failure(Unsupported, reason, Operation.PUT, name)

    def _segments_of(self, name: str, operation: Operation) -> Sequence[str]:
        """The objects that hold the content of a large file and of nothing else; none of most, nor of a missing one.

        Raises NoPlace.
        """
        try:
            headers = self._head(operation, name)
        except NoPlace:
            raise
        except NotFound:
            return []
        if answers.STATIC in headers:
            with self._working(operation, name) as link:
                query = "multipart-manifest=get"
                rows = json.loads(self._on(link, swiftclient.get_object, name, query_string=query)[1])
            found = [row["name"] for row in rows]
        elif answers.DYNAMIC in headers:
            place, prefix = answers.dynamic_place(headers)
            with self._working(operation, name) as link:
                asked = {"prefix": prefix, "full_listing": True, "http_conn": link.http}
                rows = swiftclient.get_container(*link.account, place, **asked)[1]
            found = [f"/{place}/{row['name']}" for row in rows]
        else:
            return []
        start = f"/{self._segments}/"
        return [path[len(start) :] for path in found if path.startswith(f"{start}{self._prefix}{name}/")]

    def _give_up(self, paths: Iterable[str], *, name: str) -> None:
        with suppress(StorageError):  # what made us give up is worse
            for path in paths:
                self._remove(self._segments, path, name=name)

    def _failure(self, kind: type[E], reason: str, operation: Operation, name: str) -> E:
        return failure(kind, reason, operation=operation, name=name, place=self._place, remedies={})

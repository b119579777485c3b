"""b2://: a Store in a bucket of Backblaze B2, or in a folder of one.

A file is there whole or not at all by nature; what is sent carries its SHA-1, which the service checks. The bucket
keeps what was replaced as older versions: only the newest is listed, and deleting takes all of them, the oldest first,
so that none comes to light again. With --b2-hide-files nothing is deleted: a mark is put over the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any, TypeVar

from b2sdk.v3 import exception as b2

from twofold.concurrency import Crew
from twofold.errors import NotFound, StorageError, Unavailable, Unsupported
from twofold.storage import local_files
from twofold.storage.drivers.b2.faults import translating
from twofold.storage.drivers.b2.session import Bucket, keys_of
from twofold.storage.network_errors import failure
from twofold.storage.parts import Part, Piece, parts_of
from twofold.storage.places import container
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
from twofold.storage.url import StorageUrl

E = TypeVar("E", bound=StorageError)

_TRAITS = StoreTraits(parallel=8, atomic_put=Atomicity.BY_NATURE, largest_file=10**13, put_digest=DigestName.SHA1)
_IN_ONE = 10
"""Files of so many parts, of the size that the service recommends (100 MB), are still sent in one piece."""
_MOST_PARTS = 10_000
_PARTS_AT_ONCE = 4
_LARGEST_COPY = 5 * 10**9
_PAGE = 1000
_TYPE = "application/octet-stream"


class B2Store:
    """A Store in a bucket; also CanReadRange and CanCopy. B2 cannot create exclusively: a second file is a version."""

    def __init__(self, url: StorageUrl, settings: StoreSettings) -> None:
        name, folder = place = container(url)
        self._prefix = place.prefix
        self._place = f"b2://{name}/{folder}".rstrip("/")
        self._hides = settings.options.b2_hide_files
        self._bucket = Bucket(name, keys_of(url, settings), settings)

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> B2Store:
        return cls(url, settings)

    @property
    def traits(self) -> StoreTraits:
        return _TRAITS

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)
        try:
            with self._doing(Operation.PUT, key.name):
                bucket = self._bucket.made()
                recommended = self._session.account_info.get_recommended_part_size()
                if size > _IN_ONE * recommended:
                    row = self._put_parts(key.name, descriptor, size, wanted=recommended, sent=sent)
                else:
                    piece = Piece(descriptor, 0, size, sent=sent)
                    digest = piece.digest("sha1").hex()
                    path = self._prefix + key.name
                    row = self._session.upload_file(bucket, path, size, _TYPE, digest, {}, piece)
        finally:
            os.close(descriptor)
        local_files.require_size(row["contentLength"], size, operation=Operation.PUT, name=key.name)
        return _listed(key.name, row)

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        with self._doing(Operation.GET, key.name), self._download(key.name) as response:
            size = int(response.headers["content-length"])
            pieces = response.iter_content(local_files.CHUNK)
            with local_files.arriving(target, size=size, name=key.name) as descriptor:
                while True:
                    # Apart from writing: an error of ours must not look like one of the network.
                    with self._doing(Operation.GET, key.name):
                        piece = next(pieces, None)
                    if piece is None:
                        break
                    local_files.write_all(descriptor, piece)
                    received(len(piece))

    def list(self) -> Iterator[StoredFile]:
        start: str | None = self._prefix
        while start is not None:
            with self._doing(Operation.LIST, ""):
                try:
                    page = self._session.list_file_names(self._bucket.identity(), start, _PAGE, self._prefix)
                except b2.NonExistentBucket:
                    return
                rows = [(row["fileName"][len(self._prefix) :], row) for row in page["files"]]
                found = [_listed(name, row) for name, row in rows if _is_file(name, row)]
                start = page["nextFileName"] and self._behind_folder(page["nextFileName"])
            yield from found

    def stat(self, key: Key) -> StoredFile:
        return _told(key.name, self._headers(Operation.STAT, key.name))

    def delete(self, key: Key) -> None:
        path = self._prefix + key.name
        with self._doing(Operation.DELETE, key.name):
            try:
                bucket = self._bucket.identity()
                if self._hides:
                    self._session.hide_file(bucket, path)
                    return
            except (b2.NonExistentBucket, b2.FileNotPresent, b2.FileAlreadyHidden):
                return
            for version in reversed([*self._versions(bucket, path)]):
                with suppress(b2.FileNotPresent):
                    self._session.delete_file_version(version, path)

    def close(self) -> None:
        self._bucket.close()

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        if not size:
            self._headers(Operation.READ_RANGE, key.name)
            return b""
        with self._doing(Operation.READ_RANGE, key.name):
            try:
                with self._download(key.name, (start, start + size - 1)) as response:
                    data = b"".join(response.iter_content(local_files.CHUNK))
            except b2.UnsatisfiableRange:
                return b""
        return data[:size]

    def copy(self, source: Key, target: Key) -> StoredFile:
        headers = self._headers(Operation.COPY, source.name)
        size = int(headers["content-length"])
        if size > _LARGEST_COPY:
            reason = "B2 copies no files of more than 5 GB in one piece"
            raise self._failure(Unsupported, reason, Operation.COPY, source.name)
        with self._doing(Operation.COPY, source.name):
            row = self._session.copy_file(headers["x-bz-file-id"], self._prefix + target.name)
        local_files.require_size(row["contentLength"], size, operation=Operation.COPY, name=target.name)
        return _listed(target.name, row)

    @property
    def _session(self) -> Any:
        return self._bucket.session

    def _doing(self, operation: Operation, name: str) -> AbstractContextManager[None]:
        return translating(operation, name=name, place=self._place)

    def _failure(self, kind: type[E], reason: str, operation: Operation, name: str) -> E:
        return failure(kind, reason, operation=operation, name=name, place=self._place)

    def _headers(self, operation: Operation, name: str) -> Mapping[str, str]:
        """What the service says about the newest version. Raises NotFound, or NoPlace without the bucket."""
        try:
            with self._doing(operation, name):
                found: Mapping[str, str] = self._session.get_file_info_by_name(self._bucket.name, self._prefix + name)
                return found
        except NotFound as error:
            # Anybody may say so: only answers with a body have words for it, and tell whether the bucket is there.
            with self._doing(operation, name):
                path = self._prefix + name
                page = self._session.list_file_names(self._bucket.identity(), path, 1, path)
                if any(row["fileName"] == path and row["action"] == "upload" for row in page["files"]):
                    reason = "it is there, and yet it is told to be absent"
                    raise self._failure(Unavailable, reason, operation, name) from error
            raise self._failure(NotFound, "there is no such file", operation, name) from error

    def _download(self, name: str, piece: tuple[int, int] | None = None) -> Any:
        url = self._session.get_download_url_by_name(self._bucket.name, self._prefix + name)
        return self._session.download_file_from_url(url, range_=piece)

    def _behind_folder(self, path: str) -> str:
        """Where a listing goes on: behind all of a folder below ours, whose files are not asked for."""
        folder, slash, _ = path[len(self._prefix) :].partition("/")
        return f"{self._prefix}{folder}{chr(ord('/') + 1)}" if slash else path

    def _versions(self, bucket: str, path: str) -> Iterator[str]:
        """What is to be seen of a file, newest first; what lies under a mark that hides it is left alone."""
        start_name: str | None = path
        start_id: str | None = None
        while start_name == path:
            page = self._session.list_file_versions(bucket, start_name, start_id, _PAGE, path)
            for row in page["files"]:
                if row["fileName"] != path or row["action"] == "hide":
                    return
                if row["action"] == "upload":
                    yield row["fileId"]
            start_name, start_id = page["nextFileName"], page["nextFileId"]

    def _put_parts(self, name: str, descriptor: int, size: int, *, wanted: int, sent: ByteCounter) -> dict[str, Any]:
        bucket, path = self._bucket.made(), self._prefix + name
        # What a killed run has left of this very file: invisible, and paid for.
        for left in self._session.list_unfinished_large_files(bucket, prefix=path)["files"]:
            if left["fileName"] == path:
                self._session.cancel_large_file(left["fileId"])
        large = self._session.start_large_file(bucket, path, _TYPE, {})["fileId"]
        try:
            digests = []
            send = partial(self._put_part, large, descriptor)
            parts = parts_of(size, wanted=wanted, most=_MOST_PARTS)
            with Crew() as crew:
                for part, digest in crew.ordered_map(send, parts, workers=_PARTS_AT_ONCE, name="part"):
                    sent(part.size)
                    digests.append(digest)
            row: dict[str, Any] = self._session.finish_large_file(large, digests)
        except BaseException:
            with suppress(StorageError), self._doing(Operation.PUT, name):
                self._session.cancel_large_file(large)
            raise
        return row

    def _put_part(self, large: str, descriptor: int, part: Part) -> tuple[Part, str]:
        piece = Piece(descriptor, part.start, part.size)
        digest = piece.digest("sha1").hex()
        self._session.upload_part(large, part.number, part.size, digest, piece)
        return part, digest


def _is_file(name: str, row: Mapping[str, Any]) -> bool:
    return bool(name) and "/" not in name and row["action"] == "upload"


def _listed(name: str, row: Mapping[str, Any]) -> StoredFile:
    return _stored(name, row["contentLength"], row["uploadTimestamp"], row["contentSha1"])


def _told(name: str, headers: Mapping[str, str]) -> StoredFile:
    size, uploaded = int(headers["content-length"]), int(headers["x-bz-upload-timestamp"])
    return _stored(name, size, uploaded, headers.get("x-bz-content-sha1"))


def _stored(name: str, size: int, uploaded: int, sha1: str | None) -> StoredFile:
    # Of what came in parts there is none, and some clients' are marked as not checked.
    is_checked = sha1 and len(sha1) == 40
    digests = (Digest(DigestName.SHA1, bytes.fromhex(sha1)),) if sha1 and is_checked else ()
    return StoredFile(name, size, uploaded // 1000, digests)

"""A Store in a bucket, or a folder of one.

A file is there whole or not at all by nature; what is sent carries its MD5, which the service checks. Files larger than
a part are sent in parts, several at once. Conditional writes are tried out before they are relied on: some services
take no notice of the condition and say that all is well.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from twofold.concurrency import Crew, exclusion
from twofold.errors import Forbidden, InvalidUrl, NotFound, Retained, StorageError, Unsupported
from twofold.storage import local_files
from twofold.storage.drivers.s3.answers import listed, readable_at, service_time, told
from twofold.storage.drivers.s3.faults import error_code, refuse_strangers, translating
from twofold.storage.drivers.s3.wishes import encryption, storage_class
from twofold.storage.parts import Part, Piece, parts_of
from twofold.storage.places import Container, container
from twofold.storage.settings import StoreSettings
from twofold.storage.store import (
    Atomicity,
    ByteCounter,
    DigestName,
    Key,
    Operation,
    RetainMode,
    StoredFile,
    StoreTraits,
    Warming,
    Warmth,
    ignore_bytes,
)
from twofold.storage.tls import trusted_file
from twofold.storage.url import StorageUrl

_TRAITS = StoreTraits(parallel=8, atomic_put=Atomicity.BY_NATURE, largest_file=5 << 40, put_digest=DigestName.MD5)
_LARGEST_COPY = 5 << 30
_SMALLEST_PART, _MOST_PARTS = 5 << 20, 10_000
_ABANDONED = timedelta(days=7)
"""Nobody sends one file for so long: what a killed writer left in parts, invisible and paid for, is given up then."""
_OURS = re.compile(r"duplicity-(full|inc|new)[.-]")
"""What the names of all large files of a backup contain (docs/format.md section 2); a bucket may hold others' too."""
_WARM_DAYS = 7
_NOT_IN_BULK = frozenset({"InvalidRequest", "MissingContentMD5", "NotImplemented", "MalformedXML", "InvalidDigest"})


def connection(settings: StoreSettings) -> dict[str, Any]:
    """The arguments for a client; what is None is left to the library: profiles, machine roles and so on."""
    options, variables = settings.options, settings.environment
    config = Config(
        connect_timeout=settings.timeout,
        read_timeout=settings.timeout,
        retries={"total_max_attempts": 1},
        max_pool_connections=_TRAITS.parallel * max(1, options.s3_multipart_max_procs),
        user_agent_extra="twofold",
        # Ours is the MD5, which every service knows; many do not know what the library sends otherwise.
        request_checksum_calculation=variables.get("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required"),
        response_checksum_validation=variables.get("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required"),
    )
    verify: bool | str | None = trusted_file(settings)
    if options.ssl_cacert_path is not None and verify is None and not options.ssl_no_check_certificate:
        raise InvalidUrl("S3 takes no directory of certificates (--ssl-cacert-path): name a file, --ssl-cacert-file")
    return {
        "endpoint_url": options.s3_endpoint_url,
        "region_name": options.s3_region_name,
        "use_ssl": not options.s3_unencrypted_connection,
        "verify": False if options.ssl_no_check_certificate else verify,
        "config": config,
    }


class S3Store:
    """A Store in a bucket; also CanReadRange, CanCopy, CanCreateExclusive, CanDeleteMany, CanWarmUp and CanRetain."""

    def __init__(self, place: Container, *, settings: StoreSettings) -> None:
        self._bucket = place.name
        self._prefix = place.prefix
        self._place = f"s3:///{place.name}/{place.folder}".rstrip("/")
        self._options = settings.options
        self._settings = settings
        self._lock = exclusion()
        self._made: Any = None
        self._has_swept = False
        self._is_exclusive: bool | None = None

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> S3Store:
        options = settings.options
        if options.s3_use_server_side_kms_encryption and not (
            options.s3_kms_key_id or options.s3_use_server_side_encryption
        ):
            raise InvalidUrl("--s3-use-server-side-kms-encryption needs a key: name it with --s3-kms-key-id")
        return cls(container(url), settings=settings)

    @property
    def traits(self) -> StoreTraits:
        return _TRAITS

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)
        try:
            with self._doing(Operation.PUT, key.name):
                extra = encryption(self._options)
                if kind := storage_class(self._options, key.role):
                    extra["StorageClass"] = kind
                each = max(self._options.s3_multipart_chunk_size_bytes, _SMALLEST_PART)
                if size > each:
                    parts = parts_of(size, wanted=each, most=_MOST_PARTS)
                    self._put_parts(key.name, descriptor, parts, extra=extra, sent=sent)
                else:
                    piece = Piece(descriptor, 0, size, sent=sent)
                    self._call("put_object", key.name, Body=piece, ContentMD5=piece.md5(), **extra)
        finally:
            os.close(descriptor)
        stored = self.stat(key)
        local_files.require_size(stored.size, size, operation=Operation.PUT, name=key.name)
        return stored

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        with self._doing(Operation.GET, key.name):
            answer = self._call("get_object", key.name)
            body = answer["Body"]
            try:
                with local_files.arriving(target, size=answer["ContentLength"], name=key.name) as descriptor:
                    self._receive(key.name, body, descriptor, received=received)
            finally:
                body.close()

    def list(self) -> Iterator[StoredFile]:
        with self._doing(Operation.LIST, ""):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"):
                for found in page.get("Contents", ()):
                    if name := found["Key"][len(self._prefix) :]:
                        yield listed(name, found)

    def stat(self, key: Key) -> StoredFile:
        with self._doing(Operation.STAT, key.name):
            return told(key.name, self._call("head_object", key.name))

    def delete(self, key: Key) -> None:
        try:
            with self._doing(Operation.DELETE, key.name):
                self._call("delete_object", key.name)
        except NotFound:
            return
        except Forbidden as error:
            raise self._refusal(key, error) from error

    def close(self) -> None:
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        with self._doing(Operation.READ_RANGE, key.name):
            if not size:
                self._call("head_object", key.name)
                return b""
            try:
                answer = self._call("get_object", key.name, Range=f"bytes={start}-{start + size - 1}")
                data: bytes = answer["Body"].read()
            except ClientError as error:
                if error_code(error) not in {"InvalidRange", "416"}:
                    raise
                return b""
        # A service that takes no notice of the range sends all.
        return data if len(data) <= size else data[start : start + size]

    def copy(self, source: Key, target: Key) -> StoredFile:
        with self._doing(Operation.COPY, source.name):
            where = {"Bucket": self._bucket, "Key": self._prefix + source.name}
            if self._call("head_object", source.name)["ContentLength"] > _LARGEST_COPY:
                self._client.copy(where, self._bucket, self._prefix + target.name)
            else:
                self._call("copy_object", target.name, CopySource=where)
        return self.stat(target)

    def create(self, key: Key, content: bytes) -> None:
        with self._doing(Operation.CREATE, key.name):
            if self._is_exclusive is None:
                self._is_exclusive = self._tries_exclusive()
            if not self._is_exclusive:
                message = f"{self._place} takes no notice of conditions, so that no file can be made exclusively"
                raise Unsupported(message, name=key.name, operation=Operation.CREATE.value)
            self._call("put_object", key.name, Body=content, IfNoneMatch="*")

    def delete_many(self, keys: Iterable[Key]) -> Iterator[Key]:
        wanted = [*keys]
        for first in range(0, len(wanted), 1000):
            yield from self._delete_batch(wanted[first : first + 1000])

    def warm_up(self, keys: Iterable[Key]) -> Warming:
        warm: list[Key] = []
        coming: dict[Key, int | None] = {}
        for key in keys:
            with self._doing(Operation.WARM_UP, key.name):
                answer = self._call("head_object", key.name)
                warmth = told(key.name, answer).warmth
                if warmth is Warmth.COLD:
                    self._ask_for(key.name)
            if warmth is Warmth.WARM:
                warm.append(key)
            else:
                coming[key] = readable_at(answer)
        times = [time for time in coming.values() if time is not None]
        return Warming(tuple(warm), tuple(coming), max(times) if times and len(times) == len(coming) else None)

    def retain(self, key: Key, until: int, mode: RetainMode) -> None:
        date = datetime.fromtimestamp(until, UTC)
        try:
            with self._doing(Operation.RETAIN, key.name):
                self._call("put_object_retention", key.name, Retention={"Mode": mode.name, "RetainUntilDate": date})
        except Forbidden as error:
            raise self._refusal(key, error) from error

    @property
    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                variables = self._settings.environment
                has_keys = "AWS_ACCESS_KEY_ID" in variables
                session = boto3.session.Session(
                    aws_access_key_id=variables.get("AWS_ACCESS_KEY_ID"),
                    aws_secret_access_key=variables.get("AWS_SECRET_ACCESS_KEY") if has_keys else None,
                    aws_session_token=variables.get("AWS_SESSION_TOKEN") if has_keys else None,
                    profile_name=None if has_keys else variables.get("AWS_PROFILE"),
                )
                self._made = session.client("s3", **connection(self._settings))
                self._made.meta.events.register("after-call.s3", refuse_strangers)
            return self._made

    def _call(self, method: str, name: str, **arguments: object) -> Any:
        try:
            return getattr(self._client, method)(Bucket=self._bucket, Key=self._prefix + name, **arguments)
        except ClientError as error:
            if method == "head_object" and error_code(error) == "404":  # only answers with a body have words for it
                self._call("get_object", name, Range="bytes=0-0")["Body"].close()
            raise

    def _doing(self, operation: Operation, name: str) -> Any:
        return translating(operation, name=name, place=self._place)

    def _put_parts(
        self, name: str, descriptor: int, parts: Iterable[Part], *, extra: dict[str, str], sent: ByteCounter
    ) -> None:
        self._sweep()
        upload = self._call("create_multipart_upload", name, **extra)["UploadId"]
        try:
            done = []
            with Crew() as crew:
                for part, tag in self._sent_parts(name, descriptor, upload, parts, sent=sent, crew=crew):
                    done.append({"PartNumber": part.number, "ETag": tag})
            self._call("complete_multipart_upload", name, UploadId=upload, MultipartUpload={"Parts": done})
        except BaseException:
            self._give_up(name, upload)
            raise

    def _sent_parts(
        self, name: str, descriptor: int, upload: str, parts: Iterable[Part], *, sent: ByteCounter, crew: Crew
    ) -> Iterator[tuple[Part, str]]:
        if self._settings.rates.upload is not None:  # other threads would not be held back
            yield from (self._put_part(name, descriptor, upload, part, sent=sent) for part in parts)
            return
        send = partial(self._put_part, name, descriptor, upload)
        workers = max(1, self._options.s3_multipart_max_procs)
        for part, tag in crew.ordered_map(send, parts, workers=workers, name="part"):
            sent(part.size)
            yield part, tag

    def _put_part(
        self, name: str, descriptor: int, upload: str, part: Part, *, sent: ByteCounter = ignore_bytes
    ) -> tuple[Part, str]:
        piece = Piece(descriptor, part.start, part.size, sent=sent)
        answer = self._call(
            "upload_part", name, UploadId=upload, PartNumber=part.number, Body=piece, ContentMD5=piece.md5()
        )
        return part, answer["ETag"]

    def _give_up(self, name: str, upload: str) -> None:
        try:
            with self._doing(Operation.PUT, name):
                self._call("abort_multipart_upload", name, UploadId=upload)
        except StorageError:
            return  # what made us give up is worse; a later writer tries again

    def _sweep(self) -> None:
        """Gives up what killed writers have begun in parts, once a run; not everybody may, and then nothing is lost.

        It goes by the service's clock, which has set the times of the uploads, too: without that, nothing is given up.
        """
        if self._has_swept:
            return
        self._has_swept = True
        try:
            with self._doing(Operation.LIST, ""):
                pages = self._client.get_paginator("list_multipart_uploads")
                answers = [*pages.paginate(Bucket=self._bucket, Prefix=self._prefix)]
            now = service_time(answers[0])
        except (StorageError, ValueError):
            return
        for found in (upload for answer in answers for upload in answer.get("Uploads", ())):
            name = found["Key"][len(self._prefix) :]
            is_old = now - found.get("Initiated", now) > _ABANDONED
            if is_old and "/" not in name and _OURS.search(name):
                self._give_up(name, found["UploadId"])

    def _receive(self, name: str, body: Any, descriptor: int, *, received: ByteCounter) -> None:
        while True:
            # Apart from writing: an error of ours must not look like one of the network.
            with self._doing(Operation.GET, name):
                data = body.read(local_files.CHUNK)
            if not data:
                return
            local_files.write_all(descriptor, data)
            received(len(data))

    def _tries_exclusive(self) -> bool:
        probe = f".twofold-probe-{uuid.uuid4()}"
        try:
            for _ in range(2):
                self._call("put_object", probe, Body=b"", IfNoneMatch="*")
            return False
        except ClientError as error:
            return error_code(error) in {"PreconditionFailed", "412"}
        finally:
            self._call("delete_object", probe)

    def _delete_batch(self, keys: Iterable[Key]) -> Iterator[Key]:
        by_name = {self._prefix + key.name: key for key in keys}
        request = {"Objects": [{"Key": name} for name in by_name], "Quiet": False}
        with self._doing(Operation.DELETE, ""):
            try:
                answer = self._client.delete_objects(Bucket=self._bucket, Delete=request)
            except ClientError as error:
                if error_code(error) not in _NOT_IN_BULK:
                    raise
                answer = {}
        for gone in answer.get("Deleted", ()):
            if key := by_name.pop(gone["Key"], None):
                yield key
        # Those that the service would not delete together, and why: each asked for by itself.
        for key in by_name.values():
            self.delete(key)
            yield key

    def _ask_for(self, name: str) -> None:
        try:
            self._call("restore_object", name, RestoreRequest={"Days": _WARM_DAYS})
        except ClientError as error:
            if error_code(error) != "RestoreAlreadyInProgress":
                raise

    def _refusal(self, key: Key, error: Forbidden) -> Forbidden:
        """Whether a retention is behind a refusal: both look alike."""
        try:
            found = self._call("get_object_retention", key.name)["Retention"]
        except ClientError:
            return error
        message = f"{key.name} at {self._place} is to be kept until {found['RetainUntilDate']:%Y-%m-%d %H:%M} UTC"
        return Retained(message, name=key.name, operation=error.operation)

"""A Store in a container of Azure, or a folder of one.

A file is there whole or not at all by nature. What is sent carries its MD5, which the service checks, and so does what
is fetched. Large files are sent in parts ("blocks"), several at once, each tried anew by the library: what is not
committed is seen by nobody and given up by the service after a week.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import (
    BlobProperties,
    BlobSasPermissions,
    StandardBlobTier,
    generate_blob_sas,
)

from twofold.concurrency import Crew, exclusion
from twofold.errors import InvalidUrl, NeedsWarmUp, NoPlace, NotFound, Unsupported
from twofold.model.backup import FileRole
from twofold.model.times import SystemClock
from twofold.model.value import replace
from twofold.storage import local_files
from twofold.storage.drivers.azure.faults import error_code, translating
from twofold.storage.drivers.azure.login import container_client
from twofold.storage.parts import Part, Piece, parts_of
from twofold.storage.places import Container, container
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.store import (
    Atomicity,
    ByteCounter,
    Digest,
    DigestName,
    Key,
    Operation,
    StoredFile,
    StoreTraits,
    Warming,
    Warmth,
    ignore_bytes,
)
from twofold.storage.url import StorageUrl

_MOST_PARTS, _LARGEST_PART = 50_000, 4000 << 20
_TRAITS = StoreTraits(
    parallel=4,
    atomic_put=Atomicity.BY_NATURE,
    largest_file=_MOST_PARTS * _LARGEST_PART,
    put_digest=DigestName.MD5,
)
_PART = 8 << 20
_LARGEST_PUT = 256 << 20
"""More would be a heavy burden on the memory."""
_PARTS_AT_ONCE = 4
_PART_RETRIES = 3
_BATCH = 256
_READABLE = 3600
"""Seconds for which the service may read what it is told to copy."""
_MD5 = "md5"
_TIERS = {tier.value.lower(): tier for tier in StandardBlobTier}


def tier_of(options: ServiceOptions, role: FileRole) -> StandardBlobTier | None:
    """The tier for a file with this role, None for the account's own; the archive holds volumes only.

    Raises InvalidUrl for a tier that there is not.
    """
    asked = options.azure_blob_tier
    if asked is None:
        return None
    if asked.lower() not in _TIERS:
        raise InvalidUrl(f"--azure-blob-tier {asked} is none of Azure's: take Hot, Cool, Cold or Archive")
    found = _TIERS[asked.lower()]
    return None if found is StandardBlobTier.ARCHIVE and role is not FileRole.VOLUME else found


class AzureStore:
    """A Store in a container; also CanReadRange, CanCopy, CanCreateExclusive, CanDeleteMany and CanWarmUp."""

    def __init__(self, place: Container, *, settings: StoreSettings) -> None:
        self._container = place.name
        self._prefix = place.prefix
        self._place = f"azure://{place.name}/{place.folder}".rstrip("/")
        self._settings = settings
        options = settings.options
        self._options = options
        self._largest_put = min(options.azure_max_single_put_size_bytes or _PART, _LARGEST_PUT)
        self._part = min(options.azure_max_block_size_bytes or _PART, _LARGEST_PART)
        self._parts_at_once = options.azure_max_connections or _PARTS_AT_ONCE
        self._lock = exclusion()
        self._made: Any = None
        self._is_there = False

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> AzureStore:
        tier_of(settings.options, FileRole.VOLUME)
        return cls(container(url), settings=settings)

    @property
    def traits(self) -> StoreTraits:
        return _TRAITS

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)
        told = 0

        def count(number: int) -> None:
            nonlocal told
            told += number
            sent(number)

        try:
            return self._send(key, descriptor, size, sent=count)
        except NeedsWarmUp:
            # Azure writes over no archived file: one of an interrupted backup, or of a put whose answer was lost.
            sent(-told)
            self.delete(key)
            return self._send(key, descriptor, size, sent=sent)
        finally:
            os.close(descriptor)

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        with self._doing(Operation.GET, key.name):
            found = self._blob(key.name).download_blob(validate_content=_MD5)
            chunks = found.chunks()
        with local_files.arriving(target, size=found.size, name=key.name) as descriptor:
            while True:
                # Apart from writing: an error of ours must not look like one of the network.
                with self._doing(Operation.GET, key.name):
                    data = next(chunks, b"")
                if not data:
                    return
                local_files.write_all(descriptor, data)
                received(len(data))

    def list(self) -> Iterator[StoredFile]:
        try:
            with self._doing(Operation.LIST, ""):
                for found in self._client.walk_blobs(name_starts_with=self._prefix, delimiter="/"):
                    if isinstance(found, BlobProperties) and (name := found.name[len(self._prefix) :]):
                        yield _told(name, found)
        except NoPlace:
            return

    def stat(self, key: Key) -> StoredFile:
        with self._doing(Operation.STAT, key.name):
            return _told(key.name, self._blob(key.name).get_blob_properties())

    def delete(self, key: Key) -> None:
        try:
            with self._doing(Operation.DELETE, key.name):
                self._blob(key.name).delete_blob()
        except NotFound:
            return

    def close(self) -> None:
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        with self._doing(Operation.READ_RANGE, key.name):
            if not size:
                self._blob(key.name).get_blob_properties()
                return b""
            try:
                data: bytes = self._blob(key.name).download_blob(start, size, validate_content=_MD5).readall()
            except HttpResponseError as error:
                if error.status_code != 416:
                    raise
                return b""
        return data

    def copy(self, source: Key, target: Key) -> StoredFile:
        """Of 256 MiB at most: only those the service copies at once, whole or not at all."""
        with self._doing(Operation.COPY, source.name):
            self._blob(target.name).start_copy_from_url(**self._readable(source.name), requires_sync=True)
        return self.stat(target)

    def create(self, key: Key, content: bytes) -> None:
        with self._doing(Operation.CREATE, key.name):
            self._make_container()
            self._blob(key.name).upload_blob(content, overwrite=False, validate_content=_MD5)

    def delete_many(self, keys: Iterable[Key]) -> Iterator[Key]:
        wanted = [*keys]
        for first in range(0, len(wanted), _BATCH):
            yield from self._delete_batch(wanted[first : first + _BATCH])

    def warm_up(self, keys: Iterable[Key]) -> Warming:
        warm: list[Key] = []
        coming: list[Key] = []
        for key in keys:
            warmth = self.stat(key).warmth
            if warmth is Warmth.COLD:
                with self._doing(Operation.WARM_UP, key.name):
                    self._blob(key.name).set_standard_blob_tier(StandardBlobTier.HOT)
            (warm if warmth is Warmth.WARM else coming).append(key)
        return Warming(tuple(warm), tuple(coming), None)

    @property
    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = container_client(
                    self._container,
                    self._settings,
                    largest_put=self._largest_put,
                    transfers=_TRAITS.parallel * (1 + self._parts_at_once),
                )
            return self._made

    def _blob(self, name: str) -> Any:
        if "\\" in (path := self._prefix + name):
            reason = "Azure takes a backslash for a slash; use another --file-prefix or folder"
            raise Unsupported(f"{name} cannot be at {self._place}: {reason}", name=name)
        path.encode()  # in time for an error to be about the name
        return self._client.get_blob_client(path)

    def _doing(self, operation: Operation, name: str) -> Any:
        return translating(operation, name=name, place=self._place)

    def _make_container(self) -> None:
        """Once a run, as duplicity does; asked for first, since not every key may make one."""
        with self._lock:
            if self._is_there:
                return
            try:
                next(iter(self._client.list_blob_names(results_per_page=1)), None)
            except ResourceNotFoundError:
                try:
                    self._client.create_container()
                except ResourceExistsError as error:
                    if error_code(error) != "ContainerAlreadyExists":
                        raise
            self._is_there = True

    def _send(self, key: Key, descriptor: int, size: int, *, sent: ByteCounter) -> StoredFile:
        with self._doing(Operation.PUT, key.name):
            self._make_container()
            tier = tier_of(self._options, key.role)
            if size <= self._largest_put:
                content = Piece(descriptor, 0, size, sent=sent).read()
                return self._put_whole(key.name, content, tier=tier)
            self._put_parts(key.name, descriptor, size, tier=tier, sent=sent)
        stored = self.stat(key)
        local_files.require_size(stored.size, size, operation=Operation.PUT, name=key.name)
        return stored

    def _put_whole(self, name: str, content: bytes, *, tier: StandardBlobTier | None) -> StoredFile:
        """What the service answers once the MD5 is right: no need to ask again."""
        answer = self._blob(name).upload_blob(content, overwrite=True, standard_blob_tier=tier, validate_content=_MD5)
        return _stored(name, len(content), answer["last_modified"], md5=answer["content_md5"], tier=tier)

    def _put_parts(
        self, name: str, descriptor: int, size: int, *, tier: StandardBlobTier | None, sent: ByteCounter
    ) -> None:
        # Nobody else's parts have these names, so that two writers never mix; they are as long as those of the library,
        # which a killed duplicity may have left: the service takes only one length for the parts of a file.
        writer = uuid.uuid4().hex
        blob = self._blob(name)
        send = partial(_put_part, blob, descriptor, writer)
        done = []
        with Crew() as crew:
            parts = parts_of(size, wanted=self._part, most=_MOST_PARTS)
            for part in crew.ordered_map(send, parts, workers=self._parts_at_once, name="part"):
                sent(part.size)
                done.append(_part_name(writer, part))
        blob.commit_block_list(done, standard_blob_tier=tier, validate_content=_MD5)

    def _readable(self, name: str) -> dict[str, str]:
        """The arguments that let the service itself read a file."""
        client = self._client
        url = self._blob(name).url
        credential: Any = client.credential
        if key := getattr(credential, "account_key", None):
            token = generate_blob_sas(
                client.account_name,
                self._container,
                self._prefix + name,
                account_key=key,
                permission=BlobSasPermissions(read=True),
                expiry=datetime.fromtimestamp(SystemClock().now() + _READABLE, UTC),
            )
            return {"source_url": f"{url}?{token}"}
        if hasattr(credential, "get_token"):
            token = credential.get_token("https://storage.azure.com/.default").token
            return {"source_url": url, "source_authorization": f"Bearer {token}"}
        return {"source_url": url}  # it has a token in it

    def _delete_batch(self, keys: Sequence[Key]) -> Iterator[Key]:
        by_name = {self._prefix + key.name: key for key in keys}
        with self._doing(Operation.DELETE, ""):
            answers = [*self._client.delete_blobs(*by_name, raise_on_any_failure=False)]
        for key, answer in zip(keys, answers, strict=True):
            # One that the service would not delete together with others says by itself why.
            if answer.status_code not in {202, 404}:
                self.delete(key)
            yield key


def _put_part(blob: Any, descriptor: int, writer: str, part: Part) -> Part:
    body = Piece(descriptor, part.start, part.size)
    blob.stage_block(_part_name(writer, part), body, length=part.size, validate_content=_MD5, retry_total=_PART_RETRIES)
    return part


def _part_name(writer: str, part: Part) -> str:
    return f"{writer}{part.number:016}"


def _told(name: str, found: BlobProperties) -> StoredFile:
    stored = _stored(
        name, found.size, found.last_modified, md5=found.content_settings.content_md5, tier=found.blob_tier
    )
    return replace(stored, warmth=Warmth.WARMING) if found.archive_status else stored


def _stored(
    name: str, size: int, modified: datetime, *, md5: bytes | bytearray | None, tier: StandardBlobTier | str | None
) -> StoredFile:
    warmth = Warmth.COLD if tier == StandardBlobTier.ARCHIVE else Warmth.WARM
    digests = (Digest(DigestName.MD5, bytes(md5)),) if md5 else ()
    return StoredFile(name, size, int(modified.timestamp()), digests=digests, warmth=warmth)

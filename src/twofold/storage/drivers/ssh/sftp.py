"""sftp://, scp:// and their kin: files on a host that lets us in by SSH, moved by SFTP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from twofold.storage import local_files
from twofold.storage.drivers.ssh.fetching import Fetching, writer
from twofold.storage.drivers.ssh.link import Link
from twofold.storage.drivers.ssh.options import SshTarget
from twofold.storage.drivers.ssh.place import Place, Source
from twofold.storage.drivers.ssh.session import CHANNELS, Session
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Atomicity, ByteCounter, Key, Operation, StoredFile, StoreTraits, ignore_bytes
from twofold.storage.url import StorageUrl

_TRAITS: Final = StoreTraits(parallel=CHANNELS, atomic_put=Atomicity.BY_RENAME)


class SftpStore:
    """A Store on an SFTP server; also CanReadRange, CanCopy, CanCreateExclusive and CanReportSpace.

    A copy needs copy-data of the server, a creation its hard links: Unsupported where it has not got them.
    """

    def __init__(self, target: SshTarget) -> None:
        self._place = Place(target)
        self._link = Link(target, explain=self._place.explain)

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> SftpStore:
        return cls(SshTarget.of(url, settings))

    @property
    def traits(self) -> StoreTraits:
        return _TRAITS

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)
        opened = Source(descriptor, size)
        try:
            return self._link.do(
                Operation.PUT,
                key.name,
                lambda session, moved: self._place.put(session, key.name, opened, moved),
                told=sent,
            )
        finally:
            os.close(descriptor)

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        path = self._place.path(key.name)
        fetching = self._link.do(Operation.GET, key.name, lambda session, _: Fetching.begin(session, path))
        try:
            with local_files.arriving(target, size=fetching.size, name=key.name) as descriptor:
                self._link.do(
                    Operation.GET,
                    key.name,
                    lambda _, moved: fetching.receive(writer(descriptor, target), moved),
                    told=received,
                    session=fetching.session,
                )
        finally:
            self._link.tidy(fetching.end)

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        async def read(session: Session, _: ByteCounter) -> bytes:
            fetching = await Fetching.begin(session, self._place.path(key.name), most=1)
            try:
                content = bytearray(max(0, min(size, fetching.size - start)))

                def take(piece: bytes, offset: int) -> None:
                    content[offset : offset + len(piece)] = piece

                await fetching.receive(take, ignore_bytes, start=start, size=len(content))
                return bytes(content)
            finally:
                await fetching.end()

        return self._link.do(Operation.READ_RANGE, key.name, read)

    def list(self) -> Iterator[StoredFile]:
        return iter(self._link.do(Operation.LIST, "", lambda session, _: self._place.list(session)))

    def stat(self, key: Key) -> StoredFile:
        return self._link.do(Operation.STAT, key.name, lambda session, _: self._place.stat(session, key.name))

    def delete(self, key: Key) -> None:
        self._link.do(Operation.DELETE, key.name, lambda session, _: self._place.delete(session, key.name))

    def copy(self, source: Key, target: Key) -> StoredFile:
        return self._link.do(
            Operation.COPY, source.name, lambda session, _: self._place.copy(session, source.name, target.name)
        )

    def create(self, key: Key, content: bytes) -> None:
        self._link.do(Operation.CREATE, key.name, lambda session, _: self._place.create(session, key.name, content))

    def free_bytes(self) -> int | None:
        return self._link.do(Operation.FREE_BYTES, "", lambda session, _: self._place.free_bytes(session))

    def close(self) -> None:
        self._link.close()

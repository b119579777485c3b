"""A store in memory: for tests, and the shortest example of a driver.

No URL leads here, because its files end with the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from twofold.errors import AlreadyExists, NoSpace, NotFound
from twofold.storage import local_files
from twofold.storage.store import Atomicity, ByteCounter, Key, Operation, StoredFile, StoreTraits, ignore_bytes

_TRAITS = StoreTraits(parallel=4, atomic_put=Atomicity.BY_NATURE)


class _Claim(bytes):
    """A content told from every equal one by identity, which plain bytes are not: short ones are shared."""


class MemoryStore:
    """A Store in a dictionary; also CanMove, CanReadRange, CanCopy, CanCreateExclusive, CanDeleteMany, CanReportSpace.

    Stores made with the same `files` (name to content) see the same place, and a test may look into it. `capacity` is
    in bytes. Every change is one operation on the dictionary, which the interpreter makes safe between threads.
    """

    def __init__(self, files: dict[str, bytes] | None = None, *, capacity: int | None = None) -> None:
        self.files: dict[str, bytes] = {} if files is None else files
        self._capacity = capacity

    @property
    def traits(self) -> StoreTraits:
        return _TRAITS

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        return self._take(source, key, operation=Operation.PUT, sent=sent)

    def move(self, source: str, key: Key) -> StoredFile:
        stored = self._take(source, key, operation=Operation.MOVE, sent=ignore_bytes)
        with local_files.translating(Operation.MOVE, name=key.name, path=source):
            os.unlink(source)
        return stored

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        content = self._content(key, Operation.GET)
        with local_files.arriving(target, size=len(content), name=key.name) as descriptor:
            local_files.write_all(descriptor, content)
            received(len(content))

    def list(self) -> Iterator[StoredFile]:
        return iter([StoredFile(name, len(content)) for name, content in self.files.copy().items()])

    def stat(self, key: Key) -> StoredFile:
        return StoredFile(key.name, len(self._content(key, Operation.STAT)))

    def delete(self, key: Key) -> None:
        self.files.pop(key.name, None)

    def close(self) -> None:
        """Nothing to give back."""

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        return self._content(key, Operation.READ_RANGE)[start : start + size]

    def copy(self, source: Key, target: Key) -> StoredFile:
        return self._keep(target, self._content(source, Operation.COPY), Operation.COPY)

    def create(self, key: Key, content: bytes) -> None:
        self._require_room(key, len(content), Operation.CREATE)
        ours = _Claim(content)
        if self.files.setdefault(key.name, ours) is not ours:
            message = f"{key.name} exists already"
            raise AlreadyExists(message, name=key.name, operation=Operation.CREATE.value)

    def delete_many(self, keys: Iterable[Key]) -> Iterator[Key]:
        for key in keys:
            self.delete(key)
            yield key

    def free_bytes(self) -> int | None:
        return None if self._capacity is None else max(0, self._capacity - self._used())

    def _take(self, source: str, key: Key, *, operation: Operation, sent: ByteCounter) -> StoredFile:
        descriptor, size = local_files.open_source(source, operation, name=key.name)
        content = bytearray()
        try:
            with local_files.translating(operation, name=key.name, path=source):
                while piece := os.read(descriptor, local_files.CHUNK):
                    content += piece
                    sent(len(piece))
        finally:
            os.close(descriptor)
        local_files.require_size(len(content), size, operation=operation, name=key.name)
        return self._keep(key, bytes(content), operation)

    def _keep(self, key: Key, content: bytes, operation: Operation) -> StoredFile:
        self._require_room(key, len(content), operation)
        self.files[key.name] = content
        return StoredFile(key.name, len(content))

    def _content(self, key: Key, operation: Operation) -> bytes:
        try:
            return self.files[key.name]
        except KeyError as error:
            raise NotFound(f"No file {key.name} in memory", name=key.name, operation=operation.value) from error

    def _used(self) -> int:
        return sum(len(content) for content in self.files.copy().values())

    def _require_room(self, key: Key, size: int, operation: Operation) -> None:
        room = self.free_bytes()
        if room is not None and size > room + len(self.files.get(key.name, b"")):
            message = f"{key.name} needs {size} bytes and {room} are left"
            raise NoSpace(message, name=key.name, operation=operation.value)

"""gio+…:// as a Store: written under a temporary name, its size compared, and moved to its own.

What a server's protocol cannot say GVfs cannot promise: some of its backends remove the old file before the new one
gets the name, and none can be told to write to the disk at once.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote

from twofold.concurrency import exclusion
from twofold.errors import Forbidden, MissingLibrary, NoPlace, NotFound, StorageError, Unsupported
from twofold.storage import local_files
from twofold.storage.drivers.gio.session import QUIET, Gio, Location
from twofold.storage.part_names import PartNames, is_unfinished
from twofold.storage.processes import Silence
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Atomicity, ByteCounter, Key, Operation, StoredFile, StoreTraits, ignore_bytes
from twofold.storage.url import StorageUrl

_TRAITS: Final = StoreTraits(parallel=2, atomic_put=Atomicity.BY_RENAME)
_SIZE: Final = re.compile(r"^ *standard::size: (\d+)$", re.MULTILINE)
_REGULAR: Final = re.compile(r"^ *standard::type: 1$", re.MULTILINE)
_PIECE: Final = 1 << 16
_MOMENT: Final = 5.0
"""Seconds that clearing up may take where people wait for the end."""
_FREE: Final = re.compile(r"^ *filesystem::free: (\d+)$", re.MULTILINE)


class _Listed(NamedTuple):
    name: str
    size: int
    is_file: bool


_Listing = list[_Listed]


class GioStore:
    """A Store that GVfs reaches; also CanReportSpace."""

    def __init__(self, gio: Gio) -> None:
        self._gio = gio
        self._names = PartNames()
        self._preparing = exclusion()
        self._is_prepared = False
        self._seen = False

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> GioStore:
        """Raises InvalidUrl."""
        return cls(Gio(Location.of(url, settings), settings))

    @property
    def traits(self) -> StoreTraits:
        return _TRAITS

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        final = self._uri(Operation.PUT, key.name)
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)
        try:
            self._prepare()
            part_name = self._names.new()
            try:
                part = self._gio.location.uri(part_name)
                self._send(key.name, part, descriptor, size=size, sent=sent)
                stored = self._info(Operation.PUT, key.name, part)
                local_files.require_size(stored, size, operation=Operation.PUT, name=key.name)
                self._name(key.name, part, final)
            except BaseException:
                self._names.abandon(part_name)
                raise
        finally:
            os.close(descriptor)
        self._seen = True
        return StoredFile(key.name, size)

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        before = self.stat(key).size
        uri = self._uri(Operation.GET, key.name)
        silence = Silence(self._gio.timeout)
        with local_files.arriving(target, size=None, name=key.name) as descriptor:
            told = 0

            def take(piece: bytes) -> None:
                nonlocal told
                local_files.write_all(descriptor, piece)
                told += len(piece)
                received(len(piece))

            self._gio.run(
                *("cat", uri),
                operation=Operation.GET,
                name=key.name,
                output=take,
                watch=lambda: silence.look(told),
            )
            if told != before:  # replaced meanwhile, perhaps
                local_files.require_size(told, self.stat(key).size, operation=Operation.GET, name=key.name)

    def list(self) -> Iterator[StoredFile]:
        found = self._look(Operation.LIST)
        if found is None:
            if self._seen:
                raise self._no_place(Operation.LIST, "")
            found = []
        self._names.see(file.name for file in found)
        return (StoredFile(file.name, file.size) for file in found if file.is_file and not is_unfinished(file.name))

    def stat(self, key: Key) -> StoredFile:
        try:
            return StoredFile(key.name, self._info(Operation.STAT, key.name, self._uri(Operation.STAT, key.name)))
        except NotFound:
            raise
        except StorageError:
            found = self._look(Operation.STAT)
            if found is None:
                raise self._no_place(Operation.STAT, key.name) from None
            if all(file.name != key.name for file in found):
                raise self._not_found(Operation.STAT, key.name) from None
            raise

    def delete(self, key: Key) -> None:
        uri = self._uri(Operation.DELETE, key.name)
        try:
            self._gio.run("remove", uri, operation=Operation.DELETE, name=key.name)
        except StorageError:
            with contextlib.suppress(NotFound):
                self.stat(key)
                raise
            if self._seen and self._look(Operation.DELETE) is None:
                raise self._no_place(Operation.DELETE, key.name) from None

    def free_bytes(self) -> int | None:
        words = ("info", "--filesystem", "--attributes=filesystem::free", self._gio.location.uri())
        try:
            found = _FREE.search(self._gio.run(*words, operation=Operation.FREE_BYTES))
        except StorageError:
            if self._look(Operation.FREE_BYTES) is None:
                return None
            raise
        return int(found[1]) if found else None

    def close(self) -> None:
        self._sweep()
        self._gio.close()

    def _uri(self, operation: Operation, name: str) -> str:
        if not name.isascii():
            try:
                name.encode()
            except UnicodeEncodeError as error:
                message = f"GVfs takes names in UTF-8 only: {name!r}"
                raise Unsupported(message, name=name, operation=operation.value) from error
        return self._gio.location.uri(name)

    def _send(self, name: str, uri: str, descriptor: int, *, size: int, sent: ByteCounter) -> None:
        silence = Silence(self._gio.timeout)
        told = 0

        def pieces() -> Iterator[bytes]:
            nonlocal told
            for piece in local_files.pieces_of(descriptor, operation=Operation.PUT, name=name, size=_PIECE):
                yield piece
                told += len(piece)
                sent(len(piece))

        def watch() -> None:
            # The last pieces are still on their way to the server.
            silence.look(told, times=1 if told < size else QUIET)

        self._gio.run("save", uri, operation=Operation.PUT, name=name, feed=pieces(), watch=watch)

    def _name(self, name: str, part: str, final: str) -> None:
        """Gives a file its name.

        NB: `gio rename` never replaces; `gio move` does, but GVfs 1.50 loses a connection to a WebDAV server by each
        and hangs when it has lost thirty.
        """
        if not name.startswith("-"):  # gio would take it for an option
            try:
                self._gio.run("rename", part, name, operation=Operation.PUT, name=name)
            except StorageError:
                if not self._is_there(name, final):
                    raise
            else:
                return
        moving = ("move", "--no-target-directory", "--no-copy-fallback", part, final)
        self._gio.run(*moving, operation=Operation.PUT, name=name)

    def _is_there(self, name: str, uri: str) -> bool:
        with contextlib.suppress(StorageError):
            self._info(Operation.PUT, name, uri)
            return True
        return False

    def _info(self, operation: Operation, name: str, uri: str) -> int:
        """The size of a file. Raises NotFound for what is none."""
        words = ("info", "--attributes=standard::size,standard::type", uri)
        said = self._gio.run(*words, operation=operation, name=name)
        size = _SIZE.search(said)
        if size is None or not _REGULAR.search(said):
            raise self._not_found(operation, name)
        return int(size[1])

    def _look(self, operation: Operation) -> _Listing | None:
        """What is at the place; None when there is no place."""
        try:
            found = self._listing(operation, above=0)
        except (Forbidden, MissingLibrary):
            raise
        except StorageError:
            if self._is_absent(operation, above=0):
                return None
            raise
        self._seen = True
        return found

    def _is_absent(self, operation: Operation, *, above: int) -> bool:
        """Whether what is above a directory does not list it: GVfs says why it failed in its user's language."""
        location = self._gio.location
        if above == location.depth:
            return False
        try:
            names = {file.name for file in self._listing(operation, above=above + 1)}
        except StorageError:
            return self._is_absent(operation, above=above + 1)
        return unquote(os.path.basename(location.uri(above=above)), errors="surrogateescape") not in names

    def _listing(self, operation: Operation, *, above: int) -> _Listing:
        words = ("list", "--hidden", "--print-uris", "--attributes=standard::size,standard::type")
        said = self._gio.run(*words, self._gio.location.uri(above=above), operation=operation)
        lines = (line.split("\t") for line in said.split("\n") if line)
        return [
            _Listed(unquote(line[0].rpartition("/")[2], errors="surrogateescape"), int(line[1]), line[2] == "(regular)")
            for line in lines
        ]

    def _prepare(self) -> None:
        """Before the first put makes the place, and removes what we and dead processes have left."""
        with self._preparing:
            if not self._is_prepared:
                self.list()
                if not self._seen:
                    for above in reversed(range(self._gio.location.depth)):
                        with contextlib.suppress(StorageError):
                            self._gio.run("mkdir", self._gio.location.uri(above=above), operation=Operation.PUT)
                    if self._look(Operation.PUT) is None:
                        raise self._no_place(Operation.PUT, "")
                self._is_prepared = True
        self._sweep()

    def _sweep(self) -> None:
        """Removes what is unfinished and nobody's; a backup must not fail by what resists."""
        if names := self._names.take_abandoned():
            uris = [self._gio.location.uri(name) for name in names]
            with contextlib.suppress(StorageError):
                self._gio.run("remove", "--force", *uris, operation=Operation.DELETE, limit=_MOMENT)

    def _not_found(self, operation: Operation, name: str) -> NotFound:
        return NotFound(f"No file {name} at {self._gio.location.uri()}", name=name, operation=operation.value)

    def _no_place(self, operation: Operation, name: str) -> NoPlace:
        message = f"No directory {self._gio.location.uri()} (is the path right and the disk mounted?)"
        return NoPlace(message, name=name, operation=operation.value)

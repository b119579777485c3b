"""Files on their way from one store to another: fetched and checked on one side, stored and checked on the other.

Nothing is decrypted. A file whose hash is on record is sent only if it has that hash; of any other, what the target has
afterwards is read back and compared with what was sent.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

from twofold import system
from twofold.collection.sets import FoundFile
from twofold.concurrency import Crew
from twofold.errors import BadVolume, Forbidden, Incomplete, NoPlace, NotFound, StorageError, TwofoldError
from twofold.format.manifest import VolumeRecord
from twofold.model.value import value
from twofold.monitor import BadDownload, Monitor
from twofold.repository.repository import file_digest
from twofold.storage import unfinished
from twofold.storage.store import ByteCounter, CanOpenInPlace, DigestName, Key, Store, StoredFile, ability

_BY_STORES: Final = {DigestName.SHA256: "SHA256", DigestName.SHA1: "SHA1", DigestName.MD5: "MD5"}
_STRENGTH: Final = ("SHA256", "SHA1", "MD5")


@value
class Hash:
    """What a file's bytes have to give, in lower case hexadecimal."""

    algorithm: str
    digits: str


class LostFile(TwofoldError):
    """A single file at the source cannot be had."""


class ReadyFile(NamedTuple):
    """A file that may be sent. `temporary` ones are removed afterwards; `recorded`: the hash is that of a manifest."""

    file: FoundFile
    path: str
    temporary: bool
    hash: Hash
    recorded: bool


class PresentFile(NamedTuple):
    """A file that the target has already, with this content."""

    file: FoundFile


@contextmanager
def at(side: str) -> Iterator[None]:
    """Lets an error of a store tell which of the two it comes from."""
    try:
        yield
    except StorageError as error:
        error.args = (f"At the {side}: {error}",)
        raise


class Scratch:
    """A folder for files on their way, which vanishes with the crew; those of killed processes are removed first."""

    def __init__(self, temp_dir: str, crew: Crew) -> None:
        with suppress(OSError):  # it may be one that cannot be listed
            unfinished.sweep(temp_dir, owner=os.geteuid())
        staging = unfinished.Staging.make(temp_dir)
        if staging is not None:
            self._folder = staging.path
            crew.afterwards(staging.remove)
        else:  # there are no locks
            self._folder = system.scratch_name(temp_dir)
            os.mkdir(self._folder, 0o700)
            crew.afterwards(self._remove)

    def fetch(self, store: Store, file: FoundFile, side: str) -> tuple[str, bool]:
        """A local path with the stored bytes, and whether it is a copy to be removed. Raises what stores raise."""
        key = Key(file.meaning.role, file.name)
        with at(side):
            in_place = ability(store, CanOpenInPlace)
            if in_place is not None:
                return in_place.open_local(key), False
            path = system.scratch_name(self._folder)
            store.get(key, path)
            return path, True

    def _remove(self) -> None:
        for name in os.listdir(self._folder):
            os.unlink(os.path.join(self._folder, name))
        os.rmdir(self._folder)


class Target:
    """The side that is written to; `listed` is what it said of its files at the beginning."""

    def __init__(self, store: Store, listed: Mapping[str, StoredFile], scratch: Scratch) -> None:
        self._store = store
        self._listed = listed
        self._scratch = scratch

    def size_of(self, file: FoundFile) -> int | None:
        """Of the file of that name; None where there is none."""
        listed = self._listed.get(file.name)
        return None if listed is None else listed.size

    def fetch(self, file: FoundFile) -> tuple[str, bool]:
        """As Scratch does it."""
        return self._scratch.fetch(self._store, file, "target")

    def has(self, file: FoundFile, wanted: Hash) -> bool:
        """Whether there is that file with that content, by a hash of the store's own or by reading it."""
        listed = self._listed.get(file.name)
        if listed is None or listed.size != file.size:
            return False
        told = _told(listed, wanted)
        return self._reads(file, wanted) if told is None else told

    def put(self, ready: ReadyFile, counter: ByteCounter) -> int:
        """Stores a file and sees to it that it has arrived; gives its size. Raises Incomplete when it has not."""
        key = Key(ready.file.meaning.role, ready.file.name)
        with at("target"):
            stored = self._store.put(key, ready.path, sent=counter)
        sound = stored.size == os.path.getsize(ready.path) and _told(stored, ready.hash) is not False
        if sound and (ready.recorded or self._reads(ready.file, ready.hash)):
            return stored.size
        with at("target"):
            self._store.delete(key)  # what is left there would pass for a whole file
            raise Incomplete(f"{key.name} has not arrived as it was sent; try again", name=key.name, operation="put")

    def _reads(self, file: FoundFile, wanted: Hash) -> bool:
        try:
            path, temporary = self.fetch(file)
        except NotFound:
            return False
        try:
            return file_digest(path, wanted.algorithm) == wanted.digits
        finally:
            if temporary:
                os.unlink(path)


class Source:
    """The side that is read."""

    def __init__(self, store: Store, scratch: Scratch, *, attempts: int, monitor: Monitor) -> None:
        self._store = store
        self._scratch = scratch
        self._attempts = attempts
        self._monitor = monitor

    def fetch(self, file: FoundFile) -> tuple[str, bool]:
        """A local path with the stored bytes, and whether it is a copy to be removed. Raises LostFile."""
        try:
            return self._scratch.fetch(self._store, file, "source")
        except NoPlace:
            raise  # all has gone
        except (NotFound, Forbidden) as error:
            raise LostFile(str(error)) from error

    def volume(self, candidates: Sequence[FoundFile], record: VolumeRecord, target: Target) -> ReadyFile | PresentFile:
        """The candidate with the hash on record. Raises BadVolume when there is none, as often as that was tried."""
        wanted = _strongest(record)
        if wanted is None:
            name = candidates[0].name
            raise BadVolume(f"The manifest has no hash that can be checked for {name}", name=name)
        for file in candidates:
            if target.has(file, wanted):
                return PresentFile(file)
        for file in candidates:
            for _ in range(self._attempts):
                path, temporary = self.fetch(file)
                found = self._digest(path, wanted.algorithm)
                if found == wanted.digits:
                    return ReadyFile(file, path, temporary, wanted, recorded=True)
                self._monitor.report(BadDownload(file.name, wanted.algorithm, found, wanted.digits))
                if not temporary:
                    break  # the same file would only be read again
                os.unlink(path)
        raise BadVolume(f"Hash mismatch for: {candidates[-1].name}", name=candidates[-1].name)

    def unrecorded(self, file: FoundFile, target: Target) -> ReadyFile | PresentFile:
        """A file whose hash is not on record, of a set that does not count at the target: pieces there may be torn."""
        path, temporary = self.fetch(file)
        return self.fetched(file, path, target, temporary=temporary)

    def fetched(self, file: FoundFile, path: str, target: Target, *, temporary: bool) -> ReadyFile | PresentFile:
        """The same of one that has been fetched already. Raises LostFile where the target's is surely not torn."""
        size = os.path.getsize(path)
        if not size:
            raise LostFile(f"At the source: {file.name} is empty")
        if (target.size_of(file) or 0) > size:
            raise LostFile(differing(file, size, target))
        ready = self.ready(file, path, temporary=temporary)
        if not target.has(file, ready.hash):
            return ready
        if temporary:
            os.unlink(path)
        return PresentFile(file)

    def ready(self, file: FoundFile, path: str, *, temporary: bool) -> ReadyFile:
        """One that has been fetched, to be sent whatever the target has."""
        return ReadyFile(file, path, temporary, Hash("SHA256", self._digest(path, "SHA256")), recorded=False)

    def _digest(self, path: str, algorithm: str) -> str:
        try:
            return file_digest(path, algorithm)
        except PermissionError as error:
            raise LostFile(f"At the source: cannot read {path}: {error.strerror}") from error


def differing(file: FoundFile, size: int | None, target: Target) -> str:
    """What is said of a file that is not replaced, since nothing proves which of the two is damaged."""
    return (
        f"{file.name} has {size} bytes at the source and {target.size_of(file)} at the target, where it is left as it "
        "is: one of the two is damaged. Delete that one and copy again, from the side that is whole"
    )


def same_content(source: tuple[Store, FoundFile], target: tuple[Store, FoundFile], scratch: Scratch) -> bool:
    """Whether the two sides have the same bytes in these files, which are read whole. Raises NotFound and others."""
    digests = []
    for side, (store, file) in (("source", source), ("target", target)):
        path, temporary = scratch.fetch(store, file, side)
        digests.append(file_digest(path, "SHA256"))
        if temporary:
            os.unlink(path)
    return digests[0] == digests[1]


def _strongest(record: VolumeRecord) -> Hash | None:
    found = ((algorithm, record.hash_of(algorithm)) for algorithm in _STRENGTH)
    return next((Hash(algorithm, digits) for algorithm, digits in found if digits is not None), None)


def _told(stored: StoredFile, wanted: Hash) -> bool | None:
    """Whether a store's own hash is the one that is wanted; None where it tells none of that kind."""
    for digest in stored.digests:
        if _BY_STORES.get(digest.name) == wanted.algorithm:
            return digest.value.hex() == wanted.digits
    return None

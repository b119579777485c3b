"""One backup target as the operations see it: a store, envelopes, the archive directory, the names of its files.

What is fetched is checked against the manifest's hash before a byte of it is decoded, and an encrypted file has been
decrypted and found authentic as a whole before its first byte is handed out (envelope/protocol.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from twofold import system
from twofold.collection.collection import Collection, build_collection
from twofold.collection.sets import FoundFile, find_files
from twofold.concurrency import heed, spawn
from twofold.envelope.ending import check_ending
from twofold.envelope.protocol import Envelope, Inside, Opened
from twofold.errors import (
    BadVolume,
    CorruptStream,
    Forbidden,
    NeedsWarmUp,
    NotFound,
    TwofoldError,
    UserError,
    WrongSigner,
)
from twofold.format.manifest import VolumeRecord
from twofold.format.names import NameCodec
from twofold.model.backup import FileRole, StoredName, Wrapping
from twofold.model.times import format_asctime
from twofold.model.value import value
from twofold.monitor import BadDownload, Monitor
from twofold.repository.archive_dir import ArchiveDir
from twofold.storage.store import (
    CanMove,
    CanOpenInPlace,
    CanSeeWriters,
    CanStage,
    CanWarmUp,
    Key,
    Store,
    StoredFile,
    Warmth,
    ability,
)

T = TypeVar("T")

_READ_SIZE: Final = 1 << 20
_LONGEST_NAME: Final = 200
_IN_PLACE: Final = 2
"""Files of this machine that are opened at once: it is gpg that takes the time."""
_FILES_OF_A_SET: Final = 3
"""The least: one volume, the signatures, the manifest."""
_STRENGTH: Final = ("SHA256", "SHA1", "MD5")


@value
class RepositoryOptions:
    """`attempts` is how often a file with a wrong hash is fetched; `temp_dir` where fetched files lie for a moment.

    No more than `transfers` files are on their way at once, fewer where the store gains nothing from more. With
    `signatures_demanded` files that nobody can have signed are refused; the envelope checks the others.
    """

    temp_dir: str
    attempts: int = 5
    transfers: int = 1
    check_remote: bool = True
    signatures_demanded: bool = False


class Repository:
    """All access of the operations to one target. Reading may be done from several threads at once."""

    def __init__(
        self,
        store: Store,
        archive_dir: ArchiveDir,
        *,
        envelopes: Mapping[Wrapping, Envelope],
        written: Wrapping,
        options: RepositoryOptions,
        monitor: Monitor,
    ) -> None:
        """`written` is the wrapping that new files get; `envelopes` has one for every wrapping that can be read."""
        self.store = store
        self.archive_dir = archive_dir
        self.codec: NameCodec = archive_dir.codec
        self.options = options
        self.written = written
        self._envelopes = envelopes
        self._has_begun_set = False
        self._cold: set[str] = set()
        self.monitor = monitor

    @property
    def envelope(self) -> Envelope:
        """What new files are wrapped in."""
        return self._envelopes[self.written]

    def envelope_for(self, wrapping: Wrapping) -> Envelope:
        """What opens files of a wrapping. Raises UserError when this run cannot read it."""
        try:
            return self._envelopes[wrapping]
        except KeyError:
            raise UserError(f"Files ending in {wrapping.value} cannot be read with these options") from None

    def close(self) -> None:
        """Ends what waits in the background and lets the target go; may be called twice."""
        for envelope in self._envelopes.values():
            envelope.close()
        self.store.close()

    def collection(self) -> Collection:
        """What is there now, at the target and in the archive directory."""
        local = find_files(self.archive_dir.list(), self.codec.parse)
        if not self.options.check_remote:
            return build_collection(remote=_as_if_remote(local), local=local)
        listed = [*self.store.list()]
        self._cold = {file.name for file in listed if file.warmth is not Warmth.WARM}
        sizes = ((file.name, file.size) for file in listed)
        return build_collection(remote=find_files(sizes, self.codec.parse), local=local)

    def require_warm(self, files: Iterable[FoundFile]) -> None:
        """Asks for those that lie in cold storage, by the last collection, all at once.

        Raises NeedsWarmUp as long as any of them is on its way.
        """
        cold = [Key(file.meaning.role, file.name) for file in files if file.name in self._cold]
        warmer = ability(self.store, CanWarmUp)
        if not cold or warmer is None:
            return
        warming = warmer.warm_up(cold)
        if warming.coming:
            many, when = len(warming.coming), "the service does not say when, mostly within hours"
            if warming.ready_at is not None:
                when = f"by {format_asctime(warming.ready_at)} they can be read"
            text = (
                f"{many} of the files that are needed {'lies' if many == 1 else 'lie'} in cold storage. All that are "
                f"needed have been asked for, and {when}: run the same command again then"
            )
            raise NeedsWarmUp(text, ready_at=warming.ready_at)

    def stored_name(self, meaning: StoredName) -> str:
        return self.codec.format(meaning)

    def written_wrapping(self, role: FileRole) -> Wrapping:
        """What a new file of that role ends in: manifests are wrapped only to be encrypted (docs/format.md 2.1)."""
        if role is FileRole.MANIFEST and self.written is Wrapping.GZIP:
            return Wrapping.PLAIN
        return self.written

    def staging_directory(self) -> str:
        """Where files for the target are built: on its own file system if it has one here."""
        return self.target_staging() or self.options.temp_dir

    def target_staging(self) -> str | None:
        """A directory for files in the making on the target's own file system; None if that is not here."""
        stage = ability(self.store, CanStage)
        return stage.staging_directory() if stage is not None else None

    def uploads_at_once(self, size: int) -> int:
        """How many files of `size` bytes are to be on their way to the target at once.

        One, where they are built on its own disk and only get their names.
        """
        return 1 if self.target_staging() is not None else self._transfers(size)

    def downloads_at_once(self, size: int) -> int:
        """How many files of `size` bytes are to be fetched or opened ahead of their reader."""
        return _IN_PLACE if ability(self.store, CanOpenInPlace) is not None else self._transfers(size)

    def _transfers(self, size: int) -> int:
        """As many as pay with this store, within the options and half of what is free for temporary files."""
        free = system.free_bytes(self.options.temp_dir)
        fitting = self.options.transfers if free is None or not size else free // (2 * size) - 1
        return max(1, min(self.store.traits.parallel, self.options.transfers, fitting))

    def begin_set(self) -> None:
        """Does ahead what writing a backup set will have to wait for. May be called twice, but only the first time
        counts. What nobody uses ends with `close`.
        """
        if not self._has_begun_set:
            self._has_begun_set = True
            self.envelope.prepare(_FILES_OF_A_SET, self.staging_directory())

    def hand_over(self, path: str, meaning: StoredName) -> StoredFile:
        """Stores a finished local file, which is gone afterwards; in a thread of a crew, while that is not left."""
        key = Key(meaning.role, self.codec.format(meaning))
        mover = ability(self.store, CanMove)
        if mover is not None:
            return mover.move(path, key)
        stored = self.store.put(key, path, sent=heed)
        os.unlink(path)
        return stored

    def refuse_beside_writer(self) -> None:
        """Raises UserError when another process is storing files at the target: what is unfinished there is its own."""
        seen = ability(self.store, CanSeeWriters)
        if seen is not None and seen.has_other_writer():
            raise UserError(
                "Another backup is being written to this target, maybe the one that has no manifest there, so nothing "
                "is deleted. Wait until it has ended"
            )

    def delete(self, files: Iterable[FoundFile]) -> None:
        """Deletes files at the target, in the order given."""
        for file in files:
            self.store.delete(Key(file.meaning.role, file.name))

    def open_file(self, file: FoundFile, *, to_its_end: bool = False) -> Opened:
        """Fetches and opens a file that has no hash on record: a manifest or signatures. Raises NotFound and others.

        With `to_its_end` nothing may follow what it is wrapped in, which else counts for nothing: CorruptStream.
        """
        path, temporary = self._fetch(file)
        try:
            if to_its_end:
                check_ending(path, file.meaning.wrapping, name=file.name)
            return self.open_fetched(file, path)
        except OSError as error:
            if temporary or error.filename != path:
                raise
            raise Forbidden(f"Cannot read {path}: {error.strerror}", name=file.name, operation="get") from error
        finally:
            if temporary:
                os.unlink(path)

    def open_fetched(self, file: FoundFile, path: str) -> Opened:
        """Opens a file without a hash on record whose stored bytes are at a local path."""
        try:
            return self._envelope_of(file).open(path)
        except CorruptStream as error:
            raise CorruptStream(f"{file.name}: {error}", error.log) from error

    def open_volume(
        self, candidates: Sequence[FoundFile], record: VolumeRecord, inside: Inside | None = None
    ) -> Opened:
        """Fetches and opens a volume: the candidate whose size and hash are those on record. `inside` as for envelopes.

        Raises BadVolume when none is, after as many downloads as the options allow, and NotFound when there is none.
        """

        def examine(file: FoundFile, path: str, temporary: bool) -> Opened | BadVolume:
            return self._open_checked(file, path, record, inside, temporary=temporary)

        return self._first_sound(candidates, record, examine)

    def check_volume(self, candidates: Sequence[FoundFile], record: VolumeRecord) -> int:
        """Fetches a volume and compares it with its record, without opening it; gives its bytes. Raises the same."""

        def examine(file: FoundFile, path: str, temporary: bool) -> int | BadVolume:
            fault = self._fault(file.name, path, record, temporary=temporary)
            return os.stat(path).st_size if fault is None else fault

        return self._first_sound(candidates, record, examine)

    def _first_sound(
        self,
        candidates: Sequence[FoundFile],
        record: VolumeRecord,
        examine: Callable[[FoundFile, str, bool], T | BadVolume],
    ) -> T:
        if not candidates:
            raise NotFound(f"Volume {record.number} is not at the target", operation="get")
        failure: BadVolume | None = None
        for file in candidates:
            for _ in range(self.options.attempts):
                path, temporary = self._fetch(file)
                try:
                    found = examine(file, path, temporary)
                    if not isinstance(found, BadVolume):
                        return found
                    failure = found
                finally:
                    if temporary:
                        os.unlink(path)
                if not temporary:
                    break  # the same file would only be read again
        assert failure is not None
        raise failure

    def _open_checked(
        self, file: FoundFile, path: str, record: VolumeRecord, inside: Inside | None, *, temporary: bool
    ) -> Opened | BadVolume:
        """The opened file, or what is wrong with its hash.

        gpg works while the hash is taken. What it says counts, and what it made is read, only if the hash is right.
        """
        check = spawn(lambda: self._fault(file.name, path, record, temporary=temporary), name="hash")
        try:
            opened = self._envelope_of(file).open(path, inside)
        except (TwofoldError, OSError):
            fault = check.join()
            if fault is None:
                raise
            return fault
        finally:
            check.wait()
        with contextlib.ExitStack() as unless_sound:
            unless_sound.callback(opened.close)
            fault = check.join()
            if fault is None:
                unless_sound.pop_all()
        return opened if fault is None else fault

    def _envelope_of(self, file: FoundFile) -> Envelope:
        wrapping = file.meaning.wrapping
        if self.options.signatures_demanded and wrapping not in (Wrapping.GPG, Wrapping.GPGSM):
            # Else whoever can write to the target could put unsigned files in the place of signed ones.
            raise WrongSigner(f"{file.name} is not encrypted and so not signed, but a signature is demanded")
        return self.envelope_for(wrapping)

    def _fetch(self, file: FoundFile) -> tuple[str, bool]:
        """A local path with the stored bytes, and whether it is a temporary copy that the caller removes."""
        key = Key(file.meaning.role, file.name)
        in_place = ability(self.store, CanOpenInPlace)
        if in_place is not None:
            return in_place.open_local(key), False
        # With the name at its end, since what is said of the copy is to be understood of the file.
        path = f"{system.scratch_name(self.options.temp_dir)}-{file.name[-_LONGEST_NAME:]}"
        self.store.get(key, path, received=heed)
        return path, True

    def _fault(self, name: str, path: str, record: VolumeRecord, *, temporary: bool) -> BadVolume | None:
        algorithm = next((each for each in _STRENGTH if record.hash_of(each) is not None), None)
        if algorithm is None:
            return BadVolume(f"The manifest has no hash that can be checked for {name}", name=name)
        expected = record.hash_of(algorithm)
        try:
            found = file_digest(path, algorithm)
        except OSError as error:
            if temporary:
                raise
            return BadVolume(f"Cannot read {name}: {error.strerror}", name=name)
        if found == expected:
            return None
        self.monitor.report(BadDownload(name, algorithm, found, expected or ""))
        return BadVolume(f"Hash mismatch for: {name}", name=name)


def file_digest(path: str, algorithm: str) -> str:
    """The hexadecimal digest of a file's bytes; works without the interpreter lock."""
    digest = hashlib.new(algorithm.lower(), usedforsecurity=False)
    buffer = memoryview(bytearray(_READ_SIZE))
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def read_whole(opened: Opened, *, limit: int) -> bytes:
    """All bytes of a small opened file, which is closed. Raises UserError above `limit` bytes."""
    try:
        content = opened.read(limit + 1)
    finally:
        opened.close()
    if len(content) > limit:
        raise UserError(f"A metadata file is larger than {limit} bytes and is not read")
    return content


def _as_if_remote(local: Iterable[FoundFile]) -> tuple[FoundFile, ...]:
    """With the target unasked, what the archive directory holds whole is taken to be there too."""
    return tuple(file for file in local if not file.meaning.partial)

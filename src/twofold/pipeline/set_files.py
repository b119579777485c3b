"""The files of a backup set beside its volumes: signatures, manifest, and their copies in the archive directory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import BinaryIO, Final, NamedTuple

from isal import isal_zlib

from twofold import system
from twofold.concurrency import Ledger
from twofold.envelope.gzip import open_gzip
from twofold.envelope.protocol import Envelope, Sealer
from twofold.errors import CorruptStream
from twofold.format.manifest import FileChange, VolumeRecord, filelist_bytes, volume_bytes
from twofold.model.backup import FileRole, SetId, StoredName, Wrapping
from twofold.pipeline.checkpoint import ListMark
from twofold.repository.archive_dir import AppendOnlyFile, ArchiveDir, Beside
from twofold.repository.repository import Repository
from twofold.storage.store import StoredFile

_PIECE: Final = 1 << 20
_WORDS: Final = {FileChange.NEW: b"n", FileChange.CHANGED: b"c", FileChange.DELETED: b"d"}
_CHANGES: Final = {word: change for change, word in _WORDS.items()}


class EarlierSignatures(NamedTuple):
    """The beginning of a signature tar that an interrupted run has left: so many bytes of what is in a gzip file."""

    path: str
    size: int
    crc: int

    def pieces(self) -> Iterator[bytes]:
        """Those bytes. Raises CorruptStream unless they are what was written, OSError."""
        opened = open_gzip(self.path)
        try:
            left, crc = self.size, 0
            while left:
                piece = opened.read(min(left, _PIECE))
                if not piece:
                    break
                left -= len(piece)
                crc = isal_zlib.crc32(piece, crc)
                yield piece
        finally:
            opened.close()
        if left or crc != self.crc:
            raise CorruptStream(f"The unfinished signature file {self.path} is damaged")


class SignatureFiles:
    """The signature tar on its way into two files: gzipped for the archive directory, wrapped for the target."""

    def __init__(
        self, repository: Repository, set_id: SetId, *, written: Ledger, earlier: EarlierSignatures | None = None
    ) -> None:
        """`written` is told the CRC-32 of the tar for each size at which it stands; the tar begins with `earlier`."""
        self._repository = repository
        self._set_id = set_id
        self._written = written
        self._earlier = earlier
        self._local: Envelope = repository.envelope_for(Wrapping.GZIP)
        self._remote: Envelope = repository.envelope
        self._local_path = repository.archive_dir.scratch()
        self._kept_path = repository.archive_dir.path_beside(Beside.SIGNATURES, set_id)
        self._remote_path = ""
        self._sealers: list[Sealer] = []

    def write(self, pieces: Iterable[bytes]) -> None:
        """Takes all of the tar; both files are whole and durable when this returns."""
        try:
            self._write(pieces if self._earlier is None else chain(self._earlier.pieces(), pieces))
        except BaseException:
            self._written.cancel()
            raise
        for sealer in self._sealers:
            sealer.finish()

    def _write(self, pieces: Iterable[bytes]) -> None:
        self._remote_path = system.scratch_name(self._repository.staging_directory())
        local = self._local.create(self._local_path)
        self._sealers.append(local)
        remote = self._remote.create(self._remote_path)
        self._sealers.append(remote)
        size = crc = 0
        self._written.report(size, crc)
        for data in pieces:
            pressed = self._local.compress(data)
            local.write(pressed)
            remote.feed_raw(data)
            remote.write(pressed if self._remote is self._local else self._remote.compress(data))
            size += len(data)
            crc = isal_zlib.crc32_combine(crc, pressed.crc, len(data))
            self._written.report(size, crc)

    def keep(self, size: int) -> int:
        """Brings the first `size` bytes of the tar to the disk, to stay there however the run ends; gives their CRC-32.

        That many have been written, or will be by and by, as one or more whole pieces. Raises Cancelled.
        """
        crc = self._written.wait(size)
        self._repository.archive_dir.install(self._local_path, self._kept_path)
        self._local_path = self._kept_path
        return crc

    def commit(self) -> StoredFile:
        """Hands the one to the target."""
        meaning = StoredName(self._set_id, FileRole.SIGNATURES, self._repository.written_wrapping(FileRole.SIGNATURES))
        return self._repository.hand_over(self._remote_path, meaning)

    def install(self) -> None:
        """The set is complete at the target: gives the local copy its name."""
        archive_dir = self._repository.archive_dir
        archive_dir.install(self._local_path, archive_dir.signature_path(self._set_id))

    def abort(self) -> None:
        """Removes what was neither committed nor kept; may be called any time."""
        for sealer in self._sealers:
            sealer.abort()
        for path in (self._local_path, self._remote_path):
            if path and path != self._kept_path:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)


class ChangeList:
    """The regular files of a set, for the manifest's list, spooled in a file."""

    def __init__(
        self, archive_dir: ArchiveDir, set_id: SetId, *, wanted: bool, earlier: ListMark | None = None
    ) -> None:
        """Goes on with the list that an interrupted run has kept up to `earlier`."""
        self._archive_dir = archive_dir
        self._kept_path = archive_dir.path_beside(Beside.CHANGES, set_id)
        self._path = archive_dir.scratch() if earlier is None else self._kept_path
        self._mark = earlier or ListMark()
        self._wanted = wanted
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._file: BinaryIO | None = os.fdopen(descriptor, "r+b", buffering=_PIECE)
        self._file.truncate(self._mark.size)
        self._file.seek(self._mark.size)

    def add(self, change: FileChange, paths: Sequence[bytes]) -> None:
        """The next files, in archive order, all of which have undergone the same."""
        if self._wanted and self._file is not None:
            word = _WORDS[change]
            content = b"".join([b"%b%b\0" % (word, path) for path in paths])
            self._file.write(content)
            count, size, crc = self._mark
            self._mark = ListMark(count + len(paths), size + len(content), isal_zlib.crc32(content, crc))

    def mark(self) -> ListMark:
        """How far the list has come; `keep` keeps at least as much. To be called by the thread that adds."""
        if self._file is not None:
            self._file.flush()
        return self._mark

    def keep(self) -> None:
        """Brings the list to the disk, to stay there however the run ends."""
        self._archive_dir.install(self._path, self._kept_path)
        self._path = self._kept_path

    def lines(self) -> Iterator[bytes]:
        """The list as the manifest has it."""
        return filelist_bytes(self._mark.entries, self._entries())

    def _entries(self) -> Iterator[tuple[FileChange, bytes]]:
        if self._file is None:
            return
        self._file.seek(0)
        rest = b""
        while block := self._file.read(_PIECE):
            *entries, rest = (rest + block).split(b"\0")
            for entry in entries:
                yield _CHANGES[entry[:1]], entry[1:]

    def close(self) -> None:
        """Removes the file unless it was kept."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()  # on a full disk it cannot write what is left in its buffer
            self._file = None
            if self._path != self._kept_path:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path)


def is_kept(archive_dir: ArchiveDir, set_id: SetId, mark: ListMark) -> bool:
    """Whether an interrupted run has left a list of changed files that begins as the mark says."""
    crc, left = 0, mark.size
    try:
        with open(archive_dir.path_beside(Beside.CHANGES, set_id), "rb") as file:
            while left and (block := file.read(min(left, _PIECE))):
                crc = isal_zlib.crc32(block, crc)
                left -= len(block)
    except OSError:
        return False
    return not left and crc == mark.crc


class ManifestFiles:
    """The manifest in the making, and the files by which a run that follows knows of a set that is unfinished.

    NB: the partial manifest speaks of no volume. duplicity goes on with a set at the first volume that is not there or
    not listed, and makes the rest of a large file its own way: another delta, of other parts. It begins anew when fewer
    volumes are listed than are at the target (docs/format.md 10.4). What is there, checkpoint.py tells.
    """

    def __init__(
        self, repository: Repository, set_id: SetId, *, header: bytes, records: Iterable[VolumeRecord] = ()
    ) -> None:
        """`records` are of the volumes that an interrupted run has stored."""
        self._repository = repository
        self._set_id = set_id
        self._header = header
        self._records = [*records]
        self._has_begun = bool(self._records)
        self._scratch = ""

    @property
    def _partial_path(self) -> str:
        return self._repository.archive_dir.manifest_path(self._set_id, partial=True)

    def begin(self) -> None:
        """A volume is about to be sent: what lies at the target from now on was begun here, however this run ends.

        That is said by the partial signature file, beside which alone duplicity looks at an unfinished incremental.
        """
        if not self._has_begun:
            archive_dir = self._repository.archive_dir
            for name, _ in [*archive_dir.list()]:
                # Of runs that ended before their first volume was there: the lock is held, so nobody makes these.
                meaning = archive_dir.codec.parse(name)
                if meaning is not None and meaning.partial and meaning.set_id != self._set_id:
                    archive_dir.remove(name)
            AppendOnlyFile(archive_dir.signature_path(self._set_id, partial=True)).close()
            archive_dir.sync()
            self._has_begun = True

    def add(self, record: VolumeRecord) -> None:
        """A volume is at the target. The partial manifest comes into being with the first one, as duplicity expects."""
        if not self._records:
            self._repository.archive_dir.write(self._partial_path, self._header)
        self._records.append(record)

    def commit(self, changes: ChangeList) -> None:
        """Makes the manifest and stores it: from then on the set is there."""
        self._scratch = self._repository.archive_dir.scratch()
        path = system.scratch_name(self._repository.staging_directory())
        wrapping = self._repository.written_wrapping(FileRole.MANIFEST)
        envelope = self._repository.envelope_for(wrapping)
        sealer = envelope.create(path)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open(self._scratch, flags, 0o600), "wb") as copy:
                for block in self._blocks(changes):
                    copy.write(block)
                    sealer.feed_raw(block)
                    sealer.write(envelope.compress(block))
            sealer.finish()
            self._repository.hand_over(path, StoredName(self._set_id, FileRole.MANIFEST, wrapping))
        finally:
            sealer.abort()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _blocks(self, changes: ChangeList) -> Iterator[bytes]:
        pieces, size = [self._header], len(self._header)
        for piece in chain(map(volume_bytes, self._records), changes.lines()):
            if size >= _PIECE:
                yield b"".join(pieces)
                pieces, size = [], 0
            pieces.append(piece)
            size += len(piece)
        yield b"".join(pieces)

    def install(self) -> None:
        """Gives the local copy its name, and removes what only an interrupted run would leave."""
        archive_dir = self._repository.archive_dir
        archive_dir.install(self._scratch, archive_dir.manifest_path(self._set_id))
        for each in (archive_dir.signature_path(self._set_id, partial=True), self._partial_path):
            archive_dir.remove(os.path.basename(each))

    def close(self) -> None:
        """Removes the copy if the manifest has not been stored; may be called any time."""
        if self._scratch:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._scratch)

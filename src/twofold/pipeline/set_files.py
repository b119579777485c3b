"""The files of a backup set beside its volumes: signatures, manifest, and their copies in the archive directory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, Final

from twofold import system
from twofold.envelope.protocol import Envelope, Sealer
from twofold.format.manifest import FileChange, VolumeRecord, filelist_bytes, header_bytes, volume_bytes
from twofold.model.backup import FileRole, SetId, StoredName, Wrapping
from twofold.repository.archive_dir import AppendOnlyFile
from twofold.repository.repository import Repository
from twofold.storage.store import StoredFile

_PIECE: Final = 1 << 20
_WORDS: Final = {FileChange.NEW: b"n", FileChange.CHANGED: b"c", FileChange.DELETED: b"d"}
_CHANGES: Final = {word: change for change, word in _WORDS.items()}


class SignatureFiles:
    """The signature tar on its way into two files: gzipped for the archive directory, wrapped for the target."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._local: Envelope = repository.envelope_for(Wrapping.GZIP)
        self._remote: Envelope = repository.envelope
        self._local_path = repository.archive_dir.scratch()
        self._remote_path = ""
        self._sealers: list[Sealer] = []

    def write(self, pieces: Iterable[bytes]) -> None:
        """Takes all of the tar; both files are whole and durable when this returns."""
        self._remote_path = system.scratch_name(self._repository.staging_directory())
        local = self._local.create(self._local_path)
        self._sealers.append(local)
        remote = self._remote.create(self._remote_path)
        self._sealers.append(remote)
        for data in pieces:
            pressed = self._local.compress(data)
            local.write(pressed)
            remote.feed_raw(data)
            remote.write(pressed if self._remote is self._local else self._remote.compress(data))
        for sealer in self._sealers:
            sealer.finish()

    def commit(self, set_id: SetId) -> StoredFile:
        """Hands the one to the target, then gives the other its name."""
        meaning = StoredName(set_id, FileRole.SIGNATURES, self._repository.written_wrapping(FileRole.SIGNATURES))
        stored = self._repository.hand_over(self._remote_path, meaning)
        archive_dir = self._repository.archive_dir
        archive_dir.install(self._local_path, archive_dir.signature_path(set_id))
        return stored

    def abort(self) -> None:
        """Removes what was not committed; may be called any time."""
        for sealer in self._sealers:
            sealer.abort()
        for path in (self._local_path, self._remote_path):
            if path:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)


class ChangeList:
    """The regular files of a set, for the manifest's list, spooled in a file without a name."""

    def __init__(self, directory: str, *, wanted: bool) -> None:
        self._file: BinaryIO | None = os.fdopen(system.scratch_file(directory), "w+b", buffering=_PIECE)
        self._wanted = wanted
        self._count = 0

    def add(self, change: FileChange, paths: Sequence[bytes]) -> None:
        """The next files, in archive order, all of which have undergone the same."""
        if self._wanted and self._file is not None:
            word = _WORDS[change]
            self._file.write(b"".join([b"%b%b\0" % (word, path) for path in paths]))
            self._count += len(paths)

    def lines(self) -> Iterator[bytes]:
        """The list as the manifest has it."""
        return filelist_bytes(self._count, self._entries())

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
        if self._file is not None:
            self._file.close()
            self._file = None


class ManifestFiles:
    """The manifest in the making: a partial file in the archive directory that grows durably with every volume."""

    def __init__(self, repository: Repository, set_id: SetId, *, hostname: bytes, source: bytes) -> None:
        self._repository = repository
        self._set_id = set_id
        self._header = header_bytes(hostname, source)
        self._file: AppendOnlyFile | None = None
        self._has_begun = False

    def begin(self) -> None:
        """A volume is about to be sent: what lies at the target from now on was begun here, however this run ends.

        That is said by the partial signature file, beside which alone duplicity resumes an incremental
        (docs/format.md 10.4); without a partial manifest it deletes the set and starts over, as we do.
        """
        if not self._has_begun:
            archive_dir = self._repository.archive_dir
            for name, _ in [*archive_dir.list()]:
                # Of runs that ended before their first volume was there: the lock is held, so nobody makes these.
                if (meaning := archive_dir.codec.parse(name)) is not None and meaning.partial:
                    archive_dir.remove(name)
            AppendOnlyFile(archive_dir.signature_path(self._set_id, partial=True)).close()
            archive_dir.sync()
            self._has_begun = True

    def add(self, record: VolumeRecord) -> None:
        """A volume is at the target. The partial manifest comes into being with the first one, as duplicity expects."""
        archive_dir = self._repository.archive_dir
        if self._file is None:
            self._file = AppendOnlyFile(archive_dir.manifest_path(self._set_id, partial=True))
            self._file.append(self._header)
            archive_dir.sync()
        self._file.append(volume_bytes(record))

    def commit(self, changes: ChangeList) -> None:
        """Completes the manifest and stores it: from then on the set is there. Then the local copy gets its name."""
        assert self._file is not None
        archive_dir = self._repository.archive_dir
        for lines in changes.lines():
            self._file.append_softly(lines)
        self._file.append(b"")
        self._file.close()
        partial = archive_dir.manifest_path(self._set_id, partial=True)
        path = system.scratch_name(self._repository.staging_directory())
        wrapping = self._repository.written_wrapping(FileRole.MANIFEST)
        envelope = self._repository.envelope_for(wrapping)
        sealer = envelope.create(path)
        try:
            with open(partial, "rb") as manifest:
                while block := manifest.read(_PIECE):
                    sealer.feed_raw(block)
                    sealer.write(envelope.compress(block))
            sealer.finish()
            self._repository.hand_over(path, StoredName(self._set_id, FileRole.MANIFEST, wrapping))
        finally:
            sealer.abort()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        archive_dir.install(partial, archive_dir.manifest_path(self._set_id))
        archive_dir.remove(os.path.basename(archive_dir.signature_path(self._set_id, partial=True)))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

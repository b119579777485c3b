"""Opens what describes a set at the target, its manifest and its signatures, and compares them with the copies here.

A copy here is in use every day, one at the target on the day when all else is lost: a fault there shows nowhere else.
Nothing here or there is changed.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from twofold.collection.sets import BackupSet, FoundFile
from twofold.concurrency import Crew
from twofold.envelope.protocol import Opened
from twofold.errors import (
    CorruptManifest,
    CorruptStream,
    EnvelopeError,
    Forbidden,
    FormatError,
    KeyMissing,
    NotFound,
    PassphraseNeeded,
    WrongSigner,
)
from twofold.format.manifest import Manifest
from twofold.format.sigtar import read_members
from twofold.format.tar_reader import ByteSource, TarReader
from twofold.model.backup import FileRole, Wrapping
from twofold.model.relpath import order_key
from twofold.monitor import Monitor, Note
from twofold.operations.check_plan import Damage, fault_of_ranges
from twofold.repository.manifests import read_manifest
from twofold.repository.repository import Repository

_PIECE: Final = 1 << 20
_ENCRYPTED: Final = (Wrapping.GPG, Wrapping.GPGSM)
_DAMAGED: Final = (CorruptStream, FormatError, NotFound, Forbidden)
_DIFFERS: Final = "it is not the same as the copy in the archive directory, {}: one of the two is damaged"


class Metadata(NamedTuple):
    """What is known of one set; `manifest` is the copy here or else the one there, `other` the latter if it differs.

    `signatures_sound` says that the signature file there has been read whole; `copy` is the one here that equals it.
    `opened` are the files there that could be read.
    """

    backup_set: BackupSet
    manifest: Manifest | None
    other: Manifest | None
    signatures_sound: bool
    copy: FoundFile | None
    opened: tuple[FoundFile, ...]


class Findings(NamedTuple):
    """`unopened` are names of files for which there was no key."""

    sets: tuple[Metadata, ...]
    damages: tuple[Damage, ...]
    unopened: tuple[str, ...]


class _Examined(NamedTuple):
    """One file: what is wrong with it, or why it could not be decrypted.

    Of a manifest, `digest` is that of its bytes; of signatures, `last_key` is that of the last path, None if there is
    none, and `copy` the file here that is the same.
    """

    backup_set: BackupSet
    file: FoundFile
    manifest: Manifest | None = None
    digest: bytes = b""
    last_key: bytes | None = None
    copy: FoundFile | None = None
    reason: str | None = None
    refusal: EnvelopeError | None = None


def check_metadata(
    repository: Repository, sets: Sequence[BackupSet], *, demands_keys: bool, monitor: Monitor
) -> Findings:
    """Looks at all sets. Without a key the copies here must do, unless `demands_keys`.

    Raises EnvelopeError where the key for something that is needed is missing, or opens nothing at all; WrongSigner.
    """
    files = [(each, file) for each in sets for file in (*each.manifests[:1], *each.signatures[:1])]
    # The first one alone: where a passphrase is asked for and not given, it is asked for once.
    examined = [_examine(repository, *pair) for pair in files[:1]]
    with Crew(monitor=monitor) as crew:
        refusal = next((each.refusal for each in examined if isinstance(each.refusal, PassphraseNeeded)), None)

        def examine(pair: tuple[BackupSet, FoundFile]) -> _Examined:
            if refusal is not None and pair[1].meaning.wrapping in _ENCRYPTED:
                return _Examined(*pair, refusal=refusal)
            return _examine(repository, *pair)

        examined += crew.ordered_map(examine, files[1:], workers=repository.downloads_at_once(0), name="open")
    _require_keys(examined, demands_keys=demands_keys)
    damages = [_damage(each, each.reason) for each in examined if each.reason is not None]
    damages += [_damage(each, str(each.refusal)) for each in examined if _is_suspect(each)]
    found = []
    for backup_set in sets:
        of_set = [each for each in examined if each.backup_set is backup_set]
        metadata, more = _combined(repository, backup_set, of_set, monitor)
        if metadata.manifest is None:
            _require_manifest(of_set)
        found.append(metadata)
        damages += more
    unopened = tuple(each.file.name for each in examined if isinstance(each.refusal, KeyMissing))
    return Findings(tuple(found), tuple(damages), unopened)


def _is_suspect(each: _Examined) -> bool:
    return each.refusal is not None and not isinstance(each.refusal, KeyMissing)


def _require_keys(examined: Sequence[_Examined], *, demands_keys: bool) -> None:
    """If nothing at all can be decrypted, key or passphrase are wrong, and not every file is damaged."""
    encrypted = [each for each in examined if each.file.meaning.wrapping in _ENCRYPTED]
    refusals = [each.refusal for each in encrypted if each.refusal is not None]
    wrong = [error for error in refusals if not isinstance(error, KeyMissing)]
    if wrong and len(refusals) == len(encrypted):
        raise wrong[0]
    for each in examined:
        if isinstance(each.refusal, KeyMissing) and demands_keys:
            raise each.refusal


def _require_manifest(of_set: Sequence[_Examined]) -> None:
    """Where there is no key for the manifest, and no copy here that can be read, nothing of the set can be checked."""
    for each in of_set:
        if each.file.meaning.role is FileRole.MANIFEST and isinstance(each.refusal, KeyMissing):
            raise each.refusal


def _combined(
    repository: Repository, backup_set: BackupSet, of_set: Sequence[_Examined], monitor: Monitor
) -> tuple[Metadata, list[Damage]]:
    damages = []
    remote = next((each for each in of_set if each.file.meaning.role is FileRole.MANIFEST), None)
    signatures = next((each for each in of_set if each.file.meaning.role is FileRole.SIGNATURES), None)
    there = remote.manifest if remote is not None else None
    here, digest = _copy_of_manifest(repository, backup_set, monitor)
    if remote is not None and there is not None:
        faults = [_DIFFERS.format(backup_set.local_manifests[0].name)] if digest not in (b"", remote.digest) else []
        damages += [_damage(remote, reason) for reason in faults]
        damages += [_damage(remote, reason, costs_files=False) for reason in fault_of_ranges(there)]
    manifest = here or there
    if signatures is not None and signatures.reason is None and signatures.refusal is None:
        reason = _disagreement(backup_set, [each for each in (here, there) if each is not None], signatures.last_key)
        if reason is not None:
            signatures = signatures._replace(reason=reason)
            damages.append(_damage(signatures, reason))
    sound = signatures is not None and signatures.reason is None and signatures.refusal is None
    opened = tuple(each.file for each in of_set if each.refusal is None and each.reason is None)
    copy = signatures.copy if signatures is not None else None
    return Metadata(backup_set, manifest, there if there != manifest else None, sound, copy, opened), damages


def _disagreement(backup_set: BackupSet, manifests: Sequence[Manifest], last_key: bytes | None) -> str | None:
    """Why a signature file cannot be that of the manifest, by the last paths of both."""
    last = [each.volumes[-1].last.path for each in manifests if each.volumes]
    keys = [order_key(path) for path in last]
    if not last or last_key in keys:
        return None
    if last_key is None:
        # A backup that found nothing to do has a volume, but maybe nothing in it (docs/format.md section 4.6).
        is_empty = not backup_set.is_full and any(len(each.volumes) == 1 for each in manifests) and not any(last)
        return None if is_empty else "there is nothing in it"
    names = [(path or b".").decode(errors="backslashreplace") for path in (last_key.replace(b"\0", b"/"), last[0])]
    if last_key < min(keys):
        return f"its end is missing: it ends with {names[0]}, and the manifest with {names[1]}"
    return f"it ends with {names[0]}, and the manifest with {names[1]}: one of the two is damaged or of another backup"


def _copy_of_manifest(repository: Repository, backup_set: BackupSet, monitor: Monitor) -> tuple[Manifest | None, bytes]:
    """The manifest as it stands here, and the hash of its bytes; none if there is none that can be used."""
    for file in backup_set.local_manifests[:1]:
        path = repository.archive_dir.path_of(file.name)
        try:
            with open(path, "rb") as cached:
                source = _Hashed(cached)
                return read_manifest(source, path, backup_set), source.digest()
        except (CorruptManifest, OSError) as error:
            _tell_of_copy(file.name, error, monitor)
    return None, b""


def _tell_of_copy(name: str, error: Exception, monitor: Monitor) -> None:
    text = f"The copy in the archive directory, {name}, is damaged: {error}. Delete it, and it will be fetched again"
    monitor.report(Note(text, warning=True))


def _damage(each: _Examined, reason: str, *, costs_files: bool = True) -> Damage:
    role = each.file.meaning.role
    costs_files = costs_files and role is FileRole.MANIFEST
    return Damage(each.backup_set.id, role, each.file.name, reason, costs_files=costs_files)


def _examine(repository: Repository, backup_set: BackupSet, file: FoundFile) -> _Examined:
    try:
        if file.meaning.role is FileRole.MANIFEST:
            return _examine_manifest(repository, backup_set, file)
        return _examine_signatures(repository, backup_set, file)
    except WrongSigner:
        raise
    except _DAMAGED as error:
        return _Examined(backup_set, file, reason=str(error))
    except EnvelopeError as error:
        return _Examined(backup_set, file, refusal=error)
    except OSError as error:
        if error.errno != errno.EIO:  # any other, such as a full disk, is not the file's fault
            raise
        return _Examined(backup_set, file, reason=f"it cannot be read: {error.strerror}")


def _examine_manifest(repository: Repository, backup_set: BackupSet, file: FoundFile) -> _Examined:
    opened = repository.open_file(file, to_its_end=True)
    try:
        source = _Hashed(opened)
        return _Examined(backup_set, file, read_manifest(source, file.name, backup_set), source.digest())
    finally:
        opened.close()


def _examine_signatures(repository: Repository, backup_set: BackupSet, file: FoundFile) -> _Examined:
    """Reads a signature file to its end, beside the copy here if there is one."""
    opened = repository.open_file(file, to_its_end=True)
    try:
        beside = _Beside(opened, _open_copy(repository, backup_set), repository.monitor)
        try:
            last_key: bytes | None = None
            for member in read_members(TarReader(beside)):
                if member.fault is not None:
                    return _Examined(backup_set, file, reason=f"an entry in it {member.fault}")
                key = order_key(member.path)
                if last_key is not None and key <= last_key and member.path:  # COMPAT: duplicity <= 0.6: the root twice
                    return _Examined(backup_set, file, reason="an entry in it stands twice or in the wrong place")
                last_key = key
            while beside.read(_PIECE):
                pass
            differs = beside.differs()
        finally:
            beside.close()
    finally:
        opened.close()
    reason = _DIFFERS.format(beside.copy.name) if differs and beside.copy is not None else None
    return _Examined(backup_set, file, last_key=last_key, copy=beside.copy, reason=reason)


def _open_copy(repository: Repository, backup_set: BackupSet) -> tuple[FoundFile, Opened] | None:
    roles = (file for file in backup_set.local if file.meaning.role is FileRole.SIGNATURES)
    copy = next((file for file in roles if not file.meaning.partial), None)
    if copy is None:
        return None
    path = repository.archive_dir.path_of(copy.name)
    try:
        return copy, repository.envelope_for(copy.meaning.wrapping).open(path)
    except (EnvelopeError, OSError) as error:
        _tell_of_copy(copy.name, error, repository.monitor)
        return None


class _Hashed:
    """Hands a stream on while its bytes are hashed."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._hash = hashlib.blake2b(digest_size=32)

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._hash.update(data)
        return data

    def digest(self) -> bytes:
        """Of what has been read."""
        return self._hash.digest()


class _Beside:
    """Hands a stream on while it is compared with a `copy`. One that cannot be read is told of, and counts no more."""

    def __init__(self, opened: Opened, copy: tuple[FoundFile, Opened] | None, monitor: Monitor) -> None:
        self._opened = opened
        self.copy = None if copy is None else copy[0]
        self._copy = None if copy is None else copy[1]
        self._monitor = monitor
        self._differs = False

    def read(self, size: int) -> bytes:
        data = self._opened.read(size)
        self._compare(data, len(data))
        return data

    def differs(self) -> bool:
        """Whether the copy was another one; to be asked at the end."""
        self._compare(b"", 1)
        return self._differs

    def close(self) -> None:
        if self._copy is not None:
            self._copy.close()

    def _compare(self, data: bytes, size: int) -> None:
        if self._copy is None or self.copy is None:
            return
        try:
            self._differs = self._copy.read(size) != data or self._differs
        except (EnvelopeError, OSError) as error:
            _tell_of_copy(self.copy.name, error, self._monitor)
            self._copy.close()
            self._copy, self.copy, self._differs = None, None, False

"""Reads and caches manifests: only what stands before and after the list of changed files, which can be very long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from twofold.collection.sets import BackupSet
from twofold.envelope.protocol import Opened
from twofold.errors import CorruptManifest, NotFound
from twofold.format.manifest import Manifest, parse_manifest
from twofold.monitor import Note
from twofold.repository.repository import Repository

_READ_SIZE = 1 << 20
_LARGEST = 1 << 26
# There may be millions of such lines, so they are passed over by one search and not one by one.
_changes = re.compile(rb"(?:    (?:new|changed|deleted) [^\n]*+(?:\n|\Z))++").match
_heading = re.compile(rb"^Filelist [^\n]*+(?:\n|\Z)", re.MULTILINE).search


class _Source(Protocol):
    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, none at the end."""


def load_manifest(repository: Repository, backup_set: BackupSet) -> Manifest:
    """The manifest of a set: the cached copy, else the one at the target.

    Raises NotFound when there is none, CorruptManifest when it makes no sense, EnvelopeError when it cannot be opened.
    """
    for file in backup_set.local_manifests:
        path = repository.archive_dir.path_of(file.name)
        try:
            with open(path, "rb") as cached:
                return read_manifest(cached, path, backup_set)
        except (CorruptManifest, OSError) as error:
            if not backup_set.manifests:
                raise
            text = f"The cached manifest cannot be used; the one at the target is read instead: {error}"
            repository.monitor.report(Note(text, warning=True))
    return load_remote_manifest(repository, backup_set)


def load_cached_manifest(repository: Repository, backup_set: BackupSet) -> Manifest | None:
    """The manifest of a set if the archive directory has it. Raises CorruptManifest, OSError."""
    for file in backup_set.local_manifests:
        path = repository.archive_dir.path_of(file.name)
        with open(path, "rb") as cached:
            return read_manifest(cached, path, backup_set)
    return None


def load_remote_manifest(repository: Repository, backup_set: BackupSet) -> Manifest:
    """The manifest at the target, whatever is cached."""
    if not backup_set.manifests:
        raise NotFound("The backup set has no manifest at the target", operation="get")
    return _read_opened(repository.open_file(backup_set.manifests[0]), backup_set)


def read_fetched_manifest(repository: Repository, backup_set: BackupSet, path: str) -> Manifest:
    """The manifest of a set at the target, whose stored bytes have been fetched to a local path."""
    return _read_opened(repository.open_fetched(backup_set.manifests[0], path), backup_set)


def _read_opened(opened: Opened, backup_set: BackupSet) -> Manifest:
    try:
        return read_manifest(opened, backup_set.manifests[0].name, backup_set)
    finally:
        opened.close()


def read_manifest(source: _Source, name: str, backup_set: BackupSet | None) -> Manifest:
    """Reads a manifest to its end; it must list the volumes at the target, if the set is given. CorruptManifest."""
    try:
        content, has_list = _without_changes(_pieces(source))
        manifest = parse_manifest(content)
    except CorruptManifest as error:
        raise CorruptManifest(f"{name}: {error}") from error
    listed = {volume.number for volume in manifest.volumes}
    last = max(listed, default=0)
    unlisted = [] if backup_set is None else [number for number in backup_set.volumes if number not in listed]
    if not has_list and (manifest.format_version is not None or max(unlisted, default=0) > last):
        # COMPAT: duplicity <= 0.6: no closing list of changed files by which a manifest is known to be whole.
        raise CorruptManifest(f"{name} is cut short: its end is missing, and maybe volumes before it")
    if min(unlisted, default=last) < last:
        raise CorruptManifest(f"{name} is damaged: it does not list volume {min(unlisted)}, which is at the target")
    return manifest


def _pieces(source: _Source) -> Iterator[bytes]:
    """The manifest in pieces of whole lines."""
    rest = b""
    while block := source.read(_READ_SIZE):
        data = rest + block
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        if len(rest) > _READ_SIZE:
            raise CorruptManifest("A line of the manifest is longer than a MiB")
        if end:
            yield data[:end]
    if rest:
        yield rest


def _without_changes(pieces: Iterator[bytes]) -> tuple[bytes, bool]:
    """The manifest without its list of changed files, and whether it had one, which stands last."""
    kept = bytearray()  # not a list of lines: these may be made as short and as many as somebody likes
    listing = has_list = False
    for piece in pieces:
        start = 0
        while start < len(piece):
            if listing and (changes := _changes(piece, start)):
                start = changes.end()
                listing = start == len(piece)
                continue
            heading = _heading(piece, start)
            end = len(piece) if heading is None else heading.start()
            if len(kept) + end - start > _LARGEST:
                raise CorruptManifest(f"The manifest has more than {_LARGEST} bytes")
            kept += piece[start:end]
            listing = heading is not None
            has_list = has_list or listing
            start = end if heading is None else heading.end()
    return bytes(kept), has_list

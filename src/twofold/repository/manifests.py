"""Reads and caches manifests: only what stands before and after the list of changed files, which can be very long."""

from __future__ import annotations

from collections.abc import Iterator

from twofold.collection.sets import BackupSet
from twofold.envelope.protocol import Opened
from twofold.errors import CorruptManifest, NotFound
from twofold.format.manifest import Manifest, parse_manifest
from twofold.repository.repository import Repository

_READ_SIZE = 1 << 20
_LARGEST = 1 << 26
_CHANGES = (b"    new ", b"    changed ", b"    deleted ")


def load_manifest(repository: Repository, backup_set: BackupSet) -> Manifest:
    """The manifest of a set: the cached copy, else the one at the target.

    Raises NotFound when there is none, CorruptManifest when it makes no sense, EnvelopeError when it cannot be opened.
    """
    for file in backup_set.local_manifests:
        with open(repository.archive_dir.path_of(file.name), "rb") as cached:
            return parse_manifest(_without_changes(_lines(cached)))
    return load_remote_manifest(repository, backup_set)


def load_remote_manifest(repository: Repository, backup_set: BackupSet) -> Manifest:
    """The manifest at the target, whatever is cached."""
    if not backup_set.manifests:
        raise NotFound("The backup set has no manifest at the target", operation="get")
    opened = repository.open_file(backup_set.manifests[0])
    try:
        return parse_manifest(_without_changes(_lines(opened)))
    finally:
        opened.close()


def _lines(source: Opened) -> Iterator[bytes]:
    rest = b""
    while block := source.read(_READ_SIZE):
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > _READ_SIZE:
            raise CorruptManifest("A line of the manifest is longer than a MiB")
        for line in lines:
            yield line + b"\n"
    if rest:
        yield rest


def _without_changes(lines: Iterator[bytes]) -> bytes:
    kept = []
    size = 0
    listing = False
    for line in lines:
        if listing and line.startswith(_CHANGES):
            continue
        listing = line.startswith(b"Filelist ")
        if listing:
            continue
        size += len(line)
        if size > _LARGEST:
            raise CorruptManifest(f"The manifest has more than {_LARGEST} bytes")
        kept.append(line)
    return b"".join(kept)

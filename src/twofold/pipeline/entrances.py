"""Where reading may begin inside a volume: offsets of pieces, noted while a backup is made, and what stands there.

Every piece of a volume is inflated by itself (envelope/deflate.py), so whoever wants one path begins with the last
piece that begins before it. The list is a file of the archive directory beside the set's manifest, and only saves time:
what is missing, damaged or belongs to another volume is not used, and a volume in which something else stands at the
offset is read from its beginning. A list that leaves out too much is met as damage, never as the end. Layout,
little-endian:

    "twofold entrances 1\\n"
    a section a volume:  "<32sII": SHA-256 of the stored volume, number of entrances, length of the body
                         "<I": CRC-32 of these and the body
                         the body, deflated: a 64-bit offset an entrance, then their paths joined by NUL
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, cast

from isal import igzip_lib, isal_zlib

from twofold.collection.sets import BackupSet
from twofold.envelope.protocol import Inside
from twofold.errors import FormatError
from twofold.format.difftar import interpret
from twofold.format.manifest import VolumeRecord
from twofold.format.tar_reader import BLOCK, TarReader
from twofold.model.backup import SetId
from twofold.model.relpath import order_key
from twofold.repository.archive_dir import ArchiveDir

if TYPE_CHECKING:
    from twofold.pipeline.seal import Pressed  # loads what restores do without

_MAGIC: Final = b"twofold entrances 1\n"
_SECTION: Final = struct.Struct("<32sII")
_CHECKSUM: Final = struct.Struct("<I")
_LEVEL: Final = 2
# What is read in vain before a path: some 30 ms of work at most. A list takes 50 bytes for as much.
_GRAIN: Final = 2 << 20
# No member begins so: a stretch that ends before what it should end with is damaged, not at its end.
_CUT_HERE: Final = b"What follows has been left out by a list of entrances".ljust(BLOCK, b"\xff")
# isal's type stubs call the class an instance.
_DAMAGED: Final = (cast("type[Exception]", igzip_lib.IsalError), struct.error)


class Entrance(NamedTuple):
    """A piece of a volume: how many bytes of pieces come before it, and the path of its first member."""

    offset: int
    path: bytes


class Stretch(NamedTuple):
    """All pieces of a volume that can hold a path or something below it, and one that holds what comes behind them."""

    begin: Entrance
    end: int | None

    def inside(self) -> Inside:
        """The same for an envelope, which knows nothing of paths."""
        return Inside(self.begin.offset, self.end, lambda found: _first_path(found) == self.begin.path, _CUT_HERE)


class _Volume:
    """The entrances of a volume that is being made."""

    def __init__(self) -> None:
        self._packed = 0
        self._raw = 0
        self._raw_before = 0
        self.entrances: list[Entrance] = []

    def add(self, pressed: Pressed) -> None:
        first = pressed.chunk.first
        if first is not None:
            self._note(Entrance(self._packed, first.path))
        self._packed += len(pressed.piece.data)
        self._raw += pressed.chunk.used

    def _note(self, entrance: Entrance) -> None:
        """Of a large file, which takes many pieces, only the first and the last one are kept."""
        kept = self.entrances
        if len(kept) > 1 and kept[-1].path == kept[-2].path == entrance.path:
            kept[-1] = entrance
        elif kept and kept[-1].path != entrance.path and self._raw - self._raw_before < _GRAIN:
            return
        else:
            kept.append(entrance)
        self._raw_before = self._raw


class EntranceWriter:
    """Makes the list of one set. `watch` runs in one thread, the rest in another."""

    def __init__(self, archive_dir: ArchiveDir, *, wanted: bool) -> None:
        self._archive_dir = archive_dir
        self._wanted = wanted
        self._volumes: dict[int, _Volume] = {}
        self._file: BinaryIO | None = None
        self._path = ""

    def watch(self, pressed: Iterable[Pressed]) -> Iterator[Pressed]:
        """The same pieces, each noted on its way to where volumes are sealed."""
        if not self._wanted:
            return iter(pressed)
        return self._watched(pressed)

    def _watched(self, pressed: Iterable[Pressed]) -> Iterator[Pressed]:
        for each in pressed:
            if each.chunk.used:
                self._volumes.setdefault(each.chunk.volume, _Volume()).add(each)
            yield each

    def add(self, number: int, sha256: str) -> None:
        """A volume is at the target. Raises OSError."""
        volume = self._volumes.pop(number, None)
        if volume is None or len(volume.entrances) < 2:
            return  # read from its beginning anyway
        if self._file is None:
            self._path = self._archive_dir.scratch()
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(descriptor, "wb")
            self._file.write(_MAGIC)
        self._file.write(_section(bytes.fromhex(sha256), volume.entrances))

    def commit(self, set_id: SetId) -> None:
        """Gives the list its name; whether it reaches the disk does not matter. Raises OSError."""
        if self._file is not None:
            self._file.close()
            self._file = None
            os.replace(self._path, self._archive_dir.entrances_path(set_id))

    def abort(self) -> None:
        """Removes what was not committed; may be called any time."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)


def find_stretch(archive_dir: ArchiveDir, backup_set: BackupSet, record: VolumeRecord, path: bytes) -> Stretch | None:
    """What has to be read of a volume for `path`; None where that is not known, or nothing can be left out."""
    digest = record.hash_of("SHA256")
    if digest is None:
        return None
    entrances = _load(archive_dir.entrances_path(backup_set.id), bytes.fromhex(digest))
    return stretch_of(entrances, path)


def stretch_of(entrances: Sequence[Entrance], path: bytes) -> Stretch | None:
    """From the last entrance before the path to the second one behind it and all below it.

    Not from one that begins with the path itself, since that may be a later part of the file. The piece behind makes
    whoever reads the stretch see where the path ends.
    """
    if not _is_orderly(entrances):
        return None
    key = order_key(path)
    at = max(0, bisect_left(entrances, key, key=lambda each: order_key(each.path)) - 1)
    behind = bisect_left(entrances, key + b"\1", key=lambda each: order_key(each.path))
    end = entrances[behind + 1].offset if behind + 1 < len(entrances) else None
    return Stretch(entrances[at], end) if entrances[at].offset or end is not None else None


def _is_orderly(entrances: Sequence[Entrance]) -> bool:
    """Whether a volume can have these; one that began further on could leave out what is wanted."""
    if not entrances or entrances[0].offset:
        return False
    keys = [order_key(each.path) for each in entrances]
    ascending = all(one.offset < next_one.offset for one, next_one in pairwise(entrances))
    return ascending and all(one <= next_one for one, next_one in pairwise(keys))


def _section(digest: bytes, entrances: list[Entrance]) -> bytes:
    offsets = struct.pack(f"<{len(entrances)}Q", *(each.offset for each in entrances))
    body = isal_zlib.compress(offsets + b"\0".join([each.path for each in entrances]), _LEVEL)
    head = _SECTION.pack(digest, len(entrances), len(body))
    return head + _CHECKSUM.pack(isal_zlib.crc32(body, isal_zlib.crc32(head))) + body


def _load(path: str, digest: bytes) -> list[Entrance]:
    """The entrances of one volume; none where they are unknown or damaged."""
    try:
        with open(path, "rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                return []
            while len(head := file.read(_SECTION.size)) == _SECTION.size:
                found, count, length = _SECTION.unpack(head)
                if found == digest:
                    checksum, body = file.read(_CHECKSUM.size), file.read(length)
                    sound = checksum == _CHECKSUM.pack(isal_zlib.crc32(body, isal_zlib.crc32(head)))
                    return _parsed(body, count) if sound else []
                file.seek(_CHECKSUM.size + length, os.SEEK_CUR)
    except OSError:
        return []
    return []


def _parsed(body: bytes, count: int) -> list[Entrance]:
    try:
        content = isal_zlib.decompress(body)
        offsets = struct.unpack_from(f"<{count}Q", content)
    except _DAMAGED:
        return []
    paths = content[8 * count :].split(b"\0")
    if len(paths) != count:
        return []
    return [Entrance(*each) for each in zip(offsets, paths, strict=True)]


def _first_path(beginning: bytes) -> bytes | None:
    """The path of the member that some tar begins with."""
    try:
        found = TarReader(io.BytesIO(beginning)).next_member()
    except FormatError:
        return None
    if found is None:
        return None
    member = interpret(found)
    return member.path if member.fault is None else None

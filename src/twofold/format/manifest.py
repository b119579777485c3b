"""Manifests: which volumes a backup set has, which paths and hashes each of them (docs/format.md sections 3 and 16).

A manifest is written in pieces as volumes are finished, and read whole. Reading takes time linear in the size and
memory for the volumes only, unless the list of changed files is asked for. Hash values are lower case once read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from twofold.errors import CorruptManifest
from twofold.model.value import value

FORMAT_VERSION = 1
LINES_PER_PIECE = 1000

_NEEDS_QUOTES = re.compile(rb"[ \t\n\r\f\v\\\"']")
_QUOTED_BYTE = re.compile(rb"\\x([0-9a-fA-F]{2})")
_VOLUME_LINE = re.compile(rb"volume\s+([0-9]{1,18}):", re.IGNORECASE)
_UNINDENTED = re.compile(rb"\n(?=[^ \t\n\r\f\v])")


class BlockPosition(NamedTuple):
    """The first or last path of a volume; `block` is the number of the part, None for a whole file or its last part."""

    path: bytes
    block: int | None = None


@value
class VolumeRecord:
    """What the manifest says of one volume: `hashes` as (name, hexadecimal) of the stored file, `size` its bytes."""

    number: int
    first: BlockPosition
    last: BlockPosition
    hashes: tuple[tuple[str, str], ...]
    size: int | None = None

    def hash_of(self, name: str) -> str | None:
        """The recorded hash called `name` (SHA1, MD5, SHA256), in lower case hexadecimal."""
        for found, digits in self.hashes:
            if found == name:
                return digits
        return None


class FileChange(Enum):
    """What happened to a regular file, in the manifest's words."""

    NEW = "new"
    CHANGED = "changed"
    DELETED = "deleted"


@value
class Manifest:
    """One set's manifest. `file_changes` is None where it is absent or was not asked for.

    `format_version` counts what twofold adds (docs/format.md section 16); None in duplicity's manifests.
    """

    hostname: bytes | None
    source: bytes | None
    volumes: tuple[VolumeRecord, ...]
    file_changes: tuple[tuple[FileChange, bytes], ...] | None = None
    format_version: int | None = None


_CHANGE_LINES = {change: b"    %-7b  " % change.value.encode() for change in FileChange}
_CHANGE_WORDS = {change.value.encode(): change for change in FileChange}


def quote(path: bytes) -> bytes:
    """A path as the manifest writes it (section 3.1); the empty path is `.`."""
    if _NEEDS_QUOTES.search(path) is None:
        return path or b"."
    return b'"%b"' % _NEEDS_QUOTES.sub(lambda match: b"\\x%02x" % match[0][0], path)


def header_bytes(hostname: bytes | None, source: bytes | None, *, format_version: int | None = FORMAT_VERSION) -> bytes:
    """The lines before the first volume. ValueError for a host name that would break the line."""
    lines = []
    if hostname:
        if len(hostname.split()) != 1 or hostname.strip() != hostname:
            raise ValueError(f"Host name {hostname!r} holds white space")
        lines.append(b"Hostname %b\n" % hostname)
    if source is not None:
        lines.append(b"Localdir %b\n" % quote(source))
    if format_version is not None:
        lines.append(b"Twofold %d\n" % format_version)
    return b"".join(lines)


def volume_bytes(record: VolumeRecord) -> bytes:
    """The section of one volume."""
    lines = [
        b"Volume %d:\n" % record.number,
        b"    StartingPath   %b\n" % _position_bytes(record.first),
        b"    EndingPath     %b\n" % _position_bytes(record.last),
    ]
    lines += [f"    Hash {name} {digits}\n".encode() for name, digits in record.hashes]
    if record.size is not None:
        lines.append(b"    Size %d\n" % record.size)
    return b"".join(lines)


def filelist_bytes(count: int, changes: Iterable[tuple[FileChange, bytes]]) -> Iterator[bytes]:
    """The closing list of changed regular files, in pieces; `count` is how many `changes` there will be."""
    pieces = [b"Filelist %d\n" % count]
    for change, path in changes:
        pieces.append(b"%b%b\n" % (_CHANGE_LINES[change], quote(path)))
        if len(pieces) >= LINES_PER_PIECE:
            yield b"".join(pieces)
            pieces = []
    if pieces:
        yield b"".join(pieces)


def format_manifest(manifest: Manifest) -> bytes:
    """The whole manifest at once; without `file_changes` it is a partial one, to which sections can be added."""
    pieces = [header_bytes(manifest.hostname, manifest.source, format_version=manifest.format_version)]
    pieces += map(volume_bytes, manifest.volumes)
    if manifest.file_changes is not None:
        pieces += filelist_bytes(len(manifest.file_changes), manifest.file_changes)
    return b"".join(pieces)


def parse_manifest(data: bytes, *, with_file_changes: bool = False) -> Manifest:
    """Reads a manifest as section 3.2 has it, but accepts an empty host name and lines of blanks.

    Of volumes listed more than once the last section counts, and none above the last listed number: so a resumed
    backup overrides what an interrupted one had noted. Raises CorruptManifest, naming the line.
    """
    return _Parser(data, with_file_changes).parse()


def _position_bytes(position: BlockPosition) -> bytes:
    if position.block is None:
        return quote(position.path) + b"  "  # duplicity writes a blank for the missing number
    return b"%b %d" % (quote(position.path), position.block)


class _Parser:
    """Goes once through the lines; a volume's facts are collected until the next section begins."""

    def __init__(self, data: bytes, with_file_changes: bool) -> None:
        self._data = data
        self._with_file_changes = with_file_changes
        self._line_start = 0
        self._hostname: bytes | None = None
        self._source: bytes | None = None
        self._format_version: int | None = None
        self._volumes: dict[int, VolumeRecord] = {}
        self._changes: list[tuple[FileChange, bytes]] | None = None
        self._in_filelist = False
        self._number = 0
        self._section_start = 0
        self._first: BlockPosition | None = None
        self._last: BlockPosition | None = None
        self._hashes: dict[str, str] = {}
        self._size: int | None = None

    def parse(self) -> Manifest:
        data = self._data
        position, end = 0, len(data)
        while position < end:
            stop = data.find(b"\n", position)
            if stop < 0:
                stop = end
            self._line_start = position
            self._take_line(data[position:stop])
            position = stop + 1
            if self._in_filelist and not self._with_file_changes:
                # A million names are passed over here without making an object of each.
                found = _UNINDENTED.search(data, stop)
                position = found.end() if found is not None else end
        self._finish_volume()
        last_number = self._number
        return Manifest(
            hostname=self._hostname,
            source=self._source,
            volumes=tuple(record for record in self._volumes.values() if record.number <= last_number),
            file_changes=None if self._changes is None else tuple(self._changes),
            format_version=self._format_version,
        )

    def _take_line(self, line: bytes) -> None:
        words = line.split(None, 2)
        if not words:
            return
        if line[0] in b" \t\r\f\v":
            if self._in_filelist:
                self._take_change(words)
            elif self._number:
                self._take_volume_line(words[0].lower(), line)
            return
        word = words[0].lower()
        self._in_filelist = False
        if word in (b"hostname", b"localdir", b"twofold"):
            self._take_header_line(word, line[len(word) :].strip())
        elif word == b"volume":
            self._begin_volume(line)
        elif word == b"filelist":
            self._in_filelist = True
            if self._with_file_changes and self._changes is None:
                self._changes = []
        elif self._number:
            self._take_volume_line(word, line)

    def _take_header_line(self, word: bytes, value: bytes) -> None:
        if not value:
            return
        if word == b"hostname":
            self._hostname = self._hostname or value
        elif word == b"localdir":
            if self._source is None:
                self._source = self._unquoted(value)
        elif self._format_version is None and value.isdigit() and len(value) < 10:
            self._format_version = int(value)

    def _begin_volume(self, line: bytes) -> None:
        self._finish_volume()
        match = _VOLUME_LINE.match(line)
        number = int(match[1]) if match is not None else 0
        if not number:
            raise self._error(f"{line[:80]!r} is no volume number")
        self._number = number
        self._section_start = self._line_start
        self._first = self._last = self._size = None
        self._hashes = {}

    def _finish_volume(self) -> None:
        if not self._number:
            return
        if self._first is None or self._last is None:
            self._line_start = self._section_start
            raise self._error(f"volume {self._number} has no {'EndingPath' if self._first else 'StartingPath'}")
        self._volumes[self._number] = VolumeRecord(
            self._number, self._first, self._last, tuple(self._hashes.items()), self._size
        )

    def _take_volume_line(self, word: bytes, line: bytes) -> None:
        if word == b"startingpath":
            self._first = self._block_position(line.split(None, 3)[1:3])
        elif word == b"endingpath":
            self._last = self._block_position(line.split(None, 3)[1:3])
        elif word == b"hash":
            values = line.split(None, 3)[1:3]
            if len(values) < 2:
                raise self._error("a hash without value")
            self._hashes[values[0].decode("latin-1")] = values[1].decode("latin-1").lower()
        elif word == b"size":
            values = line.split(None, 2)[1:2]
            self._size = int(values[0]) if values and values[0].isdigit() and len(values[0]) < 19 else None

    def _take_change(self, words: list[bytes]) -> None:
        change = _CHANGE_WORDS.get(words[0].lower())
        if change is not None and len(words) > 1 and self._changes is not None:
            self._changes.append((change, self._unquoted(words[1])))

    def _block_position(self, values: list[bytes]) -> BlockPosition:
        if not values:
            raise self._error("a path is missing")
        path = self._unquoted(values[0])
        if path == b".":
            path = b""
        if len(values) == 1:
            return BlockPosition(path)
        if not values[1].isdigit() or len(values[1]) > 18:
            raise self._error(f"{values[1][:80]!r} is no block number")
        return BlockPosition(path, int(values[1]))

    def _unquoted(self, word: bytes) -> bytes:
        if word[:1] != b'"':
            return word
        if len(word) < 2 or word[-1:] != b'"':
            raise self._error(f"the quotes of {word[:80]!r} are not closed")
        return _QUOTED_BYTE.sub(lambda match: bytes.fromhex(match[1].decode()), word[1:-1])

    def _error(self, what: str) -> CorruptManifest:
        line_number = self._data.count(b"\n", 0, self._line_start) + 1
        return CorruptManifest(f"Damaged manifest, line {line_number}: {what}; fetch it again from the target")

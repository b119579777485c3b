"""The state file: what the newest backup of a chain holds, a directory a record, to compare a walk against.

It can be thrown away: it is rebuilt from the signature files (basis.py) whenever it does not belong to the manifests
at hand. Records lie in the order in which a walk leaves directories (children before parents), so that a parent's
record can point to those of its children, and any walk can find a directory by following the pointers. Layout, all
little-endian (docs/design.md, "The state file"):

    magic, then records, then the footer as JSON, then "<QII": footer offset, footer length, CRC-32 of the footer
    record = "<IIIQ": count, length of names, CRC-32 of all after this header, length of the record;
             names joined by NUL; FIELDS signed 64-bit numbers an entry; 64-bit location an entry; 64-bit child offset
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from twofold.model.entry import Kind
from twofold.model.value import value
from twofold.tree.scan import CompactStats, bounded_time

MAGIC: Final = b"twofold state 2\n"
FIELDS: Final = 7
MODE, UID, GID, SIZE, MTIME, CTIME, INODE = range(FIELDS)
UNKNOWN: Final = -1
NOWHERE: Final = (1 << 64) - 1
OFFSET_BITS: Final = 44
KINDS: Final = {
    stat.S_IFREG: Kind.REGULAR,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFCHR: Kind.CHARACTER_DEVICE,
    stat.S_IFBLK: Kind.BLOCK_DEVICE,
}
TYPE: Final = 0o170000
_HEADER: Final = struct.Struct("<IIIQ")
HEADER_SIZE: Final = _HEADER.size
_TRAILER: Final = struct.Struct("<QII")
_BATCH: Final = 8192
pack_entry: Final = struct.Struct(f"={FIELDS - 1}qQ").pack
_SMALL_RECORD: Final = 8192
_SWAP: Final = sys.byteorder == "big"


def location(set_number: int, offset: int) -> int:
    """Where an entry stands: the number of the set in its chain and the offset in its signature tar."""
    return set_number << OFFSET_BITS | offset


def split_location(where: int) -> tuple[int, int]:
    """The set number and the offset that `location` has joined."""
    return where >> OFFSET_BITS, where & ((1 << OFFSET_BITS) - 1)


def pack_stats(stats: Sequence[os.stat_result]) -> array[int]:
    """FIELDS numbers an entry, in the order of the constants above; an inode beyond them becomes negative.

    Times are those of `bounded_time`.
    """
    if isinstance(stats, CompactStats):
        return stats.packed()
    packed = array("q")
    for start in range(0, len(stats), _BATCH):
        packed.frombytes(
            b"".join(
                [
                    pack_entry(
                        found.st_mode,
                        found.st_uid,
                        found.st_gid,
                        found.st_size,
                        bounded_time(found.st_mtime_ns),
                        bounded_time(found.st_ctime_ns),
                        found.st_ino,
                    )
                    for found in stats[start : start + _BATCH]
                ]
            )
        )
    return packed


def join_names(names: Sequence[bytes]) -> bytes:
    """The names as a record holds them; joining needs 80 bytes a name meanwhile, so it is done by parts."""
    if len(names) <= _BATCH:
        return b"\0".join(names)
    return b"\0".join([b"\0".join(names[start : start + _BATCH]) for start in range(0, len(names), _BATCH)])


class KnownDirectory(NamedTuple):
    """One record: parallel arrays over the entries of a directory, in archive order."""

    names: bytes
    stats: array[int]
    locations: array[int]
    children: array[int]

    def name_list(self) -> list[bytes]:
        return self.names.split(b"\0") if len(self.locations) else []


class RecordPlace(NamedTuple):
    """One record: where it begins (behind its header) and ends, what that says, and header and all if it is small."""

    start: int
    end: int
    entries: int
    names_length: int
    crc: int
    whole: bytes | None


@value
class Identity:
    """What a state file belongs to: for each set of the chain its files and their hashes, oldest set first."""

    sets: tuple[tuple[str, ...], ...]
    set_times: tuple[int, ...]

    def as_json(self) -> object:
        return {"sets": [list(each) for each in self.sets], "times": list(self.set_times)}


EMPTY_IDENTITY: Final = Identity((), ())


class StateWriter:
    """Writes a state file to a temporary name; `finish` gives it its own name."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._temporary = f"{path}.{os.getpid()}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._file = os.fdopen(os.open(self._temporary, flags, 0o600), "wb", buffering=1 << 20)
        self._file.write(MAGIC)
        self._offset = len(MAGIC)
        self._finished = False

    def write(self, record: KnownDirectory) -> int:
        """Appends one record and gives its offset."""
        arrays = (record.stats, record.locations, record.children)
        if _SWAP:
            arrays = tuple(_swapped(each) for each in arrays)  # type: ignore[assignment]
        views = [memoryview(record.names), *(memoryview(each).cast("B") for each in arrays if each)]
        offset = self._offset
        length = _HEADER.size + sum(map(len, views))
        crc = 0
        for view in views:
            crc = zlib.crc32(view, crc)
        self._file.write(_HEADER.pack(len(record.locations), len(record.names), crc, length))
        for view in views:
            self._file.write(view)
        self._offset += length
        return offset

    def finish(self, root: int, identity: Identity) -> None:
        """Writes the footer, makes the file durable and puts it in its place."""
        import json

        footer = json.dumps({"root": root, **identity.as_json()}).encode()  # type: ignore[dict-item]
        self._file.write(footer)
        self._file.write(_TRAILER.pack(self._offset, len(footer), zlib.crc32(footer)))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._temporary, self._path)
        self._finished = True

    def abort(self) -> None:
        """Removes what has been written, unless it was finished; may be called twice."""
        if self._finished:
            return
        self._finished = True
        with contextlib.suppress(OSError):
            self._file.close()  # on a full disk it cannot write what is left in its buffer
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._temporary)


class DamagedState(Exception):
    """The state file cannot be used; it is thrown away and rebuilt."""


class KnownTree:
    """A state file opened for comparing."""

    def __init__(self, path: str) -> None:
        """Raises DamagedState when the file is missing, of another version, or damaged."""
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DamagedState(str(error)) from error
        try:
            self.root, self.identity = self._footer()
        except (DamagedState, ValueError, KeyError, TypeError) as error:
            os.close(self._fd)
            raise DamagedState(str(error)) from error

    def _footer(self) -> tuple[int, Identity]:
        import json

        end = os.fstat(self._fd).st_size - _TRAILER.size
        if end < len(MAGIC) or os.pread(self._fd, len(MAGIC), 0) != MAGIC:
            raise DamagedState("not a state file")
        self._end = end
        offset, length, crc = _TRAILER.unpack(os.pread(self._fd, _TRAILER.size, end))
        if offset + length != end:
            raise DamagedState("cut short")
        footer = os.pread(self._fd, length, offset)
        if zlib.crc32(footer) != crc:
            raise DamagedState("damaged footer")
        facts = json.loads(footer)
        sets = tuple(tuple(map(str, each)) for each in facts["sets"])
        return int(facts["root"]), Identity(sets, tuple(map(int, facts["times"])))

    def place(self, offset: int) -> RecordPlace:
        """Where the record at `offset` lies, and all of it if it is small. Raises DamagedState when it is not sound.

        The checksum of one that is not small is left to whoever reads it.
        """
        header = os.pread(self._fd, _SMALL_RECORD, offset)
        if len(header) < _HEADER.size:
            raise DamagedState("record missing")
        count, names_length, crc, length = _HEADER.unpack_from(header)
        if length != _HEADER.size + names_length + count * 8 * (FIELDS + 2) or length > self._end - offset:
            raise DamagedState("record of a wrong length")
        whole = header if length <= len(header) else None
        if whole is not None and zlib.crc32(memoryview(header)[HEADER_SIZE:length]) != crc:
            raise DamagedState("damaged record")
        return RecordPlace(offset + HEADER_SIZE, offset + length, count, names_length, crc, whole)

    def read(self, start: int, length: int) -> bytes:
        """Bytes of the file. Raises DamagedState when there are fewer."""
        data = os.pread(self._fd, length, start)
        while len(data) < length:
            more = os.pread(self._fd, length - len(data), start + len(data))
            if not more:
                raise DamagedState("record missing")
            data += more
        return data

    def directory(self, offset: int) -> KnownDirectory:
        """The record at `offset`. Raises DamagedState when it is not whole."""
        place = self.place(offset)
        body, count = place.whole, place.entries
        if body is None:
            return self._large_directory(place)
        names_end = HEADER_SIZE + place.names_length
        stats_end = names_end + 8 * FIELDS * count
        return KnownDirectory(
            body[HEADER_SIZE:names_end],
            numbers_of("q", body[names_end:stats_end]),
            numbers_of("Q", body[stats_end : stats_end + 8 * count]),
            numbers_of("Q", body[stats_end + 8 * count : stats_end + 16 * count]),
        )

    def _large_directory(self, place: RecordPlace) -> KnownDirectory:
        """A record read straight to where it is wanted, without a copy of the whole."""
        start, count = place.start, place.entries
        stats: array[int] = array("q", bytes(8 * FIELDS * count))
        locations: array[int] = array("Q", bytes(8 * count))
        children: array[int] = array("Q", bytes(8 * count))
        names = self.read(start, place.names_length)
        start += place.names_length
        found = zlib.crc32(names)
        for view in (memoryview(each).cast("B") for each in (stats, locations, children)):
            done = 0
            while done < len(view):
                read = os.preadv(self._fd, [view[done:]], start + done)
                if not read:
                    raise DamagedState("record missing")
                found = zlib.crc32(view[done : done + read], found)
                done += read
            start += done
        if found != place.crc:
            raise DamagedState("damaged record")
        if _SWAP:
            for each in (stats, locations, children):
                each.byteswap()
        return KnownDirectory(names, stats, locations, children)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def copy_subtree(tree: KnownTree, offset: int, writer: StateWriter) -> int:
    """Copies a directory's record and all below it to a new state file; gives the new offset."""
    record = tree.directory(offset)
    stack: list[tuple[KnownDirectory, int]] = [(record, 0)]
    while True:
        record, index = stack[-1]
        while index < len(record.children) and not record.children[index]:
            index += 1
        if index < len(record.children):
            stack[-1] = (record, index)
            stack.append((tree.directory(record.children[index]), 0))
            continue
        written = writer.write(record)
        stack.pop()
        if not stack:
            return written
        parent, position = stack[-1]
        parent.children[position] = written
        stack[-1] = (parent, position + 1)


def subtree_entries(tree: KnownTree, offset: int, path: bytes) -> Iterable[tuple[bytes, int]]:
    """Every (path, mode) below a known directory, in archive order."""
    record = tree.directory(offset)
    stack = [(path, record, record.name_list(), 0)]
    while stack:
        path, record, names, index = stack.pop()
        if index == len(names):
            continue
        stack.append((path, record, names, index + 1))
        child = path + b"/" + names[index] if path else names[index]
        mode = record.stats[index * FIELDS + MODE]
        yield child, mode
        if record.children[index] and stat.S_ISDIR(mode):
            below = tree.directory(record.children[index])
            stack.append((child, below, below.name_list(), 0))


def numbers_of(code: str, data: bytes) -> array[int]:
    """The numbers of a part of a record, of the array type `code`."""
    numbers: array[int] = array(code)
    numbers.frombytes(data)
    if _SWAP:
        numbers.byteswap()
    return numbers


def _swapped(numbers: array[int]) -> array[int]:
    copy = numbers[:]
    copy.byteswap()
    return copy

"""Reads the members of a volume one after another, those of the usual kind in one go.

Usual is what nearly every member of a volume is: a regular file, or a part of one, all of whose headers lie in the
buffer and hold nothing but what twofold itself writes. A member that is not, or may not be, of that kind is left to
the general way, `TarReader` and `difftar.interpret`, which alone decides what is damaged or must not be used; both
give the same for the same bytes.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Iterator
from typing import Final, TypeAlias
from zlib import adler32

from twofold.format.difftar import Action, DiffMember, interpret
from twofold.format.records import LARGEST_BLOCK
from twofold.format.tar_reader import BLOCK, LARGEST_NUMBER, TarReader, unpack
from twofold.model.entry import ContentRecord, Entry, Kind
from twofold.model.relpath import LONGEST_COMPONENT

_new = tuple.__new__  # makes a value in half the time
_REGULAR: Final = Kind.REGULAR
_SNAPSHOT: Final = Action.SNAPSHOT
_NO_DEVICE: Final = (0, 0)
_NANOSECONDS: Final = 1_000_000_000
_WHOLE: Final = b"snapshot/"
_PART: Final = b"multivol_snapshot/"
_LONGEST_PART_NUMBER: Final = 9
_MTIME_FRAME: Final = len(b"nn mtime=.\n")
# path, part, bytes of data, time in nanoseconds; mode, user and group; names of these two, device, prefix
_Fields: TypeAlias = tuple[bytes, int | None, int, int, tuple[int, int, int], tuple[bytes, bytes, int, int, bytes]]
# A time with a fraction, if there is one, and a content record; the lengths in front are those of so much text.
_usual_records = re.compile(
    rb"(?:(\d\d) mtime=(\d{1,10})\.(\d{1,9})\n)?117 TWOFOLD\.content=(\d{10}),(\d{20}),([0-9a-f]{64})\n"
).fullmatch


class VolumeReader(TarReader):
    """Iterates over the members of one volume; the data of each is read before the next one is asked for."""

    def __iter__(self) -> Iterator[DiffMember]:
        while (member := self.next()) is not None:
            yield member

    def next(self) -> DiffMember | None:
        """The next member, sound or not, or None at the end. Raises CorruptTar, and whatever the source raises."""
        if self._unread or self._padding:
            self.skip()
        member = self._next_usual()
        if member is not None:
            return member
        found = self.next_member()
        return None if found is None else interpret(found)

    def _next_usual(self) -> DiffMember | None:
        """Few calls, because it runs once a file and a call costs as much as a field does."""
        buffer, position = self._buffer, self._position
        block = buffer[position : position + BLOCK]
        records = None
        records_size = self._pax_sizes.get(block)
        if records_size is not None:
            start = position + BLOCK
            records = _usual_records(buffer, start, start + records_size)
            if records is None:
                return None
            position = start + records_size + -records_size % BLOCK
            block = buffer[position : position + BLOCK]
        fields = self._usual_fields(block)
        if fields is None:
            return None
        path, part, data_size, mtime_ns, (mode, uid, gid), names = fields
        content, exact, size = None, False, data_size if part is None else None
        if records is not None:
            decoded = _decoded(records)
            if decoded is None:
                return None
            content, recorded = decoded
            size = content[1]
            if recorded is not None:
                mtime_ns, exact = recorded, True
        if data_size < 0 or not 0 <= mtime_ns <= LARGEST_NUMBER:
            return None
        self._header_offset = self._buffer_offset + position
        self._position = position + BLOCK
        self._data_offset = self._header_offset + BLOCK
        self._unread, self._padding = data_size, -data_size % BLOCK
        entry = _new(Entry, (
            _REGULAR, mode, uid, gid, names[0], names[1], mtime_ns, exact, size, b"", _NO_DEVICE,
            (), content, None, (), 0, 0,
        ))  # fmt: skip
        return _new(DiffMember, (_SNAPSHOT, path, part, entry, data_size, None, None))

    def _usual_fields(self, block: bytes) -> _Fields | None:
        """The fields of a header whose owner and names have been met before; None if it is not a file's, or unsound."""
        if len(block) < BLOCK or block[156] != 0x30 or self._global_pax or not block.isascii():
            return None
        if (adler32(block) & 0xFFFF) - 1 != self._expected_sum(block[148:156]):
            return None
        name, owner, size_field, mtime_field, _, _, _, tail = unpack(block)
        owner_ids, names = self._owners.get(owner), self._tails.get(tail)
        if owner_ids is None or names is None:
            return None
        name = name.rstrip(b"\0")
        place = _place_of(names[4] + b"/" + name if names[4] else name)
        if place is None:
            return None
        try:
            size, mtime = int(size_field.rstrip(b"\0"), 8), int(mtime_field.rstrip(b"\0"), 8)
        except ValueError:
            return None
        return place[0], place[1], size, mtime * _NANOSECONDS, owner_ids, names


def _place_of(name: bytes) -> tuple[bytes, int | None] | None:
    """The path of a whole file, or of a part with its number; None for what must be looked at more closely."""
    if b"/." in name or b"//" in name or b"\0" in name or len(name) > LONGEST_COMPONENT:
        return None
    if name.startswith(_WHOLE):
        path, part = name[len(_WHOLE) :], None
    elif name.startswith(_PART):
        path, _, digits = name[len(_PART) :].rpartition(b"/")
        if not digits.isdigit() or len(digits) > _LONGEST_PART_NUMBER:
            return None
        part = int(digits)
    else:
        return None
    return None if not path or path[-1] == 0x2F or part == 0 else (path, part)


def _decoded(records: re.Match[bytes]) -> tuple[ContentRecord, int | None] | None:
    """The content record and, if there is a record of it, the time in nanoseconds; None if they make no sense."""
    length, seconds, fraction, block_len, size, digest = records.groups()
    mtime_ns = None
    if length is not None:
        if int(length) != _MTIME_FRAME + len(seconds) + len(fraction):
            return None
        mtime_ns = int(seconds + fraction.ljust(9, b"0"))
    content: ContentRecord = _new(ContentRecord, (int(block_len), int(size), unhexlify(digest)))
    return (content, mtime_ns) if 0 < content[0] <= LARGEST_BLOCK and content[1] <= LARGEST_NUMBER else None

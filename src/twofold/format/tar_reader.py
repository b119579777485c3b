"""Reads tar streams member by member, in every dialect that an archive may hold (docs/format.md sections 4.2 and 14).

Understood are ustar with pax headers (also Solaris' `X` and global ones), GNU long names and base-256 numbers, and
plain v7. A stream ends at its first block of zeros or exactly behind a member; everything else that is not a sound
header is an error, for duplicity's habit of taking a damaged header for the end loses files in silence. Memory is
bounded whatever the headers claim. This is a hot path: a member costs no call to the source unless the buffer is used
up, and fields that most members share are decoded once.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import NamedTuple, Protocol
from zlib import adler32

from twofold.errors import CorruptTar
from twofold.format.pax import parse_records, parse_time

BLOCK = 512
READ_SIZE = 1024 * 1024
LARGEST_PAX_HEADER = 8 * 1024 * 1024
LARGEST_GLOBAL_HEADER = 64 * 1024
MOST_EXTENDED_HEADERS = 16
LARGEST_LONG_NAME = 1024 * 1024
LARGEST_NUMBER = 2**63 - 1
LARGEST_OWNER = 2**32 - 2  # the number above means "leave as it is" to chown
_CACHED_FIELDS = 1024
_CACHED_SUMS = 8192

_new = tuple.__new__  # makes a value in half the time: a NamedTuple's own __new__ is a function in Python
_NANOSECONDS = 1_000_000_000
# name, mode with uid and gid, size, mtime, checksum, type, link name, and everything from the magic number on
unpack = Struct("100s24s12s12s8sc100s255s").unpack
_ZERO_BLOCK = bytes(BLOCK)
_WITHOUT_DATA = frozenset((b"1", b"2", b"3", b"4", b"5", b"6"))  # their size field, if any, speaks of no blocks
_EXTENSIONS = frozenset((b"x", b"X", b"g", b"L", b"K"))
_RARE_RECORDS = frozenset((b"linkpath", b"uname", b"gname", b"uid", b"gid", b"size"))


class ByteSource(Protocol):
    """Where bytes come from, in order: an unwrapped volume or signature file."""

    def read(self, size: int, /) -> bytes:
        """The next `size` bytes; fewer only at the end of the stream, none behind it."""
        ...


class TarMember(NamedTuple):
    """One header, whatever dialect it was written in.

    `type` is one byte, `0` also where an old archive has NUL, `5` also where it has a name ending in a slash; `size`
    counts the bytes of data that follow. `pax` holds all extended records as they stand, global ones and, under
    `path` and `linkpath`, GNU long names included.
    """

    name: bytes
    type: bytes
    mode: int
    uid: int
    gid: int
    uname: bytes
    gname: bytes
    size: int
    mtime_ns: int
    mtime_exact: bool
    linkname: bytes
    devmajor: int
    devminor: int
    pax: Mapping[bytes, bytes]


class TarReader:
    """Iterates over the members of one stream: `next_member`, then as much of its data as is wanted.

    Every method raises CorruptTar where the stream is damaged or cut short, and whatever the source raises.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._buffer = b""
        self._position = 0
        self._buffer_offset = 0
        self._unread = 0
        self._padding = 0
        self._header_offset = 0
        self._data_offset = 0
        self._global_pax: dict[bytes, bytes] = {}
        self._pax_sizes: dict[bytes, int] = {}
        self._sums: dict[bytes, int] = {}
        self._owners: dict[bytes, tuple[int, int, int]] = {}
        self._tails: dict[bytes, tuple[bytes, bytes, int, int, bytes]] = {}

    @property
    def data_offset(self) -> int:
        """Where the data of the current member begins in the unwrapped stream, in bytes."""
        return self._data_offset

    @property
    def remaining(self) -> int:
        """Bytes of the current member's data that have not been read."""
        return self._unread

    def next_member(self) -> TarMember | None:
        """The next member, or None at the end, and ever after; data left unread is passed over."""
        if self._unread or self._padding:
            self.skip()
        pax: dict[bytes, bytes] | None = None
        for _ in range(MOST_EXTENDED_HEADERS):
            block = self._buffer[self._position : self._position + BLOCK]
            if len(block) < BLOCK:
                block = self._refilled_header()
            if not block or block == _ZERO_BLOCK:
                if pax is not None:
                    raise self._error("ends behind an extended header")
                return None
            self._header_offset = self._buffer_offset + self._position
            self._position += BLOCK
            kind = block[156:157]
            size = self._pax_sizes.get(block) if kind == b"x" else None
            if size is None:
                if not block.isascii() or (adler32(block) & 0xFFFF) - 1 != self._sums.get(block[148:156]):
                    self._check(block)
                if kind not in _EXTENSIONS:
                    return self._member(block, pax)
                size = self._extension_size(block, kind)
            pax = self._take_extension(kind, size, pax or {})
        raise self._error("has too many extended headers")

    def read(self, size: int) -> bytes:
        """The next `size` bytes of the current member's data, fewer at its end, none behind it."""
        if size > self._unread:
            size = self._unread
        position = self._position
        end = position + size
        if end <= len(self._buffer):
            data = self._buffer[position:end]
            self._position = end
        else:
            data = self._read_beyond_buffer(size)
        self._unread -= size
        return data

    def read_all(self, limit: int) -> bytes:
        """All data of the current member that is left; CorruptTar if these are more than `limit` bytes."""
        if self._unread > limit:
            raise self._error(f"claims {self._unread} bytes where {limit} are the most that make sense")
        return self.read(self._unread)

    def skip(self) -> None:
        """Passes over what is left of the current member."""
        amount = self._unread + self._padding
        end = self._position + amount
        if end <= len(self._buffer):
            self._position = end
        else:
            self._skip_beyond_buffer(amount)
        self._unread = self._padding = 0

    def _member(self, block: bytes, own_pax: dict[bytes, bytes] | None) -> TarMember:  # noqa: C901
        """A whole header. One long function, because it runs once a file and a call costs as much as a field does."""
        name, owner, size_field, mtime_field, _, kind, linkname, tail = unpack(block)
        mode, uid, gid = self._owners.get(owner) or self._decode_owner(owner)
        uname, gname, major, minor, prefix = self._tails.get(tail) or self._decode_tail(tail)
        try:
            size, mtime = int(size_field.rstrip(b"\0"), 8), int(mtime_field.rstrip(b"\0"), 8)
        except ValueError:
            size, mtime = self._decode_number(size_field), self._decode_number(mtime_field)
        name = name.split(b"\0", 1)[0]
        if prefix:
            name = prefix + b"/" + name
        linkname = linkname.split(b"\0", 1)[0] if linkname[0] else b""
        mtime_ns, mtime_exact = mtime * _NANOSECONDS, False
        pax = {**self._global_pax, **own_pax} if own_pax and self._global_pax else own_pax or self._global_pax
        if pax:
            name = pax.get(b"path") or name
            recorded = pax.get(b"mtime")
            if recorded:
                # What is no number leaves the header's time, as with every reader of tar.
                mtime_ns, mtime_exact = parse_time(recorded) or (mtime_ns, False)
            if not _RARE_RECORDS.isdisjoint(pax):
                linkname = pax.get(b"linkpath") or linkname
                uname, gname = pax.get(b"uname", uname), pax.get(b"gname", gname)
                uid, gid = _parse_owner(pax.get(b"uid"), uid), _parse_owner(pax.get(b"gid"), gid)
                size = self._parse_size(pax.get(b"size"), size)
        if not 0 <= mtime_ns <= LARGEST_NUMBER:
            mtime_ns = 0 if mtime_ns < 0 else LARGEST_NUMBER
        if kind == b"\0":
            kind = b"5" if name[-1:] == b"/" else b"0"
        if kind in _WITHOUT_DATA:
            size = 0
        elif not 0 <= size <= LARGEST_NUMBER:
            raise self._error(f"claims a size of {size} bytes")
        elif kind == b"S" and tail[225]:
            self._skip_sparse_map()
        self._data_offset = self._buffer_offset + self._position
        self._unread, self._padding = size, -size % BLOCK
        return _new(TarMember, (
            name, kind, mode, uid, gid, uname, gname, size, mtime_ns, mtime_exact, linkname, major, minor, pax,
        ))  # fmt: skip

    def _check(self, block: bytes) -> None:
        """Compares a header with its checksum, which is the sum of its bytes with blanks for the checksum itself.

        The low half of an Adler-32 is 1 plus the sum of all bytes, modulo 65521. 512 ASCII bytes sum to at most
        512 * 127 = 65024, so there it is the sum itself, ten times as fast as `sum`. What it must be is remembered
        for each checksum met.
        """
        expected = self._expected_sum(block[148:156])
        if expected is None:
            raise self._error("has no checksum")
        if block.isascii():
            total = (adler32(block) & 0xFFFF) - 1
        else:
            total = sum(block)
            if total != expected:
                total -= 256 * sum(byte > 127 for byte in block)  # COMPAT: duplicity <= 0.8: some tars add signed bytes
        if total != expected:
            raise self._error("has a wrong checksum")

    def _expected_sum(self, field: bytes) -> int | None:
        """What the bytes of a header with this checksum field must add up to, None if it is no number."""
        expected = self._sums.get(field)
        if expected is None:
            try:
                expected = int(field.split(b"\0", 1)[0], 8) + sum(field) - 8 * 32
            except ValueError:
                return None
            if len(self._sums) >= _CACHED_SUMS:
                self._sums.clear()
            self._sums[field] = expected
        return expected

    def _decode_owner(self, field: bytes) -> tuple[int, int, int]:
        mode, uid, gid = (self._decode_number(field[start : start + 8]) for start in (0, 8, 16))
        owner = mode & 0o7777, _clamped_owner(uid), _clamped_owner(gid)
        if len(self._owners) >= _CACHED_FIELDS:
            self._owners.clear()
        self._owners[field] = owner
        return owner

    def _decode_tail(self, field: bytes) -> tuple[bytes, bytes, int, int, bytes]:
        """What stands behind the link name: magic, user, group, device and the rest of the name."""
        tail = b"", b"", 0, 0, b""
        if field[:5] == b"ustar":
            uname, gname = field[8:40].split(b"\0", 1)[0], field[40:72].split(b"\0", 1)[0]
            major, minor = self._decode_number(field[72:80]), self._decode_number(field[80:88])
            # GNU's own dialect ("ustar  ") keeps times where POSIX has the prefix.
            prefix = field[88:243].split(b"\0", 1)[0] if field[5] == 0 else b""
            tail = uname, gname, major, minor, prefix
        if len(self._tails) >= _CACHED_FIELDS:
            self._tails.clear()
        self._tails[field] = tail
        return tail

    def _decode_number(self, field: bytes) -> int:
        """Octal text, blank for 0, or GNU's base-256."""
        if field[0] in (0x80, 0xFF):
            return int.from_bytes(field[1:], "big") - (256 ** (len(field) - 1) if field[0] == 0xFF else 0)
        text = field.split(b"\0", 1)[0].strip()
        try:
            return int(text, 8) if text else 0
        except ValueError as error:
            raise self._error(f"has {field!r} for a number") from error

    def _parse_size(self, value: bytes | None, otherwise: int) -> int:
        if not value:
            return otherwise
        if not value.isdigit() or len(value) > 20:
            raise self._error(f"has {value[:40]!r} for a size")
        return int(value)

    def _extension_size(self, block: bytes, kind: bytes) -> int:
        size = self._decode_number(block[124:136])
        if not 0 <= size <= (LARGEST_LONG_NAME if kind in (b"L", b"K") else LARGEST_PAX_HEADER):
            raise self._error(f"has an extended header of {size} bytes")
        if kind == b"x" and len(self._pax_sizes) < _CACHED_FIELDS:
            self._pax_sizes[block] = size
        return size

    def _take_extension(self, kind: bytes, size: int, pax: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Reads the data of an extension header, and adds what it says to the records for the next member."""
        start = self._position
        end = start + size
        next_position = end + -size % BLOCK
        if next_position <= len(self._buffer):
            data = self._buffer[start:end]
            self._position = next_position
        else:
            self._unread, self._padding = size, -size % BLOCK
            data = self.read(size)
            self.skip()
        if kind == b"x" or kind == b"X":
            if not pax:
                return self._parse_pax(data)
            pax.update(self._parse_pax(data))
        elif kind == b"g":
            self._global_pax = {**self._global_pax, **self._parse_pax(data)}
            self._bound(self._global_pax, LARGEST_GLOBAL_HEADER)
        else:
            pax[b"path" if kind == b"L" else b"linkpath"] = data.split(b"\0", 1)[0]
        self._bound(pax, LARGEST_PAX_HEADER)
        return pax

    def _bound(self, records: dict[bytes, bytes], limit: int) -> None:
        """Several extended headers together must not be larger than one may be."""
        if sum(map(len, records)) + sum(map(len, records.values())) > limit:
            raise self._error("has extended headers larger than makes sense")

    def _parse_pax(self, data: bytes) -> dict[bytes, bytes]:
        records = parse_records(data)
        if records is None:
            raise self._error("has a malformed extended record")
        return records

    def _skip_sparse_map(self) -> None:
        """Passes over the blocks between an old GNU sparse header and its data."""
        more = True
        while more:
            self._unread = BLOCK
            more = self.read(BLOCK)[504] != 0

    def _refilled_header(self) -> bytes:
        """The next block when the buffer does not hold it whole; nothing at the exact end of the stream."""
        self._fill(BLOCK)
        block = self._buffer[self._position : self._position + BLOCK]
        if 0 < len(block) < BLOCK:
            self._header_offset = self._buffer_offset + self._position
            raise self._error("is cut short")
        return block

    def _fill(self, size: int) -> None:
        """Reads so that at least `size` bytes lie in the buffer, unless the stream ends."""
        rest = self._buffer[self._position :]
        self._buffer_offset += self._position
        self._buffer = rest + self._source.read(max(size - len(rest), READ_SIZE))
        self._position = 0

    def _read_beyond_buffer(self, size: int) -> bytes:
        """Reads more than the buffer holds; what is large goes to the caller without passing through it."""
        head = self._buffer[self._position :]
        wanted = size - len(head)
        if wanted < READ_SIZE:
            self._fill(size)
            data = self._buffer[:size]
            self._position = len(data)
        else:
            tail = self._source.read(wanted)
            self._buffer_offset += len(self._buffer) + len(tail)
            self._buffer = b""
            self._position = 0
            data = head + tail
        if len(data) < size:
            raise self._error("is cut short in its data")
        return data

    def _skip_beyond_buffer(self, amount: int) -> None:
        left = amount - (len(self._buffer) - self._position)
        self._position = len(self._buffer)
        while left > 0:
            self._fill(READ_SIZE)
            if not self._buffer:
                raise self._error("is cut short in its data")
            self._position = min(left, len(self._buffer))
            left -= self._position

    def _error(self, what: str) -> CorruptTar:
        place = f"The tar member at byte {self._header_offset}"
        return CorruptTar(f"{place} {what}: the file is damaged or not a backup's")


def _clamped_owner(number: int) -> int:
    return min(max(number, 0), LARGEST_OWNER)


def _parse_owner(value: bytes | None, otherwise: int) -> int:
    """A pax `uid` or `gid`; what is no number leaves the header's, as with every reader of tar."""
    if not value:
        return otherwise
    digits = value.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > 40:
        return otherwise
    return _clamped_owner(int(value))

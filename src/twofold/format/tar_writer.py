"""Makes tar headers, byte for byte as duplicity 3.2.1 makes them (docs/format.md section 4.2), plus records of ours.

Nothing is written here: the caller puts header, data and `padding` together and closes with `tail`. This is a hot
path: each file needs two headers, so what they share is prepared once (`metadata_of`), what files share is cached, and
the checksum is the low half of an Adler-32, which is 1 plus the sum of all bytes modulo 65521. A header is all ASCII,
and 512 such bytes sum to at most 65024, so that it never wraps.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from zlib import adler32

from twofold.format.pax import format_record, format_time
from twofold.format.records import encode_attributes, is_text
from twofold.model.entry import Entry, Kind

BLOCK = 512
RECORD = 10240

NAME_LENGTH = 100
_OWNER_NAME_LENGTH = 32
_IDS_END = 8**7  # numbers from here on do not fit their field and go to an extended record
TIMES_END = 8**11
_SIZES_END = 8**11
_NANOSECONDS = 1_000_000_000
_ZEROS = bytes(RECORD)
_BINARY = b"21 hdrcharset=BINARY\n"
_NO_DEVICE = bytes(16)
_BLANK_CHECKSUM = 8 * 32

_REGULAR = Kind.REGULAR
_DIRECTORY = Kind.DIRECTORY
_TYPES = {
    Kind.REGULAR: b"0",
    Kind.DIRECTORY: b"5",
    Kind.SYMLINK: b"2",
    Kind.FIFO: b"6",
    Kind.CHARACTER_DEVICE: b"3",
    Kind.BLOCK_DEVICE: b"4",
}


class Metadata(NamedTuple):
    """What the headers of one file have in common, encoded.

    `owner` are the fields mode, uid, gid, `tail` everything from the type on, `total` the sum of the tail's bytes and
    of a blank checksum. `before_size` and `after_size` are extended records around that of the size; the latter hold
    what duplicity would not record. `binary` tells that one of their values is no UTF-8.
    """

    owner: bytes
    mtime: bytes
    tail: bytes
    total: int
    before_size: bytes
    after_size: bytes
    binary: bool


class Shared(NamedTuple):
    """What the headers of all files of one kind, mode and owner have in common, as in `Metadata`."""

    owner: bytes
    tail: bytes
    total: int
    records: bytes
    binary: bool


def metadata_of(entry: Entry) -> Metadata:
    """Prepares the headers of a file. FormatError if its extended attributes are too large to be stored."""
    kind, mode, uid, gid, uname, gname, mtime_ns, mtime_exact = entry[:8]
    if kind is _REGULAR:
        owner, tail, total, before, binary = shared_fields(b"0", mode, uid, gid, uname, gname)
    elif kind is _DIRECTORY:
        owner, tail, total, before, binary = shared_fields(b"5", mode, uid, gid, uname, gname)
    else:
        owner, tail, total, before, binary = _encode_shared(
            _TYPES[kind], mode, uid, gid, uname, gname, entry.target, entry.device
        )
    seconds, nanoseconds = divmod(mtime_ns, _NANOSECONDS)
    after = b""
    if not 0 <= seconds < TIMES_END:
        # A time before 1970 stops duplicity (section 13, row 6).
        after = b"" if seconds < 0 else format_record(b"mtime", format_time(mtime_ns))
        seconds = 0
    elif nanoseconds and mtime_exact:
        if nanoseconds % 10 and seconds > _NANOSECONDS:
            after = b"30 mtime=%d.%09d\n" % (seconds, nanoseconds)  # nearly always, and all in one
        else:
            after = format_record(b"mtime", format_time(mtime_ns))
    if entry.xattrs or entry.links_to is not None:
        attributes = encode_attributes(entry)
        after += attributes.data
        binary = binary or attributes.binary
    return Metadata(owner, b"%011o\0" % seconds, tail, total, before, after, binary)


def header(
    name: bytes, metadata: Metadata, *, size: int = 0, extra: bytes = b"", bare: bool = False
) -> tuple[bytes, int]:
    """The header of the member `name` with `size` bytes of data, and where in it the extended records end (or 0).

    `extra` are further records, in ASCII, to stand last; `bare` leaves out of the metadata what duplicity would not
    record, for the second and later parts of a file.
    """
    owner, mtime, tail, total, before, after, binary = metadata
    if bare:
        after = b""
    if len(name) <= NAME_LENGTH and name.isascii():
        records = before + after + extra
        field = name.ljust(NAME_LENGTH, b"\0")
    else:
        records = format_record(b"path", name) + before + after + extra
        binary = binary or not is_text(name)
        field = _short_field(name, NAME_LENGTH)
    if size >= _SIZES_END:
        place = len(records) - len(after) - len(extra)
        records = records[:place] + format_record(b"size", b"%d" % size) + records[place:]
        size = 0
    head = b"%b%b%011o\0%b" % (field, owner, size, mtime)
    total += (adler32(head) & 0xFFFF) - 1
    if not records:
        return b"%b%06o\0 %b" % (head, total, tail), 0
    if binary:
        records = _BINARY + records
    length = len(records)
    padded = records.ljust(length + -length % BLOCK, b"\0")
    return b"".join((pax_header(length), padded, head, b"%06o\0 " % total, tail)), BLOCK + length


def padding(size: int) -> bytes:
    """The zeros behind `size` bytes of data."""
    return _zeros(-size % BLOCK)


def tail(length: int) -> bytes:
    """The zeros that close a stream of `length` bytes (section 4.1): at least one block, up to a whole record."""
    return _ZEROS[: RECORD - length % RECORD]


@lru_cache(maxsize=BLOCK)
def _zeros(count: int) -> bytes:
    return _ZEROS[:count]


@lru_cache(maxsize=1024)
def pax_header(length: int) -> bytes:
    """The block in front of extended records of `length` bytes together."""
    head = b"%b%b%011o\0%011o\0" % (b"././@PaxHeader".ljust(NAME_LENGTH, b"\0"), b"0000000\0" * 3, length, 0)
    end = (b"x".ljust(101, b"\0") + b"ustar\x0000").ljust(356, b"\0")
    return b"%b%06o\0 %b" % (head, sum(head) + _BLANK_CHECKSUM + sum(end), end)


@lru_cache(maxsize=4096)
def shared_fields(kind: bytes, mode: int, uid: int, gid: int, uname: bytes, gname: bytes) -> Shared:
    """The same of a file that is neither link nor device."""
    return _encode_shared(kind, mode, uid, gid, uname, gname, b"", (0, 0))


def _encode_shared(
    kind: bytes, mode: int, uid: int, gid: int, uname: bytes, gname: bytes, target: bytes, device: tuple[int, int]
) -> Shared:
    texts = (
        (b"linkpath", target, NAME_LENGTH),
        (b"uname", uname, _OWNER_NAME_LENGTH),
        (b"gname", gname, _OWNER_NAME_LENGTH),
    )
    recorded = [(key, value) for key, value, length in texts if len(value) > length or not value.isascii()]
    binary = not all(is_text(value) for _, value in recorded)
    recorded += [(key, b"%d" % number) for key, number in ((b"uid", uid), (b"gid", gid)) if number >= _IDS_END]
    fields = [_short_field(value, length) for _, value, length in texts]
    numbers = b"%07o\0%07o\0" % device if kind in b"34" else _NO_DEVICE
    end = b"%b%bustar\x0000%b%b%b" % (kind, *fields, numbers)
    end = end.ljust(356, b"\0")
    owner = b"%07o\0%07o\0%07o\0" % (mode & 0o7777, uid if uid < _IDS_END else 0, gid if gid < _IDS_END else 0)
    records = b"".join([format_record(key, value) for key, value in recorded])
    return Shared(owner, end, sum(end) + _BLANK_CHECKSUM, records, binary)


def _short_field(text: bytes, length: int) -> bytes:
    """What a header field shows of a text that may stand in full in an extended record."""
    if not text.isascii():
        text = text.decode("utf-8", "surrogateescape").encode("ascii", "replace")
    return text[:length].ljust(length, b"\0")

"""Headers of ordinary small files, for volume and signature file in one go (docs/format.md sections 4.2 and 5).

Most files have a short name in ASCII, an owner and times that fit their fields, and nothing that asks for records but
our own. Both headers of such a file are then three blocks that differ in a few fields, so they are made from
templates, and their checksums are sums of the same parts. Always holds: the bytes are those that
`difftar.content_header` and `sigtar.member_header` make of the same file.

The compiled kernel writes them where there is one, else the specification, which is the same.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from functools import cache, lru_cache
from struct import Struct
from typing import Final, NamedTuple, Protocol
from zlib import adler32

from twofold.format.pax import format_record, format_time
from twofold.format.tar_writer import BLOCK, NAME_LENGTH, TIMES_END, pax_header, shared_fields

_SNAPSHOT: Final = b"snapshot/"
_SIGNATURE: Final = b"signature/"
_IN_SNAPSHOT: Final = NAME_LENGTH - len(_SNAPSHOT)
LONGEST_PLAIN_PATH: Final = NAME_LENGTH - len(_SIGNATURE)
PLAIN_HEADER: Final = 3 * BLOCK
LATEST_PLAIN: Final = TIMES_END * 1_000_000_000

_NANOSECONDS: Final = 1_000_000_000
_SECONDS: Final = 10  # digits of a time since 2001
_CONTENT: Final = b"117 TWOFOLD.content="
_CONTENT_LENGTH: Final = 117
_STAT_LENGTH: Final = 17
_NUMBERS_LENGTH: Final = 32  # in front of the digest
_DIGEST_BEHIND_TIME: Final = BLOCK + len(_CONTENT) + _NUMBERS_LENGTH
_UNKNOWN_DIGEST: Final = b"0" * 64
_OTHER_PREFIX: Final = sum(_SIGNATURE) - sum(_SNAPSHOT)
# An Adler-32's low half is the sum of the bytes and 1.
_SUM: Final = 0xFFFF
# Three octal digits and their sum. Formatting a number takes four times as long as looking up its digits.
_OCTAL: Final = tuple((digits, sum(digits)) for digits in [b"%03o" % number for number in range(512)])
_DIGITS: Final = 9
_LOW: Final = (1 << _DIGITS) - 1

_join = b"".join
_new = tuple.__new__  # makes a value in half the time


class PlainOwner(NamedTuple):
    """What the headers of all files of one mode and owner have in common: two runs of fields and their sum."""

    fields: bytes
    tail: bytes
    total: int


class PlainHeaders(NamedTuple):
    """The header for the volume, with the place of the digest in it, and that for the signature file around its digest.

    The 64 digits of the digest stand between `front` and `back`.
    """

    header: bytes
    digest_at: int
    front: bytes
    back: bytes


def plain_owner(mode: int, uid: int, *, gid: int, uname: bytes, gname: bytes) -> PlainOwner | None:
    """None where owner or names do not fit their fields."""
    shared = shared_fields(b"0", mode, uid, gid, uname, gname)
    if shared.records:
        return None
    total = shared.total + sum(shared.owner) + sum(_SNAPSHOT) + sum(b"00000") - 1
    return PlainOwner(shared.owner, shared.tail, total)


def plain_headers(
    path: bytes,
    owner: PlainOwner,
    *,
    sizes: tuple[int, int, int],
    mtime_ns: int,
    ctime_ns: int,
    inode: int,
) -> PlainHeaders:
    """Headers for a `path` of at most LONGEST_PLAIN_PATH bytes of ASCII, a time from 0 on and before LATEST_PLAIN.

    `sizes` are those of the file, of its signature's blocks and of the signature, all of them small.
    """
    size, block_len, signature_size = sizes
    fields, tail, total = owner
    digits = b"%d" % mtime_ns
    if len(digits) == _SECONDS + 9 and digits[-1] != 0x30:
        time = b"30 mtime=%b.%b\n" % (digits[:_SECONDS], digits[_SECONDS:])  # nearly always
    else:
        time = format_record(b"mtime", format_time(mtime_ns)) if mtime_ns % _NANOSECONDS else b""
    seconds = mtime_ns // _NANOSECONDS
    days, days_sum = _high_digits(seconds >> 2 * _DIGITS)
    (high, high_sum), (low, low_sum) = _OCTAL[seconds >> _DIGITS & _LOW], _OCTAL[seconds & _LOW]
    mtime = days + high + low + b"\0"
    total += (adler32(path) & _SUM) + days_sum + high_sum + low_sum
    (high, high_sum), (low, low_sum) = _OCTAL[size >> _DIGITS], _OCTAL[size & _LOW]
    check = _check_field(total + high_sum + low_sum)
    signature_field, signature_sum = _size_field(signature_size)
    content, stat = _content(block_len), f"{size},{max(0, ctime_ns)},{inode}".encode()
    number = (b"%d," % size).rjust(21, b"0")
    pack, begin, middle = _volume_parts(len(time))
    front, stat_key, back = _signature_parts(len(time), len(stat))
    header = pack(begin, time, content, number, middle, path, fields, b"00000" + high + low, mtime, check, tail)
    check = _check_field(total + signature_sum)
    before = _join((front, time, stat_key, stat, b"\n", content, number))
    behind = _join((back, path.ljust(LONGEST_PLAIN_PATH, b"\0"), fields, signature_field, mtime, check, tail))
    return _new(PlainHeaders, (header, _DIGEST_BEHIND_TIME + len(time), before, behind))


@lru_cache(maxsize=8192)
def _check_field(total: int) -> bytes:
    return b"%06o\0 " % total


@lru_cache(maxsize=1024)
def _high_digits(days: int) -> tuple[bytes, int]:
    """The first five digits of a time, which change every three days, and their sum."""
    digits = b"%05o" % days
    return digits, sum(digits)


@lru_cache(maxsize=1024)
def _content(block_len: int) -> bytes:
    """What stands in front of the size in a content's record."""
    return b"%b%010d," % (_CONTENT, block_len)


@cache
def _volume_parts(time_length: int) -> tuple[Callable[..., bytes], bytes, bytes]:
    """What joins the parts of a volume's header, and those in front of the time's record and behind the numbers."""
    length = time_length + _CONTENT_LENGTH
    middle = _UNKNOWN_DIGEST + b"\n" + bytes(BLOCK - length) + _SNAPSHOT
    # NB: packing takes two thirds of the time of joining, and fills up names and fields with NUL.
    layout = Struct(f"{BLOCK}s{time_length}s31s21s{len(middle)}s{_IN_SNAPSHOT}s24s12s12s8s356s")
    return layout.pack, pax_header(length), middle


@cache
def _size_field(size: int) -> tuple[bytes, int]:
    """The field of a signature's size, and what that and the prefix of the name add to the sum of the other header.

    As compared with a header in a volume that has no digits there but the first five.
    """
    field = b"%011o\0" % size
    return field, sum(field) - sum(b"00000") + _OTHER_PREFIX


@cache
def _signature_parts(time_length: int, stat_length: int) -> tuple[bytes, bytes, bytes]:
    """What stands before the time's record, before the value of `TWOFOLD.stat`, and behind the digest."""
    record = stat_length + _STAT_LENGTH
    length = time_length + record + _CONTENT_LENGTH
    return pax_header(length), b"%d TWOFOLD.stat=" % record, b"\n" + bytes(BLOCK - length) + _SIGNATURE


class Written(NamedTuple):
    """Where a file's data begin, where its digest belongs, and the header in the signature file around the digest."""

    data_at: int
    digest_at: int
    front: bytes
    back: bytes
    signature_size: int


class WriteHeaders(Protocol):
    """Writes the headers of files of one owner into a buffer in which their data are: the first one at `position`.

    `facts` has seven numbers a file: mode, user, group, size, times of modification and change in nanoseconds, inode
    as signed bits; of these the last four count. `owner` are the fields and the tail of a PlainOwner, `lengths` those
    of blocks and of their sums in signatures. Of every file holds what `plain_headers` demands. Wrong arguments raise
    ValueError, or OverflowError where numbers are negative or beyond 64 bits.
    """

    def __call__(
        self,
        buffer: bytearray | memoryview,
        position: int,
        paths: list[bytes],
        facts: array[int],
        owner: tuple[bytes, bytes],
        lengths: tuple[int, int],
        /,
    ) -> list[Written]: ...


_FACTS: Final = 7
_OWNER: Final = 24
_TAIL: Final = 356
_INODE: Final = (1 << 64) - 1
_SIGNATURE_HEADER: Final = 12
_LARGEST: Final = 1 << 18
_MOST_SUMS: Final = 64


def specification(
    buffer: bytearray | memoryview,
    position: int,
    paths: list[bytes],
    facts: array[int],
    owner: tuple[bytes, bytes],
    lengths: tuple[int, int],
    /,
) -> list[Written]:
    """See `WriteHeaders`."""
    fields, tail = owner
    block_len, entry_len = lengths
    sensible = min(position, block_len - 1, entry_len) >= 0 and entry_len <= _MOST_SUMS
    fit = (len(fields), len(tail), len(facts)) == (_OWNER, _TAIL, _FACTS * len(paths))
    if not sensible or not fit:
        raise ValueError("The arguments are not as they must be")
    plain = PlainOwner(fields, tail, sum(fields) + sum(tail) + 8 * 0x20 + sum(_SNAPSHOT) + sum(b"00000") - 1)
    written = []
    for number, path in enumerate(paths):
        _, _, _, size, mtime, ctime, inode = facts[number * _FACTS : (number + 1) * _FACTS]
        data_at = position + PLAIN_HEADER
        _check_file(path, size, mtime, room=len(buffer) - data_at)
        signature_size = _SIGNATURE_HEADER + -(-size // block_len) * entry_len
        header, digest_at, front, back = plain_headers(
            path,
            plain,
            sizes=(size, block_len, signature_size),
            mtime_ns=mtime,
            ctime_ns=ctime,
            inode=inode & _INODE,
        )
        buffer[position:data_at] = header
        written.append(Written(data_at, position + digest_at, front, back, signature_size))
        position = data_at + size + -size % BLOCK
    return written


def _check_file(path: bytes, size: int, mtime: int, *, room: int) -> None:
    fits = len(path) <= LONGEST_PLAIN_PATH and path.isascii() and room >= 0
    if not fits or not 0 <= size < _LARGEST or not 0 <= mtime < LATEST_PLAIN:
        raise ValueError("The facts of a file are not as they must be")


def _choose() -> WriteHeaders:
    try:
        from twofold.format import compiled
    except ImportError:
        return specification
    return compiled.write_headers


write_headers: WriteHeaders = _choose()

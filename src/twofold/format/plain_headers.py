"""Headers of ordinary small files, for volume and signature file in one go (docs/format.md sections 4.2 and 5).

Most files have a short name in ASCII, an owner and times that fit their fields, and nothing that asks for records but
our own. Both headers of such a file are then three blocks that differ in a few fields, so they are made from
templates, and their checksums are sums of the same parts. Always holds: the bytes are those that
`difftar.content_header` and `sigtar.member_header` make of the same file.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Final, NamedTuple
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
_CONTENT: Final = b"117 TWOFOLD.content="
_NEXT_CONTENT: Final = b"\n" + _CONTENT
_CONTENT_LENGTH: Final = 117
_STAT_LENGTH: Final = 17
_NUMBERS_LENGTH: Final = 32  # in front of the digest
_DIGEST_BEHIND_TIME: Final = BLOCK + len(_CONTENT) + _NUMBERS_LENGTH
_UNKNOWN_DIGEST: Final = b"0" * 64
_OTHER_PREFIX: Final = sum(_SIGNATURE) - sum(_SNAPSHOT)
# An Adler-32's low half is the sum of the bytes and 1.
_PARTS_SUMMED: Final = 3

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
    return PlainOwner(shared.owner, shared.tail, shared.total + sum(shared.owner) + sum(_SNAPSHOT) - _PARTS_SUMMED)


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
    time, mtime, time_sum, begin, middle = _volume_parts(mtime_ns)
    total += (adler32(path) & 0xFFFF) + time_sum
    volume_size = b"%011o\0" % size
    volume_total = total + (adler32(volume_size) & 0xFFFF)
    numbers = b"%010d,%020d," % (block_len, size)
    stat = b"%d,%d,%d" % (size, max(0, ctime_ns), inode)
    front, stat_key, back = _signature_parts(len(time), len(stat))
    signature_field, signature_sum = _size_field(signature_size)
    checks = b"%06o\0 " % volume_total, b"%06o\0 " % (total + signature_sum)
    names = path.ljust(_IN_SNAPSHOT, b"\0"), path.ljust(LONGEST_PLAIN_PATH, b"\0")
    # NB: joining takes half the time of one large format.
    header = _join((begin, time, _CONTENT, numbers, middle, names[0], fields, volume_size, mtime, checks[0], tail))
    before = _join((front, time, stat_key, stat, _NEXT_CONTENT, numbers))
    behind = _join((back, names[1], fields, signature_field, mtime, checks[1], tail))
    return _new(PlainHeaders, (header, _DIGEST_BEHIND_TIME + len(time), before, behind))


@lru_cache(maxsize=1024)
def _volume_parts(mtime_ns: int) -> tuple[bytes, bytes, int, bytes, bytes]:
    """The time's extended record, if it needs one, its field, and the sum of that as an Adler-32 gives it.

    Then what stands in the volume before that record, and behind the numbers of the content's.
    """
    field = b"%011o\0" % (mtime_ns // _NANOSECONDS)
    record = format_record(b"mtime", format_time(mtime_ns)) if mtime_ns % _NANOSECONDS else b""
    length = len(record) + _CONTENT_LENGTH
    middle = _UNKNOWN_DIGEST + b"\n" + bytes(BLOCK - length) + _SNAPSHOT
    return record, field, sum(field) + 1, pax_header(length), middle


@cache
def _size_field(size: int) -> tuple[bytes, int]:
    field = b"%011o\0" % size
    return field, sum(field) + _OTHER_PREFIX + 1


@cache
def _signature_parts(time_length: int, stat_length: int) -> tuple[bytes, bytes, bytes]:
    """What stands before the time's record, before the value of `TWOFOLD.stat`, and behind the digest."""
    record = stat_length + _STAT_LENGTH
    length = time_length + record + _CONTENT_LENGTH
    return pax_header(length), b"%d TWOFOLD.stat=" % record, b"\n" + bytes(BLOCK - length) + _SIGNATURE

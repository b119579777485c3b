"""What twofold adds to a tar member: extended records that duplicity does not look at (docs/format.md section 16).

`SCHILY.xattr.*` holds extended attributes as GNU tar writes them, `TWOFOLD.*` everything else. Reading never fails: a
record of ours that makes no sense is left out, and said to be so.
"""

from __future__ import annotations

from binascii import hexlify, unhexlify
from collections.abc import Mapping
from struct import Struct
from typing import NamedTuple

from twofold.errors import FormatError
from twofold.format.pax import format_record
from twofold.model.entry import ContentRecord, Entry
from twofold.model.relpath import fault_of

LARGEST_ATTRIBUTES = 4 * 1024 * 1024
LARGEST_HOLES = 1024 * 1024
LARGEST_BLOCK = 2**31
CONTENT_VALUE_LENGTH = 96
DIGEST_LENGTH = 64

_XATTR = b"SCHILY.xattr."
_CONTENT = b"TWOFOLD.content"
_STAT = b"TWOFOLD.stat"
_LINKS_TO = b"TWOFOLD.links_to"
_HOLES = b"TWOFOLD.holes"
_SPARSE = b"GNU.sparse."
_FREQUENT = frozenset(
    (_CONTENT, _STAT, b"path", b"linkpath", b"uname", b"gname", b"uid", b"gid", b"mtime", b"hdrcharset")
)
_UNKNOWN_DIGEST = b"0" * DIGEST_LENGTH
_LARGEST_NUMBER = 2**63 - 1
_LARGEST_INODE = 2**64 - 1
_LONGEST_STAT = 64
_split_content = Struct("10sc20sc64s").unpack

# Stands where the content will only be known once the data has been read; read as "not recorded".
CONTENT_PLACEHOLDER = b"%010d,%020d,%b" % (0, 0, _UNKNOWN_DIGEST)


class Records(NamedTuple):
    """The decoded records of one member; the fields are those of `Entry`, `fault` names what was left out.

    `size` is None and `ctime_ns` and `inode` are 0 where there is no `TWOFOLD.stat`. `sparse` tells that the data is
    not the file's content but GNU tar's condensed form of it.
    """

    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    content: ContentRecord | None = None
    links_to: bytes | None = None
    holes: tuple[tuple[int, int], ...] = ()
    size: int | None = None
    ctime_ns: int = 0
    inode: int = 0
    sparse: bool = False
    fault: str | None = None


class EncodedRecords(NamedTuple):
    """Records ready to be written; `binary` tells that a value is no UTF-8, which the header must announce."""

    data: bytes
    binary: bool


def encode_attributes(entry: Entry) -> EncodedRecords:
    """Extended attributes and the hard link group, which difftar and sigtar both carry.

    FormatError if the attributes are larger than any reader would take.
    """
    pieces: list[bytes] = []
    binary = False
    for name, value in entry.xattrs:
        key = _XATTR + name.replace(b"%", b"%25").replace(b"=", b"%3D")
        pieces.append(format_record(key, value))
        binary = binary or not is_text(value)
    if entry.links_to is not None:
        pieces.append(format_record(_LINKS_TO, entry.links_to))
        binary = binary or not is_text(entry.links_to)
    data = b"".join(pieces)
    if len(data) > LARGEST_ATTRIBUTES:
        raise FormatError(f"Extended attributes of {len(data)} bytes are too many to be stored; remove some")
    return EncodedRecords(data, binary)


def encode_holes(entry: Entry) -> bytes:
    """The known holes; left out where they are too many, for the zeros themselves are stored anyway."""
    if not entry.holes:
        return b""
    value = b",".join([b"%d+%d" % hole for hole in entry.holes])
    return format_record(_HOLES, value) if len(value) <= LARGEST_HOLES else b""


def encode_stat(entry: Entry) -> bytes:
    """Size, change time and inode, by which the next run recognises an unchanged file."""
    _, _, _, _, _, _, _, _, size, _, _, _, _, _, _, ctime_ns, inode = entry
    value = b"%d,%d,%d" % (size or 0, max(0, ctime_ns), inode)
    return b"%d TWOFOLD.stat=%b\n" % (len(value) + 17, value)  # 22 to 79: always two digits


def content_value(content: ContentRecord) -> bytes:
    """The value of the content record, always 96 bytes, so that it can be put in the placeholder's place."""
    block_len, size, digest = content
    return b"%010d,%020d,%b" % (block_len, size, hexlify(digest))


def encode_content(value: bytes) -> bytes:
    """The record around a `content_value` or the placeholder, always 117 bytes."""
    return b"117 TWOFOLD.content=%b\n" % value


def is_text(value: bytes) -> bool:
    """Whether `value` is valid UTF-8."""
    if value.isascii():
        return True
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def decode(pax: Mapping[bytes, bytes]) -> Records:
    """Takes the records of a member apart; those of others are passed over."""
    content: ContentRecord | None = None
    size: int | None = None
    ctime_ns = inode = 0
    fault: str | None = None
    value = pax.get(_CONTENT)
    if value is not None:
        try:
            content = _decode_content(value)
        except ValueError:
            fault = _malformed(_CONTENT)
    value = pax.get(_STAT)
    if value is not None:
        try:
            size, ctime_ns, inode = _decode_stat(value)
        except ValueError:
            fault = _malformed(_STAT)
    if _FREQUENT.issuperset(pax):
        return Records((), content, None, (), size, ctime_ns, inode, False, fault)
    xattrs, links_to, holes, sparse, other_fault = _decode_rare(pax)
    return Records(xattrs, content, links_to, holes, size, ctime_ns, inode, sparse, fault or other_fault)


def _decode_rare(
    pax: Mapping[bytes, bytes],
) -> tuple[tuple[tuple[bytes, bytes], ...], bytes | None, tuple[tuple[int, int], ...], bool, str | None]:
    xattrs: list[tuple[bytes, bytes]] = []
    links_to: bytes | None = None
    holes: tuple[tuple[int, int], ...] = ()
    sparse = False
    fault: str | None = None
    for key, value in pax.items():
        try:
            if key.startswith(_XATTR):
                xattrs.append((_decode_name(key[len(_XATTR) :]), value))
            elif key == _LINKS_TO:
                links_to = _decode_path(value)
            elif key == _HOLES:
                holes = _decode_holes(value)
            elif key.startswith(_SPARSE):
                sparse = True
        except ValueError:
            fault = _malformed(key)
    return tuple(xattrs), links_to, holes, sparse, fault


def _decode_name(name: bytes) -> bytes:
    if not name or b"\0" in name:
        raise ValueError(name)
    return name.replace(b"%3D", b"=").replace(b"%25", b"%")


def _malformed(key: bytes) -> str:
    return f"has a malformed record {key.decode(errors='replace')}"


def _decode_content(value: bytes) -> ContentRecord | None:
    if len(value) != CONTENT_VALUE_LENGTH:
        raise ValueError(value)
    block_len, comma, size_digits, other_comma, digest = _split_content(value)
    if comma != b"," or other_comma != b"," or not (block_len + size_digits).isdigit():
        raise ValueError(value)
    length, size = int(block_len), int(size_digits)
    if not length and digest == _UNKNOWN_DIGEST:
        return None
    if not 0 < length <= LARGEST_BLOCK or size > _LARGEST_NUMBER:
        raise ValueError(value)
    return ContentRecord(length, size, unhexlify(digest))


def _decode_stat(value: bytes) -> tuple[int, int, int]:
    digits = value.split(b",")
    if len(digits) != 3 or len(value) > _LONGEST_STAT or not b"".join(digits).isdigit():
        raise ValueError(value)
    size, ctime_ns, inode = map(int, digits)
    if size > _LARGEST_NUMBER or ctime_ns > _LARGEST_NUMBER or inode > _LARGEST_INODE:
        raise ValueError(value)
    return size, ctime_ns, inode


def _decode_path(value: bytes) -> bytes:
    if not value or fault_of(value) is not None:
        raise ValueError(value)
    return value


def _decode_holes(value: bytes) -> tuple[tuple[int, int], ...]:
    holes: list[tuple[int, int]] = []
    end = 0
    for hole in value.split(b","):
        start_digits, _, length_digits = hole.partition(b"+")
        start, length = _number(start_digits), _number(length_digits)
        if start < end or length == 0:
            raise ValueError(value)
        holes.append((start, length))
        end = _bounded(start + length)
    return tuple(holes)


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 20:
        raise ValueError(digits)
    return _bounded(int(digits))


def _bounded(number: int) -> int:
    if number > _LARGEST_NUMBER:
        raise ValueError(number)
    return number

"""Finds members of the usual kind in a piece of a volume: what nearly every member is.

Usual is a regular file, a part of one, or a directory, whose headers lie in the piece and hold nothing but what twofold
itself writes for it: an ASCII name, and of extended records a time and a content record at most. Nothing is decided
here about any other member, nor about damage: the general way does it (`TarReader`, `difftar.interpret`), which says
the same of what is found here.

The compiled kernel does it where there is one, a hundred times faster than this specification, which is the same.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from typing import Final, NamedTuple, Protocol, TypeAlias

from twofold.format.records import LARGEST_BLOCK
from twofold.format.tar_reader import BLOCK, LARGEST_NUMBER
from twofold.model.relpath import LONGEST_COMPONENT

Ids: TypeAlias = tuple[int, int, int]
"""Mode, user and group."""
Content: TypeAlias = tuple[int, int, bytes]
"""Block length, size and digest, as in a ContentRecord."""


class Usual(NamedTuple):
    """One member. Positions are in the piece: of its data, and of the first of its headers.

    The data may reach beyond the piece. `names` are those of user and group.
    """

    path: bytes
    part: int | None
    ids: Ids
    names: tuple[bytes, bytes]
    mtime_ns: int
    mtime_exact: bool
    content: Content | None
    begin: int
    end: int
    start: int
    directory: bool


class FindUsual(Protocol):
    """The usual members from `position` on, in order, up to the first that is not usual, or not there."""

    def __call__(self, piece: bytes, position: int, /) -> list[Usual]: ...


_NANOSECONDS: Final = 1_000_000_000
_MTIME_FRAME: Final = len(b"nn mtime=.\n")
_WHOLE, _PART = b"snapshot/", b"multivol_snapshot/"
_octal = re.compile(rb"[0-7]+\0").fullmatch
_sum = re.compile(rb"([0-7]+)(?:\0.*)?", re.DOTALL).fullmatch
_text = re.compile(rb"([^\0]*)\0*").fullmatch
_doubtful = re.compile(rb"//|/\.\.?(?:/|\Z)").search
_part_number = re.compile(rb"[0-9]{1,9}").fullmatch
_records = re.compile(
    rb"(?:([0-9]{2}) mtime=([0-9]{1,10})\.([0-9]{1,9})\n)?"
    rb"(?:117 TWOFOLD\.content=([0-9]{10}),([0-9]{20}),([0-9a-f]{64})\n)?"
).fullmatch


class _Unusual(Exception):
    """This member is for the general way; caught in this module."""


def specification(piece: bytes, position: int, /) -> list[Usual]:
    """See `FindUsual`."""
    if position < 0:
        raise ValueError(f"{position} is no position")
    found: list[Usual] = []
    while position < len(piece):
        try:
            member = _member_at(piece, position)
        except _Unusual:
            break
        found.append(member)
        position = member.begin + _padded(member.end - member.begin)
    return found


def _padded(size: int) -> int:
    return size + -size % BLOCK


def _member_at(piece: bytes, start: int) -> Usual:
    position = start
    block = piece[position : position + BLOCK]
    mtime_ns: int | None = None
    content: Content | None = None
    if block[156:157] == b"x":
        _check(block)
        size = _number(block[124:136])
        position += BLOCK
        if position + size > len(piece):
            raise _Unusual
        mtime_ns, content = _decoded(piece[position : position + size])
        position += _padded(size)
        block = piece[position : position + BLOCK]
    _check(block)
    path, part, directory = _place_of(_name_of(block), block[156:157])
    size = _number(block[124:136])
    if (directory and (size or content is not None)) or block[157:257].strip(b"\0") or block[257:265] != b"ustar\x0000":
        raise _Unusual
    seconds = _number(block[136:148])
    mtime = seconds * _NANOSECONDS if mtime_ns is None else mtime_ns
    _check_devices(block)
    begin = position + BLOCK
    if max(mtime, size) > LARGEST_NUMBER:
        raise _Unusual
    return Usual(
        path,
        part,
        (_number(block[100:108]) & 0o7777, _number(block[108:116]), _number(block[116:124])),
        (_text_of(block[265:297]), _text_of(block[297:329])),
        mtime,
        mtime_ns is not None,
        content,
        begin,
        begin + size,
        start,
        directory,
    )


def _check(block: bytes) -> None:
    """All of it is ASCII and has the sum that it says, with blanks for the sum itself."""
    expected = _sum(block[148:156])
    if len(block) < BLOCK or not block.isascii() or expected is None:
        raise _Unusual
    if sum(block) - sum(block[148:156]) + 8 * 0x20 != int(expected[1], 8):
        raise _Unusual


def _check_devices(block: bytes) -> None:
    """Files that are no devices have numbers all the same, or none."""
    for at in (329, 337):
        if block[at : at + 8].strip(b"\0"):
            _number(block[at : at + 8])


def _number(field: bytes) -> int:
    if _octal(field) is None:
        raise _Unusual
    return int(field[:-1], 8)


def _text_of(field: bytes) -> bytes:
    text = _text(field)
    if text is None:
        raise _Unusual
    return text[1]


def _name_of(block: bytes) -> bytes:
    name, prefix = _text_of(block[:100]), _text_of(block[345:500])
    return prefix + b"/" + name if prefix else name


def _place_of(name: bytes, kind: bytes) -> tuple[bytes, int | None, bool]:
    """Path, part and whether it is a directory; a name that must be looked at closely is not usual."""
    part: int | None = None
    if kind == b"0" and name.startswith(_PART):
        path, _, digits = name[len(_PART) :].rpartition(b"/")
        part = int(digits) if _part_number(digits) else 0
    elif kind in (b"0", b"5") and name.startswith(_WHOLE):
        path = name[len(_WHOLE) :]
        path = path.removesuffix(b"/") if kind == b"5" else path
    else:
        raise _Unusual
    if _doubtful(name) or len(name) > LONGEST_COMPONENT or not path or path.endswith(b"/") or part == 0:
        raise _Unusual
    return path, part, kind == b"5"


def _decoded(data: bytes) -> tuple[int | None, Content | None]:
    """The time and the content record, as far as they are there."""
    records = _records(data)
    if records is None:
        raise _Unusual
    length, seconds, fraction, block_len, size, digest = records.groups()
    mtime_ns: int | None = None
    content: Content | None = None
    if length is not None:
        if int(length) != _MTIME_FRAME + len(seconds) + len(fraction):
            raise _Unusual
        mtime_ns = int(seconds + fraction.ljust(9, b"0"))
    if digest is not None:
        content = int(block_len), int(size), unhexlify(digest)
        if not 0 < content[0] <= LARGEST_BLOCK or content[1] > LARGEST_NUMBER:
            raise _Unusual
    return mtime_ns, content


def _choose() -> FindUsual:
    try:
        from twofold.format import compiled
    except ImportError:
        return specification
    return compiled.usual_members


usual_members: FindUsual = _choose()

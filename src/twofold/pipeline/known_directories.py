"""Compares one directory with its record in the state file, and reads large records a part at a time.

A directory of a million entries is met as well as one of ten, so nothing here holds a record that is not small whole.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from twofold.pipeline.known import FIELDS, HEADER_SIZE, DamagedState, KnownDirectory, KnownTree, RecordPlace, numbers_of

_PIECE: Final = 1 << 18
_STATS: Final = 8 * FIELDS


class Unchanged(NamedTuple):
    """What a record has beside names and facts."""

    locations: array[int]
    children: array[int]


def find_unchanged(tree: KnownTree, offset: int, names: Sequence[bytes], *, packed: array[int]) -> Unchanged | None:
    """What is known of the entries of a directory if names and facts are those of its record. Raises DamagedState."""
    place = tree.place(offset)
    if place.entries != len(names):
        return None
    if place.whole is None:
        return _find_large(tree, place, names, packed)
    joined = b"\0".join(names)
    facts = _little_endian(packed)
    if len(joined) != place.names_length or not place.whole.startswith(joined, HEADER_SIZE):
        return None
    start = HEADER_SIZE + len(joined)
    if not place.whole.startswith(facts, start):
        return None
    start += len(facts)
    end = start + 8 * place.entries
    return Unchanged(
        numbers_of("Q", place.whole[start:end]), numbers_of("Q", place.whole[end : end + 8 * place.entries])
    )


def known_parts(tree: KnownTree, offset: int) -> Iterator[KnownDirectory]:
    """The record in parts that follow each other, each like a record of its own. Raises DamagedState."""
    place = tree.place(offset)
    if place.whole is not None:
        yield tree.directory(offset)
        return
    crc = 0
    for start in range(place.start, place.end, _PIECE):
        crc = zlib.crc32(tree.read(start, min(_PIECE, place.end - start)), crc)
    if crc != place.crc:
        raise DamagedState("damaged record")
    stats_at = place.start + place.names_length
    locations_at = stats_at + _STATS * place.entries
    children_at = locations_at + 8 * place.entries
    for names in name_parts(tree.read(place.start, place.names_length)):
        count = names.count(b"\0") + 1
        yield KnownDirectory(
            names,
            numbers_of("q", tree.read(stats_at, _STATS * count)),
            numbers_of("Q", tree.read(locations_at, 8 * count)),
            numbers_of("Q", tree.read(children_at, 8 * count)),
        )
        stats_at += _STATS * count
        locations_at += 8 * count
        children_at += 8 * count


def name_parts(joined: bytes) -> Iterator[bytes]:
    """Names joined by NUL in parts of moderate length; at least one name, which may be empty."""
    start = 0
    while len(joined) - start > _PIECE:
        end = joined.find(b"\0", start + _PIECE)
        if end < 0:
            break
        yield joined[start:end]
        start = end + 1
    yield joined[start:] if start else joined


def _find_large(tree: KnownTree, place: RecordPlace, names: Sequence[bytes], packed: array[int]) -> Unchanged | None:
    at, crc = place.start, 0
    for piece in _pieces_of(names, packed):
        if at + len(piece) > place.end or tree.read(at, len(piece)) != piece:
            return None
        crc = zlib.crc32(piece, crc)
        at += len(piece)
    if at != place.start + place.names_length + _STATS * place.entries:
        return None
    rest = [tree.read(at, 8 * place.entries), tree.read(at + 8 * place.entries, 8 * place.entries)]
    for piece in rest:
        crc = zlib.crc32(piece, crc)
    if crc != place.crc:
        raise DamagedState("damaged record")
    return Unchanged(numbers_of("Q", rest[0]), numbers_of("Q", rest[1]))


def _pieces_of(names: Sequence[bytes], packed: array[int]) -> Iterator[bytes]:
    """The bytes with which the record of such a directory begins."""
    step = _PIECE // 64
    for start in range(0, len(names), step):
        piece = b"\0".join(names[start : start + step])
        yield piece if start + step >= len(names) else piece + b"\0"
    for start in range(0, len(packed), step):
        yield _little_endian(packed[start : start + step])


def _little_endian(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()

"""Pieces of deflate."""

from __future__ import annotations

import random
import zlib

import pytest

from tests.support.envelopes import sample
from twofold.envelope import deflate

MIB = 1 << 20
RANDOM = random.Random(5).randbytes(MIB)


def test_what_does_not_shrink_is_stored() -> None:
    assert len(deflate.deflated(RANDOM, 1)) == deflate.stored_size(MIB)


def test_text_shrinks() -> None:
    assert len(deflate.deflated(b"some text and again " * 50_000, 1)) < 20_000


def test_text_behind_something_incompressible_shrinks_too() -> None:
    assert len(deflate.deflated(RANDOM[: MIB // 2] + b"some text and again " * 25_000, 1)) < 0.6 * MIB


def inflated(piece: bytes) -> bytes:
    return zlib.decompress(piece + deflate.END_OF_DEFLATE, -15)


def test_large_contents_are_judged_one_by_one_and_what_lies_between_is_compressed() -> None:
    header, text = bytes(1024), b"some text and again " * 10_000
    data = header + RANDOM[:200_000] + header + text + header + RANDOM[200_000:265_536] + header
    first, second, third = 1024, 202_048, 203_072 + len(text)
    bodies = [[(first, 100_000), (first + 100_000, 100_000)], [(second, len(text))], [(third, 65_536)]]
    piece = deflate.deflated(data, 1, bodies)
    assert inflated(piece) == data
    assert 265_536 < len(piece) < 265_536 + 6000
    assert RANDOM[:60_000] in piece
    assert RANDOM[200_010:260_000] in piece


def test_headers_at_regular_distances_do_not_make_random_data_look_compressible() -> None:
    """Parts of 64 KiB with headers of 1 KiB, each where samples at equal distances would meet it."""
    data = b"".join(bytes(1024) + RANDOM[start : start + 65_536] for start in range(0, MIB - 65_536, 65_536))
    assert len(deflate.deflated(data, 1)) == deflate.stored_size(len(data))


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_bodies_never_make_a_piece_longer_than_stored(level: int) -> None:
    bodies = [[(start, 65_536)] for start in range(0, MIB, 65_536)]
    piece = deflate.deflated(RANDOM, level, bodies)
    assert len(piece) <= deflate.stored_size(MIB)
    assert inflated(piece) == RANDOM


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_nothing_becomes_longer_than_stored(level: int) -> None:
    mixed = sample(100_000)[40_000:]
    assert len(deflate.deflated(mixed, level)) <= deflate.stored_size(len(mixed))


@pytest.mark.parametrize("size", [0, 1, 65_534, 65_535, 65_536, 131_070, 131_071])
def test_stored_blocks_have_the_announced_size(size: int) -> None:
    assert len(deflate.stored(RANDOM[:size])) == deflate.stored_size(size)


def test_any_kind_of_buffer_will_do() -> None:
    expected = deflate.deflated(b"text " * 1000, 1)
    assert deflate.deflated(bytearray(b"text " * 1000), 1) == expected
    assert deflate.deflated(memoryview(b"text " * 1000), 1) == expected

"""Pieces of deflate."""

from __future__ import annotations

import random

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

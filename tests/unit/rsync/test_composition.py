"""Deltas carried out while their basis streams by, by both kernels."""

from __future__ import annotations

import os
import tempfile

import pytest

from tests.support.compositions import MAGIC, composed, copy, delta_of, literal
from tests.unit.rsync.test_patch import DAMAGED
from twofold.errors import CorruptDelta
from twofold.rsync.kernel import Kernel

BASIS = bytes(range(251)) * 40


def test_changes_in_place_hold_nothing_of_the_basis(kernel: Kernel) -> None:
    delta = delta_of(copy(0, 3000), literal(b"x" * 100), copy(3100, 4000), literal(b"y"), copy(7101, 2000))
    expected = BASIS[:3000] + b"x" * 100 + BASIS[3100:7100] + b"y" + BASIS[7101:9101]
    assert composed(kernel, BASIS, [delta]) == (expected, len(delta))


def test_only_what_is_wanted_again_is_held(kernel: Kernel) -> None:
    delta = delta_of(copy(5000, 100), copy(0, 200), copy(100, 200), copy(5000, 100), copy(6000, 4))
    expected = BASIS[5000:5100] + BASIS[:200] + BASIS[100:300] + BASIS[5000:5100] + BASIS[6000:6004]
    assert composed(kernel, BASIS, [delta]) == (expected, len(delta) + 300 + 100)


def test_a_block_may_be_multiplied_without_being_made_at_once(kernel: Kernel) -> None:
    delta = delta_of(*(copy(0, 1000),) * 50)
    assert composed(kernel, BASIS, [delta], size=700) == (BASIS[:1000] * 50, len(delta) + 1000)


def test_an_empty_delta_makes_an_empty_result(kernel: Kernel) -> None:
    assert composed(kernel, BASIS, [delta_of()])[0] == b""
    assert composed(kernel, b"", [delta_of(), delta_of(literal(b"a"))])[0] == b"a"


def test_what_passes_unchanged_is_not_copied(kernel: Kernel) -> None:
    with tempfile.TemporaryFile() as held:
        composition = kernel.Composition(held.fileno(), most_commands=9)
        composition.feed_delta(delta_of(copy(0, 2000), literal(b"x"), copy(2000, 1000)))
        composition.finish_delta(3001)
        assert [composition.feed(BASIS[:1000]), composition.feed(BASIS[1000:2000])] == [True, True]
        assert composition.take(10) == b"x"
        assert composition.feed(BASIS[2000:3000])
        assert not composition.feed(BASIS[3000:])
        assert composition.take(10) == b""
        composition.finish()


@pytest.mark.parametrize("name", [name for name in DAMAGED if name not in {"copy beyond the end", "copy from the end"}])
@pytest.mark.parametrize("step", [1, 1000])
def test_a_damaged_delta_is_told_before_anything_is_made(kernel: Kernel, name: str, step: int) -> None:
    with pytest.raises(CorruptDelta):
        composed(kernel, BASIS, [DAMAGED[name]], step=step)


@pytest.mark.parametrize("delta", [delta_of(copy(10_040, 1)), delta_of(copy(10_000, 41)), delta_of(copy(1 << 40, 9))])
def test_a_copy_beyond_the_basis_is_told_when_that_ends(kernel: Kernel, delta: bytes) -> None:
    assert composed(kernel, BASIS, [delta_of(copy(10_000, 40))])[0] == BASIS[10_000:]
    with pytest.raises(CorruptDelta, match="beyond the basis"):
        composed(kernel, BASIS, [delta])
    with pytest.raises(CorruptDelta, match="beyond the basis"):
        composed(kernel, BASIS, [delta_of(copy(5, 20)), delta_of(copy(1, 20))])


def test_a_result_that_is_too_large_is_told(kernel: Kernel) -> None:
    assert composed(kernel, BASIS, [delta_of(copy(0, 50))], max_size=50)[0] == BASIS[:50]
    with pytest.raises(CorruptDelta, match="makes more than 49 bytes"):
        composed(kernel, BASIS, [delta_of(copy(0, 50))], max_size=49)
    most = (1 << 63) - 1
    with pytest.raises(CorruptDelta, match="makes more than"):
        composed(kernel, BASIS, [delta_of(copy(0, most), copy(0, most))], max_size=most)


def test_too_many_commands_are_not_kept_but_every_delta_is(kernel: Kernel) -> None:
    deltas = [delta_of(copy(0, 10), copy(20, 10), literal(b"x")), delta_of(copy(0, 21))]
    assert composed(kernel, BASIS, deltas, most_commands=3)[0] == BASIS[:10] + BASIS[20:30] + b"x"
    assert composed(kernel, BASIS, deltas, most_commands=2) == (None, sum(map(len, deltas)))


def test_neighbouring_copies_count_as_one_command(kernel: Kernel) -> None:
    delta = delta_of(copy(0, 10), copy(10, 10), copy(20, 5))
    assert composed(kernel, BASIS, [delta], most_commands=1)[0] == BASIS[:25]


def test_calls_in_the_wrong_order_are_refused(kernel: Kernel) -> None:
    with tempfile.TemporaryFile() as held:
        composition = kernel.Composition(held.fileno(), most_commands=9)
        with pytest.raises(ValueError, match="not finished"):
            composition.feed(b"")
        composition.feed_delta(MAGIC)
        with pytest.raises(ValueError, match="not finished"):
            composition.take(1)
        composition.feed_delta(b"\1a\0")
        composition.finish_delta(1)
        with pytest.raises(ValueError, match="taken first"):
            composition.feed(b"a")
    with pytest.raises(ValueError, match="descriptor"):
        kernel.Composition(-1, most_commands=9)


def test_a_scratch_file_that_fails_is_an_error_of_the_system(kernel: Kernel) -> None:
    reading, writing = os.pipe()
    try:
        composition = kernel.Composition(reading, most_commands=9)
        with pytest.raises(OSError, match=r"."):
            composition.feed_delta(delta_of(literal(b"a")))
    finally:
        os.close(reading)
        os.close(writing)

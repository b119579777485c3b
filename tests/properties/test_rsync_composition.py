"""Whatever the deltas and however their basis comes: a composition makes what carrying them out one by one makes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.compositions import MOST, composed, copy, delta_of, literal
from tests.support.kernels import kernel_variant
from twofold.rsync import specification
from twofold.rsync.kernel import Kernel

EXAMPLES = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=["python", "native"])
def kernel(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    with kernel_variant(request.param) as chosen:
        yield chosen


@st.composite
def commands(draw: st.DrawFn, basis_size: int) -> bytes:
    """A delta of copies, in any order, and literals."""
    made = []
    for _ in range(draw(st.integers(0, 8))):
        if basis_size and draw(st.booleans()):
            position = draw(st.integers(0, basis_size - 1))
            made.append(copy(position, draw(st.integers(1, basis_size - position))))
        else:
            made.append(literal(draw(st.binary(min_size=1, max_size=20))))
    return delta_of(*made)


@st.composite
def chains(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    """The states of a file and the deltas between them."""
    states, deltas = [draw(st.binary(max_size=400))], []
    for _ in range(draw(st.integers(1, 4))):
        deltas.append(draw(commands(len(states[-1]))))
        states.append(specification.patch_bytes(states[-1], deltas[-1], MOST))
    return states, deltas


@EXAMPLES
@given(chain=chains(), step=st.integers(1, 200), size=st.integers(1, 200))
def test_a_composition_makes_what_patching_one_by_one_makes(
    kernel: Kernel, chain: tuple[list[bytes], list[bytes]], step: int, size: int
) -> None:
    states, deltas = chain
    made, held = composed(kernel, states[0], deltas, step=step, size=size)
    assert made == states[-1]
    assert held <= sum(map(len, deltas)) + len(states[0])


@EXAMPLES
@given(chain=chains(), most=st.integers(0, 6))
def test_both_kernels_find_the_same_chains_too_long(chain: tuple[list[bytes], list[bytes]], most: int) -> None:
    states, deltas = chain
    found = []
    for name in ("python", "native"):
        with kernel_variant(name) as kernel:
            found.append(composed(kernel, states[0], deltas, most_commands=most))
    assert found[0] == found[1]
    assert found[0][0] in {None, states[-1]}


@EXAMPLES
@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=12),
    order=st.randoms(use_true_random=False),
    step=st.integers(1, 100),
)
def test_blocks_in_any_order_come_out_in_that_order(kernel: Kernel, sizes: list[int], order: object, step: int) -> None:
    starts = [0, *accumulate(sizes)]
    basis = bytes(at * 37 % 251 for at in range(starts[-1]))
    blocks = list(zip(starts, sizes, strict=False))
    order.shuffle(blocks)  # type: ignore[attr-defined]
    made, _ = composed(kernel, basis, [delta_of(*(copy(*block) for block in blocks))], step=step, size=50)
    assert made == b"".join(basis[start : start + size] for start, size in blocks)

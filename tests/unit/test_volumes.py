"""Volumes are cut where exact sizes say so, whoever is faster."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from twofold.concurrency import Ledger
from twofold.pipeline.volumes import VolumeMeter


class Rules:
    def worst_case(self, raw_size: int) -> int:
        return raw_size + 100

    def overhead(self, deflated_size: int) -> int:
        return 200 + deflated_size // 1000


def cuts(sizes: list[int], known_at_once: bool) -> list[int]:
    """The chunk numbers at which a volume begins; each chunk is at most 1000 raw bytes and becomes sizes[n]."""
    ledger = Ledger()
    meter = VolumeMeter(Rules(), ledger, limit=30000)
    if known_at_once:
        for number, size in enumerate(sizes):
            ledger.report(number, size)
    found = []
    for number, size in enumerate(sizes):
        if not known_at_once and number:
            ledger.report(number - 1, sizes[number - 1])
        if not meter.fits(1000):
            found.append(number)
            meter.begin()
        meter.add(number, 1000)
        del size
    return found


@given(st.lists(st.integers(min_value=1, max_value=1100), max_size=200))
def test_cuts_do_not_depend_on_when_sizes_become_known(sizes: list[int]) -> None:
    assert cuts(sizes, known_at_once=True) == cuts(sizes, known_at_once=False)


@given(st.lists(st.integers(min_value=1, max_value=1100), max_size=200))
def test_no_volume_exceeds_its_limit(sizes: list[int]) -> None:
    borders = [0, *cuts(sizes, known_at_once=True), len(sizes)]
    for begin, end in itertools.pairwise(borders):
        deflated = sum(sizes[begin:end])
        assert deflated + 200 + deflated // 1000 <= 30000


def test_an_empty_volume_takes_a_chunk_that_is_too_large() -> None:
    assert VolumeMeter(Rules(), Ledger(), limit=10).fits(10**6)

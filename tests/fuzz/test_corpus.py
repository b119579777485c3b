"""Every input that fuzzing has kept, replayed: parsers raise what they declare, and what is written reads back."""

from __future__ import annotations

import pytest

from tests.fuzz.corpus import FOLDER, TARGETS, inputs
from tests.support.tally import Tried, tally


@pytest.mark.parametrize("name", TARGETS)
def test_no_kept_input_breaks_a_promise(name: str) -> None:
    found = inputs(name)
    for each in found:
        TARGETS[name].check(each)
    tally(Tried.INPUTS, len(found))


def test_the_corpus_stays_small_and_belongs_to_the_targets() -> None:
    kept = list(FOLDER.iterdir())
    assert {path.name for path in kept} == {f"{name}.zip" for name in TARGETS}
    assert sum(path.stat().st_size for path in kept) < 1_000_000

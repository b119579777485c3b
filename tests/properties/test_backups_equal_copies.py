"""Whatever happens to a tree between backups, every moment comes back as a copy of it would have it."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.backups import Place
from tests.support.edits import Edits
from tests.support.tree import Fidelity, assert_same_tree, snapshot
from twofold.model.backup import SetKind, Wrapping


def history_of(place: Place, seed: int, rounds: int) -> list[tuple[int, object]]:
    """Edits and backs up in turn; gives what the tree was like at each backup."""
    choices = random.Random(seed ^ 0x5EED)
    edits = Edits(place.source, seed)
    moments: list[tuple[int, object]] = []
    for number in range(rounds):
        edits.make_some(choices.choice((0, 1, 3, 12)) if number else 25)
        if choices.random() < 0.3:
            Path(place.archive, "twofold-state").unlink(missing_ok=True)
        asked = SetKind.FULL if not number or choices.random() < 0.15 else SetKind.INCREMENTAL
        summary = place.back_up(asked)
        moments.append((summary.set_id.end, snapshot(place.source)))
    return moments


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(min_value=0, max_value=2**32),
    rounds=st.integers(min_value=2, max_value=5),
    wrapping=st.sampled_from((Wrapping.PLAIN, Wrapping.GZIP)),
)
def test_every_moment_of_any_history_comes_back(seed: int, rounds: int, wrapping: Wrapping) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), wrapping)
        for instant, expected in history_of(place, seed, rounds):
            restored = place.restore(instant)
            assert_same_tree(restored, expected, fidelity=Fidelity.FULL)  # type: ignore[arg-type]
        assert place.problems() == []
        assert place.leftovers() == []

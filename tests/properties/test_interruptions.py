"""Backups that are interrupted any number of times, of a tree that changes meanwhile: no file is of two moments."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.backups import Place
from tests.support.edits import Edits
from tests.support.power_cut import PowerCut
from tests.support.tree import Fidelity, NodeState, Snapshot, assert_same_tree, snapshot
from twofold.model.backup import SetKind
from twofold.model.times import SystemClock
from twofold.operations import backup

BEGUN_HERE = ".part"


class Later(SystemClock):
    """By which files that have just been made are old enough to be believed."""

    def now(self) -> float:
        return super().now() + 3600


def essence(state: NodeState | None) -> object:
    return state and (state.kind, state.sha256, state.link_target)


def interrupted(place: Place, edits: Edits, choices: random.Random) -> list[Snapshot]:
    """Attempts at one backup until it is made; gives what the tree was like at each."""
    seen: list[Snapshot] = []
    while True:
        seen.append(snapshot(place.source))
        moment = choices.randrange(120) if len(seen) < 4 else None
        run = PowerCut(place, moment, all_is_kept=choices.random() < 0.5)
        if run.run(place.back_up) is not None:
            return seen
        if choices.random() < 0.6:
            edits.make_some(choices.choice((1, 2, 5)))


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(min_value=0, max_value=2**32))
def test_each_file_is_as_it_was_at_one_attempt(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(backup, "SystemClock", Later)
        place = Place(Path(folder), volume_size=330_000)
        edits, choices = Edits(place.source, seed, hidden=False), random.Random(seed ^ 0x5EED)
        for number in range(2):
            edits.make_some(6 if number else 30)
            seen = interrupted(place, edits, choices)
            restored = snapshot(place.restore())
            for path in restored.keys() | seen[-1].keys():
                found = essence(restored.get(path))
                assert found in [essence(each.get(path)) for each in seen], (path, found)
            assert place.leftovers() == []
            place.clock.advance(10)
            place.back_up(SetKind.INCREMENTAL)
            assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)
        assert not [name for name in os.listdir(place.archive) if BEGUN_HERE in name]

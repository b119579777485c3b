"""Differences applied to a basis that streams by."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.archive import FILE, delta, record_of
from tests.support.compositions import copy, delta_of, literal
from twofold import system
from twofold.errors import CorruptDelta
from twofold.format.difftar import Action
from twofold.model.entry import ContentRecord
from twofold.pipeline.differences import Differences
from twofold.pipeline.recorded import CorruptContent
from twofold.pipeline.versions import HeldData, Version

BASIS = random.Random(5).randbytes(400_000)


def difference(made: bytes, record: ContentRecord | None = None) -> Version:
    return Version(Action.DIFF, b"f", FILE._replace(content=record), reader=HeldData(made))


def in_blocks(content: bytes) -> Iterator[bytes]:
    return (content[start : start + 50_000] for start in range(0, len(content), 50_000))


def applied(temp_dir: Path, *versions: Version, most_commands: int = 1000, check_steps: bool = False) -> bytes:
    differences = Differences(str(temp_dir), most_commands=most_commands)
    try:
        for version in versions:
            differences.read(version, None)
        return b"".join(differences.applied(in_blocks(BASIS), check_steps=check_steps))
    finally:
        differences.close()


@pytest.fixture
def scratch_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How large each scratch file was when it was closed."""
    sizes: list[int] = []
    made: set[int] = set()
    make, close = system.scratch_file, os.close

    def noted(folder: str) -> int:
        descriptor = make(folder)
        made.add(descriptor)
        return descriptor

    def measured(descriptor: int) -> None:
        if descriptor in made:
            made.discard(descriptor)
            sizes.append(os.fstat(descriptor).st_size)
        close(descriptor)

    monkeypatch.setattr(system, "scratch_file", noted)
    monkeypatch.setattr(os, "close", measured)
    return sizes


@pytest.mark.parametrize("most_commands", [1000, 1])
def test_composed_or_one_by_one_the_result_is_the_same(tmp_path: Path, most_commands: int) -> None:
    states = [BASIS, BASIS[200_000:] + b"x" * 1000 + BASIS[:200_000]]
    states.append(states[1][:90_000] + b"y" + states[1][100_000:])
    versions = [difference(delta(old, new)) for old, new in pairwise(states)]
    assert applied(tmp_path, *versions, most_commands=most_commands) == states[-1]


def test_the_basis_of_changes_in_place_is_stored_nowhere(tmp_path: Path, scratch_sizes: list[int]) -> None:
    first = delta_of(copy(0, 100_000), literal(b"x" * 4096), copy(104_096, 295_904))
    second = delta_of(copy(0, 300_000), literal(b"y" * 4096), copy(304_096, 95_904))
    made = applied(tmp_path, difference(first), difference(second))
    assert made == BASIS[:100_000] + b"x" * 4096 + BASIS[104_096:300_000] + b"y" * 4096 + BASIS[304_096:]
    assert scratch_sizes == [len(first) + len(second)]


def test_too_many_commands_are_carried_out_with_the_basis_in_a_scratch_file(
    tmp_path: Path, scratch_sizes: list[int]
) -> None:
    made = delta_of(copy(0, 10), literal(b"x"), copy(20, 10))
    assert applied(tmp_path, difference(made), most_commands=2) == BASIS[:10] + b"x" + BASIS[20:30]
    assert scratch_sizes == [len(BASIS), 21, len(made)]


def test_states_between_are_compared_with_their_records_when_that_is_asked_for(tmp_path: Path) -> None:
    middle, last = BASIS + b"a", BASIS + b"ab"
    good, wrong = record_of(middle), record_of(last)
    for record, sound in ((good, True), (wrong._replace(size=len(middle)), False)):
        versions = [difference(delta(BASIS, middle), record), difference(delta(middle, last))]
        assert applied(tmp_path, *versions) == last
        versions = [difference(delta(BASIS, middle), record), difference(delta(middle, last))]
        if sound:
            assert applied(tmp_path, *versions, check_steps=True) == last
        else:
            with pytest.raises(CorruptContent):
                applied(tmp_path, *versions, check_steps=True)


def test_a_result_that_is_larger_than_recorded_is_not_begun(tmp_path: Path) -> None:
    record = ContentRecord(4096, 9, b"\x01" * 32)
    with pytest.raises(CorruptDelta, match="makes more than 9 bytes"):
        applied(tmp_path, difference(delta_of(copy(0, 10)), record))


@pytest.mark.parametrize("most_commands", [1000, 0])
def test_a_copy_beyond_the_basis_is_an_error_and_leaves_nothing_open(tmp_path: Path, most_commands: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(CorruptDelta, match="beyond the basis"):
        applied(tmp_path, difference(delta_of(copy(399_999, 2))), most_commands=most_commands)
    assert len(os.listdir("/proc/self/fd")) == before

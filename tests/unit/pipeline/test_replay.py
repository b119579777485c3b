"""The members of sets merged by path, and what is lost when volumes cannot be read."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.archive import (
    FILE,
    deleted,
    diff,
    directory,
    one_volume,
    other,
    parts,
    raw,
    record_of,
    sig_deleted,
    sig_file,
    sig_lookup,
    sig_other,
    snapshot,
    symlink,
    volume,
)
from tests.unit.pipeline.reading import BrokenSource, opened, read_sets
from twofold.format.difftar import Action
from twofold.format.pax import format_record
from twofold.monitor import Note, RecordingMonitor
from twofold.pipeline.merge import merge_sets, one_by_one
from twofold.pipeline.replay import SetReader
from twofold.pipeline.versions import Version

LARGE = random.Random(1).randbytes(200_000)
ROOT = directory(b"")
LINK = symlink(b"elsewhere")


def large(path: bytes = b"m", content: bytes = LARGE) -> list[bytes]:
    return parts(path, content, record=record_of(content))


def test_paths_of_all_sets_come_once_and_in_archive_order(tmp_path: Path) -> None:
    full = one_volume(ROOT, snapshot(b"a", b"1"), directory(b"d"), snapshot(b"d/x", b"2"), snapshot(b"d-", b"3"))
    increment = one_volume(ROOT, snapshot(b"b", b"4"), snapshot(b"d/y", b"5"))
    outcome = read_sets(tmp_path, full, increment)
    assert outcome.order == [b"", b"a", b"b", b"d", b"d/x", b"d/y", b"d-"]
    assert outcome.found[b"d/y"] == b"5"
    assert not outcome.problems


@pytest.mark.parametrize("recorded", [True, False])
def test_a_file_in_parts_spans_volumes(tmp_path: Path, recorded: bool) -> None:
    pieces = parts(b"m", LARGE, record=record_of(LARGE) if recorded else None)
    volumes = [
        volume(1, [ROOT, pieces[0]], first=b"", last=(b"m", 1)),
        volume(2, pieces[1:3], first=(b"m", 2), last=(b"m", 3)),
        volume(3, [pieces[3], snapshot(b"z", b"z")], first=b"m", last=b"z"),
    ]
    assert read_sets(tmp_path, volumes).found == {b"": "dir", b"m": LARGE, b"z": b"z"}


def test_data_that_nobody_reads_are_passed_over(tmp_path: Path) -> None:
    pieces = large()
    volumes = [
        volume(1, [ROOT, *pieces[:2]], first=b"", last=(b"m", 2)),
        volume(2, [*pieces[2:], snapshot(b"z", b"z")], first=(b"m", 3), last=b"z"),
    ]
    outcome = read_sets(tmp_path, volumes, skipping=frozenset((b"m",)))
    assert outcome.found == {b"": "dir", b"z": b"z"}
    assert not outcome.problems


SPLIT = large()
MIDDLE = [
    volume(1, [ROOT, snapshot(b"a", b"a"), SPLIT[0]], first=b"", last=(b"m", 1)),
    volume(2, SPLIT[1:3], first=(b"m", 2), last=(b"m", 3)),
    volume(3, [SPLIT[3], other(b"n", LINK), snapshot(b"z", b"z")], first=b"m", last=b"z"),
]
SIGNATURES = [
    sig_other(b"", FILE._replace(kind=directory.__defaults__[0].kind)),  # type: ignore[index]
    sig_file(b"a", b"a"),
    sig_file(b"m", LARGE),
    sig_other(b"n", LINK),
    sig_file(b"z", b"z"),
]


@pytest.mark.parametrize(
    ("number", "lost", "kept"),
    [(1, {b"a", b"m"}, {b"", b"n", b"z"}), (2, {b"m"}, {b"", b"a", b"n", b"z"}), (3, {b"m", b"z"}, {b"", b"a", b"n"})],
)
def test_a_lost_volume_costs_its_files_by_name_where_signatures_are_known(
    tmp_path: Path, number: int, lost: set[bytes], kept: set[bytes]
) -> None:
    volumes = [each if each.number != number else volume_lost(each) for each in MIDDLE]
    outcome = read_sets(tmp_path, volumes, signatures=[SIGNATURES])
    assert set(outcome.errors) == lost
    assert set(outcome.found) == kept, "links and directories have no data, so they are not lost"
    assert not outcome.problems


@pytest.mark.parametrize(("number", "kept"), [(1, {b"n", b"z"}), (2, {b"", b"a", b"n", b"z"}), (3, {b"", b"a"})])
def test_a_lost_volume_is_told_with_its_range_where_signatures_are_lost_too(
    tmp_path: Path, number: int, kept: set[bytes]
) -> None:
    volumes = [each if each.number != number else volume_lost(each) for each in MIDDLE]
    outcome = read_sets(tmp_path, volumes, to_file=True)
    assert set(outcome.found) == kept
    assert set(outcome.errors) <= {b"m"}
    (problem,) = outcome.problems
    assert f"volume {number}" in problem.reason
    assert problem.path == {1: b"", 2: b"m", 3: b"m"}[number]


def volume_lost(each: object) -> object:
    return volume(each.number, (), first=tuple(each.first), last=tuple(each.last), lost=True)  # type: ignore[attr-defined]


def test_two_lost_volumes_in_a_row_tell_the_file_between_them_once(tmp_path: Path) -> None:
    volumes = [MIDDLE[0], volume_lost(MIDDLE[1]), volume_lost(MIDDLE[2])]
    outcome = read_sets(tmp_path, volumes, signatures=[SIGNATURES])  # type: ignore[arg-type]
    assert set(outcome.errors) == {b"m", b"z"}
    assert outcome.found == {b"": "dir", b"a": b"a", b"n": "sym"}
    outcome = read_sets(tmp_path, [volume_lost(each) for each in MIDDLE], signatures=[SIGNATURES])  # type: ignore[misc]
    assert set(outcome.errors) == {b"a", b"m", b"z"}


def test_a_path_that_stands_elsewhere_after_all_is_not_lost(tmp_path: Path) -> None:
    volumes = [
        volume(1, (), first=b"", last=b"b", lost=True),
        volume(2, [snapshot(b"b", b"here"), snapshot(b"c", b"c")], first=b"b", last=b"c"),
    ]
    signatures = [sig_file(b"a", b"a"), sig_file(b"b", b"here"), sig_file(b"c", b"c")]
    outcome = read_sets(tmp_path, volumes, signatures=[signatures])
    assert outcome.found == {b"b": b"here", b"c": b"c"}
    assert set(outcome.errors) == {b"a"}


def test_a_deletion_is_not_lost_with_its_volume(tmp_path: Path) -> None:
    full = one_volume(ROOT, snapshot(b"a", b"1"), snapshot(b"b", b"2"))
    lost = [volume(1, (), first=b"", last=b"b", lost=True)]
    outcome = read_sets(tmp_path, full, lost, signatures=[None, [sig_deleted(b"a"), sig_file(b"b", b"3")]])
    assert set(outcome.errors) == {b"b"}, "the old content of b is not what was asked for"
    assert set(outcome.found) == {b""}


def test_a_lost_file_that_a_later_set_has_whole_is_not_missed(tmp_path: Path) -> None:
    full = [volume(1, (), first=b"", last=b"b", lost=True)]
    newer = one_volume(snapshot(b"a", b"new"), diff(b"b", b"2", b"3"))
    outcome = read_sets(tmp_path, full, newer, signatures=[[sig_file(b"a", b"1"), sig_file(b"b", b"2")]])
    assert outcome.found == {b"a": b"new"}
    assert set(outcome.errors) == {b"b"}


def test_a_difference_after_a_set_of_unknown_contents_needs_a_record(tmp_path: Path) -> None:
    full = one_volume(snapshot(b"a", b"1" * 600), snapshot(b"b", b"2" * 600), snapshot(b"c", b"3"))
    lost = [volume(1, (), first=b"", last=b"c", lost=True)]
    newest = one_volume(
        diff(b"a", b"1" * 600, b"1" * 600 + b"x", recorded=True), diff(b"b", b"2" * 600, b"2" * 601, recorded=False)
    )
    outcome = read_sets(tmp_path, full, lost, newest)
    assert outcome.found == {b"a": b"1" * 600 + b"x", b"c": b"3"}
    assert set(outcome.errors) == {b"b"}
    assert len(outcome.problems) == 1, "that c may be old is told with the range"


def test_a_difference_to_what_a_lost_set_changed_is_found_out_by_its_record(tmp_path: Path) -> None:
    old, middle, new = b"1" * 600, b"2" * 600, b"2" * 600 + b"!"
    full = one_volume(snapshot(b"a", old))
    lost = [volume(1, (), first=b"", last=b"c", lost=True)]
    outcome = read_sets(tmp_path, full, lost, one_volume(diff(b"a", middle, new)))
    assert "not what was backed up" in outcome.errors[b"a"]
    assert not outcome.found


@pytest.mark.parametrize("known", [True, False])
def test_a_damaged_header_costs_the_rest_of_its_volume(tmp_path: Path, known: bool) -> None:
    garbage = b"\x07" * 512
    volumes = [
        volume(1, [ROOT, snapshot(b"a", b"a"), garbage, snapshot(b"b", b"b")], first=b"", last=b"b"),
        volume(2, [snapshot(b"c", b"c")], first=b"c", last=b"c"),
    ]
    signatures = [sig_file(name, name) for name in (b"a", b"b", b"c")] if known else None
    outcome = read_sets(tmp_path, volumes, signatures=[signatures])
    assert outcome.found == {b"": "dir", b"a": b"a", b"c": b"c"}
    assert set(outcome.errors) == ({b"b"} if known else set())
    assert len(outcome.problems) == (0 if known else 1)


@pytest.mark.parametrize("known", [True, False])
def test_a_damaged_first_header_costs_the_whole_volume(tmp_path: Path, known: bool) -> None:
    volumes = [volume(1, [b"\x07" * 512, snapshot(b"b", b"b")], first=b"", last=b"b")]
    outcome = read_sets(tmp_path, volumes, signatures=[[sig_file(b"b", b"b")] if known else None])
    assert not outcome.found
    assert set(outcome.errors) == ({b"b"} if known else set())
    assert len(outcome.problems) == (0 if known else 1)


def test_a_volume_cut_short_in_a_files_data_costs_that_file_and_what_follows(tmp_path: Path) -> None:
    whole = b"".join([ROOT, snapshot(b"a", b"a" * 5000, recorded=False), snapshot(b"b", b"b")])
    volumes = [volume(1, [whole[:3000]], first=b"", last=b"b", ending=b"")]
    outcome = read_sets(tmp_path, volumes, signatures=[[sig_file(b"a", b"a" * 5000), sig_file(b"b", b"b")]])
    assert set(outcome.errors) == {b"a", b"b"}
    assert set(outcome.found) == {b""}


def test_a_volume_that_ends_in_the_middle_of_a_file_in_parts_costs_that_file(tmp_path: Path) -> None:
    volumes = [
        volume(1, [ROOT, SPLIT[0], SPLIT[1][:5000]], first=b"", last=(b"m", 2), ending=b""),
        volume(2, [*SPLIT[2:], snapshot(b"z", b"z")], first=(b"m", 3), last=b"z"),
    ]
    outcome = read_sets(tmp_path, volumes, signatures=[SIGNATURES[2:]])
    assert set(outcome.errors) == {b"m"}
    assert outcome.found == {b"": "dir", b"z": b"z"}


def test_a_dying_disk_costs_the_rest_of_the_volume_and_not_the_run(tmp_path: Path) -> None:
    first = volume(
        1, [ROOT, snapshot(b"a", b"a" * 300_000, recorded=False), snapshot(b"b", b"b")], first=b"", last=b"b"
    )
    monitor = RecordingMonitor()
    reader = SetReader(
        [opened(first.record, BrokenSource(first.content, 100_000))],
        within=b"",
        members_between=sig_lookup([sig_file(b"b", b"b")]),
        monitor=monitor,
    )
    seen = []
    for history in one_by_one(merge_sets([reader])):
        seen.append(history.path)
        version = history.versions[0]
        if isinstance(version, Version) and history.path == b"a":
            with pytest.raises(Exception, match="Input/output error"):
                version.read(300_000)
    assert seen == [b"", b"a", b"b"]


@pytest.mark.parametrize("kept", [(0, 1, 3), (0, 2, 3), (1, 2, 3), (0, 1, 2), (0,)])
def test_a_missing_part_is_an_error_whichever_it_is(tmp_path: Path, kept: tuple[int, ...]) -> None:
    for pieces in (SPLIT, parts(b"m", LARGE)):
        outcome = read_sets(tmp_path, one_volume(ROOT, *(pieces[each] for each in kept), snapshot(b"z", b"z")))
        assert set(outcome.errors) == {b"m"}
        assert outcome.found == {b"": "dir", b"z": b"z"}


def test_the_missing_last_part_of_a_file_that_is_several_whole_parts_long_is_noticed(tmp_path: Path) -> None:
    pieces = parts(b"m", bytes(131_072))
    assert len(pieces) == 3
    assert read_sets(tmp_path, one_volume(*pieces)).found == {b"m": bytes(131_072)}
    assert set(read_sets(tmp_path, one_volume(*pieces[:2])).errors) == {b"m"}


def test_parts_of_other_sizes_are_read_too(tmp_path: Path) -> None:
    pieces = [raw(b"multivol_snapshot/m/%d" % number, bytes([number]) * 100) for number in (1, 2, 3)]
    content = b"".join(bytes([number]) * 100 for number in (1, 2, 3))
    assert read_sets(tmp_path, one_volume(*pieces)).found == {b"m": content}


def test_parts_of_another_action_do_not_continue_a_file(tmp_path: Path) -> None:
    mixed = parts(b"m", LARGE, action=Action.DIFF)
    outcome = read_sets(tmp_path, one_volume(SPLIT[0], *mixed[1:]))
    assert set(outcome.errors) == {b"m"}


def test_entries_that_come_twice_or_out_of_order_are_told_and_left_out(tmp_path: Path) -> None:
    outcome = read_sets(
        tmp_path,
        one_volume(
            ROOT,
            snapshot(b"b", b"first"),
            snapshot(b"b", b"second"),
            snapshot(b"a", b"late"),
            raw(b"multivol_snapshot/b/2", b"third"),
            snapshot(b"c", b"c"),
        ),
    )
    assert outcome.found == {b"": "dir", b"b": b"first", b"c": b"c"}
    assert [problem.path for problem in outcome.problems] == [b"b", b"a", b"b"]


@pytest.mark.parametrize(
    "name",
    [b"snapshot/../x", b"snapshot//x", b"snapshot/./x", b"snapshot/a/../x", b"xattr/a", b"snapshot/" + b"n" * 256],
)
def test_names_that_must_not_be_used_are_told_and_left_out(tmp_path: Path, name: bytes) -> None:
    outcome = read_sets(tmp_path, one_volume(raw(name, b"evil"), snapshot(b"z", b"z")))
    assert outcome.found == {b"z": b"z"}
    assert [problem.path for problem in outcome.problems] == [name]


def test_a_record_of_ours_that_makes_no_sense_is_told(tmp_path: Path) -> None:
    strange = raw(b"snapshot/a", b"a", extra=format_record(b"TWOFOLD.content", b"nonsense"))
    outcome = read_sets(tmp_path, one_volume(strange))
    assert outcome.found == {b"a": b"a"}
    (note,) = [event for event in outcome.monitor.events if isinstance(event, Note)]
    assert note.warning
    assert "TWOFOLD.content" in note.text


def test_only_what_is_within_the_path_comes_out(tmp_path: Path) -> None:
    full = one_volume(
        ROOT, directory(b"d"), snapshot(b"d/x", b"x"), snapshot(b"d-x", b"no"), snapshot(b"da", b"no"), deleted(b"e")
    )
    outcome = read_sets(tmp_path, full, within=b"d")
    assert outcome.order == [b"d", b"d/x"]


def test_what_a_lost_volume_held_outside_of_the_path_is_not_told(tmp_path: Path) -> None:
    lost = [volume(1, (), first=b"", last=b"z", lost=True)]
    signatures = [sig_file(b"a", b"a"), sig_file(b"d/x", b"x"), sig_file(b"z", b"z")]
    outcome = read_sets(tmp_path, lost, signatures=[signatures], within=b"d")
    assert set(outcome.errors) == {b"d/x"}


def test_a_resumed_volume_may_have_begun_before_its_starting_path(tmp_path: Path) -> None:
    volumes = [
        volume(1, [ROOT, snapshot(b"a", b"a")], first=b"", last=b"a"),
        volume(2, (), first=b"c", last=b"d", lost=True),
    ]
    signatures = [sig_file(name, name) for name in (b"a", b"b", b"c", b"d")]
    outcome = read_sets(tmp_path, volumes, signatures=[signatures])
    assert set(outcome.errors) == {b"b", b"c", b"d"}


def test_nothing_is_read_behind_the_first_block_of_zeros(tmp_path: Path) -> None:
    ending = bytes(512) + snapshot(b"b", b"not a member") + b"\x07" * 5000
    outcome = read_sets(tmp_path, [volume(1, [snapshot(b"a", b"a")], first=b"a", last=b"a", ending=ending)])
    assert outcome.found == {b"a": b"a"}
    assert not outcome.problems

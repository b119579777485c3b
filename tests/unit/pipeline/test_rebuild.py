"""Contents made from the newest whole copy and the deltas after it."""

from __future__ import annotations

import os
import random
import resource
import threading
import tracemalloc
from pathlib import Path

import pytest

from tests.support.archive import (
    FILE,
    deleted,
    delta,
    diff,
    diff_of,
    directory,
    feed,
    one_volume,
    other,
    parts,
    record_of,
    snapshot,
    symlink,
)
from tests.unit.pipeline.reading import read_sets
from twofold.format.difftar import Action
from twofold.model.entry import ContentRecord
from twofold.monitor import RecordingMonitor
from twofold.pipeline import rebuild, recorded
from twofold.pipeline.merge import merge_sets, one_by_one
from twofold.pipeline.replay import SetReader

SOURCE = random.Random(2)
LARGE = SOURCE.randbytes(1_500_000)


def versions(count: int, size: int) -> list[bytes]:
    """A content and its changes: an insertion each."""
    found = [random.Random(3).randbytes(size)]
    for number in range(1, count):
        at = number * size // count
        found.append(found[-1][:at] + b"change %d" % number + found[-1][at:])
    return found


@pytest.mark.parametrize("to_file", [True, False])
@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("size", [0, 1, 5000, 70_000, 1_200_000])
def test_every_state_of_a_chain_of_differences_comes_back(
    tmp_path: Path, size: int, recorded: bool, to_file: bool
) -> None:
    states = versions(4, size)
    sets = []
    for number, state in enumerate(states):
        if number == 0:
            record = record_of(state) if recorded else None
            sets.append(one_volume(*parts(b"f", state, record=record)))
        else:
            sets.append(one_volume(diff(b"f", states[number - 1], state, recorded=recorded)))
        assert read_sets(tmp_path, *sets, to_file=to_file).found == {b"f": state}


@pytest.mark.parametrize("recorded", [True, False])
def test_a_delta_in_parts_is_applied(tmp_path: Path, recorded: bool) -> None:
    old, new = LARGE, LARGE[:1000] + SOURCE.randbytes(1_300_000)
    made = delta(old, new)
    pieces = parts(b"f", made, action=Action.DIFF, record=record_of(new) if recorded else None)
    full = one_volume(*parts(b"f", old, record=record_of(old)))
    for to_file in (False, True):
        assert read_sets(tmp_path, full, one_volume(*pieces), to_file=to_file).found == {b"f": new}
    missing = read_sets(tmp_path, full, one_volume(*pieces[:-1]))
    assert set(missing.errors) == {b"f"}


def test_a_long_chain_of_large_files_needs_no_descriptors_for_each_step(tmp_path: Path) -> None:
    base = bytes(1_100_000)
    sets = [one_volume(*parts(b"f", base, record=record_of(base)))]
    last = base
    for number in range(24):
        new = base + b"%d" % number
        sets.append(one_volume(diff(b"f", last, new)))
        last = new
    before, limits = len(os.listdir("/proc/self/fd")), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + 12, limits[1]))
    try:
        assert read_sets(tmp_path, *sets).found == {b"f": last}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_that_was_deleted_and_made_again_begins_anew(tmp_path: Path) -> None:
    sets = [
        one_volume(snapshot(b"f", b"old")),
        one_volume(deleted(b"f")),
        one_volume(snapshot(b"f", b"new" * 300)),
        one_volume(diff(b"f", b"new" * 300, b"new" * 300 + b"!")),
    ]
    expected = [b"old", None, b"new" * 300, b"new" * 300 + b"!"]
    for count, content in enumerate(expected, 1):
        assert read_sets(tmp_path, *sets[:count]).found.get(b"f") == content


def test_a_file_may_become_a_directory_and_a_file_again(tmp_path: Path) -> None:
    sets = [
        one_volume(snapshot(b"f", b"file")),
        one_volume(directory(b"f"), snapshot(b"f/x", b"x")),
        one_volume(snapshot(b"f", b"file again"), deleted(b"f/x")),
        one_volume(other(b"f", symlink(b"target"))),
    ]
    expected = [{b"f": b"file"}, {b"f": "dir", b"f/x": b"x"}, {b"f": b"file again"}, {b"f": "sym"}]
    for count, found in enumerate(expected, 1):
        assert read_sets(tmp_path, *sets[:count]).found == found


@pytest.mark.parametrize(
    "base", [[], [deleted(b"f")], [directory(b"f")], [other(b"f", symlink(b"t"))]], ids=["none", "gone", "dir", "link"]
)
def test_a_difference_without_a_file_that_it_belongs_to_is_an_error(tmp_path: Path, base: list[bytes]) -> None:
    outcome = read_sets(tmp_path, one_volume(*base), one_volume(diff(b"f", b"a" * 600, b"a" * 601)))
    assert set(outcome.errors) == {b"f"}
    assert not outcome.found


def test_the_metadata_are_those_of_the_newest_entry(tmp_path: Path) -> None:
    newer = FILE._replace(mode=0o600)
    sets = [one_volume(snapshot(b"f", b"a")), one_volume(diff(b"f", b"a", b"a", entry=newer))]
    assert read_sets(tmp_path, *sets).found == {b"f": b"a"}


BASIS = b"0123456789" * 100
GOOD = delta(BASIS, BASIS + b"x")
MAGIC = b"rs\x026"


@pytest.mark.parametrize("record", [None, record_of(BASIS)], ids=["bare", "recorded"])
@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"rs\x02",
        b"rs\x017" + GOOD[4:],
        GOOD[:-1],
        MAGIC + b"\x55\x00",
        MAGIC + b"\xff\x00",
        MAGIC + b"\x41\x00\x00",
        MAGIC + b"\x45\x00\x00\x00",
        MAGIC + b"\x45\x05\xff\x45\x05\xff\x54" + b"\xff" * 16 + b"\x00",
        MAGIC + b"\x54" + (1000).to_bytes(8, "big") + (1).to_bytes(8, "big") + b"\x00",
        MAGIC + b"\x44" + b"\x7f" + b"\xff" * 7 + b"short",
    ],
)
def test_a_damaged_delta_is_an_error_of_its_file_alone(
    tmp_path: Path, damaged: bytes, record: ContentRecord | None
) -> None:
    full = one_volume(snapshot(b"f", BASIS), snapshot(b"z", b"z"))
    for to_file in (False, True):
        outcome = read_sets(tmp_path, full, one_volume(diff_of(b"f", damaged, record)), to_file=to_file)
        assert set(outcome.errors) == {b"f"}
        assert outcome.found == {b"z": b"z"}


def test_a_delta_that_multiplies_its_basis_ends_at_the_recorded_size(tmp_path: Path) -> None:
    copy = b"\x47\x00" + len(BASIS).to_bytes(4, "big")
    bomb = MAGIC + copy * 10_000 + b"\x00"
    record = ContentRecord(512, len(BASIS), record_of(BASIS).digest)
    tracemalloc.start()
    try:
        outcome = read_sets(tmp_path, one_volume(snapshot(b"f", BASIS)), one_volume(diff_of(b"f", bomb, record)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert set(outcome.errors) == {b"f"}
    assert peak < 3_000_000


@pytest.mark.parametrize("size", [10, 100_000, 1_500_000])
@pytest.mark.parametrize("to_file", [True, False])
def test_a_content_that_is_not_the_recorded_one_never_passes(tmp_path: Path, size: int, to_file: bool) -> None:
    good = SOURCE.randbytes(size)
    bad = good[:-1] + bytes([good[-1] ^ 1])
    record = record_of(good)
    whole = (
        one_volume(*parts(b"f", bad, record=record))
        if size > 65_535
        else one_volume(snapshot(b"f", good).replace(good, bad))
    )
    assert set(read_sets(tmp_path, whole, to_file=to_file).errors) == {b"f"}
    full = one_volume(*parts(b"f", b"basis" * 1000))
    made = delta(b"basis" * 1000, bad)
    changed = one_volume(*parts(b"f", made, action=Action.DIFF, record=record))
    assert set(read_sets(tmp_path, full, changed, to_file=to_file).errors) == {b"f"}


def test_where_the_newest_has_no_record_the_one_of_its_basis_is_checked(tmp_path: Path) -> None:
    for size in (5000, 1_200_000):
        good = SOURCE.randbytes(size)
        bad = good[:-1] + bytes([good[-1] ^ 1])
        full = one_volume(*parts(b"f", bad, record=record_of(good)))
        newer = one_volume(diff(b"f", bad, bad + b"!", recorded=False))
        assert set(read_sets(tmp_path, full, newer).errors) == {b"f"}


@pytest.mark.parametrize("block_len", [0, 2**31 + 1, 9_999_999_999])
def test_an_impossible_block_length_is_no_accident_of_the_program(tmp_path: Path, block_len: int) -> None:
    record = ContentRecord(block_len, 1, b"\x01" * 32)
    full = one_volume(*parts(b"f", b"a", record=record), snapshot(b"z", b"z"))
    assert read_sets(tmp_path, full).found[b"z"] == b"z"


def test_nothing_is_read_of_a_content_that_nobody_asks_for(tmp_path: Path) -> None:
    full = one_volume(snapshot(b"f", b"a"))
    outcome = read_sets(tmp_path, full, one_volume(diff_of(b"f", b"not a delta")), skipping=frozenset((b"f",)))
    assert outcome.order == [b"f"]
    assert not outcome.errors


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing fails, as it does where there is no memory."""

    class Hasher:
        def __init__(self, *_: object) -> None:
            self.updates = 0

        def update(self, _: bytes) -> None:
            self.updates += 1
            if self.updates == 2:
                raise MemoryError("no room to hash")

        def finish(self) -> bytes:
            return bytes(32)

    monkeypatch.setattr(recorded.rsync, "ContentHasher", Hasher)


@pytest.mark.usefixtures("failing")
def test_what_fails_in_the_thread_that_hashes_is_raised_where_the_content_is_read(tmp_path: Path) -> None:
    content = bytes(20_000_000)
    sets = one_volume(*parts(b"f", content, record=record_of(content)))
    with pytest.raises(MemoryError, match="no room to hash"):
        read_sets(tmp_path, sets)


def test_a_content_that_is_given_up_leaves_no_thread(tmp_path: Path) -> None:
    content = bytes(20_000_000)
    reader = SetReader(
        feed(one_volume(*parts(b"f", content, record=record_of(content)))),
        within=b"",
        members_between=lambda *_: None,
        monitor=RecordingMonitor(),
    )
    (history,) = (next(one_by_one(merge_sets([reader]))),)
    rebuilt = rebuild.rebuild(history, temp_dir=str(tmp_path))
    assert rebuilt is not None
    assert rebuilt.content is not None
    blocks = rebuilt.content.blocks()
    next(blocks)
    assert "check" in {thread.name for thread in threading.enumerate()}
    blocks.close()  # type: ignore[attr-defined]
    assert "check" not in {thread.name for thread in threading.enumerate()}


def moved(content: bytes) -> bytes:
    """The same with its halves exchanged, so that the result goes back in its basis."""
    return content[len(content) // 2 :] + b"moved" + content[: len(content) // 2]


@pytest.mark.parametrize("recorded_from", [0, 2, 4])
def test_blocks_that_have_moved_come_back_whoever_made_the_last_sets(tmp_path: Path, recorded_from: int) -> None:
    """So many sets have content records; the others are as if duplicity had continued the chain."""
    states = [LARGE]
    for _ in range(3):
        states.append(moved(states[-1]))
    sets = [one_volume(*parts(b"f", LARGE, record=record_of(LARGE) if recorded_from else None))]
    for number in range(1, 4):
        record = record_of(states[number]) if number < recorded_from else None
        made = delta(states[number - 1], states[number])
        sets.append(one_volume(*parts(b"f", made, action=Action.DIFF, record=record)))
    assert read_sets(tmp_path, *sets).found == {b"f": states[-1]}


def test_a_wrong_state_between_is_found_where_only_that_one_is_recorded(tmp_path: Path) -> None:
    middle, last = moved(LARGE), LARGE + b"!"
    wrong = record_of(middle)._replace(digest=bytes(31) + b"\x01")
    sets = [
        one_volume(*parts(b"f", LARGE)),
        one_volume(diff_of(b"f", delta(LARGE, middle), wrong)),
        one_volume(diff(b"f", middle, last, recorded=False)),
    ]
    assert set(read_sets(tmp_path, *sets).errors) == {b"f"}


def test_every_step_is_checked_when_that_is_asked_for(tmp_path: Path) -> None:
    last = LARGE + b"!"
    wrong = record_of(LARGE)._replace(digest=bytes(31) + b"\x01")
    sets = [parts(b"f", LARGE, record=wrong), [diff(b"f", LARGE, last)]]
    assert read_sets(tmp_path, *(one_volume(*members) for members in sets)).found == {b"f": last}
    readers = [
        SetReader(feed(one_volume(*members)), within=b"", members_between=lambda *_: None, monitor=RecordingMonitor())
        for members in sets
    ]
    history = next(one_by_one(merge_sets(readers)))
    rebuilt = rebuild.rebuild(history, temp_dir=str(tmp_path), witness=lambda _, blocks: iter(blocks))
    assert rebuilt is not None
    assert rebuilt.content is not None
    with pytest.raises(recorded.CorruptContent):
        for _ in rebuilt.content.blocks():
            pass

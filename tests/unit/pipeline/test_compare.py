"""Which differences a walk finds, given what is known of a tree."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from twofold.monitor import RecordingMonitor
from twofold.pipeline.compare import Change, Check, Gone, Leave, Same, Step, Store, Work, compare
from twofold.pipeline.known import (
    CTIME,
    FIELDS,
    INODE,
    MODE,
    MTIME,
    NOWHERE,
    SIZE,
    UNKNOWN,
    Identity,
    KnownDirectory,
    KnownTree,
    StateWriter,
    location,
)
from twofold.tree.scan import ScanOptions, SourceTree

BEGAN = 4_000_000_000  # later than now, so that no file of the tests has been touched since
SECOND = 10**9
Edit = Callable[[bytes, "array[int]"], None]


def unchanged(_: bytes, __: array[int]) -> None:
    """What is known is what is there."""


@pytest.fixture
def source(tmp_path: Path) -> bytes:
    folder = os.fsencode(tmp_path / "source")
    os.makedirs(folder + b"/dir/sub")
    for name in (b"a", b"dir/f", b"dir/sub/g", b"z"):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(name)
        os.utime(os.path.join(folder, name), ns=(0, BEGAN * SECOND - 5 * SECOND + 123))
    os.symlink(b"a", folder + b"/link")
    return folder


def tree_of(source: bytes) -> SourceTree:
    return SourceTree(source, None, options=ScanOptions(), monitor=RecordingMonitor())


def remember(source: bytes, path: str, edit: Edit = unchanged) -> KnownTree:
    """Writes the state of the tree as a backup would; `edit` may change what is known of each path."""
    writer = StateWriter(path)
    root = 0
    for step in compare(tree_of(source), None):
        if isinstance(step, Leave):
            root = remember_directory(step.work, writer, edit)
    writer.finish(root, Identity((), (BEGAN, BEGAN + 100)))
    return KnownTree(path)


def remember_directory(work: Work, writer: StateWriter, edit: Edit) -> int:
    for at, name in enumerate(work.names):
        facts = work.packed[at * FIELDS : (at + 1) * FIELDS]
        edit(work.prefix + name, facts)
        work.packed[at * FIELDS : (at + 1) * FIELDS] = facts
        work.locations[at] = location(0, at)
    where = writer.write(work.record())
    if work.parent is not None:
        work.parent.children[work.index] = where
    return where


def found(source: bytes, known: KnownTree) -> list[tuple[str, bytes]]:
    """The differences, in order, by name of the step and path."""
    result: list[tuple[str, bytes]] = []
    for step in compare(tree_of(source), known):
        result += described(step)
    known.close()
    return result


def described(step: Step) -> list[tuple[str, bytes]]:
    match step:
        case Store(work, indexes):
            return [("new", work.prefix + work.names[at]) for at in indexes]
        case Change(work, at, where):
            return [("changed" if where != NOWHERE else "replaced", work.prefix + work.names[at])]
        case Check(work, at):
            return [("check", work.prefix + work.names[at])]
        case Gone(path):
            return [("gone", path)]
        case _:
            return []


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state")


def test_an_unchanged_tree_is_counted_and_nothing_else(source: bytes, state: str) -> None:
    known = remember(source, state)
    steps = list(compare(tree_of(source), known))
    assert all(isinstance(step, (Same, Leave)) for step in steps)
    assert sum(step.entries for step in steps if isinstance(step, Same)) == 8


@pytest.mark.parametrize(
    ("field", "expected"),
    [(MODE, "changed"), (SIZE, "changed"), (MTIME, "changed"), (CTIME, "check"), (INODE, None)],
    ids=["mode", "size", "time", "change time", "inode"],
)
def test_each_fact_counts_as_much_as_it_says(source: bytes, state: str, field: int, expected: str | None) -> None:
    def edit(path: bytes, facts: array[int]) -> None:
        if path == b"dir/f":
            facts[field] += 1

    assert found(source, remember(source, state, edit)) == ([(expected, b"dir/f")] if expected else [])


def test_changes_come_in_archive_order_with_all_that_was_below(source: bytes, state: str) -> None:
    known = remember(source, state)
    os.unlink(source + b"/dir/sub/g")
    os.rmdir(source + b"/dir/sub")
    os.unlink(source + b"/a")
    os.mkdir(source + b"/a")
    with open(source + b"/dir/sub", "wb") as file:
        file.write(b"a file now")
    with open(source + b"/b", "wb") as file:
        file.write(b"new")
    differences = [each for each in found(source, known) if each[0] not in ("changed", "check")]
    assert differences == [("replaced", b"a"), ("new", b"b"), ("replaced", b"dir/sub"), ("gone", b"dir/sub/g")]


def test_a_removed_directory_is_gone_with_everything_in_it(source: bytes, state: str) -> None:
    known = remember(source, state)
    for path in (b"/dir/sub/g", b"/dir/f"):
        os.unlink(source + path)
    os.rmdir(source + b"/dir/sub")
    os.rmdir(source + b"/dir")
    gone = [path for kind, path in found(source, known) if kind == "gone"]
    assert gone == [b"dir", b"dir/f", b"dir/sub", b"dir/sub/g"]


def as_duplicity_knows(path: bytes, facts: array[int]) -> None:
    """Whole seconds, no size, no change time (docs/format.md section 5)."""
    facts[MTIME] = facts[MTIME] // SECOND * SECOND
    facts[SIZE] = UNKNOWN
    facts[CTIME] = facts[INODE] = 0


def test_what_duplicity_wrote_is_compared_by_what_it_records(source: bytes, state: str) -> None:
    assert found(source, remember(source, state, as_duplicity_knows)) == [("check", b"link")]


@pytest.mark.parametrize(("seconds", "expected"), [(-1, None), (0, "check"), (7, "check")])
def test_a_file_from_when_that_backup_began_or_later_is_read(
    source: bytes, state: str, seconds: int, expected: str | None
) -> None:
    os.utime(source + b"/z", ns=(0, (BEGAN + seconds) * SECOND + 5))
    differences = {path: kind for kind, path in found(source, remember(source, state, as_duplicity_knows))}
    assert differences.get(b"z") == expected


@pytest.mark.parametrize(("known_second", "expected"), [(BEGAN - 100, None), (BEGAN - 99, "changed")])
def test_duplicity_rounds_times_up_that_are_nearly_the_next_second(
    source: bytes, state: str, known_second: int, expected: str | None
) -> None:
    os.utime(source + b"/z", ns=(0, (BEGAN - 101) * SECOND + 999_999_950))

    def edit(path: bytes, facts: array[int]) -> None:
        as_duplicity_knows(path, facts)
        if path == b"z":
            facts[MTIME] = known_second * SECOND

    differences = {path: kind for kind, path in found(source, remember(source, state, edit))}
    assert differences.get(b"z") == expected


def test_times_before_1970_are_all_the_same_to_duplicity(source: bytes, state: str) -> None:
    os.utime(source + b"/z", ns=(0, -12 * SECOND))

    def edit(path: bytes, facts: array[int]) -> None:
        as_duplicity_knows(path, facts)
        facts[MTIME] = max(0, facts[MTIME])

    assert found(source, remember(source, state, edit)) == [("check", b"link")]


def test_a_state_without_a_root_makes_everything_new(source: bytes, state: str) -> None:
    writer = StateWriter(state)
    writer.finish(writer.write(KnownDirectory(b"", array("q"), array("Q"), array("Q"))), Identity((), ()))
    assert [kind for kind, _ in found(source, KnownTree(state))] == ["new"] * 8

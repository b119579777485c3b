"""A directory is compared with its record, and read from it, in the same way whatever its size."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from twofold.pipeline import known, known_directories
from twofold.pipeline.known import (
    EMPTY_IDENTITY,
    FIELDS,
    DamagedState,
    KnownDirectory,
    KnownTree,
    StateWriter,
    join_names,
)
from twofold.pipeline.known_directories import find_unchanged, known_parts

NAMES = [b"%03d" % number for number in range(200)]
PACKED = array("q", [number * 7919 - 5 for number in range(len(NAMES) * FIELDS)])
RECORD = KnownDirectory(b"\0".join(NAMES), PACKED, array("Q", range(200)), array("Q", range(200, 400)))


@pytest.fixture(params=["small", "large"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A state file of one directory; for the large one the pieces are so small that all of it is in many."""
    monkeypatch.setattr(known, "_SMALL_RECORD", 1 << 20 if request.param == "small" else 64)
    monkeypatch.setattr(known_directories, "_PIECE", 640)
    path = str(tmp_path / "state")
    writer = StateWriter(path)
    writer.finish(writer.write(RECORD), EMPTY_IDENTITY)
    return path


def test_the_same_names_and_facts_are_unchanged(path: str) -> None:
    tree = KnownTree(path)
    assert find_unchanged(tree, tree.root, NAMES, packed=PACKED) == (RECORD.locations, RECORD.children)
    tree.close()


@pytest.mark.parametrize("at", [0, 7, 199])
def test_any_other_name_or_number_is_a_change(path: str, at: int) -> None:
    tree = KnownTree(path)
    for name in (b"99x", b"00", b"0000", b""):
        names = [*NAMES[:at], name, *NAMES[at + 1 :]]
        assert find_unchanged(tree, tree.root, names, packed=PACKED) is None
    assert find_unchanged(tree, tree.root, NAMES[:-1], packed=PACKED[:-FIELDS]) is None
    for field in range(FIELDS):
        packed = PACKED[:]
        packed[at * FIELDS + field] ^= 1
        assert find_unchanged(tree, tree.root, NAMES, packed=packed) is None
    tree.close()


def test_parts_follow_each_other_and_are_all_of_it(path: str) -> None:
    tree = KnownTree(path)
    parts = list(known_parts(tree, tree.root))
    tree.close()
    assert [name for part in parts for name in part.name_list()] == NAMES
    for field in ("stats", "locations", "children"):
        assert [number for part in parts for number in getattr(part, field)] == list(getattr(RECORD, field))
    assert all(len(part.stats) == FIELDS * len(part.name_list()) for part in parts)


@pytest.mark.parametrize("from_end", [1, 1600, 2000])
def test_a_damaged_record_is_never_believed(path: str, from_end: int) -> None:
    """Where the damage is in what is compared, it may as well count as a change: then the record is read again."""
    tree = KnownTree(path)
    end = tree.place(tree.root).end
    tree.close()
    content = bytearray(Path(path).read_bytes())
    content[end - from_end] ^= 1
    Path(path).write_bytes(content)
    tree = KnownTree(path)
    with pytest.raises(DamagedState):
        list(known_parts(tree, tree.root))
    with pytest.raises(DamagedState):
        find_unchanged(tree, tree.root, NAMES, packed=PACKED)
    tree.close()


def test_many_names_are_joined_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "_BATCH", 7)
    for count in (0, 1, 6, 7, 8, 14, 15, 200):
        assert join_names(NAMES[:count]) == b"\0".join(NAMES[:count])

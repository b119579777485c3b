"""The state file: written in one pass, found again by following offsets, never believed when damaged."""

from __future__ import annotations

import errno
import os
from array import array
from pathlib import Path

import pytest

from twofold.pipeline.known import (
    FIELDS,
    NOWHERE,
    DamagedState,
    Identity,
    KnownDirectory,
    KnownTree,
    StateWriter,
    copy_subtree,
    location,
    pack_stats,
    split_location,
    subtree_entries,
)

IDENTITY = Identity((("a", "12", "digest"), ("b", "", "")), (5, 9))
FILE, DIRECTORY = 0o100644, 0o040755


def record(*entries: tuple[bytes, int, int]) -> KnownDirectory:
    """Entries of (name, mode, offset of the child's record)."""
    stats = array("q")
    for _, mode, _ in entries:
        stats.extend([mode, *range(1, FIELDS)])
    return KnownDirectory(
        b"\0".join(name for name, _, _ in entries),
        stats,
        array("Q", [location(1, number) for number in range(len(entries))]),
        array("Q", [child for _, _, child in entries]),
    )


def write_tree(path: str) -> None:
    """root: dir (inner (deep), z), f, hollow ()."""
    writer = StateWriter(path)
    inner = writer.write(record((b"deep", FILE, 0)))
    directory = writer.write(record((b"inner", DIRECTORY, inner), (b"z", FILE, 0)))
    hollow = writer.write(record())
    top = writer.write(record((b"dir", DIRECTORY, directory), (b"f", FILE, 0), (b"hollow", DIRECTORY, hollow)))
    writer.finish(writer.write(record((b"", DIRECTORY, top))), IDENTITY)
    writer.abort()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state")


def test_what_was_written_is_found_again(path: str) -> None:
    write_tree(path)
    tree = KnownTree(path)
    assert tree.identity == IDENTITY
    root = tree.directory(tree.root)
    assert root.name_list() == [b""]
    top = tree.directory(root.children[0])
    assert top.name_list() == [b"dir", b"f", b"hollow"]
    assert list(top.stats[FIELDS : 2 * FIELDS]) == [FILE, *range(1, FIELDS)]
    assert top.locations[1] == location(1, 1)
    assert tree.directory(top.children[2]).name_list() == []
    tree.close()


def test_everything_below_a_directory_comes_in_archive_order(path: str) -> None:
    write_tree(path)
    tree = KnownTree(path)
    top = tree.directory(tree.root).children[0]
    assert list(subtree_entries(tree, top, b"")) == [
        *((b"dir", DIRECTORY), (b"dir/inner", DIRECTORY), (b"dir/inner/deep", FILE), (b"dir/z", FILE)),
        *((b"f", FILE), (b"hollow", DIRECTORY)),
    ]
    tree.close()


def test_a_subtree_is_copied_with_all_its_records(path: str, tmp_path: Path) -> None:
    write_tree(path)
    old = KnownTree(path)
    writer = StateWriter(str(tmp_path / "copy"))
    writer.write(record((b"something before", FILE, 0)))
    top = copy_subtree(old, old.directory(old.root).children[0], writer)
    writer.finish(writer.write(record((b"", DIRECTORY, top))), IDENTITY)
    new = KnownTree(str(tmp_path / "copy"))
    assert list(subtree_entries(new, new.directory(new.root).children[0], b"")) == list(
        subtree_entries(old, old.directory(old.root).children[0], b"")
    )
    old.close()
    new.close()


def test_every_damaged_byte_is_noticed(path: str) -> None:
    write_tree(path)
    content = Path(path).read_bytes()
    for position in range(len(content)):
        Path(path).write_bytes(content[:position] + bytes([content[position] ^ 0x10]) + content[position + 1 :])
        with pytest.raises(DamagedState):
            read_everything(path)


def read_everything(path: str) -> None:
    tree = KnownTree(path)
    try:
        stack = [tree.root]
        while stack:
            found = tree.directory(stack.pop())
            stack += [child for child in found.children if child]
    finally:
        tree.close()


def test_a_file_cut_short_anywhere_is_noticed(path: str) -> None:
    write_tree(path)
    content = Path(path).read_bytes()
    for length in range(len(content)):
        Path(path).write_bytes(content[:length])
        with pytest.raises(DamagedState):
            read_everything(path)


def test_a_directory_of_very_many_entries_is_read_and_checked_as_any_other(path: str) -> None:
    entries = [(b"a name of some length %06d" % number, FILE, 0) for number in range(3000)]
    writer = StateWriter(path)
    writer.finish(writer.write(record(*entries)), IDENTITY)
    tree = KnownTree(path)
    assert tree.directory(tree.root) == record(*entries)
    tree.close()
    content = bytearray(Path(path).read_bytes())
    content[len(content) // 2] ^= 1
    Path(path).write_bytes(content)
    with pytest.raises(DamagedState):
        read_everything(path)


def test_a_missing_file_is_like_a_damaged_one(path: str) -> None:
    with pytest.raises(DamagedState):
        KnownTree(path)


def test_an_abandoned_file_leaves_the_old_one_and_nothing_else(path: str, tmp_path: Path) -> None:
    write_tree(path)
    before = Path(path).read_bytes()
    writer = StateWriter(path)
    writer.write(record((b"new", FILE, 0)))
    writer.abort()
    writer.abort()
    assert Path(path).read_bytes() == before
    assert os.listdir(tmp_path) == ["state"]


def test_a_full_disk_leaves_nothing_behind(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = StateWriter(path)

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        writer.finish(writer.write(record()), IDENTITY)
    writer.abort()
    assert os.listdir(tmp_path) == []


def test_locations_hold_a_set_and_an_offset() -> None:
    assert split_location(location(3, 1 << 43)) == (3, 1 << 43)
    assert location(1 << 19, (1 << 44) - 1) < NOWHERE


def test_facts_are_packed_in_batches_of_any_size() -> None:
    stats = [os.lstat(__file__)] * 20_000
    packed = pack_stats(stats)
    assert len(packed) == FIELDS * len(stats)
    assert packed[:FIELDS] == packed[-FIELDS:] == pack_stats(stats[:1])

"""The comparison that most end-to-end tests end with must itself notice every kind of difference."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import nasty_tree
from tests.support.tools import unavailable
from tests.support.tree import (
    Fidelity,
    assert_same_tree,
    differences,
    from_json,
    snapshot,
    to_json,
)
from tests.support.tree_editor import TreeEditor, supports_xattrs

Damage = Callable[[bytes], None]


@pytest.fixture
def folder(tmp_path: Path) -> bytes:
    root = os.fsencode(tmp_path / "tree")
    with TreeEditor(root, step=0) as tree:
        tree.write(b"file", b"content")
        tree.write(b"linked", b"twice")
        tree.hard_link(b"linked-too", b"linked")
        tree.symlink(b"link", b"target")
        tree.mkdir(b"folder")
        tree.special(b"fifo", stat.S_IFIFO)
        tree.write_sparse(b"sparse", 100_000, {})
        tree.write(b"xattr", b"")
        tree.set_xattr(b"xattr", "user.name", b"value")
    return root


def _keeping_time(path: bytes, act: Damage) -> None:
    before = os.lstat(path)
    act(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns), follow_symlinks=False)


def _rewrite(path: bytes) -> None:
    with open(path, "wb") as file:
        file.write(b"CONTENT")


def _fill(path: bytes) -> None:
    with open(path, "wb") as file:
        file.write(bytes(100_000))


def _replace_link(path: bytes) -> None:
    os.unlink(path)
    os.symlink(b"elsewhere", path)


def _unlink_and_copy(path: bytes) -> None:
    os.unlink(path)
    with open(path, "wb") as file:
        file.write(b"twice")
    os.chmod(path, 0o644)


ALWAYS_SEEN: tuple[tuple[bytes, Damage], ...] = (
    (b"file", _rewrite),
    (b"file", lambda path: os.chmod(path, 0o600)),
    (b"folder", lambda path: os.chmod(path, 0o700)),
    (b"fifo", lambda path: os.chmod(path, 0o644)),
    (b"link", _replace_link),
)
SEEN_IN_FULL: tuple[tuple[bytes, Damage], ...] = (
    (b"linked-too", _unlink_and_copy),
    (b"sparse", _fill),
)


@pytest.mark.parametrize(("name", "damage"), [*ALWAYS_SEEN, *SEEN_IN_FULL])
def test_full_fidelity_sees(folder: bytes, name: bytes, damage: Damage) -> None:
    before = snapshot(folder)
    _keeping_time(os.path.join(folder, name), damage)
    assert any(line.startswith(repr(name)) for line in differences(snapshot(folder), before, fidelity=Fidelity.FULL))


@pytest.mark.parametrize(("name", "damage"), ALWAYS_SEEN)
def test_duplicity_s_fidelity_sees(folder: bytes, name: bytes, damage: Damage) -> None:
    before = snapshot(folder)
    _keeping_time(os.path.join(folder, name), damage)
    seen = differences(snapshot(folder), before, fidelity=Fidelity.DUPLICITY)
    assert any(line.startswith(repr(name)) for line in seen)


def test_missing_and_additional_names_are_told_apart(folder: bytes) -> None:
    before = snapshot(folder)
    now = {name: node for name, node in before.items() if name != b"file"} | {b"more": before[b"file"]}
    assert differences(now, before, fidelity=Fidelity.DUPLICITY) == [
        "b'file' is missing",
        "b'more' should not be there (regular)",
    ]
    with pytest.raises(AssertionError, match="2 difference"):
        assert_same_tree(now, before, fidelity=Fidelity.FULL)


def test_fractions_of_a_second_count_in_full_only(folder: bytes) -> None:
    before = snapshot(folder)
    time = before[b"file"].mtime_ns
    os.utime(os.path.join(folder, b"file"), ns=(time, time + 1))
    assert differences(snapshot(folder), before, fidelity=Fidelity.DUPLICITY) == []
    assert len(differences(snapshot(folder), before, fidelity=Fidelity.FULL)) == 1
    os.utime(os.path.join(folder, b"file"), ns=(time, time + 10**9))
    assert len(differences(snapshot(folder), before, fidelity=Fidelity.DUPLICITY)) == 1


def test_extended_attributes_count_in_full_only(folder: bytes) -> None:
    if not supports_xattrs(folder):
        unavailable("The file system of temporary files has no extended attributes")
    before = snapshot(folder)
    os.setxattr(os.path.join(folder, b"xattr"), "user.name", b"other")
    assert len(differences(snapshot(folder), before, fidelity=Fidelity.FULL)) == 1
    assert differences(snapshot(folder), before, fidelity=Fidelity.DUPLICITY) == []


def test_a_record_in_json_is_complete(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path / "tree")
    nasty_tree.build(root, large_bytes=2_000)
    before = snapshot(root)
    assert from_json(json.loads(json.dumps(to_json(before)))) == before


def test_the_same_calls_make_the_same_tree(tmp_path: Path) -> None:
    roots = [os.fsencode(tmp_path / name) for name in ("one", "two")]
    for root in roots:
        nasty_tree.build(root)
    for step in range(1, nasty_tree.STEPS + 1):
        before = snapshot(roots[0])
        for root in roots:
            nasty_tree.change(root, step)
        assert_same_tree(roots[0], roots[1], fidelity=Fidelity.FULL)
        assert len(differences(snapshot(roots[0]), before, fidelity=Fidelity.DUPLICITY)) > 15

"""The small trees of golden archives. Only `tests/data/make_golden.py` builds them: tests read what was recorded.

Changing something here changes archives made from now on, never those that are kept.
"""

from __future__ import annotations

import enum
import os
import stat
from collections.abc import Callable, Mapping
from types import MappingProxyType

from tests.support.nasty_tree import ACCESS_LIST
from tests.support.tree_editor import TreeEditor, random_bytes

STEPS = 3
"""A full backup and two incrementals."""


class GoldenTree(enum.Enum):
    """`SMALL` has a bit of everything, `VOLUMES` fills more than one, `SINGLE` is a file as the source."""

    SMALL = "small"
    VOLUMES = "volumes"
    LATE_VOLUMES = "late-volumes"
    SINGLE = "single"


def lines(label: str, size: int) -> bytes:
    """Text that deflates to next to nothing, without two equal blocks."""
    count = size // 16 + 1
    return b"".join(f"{label[:6]:>6}{number:9d}\n".encode() for number in range(count))[:size]


def build_step(tree: GoldenTree, root: bytes, step: int) -> None:
    """Carries the tree from the step before to this one."""
    _STEPS[tree](root, step)


def _small(root: bytes, step: int) -> None:
    with TreeEditor(root, step=step) as tree:
        (_small_at_first, _small_first_changes, _small_second_changes)[step](tree)


def _small_at_first(tree: TreeEditor) -> None:
    tree.mkdir(b"names")
    for name in (
        b"with space",
        b"new\nline",
        b"quo\"te's",
        b"back\\slash",
        b"bad \xff\xfe",
        b"caf\xc3\xa9",
        b"n" * 200,
    ):
        tree.write(b"names/" + name, name)
    for path in (b"order", b"order/dir", b"order/dir/sub", b"order/dir-x"):
        tree.mkdir(path)
    for path in (b"order/dir/b", b"order/dir/sub/f", b"order/dir-x/f", b"order/dir.y", b"order/dir0"):
        tree.write(path, path)
    tree.mkdir(b"sizes")
    for size in (0, 1, 511, 512, 513, 65_535, 65_536, 65_537):
        tree.write(b"sizes/%d" % size, lines("size", size))
    tree.mkdir(b"d" * 60)
    tree.mkdir(b"d" * 60 + b"/" + b"e" * 60)
    tree.write(b"d" * 60 + b"/" + b"e" * 60 + b"/deep", b"deep\n")
    tree.symlink(b"link", b"sizes/512")
    tree.symlink(b"long-link", b"x/" * 90 + b"\xff")
    tree.special(b"fifo", stat.S_IFIFO, mode=0o640)
    tree.write(b"hard-1", lines("hard", 2_000), mode=0o600)
    tree.hard_link(b"hard-2", b"hard-1")
    tree.write_sparse(b"sparse", 80_000, {40_000: b"in the middle"})
    tree.write(b"executable", b"#!/bin/sh\n", mode=0o4755)
    tree.write(b"epoch", b"1970\n")
    tree.set_mtime(b"epoch", 0)
    tree.write(b"xattrs", b"attributes\n")
    tree.set_xattr(b"xattrs", "user.bytes", b"\x00\xff=\n")
    tree.set_xattr(b"xattrs", "system.posix_acl_access", ACCESS_LIST)
    tree.mkdir(b"changes")
    for name in (b"middle", b"start", b"appended", b"cut", b"same-size", b"moved", b"deleted", b"to-folder"):
        tree.write(b"changes/" + name, lines(name.decode(), 8_000))
    tree.write(b"changes/long", lines("long", 70_000))
    tree.mkdir(b"changes/doomed")
    tree.mkdir(b"changes/doomed/deeper")
    tree.write(b"changes/doomed/deeper/file", b"doomed\n")
    if os.geteuid() == 0:
        tree.special(b"device", stat.S_IFCHR, mode=0o620, device=os.makedev(7, 9))
        tree.write(b"owner", b"owner\n")
        tree.chown(b"owner", 3_000_000, 54_321)


def _small_first_changes(tree: TreeEditor) -> None:
    tree.overwrite(b"changes/middle", 3_000, b"edited")
    tree.overwrite(b"changes/long", 50_000, b"edited")
    tree.insert(b"changes/start", 0, b"everything shifts")
    tree.append(b"changes/appended", lines("more", 70_000))
    tree.truncate(b"changes/cut", 3_333)
    tree.write(b"changes/same-size", lines("other", 8_000))
    tree.rename(b"changes/moved", b"changes/arrived")
    tree.remove(b"changes/deleted")
    tree.remove(b"changes/doomed")
    tree.remove(b"changes/to-folder")
    tree.mkdir(b"changes/to-folder")
    tree.write(b"changes/to-folder/inside", b"inside\n")
    tree.chmod(b"sizes/513", 0o600)
    tree.touch(b"sizes/65536")
    tree.remove(b"link")
    tree.symlink(b"link", b"sizes/513")
    tree.remove(b"names/new\nline")


def _small_second_changes(tree: TreeEditor) -> None:
    tree.overwrite(b"changes/middle", 6_000, b"edited again")
    tree.truncate(b"changes/long", 60_000)
    tree.write(b"changes/deleted", b"risen\n")
    tree.write(b"changes/doomed", b"a file where a folder was\n")
    tree.remove(b"changes/to-folder")
    tree.write(b"changes/to-folder", b"a file again\n")
    tree.remove(b"order/dir")
    tree.write(b"names/new\nline", b"back again\n")
    tree.append(b"hard-1", b"through one name\n")


def _volumes(root: bytes, step: int) -> None:
    """The large file straddles volumes of 1 MiB, compressed or not, and is then edited in its second half."""
    with TreeEditor(root, step=step) as tree:
        if step == 0:
            tree.write(b"a", b"before\n")
            tree.write(b"large", random_bytes("golden", 1_000_000))
            tree.write(b"z", b"after\n")
        else:
            tree.overwrite(b"large", 600_000 + step, b"edited")
            tree.write(b"new-%d" % step, b"new\n")


def _late_volumes(root: bytes, step: int) -> None:
    """Small at first; the second step brings a file of three uncompressed volumes, between two small ones."""
    with TreeEditor(root, step=step) as tree:
        if step == 0:
            tree.write(b"kept", b"kept\n")
            tree.write(b"edited", lines("edited", 30_000))
        elif step == 1:
            tree.write(b"a", b"before\n")
            tree.overwrite(b"edited", 20_000, b"here")
            tree.write(b"large", lines("large", 2_000_000))
            tree.write(b"z", b"after\n")
        else:
            tree.overwrite(b"large", 1_500_000, b"edited")


def _single(root: bytes, step: int) -> None:
    folder, name = os.path.split(root)
    with TreeEditor(folder, step=step) as tree:
        if step == 0:
            tree.write(name, lines("single", 80_000))
        else:
            tree.overwrite(name, 10_000 * step, b"edited")


_STEPS: Mapping[GoldenTree, Callable[[bytes, int], None]] = MappingProxyType(
    {
        GoldenTree.SMALL: _small,
        GoldenTree.VOLUMES: _volumes,
        GoldenTree.LATE_VOLUMES: _late_volumes,
        GoldenTree.SINGLE: _single,
    }
)

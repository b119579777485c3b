"""A tree of everything that is hard on a backup program, and three rounds of changes to it.

The same call makes the same tree down to the nanosecond, except that some of it needs root. Sizes stand around the
boundaries of blocks (512), parts (64 KiB) and, with `LARGE_SIZES`, of volumes (1 MiB).
"""

from __future__ import annotations

import os
import stat
import struct

from tests.support.tree_editor import TreeEditor, plain_text, random_bytes

STEPS = 3
"""How many rounds of changes `change` knows."""

SMALL_SIZES = (0, 1, 511, 512, 513, 1023, 1024, 65_535, 65_536, 65_537, 131_072)
LARGE_SIZES = (*SMALL_SIZES, 196_608, 1_048_575, 1_048_576, 1_048_577, 3_000_000)

AWKWARD_NAMES = (
    b"with space",
    b" leading",
    b"trailing ",
    b"new\nline",
    b"tab\there",
    b"quo\"te's",
    b"back\\slash",
    b"\\x41",
    b"bad \xff\xfe bytes",
    b"caf\xc3\xa9",
    b"cafe\xcc\x81",
    b"\xe6\x97\xa5\xe6\x9c\xac",
    b"-rf",
    b"~",
    b"*",
    b"[x]?",
    b"%41",
    b"\x01\x7f",
    b"...",
    b".hidden",
    b"snapshot",
    b"1",
    b"n" * 200,
    b"m" * 255,
    b"\xc3\xa4" * 100,
)

ORDER_NAMES = (b"dir/b", b"dir/sub/f", b"dir/z", b"dir-x/f", b"dir.y", b"dir0", b"dirs/f", b"dir\xff/f")
"""Names on both sides of `/`: sorted as joined strings they would stand in another order than in an archive."""

ACCESS_LIST = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, permissions, number)
    for tag, permissions, number in (
        (0x01, 6, 0xFFFFFFFF),
        (0x02, 4, 12_345),
        (0x04, 4, 0xFFFFFFFF),
        (0x10, 4, 0xFFFFFFFF),
        (0x20, 0, 0xFFFFFFFF),
    )
)
"""`user::rw-,user:12345:r--,group::r--,mask::r--,other::---` as the kernel takes it."""

CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
"""`cap_net_raw+ep` as the kernel takes it."""


def build(root: bytes, *, sizes: tuple[int, ...] = SMALL_SIZES, large_bytes: int = 2_600_000) -> None:
    """The tree before any change; `large_bytes` is the length of the one large incompressible file."""
    with TreeEditor(root, step=0) as tree:
        _names(tree)
        _contents(tree, sizes, large_bytes)
        _objects(tree)
        _attributes(tree)
        _things_that_will_change(tree)
        if os.geteuid() == 0:
            _what_only_root_makes(tree)


def change(root: bytes, step: int) -> None:
    """Carries out round 1, 2 or 3; each expects the one before."""
    rounds = {1: _first_changes, 2: _second_changes, 3: _third_changes}
    with TreeEditor(root, step=step) as tree:
        rounds[step](tree)


def _names(tree: TreeEditor) -> None:
    tree.mkdir(b"names")
    for number, name in enumerate(AWKWARD_NAMES):
        tree.write(b"names/" + name, f"{number}\n".encode())
    tree.mkdir(b"names/folder \xff\n'")
    tree.write(b"names/folder \xff\n'/inside", b"inside\n")
    deep = b"deep"
    tree.mkdir(deep)
    for _ in range(6):
        deep += b"/" + b"d" * 60
        tree.mkdir(deep)
    tree.write(deep + b"/bottom", b"bottom\n")
    tree.mkdir(b"order")
    for name in ORDER_NAMES:
        folder = b"order"
        for part in name.split(b"/")[:-1]:
            folder += b"/" + part
            if not os.path.isdir(tree.at(folder)):
                tree.mkdir(folder)
        tree.write(b"order/" + name, name)


def _contents(tree: TreeEditor, sizes: tuple[int, ...], large_bytes: int) -> None:
    tree.mkdir(b"sizes")
    for size in sizes:
        tree.write(b"sizes/%d" % size, plain_text(f"size {size}", size))
    tree.write(b"large", random_bytes("large", large_bytes))
    tree.mkdir(b"parts")
    tree.write(b"parts/1", plain_text("parts", 150_000))
    tree.mkdir(b"parts/2")
    tree.write(b"parts/2/1", plain_text("more parts", 70_000))
    tree.write(b"same-blocks", b"s" * 200_000)


def _objects(tree: TreeEditor) -> None:
    tree.mkdir(b"empty-folder")
    tree.mkdir(b"closed-folder", mode=0o500)
    tree.mkdir(b"sticky", mode=0o1777)
    tree.mkdir(b"links")
    tree.symlink(b"links/relative", b"../sizes/512")
    tree.symlink(b"links/absolute", b"/etc/hostname")
    tree.symlink(b"links/dangling", b"nowhere")
    tree.symlink(b"links/to-folder", b"../order/dir")
    tree.symlink(b"links/long", b"x/" * 90 + b"end")
    tree.symlink(b"links/bytes", b"t\xff arget\n")
    tree.special(b"fifo", stat.S_IFIFO, mode=0o640)
    tree.special(b"socket", stat.S_IFSOCK)
    tree.mkdir(b"hard")
    tree.write(b"hard/first", plain_text("hard", 3_000))
    tree.hard_link(b"hard/second", b"hard/first")
    tree.hard_link(b"a-hard-link", b"hard/first")
    tree.write_sparse(b"sparse", 1_000_000, {400_000: b"in the middle"})
    tree.write_sparse(b"all-hole", 300_000, {})


def _attributes(tree: TreeEditor) -> None:
    tree.mkdir(b"modes")
    for mode in (0o600, 0o400, 0o777, 0o4755, 0o2755, 0o6711, 0o1644):
        tree.write(b"modes/%04o" % mode, b"mode\n", mode=mode)
    tree.mkdir(b"times")
    for name, nanoseconds in (
        (b"epoch", 0),
        (b"one", 10**9),
        (b"fraction", 1_500_000_000_123_456_789),
        (b"future", 4_000_000_000 * 10**9),
    ):
        tree.write(b"times/" + name, name)
        tree.set_mtime(b"times/" + name, nanoseconds)
    tree.write(b"xattrs", b"attributes\n")
    tree.set_xattr(b"xattrs", "user.comment", b"plain text")
    tree.set_xattr(b"xattrs", "user.bytes", b"\x00\xff=\n")
    tree.write(b"access-list", b"list\n", mode=0o640)
    tree.set_xattr(b"access-list", "system.posix_acl_access", ACCESS_LIST)
    tree.set_xattr(b"empty-folder", "user.comment", b"of a folder")


def _things_that_will_change(tree: TreeEditor) -> None:
    tree.mkdir(b"changes")
    for name in (
        b"middle",
        b"start",
        b"appended",
        b"cut",
        b"same-size",
        b"moved",
        b"deleted",
        b"to-folder",
        b"to-link",
    ):
        tree.write(b"changes/" + name, plain_text(f"changes {name!r}", 90_000))
    tree.write(b"changes/chmod-only", b"mode\n")
    tree.write(b"changes/touch-only", plain_text("touch", 70_000))
    tree.write(b"changes/emptied", b"full\n")
    tree.write(b"changes/filled", b"")
    tree.symlink(b"changes/link", b"old-target")
    tree.mkdir(b"changes/to-file")
    tree.write(b"changes/to-file/inside", b"inside\n")
    tree.mkdir(b"changes/doomed")
    tree.mkdir(b"changes/doomed/deeper")
    tree.write(b"changes/doomed/deeper/file", plain_text("doomed", 5_000))
    tree.mkdir(b"changes/moved-folder")
    tree.write(b"changes/moved-folder/file", plain_text("moved", 5_000))


def _what_only_root_makes(tree: TreeEditor) -> None:
    tree.special(b"character", stat.S_IFCHR, mode=0o620, device=os.makedev(7, 9))
    tree.special(b"block", stat.S_IFBLK, mode=0o660, device=os.makedev(259, 300))
    tree.mkdir(b"owners")
    for name, uid, gid in ((b"known", 1, 1), (b"unknown", 12_345, 54_321), (b"large", 3_000_000, 4_000_000_000)):
        tree.write(b"owners/" + name, name)
        tree.chown(b"owners/" + name, uid, gid)
    tree.symlink(b"owners/link", b"known")
    tree.chown(b"owners/link", 12_345, 54_321)
    tree.write(b"owners/set-id", b"id\n", mode=0o6755)
    tree.chown(b"owners/set-id", 12_345, 54_321)
    tree.write(b"capable", b"capability\n", mode=0o755)
    tree.set_xattr(b"capable", "security.capability", CAPABILITY)


def _first_changes(tree: TreeEditor) -> None:
    tree.overwrite(b"large", 1_000_000, random_bytes("edit", 300))
    tree.overwrite(b"changes/middle", 40_000, b"edited here")
    tree.insert(b"changes/start", 0, b"everything shifts")
    tree.append(b"changes/appended", plain_text("appended", 70_000))
    tree.truncate(b"changes/cut", 33_333)
    tree.write(b"changes/same-size", plain_text("same size", 90_000))
    tree.rename(b"changes/moved", b"changes/arrived")
    tree.rename(b"changes/moved-folder", b"changes/arrived-folder")
    tree.remove(b"changes/deleted")
    tree.remove(b"changes/doomed")
    tree.chmod(b"changes/chmod-only", 0o600)
    tree.touch(b"changes/touch-only")
    tree.truncate(b"changes/emptied", 0)
    tree.append(b"changes/filled", plain_text("filled", 66_000))
    tree.remove(b"changes/link")
    tree.symlink(b"changes/link", b"new-target")
    tree.remove(b"changes/to-folder")
    tree.mkdir(b"changes/to-folder")
    tree.write(b"changes/to-folder/inside", b"now a folder\n")
    tree.remove(b"changes/to-file")
    tree.write(b"changes/to-file", b"now a file\n")
    tree.remove(b"changes/to-link")
    tree.symlink(b"changes/to-link", b"middle")
    tree.write(b"order/dir-", b"new beside a folder\n")
    tree.chmod(b"empty-folder", 0o711)
    tree.remove(b"names/new\nline")


def _second_changes(tree: TreeEditor) -> None:
    tree.insert(b"large", 500_000, random_bytes("inserted", 1_001))
    tree.overwrite(b"changes/middle", 0, b"edited again")
    tree.append(b"changes/cut", plain_text("grown back", 100_000))
    tree.mkdir(b"changes/doomed")
    tree.write(b"changes/doomed/deeper", b"a file where a folder was\n")
    tree.write(b"changes/deleted", plain_text("risen", 10_000))
    tree.remove(b"changes/to-folder")
    tree.write(b"changes/to-folder", b"a file again\n")
    tree.remove(b"changes/to-file")
    tree.mkdir(b"changes/to-file")
    tree.write(b"changes/to-file/other", b"a folder again\n")
    tree.remove(b"changes/to-link")
    tree.write(b"changes/to-link", plain_text("a file again", 5_000))
    tree.remove(b"order/dir")
    tree.remove(b"fifo")
    tree.write(b"fifo", b"no longer a fifo\n")
    tree.append(b"hard/first", b"through one name\n")
    tree.overwrite(b"sparse", 900_000, b"late")
    tree.write(b"names/new\nline", b"back again\n")
    tree.touch(b"changes/touch-only")


def _third_changes(tree: TreeEditor) -> None:
    tree.append(b"large", random_bytes("appended", 400_000))
    tree.truncate(b"changes/middle", 45_000)
    tree.overwrite(b"changes/start", 89_000, b"near the end")
    tree.remove(b"changes/arrived")
    tree.mkdir(b"changes/arrived")
    tree.rename(b"changes/arrived-folder", b"changes/arrived/folder")
    tree.remove(b"changes/filled")
    tree.symlink(b"changes/filled", b"emptied")
    tree.append(b"changes/emptied", b"some\n")
    tree.remove(b"changes/link")
    tree.mkdir(b"changes/link")
    tree.write(b"changes/link/inside", b"was a link\n")
    tree.mkdir(b"order/dir")
    tree.write(b"order/dir/new", b"new\n")
    tree.remove(b"sizes/0")
    tree.remove(b"names/folder \xff\n'")
    tree.remove(b"a-hard-link")
    tree.write(b"a-hard-link", b"on its own\n")
    tree.append(b"hard/first", b"one name less\n")  # duplicity would not see that only the links have changed
    tree.chmod(b"modes/4755", 0o755)

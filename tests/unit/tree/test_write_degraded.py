"""Where not everything can be done the files are there all the same, and each kind of loss is told once."""

import os
import stat

import pytest

from tests.unit.tree.conftest import MTIME_NS, directory, entry, losses, needs_root, ordinary_user, read, writing
from twofold import system
from twofold.model.entry import Kind
from twofold.tree.attributes import kind_of_xattr, mode_without_acl
from twofold.tree.metadata import ACCESS_ACL, holes_of, read_xattrs, read_xattrs_below
from twofold.tree.shortfalls import DegradedKind, EntryProblem


def acl(*entries: tuple[int, int, int]) -> bytes:
    parts = [
        tag.to_bytes(2, "little") + may.to_bytes(2, "little") + who.to_bytes(4, "little") for tag, may, who in entries
    ]
    return (2).to_bytes(4, "little") + b"".join(parts)


NOBODY_ID = 0xFFFFFFFF
# user::rw- user:1234:rw- group::--- mask::rw- other::---
WIDE_MASK = acl((1, 6, NOBODY_ID), (2, 6, 1234), (4, 0, NOBODY_ID), (16, 6, NOBODY_ID), (32, 0, NOBODY_ID))


@needs_root
def test_an_ordinary_user_gets_the_files_and_one_warning_for_each_kind(open_root, monitor):
    foreign = {"uid": 1234, "gid": 2345}
    xattrs = ((b"security.capability", b"\1\0\0\2" + bytes(16)), (b"trusted.x", b"1"), (b"user.y", b"2"))
    with ordinary_user(), writing(open_root, monitor) as writer:
        writer.make_directory(b"", directory(0o750, **foreign))
        writer.make_directory(b"dir", directory(0o2700, **foreign))
        for number in range(10):
            path = b"dir/%d" % number
            writer.write_file(path, entry(mode=0o4640, xattrs=xattrs, **foreign), b"content")
        assert not writer.make_device(b"null", entry(Kind.CHARACTER_DEVICE, device=(1, 3)))
        assert not writer.make_device(b"zero", entry(Kind.CHARACTER_DEVICE, device=(1, 5)))
        writer.make_symlink(b"zlink", entry(Kind.SYMLINK, target=b"x", **foreign))
    told = losses(monitor)
    assert told.pop(DegradedKind.OWNER) == (13, b"dir/0")
    assert told.pop(DegradedKind.SETUID) == (11, b"dir/0")
    assert told.pop(DegradedKind.CAPABILITY) == (10, b"dir/0")
    assert told.pop(DegradedKind.TRUSTED_XATTR) == (10, b"dir/0")
    assert told.pop(DegradedKind.DEVICE) == (2, b"null")
    assert not told
    assert stat.S_IMODE(os.stat(open_root).st_mode) == 0o750
    found = os.stat(open_root + b"/dir/9")
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o640, MTIME_NS)
    assert read(open_root + b"/dir/9") == b"content"
    assert read_xattrs(open_root + b"/dir/9") == ((b"user.y", b"2"),)


def test_an_ordinary_user_keeps_what_was_theirs(open_root, monitor):
    with ordinary_user(), writing(open_root, monitor) as writer:
        writer.make_directory(b"closed", directory(0o500))
        writer.write_file(b"closed/file", entry(mode=0o4444, xattrs=((b"user.a", b"1"), (ACCESS_ACL, WIDE_MASK))), b"")
        writer.write_file(b"z", entry(size=1), b"1")
        assert writer.make_hard_link(b"zz", entry(size=1), b"z")
    assert monitor.events == []
    assert os.stat(open_root + b"/closed/file").st_mode & 0o4000
    assert dict(read_xattrs(open_root + b"/closed/file"))[b"user.a"] == b"1"


@needs_root
def test_an_ordinary_user_gets_the_group_if_only_the_owner_is_refused(open_root, monitor):
    with ordinary_user():
        os.mkdir(open_root + b"/dir")
    os.chown(open_root + b"/dir", 65534, 2345)
    os.chmod(open_root + b"/dir", 0o2700)
    with ordinary_user(), writing(open_root, monitor, overwrite=True) as writer:
        writer.make_directory(b"dir", directory(uid=65534, gid=2345))
        writer.write_file(b"dir/a", entry(uid=1234, gid=65534), b"")
        writer.write_file(b"dir/b", entry(uid=1234, gid=65534), b"")
    assert {os.stat(open_root + b"/dir/" + name).st_gid for name in (b"a", b"b")} == {65534}
    assert losses(monitor) == {DegradedKind.OWNER: (2, b"dir/a")}


@needs_root
def test_an_ordinary_user_is_told_of_each_entry_in_a_directory_of_others(open_root, monitor):
    os.mkdir(open_root + b"/theirs", 0o755)
    with ordinary_user(), writing(open_root, monitor, overwrite=True) as writer:
        writer.make_directory(b"theirs", directory(uid=0, gid=0))
        for name in (b"a", b"b"):
            with pytest.raises(EntryProblem, match="Permission denied"):
                writer.write_file(b"theirs/" + name, entry(), b"")
    assert os.listdir(open_root + b"/theirs") == []


@pytest.mark.parametrize("mode", [0o664, 0o660, 0o640])
def test_a_lost_acl_does_not_open_the_file_to_its_group(root, monitor, monkeypatch, mode):
    monkeypatch.setattr(system, "HAS_XATTRS", False)
    with writing(root, monitor) as writer:
        writer.write_file(b"file", entry(mode=mode, xattrs=((ACCESS_ACL, WIDE_MASK),)), b"")
    assert stat.S_IMODE(os.stat(root + b"/file").st_mode) == mode & ~0o070
    assert losses(monitor) == {DegradedKind.ACL: (1, b"file")}


def test_the_mode_without_an_acl_is_what_the_owning_group_had():
    group_reads = acl((1, 6, NOBODY_ID), (4, 4, NOBODY_ID), (16, 7, NOBODY_ID), (32, 0, NOBODY_ID))
    assert mode_without_acl(0o4670, group_reads) == 0o4640
    assert mode_without_acl(0o600, group_reads) == 0o600
    assert mode_without_acl(0o670, b"") == 0o600
    assert mode_without_acl(0o670, group_reads[:15]) == 0o600


def test_attributes_are_told_by_namespace():
    kinds = {
        name: kind_of_xattr(name).value for name in (b"user.a", b"trusted.a", b"security.capability", b"security.x")
    }
    assert kinds == {
        b"user.a": "user xattr",
        b"trusted.a": "trusted xattr",
        b"security.capability": "capability",
        b"security.x": "security xattr",
    }
    assert kind_of_xattr(b"system.posix_acl_default") is DegradedKind.ACL
    assert kind_of_xattr(b"btrfs.compression") is DegradedKind.OTHER_XATTR


@pytest.fixture
def without_linux(monkeypatch):
    """Takes away all that only Linux has; whatever is used in spite of that fails."""
    for flag in ("HAS_XATTRS", "HAS_HOLES", "HAS_REFLINKS", "HAS_DESCRIPTOR_PATHS"):
        monkeypatch.setattr(system, flag, False)
    for name in ("listxattr", "getxattr", "setxattr", "removexattr", "SEEK_HOLE", "SEEK_DATA", "O_PATH"):
        monkeypatch.delattr(os, name, raising=False)


@pytest.mark.usefixtures("without_linux")
def test_without_linux_everything_but_attributes_is_restored(root, monitor):
    xattrs = ((b"user.a", b"1"),)
    size = 1 << 18
    with writing(root, monitor) as writer:
        writer.make_directory(b"dir", directory(0o750, xattrs=xattrs))
        writer.make_fifo(b"dir/fifo", entry(Kind.FIFO, 0o620, xattrs=xattrs))
        writer.write_file(b"dir/file", entry(mode=0o640, xattrs=xattrs, size=4), b"data")
        assert writer.make_hard_link(b"dir/hard", entry(size=4), b"dir/file")
        writer.make_symlink(b"dir/link", entry(Kind.SYMLINK, 0o777, target=b"x", xattrs=xattrs))
        with writer.create_file(b"sparse", entry(holes=((0, size),))) as output:
            output.write(bytes(size))
            output.commit()
    assert losses(monitor) == {DegradedKind.USER_XATTR: (4, b"dir/fifo")}
    assert read(root + b"/dir/file") == b"data"
    assert os.path.samefile(root + b"/dir/hard", root + b"/dir/file")
    modes = {name: stat.S_IMODE(os.stat(root + name).st_mode) for name in (b"/dir", b"/dir/fifo", b"/dir/file")}
    assert modes == {b"/dir": 0o750, b"/dir/fifo": 0o620, b"/dir/file": 0o640}
    for name in (b"dir", b"dir/fifo", b"dir/file", b"dir/link"):
        assert os.lstat(root + b"/" + name).st_mtime_ns == MTIME_NS
    assert read(root + b"/sparse") == bytes(size)


@pytest.mark.usefixtures("without_linux")
def test_without_linux_there_are_no_attributes_and_holes_to_read(root):
    with writing(root) as writer:
        writer.write_file(b"sparse", entry(holes=((0, 1 << 18),)), bytes(1 << 18))
    fd = os.open(root, os.O_RDONLY)
    try:
        assert read_xattrs(root + b"/sparse") == read_xattrs_below(b"sparse", dir_fd=fd) == ()
    finally:
        os.close(fd)
    with open(root + b"/sparse", "rb") as file:
        assert holes_of(file.fileno(), 1 << 18) == ()


def test_copies_share_blocks_or_not_and_are_equal(root, monitor, monkeypatch):
    monkeypatch.setattr(os, "link", lambda *_args, **_kwargs: (_ for _ in ()).throw(PermissionError(1, "no")))
    content = bytes(range(256)) * 20_000
    for number, cloned in enumerate((True, False)):
        if not cloned:
            monkeypatch.setattr(system, "HAS_REFLINKS", False)
        with writing(root + b"%d" % number, monitor) as writer:
            writer.write_file(b"a", entry(size=len(content)), content)
            assert writer.make_hard_link(b"b", entry(size=len(content)), b"a")
        assert read(root + b"%d/b" % number) == content

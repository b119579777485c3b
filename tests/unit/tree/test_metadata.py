"""What is read beside lstat: extended attributes and holes."""

import errno
import os

import pytest

from tests.support.tools import unavailable
from tests.unit.tree.conftest import needs_root, ordinary_user
from twofold import system
from twofold.tree import metadata
from twofold.tree.metadata import holes_of, read_xattrs, read_xattrs_below


@pytest.fixture
def file(tmp_path):
    path = os.fsencode(tmp_path / "file")
    with open(path, "w"):
        pass
    return path


def set_or_skip(path, name, value):
    try:
        os.setxattr(path, name, value, follow_symlinks=False)
    except OSError as error:
        unavailable(f"{name} cannot be set here: {error}")


def test_attributes_are_sorted_and_read_by_path_or_descriptor(file):
    set_or_skip(file, "user.b", b"\0\xff")
    set_or_skip(file, "user.a", b"")
    expected = ((b"user.a", b""), (b"user.b", b"\0\xff"))
    assert read_xattrs(file) == expected
    with open(file, "rb") as opened:
        assert read_xattrs(opened.fileno()) == expected


@needs_root
def test_symlinks_are_not_followed_unless_asked_for(file):
    link = file + b"-link"
    os.symlink(file, link)
    set_or_skip(file, "user.a", b"of the file")
    set_or_skip(link, "trusted.a", b"of the link")
    assert read_xattrs(link) == ((b"trusted.a", b"of the link"),)
    assert read_xattrs(link, follow=True) == ((b"user.a", b"of the file"),)
    fd = os.open(os.path.dirname(link), os.O_RDONLY)
    try:
        assert read_xattrs_below(os.path.basename(link), dir_fd=fd) == ((b"trusted.a", b"of the link"),)
    finally:
        os.close(fd)


@needs_root
def test_an_ordinary_user_reads_what_is_for_everybody(open_root):
    path = open_root + b"/file"
    with open(path, "w"):
        pass
    set_or_skip(path, "trusted.a", b"1")
    set_or_skip(path, "user.a", b"2")
    assert dict(read_xattrs(path)) == {b"trusted.a": b"1", b"user.a": b"2"}
    with ordinary_user():
        assert dict(read_xattrs(path)) == {b"user.a": b"2"}


def test_labels_of_this_machine_and_views_of_network_file_systems_are_left_out(file, monkeypatch):
    names = [b"user.a", b"security.selinux", b"security.ima", b"system.nfs4_acl", b"system.posix_acl_access"]
    monkeypatch.setattr(system, "list_xattrs", lambda _target, *, follow: names)
    monkeypatch.setattr(system, "get_xattr", lambda _target, name, *, follow: name)
    assert [name for name, _ in read_xattrs(file)] == [b"system.posix_acl_access", b"user.a"]


@pytest.mark.parametrize("number", [errno.ENODATA, errno.EACCES, errno.EPERM])
def test_an_attribute_that_has_gone_or_is_secret_is_left_out(file, monkeypatch, number):
    def refused(_target, name, *, follow):
        if name == b"user.a":
            raise OSError(number, "")
        return b"1"

    monkeypatch.setattr(system, "list_xattrs", lambda _target, *, follow: [b"user.a", b"user.b"])
    monkeypatch.setattr(system, "get_xattr", refused)
    assert read_xattrs(file) == ((b"user.b", b"1"),)


def test_a_file_system_without_attributes_has_none(file, monkeypatch):
    def unsupported(*_args, **_kwargs):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "listxattr", unsupported)
    assert read_xattrs(file) == ()


def test_a_broken_disk_is_no_missing_attribute(file, monkeypatch):
    def broken(*_args, **_kwargs):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "listxattr", broken)
    with pytest.raises(OSError, match="Input/output error"):
        read_xattrs(file)
    monkeypatch.setattr(system, "list_xattrs", lambda _target, *, follow: [b"user.a"])
    monkeypatch.setattr(os, "getxattr", broken)
    with pytest.raises(OSError, match="Input/output error"):
        read_xattrs(file)


def sparse_file(path, size, data):
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    for offset in data:
        os.pwrite(fd, b"x" * 4096, offset)
    os.ftruncate(fd, size)
    if os.fstat(fd).st_blocks * 512 >= size:
        unavailable("the file system of the temporary folder has no sparse files")
    return fd


@pytest.mark.parametrize(
    ("data", "holes"),
    [
        ((), ((0, 1 << 20),)),
        ((0,), ((4096, (1 << 20) - 4096),)),
        (((1 << 20) - 4096,), ((0, (1 << 20) - 4096),)),
        ((65536, 4 * 65536), ((0, 65536), (69632, 192512), (266240, 782336))),
    ],
)
def test_holes_are_found_and_the_position_is_the_beginning(file, data, holes):
    fd = sparse_file(file, 1 << 20, data)
    try:
        assert holes_of(fd, 1 << 20) == holes
        assert holes_of(fd, 1 << 20, blocks=8) == holes
        assert os.lseek(fd, 0, os.SEEK_CUR) == 0
    finally:
        os.close(fd)


def test_a_file_with_all_its_blocks_is_not_searched(file, monkeypatch):
    monkeypatch.setattr(system, "next_hole", lambda *_args: pytest.fail("searched"))
    with open(file, "rb") as opened:
        assert holes_of(opened.fileno(), 4000, blocks=8) == ()
        assert holes_of(opened.fileno(), 0) == ()


def test_of_too_many_holes_the_largest_are_kept_in_order(file, monkeypatch):
    monkeypatch.setattr(metadata, "MOST_HOLES", 2)
    fd = sparse_file(file, 1 << 20, (8192, 65536, 5 * 65536, 6 * 65536, 12 * 65536))
    try:
        assert holes_of(fd, 1 << 20) == ((69632, 258048), (6 * 65536 + 4096, 389120))
    finally:
        os.close(fd)

"""Restored trees are what the archive says, in every respect, for a user who may do everything."""

import os
import shutil
import stat
import subprocess

import pytest

from tests.support.tools import require_tool, unavailable
from tests.unit.tree.conftest import MTIME_NS, directory, entry, losses, needs_root, read, writing
from twofold.errors import UserError
from twofold.model.entry import Kind
from twofold.model.relpath import join
from twofold.tree import directories, write
from twofold.tree.metadata import holes_of, read_xattrs
from twofold.tree.shortfalls import DegradedKind, EntryProblem
from twofold.tree.write import TreeWriter, WriteOptions


def test_a_small_tree_comes_back_with_content_modes_and_nanoseconds(root, monitor):
    with writing(root, monitor) as writer:
        writer.make_directory(b"", directory(0o711))
        writer.make_directory(b"dir", directory(0o750))
        writer.write_file(b"dir/empty", entry(mode=0o400), b"")
        writer.write_file(b"dir/file", entry(mode=0o640), b"content")
        writer.make_symlink(b"dir/link", entry(Kind.SYMLINK, 0o777, target=b"/nowhere"))
        writer.make_fifo(b"fifo", entry(Kind.FIFO, 0o620))
    found = {name: os.lstat(root + b"/" + name) for name in (b"", b"dir", b"dir/empty", b"dir/file", b"fifo")}
    modes = {name: oct(stat.S_IMODE(each.st_mode)) for name, each in found.items()}
    assert modes == {b"": "0o711", b"dir": "0o750", b"dir/empty": "0o400", b"dir/file": "0o640", b"fifo": "0o620"}
    assert {each.st_mtime_ns for each in found.values()} == {MTIME_NS}
    assert stat.S_ISFIFO(found[b"fifo"].st_mode)
    assert read(root + b"/dir/file") == b"content"
    assert os.readlink(root + b"/dir/link") == b"/nowhere"
    assert os.lstat(root + b"/dir/link").st_mtime_ns == MTIME_NS
    assert monitor.events == []


def test_the_access_time_becomes_the_time_of_the_restore(root):
    with writing(root) as writer:
        writer.write_file(b"file", entry(), b"")
    assert os.stat(root + b"/file").st_atime_ns > MTIME_NS


def test_a_directory_that_forbids_writing_is_filled_first(root):
    with writing(root) as writer:
        writer.make_directory(b"closed", directory(0o500))
        writer.make_directory(b"closed/inner", directory(0o000))
        writer.write_file(b"closed/inner/file", entry(), b"1")
        assert stat.S_IMODE(os.stat(root + b"/closed").st_mode) == 0o700
        writer.write_file(b"later", entry(), b"2")
        assert stat.S_IMODE(os.stat(root + b"/closed").st_mode) == 0o500
    assert os.stat(root + b"/closed").st_mtime_ns == MTIME_NS


@pytest.mark.parametrize("name", [b"new\nline", b"\xff\xfe", b"n" * 255, b" ", b"-rf", b"..."])
def test_any_byte_may_stand_in_a_name(root, name):
    with writing(root) as writer:
        writer.make_directory(name, directory())
        writer.write_file(name + b"/" + name, entry(), name)
        writer.make_symlink(
            name + b"x"[: 255 - len(name)] if len(name) < 255 else b"o", entry(Kind.SYMLINK, target=name)
        )
    assert read(root + b"/" + name + b"/" + name) == name


def test_paths_may_be_longer_than_the_system_takes(root, monkeypatch):
    monkeypatch.setattr(directories, "MOST_OPEN", 3)
    depth, name = 40, b"d" * 200
    with writing(root) as writer:
        path = b""
        for level in range(depth):
            path = join(path, name)
            writer.make_directory(path, directory(0o700 | level, mtime_ns=level * 10**9))
            writer.write_file(path + b"/a", entry(), b"%d" % level)
        assert len(path) > 4096
        for level in reversed(range(1, depth)):
            path = path[: -len(name) - 1]
            writer.write_file(path + b"/z", entry(), b"%d" % level)
    fd = os.open(root, os.O_RDONLY)
    for level in range(depth):
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
        assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o700 | level
        assert os.fstat(fd).st_mtime_ns == level * 10**9
        assert sorted(os.listdir(fd)) == ["a"] + ["d" * 200] * (level < depth - 1) + ["z"] * (level < depth - 1)
    os.close(fd)
    shutil.rmtree(root)


def test_only_the_lowest_directories_of_a_deep_branch_are_open(root, monkeypatch):
    if not os.path.isdir("/proc/self/fd"):
        unavailable("/proc is not mounted")
    monkeypatch.setattr(directories, "MOST_OPEN", 5)
    before = len(os.listdir("/proc/self/fd"))
    with TreeWriter(root, WriteOptions(), monitor=None) as writer:
        for level in range(1, 30):
            writer.make_directory(b"/".join([b"d"] * level), directory())
        assert len(os.listdir("/proc/self/fd")) - before == 5 + 1  # and the root
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_large_file_has_its_name_only_when_it_is_complete(root):
    with writing(root) as writer:
        with writer.create_file(b"large", entry(mode=0o444)) as output:
            output.write(b"abc")
            output.write(memoryview(b"def"))
            assert not os.path.exists(root + b"/large")
            assert stat.S_IMODE(os.fstat(output.fd).st_mode) == 0o600
            output.commit()
        writer.create_file(b"unwanted", entry()).discard()
    assert os.listdir(root) == [b"large"]
    assert read(root + b"/large") == b"abcdef"
    found = os.stat(root + b"/large")
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns, found.st_nlink) == (0o444, MTIME_NS, 1)


def test_an_interrupted_restore_leaves_no_half_file(root):
    with TreeWriter(root, WriteOptions(), monitor=None) as writer:
        writer.create_file(b"large", entry()).write(b"half")
        assert len(os.listdir(root)) == 1
    assert os.listdir(root) == []


def test_the_next_entry_must_wait_for_the_large_file(root):
    with TreeWriter(root, WriteOptions(), monitor=None) as writer:
        writer.create_file(b"large", entry())
        with pytest.raises(RuntimeError, match="neither been committed nor discarded"):
            writer.write_file(b"next", entry(), b"")
        with pytest.raises(RuntimeError, match="neither been committed nor discarded"):
            writer.finish()


def test_without_hard_links_a_large_file_still_does_not_replace_another(root, monkeypatch):
    def refused(*_args, **_kwargs):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    with writing(root) as writer:
        writer.create_file(b"new", entry()).commit()
        output = writer.create_file(b"other", entry())
        with open(root + b"/other", "w") as other:
            other.write("mine")
        with pytest.raises(EntryProblem, match="exists"):
            output.commit()
    assert sorted(os.listdir(root)) == [b"new", b"other"]
    assert read(root + b"/other") == b"mine"


def test_holes_are_left_where_the_data_is_zero(root):
    size = 1 << 20
    data = b"x" * 4096 + bytes(size - 8192) + b"y" * 4096
    sparse = entry(holes=((4096, size - 8192),))
    ending = entry(holes=((0, size),))
    with writing(root) as writer:
        writer.write_file(b"a", sparse, data)
        with writer.create_file(b"b", sparse) as output:
            for start in range(0, size, 100_000):
                output.write(data[start : start + 100_000])
            output.commit()
        with writer.create_file(b"c", ending) as output:
            output.write(bytes(size))
            output.commit()
        writer.write_file(b"d", ending, data)  # the record of holes is wrong: no harm
        writer.write_file(b"e", ending, bytes(size))
    assert read(root + b"/a") == read(root + b"/b") == read(root + b"/d") == data
    assert read(root + b"/c") == read(root + b"/e") == bytes(size)
    blocks = {name: os.stat(root + b"/" + name).st_blocks * 512 for name in (b"a", b"b", b"c", b"d", b"e")}
    assert blocks[b"a"] <= blocks[b"b"] < 65536 * 4
    assert blocks[b"c"] == blocks[b"e"] == 0
    with open(root + b"/a", "rb") as file:
        assert holes_of(file.fileno(), size) == ((4096, size - 8192),)


def test_hard_links_become_one_file_again(root, monitor):
    with writing(root, monitor) as writer:
        writer.make_directory(b"a", directory())
        writer.write_file(b"a/first", entry(size=4), b"data")
        assert writer.make_hard_link(b"a/second", entry(size=4), b"a/first")
        writer.make_directory(b"b", directory())
        assert writer.make_hard_link(b"b/third", entry(size=4), b"a/first")
        assert writer.make_hard_link(b"fourth", entry(size=4), b"a/first")
    assert os.stat(root + b"/a/first").st_nlink == 4
    assert os.path.samefile(root + b"/fourth", root + b"/a/first")
    assert os.stat(root + b"/b").st_mtime_ns == MTIME_NS
    assert monitor.events == []


@pytest.mark.parametrize("first", [b"missing", b"dir", b"link", b"dir/../file", b"", b"zzz", b"link/passwd", b"other"])
def test_a_first_name_that_does_not_fit_leaves_the_entry_to_the_caller(root, first):
    with writing(root) as writer:
        writer.make_directory(b"dir", directory())
        writer.write_file(b"file", entry(size=4), b"data")
        writer.make_symlink(b"link", entry(Kind.SYMLINK, target=b"/etc"))
        writer.write_file(b"other", entry(size=5), b"other")
        assert not writer.make_hard_link(b"second", entry(size=4), first)
        writer.write_file(b"second", entry(size=4), b"self")
    assert read(root + b"/second") == b"self"


def test_where_there_are_no_hard_links_the_file_is_copied(root, monitor, monkeypatch):
    def refused(*_args, **_kwargs):
        raise PermissionError(1, "Operation not permitted")

    with writing(root, monitor) as writer:
        writer.write_file(b"first", entry(size=4), b"data")
        monkeypatch.setattr(os, "link", refused)
        assert writer.make_hard_link(b"second", entry(mode=0o600, size=4), b"first")
        assert writer.make_hard_link(b"third", entry(mode=0o600, size=4), b"first")
    assert read(root + b"/second") == b"data"
    assert os.stat(root + b"/second").st_nlink == 1
    assert os.stat(root + b"/second").st_mtime_ns == MTIME_NS
    assert losses(monitor) == {DegradedKind.HARD_LINK: (2, b"second")}


def test_user_attributes_come_back_even_on_read_only_files(root, monitor):
    xattrs = ((b"user.binary", b"\0\xff\n"), (b"user.empty", b""))
    with writing(root, monitor) as writer:
        writer.make_directory(b"dir", directory(0o555, xattrs=xattrs))
        writer.write_file(b"file", entry(mode=0o444, xattrs=xattrs), b"")
    if losses(monitor):
        unavailable("the file system of the temporary folder has no extended attributes")
    assert read_xattrs(root + b"/file") == read_xattrs(root + b"/dir") == xattrs


@needs_root
def test_root_brings_back_owners_devices_and_all_attributes(root, monitor):
    xattrs = ((b"trusted.a", b"1"), (b"user.b", b"2"))
    theirs = {"uid": 1234, "gid": 2345}
    with writing(root, monitor) as writer:
        writer.make_directory(b"", directory(**theirs))
        writer.make_device(b"char", entry(Kind.CHARACTER_DEVICE, 0o666, device=(1, 3), **theirs))
        writer.make_directory(b"dir", directory(0o2755, **theirs))
        writer.write_file(b"dir/file", entry(mode=0o4755, xattrs=xattrs, **theirs), b"")
        writer.make_fifo(b"fifo", entry(Kind.FIFO, 0o666, xattrs=xattrs[:1], **theirs))
        writer.make_symlink(b"link", entry(Kind.SYMLINK, 0o777, target=b"x", xattrs=xattrs[:1], **theirs))
    for name in (b"", b"char", b"dir", b"dir/file", b"fifo", b"link"):
        found = os.lstat(root + b"/" + name)
        assert (found.st_uid, found.st_gid, found.st_mtime_ns) == (1234, 2345, MTIME_NS), name
    device = os.stat(root + b"/char")
    assert (device.st_rdev, device.st_mode) == (os.makedev(1, 3), stat.S_IFCHR | 0o666)
    assert stat.S_IMODE(os.stat(root + b"/dir").st_mode) == 0o2755
    assert stat.S_IMODE(os.stat(root + b"/dir/file").st_mode) == 0o4755
    assert read_xattrs(root + b"/dir/file") == xattrs
    assert read_xattrs(root + b"/fifo") == read_xattrs(root + b"/link") == xattrs[:1]
    assert monitor.events == []


@needs_root
def test_names_of_users_count_more_than_numbers_unless_asked_otherwise(root):
    named = entry(uid=1234, gid=2345, uname=b"nobody", gname=b"no such group")
    with writing(root) as writer:
        writer.write_file(b"by name", named, b"")
    with writing(root, numeric_owner=True, overwrite=True) as writer:
        writer.write_file(b"by number", named, b"")
    with writing(root, restore_ownership=False, overwrite=True) as writer:
        writer.write_file(b"mine", named, b"")
    owners = {name: os.stat(root + b"/" + name)[4:6] for name in (b"by name", b"by number", b"mine")}
    assert owners == {b"by name": (65534, 2345), b"by number": (1234, 2345), b"mine": (0, os.getegid())}


@needs_root
def test_a_set_group_id_folder_does_not_mislead_about_the_group(root):
    os.mkdir(root)
    os.chown(root, 0, 2345)
    os.chmod(root, 0o2775)
    with writing(root) as writer:
        writer.write_file(b"first", entry(gid=0), b"")
        writer.write_file(b"second", entry(gid=2345), b"")
        writer.write_file(b"third", entry(gid=0), b"")
    assert [os.stat(root + b"/" + name).st_gid for name in (b"first", b"second", b"third")] == [0, 2345, 0]


@needs_root
def test_privileges_are_not_given_to_another_owner(root, monitor):
    capability = (b"security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    with writing(root, monitor, restore_ownership=False) as writer:
        writer.write_file(b"a", entry(mode=0o6755, uid=1234, xattrs=(capability,)), b"")
        writer.write_file(b"b", entry(mode=0o6755, gid=1234), b"")
        writer.write_file(b"c", entry(mode=0o6755), b"")
    modes = [stat.S_IMODE(os.stat(root + b"/" + name).st_mode) for name in (b"a", b"b", b"c")]
    assert modes == [0o2755, 0o4755, 0o6755]
    assert read_xattrs(root + b"/a") == ()
    assert losses(monitor) == {DegradedKind.SETUID: (2, b"a"), DegradedKind.CAPABILITY: (1, b"a")}


@needs_root
def test_impossible_owners_and_times_are_counted_and_stop_nothing(root, monitor):
    with writing(root, monitor) as writer:
        writer.write_file(b"a", entry(mode=0o4600, uid=-1, mtime_ns=2**100), b"1")
        writer.write_file(b"b", entry(mode=0o4600, gid=2**40), b"2")
    assert losses(monitor) == {
        DegradedKind.OWNER: (2, b"a"),
        DegradedKind.SETUID: (1, b"a"),
        DegradedKind.TIME: (1, b"a"),
    }
    assert read(root + b"/b") == b"2"


@needs_root
def test_acls_and_capabilities_survive(tmp_path, root, monitor):
    setfacl, getfacl = require_tool("setfacl"), require_tool("getfacl")
    setcap, getcap = require_tool("setcap"), require_tool("getcap")
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("")
    (source / "program").write_text("")
    subprocess.run([setfacl, "-m", "u:1234:rw,g::-", source / "file"], check=True)
    subprocess.run([setfacl, "-d", "-m", "u:1234:rwx", source], check=True)
    subprocess.run([setcap, "cap_net_raw+ep", source / "program"], check=True)
    read_of = {name: read_xattrs(os.fsencode(source / name)) for name in ("", "file", "program")}
    assert all(read_of.values())
    program = entry(mode=0o755, uid=1234, xattrs=read_of["program"])
    with writing(root, monitor) as writer:
        writer.make_directory(b"", directory(xattrs=read_of[""]))
        writer.write_file(b"file", entry(mode=(source / "file").stat().st_mode, xattrs=read_of["file"]), b"")
        writer.write_file(b"program", program, b"")
    assert monitor.events == []
    for name in ("", "file"):
        shown = [
            subprocess.run([getfacl, "-cn", where], capture_output=True, check=True).stdout
            for where in (source / name, os.fsdecode(root) + "/" + name)
        ]
        assert shown[0] == shown[1]
        assert b"user:1234" in shown[0]
    assert b"cap_net_raw" in subprocess.run([getcap, root + b"/program"], capture_output=True, check=True).stdout
    assert os.stat(root + b"/program").st_uid == 1234


def test_existing_files_are_left_alone_unless_overwriting(root):
    os.mkdir(root)
    for name in (b"/dir", b"/file", b"/fifo", b"/link"):
        with open(root + name, "w") as file:
            file.write("mine")
    with writing(root) as writer:
        for make in (
            lambda: writer.make_directory(b"dir", directory()),
            lambda: writer.make_fifo(b"fifo", entry(Kind.FIFO)),
            lambda: writer.write_file(b"file", entry(), b"theirs"),
            lambda: writer.make_symlink(b"link", entry(Kind.SYMLINK, target=b"x")),
        ):
            with pytest.raises(EntryProblem, match="File exists"):
                make()
    assert {read(root + b"/" + name) for name in os.listdir(root)} == {b"mine"}


def test_overwriting_replaces_files_and_takes_over_directories(root, tmp_path, monitor):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("outside")
    for name in (b"", b"/dir", b"/closed", b"/linked parent"):
        os.mkdir(root + name)
    for name in (b"/dir/keep", b"/dir/large", b"/dir/symlink", b"/linked", b"/now a dir"):
        with open(root + name, "w") as file:
            file.write("old")
    os.link(outside / "file", os.fsdecode(root) + "/hard")
    os.symlink(outside / "file", os.fsdecode(root) + "/soft")
    os.symlink(outside, os.fsdecode(root) + "/soft dir")
    os.chmod(root + b"/closed", 0)
    with writing(root, monitor, overwrite=True) as writer:
        writer.make_directory(b"", directory())
        writer.make_directory(b"closed", directory(0o500))
        writer.write_file(b"closed/file", entry(), b"new")
        writer.make_directory(b"dir", directory())
        with writer.create_file(b"dir/large", entry()) as output:
            output.write(b"new")
            output.commit()
        writer.make_symlink(b"dir/symlink", entry(Kind.SYMLINK, target=b"new"))
        writer.write_file(b"hard", entry(size=3), b"new")
        assert writer.make_hard_link(b"linked", entry(size=3), b"hard")
        writer.make_directory(b"now a dir", directory())
        writer.write_file(b"soft", entry(), b"new")
        writer.make_directory(b"soft dir", directory())
        writer.write_file(b"soft dir/file", entry(), b"new")
    assert (outside / "file").read_text() == "outside"
    assert read(root + b"/dir/keep") == b"old"
    assert os.readlink(root + b"/dir/symlink") == b"new"
    for name in (b"closed/file", b"dir/large", b"hard", b"linked", b"soft", b"soft dir/file"):
        assert read(root + b"/" + name) == b"new"
        assert not os.path.islink(root + b"/" + name)
    assert os.path.samefile(root + b"/hard", root + b"/linked")
    assert stat.S_IMODE(os.stat(root + b"/closed").st_mode) == 0o500
    assert stat.S_IMODE(os.stat(root + b"/now a dir").st_mode) == 0o755
    assert sorted(os.listdir(root)) == sorted(
        [b"closed", b"dir", b"hard", b"linked", b"linked parent", b"now a dir", b"soft", b"soft dir"]
    )
    assert monitor.events == []


def test_overwriting_twice_keeps_hard_links(root):
    for _ in range(2):
        with writing(root, overwrite=True) as writer:
            writer.write_file(b"a", entry(size=1), b"1")
            assert writer.make_hard_link(b"b", entry(size=1), b"a")
    assert sorted(os.listdir(root)) == [b"a", b"b"]
    assert os.stat(root + b"/a").st_nlink == 2


def test_a_link_is_not_made_to_a_file_from_before_the_restore(root, monkeypatch):
    os.mkdir(root)
    with open(root + b"/first", "w") as stale:
        stale.write("old!")
    later = os.stat(root + b"/first").st_ctime_ns + 1
    monkeypatch.setattr(TreeWriter, "_now_ns", lambda _self: later)
    with writing(root, overwrite=True) as writer:
        assert not writer.make_hard_link(b"second", entry(size=4), b"first")


def test_a_directory_is_never_removed_for_a_file(root):
    os.makedirs(root + b"/name")
    with writing(root, overwrite=True) as writer, pytest.raises(EntryProblem, match="directory"):
        writer.write_file(b"name", entry(), b"")
    assert os.listdir(root) == [b"name"]
    assert os.path.isdir(root + b"/name")


def test_renamed_subtrees_may_come_in_any_order(root, monitor):
    with writing(root, monitor, any_order=True) as writer:
        writer.make_directory(b"", directory(0o711))
        writer.make_directory(b"z", directory(0o500))
        writer.write_file(b"z/2", entry(), b"2")
        writer.write_file(b"a/b/3", entry(), b"3")
        writer.write_file(b"z/1", entry(), b"1")
        writer.make_directory(b"a", directory(0o750))
        writer.write_file(b"a/b/2", entry(), b"2")
        for repeated in (
            lambda: writer.make_directory(b"z", directory()),
            lambda: writer.write_file(b"z/1", entry(), b""),
        ):
            with pytest.raises(EntryProblem, match="exists"):
                repeated()
    assert losses(monitor) == {DegradedKind.MISSING_PARENT: (1, b"a/b")}
    modes = {name: stat.S_IMODE(os.stat(root + b"/" + name).st_mode) for name in (b"", b"a", b"a/b", b"z")}
    assert modes == {b"": 0o711, b"a": 0o750, b"a/b": 0o700, b"z": 0o500}
    assert {os.stat(root + name).st_mtime_ns for name in (b"", b"/a", b"/z")} == {MTIME_NS}


def test_the_folder_is_made_with_its_parents(tmp_path):
    root = os.fsencode(tmp_path / "new" / "folder")
    with writing(root) as writer:
        writer.write_file(b"file", entry(), b"1")
    assert read(root + b"/file") == b"1"
    assert stat.S_IMODE(os.stat(root).st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Cannot restore to .*file/folder: Not a directory"):
        TreeWriter(os.fsencode(tmp_path / "file" / "folder"), WriteOptions(), monitor=None)


def test_a_full_disk_leaves_no_half_file(root, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    with writing(root) as writer:
        monkeypatch.setattr(write, "write_all", full)
        with pytest.raises(EntryProblem) as caught:
            writer.write_file(b"file", entry(), b"1")
    assert (caught.value.path, caught.value.error_number) == (b"file", 28)
    assert str(caught.value) == "Cannot restore file: No space left on device"
    assert os.listdir(root) == []

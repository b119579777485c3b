"""What only some systems have, as the tree needs it."""

import fcntl
import os
import stat

import pytest

from twofold import system


@pytest.fixture
def folder(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def test_the_mode_of_a_fifo_is_changed_without_opening_it(tmp_path, folder):
    os.mkfifo(tmp_path / "fifo")
    system.change_mode(b"fifo", 0o602, dir_fd=folder)
    assert stat.S_IMODE((tmp_path / "fifo").stat().st_mode) == 0o602


@pytest.mark.skipif(not system.HAS_DESCRIPTOR_PATHS, reason="needs /proc")
def test_the_mode_of_what_a_symlink_points_to_is_not_changed(tmp_path, folder):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    before = (tmp_path / "file").stat().st_mode
    with pytest.raises(OSError, match="symbolic links"):
        system.change_mode(b"link", 0o777, dir_fd=folder)
    assert (tmp_path / "file").stat().st_mode == before


def test_sharing_blocks_is_asked_of_the_kernel_and_may_be_refused(monkeypatch):
    asked = []
    monkeypatch.setattr(fcntl, "ioctl", lambda *request: asked.append(request))
    monkeypatch.setattr(system, "HAS_REFLINKS", True)
    assert system.clone_file(3, 4)
    assert asked == [(4, 0x40049409, 3)]

    def refused(*_request):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "ioctl", refused)
    assert not system.clone_file(3, 4)


def test_without_attributes_setting_one_is_refused_and_none_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(system, "HAS_XATTRS", False)
    path = os.fsencode(tmp_path)
    assert system.list_xattrs(path) == []
    for call in (lambda: system.set_xattr(path, b"user.a", b""), lambda: system.get_xattr(path, b"user.a")):
        with pytest.raises(OSError, match="not supported"):
            call()

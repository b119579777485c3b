"""What is stored of a tree, and how: whole, as a difference, or not at all because it only looks changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.backups import Place, tar_members
from tests.support.tree import Fidelity, assert_same_tree
from tests.support.tree_editor import supports_xattrs
from twofold.model.backup import SetKind, Wrapping
from twofold.operations.backup_plan import BackupSummary

CONTENT = os.urandom(100_000)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path, Wrapping.PLAIN)
    write(place, b"file", CONTENT)
    write(place, b"small", b"x" * 30)
    os.mkdir(os.path.join(place.source, b"dir"))
    os.symlink(b"file", os.path.join(place.source, b"link"))
    os.mkfifo(os.path.join(place.source, b"pipe"))
    place.back_up(SetKind.FULL)
    return place


def write(place: Place, name: bytes, content: bytes) -> None:
    with open(os.path.join(place.source, name), "wb") as file:
        file.write(content)


def stored(place: Place, summary: BackupSummary) -> list[str]:
    return [info.name for volume in place.volumes(summary.set_id) for info, _ in tar_members(volume)]


def increment(place: Place) -> list[str]:
    names = stored(place, place.back_up(SetKind.INCREMENTAL))
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)
    return names


def test_a_new_change_time_alone_makes_the_content_decide(place: Place) -> None:
    for name in (b"file", b"dir", b"pipe"):
        path = os.path.join(place.source, name)
        os.chmod(path, 0o600)
        os.chmod(path, 0o755 if name == b"dir" else 0o644)
    assert increment(place) == []


def test_a_content_changed_behind_an_old_time_is_found(place: Place) -> None:
    path = os.path.join(place.source, b"file")
    found = os.lstat(path)
    write(place, b"file", CONTENT[:50_000] + b"!" + CONTENT[50_001:])
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert increment(place) == ["diff/file"]


def test_a_change_within_the_tick_of_the_last_backup_is_found(place: Place) -> None:
    """All this happens within milliseconds, too fast for the times of some kernels."""
    for number in range(20):
        path = os.path.join(place.source, b"small")
        found = os.lstat(path)
        write(place, b"small", b"%030d" % number)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        os.unlink(os.path.join(place.source, b"link"))
        os.symlink(b"%04d" % number, os.path.join(place.source, b"link"))
        place.back_up(SetKind.INCREMENTAL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


@pytest.mark.parametrize("name", [b"file", b"dir"])
def test_a_changed_extended_attribute_is_stored(place: Place, name: bytes) -> None:
    if not supports_xattrs(place.source):
        pytest.skip("no extended attributes here")
    os.setxattr(os.path.join(place.source, name), b"user.colour", b"red")
    assert len(increment(place)) == 1
    assert increment(place) == []


def test_new_metadata_take_a_difference_without_new_data(place: Place) -> None:
    os.chmod(os.path.join(place.source, b"file"), 0o600)
    summary = place.back_up(SetKind.INCREMENTAL)
    ((info, data),) = tar_members(place.volumes(summary.set_id)[0])
    assert (info.name, info.mode) == ("diff/file", 0o600)
    assert len(data) < 20
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


def test_what_is_smaller_than_its_difference_is_stored_whole(place: Place) -> None:
    write(place, b"small", b"y")
    assert increment(place) == ["snapshot/small"]


def test_a_file_whose_signature_is_gone_is_stored_whole(place: Place) -> None:
    write(place, b"file", CONTENT + b"more")
    for name in list(place.files):
        if "signatures" in name:
            content = bytearray(place.files[name])
            start = bytes(content).index(b"signature/file\0")
            content[start + 3] ^= 1
            place.files[name] = bytes(content)
    for name in os.listdir(place.archive):
        if "signatures" in name:
            os.unlink(os.path.join(place.archive, name))
    state = os.path.join(place.archive, "twofold-state")
    os.unlink(state)
    with pytest.raises(Exception, match="sum"):
        place.back_up(SetKind.INCREMENTAL)


def test_a_hard_link_group_follows_its_first_name(place: Place) -> None:
    source = place.source
    os.link(os.path.join(source, b"file"), os.path.join(source, b"dir/other"))
    assert increment(place) == [
        *("snapshot/dir", "multivol_snapshot/dir/other/1", "multivol_snapshot/dir/other/2", "diff/file")
    ]
    os.link(os.path.join(source, b"file"), os.path.join(source, b"zzz"))
    increment(place)
    os.unlink(os.path.join(source, b"dir/other"))
    increment(place)
    os.rename(os.path.join(source, b"zzz"), os.path.join(source, b"aaa"))
    increment(place)
    os.unlink(os.path.join(source, b"aaa"))
    increment(place)


def test_counts_are_those_of_the_statistics(place: Place) -> None:
    write(place, b"new", b"12345")
    write(place, b"file", CONTENT + b"more")
    os.unlink(os.path.join(place.source, b"pipe"))
    tally = place.back_up(SetKind.INCREMENTAL).tally
    assert (tally.changed_files, tally.deleted, tally.errors) == (1, 1, 0)
    assert tally.changed_bytes == len(CONTENT) + 4
    assert tally.source_files == 6

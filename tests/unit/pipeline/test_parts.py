"""Files of a part or more: headers of any length never touch the data around them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.backups import Place
from tests.support.tree import Fidelity, assert_same_tree
from tests.support.tree_editor import supports_xattrs
from twofold.model.backup import SetKind

PART = 65536


def write(place: Place, name: bytes, content: bytes) -> bytes:
    path = os.path.join(place.source, name)
    with open(path, "wb") as file:
        file.write(content)
    return path


@pytest.mark.parametrize("length", [79, 80, 81])
def test_a_part_number_with_one_more_digit_may_need_a_longer_header(tmp_path: Path, length: int) -> None:
    """multivol_snapshot/ and multivol_diff/ with the name and the part's number are about 100 bytes long here."""
    place = Place(tmp_path, volume_size=20 << 20)
    write(place, b"n" * length, os.urandom(PART * 25 + 7))
    write(place, b"o" * (length + 4), os.urandom(PART * 12))
    place.back_up(SetKind.FULL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)
    write(place, b"n" * length, os.urandom(PART * 21))
    write(place, b"o" * (length + 4), os.urandom(PART * 13))
    place.back_up(SetKind.INCREMENTAL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


@pytest.mark.parametrize("size", [PART - 1, PART, PART + 1, 16 * PART - 1, 16 * PART, 16 * PART + 1])
def test_files_around_whole_numbers_of_parts_come_back(tmp_path: Path, size: int) -> None:
    place = Place(tmp_path, volume_size=4 << 20)
    write(place, b"f", os.urandom(size))
    place.back_up(SetKind.FULL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)
    write(place, b"f", os.urandom(size))
    place.back_up(SetKind.INCREMENTAL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


@pytest.mark.parametrize("size", [10, PART - 10, 5 * PART])
def test_very_many_holes_make_long_headers(tmp_path: Path, size: int) -> None:
    place = Place(tmp_path, volume_size=4 << 20)
    for name in (b"a", b"b", b"c"):
        with open(write(place, name, b"begin"), "r+b") as file:
            for hole in range(1, 1200):
                file.seek(hole * 8192)
                file.write(b"x" * 10)
            file.truncate(1200 * 8192 + size)
    place.back_up(SetKind.FULL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)
    for name in (b"a", b"b", b"c"):
        with open(os.path.join(place.source, name), "r+b") as file:
            file.write(os.urandom(3 * PART))
    place.back_up(SetKind.INCREMENTAL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


@pytest.mark.parametrize("size", [10, PART - 10, 5 * PART])
def test_large_extended_attributes_make_long_headers(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few file systems take so much, so the walk is told that they are there."""
    from twofold.pipeline import entries

    place = Place(tmp_path, volume_size=400_000)
    if not supports_xattrs(place.source):
        pytest.skip("no extended attributes here")
    attributes = tuple((b"user.%d" % number, b"\xffv" * 20_000) for number in range(5))
    for number in range(9):
        write(place, b"%d" % number, os.urandom(size))
    with monkeypatch.context() as patched:
        patched.setattr(entries, "read_xattrs", lambda *_, **__: attributes)
        place.back_up(SetKind.FULL)
        for number in range(9):
            write(place, b"%d" % number, os.urandom(size + 1))
        place.back_up(SetKind.INCREMENTAL)
    found = {path for set_id in place.set_ids() for path in names_in(place.volumes(set_id))}
    assert found == {b"", *(b"%d" % number for number in range(9))}
    assert place.problems() == []


def names_in(volumes: list[bytes]) -> set[bytes]:
    from tests.support.backups import tar_members

    found = set()
    for volume in volumes:
        for info, _ in tar_members(volume):
            parts = os.fsencode(info.name).split(b"/")
            found.add(b"" if parts[1] == b"." else parts[1])
    return found


def test_attributes_beyond_what_a_reader_takes_are_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twofold.pipeline import entries
    from twofold.pipeline.plain import PlainFiles

    place = Place(tmp_path, volume_size=400_000)
    write(place, b"f", b"content")
    with monkeypatch.context() as patched:
        patched.setattr(entries, "read_xattrs", lambda *_, **__: ((b"user.huge", bytes(5 << 20)),))
        patched.setattr(PlainFiles, "store", lambda _self, _work, _indexes, start: start)
        place.back_up(SetKind.FULL)
    assert place.problems() == [b"", b"f"]
    with open(os.path.join(place.restore(), b"f"), "rb") as file:
        assert file.read() == b"content"

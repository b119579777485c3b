"""Ordinary small files go through a loop of their own, and nothing in the archive shows it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.backups import Place
from tests.support.tree import Fidelity, assert_same_tree
from tests.support.tree_editor import supports_xattrs
from twofold.format.difftar import PART_SIZE
from twofold.model.backup import SetKind
from twofold.monitor import FileStored
from twofold.pipeline import entries, plain
from twofold.pipeline.blocks import block_length
from twofold.pipeline.plain import PlainFiles, signature_size
from twofold.rsync import SignatureBuilder, SignatureKind

TIMES = [0, 1, -5_000_000_000, 10**18 + 7, 1_600_000_000 * 10**9, 1_600_000_000_500_000_000, 1_600_000_000_123_456_789]
ODD_NAMES = [b"\xc3\xa4", b"\xff", b"n" * 91, b"n" * 200, b"line\nfeed"]


def write(place: Place, name: bytes, content: bytes) -> bytes:
    path = os.path.join(place.source, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    return path


def fill(place: Place) -> None:
    """Ordinary files, and between them each kind that is not."""
    for number, size in enumerate((0, 1, 511, 512, 4096, 4097, 30_000, 65_535, 65_536, 130_000)):
        write(place, b"a/size%d" % number, os.urandom(size))
    for number, time in enumerate(TIMES):
        os.utime(write(place, b"a/time%d" % number, b"abc"), ns=(time, time))
    for number, mode in enumerate((0o644, 0o755, 0o4755, 0o400)):
        os.chmod(write(place, b"b/mode%d" % number, b"x" * number), mode)
    for name in ODD_NAMES:
        write(place, b"c/" + name, b"odd")
        write(place, b"d/" + b"e" * 60 + b"/" + name, b"deep")
        write(place, b"\xc3\xa9/" + name, b"below a strange name")
    os.link(write(place, b"f/linked", b"hard"), os.path.join(place.source, b"f/other"))
    with open(write(place, b"f/sparse", b""), "r+b") as file:
        file.truncate(50_000)
    path = write(place, b"f/with-attribute", b"attribute")
    if supports_xattrs(place.source):
        os.setxattr(path, b"user.colour", b"red")
    os.symlink(b"linked", os.path.join(place.source, b"f/symlink"))
    write(place, b"g", b"last")


def archived(place: Place) -> list[object]:
    """What a full backup makes of the tree, to the last byte."""
    place.store = type(place.store)()
    place.clock.advance(1000)
    set_id = place.back_up(SetKind.FULL).set_id
    return [place.volumes(set_id), place.signatures(set_id), place.manifest(set_id).file_changes]


@pytest.mark.parametrize("tick", [0, 10**18], ids=["settled", "fresh"])
@pytest.mark.parametrize("volume_size", [300_000, 50_000_000])
def test_the_archive_is_the_same_as_if_every_file_took_the_general_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tick: int, volume_size: int
) -> None:
    place = Place(tmp_path, volume_size=volume_size)
    fill(place)
    monkeypatch.setattr(entries, "_FINE_TICK", tick)
    monkeypatch.setattr(entries, "_COARSE_TICK", tick)
    found = archived(place)
    monkeypatch.setattr(PlainFiles, "store", lambda _self, _work, _indexes, start: start)
    assert archived(place) == found


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """How many files each batch has asked for and read."""
    found: list[tuple[int, int]] = []
    read_files = plain.read_files

    def counted(directory: int, names: Sequence[bytes], *buffer: memoryview, **options: object) -> int:
        found.append((len(names), read_files(directory, names, *buffer, **options)))  # type: ignore[arg-type]
        return found[-1][1]

    monkeypatch.setattr(plain, "read_files", counted)
    return found


def no_general_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries.EntryMaker, "regular", lambda *_: pytest.fail("took the general way"))


def test_the_ordinary_files_of_a_directory_take_the_short_way_in_one_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: list[tuple[int, int]]
) -> None:
    place = Place(tmp_path, volume_size=50_000_000)
    for number in range(40):
        write(place, b"%02d" % number, os.urandom(number * 500))
    no_general_way(monkeypatch)
    place.back_up(SetKind.FULL)
    assert batches == [(40, 40)]
    monkeypatch.undo()
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


def test_ordinary_files_that_do_not_fit_into_a_chunk_go_on_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: list[tuple[int, int]]
) -> None:
    place = Place(tmp_path, volume_size=50_000_000)
    for number in range(60):
        write(place, b"%02d" % number, os.urandom(40_000))
    no_general_way(monkeypatch)
    place.back_up(SetKind.FULL)
    assert len(batches) == 3
    assert sum(read for _, read in batches) == 60
    assert all(asked == read for asked, read in batches)


def test_where_hardly_any_file_is_ordinary_few_are_tried_at_once(
    tmp_path: Path, batches: list[tuple[int, int]]
) -> None:
    place = Place(tmp_path, volume_size=50_000_000)
    for number in range(100):
        os.link(write(place, b"a/%03d" % number, b"linked"), os.path.join(place.source, b"b%03d" % number))
    for number in range(100):
        write(place, b"c/%03d" % number, b"ordinary")
    place.back_up(SetKind.FULL)
    assert batches[0] == (100, 0)
    assert set(batches[1:100]) <= {(number, 0) for number in (1, 2, 3, 4)}
    assert batches[-5:] == [(4, 4), (8, 8), (16, 16), (32, 32), (40, 40)]


def grow(path: bytes) -> None:
    found = os.lstat(path)
    with open(path, "ab") as file:
        file.write(b"more")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@pytest.mark.parametrize("change", [grow, lambda path: os.truncate(path, 3), lambda path: os.truncate(path, 200_000)])
def test_a_file_that_changes_between_its_facts_and_its_data_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], None]
) -> None:
    place = Place(tmp_path)
    path = write(place, b"f", b"content")
    write(place, b"g", b"behind it")
    read_files = plain.read_files
    changes = [change]

    def meddle(*arguments: object, **options: object) -> int:
        if changes:
            changes.pop()(path)
        return read_files(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(plain, "read_files", meddle)
    place.back_up(SetKind.FULL)
    restored = place.restore()
    for name in (b"f", b"g"):
        with open(os.path.join(restored, name), "rb") as stored, open(os.path.join(place.source, name), "rb") as now:
            assert stored.read() == now.read()
    place.back_up(SetKind.INCREMENTAL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


def test_no_descriptor_stays_open_for_what_is_not_ordinary(tmp_path: Path) -> None:
    place = Place(tmp_path)
    fill(place)
    place.back_up(SetKind.FULL)  # whatever stays open for good is open after this
    before = len(os.listdir("/proc/self/fd"))
    place.back_up(SetKind.FULL)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_each_file_is_told_of_in_order_and_counted(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for name in (b"a", b"b", b"c\xff", b"d"):
        write(place, name, name * 10)
    summary = place.back_up(SetKind.FULL, detailed=True)
    told = [event.path for event in place.monitor.events if isinstance(event, FileStored)]
    assert told == [b"", b"a", b"b", b"c\xff", b"d"]
    tally = summary.tally
    assert (tally.new_files, tally.source_files, tally.raw_delta) == (5, 5, 50)
    assert tally.new_bytes == 50 + os.lstat(place.source).st_size


@pytest.mark.parametrize("limit", [0, 512, 1000, 4096, 100_000])
def test_all_files_of_less_than_a_part_have_blocks_of_one_length(limit: int) -> None:
    """What `PlainFiles` relies on: a rule that tells small files apart has to change it, too."""
    assert len({block_length(size, limit=limit) for size in range(PART_SIZE)}) == 1


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 65_535])
def test_signatures_have_the_announced_size(size: int) -> None:
    builder = SignatureBuilder(SignatureKind.BLAKE2_RABIN_KARP, 4096, 16)
    builder.update(bytes(size))
    builder.finish()
    assert len(builder.take()) == signature_size(size, 4096)


def test_a_lone_file_as_the_root_is_not_taken_for_one_of_a_directory(tmp_path: Path) -> None:
    place = Place(tmp_path)
    os.rmdir(place.source)
    with open(place.source, "wb") as file:
        file.write(b"alone")
    place.back_up(SetKind.FULL)
    with open(place.restore(), "rb") as file:
        assert file.read() == b"alone"


def test_attributes_that_are_never_stored_make_no_file_extraordinary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SELinux puts a label on every file; another attribute stands for that."""
    place = Place(tmp_path)
    write(place, b"f", b"content")
    if not supports_xattrs(place.source):
        pytest.skip("this file system has no extended attributes")
    os.setxattr(os.path.join(place.source, b"f"), b"user.label", b"unconfined")
    monkeypatch.setattr(plain, "_IGNORED", (b"security.selinux", b"user.label"))
    no_general_way(monkeypatch)
    place.back_up(SetKind.FULL)
    with open(os.path.join(place.restore(), b"f"), "rb") as file:
        assert file.read() == b"content"

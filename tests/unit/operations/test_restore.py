"""Restoring from targets made by hand: what comes back, what is refused, and how it ends."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.support.archive import (
    DIRECTORY,
    FILE,
    Target,
    Volume,
    deleted,
    diff,
    directory,
    one_volume,
    other,
    parts,
    raw,
    record_of,
    sig_file,
    sig_other,
    snapshot,
    symlink,
    volume,
)
from tests.support.restoring import Place, place
from twofold.errors import BadVolume, MissingVolume, PartlyDone, PathNotFound, TargetNotEmpty
from twofold.model.backup import FileRole, SetId, Wrapping
from twofold.model.entry import Entry
from twofold.monitor import Note

FULL, FIRST, SECOND = SetId(1000), SetId(2000, 1000), SetId(3000, 2000)
ROOT = directory(b"")
LARGE = random.Random(5).randbytes(1_300_000)


def archive(folder: Path, *members: bytes, wrapping: Wrapping = Wrapping.PLAIN) -> Place:
    target = Target(wrapping)
    target.add_set(FULL, one_volume(*members))
    return place(folder, target)


def split() -> tuple[list[Volume], list[bytes]]:
    volumes = [
        volume(1, [ROOT, snapshot(b"a", b"a")], first=b"", last=b"a"),
        volume(2, [snapshot(b"b", b"b"), snapshot(b"c", b"c")], first=b"b", last=b"c"),
        volume(3, [snapshot(b"d", b"d")], first=b"d", last=b"d"),
    ]
    return volumes, [sig_other(b"", DIRECTORY), *(sig_file(name, name) for name in (b"a", b"b", b"c", b"d"))]


@pytest.mark.parametrize("wrapping", [Wrapping.PLAIN, Wrapping.GZIP])
def test_a_tree_comes_back_at_each_of_its_times(tmp_path: Path, wrapping: Wrapping) -> None:
    target = Target(wrapping)
    target.add_set(FULL, one_volume(ROOT, snapshot(b"a", b"1" * 700), directory(b"d"), snapshot(b"d/x", b"x")))
    target.add_set(FIRST, one_volume(diff(b"a", b"1" * 700, b"1" * 700 + b"2"), deleted(b"d"), deleted(b"d/x")))
    target.add_set(SECOND, one_volume(snapshot(b"d", b"now a file")))
    states = {
        1000: {b"a": b"1" * 700, b"d": b"/", b"d/x": b"x"},
        2999: {b"a": b"1" * 700 + b"2"},
        4000: {b"a": b"1" * 700 + b"2", b"d": b"now a file"},
    }
    for instant, state in states.items():
        here = Place(tmp_path / str(instant), target.files)
        assert here.restore(instant=instant).error is None
        assert here.restored() == state


@pytest.mark.parametrize(
    ("within", "expected"),
    [(b"d", {b"x": b"x", b"y": b"/", b"y/z": b"z"}), (b"d/y", {b"z": b"z"}), (b"e", {})],
)
def test_a_folder_of_the_backup_is_restored_alone(tmp_path: Path, within: bytes, expected: dict[bytes, bytes]) -> None:
    here = archive(
        tmp_path,
        ROOT,
        snapshot(b"a", b"a"),
        directory(b"d"),
        snapshot(b"d/x", b"x"),
        directory(b"d/y"),
        snapshot(b"d/y/z", b"z"),
        snapshot(b"d-", b"-"),
        directory(b"e"),
    )
    assert here.restore(within=within).error is None
    assert here.restored() == expected


@pytest.mark.parametrize("entry", [None, symlink(b"anywhere")])
def test_a_single_file_takes_the_targets_own_name(tmp_path: Path, entry: Entry | None) -> None:
    member = snapshot(b"d/x", b"x") if entry is None else other(b"d/x", entry)
    here = archive(tmp_path, ROOT, directory(b"d"), member)
    assert here.restore(within=b"d/x").error is None
    if entry is None:
        assert here.target.read_bytes() == b"x"
    else:
        assert os.readlink(here.target) == "anywhere"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("within", [b"f", b""])
def test_nothing_below_a_single_file_gets_into_the_folder_that_it_is_restored_to(
    tmp_path: Path, within: bytes, overwrite: bool
) -> None:
    """The folder of a single file is the target's parent: what an archive put there could be anybody's start script."""
    if within:
        here = archive(tmp_path, ROOT, snapshot(b"f", b"f"), snapshot(b"f/.profile", b"evil"))
    else:
        here = archive(tmp_path, snapshot(b"", b"f"), snapshot(b".profile", b"evil"))
    mine = tmp_path / ".profile"
    mine.write_bytes(b"mine")
    result = here.restore(within=within, overwrite=overwrite)
    assert result.exit_code == 1
    assert len(result.named) == 1
    assert here.target.read_bytes() == b"f"
    assert mine.read_bytes() == b"mine"


def test_a_file_that_is_renamed_stays_in_the_target(tmp_path: Path) -> None:
    here = archive(tmp_path, ROOT, snapshot(b"f", b"f"))
    assert here.restore(within=b"f", renames=((b"f", b"g"),)).error is None
    assert here.restored() == {b"g": b"f"}


def test_a_path_that_is_not_there_is_19_and_leaves_no_folder(tmp_path: Path) -> None:
    here = archive(tmp_path, ROOT, snapshot(b"a", b"a"))
    result = here.restore(within=b"nothing")
    assert isinstance(result.error, PathNotFound)
    assert result.exit_code == 19
    assert not here.target.exists()


def test_a_target_that_is_not_empty_is_11_and_stays_as_it_is(tmp_path: Path) -> None:
    here = archive(tmp_path, ROOT, snapshot(b"a", b"a"))
    here.target.mkdir()
    (here.target / "mine").write_bytes(b"mine")
    result = here.restore()
    assert isinstance(result.error, TargetNotEmpty)
    assert here.restored() == {b"mine": b"mine"}
    assert here.restore(overwrite=True).error is None
    assert here.restored() == {b"mine": b"mine", b"a": b"a"}


@pytest.mark.parametrize(
    "member",
    [
        raw(b"snapshot/../outside", b"evil"),
        raw(b"snapshot/d/../../outside", b"evil"),
        raw(b"snapshot//outside", b"evil"),
        raw(b"snapshot/d//outside", b"evil"),
        raw(b"snapshot/" + b"n" * 256, b"evil"),
        raw(b"multivol_snapshot/../outside/1", b"evil"),
        raw(b"diff/../outside", b"evil"),
        raw(b"outside", b"evil"),
        raw(b"../outside", b"evil"),
        raw(b"/outside", b"evil"),
        other(b"link", symlink(b"../")) + snapshot(b"link/outside", b"evil"),
        other(b"link", symlink(b"/")) + directory(b"link/tmp") + snapshot(b"link/tmp/outside", b"evil"),
        other(b"d", symlink(b"..")) + snapshot(b"d/outside", b"evil"),
        snapshot(b"file", b"x") + snapshot(b"file/outside", b"evil"),
        other(b"outside", symlink(b"../outside")) + snapshot(b"outside", b"evil"),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_no_entry_gets_out_of_the_target(tmp_path: Path, member: bytes, overwrite: bool) -> None:
    here = archive(tmp_path / "deep" / "er", ROOT, member, snapshot(b"zz", b"good"))
    result = here.restore(overwrite=overwrite)
    assert result.exit_code == 1
    assert result.named
    assert here.restored()[b"zz"] == b"good"
    assert {path for path in tmp_path.rglob("*") if path.name == "outside" and not path.is_symlink()} == set()
    assert not Path("/outside").exists()
    assert not Path("/tmp/outside").exists()


def test_links_of_earlier_sets_do_not_lead_outside_either(tmp_path: Path) -> None:
    target = Target()
    target.add_set(FULL, one_volume(ROOT, other(b"d", symlink(b"../../"))))
    target.add_set(FIRST, one_volume(snapshot(b"d/outside", b"evil")))
    here = place(tmp_path / "deep", target)
    assert here.restore().exit_code == 1
    assert here.restored() == {b"d": b"-> ../../"}
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize("planted", ["link", "file"])
def test_what_stands_in_the_target_already_is_not_followed_when_overwriting(tmp_path: Path, planted: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "x").write_bytes(b"mine")
    here = archive(tmp_path, ROOT, directory(b"d"), snapshot(b"d/x", b"new"))
    here.target.mkdir()
    if planted == "link":
        (here.target / "d").symlink_to(elsewhere)
    else:
        (here.target / "d").mkdir()
        (here.target / "d" / "x").symlink_to(elsewhere / "x")
    here.restore(overwrite=True)
    assert (elsewhere / "x").read_bytes() == b"mine"
    assert here.restored()[b"d/x"] == b"new"


def test_a_volume_with_a_wrong_hash_is_21_after_all_else_is_restored(tmp_path: Path) -> None:
    target = Target()
    target.add_set(FULL, *split())
    here = place(tmp_path, target)
    name = target.name(FULL, FileRole.VOLUME, 2)
    here.files[name] = here.files[name][:-1] + b"\x01"
    here.synchronize()
    result = here.restore()
    assert isinstance(result.error, BadVolume)
    assert result.exit_code == 21
    assert name in str(result.error)
    assert result.named == [b"b", b"c"]
    assert here.restored() == {b"a": b"a", b"d": b"d"}


def test_a_missing_volume_is_1_before_anything_is_written(tmp_path: Path) -> None:
    target = Target()
    target.add_set(FULL, *split())
    here = place(tmp_path, target)
    del here.files[target.name(FULL, FileRole.VOLUME, 2)]
    here.synchronize()
    result = here.restore()
    assert isinstance(result.error, MissingVolume)
    assert result.exit_code == 1
    assert not here.target.exists()
    result = here.restore(ignore_errors=True)
    assert isinstance(result.error, PartlyDone)
    assert result.named == [b"b", b"c"]
    assert here.restored() == {b"a": b"a", b"d": b"d"}


def test_a_lost_volume_that_costs_nothing_is_told_all_the_same(tmp_path: Path) -> None:
    target = Target()
    target.add_set(FULL, *split())
    target.add_set(FIRST, one_volume(snapshot(b"b", b"new b"), snapshot(b"c", b"new c")))
    here = place(tmp_path, target)
    del here.files[target.name(FULL, FileRole.VOLUME, 2)]
    here.synchronize()
    result = here.restore(ignore_errors=True)
    assert result.exit_code == 1
    assert not result.named
    assert here.restored() == {b"a": b"a", b"b": b"new b", b"c": b"new c", b"d": b"d"}


def test_a_missing_volume_that_is_not_needed_does_no_harm(tmp_path: Path) -> None:
    target = Target()
    target.add_set(FULL, *split())
    here = place(tmp_path, target)
    del here.files[target.name(FULL, FileRole.VOLUME, 1)]
    assert here.restore(within=b"d").error is None
    assert here.target.read_bytes() == b"d"


def test_a_gzip_checksum_that_is_wrong_is_told_though_the_hash_is_right(tmp_path: Path) -> None:
    members = ROOT, snapshot(b"a", LARGE), snapshot(b"b", LARGE, recorded=False)
    target = Target(Wrapping.GZIP)
    target.add_set(FULL, one_volume(*members))
    content = bytearray(target.files[target.name(FULL, FileRole.VOLUME, 1)])
    content[-5] ^= 1
    broken = Target(Wrapping.GZIP)
    broken._wrapped = lambda _content: bytes(content)  # type: ignore[method-assign]
    broken.add_set(FULL, one_volume(*members))
    here = place(tmp_path, broken)
    result = here.restore()
    assert result.exit_code == 1
    assert "Incorrect checksum" in result.reasons
    assert here.restored()[b"a"] == LARGE


@pytest.mark.parametrize("size", [3, 100_000, 1_300_000])
def test_hard_links_come_back_as_such_whatever_their_size(tmp_path: Path, size: int) -> None:
    content = LARGE[:size]
    linked = FILE._replace(links_to=b"a")
    members = []
    for name in (b"a", b"b"):
        members += parts(name, content, record=record_of(content), entry=linked)
    members += parts(b"c", content[:-1] + b"!", record=record_of(content[:-1] + b"!"), entry=linked)
    here = archive(tmp_path, ROOT, *members)
    assert here.restore().error is None
    first, second, third = (os.stat(here.target / name) for name in "abc")
    assert first.st_ino == second.st_ino != third.st_ino
    assert here.restored() == {b"a": content, b"b": content, b"c": content[:-1] + b"!"}


def test_files_whose_contents_were_never_recorded_are_not_linked(tmp_path: Path) -> None:
    linked = FILE._replace(links_to=b"a")
    members = []
    for name, byte in ((b"a", b"1"), (b"b", b"2")):
        content = byte * 100_000
        members += parts(name, content, record=record_of(content)._replace(digest=bytes(32)), entry=linked)
    here = archive(tmp_path, ROOT, *members)
    assert here.restore().error is None
    assert here.restored() == {b"a": b"1" * 100_000, b"b": b"2" * 100_000}


def test_a_cached_manifest_that_is_damaged_is_read_at_the_target_instead(tmp_path: Path) -> None:
    target = Target()
    target.add_set(FULL, *split())
    here = place(tmp_path, target)
    here.synchronize()
    cached = here.cache / target.name(FULL, FileRole.MANIFEST)
    good = cached.read_bytes()
    for number, bad in enumerate(
        (b"", good[: len(good) // 2], b"\xff\x00garbage\n", good.replace(b"SHA1 ", b"SHA1 0"))
    ):
        cached.write_bytes(bad)
        result = here.restore(target=tmp_path / str(number))
        assert result.error is None
        assert sorted(os.listdir(tmp_path / str(number))) == ["a", "b", "c", "d"]
        notes = [event.text for event in result.monitor.events if isinstance(event, Note)]
        assert any("manifest" in text for text in notes)


@pytest.mark.parametrize("size", [0, 40, 150, 300, -1])
def test_a_manifest_that_is_cut_short_is_an_error_with_its_name(tmp_path: Path, size: int) -> None:
    target = Target()
    target.add_set(FULL, *split())
    here = place(tmp_path, target)
    name = target.name(FULL, FileRole.MANIFEST)
    content = here.files[name]
    here.files[name] = content[:size] if size >= 0 else content[: content.index(b"Volume 3")]
    result = here.restore()
    assert result.exit_code == 30
    assert name in str(result.error)
    assert not here.target.exists()


def test_a_damaged_signature_file_does_not_keep_from_restoring(tmp_path: Path) -> None:
    target = Target(Wrapping.GZIP)
    target.add_set(FULL, *split())
    here = place(tmp_path, target)
    name = target.name(FULL, FileRole.SIGNATURES)
    here.files[name] = here.files[name][:50]
    monitor = here.synchronize()
    assert any(name in event.text for event in monitor.events if isinstance(event, Note))
    assert here.restore().error is None
    assert here.restored() == {name: name for name in (b"a", b"b", b"c", b"d")}


def test_an_older_state_can_be_had_though_a_newer_manifest_is_damaged(tmp_path: Path) -> None:
    target = Target()
    target.add_set(FULL, one_volume(ROOT, snapshot(b"a", b"old")))
    target.add_set(FIRST, one_volume(snapshot(b"a", b"new")))
    here = place(tmp_path, target)
    here.files[target.name(FIRST, FileRole.MANIFEST)] = b"Volume x\n"
    here.synchronize()
    assert here.restore().exit_code == 30
    assert here.restore(instant=1500).error is None
    assert here.restored() == {b"a": b"old"}

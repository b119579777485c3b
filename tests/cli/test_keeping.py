"""Neither a damaged backup nor a second run at the same target ever costs one that can be restored."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.scene import DAY, NOON, Scene
from twofold.storage.unfinished import PartFile, Staging

FIRST, SECOND = "duplicity-full.20260101T120000Z", "duplicity-full.20260102T120000Z"
FOREIGN = "duplicity-full.20260102T180000Z"
"""A set that somebody else began six hours before `later`."""

Damage = Callable[[Path], object]


def cut_manifest(target: Path) -> None:
    path = target / f"{SECOND}.manifest"
    path.write_bytes(path.read_bytes()[:60])


DAMAGES: dict[str, Damage] = {
    "volume missing": lambda target: (target / f"{SECOND}.vol1.difftar.gz").unlink(),
    "volume empty": lambda target: (target / f"{SECOND}.vol1.difftar.gz").write_bytes(b""),
    "manifest empty": lambda target: (target / f"{SECOND}.manifest").write_bytes(b""),
    "manifest cut": cut_manifest,
    "manifest garbled": lambda target: (target / f"{SECOND}.manifest").write_bytes(b"Volume 1:\n    Hash SHA1\n"),
}
damaged = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)


@pytest.fixture
def fulls(plain: Scene) -> Scene:
    """Two full backups, a day apart; a day later."""
    plain.back_up(action="full")
    plain.at(NOON + DAY).back_up(action="full")
    return plain.at(NOON + 2 * DAY)


@pytest.fixture
def foreign(plain: Scene) -> Scene:
    """A full backup, and the volume of one that somebody else has begun six hours before."""
    plain.back_up()
    (plain.target / f"{FOREIGN}.vol1.difftar.gz").write_bytes(b"of somebody else")
    return plain.at(NOON + 1 * DAY + DAY // 2)


def lose_cache(scene: Scene) -> None:
    for path in scene.archive_dir.iterdir():
        path.unlink()


# ---- damaged backups and retention -----------------------------------------------------------------------------------


@damaged
@pytest.mark.parametrize("cache_is_lost", [False, True])
@pytest.mark.parametrize(
    "words",
    [("remove-all-but-n-full", "1"), ("remove-older-than", "1s"), ("remove-all-inc-of-but-n-full", "1")],
    ids=str,
)
def test_a_damaged_full_backup_displaces_no_sound_one(
    fulls: Scene, damage: Damage, cache_is_lost: bool, words: tuple[str, ...]
) -> None:
    damage(fulls.target)
    if cache_is_lost:
        lose_cache(fulls)
    before = fulls.names()
    done = fulls.run(*words, fulls.url, "--force")
    assert fulls.names() == before
    if "inc" not in words[0]:
        assert "backup of Fri Jan  2 12:00:00 2026 " in done.stderr + done.stdout
        assert "does not count" in done.stderr + done.stdout
    fulls.run("restore", fulls.url, str(fulls.folder / "out"), "--time", str(NOON))
    assert (fulls.folder / "out" / "docs").is_dir()


def test_what_cannot_be_decrypted_is_judged_by_the_listing(symmetric: Scene) -> None:
    symmetric.back_up(action="full")
    symmetric.at(NOON + DAY).back_up(action="full")
    later = symmetric.at(NOON + 2 * DAY).with_only({"GNUPGHOME": symmetric.variables["GNUPGHOME"]})
    lose_cache(later)
    volume = later.target / f"{SECOND}.vol1.difftar.gpg"
    content = volume.read_bytes()
    volume.write_bytes(b"")
    before = later.names()
    later.run("remove-all-but-n-full", "1", later.url, "--force")
    assert later.names() == before
    volume.write_bytes(content)
    later.run("remove-all-but-n-full", "1", later.url, "--force")
    assert {name.split(".")[1] for name in later.names()} == {"20260102T120000Z"}


# ---- damaged manifests -----------------------------------------------------------------------------------------------


@damaged
@pytest.mark.parametrize("cache_is_lost", [False, True])
def test_a_damaged_set_is_not_continued(fulls: Scene, damage: Damage, cache_is_lost: bool) -> None:
    damage(fulls.target)
    if cache_is_lost:
        lose_cache(fulls)
    status = fulls.run("collection-status", fulls.url)
    assert "of the backup of Fri Jan  2 12:00:00 2026 " in status.stdout
    assert "cannot be restored whole." in status.stdout
    unreadable = (
        cache_is_lost and damage is DAMAGES["manifest garbled"]
    )  # already when it is to be copied into the cache
    fulls.back_up(action="incremental", expect=30 if unreadable else 1)
    assert not any("-inc." in name for name in fulls.names())
    done = fulls.back_up()
    assert "so a full backup is made instead of continuing" in done.stdout + done.stderr
    assert "duplicity-full.20260103T120000Z.manifest" in fulls.names()


def test_an_empty_manifest_of_the_full_set_ends_the_chain_though_it_is_cached(scene: Scene) -> None:
    scene.back_up()
    scene.at(NOON + DAY).back_up()
    later = scene.at(NOON + 2 * DAY)
    (later.target / f"{FIRST}.manifest{later.manifest_suffix}").write_bytes(b"")
    fault = "The manifest of the backup of Thu Jan  1 12:00:00 2026 is empty"
    assert f"\n{fault}: that backup cannot be restored whole.\n" in later.run("collection-status", later.url).stdout
    assert fault in later.back_up(action="incremental", expect=1).stderr
    done = later.back_up()
    assert f"{fault}, so a full backup is made instead of continuing" in done.stdout + done.stderr
    assert f"duplicity-full.20260103T120000Z.manifest{later.manifest_suffix}" in later.names()


def test_a_damaged_manifest_is_a_fault_without_a_volume_for_programs(fulls: Scene) -> None:
    DAMAGES["manifest empty"](fulls.target)
    result = json.loads(fulls.run("collection-status", fulls.url, "--json").stdout)["result"]
    [fault] = result["faults"]
    assert (fault["volume"], fault["reason"]) == (None, "is empty")


# ---- two runs at one target ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("backup", "SOURCE"), ("cleanup", "--force")], ids=str)
@pytest.mark.parametrize("kind", ["staging", "part"])
def test_nothing_unfinished_goes_while_somebody_stores_files_there(
    foreign: Scene, words: tuple[str, ...], kind: str
) -> None:
    later = foreign.at(NOON + 9 * DAY)
    given = [str(later.source) if word == "SOURCE" else word for word in words]
    before = later.names()
    if kind == "staging":
        staging = Staging.make(str(later.target))
        assert staging is not None
        refused = later.run(*given, later.url, expect=23)
        staging.remove()
    else:
        with PartFile(str(later.target)):
            refused = later.run(*given, later.url, expect=23)
    assert "Another backup is being written to this target" in refused.stderr
    assert later.names() == before
    later.run(*given, later.url)
    assert not any(FOREIGN in name for name in later.names())


@pytest.mark.parametrize("words", [("remove-older-than", "1s"), ("remove-all-but-n-full", "1")], ids=str)
def test_what_somebody_else_began_within_a_day_is_left_alone_until_it_is_older(
    foreign: Scene, words: tuple[str, ...]
) -> None:
    foreign.run(*words, foreign.url, "--force")
    done = foreign.back_up()
    assert "it may be being made elsewhere" in done.stdout + done.stderr
    assert any("-inc." in name for name in foreign.names()), "the chain goes on as if the other set were not there"
    assert any(FOREIGN in name for name in foreign.names())
    told = foreign.run("cleanup", foreign.url, "--force")
    assert "begun elsewhere: if it is being made, it is lost" in told.stdout + told.stderr
    assert not any(FOREIGN in name for name in foreign.names())


def test_a_set_with_signatures_and_no_manifest_that_is_unknown_here_is_never_deleted_by_the_way(foreign: Scene) -> None:
    (foreign.target / "duplicity-full-signatures.20260102T180000Z.sigtar.gz").write_bytes(b"of somebody else")
    later = foreign.at(NOON + 99 * DAY)
    later.run("remove-older-than", "1s", later.url, "--force")
    later.back_up()
    assert sum("20260102T180000Z" in name for name in later.names()) == 2


# ---- what is said of an interrupted backup ---------------------------------------------------------------------------


def test_an_interrupted_backup_is_announced_before_it_is_deleted(foreign: Scene) -> None:
    later = foreign.at(NOON + 9 * DAY)
    words = ("remove-older-than", "99D", later.url)
    told = later.run(*words).stdout
    assert "Found an interrupted backup, which would be deleted, too:\nFri Jan  2 18:00:00 2026\n" in told
    assert any(FOREIGN in name for name in later.names())
    done = later.run(*words, "--force").stdout
    for text in (told, done):
        assert "nothing deleted" not in text
    assert "Cleaning up previous partial backup set for remove-older-than" in done
    assert not any(FOREIGN in name for name in later.names())
    assert "No old backup sets found, nothing deleted." in later.run(*words, "--force").stdout


def test_status_and_cleanup_agree_on_what_the_next_backup_deletes(foreign: Scene) -> None:
    assert 'with the "cleanup" command' in foreign.run("collection-status", foreign.url).stdout
    (foreign.archive_dir / f"{FOREIGN}.manifest.part").write_bytes(b"")
    status = foreign.run("collection-status", foreign.url).stdout
    assert "and 1 incomplete backup set(s).\nThe next backup sees to what was interrupted" in status
    told = foreign.run("cleanup", "--force", foreign.url).stdout
    assert "The interrupted backup of Fri Jan  2 18:00:00 2026 is left alone" in told
    assert "No extraneous files found" in told
    foreign.back_up()
    assert not any(FOREIGN in name for name in foreign.names())


def test_a_dry_run_leaves_what_a_killed_run_left(plain: Scene) -> None:
    plain.back_up()
    left = {"twofold-scratch-1-1", "twofold-state.1.new"}
    for name in left:
        (plain.archive_dir / name).write_bytes(b"")
    plain.at(NOON + DAY).back_up("--dry-run")
    assert left <= set(os.listdir(plain.archive_dir))
    plain.at(NOON + DAY).back_up()
    assert not left & set(os.listdir(plain.archive_dir))

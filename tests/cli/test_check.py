"""check: every kind of damage is found, named and told from what is none; nothing is ever changed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.scene import DAY, NOON, Scene, incompressible, make_scene, rewrite, set_time
from tests.support import gnupg

FULL = "the full backup of Thu Jan  1 12:00:00 2026"
INCREMENT = "the incremental backup of Fri Jan  2 12:00:00 2026"
REMEDY = "Make a full backup: an increment mends nothing of what it builds on"
CUT_CHAIN = (
    "Of the chain that begins Thu Jan  1 12:00:00 2026, backups up to Thu Jan  1 12:00:00 2026 can be restored whole; "
    "from later ones, up to Fri Jan  2 12:00:00 2026, restore --ignore-errors gives what is left"
)
MODES = ((), ("--read-data",))


def make_backups(scene: Scene) -> Scene:
    """A full backup of three volumes, an increment of one a day later; what follows plays then."""
    for name, seed in (("c1", 2), ("c2", 3)):
        (scene.source / name).write_bytes(incompressible(1_200_000, seed))
        set_time(scene.source / name, NOON - 3600)
    scene.back_up("--volsize", "1")
    rewrite(scene.source / "big", incompressible(65_536)[:60_000] + b"new", time=NOON + 60)
    later = scene.at(NOON + DAY)
    later.back_up()
    return later


@pytest.fixture
def backups(scene: Scene) -> Scene:
    return make_backups(scene)


@pytest.fixture
def plain_backups(plain: Scene) -> Scene:
    return make_backups(plain)


@pytest.fixture
def symmetric_backups(symmetric: Scene) -> Scene:
    return make_backups(symmetric)


def file_at(scene: Scene, pattern: str) -> Path:
    (found,) = scene.target.glob(pattern)
    return found


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def extend(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 1
    path.write_bytes(content)


def forget(scene: Scene) -> None:
    """Everything in the archive directory goes, as on another machine."""
    shutil.rmtree(scene.archive_dir)


def check(scene: Scene, *options: str, expect: int = 0) -> tuple[list[str], str, str]:
    """Lines of standard output without the last one, that one, and standard error; nothing may change by it."""
    folders = (scene.target, *([scene.archive_dir] if scene.archive_dir.exists() else []))
    before = {path: path.read_bytes() for folder in folders for path in folder.iterdir()}
    done = scene.run("check", scene.url, *options, expect=expect)
    assert {path: path.read_bytes() for folder in folders for path in folder.iterdir()} == before
    *lines, last = done.stdout.splitlines()
    assert last.startswith("Check complete: ")
    return lines, last, done.stderr


# ---- what is whole ---------------------------------------------------------------------------------------------------


def test_what_is_whole_is_said_to_be(backups: Scene) -> None:
    size = sum(path.stat().st_size for path in backups.target.iterdir())
    lines, last, errors = check(backups)
    assert lines == ["Last full backup date: Thu Jan  1 12:00:00 2026"]
    assert last == f"Check complete: 2 sets, {len(backups.names())} files, {size / 2**20:.2f} MB checked, 0 damaged."
    assert errors == ""


def test_reading_the_data_counts_the_paths_of_all_sets(backups: Scene) -> None:
    assert check(backups, "--read-data")[1].endswith(" checked, 8 paths read, 0 damaged.")


def test_another_machine_finds_the_same_and_fetches_nothing_into_its_cache(backups: Scene) -> None:
    here = check(backups)
    forget(backups)
    assert check(backups) == here
    assert os.listdir(backups.archive_dir) == ["lockfile"]
    assert check(backups, "--read-data")[1].endswith("0 damaged.")


def test_with_a_time_only_what_it_needs_is_looked_at(plain_backups: Scene) -> None:
    file_at(plain_backups, "*inc*.vol1.*").unlink()
    assert check(plain_backups, "--time", str(NOON))[1].startswith("Check complete: 1 set, ")
    check(plain_backups, expect=1)


def test_all_chains_are_looked_at(plain_backups: Scene) -> None:
    plain_backups.at(NOON + 2 * DAY).back_up(action="full")
    file_at(plain_backups, "duplicity-full.20260101T120000Z.vol1.*").unlink()
    lines, last, errors = check(plain_backups.at(NOON + 2 * DAY), "--read-data", expect=1)
    assert last.startswith("Check complete: 3 sets, ")
    assert f"Volume 1 of {FULL} is damaged: it is missing at the target" in errors
    verdict = "No backup from Thu Jan  1 12:00:00 2026 to Fri Jan  2 12:00:00 2026 can be restored whole"
    assert f"{verdict}; restore --ignore-errors gives what is left" in lines


# ---- volumes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", MODES)
@pytest.mark.parametrize("damage", [cut, extend, flip])
def test_a_volume_that_is_not_what_was_stored_is_named(
    backups: Scene, damage: Callable[[Path], None], options: tuple[str, ...]
) -> None:
    path = file_at(backups, "*inc*.vol1.*")
    damage(path)
    lines, last, errors = check(backups, *options, expect=21)
    assert f"Volume 1 of {INCREMENT}" in errors
    assert path.name in errors
    assert "What it holds is lost from this backup and from those that build on it" in errors
    assert last.partition(" damaged")[0].endswith(", 1")
    assert lines[-2:] == [CUT_CHAIN, REMEDY]


@pytest.mark.parametrize("options", MODES)
def test_a_volume_that_is_gone_is_named_and_all_others_are_looked_at(backups: Scene, options: tuple[str, ...]) -> None:
    file_at(backups, "*full.*.vol2.*").unlink()
    flip(file_at(backups, "*full.*.vol3.*"))
    _, last, errors = check(backups, *options, expect=21)
    assert f"Volume 2 of {FULL} is damaged: it is missing at the target" in errors
    assert f"Volume 3 of {FULL}" in errors
    assert ", 2 damaged" in last


def test_two_volumes_in_each_others_place_are_found(plain_backups: Scene) -> None:
    first, second = (file_at(plain_backups, f"*full.*.vol{number}.*") for number in (1, 2))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    _, last, errors = check(plain_backups, expect=21)
    assert "Volume 1 of the full" in errors
    assert "Volume 2 of the full" in errors
    assert last.endswith(", 2 damaged.")


def test_with_the_data_read_the_files_that_are_lost_are_named(plain_backups: Scene) -> None:
    file_at(plain_backups, "*full.*.vol1.*").unlink()
    lines, last, _ = check(plain_backups, "--read-data", expect=1)
    assert any("processing big" in line for line in lines)
    assert " unsound." in last


def test_the_machine_log_has_a_stanza_for_each_damage(plain_backups: Scene, tmp_path: Path) -> None:
    flip(file_at(plain_backups, "*full.*.vol1.*"))
    file_at(plain_backups, "*full.*.vol2.*").unlink()
    plain_backups.run("check", plain_backups.url, "--log-file", str(tmp_path / "log"), expect=21)
    log = (tmp_path / "log").read_text()
    assert "\nERROR 1\n. Volume 2 of the full" in log
    assert "\nERROR 21 'duplicity-full.20260101T120000Z.vol1.difftar.gz'\n. Volume 1 of the full" in log
    assert log.endswith("\n\nNOTICE 1\n. " + check(plain_backups, expect=21)[1] + "\n\n")


def test_the_answer_for_programs_says_all_of_it(plain_backups: Scene) -> None:
    file_at(plain_backups, "*full.*.vol2.*").unlink()
    (plain_backups.target / "README").write_text("mine")
    done = plain_backups.run("check", plain_backups.url, "--json", expect=1)
    answer = json.loads(done.stdout)
    assert (answer["action"], answer["exit_code"], answer["error"]) == ("check", 1, None)
    result = answer["result"]
    assert {name: result.pop(name) for name in ("files", "bytes")}["files"] == len(plain_backups.names()) - 1
    assert result == {
        "sets": 2,
        "entries": None,
        "unsound_entries": 0,
        "damaged": [
            {
                "set": {"kind": "full", "time": "2026-01-01T12:00:00Z"},
                "role": "volume",
                "volume": 2,
                "name": None,
                "mismatch": False,
                "reason": "it is missing at the target",
            }
        ],
        "harmed_chains": [{"start": "2026-01-01T12:00:00Z", "whole_until": None, "end": "2026-01-02T12:00:00Z"}],
        "unopened": [],
        "unfinished": [],
        "leftovers": [],
        "foreign": ["README"],
    }


# ---- manifests and signatures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("pattern", ["*full.*.manifest*", "*inc.*.manifest*", "*full-sig*", "*new-sig*"])
def test_metadata_that_is_cut_short_at_the_target_is_found(backups: Scene, pattern: str, cached: bool) -> None:
    if not cached:
        forget(backups)
    path = file_at(backups, pattern)
    cut(path)
    lines, last, errors = check(backups, expect=1)
    part = "manifest" if "manifest" in pattern else "signature file"
    assert f"The {part} of {FULL if 'full' in pattern else INCREMENT}" in errors
    assert path.name in errors
    assert last.endswith(", 1 damaged.")
    assert any("can be restored whole" in line for line in lines) == (part == "manifest")


@pytest.mark.parametrize("pattern", ["*inc.*.manifest*", "*new-sig*"])
def test_metadata_of_another_backup_in_its_place_is_found(backups: Scene, pattern: str) -> None:
    other = pattern.replace("inc.", "full.").replace("new-", "full-")
    shutil.copy(file_at(backups, other), file_at(backups, pattern))
    _, last, errors = check(backups, expect=1)
    assert "it is not the same as the copy in the archive directory" in errors
    assert last.endswith(", 1 damaged.")


def test_signatures_of_another_backup_are_found_without_a_copy(plain_backups: Scene) -> None:
    shutil.copy(file_at(plain_backups, "*full-sig*"), file_at(plain_backups, "*new-sig*"))
    forget(plain_backups)
    for options in MODES:
        _, last, errors = check(plain_backups, *options, expect=1)
        assert "it ends with link, and the manifest with big: one of the two is damaged or of another backup" in errors
        assert last.endswith(", 1 damaged.")


def test_a_manifest_that_is_gone_is_damage_where_the_set_was_complete(backups: Scene) -> None:
    file_at(backups, "*inc.*.manifest*").unlink()
    lines, _, errors = check(backups, expect=1)
    assert (
        f"The manifest of {INCREMENT} is damaged: it is missing at the target, though there is a copy of it" in errors
    )
    assert REMEDY in lines


def test_a_manifest_that_others_build_on_is_missed_by_everybody(backups: Scene) -> None:
    forget(backups)
    file_at(backups, "*full.*.manifest*").unlink()
    lines, _, errors = check(backups, expect=1)
    assert f"The manifest of {FULL} is damaged: it is missing at the target. Without it" in errors
    assert any(line.startswith("No backup ") for line in lines)


def test_signatures_that_are_gone_cost_no_file(backups: Scene) -> None:
    file_at(backups, "*new-sig*").unlink()
    lines, last, errors = check(backups, "--read-data", expect=1)
    assert f"The signature file of {INCREMENT} is damaged: it is missing at the target. Nothing is lost" in errors
    assert CUT_CHAIN not in lines
    assert last.endswith(", 1 damaged.")


def test_a_hash_that_was_changed_in_the_manifest_does_not_make_the_volume_bad(plain_backups: Scene) -> None:
    path = file_at(plain_backups, "*inc.*.manifest")
    content = path.read_bytes()
    at = content.index(b"Hash SHA256 ") + 12
    path.write_bytes(content[:at] + (b"0" if content[at : at + 1] != b"0" else b"1") + content[at + 1 :])
    _, last, errors = check(plain_backups, expect=1)
    assert "The manifest of the incremental" in errors
    assert last.endswith(", 1 damaged.")


def test_a_damaged_copy_here_is_no_damage_there(plain_backups: Scene) -> None:
    (copy,) = plain_backups.archive_dir.glob("*new-sig*")
    cut(copy)
    for options in MODES:
        lines, last, _ = check(plain_backups, *options)
        assert any(f"The copy in the archive directory, {copy.name}, is damaged" in line for line in lines)
        assert last.endswith(", 0 damaged.")


# ---- what belongs to nothing -----------------------------------------------------------------------------------------


def test_what_belongs_to_no_backup_is_named_and_is_no_damage(plain_backups: Scene) -> None:
    volume = file_at(plain_backups, "*inc*.vol1.*")
    stray = "duplicity-inc.20250101T120000Z.to.20250102T120000Z.vol1.difftar.gz"
    extra = volume.name.replace("vol1", "vol2")
    for name in (stray, extra, "notes.txt"):
        shutil.copy(volume, plain_backups.target / name)
    lines, last, errors = check(plain_backups)
    text = "\n".join(lines)
    assert f"Files at the target that belong to no backup:\n{stray}\nThe action cleanup deletes them" in text
    assert "Files at the target that are no part of these backups: notes.txt" in text
    assert f"Volumes that no manifest lists, and nobody needs: {extra}" in text
    assert (last.endswith(", 0 damaged."), errors) == (True, "")


def test_a_backup_that_was_interrupted_is_told_and_is_no_damage(plain_backups: Scene) -> None:
    later = "duplicity-inc.20260102T120000Z.to.20260103T120000Z.vol1.difftar.gz"
    shutil.copy(file_at(plain_backups, "*inc*.vol1.*"), plain_backups.target / later)
    lines, last, _ = check(plain_backups)
    assert any(line.startswith("The incremental backup of Sat Jan  3 12:00:00 2026 is not finished") for line in lines)
    assert last.startswith("Check complete: 2 sets, ")


# ---- keys ------------------------------------------------------------------------------------------------------------


def test_without_a_passphrase_the_volumes_are_compared_with_the_copies_here(symmetric_backups: Scene) -> None:
    scene = symmetric_backups.with_only({"GNUPGHOME": symmetric_backups.variables["GNUPGHOME"]})
    lines, last, errors = check(scene)
    assert errors.count("GnuPG passphrase for decryption") <= 1
    assert any(line.startswith("There is no key to open ") for line in lines)
    assert last.startswith("Check complete: 2 sets, 4 files, ")
    flip(file_at(scene, "*full.*.vol1.*"))
    check(scene, expect=21)


@pytest.mark.parametrize(("options", "cached"), [(("--read-data",), True), ((), False)])
def test_what_cannot_be_proved_without_a_passphrase_is_refused(
    symmetric_backups: Scene, options: tuple[str, ...], cached: bool
) -> None:
    if not cached:
        forget(symmetric_backups)
    scene = symmetric_backups.with_only({"GNUPGHOME": symmetric_backups.variables["GNUPGHOME"]})
    assert "Check complete" not in scene.run("check", scene.url, *options, expect=30).stdout


def test_where_the_secret_key_is_elsewhere_the_volumes_are_compared_all_the_same(
    tmp_path: Path, utc: None, gnupg_home: gnupg.GnupgHome
) -> None:
    settings = ("--encrypt-key", gnupg_home.bare.fingerprint)
    scene = make_backups(make_scene(tmp_path, settings, {"GNUPGHOME": gnupg_home.path}))
    assert check(scene)[1].startswith("Check complete: 2 sets, 8 files, ")
    with gnupg.imported() as home:
        elsewhere = scene.with_variables(GNUPGHOME=home)
        lines, last, errors = check(elsewhere)
        assert any(line.startswith("There is no key to open ") for line in lines)
        assert (last.startswith("Check complete: 2 sets, 4 files, "), errors) == (True, "")
        assert (
            "the secret key for it is not in the keyring"
            in elsewhere.run("check", scene.url, "--read-data", expect=31).stderr
        )


def test_a_wrong_passphrase_is_not_taken_for_damage(symmetric_backups: Scene) -> None:
    scene = symmetric_backups.with_variables(PASSPHRASE="wrong")
    done = scene.run("check", scene.url, expect=31)
    assert "the passphrase is wrong" in done.stderr
    assert "damaged:" not in done.stdout


# ---- what cannot be checked ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exists", [True, False])
def test_a_target_without_backups_is_an_error(plain: Scene, exists: bool) -> None:
    if exists:
        plain.target.mkdir()
    done = plain.run("check", plain.url, expect=30)
    assert "there is no backup at the target" in done.stderr


def test_a_target_must_be_looked_at(plain_backups: Scene) -> None:
    done = plain_backups.run("check", plain_backups.url, "--no-check-remote", expect=23)
    assert "--no-check-remote cannot be given" in done.stderr


# ---- samples ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", MODES)
def test_a_sample_looks_into_at_least_one_volume_and_at_all_names(backups: Scene, options: tuple[str, ...]) -> None:
    _, last, _ = check(backups, "--sample", "0.0001%", *options)
    assert last.startswith("Check complete: 2 sets, 5 files, ")
    file_at(backups, "*inc*.vol1.*").unlink()
    check(backups, "--sample", "0.0001%", *options, expect=1)


@pytest.mark.parametrize("options", MODES)
def test_a_sample_of_everything_finds_everything(plain_backups: Scene, options: tuple[str, ...]) -> None:
    flip(file_at(plain_backups, "*full.*.vol2.*"))
    _, last, errors = check(plain_backups, "--sample=100%", *options, expect=21)
    assert "Volume 2 of the full" in errors
    assert last.partition(" damaged")[0].endswith(", 1")


@pytest.mark.parametrize("text", ["5", "0%", "0.00001%", "101%", "100.5%", "%", ".5%", "-5%", "5 %", "1e2%", ""])
def test_a_share_that_is_none_is_refused_and_told(plain: Scene, text: str) -> None:
    done = plain.run("check", plain.url, f"--sample={text}", expect=23)
    assert "needs a percentage above 0% and up to 100%" in done.stderr
    assert "such as 5% or 0.5%" in done.stderr


# ---- the name it is called by ----------------------------------------------------------------------------------------


def test_called_as_duplicity_the_word_is_no_action(plain_backups: Scene) -> None:
    done = plain_backups.called("duplicity").run("check", plain_backups.url, expect=23)
    assert "The source 'check' does not exist" in done.stderr


def test_progress_is_told_as_for_a_verification(plain_backups: Scene) -> None:
    for options in MODES:
        done = plain_backups.run("check", plain_backups.url, "--progress", "-v5", *options)
        assert " 100% ETA 0sec" in done.stdout
        assert "Processed volume 4 of 4" in done.stdout

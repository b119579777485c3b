"""Rough edges of duplicity (docs/cli.md section 11) that cost data or tell untruths; all in docs/differences.md."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from tests.cli.scene import DAY, NOON, Scene, lines_of, rewrite, set_time
from tests.support.programs import Outcome

OLD = 1_577_836_800


def listed(scene: Scene) -> list[str]:
    """The paths of the newest backup."""
    return [line[25:] for line in lines_of(scene.run("list-current-files", scene.url, "-v0").stdout)]


# ---- what is there ---------------------------------------------------------------------------------------------------


def test_a_verify_of_metadata_finds_what_is_missing_here(plain: Scene) -> None:
    plain.back_up()
    (plain.source / "big").unlink()
    done = plain.run("verify", plain.url, str(plain.source), expect=1)
    assert "big" in done.stdout
    assert done.stdout.endswith("Verify complete: 6 file(s) compared, 2 difference(s) found.\n")
    assert plain.called("duplicity").run("verify", plain.url, str(plain.source)).stdout == done.stdout


def test_a_set_that_was_interrupted_is_in_no_chain_of_the_status(plain: Scene) -> None:
    plain.back_up()
    rewrite(plain.source / "docs" / "a.txt", b"alpha, changed\n", time=NOON + 60)
    plain.at(NOON + DAY).back_up()
    (plain.target / "duplicity-inc.20260101T120000Z.to.20260102T120000Z.manifest").unlink()
    for file in plain.archive_dir.glob("*manifest*"):
        file.unlink()
    said = plain.run("collection-status", plain.url).stdout
    assert "Number of contained backup sets: 1\n" in said
    assert "and 1 incomplete backup set(s).\n" in said


@pytest.mark.parametrize(
    "words", [("collection-status",), ("cleanup",), ("remove-older-than", "2030-01-01"), ("remove-all-but-n-full", "1")]
)
@pytest.mark.parametrize("program", ["twofold", "duplicity"])
def test_whoever_looks_at_a_disk_that_is_not_mounted_is_asked_about_it_once(
    plain: Scene, words: tuple[str, ...], program: str
) -> None:
    plain.back_up()
    assert "mounted" not in plain.run(*words, plain.url).stdout
    shutil.move(plain.target, plain.folder / "unmounted")
    assert plain.called(program).run(*words, plain.url).stdout.count("Is the disk mounted?\n") == 1


@pytest.mark.parametrize("action", ["list-current-files", "backup"])
def test_a_disk_that_is_not_mounted_costs_nothing_and_gets_no_backup(plain: Scene, action: str) -> None:
    plain.back_up()
    before = sorted(os.listdir(plain.archive_dir))
    shutil.move(plain.target, plain.folder / "unmounted")
    if action == "backup":
        done = plain.at(NOON + DAY).back_up(expect=23)
        assert done.stderr == (
            f"There were backups in {plain.target}, which does not exist now. Mount the disk; "
            "or make the directory, if backups are to begin anew there\n"
        )
    else:
        done = plain.run(action, plain.url, expect=30)
        assert "Is the disk mounted?\n" in done.stdout
    assert sorted(os.listdir(plain.archive_dir)) == before
    assert not plain.target.exists()
    shutil.move(plain.folder / "unmounted", plain.target)
    assert "Last full backup date: Thu Jan  1 12:00:00 2026\n" in plain.at(NOON + DAY).back_up().stdout


def test_what_a_killed_first_backup_left_here_does_not_stop_the_next_one(plain: Scene) -> None:
    plain.archive_dir.mkdir(parents=True)
    (plain.archive_dir / "duplicity-full.20251231T120000Z.manifest.part").write_bytes(b"Hostname here\n")
    plain.back_up()


def test_called_as_duplicity_a_backup_to_a_place_that_is_gone_begins_anew_with_a_warning(plain: Scene) -> None:
    plain.back_up()
    shutil.rmtree(plain.target)
    done = plain.called("duplicity").at(NOON + DAY).back_up()
    assert "Is the disk mounted?\n" in done.stdout
    plain.target.rename(plain.folder / "elsewhere")
    plain.target.mkdir()
    plain.at(NOON + 2 * DAY).back_up()


@pytest.mark.parametrize(("time", "warns"), [("2020-01-01", True), ("0", False)])
def test_a_restore_from_before_the_first_backup_says_what_it_restores(plain: Scene, time: str, warns: bool) -> None:
    plain.back_up()
    rewrite(plain.source / "docs" / "a.txt", b"alpha, changed\n", time=NOON + 60)
    plain.at(NOON + DAY).back_up()
    out = plain.folder / "out"
    done = plain.at(NOON + DAY).run("restore", "--time", time, plain.url, str(out))
    assert ("Thu Jan  1 12:00:00 2026" in "".join(lines_of(done.stdout)[2:])) is warns
    assert (out / "docs" / "a.txt").read_bytes() == (b"alpha\n" if warns else b"alpha, changed\n")


# ---- selection -------------------------------------------------------------------------------------------------------


def test_a_list_from_a_pipe_holds_for_the_whole_run_with_progress(plain: Scene) -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, f"- {plain.source}/big\n".encode())
        os.close(writing)
        plain.back_up("--progress", "--exclude-filelist", f"/dev/fd/{reading}")
    finally:
        os.close(reading)
    assert "big" not in listed(plain)
    assert "docs/a.txt" in listed(plain)


@pytest.mark.parametrize("options", [(), ("--progress",)])
def test_listed_files_are_stored_whatever_stands_above_the_source(plain: Scene, options: tuple[str, ...]) -> None:
    names = plain.folder / "names"
    names.write_text("docs/a.txt\n")
    set_time(plain.source, OLD)
    os.chmod(plain.folder, stat.S_IMODE(plain.source.stat().st_mode))
    set_time(plain.folder, OLD)
    plain.back_up("--files-from", str(names), *options)
    assert listed(plain) == [".", "docs", "docs/a.txt"]


def test_selection_takes_what_duplicity_takes_however_odd(plain: Scene) -> None:
    (plain.source / "docs" / "b.txt\n").touch()
    plain.back_up("--exclude", str(plain.source / "docs" / "b.txt"))
    assert listed(plain) == [".", "big", "docs", "docs/a.txt", "link"]
    out = plain.folder / "out"
    plain.run("restore", plain.url, str(out), "--include", "**/big", "--exclude", "**", expect=20)
    plain.run("restore", plain.url, str(out), "--include", "**big", "--exclude", "**")
    assert os.listdir(out) == ["big"]


# ---- statistics ------------------------------------------------------------------------------------------------------


def test_statistics_have_every_number(plain: Scene) -> None:
    plain.back_up("--jsonstat")
    rewrite(plain.source / "big", (plain.source / "big").read_bytes() + b"more", time=NOON + 60)
    set_time(plain.source / "docs", NOON + 60)
    done = plain.at(NOON + DAY).back_up("--jsonstat")
    told = json.loads(done.stdout[done.stdout.index("{\n") : done.stdout.index("\n}\n") + 2])
    assert told["TotalDestinationSizeChange"] == done.statistic("TotalDestinationSizeChange") > 0
    # As in duplicity, whose figures scripts compare: always 0, and changed directories count as new files.
    assert (told["ChangedFiles"], told["ChangedDeltaSize"], told["NewFiles"]) == (1, 0, 1)
    assert 0 < told["RawDeltaSize"] < 65_536
    told_dry = plain.run("full", str(plain.source), plain.url, "--dry-run")
    assert told_dry.statistic("SourceFiles") == 6


def test_stored_statistics_hold_no_password(plain: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(plain.folder)
    url = f"file://me:s3cret@{plain.folder}/target"
    plain.run("full", str(plain.source), url, "--jsonstat")
    stored = [file for file in plain.folder.rglob("*.jsonstat*") if file.is_file()]
    assert stored
    for file in stored:
        content = _unpacked(file)
        assert b"s3cret" not in content
        assert b"me:*****@" in content


def _unpacked(file: Path) -> bytes:
    import gzip

    content = file.read_bytes()
    return gzip.decompress(content) if file.suffix == ".gz" else content


# ---- restoring -------------------------------------------------------------------------------------------------------


def test_a_restore_that_fails_leaves_no_directory_behind(plain: Scene) -> None:
    plain.back_up()
    out = plain.folder / "out"
    plain.run("restore", "--path-to-restore", "no/such", plain.url, str(out), expect=19)
    assert not out.exists()


def test_a_single_file_is_restored_into_no_directory_of_its_name(plain: Scene) -> None:
    plain.back_up()
    out = plain.folder / "out"
    plain.run("restore", "--path-to-restore", "big", plain.url, str(out))
    assert out.read_bytes() == (plain.source / "big").read_bytes()


@pytest.mark.parametrize("program", ["twofold", "duplicity"])
def test_force_restores_over_what_is_there(plain: Scene, program: str) -> None:
    scene = plain.called(program)
    scene.back_up()
    (scene.folder / "out" / "docs").mkdir(parents=True)
    (scene.folder / "out" / "docs" / "a.txt").write_bytes(b"mine\n")
    (scene.folder / "out" / "docs" / "other").write_bytes(b"also mine\n")
    out = str(scene.folder / "out")
    scene.run("restore", scene.url, out, expect=11)
    done: Outcome = scene.run("restore", scene.url, out, "--force")
    assert done.stderr == ""
    assert (scene.folder / "out" / "docs" / "a.txt").read_bytes() == b"alpha\n"
    assert (scene.folder / "out" / "docs" / "other").read_bytes() == b"also mine\n"

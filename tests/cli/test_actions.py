"""What each action does and says, without encryption and with a passphrase (docs/cli.md sections 1.5, 7.3 and 7.6)."""

from __future__ import annotations

import os
import re

import pytest

from tests.cli.scene import BLOCK, DAY, NOON, NOON_TEXT, SYNCHRONIZED, TITLE, Scene, lines_of, rewrite, set_time
from tests.support.tree import Fidelity, assert_same_tree

FULL = "duplicity-full.20260101T120000Z"
FULL_SIGNATURES = "duplicity-full-signatures.20260101T120000Z.sigtar"
INCREMENT = "duplicity-inc.20260101T120000Z.to.20260102T120000Z"
NEW_SIGNATURES = "duplicity-new-signatures.20260101T120000Z.to.20260102T120000Z.sigtar"
SECOND_FULL = "duplicity-full.20260103T120000Z"
LISTING = [
    "Thu Jan  1 11:00:00 2026 .",
    "Thu Jan  1 11:00:00 2026 big",
    "Thu Jan  1 11:00:00 2026 docs",
    "Thu Jan  1 11:00:00 2026 docs/a.txt",
    "Thu Jan  1 11:00:00 2026 docs/b.txt",
    "Thu Jan  1 11:00:00 2026 link",
]


def statistics(text: str) -> dict[str, str]:
    """The block's lines by name, after a check that it has exactly the lines it should have."""
    lines = lines_of(text)
    start = lines.index(TITLE)
    block = [line.partition(" ") for line in lines[start + 1 : start + 1 + len(BLOCK)]]
    assert tuple(name for name, _, _ in block) == BLOCK
    assert lines[start + 1 + len(BLOCK) : start + 3 + len(BLOCK)] == ["-" * len(TITLE), ""]
    return {name: value for name, _, value in block}


def set_names(scene: Scene, stem: str, signatures: str) -> set[str]:
    """The files of a set with one volume."""
    return {
        f"{stem}.vol1.difftar{scene.suffix}",
        f"{stem}.manifest{scene.manifest_suffix}",
        f"{signatures}{scene.suffix}",
    }


def make_chains(scene: Scene) -> None:
    """A full set, an increment a day later, and a full set after another day."""
    scene.back_up()
    rewrite(scene.source / "docs" / "a.txt", b"alpha, changed\n", time=NOON + 60)
    scene.at(NOON + DAY).back_up()
    scene.at(NOON + 2 * DAY).back_up(action="full")


# ---- making backups --------------------------------------------------------------------------------------------------


def test_the_first_backup_is_full_and_says_so(scene: Scene) -> None:
    done = scene.run(str(scene.source), scene.url)
    lines = lines_of(done.stdout)
    assert lines[:5] == [
        "No valid action found. Will imply 'backup' because a path source was given and target is a url location.",
        SYNCHRONIZED,
        "Last full backup date: none",
        "No signatures found, switching to full backup.",
        TITLE,
    ]
    assert (lines[-1], done.stderr) == ("Backup complete.", "")
    assert set(scene.names()) == set_names(scene, FULL, FULL_SIGNATURES)


def test_the_next_backup_is_incremental(scene: Scene) -> None:
    scene.back_up()
    rewrite(scene.source / "docs" / "a.txt", b"alpha, changed\n", time=NOON + 60)
    done = scene.at(NOON + DAY).back_up()
    assert lines_of(done.stdout)[:3] == [SYNCHRONIZED, f"Last full backup date: {NOON_TEXT}", TITLE]
    assert set_names(scene, INCREMENT, NEW_SIGNATURES) == set(scene.names()) - set_names(scene, FULL, FULL_SIGNATURES)
    assert done.statistic("ChangedFiles") == 1
    assert done.statistic("DeltaEntries") == 1


def test_a_full_backup_asks_for_no_earlier_one(scene: Scene) -> None:
    scene.back_up()
    done = scene.at(NOON + DAY).back_up(action="full")
    assert lines_of(done.stdout)[:2] == [f"Last full backup date: {NOON_TEXT}", TITLE]
    assert f"duplicity-full.20260102T120000Z.vol1.difftar{scene.suffix}" in scene.names()


@pytest.mark.parametrize("word", ["incremental", "inc", "incr", "ib"])
def test_an_incremental_without_a_chain_is_refused(plain: Scene, word: str) -> None:
    done = plain.back_up(action=word, expect=17)
    assert done.stdout == f"{SYNCHRONIZED}\nLast full backup date: none\n"
    assert done.stderr == (
        "Unable to start incremental backup.  Old signatures not found and incremental specified. Make a full backup "
        "first, or check the URL and the file prefixes\n"
    )
    assert not plain.target.exists()


def test_the_statistics_have_all_lines_in_order_and_count_bytes(plain: Scene) -> None:
    numbers = statistics(plain.back_up().stdout)
    sizes = sum(path.lstat().st_size for path in (plain.source, *plain.source.rglob("*")))
    volume = (plain.target / f"{FULL}.vol1.difftar.gz").stat().st_size
    for name, second in (("StartTime", 0), ("EndTime", 0)):
        assert re.fullmatch(rf"{NOON + second}\.\d\d \(Thu Jan  1 12:00:0\d 2026\)", numbers.pop(name))
    assert re.fullmatch(r"\d\.\d\d \(\d\.\d\d seconds\)", numbers.pop("ElapsedTime"))
    assert numbers == {
        "SourceFiles": "6",
        "SourceFileSize": f"{sizes} ({sizes / 1024:.1f} KB)",
        "NewFiles": "6",
        "NewFileSize": f"{sizes} ({sizes / 1024:.1f} KB)",
        "DeletedFiles": "0",
        "ChangedFiles": "0",
        "ChangedFileSize": "0 (0 bytes)",
        "ChangedDeltaSize": "0 (0 bytes)",
        "DeltaEntries": "6",
        "RawDeltaSize": "65547 (64.0 KB)",
        "TotalDestinationSizeChange": f"{volume} ({volume / 1024:.1f} KB)",
        "Errors": "0",
    }


def test_the_statistics_of_an_increment_tell_new_changed_and_deleted_apart(plain: Scene) -> None:
    plain.back_up()
    rewrite(plain.source / "docs" / "a.txt", b"alpha, changed\n", time=NOON + 60)
    (plain.source / "docs" / "c.txt").write_bytes(b"gamma\n")
    (plain.source / "link").unlink()
    done = plain.at(NOON + DAY).back_up()
    directories = 2  # the root and docs have other times
    assert done.statistic("NewFiles") == 1 + directories
    assert done.statistic("ChangedFiles") == 1
    assert done.statistic("ChangedFileSize") == len(b"alpha, changed\n")
    assert done.statistic("DeletedFiles") == 1
    assert done.statistic("DeltaEntries") == 3 + directories


@pytest.mark.parametrize("verbosity", ["-v0", "-v3"])
def test_the_statistics_are_shown_at_any_verbosity_unless_they_are_not_wanted(plain: Scene, verbosity: str) -> None:
    assert TITLE in plain.back_up(verbosity).stdout
    silent = plain.at(NOON + DAY).back_up(verbosity, "--no-print-statistics")
    assert TITLE not in silent.stdout


def test_at_verbosity_zero_nothing_else_is_said(plain: Scene) -> None:
    assert lines_of(plain.back_up("-v0").stdout)[0] == TITLE
    assert plain.at(NOON + DAY).back_up("-v0", "--no-print-statistics").stdout == ""


def test_a_dry_run_of_a_backup_counts_and_stores_nothing(scene: Scene) -> None:
    done = scene.back_up("--dry-run")
    numbers = statistics(done.stdout)
    assert (numbers["SourceFiles"], numbers["NewFiles"]) == ("6", "6")
    assert (numbers["RawDeltaSize"], numbers["TotalDestinationSizeChange"]) == ("0 (0 bytes)", "0 (0 bytes)")
    assert not scene.target.exists() or scene.names() == []
    assert {name for name in os.listdir(scene.archive_dir) if name.startswith("duplicity")} == set()


def test_a_dry_run_names_the_files_that_the_backup_then_stores(plain: Scene) -> None:
    def named(*options: str) -> list[str]:
        log = plain.folder / "log"
        log.unlink(missing_ok=True)
        plain.at(now).back_up("-v5", "--log-file", str(log), *options)
        return [line for line in lines_of(log.read_text()) if re.match("INFO [456] ", line)]

    now = NOON
    assert named("--dry-run") == named() == [f"INFO 4 '{path}'" for path in (".", "big", "docs", *DOCS, "link")]
    (plain.source / "docs" / "a.txt").write_bytes(b"another\n")
    (plain.source / "docs" / "b.txt").unlink()
    now += DAY
    changed = ["INFO 4 'docs'", "INFO 5 'docs/a.txt'", "INFO 6 'docs/b.txt'"]
    assert named("--dry-run") == named() == changed


DOCS = ("docs/a.txt", "docs/b.txt")


def test_a_dry_run_shows_its_progress(plain: Scene) -> None:
    log = plain.folder / "log"
    done = plain.back_up("--dry-run", "--progress", "--log-file", str(log))
    assert re.search(r"\] 100% ETA ", done.stdout)
    assert re.search(r"^NOTICE 16 [0-9]+ [0-9]+ 100 ", log.read_text(), re.MULTILINE)


def test_a_dry_run_of_an_increment_counts_what_changed(scene: Scene) -> None:
    scene.back_up()
    before = scene.names()
    rewrite(scene.source / "docs" / "a.txt", b"alpha, changed\n", time=NOON + 60)
    done = scene.at(NOON + DAY).back_up("--dry-run")
    assert (done.statistic("SourceFiles"), done.statistic("ChangedFiles"), done.statistic("RawDeltaSize")) == (6, 1, 0)
    assert scene.names() == before


def test_an_increment_without_changes_is_made_unless_it_is_not_wanted(plain: Scene) -> None:
    plain.back_up()
    before = plain.names()
    skipped = plain.at(NOON + DAY).back_up("--skip-if-no-change")
    assert "Skipped volume upload, as effectivly nothing has changed\n" in skipped.stdout
    assert skipped.statistic("DeltaEntries") == skipped.statistic("TotalDestinationSizeChange") == 0
    assert plain.names() == before
    made = plain.at(NOON + DAY).back_up()
    assert "Skipped" not in made.stdout
    assert set(plain.names()) - set(before) == set_names(plain, INCREMENT, NEW_SIGNATURES)


def test_with_changes_an_increment_is_not_skipped(plain: Scene) -> None:
    plain.back_up()
    (plain.source / "docs" / "a.txt").unlink()
    done = plain.at(NOON + DAY).back_up("--skip-if-no-change")
    assert done.statistic("DeletedFiles") == 1
    assert f"{INCREMENT}.manifest" in plain.names()


@pytest.mark.parametrize("action", ["backup", "incremental"])
def test_a_full_backup_is_made_when_the_last_one_is_too_old(plain: Scene, action: str) -> None:
    plain.back_up()
    young = plain.at(NOON + DAY).back_up("--full-if-older-than", "2D", action=action)
    old = plain.at(NOON + 3 * DAY).back_up("--full-if-older-than", "2D", action=action)
    message = "Last full backup is too old, forcing full backup"
    assert message not in young.stdout
    assert f"\n{message}\n" in old.stdout
    assert "duplicity-full.20260104T120000Z.manifest" in plain.names()


def test_a_full_backup_is_made_after_so_many_increments(plain: Scene) -> None:
    plain.back_up()
    second = plain.at(NOON + DAY).back_up("--full-if-n-inc", "1")
    third = plain.at(NOON + 2 * DAY).back_up("--full-if-n-inc", "1")
    message = "Latest chain has too many incrementals, forcing full backup"
    assert message not in second.stdout
    assert f"\n{message}\n" in third.stdout
    assert f"{SECOND_FULL}.manifest" in plain.names()


def test_files_are_left_out_as_asked(plain: Scene) -> None:
    source = plain.source
    plain.back_up("--include", f"{source}/docs/a.txt", "--exclude", f"{source}/docs", "--exclude", "**/link")
    listed = lines_of(plain.run("list-current-files", plain.url, "-v0").stdout)
    assert [line[25:] for line in listed] == [".", "big", "docs", "docs/a.txt"]


def test_another_source_is_refused_until_the_mismatch_is_allowed(plain: Scene) -> None:
    plain.back_up()
    other = plain.folder / "other"
    other.mkdir()
    done = plain.at(NOON + DAY).run("backup", str(other), plain.url, expect=42)
    assert lines_of(done.stderr)[:4] == [
        "Fatal Error: Backup source directory has changed.",
        f"Now: {other}",
        f"Before: {plain.source}",
        "",
    ]
    assert lines_of(done.stderr)[4].endswith("If this is what you want, add --allow-source-mismatch")
    before = plain.names()
    allowed = plain.at(NOON + DAY).run("backup", str(other), plain.url, "--allow-source-mismatch")
    assert allowed.statistic("DeletedFiles") == 5
    assert len(plain.names()) == len(before) + 3


def test_another_host_is_refused_until_the_mismatch_is_allowed(plain: Scene) -> None:
    plain.back_up()
    log = plain.folder / "log"
    elsewhere = plain.at(NOON + DAY).on_host("elsewhere")
    done = elsewhere.back_up("--log-file", str(log), expect=3)
    assert done.stderr.startswith("Fatal Error: Backup source host has changed.\nNow: elsewhere\nBefore: here\n")
    assert "\nERROR 3 'elsewhere' 'here'\n. Fatal Error: Backup source host has changed.\n" in log.read_text()
    elsewhere.back_up("--allow-source-mismatch")


def test_the_archive_directory_is_named_after_the_url_unless_it_is_named(plain: Scene) -> None:
    archive = plain.folder / "mine"
    words = ("full", str(plain.source), f"file://{plain.target}", "--no-encryption", "--archive-dir", str(archive))
    plain.run_bare(*words)
    [name] = os.listdir(archive)
    assert re.fullmatch("[0-9a-f]{32}", name)
    plain.run_bare(*words, "--name", "photos")
    assert set(os.listdir(archive)) == {name, "photos"}


def test_without_an_archive_directory_the_cache_of_the_user_is_taken(plain: Scene) -> None:
    words = ("full", str(plain.source), plain.url, "--no-encryption", "--name", "photos")
    plain.run_bare(*words)
    assert (plain.folder / "home" / ".cache" / "duplicity" / "photos" / "lockfile").exists()
    plain.with_variables(XDG_CACHE_HOME=str(plain.folder / "xdg")).run_bare(*words)
    assert (plain.folder / "xdg" / "duplicity" / "photos" / "lockfile").exists()


def test_files_with_a_prefix_are_another_backup(plain: Scene) -> None:
    plain.back_up("--file-prefix", "laptop-", "--file-prefix-manifest", "m-")
    assert plain.names() == [
        f"laptop-{FULL_SIGNATURES}.gz",
        f"laptop-{FULL}.vol1.difftar.gz",
        f"laptop-m-{FULL}.manifest",
    ]
    plain.run("list-current-files", plain.url, expect=30)
    listed = plain.run("list-current-files", plain.url, "--file-prefix", "laptop-", "--file-prefix-manifest", "m-")
    assert lines_of(listed.stdout)[2:] == LISTING


def test_volumes_are_not_larger_than_asked(plain: Scene) -> None:
    (plain.source / "big").write_bytes(os.urandom(2_500_000))
    plain.back_up("--volsize", "1")
    sizes = [path.stat().st_size for path in plain.target.glob("*.difftar.gz")]
    assert len(sizes) == 3
    assert max(sizes) <= 1 << 20
    done = plain.run("collection-status", plain.url)
    assert "Total number of contained volumes: 3\n" in done.stdout


def test_without_compression_volumes_are_tar_files(plain: Scene) -> None:
    plain.back_up("--no-compression")
    assert plain.names() == [FULL_SIGNATURES, f"{FULL}.manifest", f"{FULL}.vol1.difftar"]
    assert (plain.target / f"{FULL}.vol1.difftar").read_bytes()[257:262] == b"ustar"
    plain.run("restore", plain.url, str(plain.folder / "out"))
    assert_same_tree(os.fsencode(plain.folder / "out"), os.fsencode(plain.source), fidelity=Fidelity.FULL)


def test_the_manifest_names_changed_files_unless_it_should_not(plain: Scene) -> None:
    plain.back_up()
    listed = b"Filelist 3\n    new      big\n    new      docs/a.txt\n    new      docs/b.txt\n"
    assert (plain.target / f"{FULL}.manifest").read_bytes().endswith(listed)
    plain.at(NOON + 2 * DAY).back_up("--no-files-changed", action="full")
    assert b"docs/a.txt" not in (plain.target / f"{SECOND_FULL}.manifest").read_bytes()


def test_links_are_followed_when_asked(plain: Scene) -> None:
    plain.back_up("--copy-links")
    plain.run("restore", plain.url, str(plain.folder / "out"))
    copy = plain.folder / "out" / "link"
    assert not copy.is_symlink()
    assert copy.read_bytes() == (plain.source / "big").read_bytes()


def test_what_a_dry_run_would_fetch_is_only_named(plain: Scene) -> None:
    plain.back_up()
    fresh = ("--archive-dir", str(plain.folder / "fresh"), "--name", "fresh", "--no-encryption")
    done = plain.run_bare(
        "backup", str(plain.source), plain.url, "--dry-run", *fresh, "--current-time", str(NOON + DAY)
    )
    assert lines_of(done.stdout)[:3] == [
        "Sync would copy the following from remote to local:",
        f"{FULL}.manifest",
        f"{FULL_SIGNATURES}.gz",
    ]
    assert sorted(os.listdir(plain.folder / "fresh" / "fresh")) == ["lockfile", "twofold-state"]


def test_a_lost_cache_is_filled_from_the_target(scene: Scene) -> None:
    scene.back_up()
    for path in scene.archive_dir.iterdir():
        path.unlink()
    done = scene.run("list-current-files", scene.url)
    assert sorted(lines_of(done.stdout)[:3]) == sorted(
        [
            "Synchronizing remote metadata to local cache...",
            f"Copying {FULL_SIGNATURES}{scene.suffix} to local cache.",
            f"Copying {FULL}.manifest{scene.manifest_suffix} to local cache.",
        ]
    )
    assert lines_of(done.stdout)[4:] == LISTING


# ---- restoring -------------------------------------------------------------------------------------------------------


def test_a_restore_brings_everything_back(scene: Scene) -> None:
    scene.back_up()
    out = scene.folder / "out"
    done = scene.run(scene.url, str(out))
    assert lines_of(done.stdout) == [
        "No valid action found. Will imply 'restore' because url source was given and target is a local path.",
        SYNCHRONIZED,
        f"Last full backup date: {NOON_TEXT}",
    ]
    assert done.stderr == ""
    assert_same_tree(os.fsencode(out), os.fsencode(scene.source), fidelity=Fidelity.FULL)


def test_a_restore_goes_back_in_time(scene: Scene) -> None:
    make_chains(scene)
    for moment, content in (("2026-01-01T12:00:00Z", b"alpha\n"), ("2D", b"alpha\n"), ("1D", b"alpha, changed\n")):
        out = scene.folder / f"out-{moment[:2]}"
        scene.at(NOON + 2 * DAY + 60).run("restore", "-t", moment, scene.url, str(out))
        assert (out / "docs" / "a.txt").read_bytes() == content


@pytest.mark.parametrize("asked", ["docs", "docs/", "./docs", "/docs"])
def test_a_directory_is_restored_alone(plain: Scene, asked: str) -> None:
    plain.back_up()
    out = plain.folder / "out"
    plain.run("restore", "--path-to-restore", asked, plain.url, str(out))
    assert_same_tree(os.fsencode(out), os.fsencode(plain.source / "docs"), fidelity=Fidelity.FULL)


def test_a_file_is_restored_alone_under_the_name_of_the_target(scene: Scene) -> None:
    scene.back_up()
    out = scene.folder / "out"
    scene.run("restore", "--path-to-restore", "docs/a.txt", scene.url, str(out))
    assert_same_tree(os.fsencode(out), os.fsencode(scene.source / "docs" / "a.txt"), fidelity=Fidelity.FULL)


def test_a_restore_writes_over_existing_files_only_by_force(plain: Scene) -> None:
    plain.back_up()
    out = plain.folder / "out"
    (out / "docs").mkdir(parents=True)
    (out / "docs" / "a.txt").write_bytes(b"mine")
    (out / "mine.txt").write_bytes(b"mine")
    refused = plain.run("restore", plain.url, str(out), expect=11)
    assert (refused.stdout, refused.stderr) == (
        "",
        (
            f"Cannot restore to {out}: it is not empty.\n"
            "Will not overwrite without --force; name a new directory or an empty one\n"
        ),
    )
    assert (out / "docs" / "a.txt").read_bytes() == b"mine"
    plain.run("restore", "--force", plain.url, str(out))
    assert (out / "docs" / "a.txt").read_bytes() == b"alpha\n"
    assert (out / "mine.txt").read_bytes() == b"mine"


def test_an_empty_directory_is_no_obstacle(plain: Scene) -> None:
    plain.back_up()
    (plain.folder / "out").mkdir()
    plain.run("restore", plain.url, str(plain.folder / "out"))


def test_a_path_that_is_not_in_the_backup_is_named(plain: Scene) -> None:
    plain.back_up()
    log = plain.folder / "log"
    done = plain.run(
        "restore",
        "--path-to-restore",
        "nosuch",
        plain.url,
        str(plain.folder / "out"),
        "--log-file",
        str(log),
        expect=19,
    )
    text = (
        "nosuch not found in archive - no files restored. Paths are as list-current-files shows them; those of another "
        "day need --time"
    )
    assert done.stderr == f"{text}\n"
    assert log.read_text().endswith(f"\nERROR 19\n. {text}\n\n")
    assert not (plain.folder / "out").exists()


def test_without_a_backup_nothing_is_restored(plain: Scene) -> None:
    plain.target.mkdir()
    log = plain.folder / "log"
    done = plain.run("restore", plain.url, str(plain.folder / "out"), "--log-file", str(log), expect=30)
    expected = "No backup chains found: there is no backup at the target. Check the URL and the file prefixes"
    assert done.stderr == f"{expected}\n"
    assert log.read_text().endswith(f"\nERROR 30 CollectionsError\n. {expected}\n\n")
    assert not (plain.folder / "out").exists()


def test_what_a_restore_would_read_is_named(scene: Scene) -> None:
    make_chains(scene)
    out = scene.folder / "out"
    done = scene.run("restore", "--dry-run", "-t", "2026-01-02T12:00:00Z", scene.url, str(out))
    assert lines_of(done.stdout)[2:] == [
        "Required volumes to restore:",
        f"\t{FULL}.vol1.difftar{scene.suffix}",
        f"\t{INCREMENT}.vol1.difftar{scene.suffix}",
    ]
    assert not out.exists()


def test_a_restore_takes_only_what_is_selected(plain: Scene) -> None:
    plain.back_up()
    out = plain.folder / "out"
    plain.run("restore", "--include", "docs/a.txt", "--exclude", "**", plain.url, str(out))
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*")) == ["docs", "docs/a.txt"]


def test_a_selection_of_nothing_is_no_success(plain: Scene) -> None:
    plain.back_up()
    done = plain.run("restore", "--exclude", "**", plain.url, str(plain.folder / "out"), expect=20)
    assert done.stderr == "No files found in archive - nothing restored. Check what is included and excluded\n"


# ---- verifying -------------------------------------------------------------------------------------------------------


def test_a_backup_equals_its_source(scene: Scene) -> None:
    scene.back_up()
    for options in ((), ("--compare-data",)):
        done = scene.run("verify", scene.url, str(scene.source), *options)
        assert lines_of(done.stdout) == [
            SYNCHRONIZED,
            f"Last full backup date: {NOON_TEXT}",
            "Verify complete: 6 file(s) compared, 0 difference(s) found.",
        ]


def test_differences_are_named_and_end_with_one(scene: Scene) -> None:
    scene.back_up()
    rewrite(scene.source / "docs" / "a.txt", b"ALPHA\n", time=NOON - 3600)
    set_time(scene.source / "docs" / "b.txt", NOON)
    (scene.source / "link").unlink()
    (scene.source / "docs" / "c.txt").write_bytes(b"gamma\n")
    for path in (scene.source, scene.source / "docs"):
        set_time(path, NOON - 3600)
    others = [
        f"Difference found: File docs/b.txt has mtime {NOON_TEXT}, expected Thu Jan  1 11:00:00 2026",
        "Difference found: New file docs/c.txt",
        "Difference found: File link is missing",
    ]
    metadata = scene.run("verify", scene.url, str(scene.source), expect=1)
    assert lines_of(metadata.stdout)[2:] == [*others, "Verify complete: 7 file(s) compared, 3 difference(s) found."]
    data = scene.run("verify", "--compare-data", scene.url, str(scene.source), expect=1)
    assert lines_of(data.stdout)[2:] == [
        "Difference found: Data for file docs/a.txt is different",
        *others,
        "Verify complete: 7 file(s) compared, 4 difference(s) found.",
    ]
    assert data.stderr == metadata.stderr == ""


def test_called_as_duplicity_only_compared_contents_may_end_with_one(plain: Scene) -> None:
    plain.back_up()
    set_time(plain.source / "docs" / "b.txt", NOON)
    old = plain.called("duplicity")
    done = old.run("verify", plain.url, str(plain.source))
    assert lines_of(done.stdout)[-1] == "Verify complete: 6 file(s) compared, 1 difference(s) found."
    old.run("verify", "--compare-data", plain.url, str(plain.source), expect=1)


def test_one_file_is_verified_alone(plain: Scene) -> None:
    plain.back_up()
    one = plain.source / "docs" / "a.txt"
    done = plain.run("verify", "--compare-data", "--path-to-restore", "docs/a.txt", plain.url, str(one))
    assert lines_of(done.stdout)[-1] == "Verify complete: 1 file(s) compared, 0 difference(s) found."


# ---- reporting -------------------------------------------------------------------------------------------------------


def test_the_listing_has_time_and_path_a_line(scene: Scene) -> None:
    scene.back_up()
    done = scene.run("list-current-files", scene.url)
    assert lines_of(done.stdout) == [SYNCHRONIZED, f"Last full backup date: {NOON_TEXT}", *LISTING]
    assert lines_of(scene.run("list-current-files", scene.url, "-v0").stdout) == LISTING


def test_the_listing_goes_back_in_time(scene: Scene) -> None:
    make_chains(scene)
    changed = [line.replace("11:00:00 2026 docs/a", "12:01:00 2026 docs/a") for line in LISTING]
    for moment, expected in (("2026-01-01T12:00:00Z", LISTING), ("2026-01-02T12:00:00Z", changed)):
        assert lines_of(scene.run("list-current-files", "-t", moment, scene.url, "-v0").stdout) == expected


def test_the_listing_before_the_first_backup_says_which_one_it_shows(plain: Scene) -> None:
    plain.back_up()
    log = plain.folder / "log"
    done = plain.run("list-current-files", "-t", "2025-01-01", plain.url, "--log-file", str(log))
    text = f"No signature chain for the requested time. Using oldest available chain, starting at time {NOON_TEXT}."
    assert lines_of(done.stdout)[2:] == [text, *LISTING]
    assert re.search(rf"\nWARNING 11( 20260101T120000Z)?\n\. {re.escape(text)}\n\n", log.read_text())


def test_the_listing_for_programs_has_quoted_paths(plain: Scene) -> None:
    plain.back_up()
    log = plain.folder / "log"
    plain.run("list-current-files", plain.url, "--log-file", str(log), "-v5")
    assert "\nINFO 10 20260101T110000Z '.' dir\n. Thu Jan  1 11:00:00 2026 .\n\n" in log.read_text()
    assert "\nINFO 10 20260101T110000Z 'link' sym\n" in log.read_text()
    assert "\nINFO 10 20260101T110000Z 'docs/a.txt' reg\n" in log.read_text()


def _status(scene: Scene) -> list[str]:
    """All of a target with the chains of make_chains."""
    return [
        "Collection Status",
        "-----------------",
        "Connecting with backend: BackendWrapper",
        f"Archive dir: {scene.archive_dir}",
        "",
        "Found 1 secondary backup chain(s).",
        "Secondary chain 1 of 1:",
        "-------------------------",
        f"Chain start time: {NOON_TEXT}",
        "Chain end time: Fri Jan  2 12:00:00 2026",
        "Number of contained backup sets: 2",
        "Total number of contained volumes: 2",
        " Type of backup set:                            Time:      Num volumes:",
        "                Full         Thu Jan  1 12:00:00 2026                 1",
        "         Incremental         Fri Jan  2 12:00:00 2026                 1",
        "-------------------------",
        "",
        "",
        "Found primary backup chain with matching signature chain:",
        "-------------------------",
        "Chain start time: Sat Jan  3 12:00:00 2026",
        "Chain end time: Sat Jan  3 12:00:00 2026",
        "Number of contained backup sets: 1",
        "Total number of contained volumes: 1",
        " Type of backup set:                            Time:      Num volumes:",
        "                Full         Sat Jan  3 12:00:00 2026                 1",
        "-------------------------",
        "No orphaned or incomplete backup sets found.",
    ]


@pytest.mark.parametrize("verbosity", ["-v0", "-v3"])
def test_the_status_has_the_layout_that_scripts_read(scene: Scene, verbosity: str) -> None:
    make_chains(scene)
    lines = lines_of(scene.run("collection-status", scene.url, verbosity).stdout)
    above = [] if verbosity == "-v0" else ["Last full backup date: Sat Jan  3 12:00:00 2026"]
    assert lines == above + _status(scene)


def test_the_status_for_programs_names_every_set(scene: Scene) -> None:
    make_chains(scene)
    log = scene.folder / "log"
    scene.run("collection-status", scene.url, "--log-file", str(log))
    encryption = "noenc" if scene.suffix == ".gz" else "enc"
    data = [
        "INFO 3 ",
        "backend BackendWrapper",
        "archive-dir (. dir)",
        "chain-no-sig 0",
        f" full 20260101T120000Z 1 {encryption}",
        f" inc 20260102T120000Z 1 {encryption}",
        "chain-complete",
        f" full 20260103T120000Z 1 {encryption}",
        "orphaned-sets-num 0",
        "incomplete-sets-num 0",
        *(f". {line}" for line in _status(scene)),
    ]
    assert log.read_text().endswith("\n\n" + "\n".join(data) + "\n\n")


def test_an_empty_target_has_a_status(plain: Scene) -> None:
    plain.target.mkdir()
    lines = lines_of(plain.run("collection-status", plain.url).stdout)
    assert lines[0] == "Last full backup date: none"
    assert lines[6:] == [
        "Found 0 secondary backup chain(s).",
        "No backup chains with active signatures found",
        "No orphaned or incomplete backup sets found.",
    ]


# ---- deleting --------------------------------------------------------------------------------------------------------


def test_a_cleanup_with_nothing_to_do_says_so(scene: Scene) -> None:
    scene.back_up()
    done = scene.run("cleanup", scene.url)
    assert lines_of(done.stdout) == [
        SYNCHRONIZED,
        f"Last full backup date: {NOON_TEXT}",
        "No extraneous files found, nothing deleted in cleanup.",
    ]


def test_a_cleanup_names_what_it_would_delete_and_deletes_by_force(scene: Scene) -> None:
    scene.back_up()
    before = scene.names()
    extraneous = f"duplicity-full.20250101T120000Z.vol1.difftar{scene.suffix}"
    (scene.target / extraneous).write_bytes(b"left over")
    listed = scene.run("cleanup", scene.url)
    assert lines_of(listed.stdout)[-3:] == [
        "Found the following file(s) to delete:",
        extraneous,
        "Run duplicity again with the --force option to actually delete.",
    ]
    assert extraneous in scene.names()
    rehearsed = scene.run("cleanup", "--force", "--dry-run", scene.url)
    deleting = ["Deleting these file(s) from backend:", extraneous]
    assert lines_of(rehearsed.stdout)[-2:] == deleting
    assert extraneous in scene.names()
    done = scene.run("cleanup", "--force", scene.url)
    assert lines_of(done.stdout)[-2:] == deleting
    assert scene.names() == before


def test_the_status_tells_of_what_a_cleanup_would_delete(plain: Scene) -> None:
    plain.back_up()
    (plain.target / "duplicity-full.20250101T120000Z.vol1.difftar.gz").write_bytes(b"left over")
    assert lines_of(plain.run("collection-status", plain.url).stdout)[-3:] == [
        "Also found 0 backup set(s) not part of any chain,",
        "and 1 incomplete backup set(s).",
        'These may be deleted by running duplicity with the "cleanup" command.',
    ]


@pytest.mark.parametrize(
    "words", [("remove-older-than", "2026-01-03T00:00:00Z"), ("remove-all-but-n-full", "1"), ("ra", "1"), ("ro", "1D")]
)
def test_old_chains_are_deleted_by_force_only(scene: Scene, words: tuple[str, str]) -> None:
    make_chains(scene)
    later = scene.at(NOON + 2 * DAY + 60)
    before = scene.names()
    action = {"ra": "remove-all-but-n-full", "ro": "remove-older-than"}.get(words[0], words[0])
    last = "Last full backup date: Sat Jan  3 12:00:00 2026"
    listed = later.run(*words, scene.url)
    assert lines_of(listed.stdout) == [
        last,
        f"Need to use '{action} --force' to actually delete.",
        "Found old backup chain(s) at the following time:",
        "Fri Jan  2 12:00:00 2026",
        "Rerun command with --force option to actually delete.",
    ]
    assert scene.names() == before
    deleting = [
        last,
        "Deleting backup chain(s) at time:",
        "Fri Jan  2 12:00:00 2026",
        "Deleting complete signature chain Fri Jan  2 12:00:00 2026",
        "Deleting complete backup chain Fri Jan  2 12:00:00 2026",
    ]
    assert lines_of(later.run(*words, "--force", "--dry-run", scene.url).stdout) == deleting
    assert scene.names() == before
    assert lines_of(later.run(*words, "--force", scene.url).stdout) == deleting
    assert all("20260103T120000Z" in name for name in scene.names())
    assert len(scene.names()) == 3
    cached = [name for name in os.listdir(scene.archive_dir) if name.startswith("duplicity-")]
    assert all("20260103T120000Z" in name for name in cached)
    nothing = later.run(*words, "--force", scene.url)
    assert lines_of(nothing.stdout) == [last, "No old backup sets found, nothing deleted."]


def test_sets_that_newer_ones_need_are_kept_and_named(plain: Scene) -> None:
    make_chains(plain)
    before = plain.names()
    done = plain.run("remove-older-than", "2026-01-02T00:00:00Z", "--force", plain.url)
    assert lines_of(done.stdout)[1:] == [
        "There are backup set(s) at time(s):",
        NOON_TEXT,
        "Which can't be deleted because newer sets depend on them.",
        "No old backup sets found, nothing deleted.",
    ]
    assert plain.names() == before


def test_the_newest_chain_is_never_deleted(plain: Scene) -> None:
    plain.back_up()
    before = plain.names()
    done = plain.at(NOON + 9 * DAY).run("remove-older-than", "1D", "--force", plain.url)
    assert lines_of(done.stdout)[1:] == [
        (
            "Current active backup chain is older than specified time.  However, it will not be deleted.  "
            "To remove all your backups, manually purge the repository."
        ),
        "No old backup sets found, nothing deleted.",
    ]
    assert plain.names() == before


def test_increments_of_old_chains_are_deleted_by_force_only(scene: Scene) -> None:
    make_chains(scene)
    before = set(scene.names())
    words = ("remove-all-inc-of-but-n-full", "1", scene.url)
    assert lines_of(scene.run(*words).stdout)[1:] == [
        "Need to use 'remove-all-inc-of-but-n-full --force' to actually delete.",
        "Found old backup chain(s) at the following time:",
        "Fri Jan  2 12:00:00 2026",
        "Rerun command with --force option to actually delete.",
    ]
    assert set(scene.names()) == before
    assert lines_of(scene.run(*words, "--force").stdout)[1:] == [
        "Deleting backup chain(s) at time:",
        "Fri Jan  2 12:00:00 2026",
        "Deleting any incremental signature chain rooted at Thu Jan  1 12:00:00 2026",
        "Deleting any incremental backup chain rooted at Thu Jan  1 12:00:00 2026",
    ]
    assert before - set(scene.names()) == set_names(scene, INCREMENT, NEW_SIGNATURES)
    out = scene.folder / "out"
    scene.run("restore", "-t", "2026-01-01T12:00:00Z", scene.url, str(out))
    assert (out / "docs" / "a.txt").read_bytes() == b"alpha\n"


@pytest.mark.parametrize("action", ["remove-all-but-n-full", "remove-all-inc-of-but-n-full"])
def test_keeping_no_chain_at_all_is_refused(plain: Scene, action: str) -> None:
    make_chains(plain)
    before = plain.names()
    done = plain.run(action, "0", "--force", plain.url, expect=30)
    assert done.stderr.count("\n") == 1
    assert plain.names() == before


# ---- a chain with a hole ---------------------------------------------------------------------------------------------


@pytest.fixture
def holed(scene: Scene) -> Scene:
    """A full set whose only volume is gone."""
    scene.back_up()
    (scene.target / f"{FULL}.vol1.difftar{scene.suffix}").unlink()
    return scene.at(NOON + DAY)


def test_no_increment_is_made_on_a_chain_that_lost_a_volume(holed: Scene) -> None:
    before = holed.names()
    done = holed.back_up(action="incremental", expect=1)
    [line] = lines_of(done.stderr)
    assert line.startswith(f"Volume 1 of the backup of {NOON_TEXT} ")
    assert line.endswith(", so the chain cannot be continued. Make a full backup")
    assert holed.names() == before


def test_a_backup_starts_anew_where_a_volume_is_lost(holed: Scene) -> None:
    log = holed.folder / "log"
    done = holed.back_up("--log-file", str(log))
    [line] = [line for line in lines_of(done.stdout) if line.startswith("Volume 1")]
    assert line.startswith(f"Volume 1 of the backup of {NOON_TEXT} ")
    assert line.endswith(", so a full backup is made instead of continuing")
    assert f"\nWARNING 1\n. {line}\n" in log.read_text()
    assert f"duplicity-full.20260102T120000Z.vol1.difftar{holed.suffix}" in holed.names()


def test_the_status_names_a_volume_that_is_lost(holed: Scene) -> None:
    done = holed.run("collection-status", holed.url)
    [line] = [line for line in lines_of(done.stdout) if line.startswith("Volume 1")]
    assert line.startswith(f"Volume 1 of the backup of {NOON_TEXT} ")
    assert line.endswith(": that backup cannot be restored whole.")


def test_no_restore_begins_without_a_volume(holed: Scene) -> None:
    out = holed.folder / "out"
    done = holed.run("restore", holed.url, str(out), expect=1)
    assert done.stderr == (
        f"difftar volume 1 not found in backup: {FULL}.manifest{holed.manifest_suffix} lists it, but it is not at the "
        "target. Nothing was done; with --ignore-errors the files that are not in it are restored\n"
    )
    assert not out.exists()

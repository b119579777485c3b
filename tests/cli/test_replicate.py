"""The action replicate: copies that restore, go on, refuse and complain (docs/cli.md section 13)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.cli.scene import DAY, NOON, NOON_TEXT, PASSPHRASE, Scene, fill, lines_of, rewrite
from tests.support.golden import Golden, all_goldens
from tests.support.programs import Outcome, Program, Workspace
from tests.support.tree import Fidelity, assert_same_tree, snapshot

NEXT_DAY_TEXT = "Fri Jan  2 12:00:00 2026"
FULL = "duplicity-full.20260101T120000Z"
INCREMENT = "duplicity-inc.20260101T120000Z.to.20260102T120000Z"
SECOND_FULL = "duplicity-full.20260103T120000Z"
FINISHED = [golden for golden in all_goldens() if not golden.about.unfinished]
WITH_PREFIXES = ("--file-prefix", "p-", "--file-prefix-archive", "a-", "--file-prefix-manifest", "m-")


def copy_of(scene: Scene) -> Path:
    return scene.folder / "copy"


def url_of_copy(scene: Scene) -> str:
    return f"file://{copy_of(scene)}"


def replicate(scene: Scene, *options: str, expect: int = 0) -> Outcome:
    return scene.run("replicate", scene.url, url_of_copy(scene), *options, expect=expect)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def cache_of_copy(scene: Scene) -> tuple[str, ...]:
    """Words for a run on the copy, whose cache is another one."""
    return ("--archive-dir", str(scene.folder / "archive"), "--current-time", str(scene.now), *scene.settings)


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


@pytest.fixture
def chains(scene: Scene) -> Scene:
    """A full set, an increment a day later, and a full set after another day; the times are those of the sets."""
    scene.back_up()
    rewrite(scene.source / "docs" / "a.txt", b"alpha, changed\n", time=NOON + 60)
    scene.at(NOON + DAY).back_up()
    scene.at(NOON + 2 * DAY).back_up(action="full")
    return scene


@pytest.fixture
def plain_chains(plain: Scene) -> Scene:
    plain.back_up()
    rewrite(plain.source / "docs" / "a.txt", b"alpha, changed\n", time=NOON + 60)
    plain.at(NOON + DAY).back_up()
    plain.at(NOON + 2 * DAY).back_up(action="full")
    return plain


# ---- copies ----------------------------------------------------------------------------------------------------------


def test_a_copy_is_the_same_and_restores(chains: Scene) -> None:
    done = replicate(chains)
    lines = lines_of(done.stdout)
    assert [line.partition(":")[0] for line in lines] == [
        f"Copying the full backup of {NOON_TEXT[:13]}",
        f"Copying the incremental backup of {NEXT_DAY_TEXT[:13]}",
        "Copying the full backup of Sat Jan  3 12",
        "Replicate complete",
    ]
    assert lines[-1].startswith("Replicate complete: 3 backup set(s) copied (9 file(s), ")
    assert lines[-1].endswith(" KB), 0 there already, 0 not copied.")
    assert done.stderr == ""
    assert contents(copy_of(chains)) == contents(chains.target)
    restored = chains.folder / "restored"
    chains.run_bare("restore", url_of_copy(chains), str(restored), *cache_of_copy(chains))
    expected = snapshot(os.fsencode(chains.source))
    assert_same_tree(os.fsencode(restored), expected, fidelity=Fidelity.FULL)
    older = chains.folder / "older"
    chains.run_bare("restore", "--time", str(NOON), url_of_copy(chains), str(older), *cache_of_copy(chains))
    assert (older / "docs" / "a.txt").read_bytes() == b"alpha\n"


def test_the_same_again_sends_only_what_is_new(chains: Scene) -> None:
    replicate(chains)
    assert lines_of(replicate(chains).stdout) == [
        "Replicate complete: 0 backup set(s) copied (0 file(s), 0 bytes), 3 there already, 0 not copied."
    ]
    rewrite(chains.source / "docs" / "b.txt", b"beta, changed\n", time=NOON + 120)
    chains.at(NOON + 3 * DAY).back_up()
    assert "1 backup set(s) copied (3 file(s), " in replicate(chains).stdout
    assert contents(copy_of(chains)) == contents(chains.target)


def test_a_copy_can_be_continued_and_copied_again(chains: Scene) -> None:
    replicate(chains)
    rewrite(chains.source / "docs" / "b.txt", b"beta, changed\n", time=NOON + 120)
    later = chains.at(NOON + 3 * DAY)
    later.run_bare("incremental", str(chains.source), url_of_copy(chains), *cache_of_copy(later))
    before = contents(copy_of(chains))
    assert len(before) == len(contents(chains.target)) + 3
    replicate(chains)
    assert contents(copy_of(chains)) == before
    # The other way round, the source gets what was added to its copy.
    chains.run("replicate", url_of_copy(chains), chains.url)
    assert contents(chains.target) == before


def test_a_copy_that_went_its_own_way_is_not_forked(plain_chains: Scene) -> None:
    scene = plain_chains
    replicate(scene)
    rewrite(scene.source / "docs" / "b.txt", b"beta, changed\n", time=NOON + 120)
    later = scene.at(NOON + 3 * DAY)
    later.run_bare("incremental", str(scene.source), url_of_copy(scene), *cache_of_copy(later))
    before = contents(copy_of(scene))
    scene.at(NOON + 4 * DAY).back_up(action="incremental")
    done = replicate(scene, expect=1)
    named, result = lines_of(done.stdout)
    assert named.startswith(
        "The incremental backup of Mon Jan  5 12:00:00 2026 is not copied: at the target, a backup "
    )
    assert result == "Replicate complete: 0 backup set(s) copied (0 file(s), 0 bytes), 3 there already, 1 not copied."
    assert done.stderr == "1 backup set(s) have not been copied; they have been named\n"
    assert contents(copy_of(scene)) == before


def test_a_dry_run_tells_what_it_would_copy(plain_chains: Scene) -> None:
    done = replicate(plain_chains, "--dry-run", "-v5")
    assert f"{INCREMENT}.manifest" in lines_of(done.stdout)
    assert "Would copy 3 backup set(s) (9 file(s), at most " in lines_of(done.stdout)[-1]
    assert not copy_of(plain_chains).exists()


def test_only_what_was_there_at_a_time_is_copied(plain_chains: Scene) -> None:
    replicate(plain_chains, "--time", str(NOON + DAY))
    assert not [name for name in os.listdir(copy_of(plain_chains)) if name.startswith(SECOND_FULL)]
    assert f"{INCREMENT}.manifest" in os.listdir(copy_of(plain_chains))
    done = replicate(plain_chains, "--time", str(NOON - DAY), expect=30)
    assert done.stderr == f"The oldest backup at the source is of {NOON_TEXT}: none is so old\n"


def test_prefixes_are_those_of_both_sides(plain: Scene) -> None:
    plain.back_up()
    scene = plain.with_settings(*plain.settings, *WITH_PREFIXES)
    scene.at(NOON + DAY).back_up()
    assert "1 backup set(s) copied (3 file(s)" in replicate(scene).stdout
    assert sorted(contents(copy_of(scene))) == [name for name in scene.names() if name.startswith("p-")]


def test_files_are_named_at_info(plain: Scene) -> None:
    plain.back_up()
    written = [line for line in lines_of(replicate(plain, "-v5").stdout) if line.startswith("Writing ")]
    signatures = "duplicity-full-signatures.20260101T120000Z.sigtar.gz"
    assert written == [f"Writing {name}" for name in (f"{FULL}.vol1.difftar.gz", signatures, f"{FULL}.manifest")]


def test_progress_ends_with_everything(plain: Scene) -> None:
    plain.back_up()
    assert "100% ETA 0sec (finished)" in replicate(plain, "--progress").stdout


def test_statistics_are_copied_as_well(plain: Scene) -> None:
    plain.back_up("--jsonstat")
    replicate(plain)
    assert contents(copy_of(plain)) == contents(plain.target)
    assert f"{FULL}.jsonstat.gz" in plain.names()


@pytest.mark.parametrize("golden", FINISHED, ids=str)
def test_archives_of_every_program_and_age_are_copied_as_they_are(plain: Scene, golden: Golden) -> None:
    golden.copy_into(os.fsencode(plain.folder))
    given = {} if golden.about.passphrase is None else {"PASSPHRASE": golden.about.passphrase}
    home = plain.folder / "home"
    home.chmod(0o700)
    scene = plain.with_settings(*golden.about.options).with_only({**given, "GNUPGHOME": str(home)})
    assert f"{len(golden.about.times)} backup set(s) copied" in replicate(scene).stdout
    assert contents(copy_of(scene)) == contents(scene.target)


def test_duplicity_restores_a_copy(workspace: Workspace, twofold: Program, duplicity: Program, tmp_path: Path) -> None:
    source = tmp_path / "source"
    fill(source)
    with_passphrase = workspace.with_passphrase(PASSPHRASE)
    url, copy = workspace.url(), workspace.url("copy")
    with_passphrase.run(duplicity, "full", str(source), url).expect()
    rewrite(source / "docs" / "a.txt", b"alpha, changed\n", time=NOON + 60)
    with_passphrase.run(twofold, "incremental", str(source), url).expect()
    with_passphrase.run(twofold, "replicate", url, copy).expect()
    with_passphrase.run(duplicity, "restore", copy, str(tmp_path / "restored")).expect()
    expected = snapshot(os.fsencode(source))
    assert_same_tree(os.fsencode(tmp_path / "restored"), expected, fidelity=Fidelity.DUPLICITY)
    rewrite(source / "docs" / "a.txt", b"alpha, once more\n", time=NOON + 120)
    with_passphrase.run(duplicity, "incremental", str(source), copy).expect()
    with_passphrase.run(twofold, "replicate", copy, url).expect()
    assert contents(tmp_path / "target") == contents(tmp_path / "copy")


# ---- keys and caches -------------------------------------------------------------------------------------------------


def test_without_passphrase_and_cache_the_copy_is_made_and_that_is_said(symmetric: Scene) -> None:
    symmetric.back_up()
    lost = symmetric.with_only({"GNUPGHOME": symmetric.variables["GNUPGHOME"]})
    words = ("replicate", symmetric.url, url_of_copy(symmetric), "--archive-dir", str(symmetric.folder / "elsewhere"))
    done = lost.run_bare(*words, *symmetric.settings)
    notes = [line for line in lines_of(done.stdout) if line.startswith("Volumes are compared with what the target")]
    assert len(notes) == 1
    assert contents(copy_of(symmetric)) == contents(symmetric.target)


def test_without_passphrase_the_cache_has_the_hashes(symmetric: Scene) -> None:
    symmetric.back_up()
    spoil(symmetric.target / f"{FULL}.vol1.difftar.gpg")
    scene = symmetric.with_only({"GNUPGHOME": symmetric.variables["GNUPGHOME"]})
    replicate(scene, expect=21)
    assert f"{FULL}.manifest.gpg" not in contents(copy_of(scene))


def test_a_wrong_passphrase_copies_nothing(symmetric: Scene) -> None:
    symmetric.back_up()
    done = replicate(symmetric.with_variables(PASSPHRASE="wrong"), expect=31)
    assert f"The full backup of {NOON_TEXT} is not copied: Cannot decrypt " in done.stdout
    assert contents(copy_of(symmetric)) == {}


# ---- damage and other archives ---------------------------------------------------------------------------------------


def test_a_damaged_volume_is_named_and_other_chains_go_on(chains: Scene) -> None:
    name = f"{FULL}.vol1.difftar{chains.suffix}"
    spoil(chains.target / name)
    log = chains.folder / "log"
    done = replicate(chains, "--log-file", str(log), expect=21)
    assert f"Hash mismatch for: {name}" in done.stderr
    told = f"The full backup of {NOON_TEXT} is not copied, nor are the 1 set(s) that build on it: "
    assert f"{told}Hash mismatch for: {name}" in lines_of(done.stdout)
    assert lines_of(done.stdout)[-1].startswith("Replicate complete: 1 backup set(s) copied (3 file(s), ")
    assert lines_of(done.stdout)[-1].endswith("0 there already, 2 not copied.")
    assert all(
        name.startswith((SECOND_FULL, SECOND_FULL.replace("full", "full-signatures")))
        for name in contents(copy_of(chains))
    )
    assert "ERROR 21" in log.read_text()


def test_a_damaged_copy_is_mended(chains: Scene) -> None:
    replicate(chains)
    (copy_of(chains) / f"{INCREMENT}.vol1.difftar{chains.suffix}").unlink()
    (copy_of(chains) / f"{FULL}.vol1.difftar{chains.suffix}").write_bytes(b"cut")
    done = replicate(chains)
    assert f"Copying what the target has lost of the full backup of {NOON_TEXT}: 1 file(s), " in done.stdout
    assert contents(copy_of(chains)) == contents(chains.target)


def test_a_cut_source_does_not_spoil_a_good_copy(symmetric: Scene) -> None:
    symmetric.back_up()
    replicate(symmetric)
    before = contents(copy_of(symmetric))
    volume = symmetric.target / f"{FULL}.vol1.difftar.gpg"
    os.truncate(volume, 1000)
    keyless = symmetric.with_only({"GNUPGHOME": symmetric.variables["GNUPGHOME"]})
    words = ("replicate", keyless.url, url_of_copy(keyless), "--archive-dir", str(keyless.folder / "elsewhere"))
    done = keyless.run_bare(*words, *keyless.settings, expect=1)
    named = f"{volume.name} has 1000 bytes at the source and {len(before[volume.name])} at the target"
    assert f"The full backup of {NOON_TEXT} is in doubt: {named}" in done.stdout
    assert lines_of(done.stdout)[-1].endswith("1 there already, 0 not copied, 1 in doubt.")
    assert done.stderr.startswith("Not all is as it should be at the source or at the target")
    assert contents(copy_of(symmetric)) == before
    # With the passphrase the source is known to be the damaged one.
    assert f"Hash mismatch for: {volume.name}" in replicate(symmetric, expect=21).stderr
    assert contents(copy_of(symmetric)) == before


def test_cut_signatures_are_mended_from_the_side_that_is_whole(symmetric: Scene) -> None:
    symmetric.back_up()
    replicate(symmetric)
    before = contents(copy_of(symmetric))
    name = "duplicity-full-signatures.20260101T120000Z.sigtar.gpg"
    os.truncate(copy_of(symmetric) / name, 200)
    replicate(symmetric)
    assert contents(copy_of(symmetric)) == before
    os.truncate(symmetric.target / name, 200)
    document = json.loads(replicate(symmetric, "--json", expect=1).stdout)
    (doubt,) = document["result"]["doubts"]
    assert (doubt["kind"], doubt["time"]) == ("full", "2026-01-01T12:00:00Z")
    assert doubt["reason"].startswith(f"{name} has 200 bytes at the source")
    assert contents(copy_of(symmetric)) == before


def test_sets_that_are_left_out_for_good_are_counted(plain_chains: Scene) -> None:
    (plain_chains.target / f"{FULL}.manifest").unlink()
    done = replicate(plain_chains, expect=1)
    assert f"The full backup of {NOON_TEXT} is not copied: the source has lost its manifest" in done.stdout
    assert f"backup of {NEXT_DAY_TEXT} is not copied: the source has lost a backup that it builds on" in done.stdout
    assert lines_of(done.stdout)[-1].endswith("0 there already, 2 not copied.")
    assert done.stderr == "2 backup set(s) have not been copied; they have been named\n"


def test_an_unfinished_last_set_is_left_out_without_an_error(plain_chains: Scene) -> None:
    (plain_chains.target / f"{SECOND_FULL}.manifest").unlink()
    elsewhere = ("--archive-dir", str(plain_chains.folder / "elsewhere"), *plain_chains.settings)
    done = plain_chains.run_bare("replicate", plain_chains.url, url_of_copy(plain_chains), *elsewhere)
    assert "is not complete at the source, so it is not copied" in done.stdout


def test_a_chain_with_another_passphrase_is_refused_with_the_remedy_and_copied_unread(symmetric: Scene) -> None:
    symmetric.back_up()
    symmetric.at(NOON + DAY).with_variables(PASSPHRASE="another").back_up(action="full")
    elsewhere = ("--archive-dir", str(symmetric.folder / "elsewhere"), *symmetric.settings)
    words = ("replicate", symmetric.url, url_of_copy(symmetric), *elsewhere)
    done = symmetric.run_bare(*words, expect=31)
    assert "If it has another passphrase, give that one, or copy it unread: without PASSPHRASE" in done.stdout
    symmetric.with_only({"GNUPGHOME": symmetric.variables["GNUPGHOME"]}).run_bare(*words)
    assert contents(copy_of(symmetric)) == contents(symmetric.target)
    # Now that it is there, that it cannot be read is no error any more.
    assert "0 backup set(s) copied (0 file(s), 0 bytes), 2 there already" in symmetric.run_bare(*words).stdout


def test_another_archive_is_refused_with_both_names(plain_chains: Scene) -> None:
    scene = plain_chains
    (scene.source / "big").write_bytes(b"of another archive")
    for now, action in ((NOON, "full"), (NOON + DAY, "incremental")):
        other = scene.at(now)
        other.run_bare(action, str(scene.source), url_of_copy(scene), *cache_of_copy(other))
    before = contents(copy_of(scene))
    done = replicate(scene, expect=23)
    (line,) = lines_of(done.stderr)
    assert line.startswith(f"{scene.url} cannot be copied to {url_of_copy(scene)}: The manifest ")
    assert contents(copy_of(scene)) == before


def test_a_target_with_unknown_backups_wants_to_be_confirmed(plain_chains: Scene) -> None:
    scene = plain_chains
    other = scene.at(NOON - DAY)
    other.run_bare("full", str(scene.source), url_of_copy(scene), *cache_of_copy(other))
    assert "add --allow-source-mismatch" in replicate(scene, expect=23).stderr
    assert len(contents(copy_of(scene))) == 3
    replicate(scene, "--allow-source-mismatch")
    assert len(contents(copy_of(scene))) == 12


def test_a_source_without_backups_is_an_error(plain: Scene) -> None:
    done = replicate(plain, expect=30)
    assert done.stderr == "There is no complete backup at the source. Check its URL and the file prefixes\n"
    assert not copy_of(plain).exists()


# ---- the command line ------------------------------------------------------------------------------------------------


def test_the_answer_for_programs(plain_chains: Scene) -> None:
    spoil(plain_chains.target / f"{INCREMENT}.vol1.difftar.gz")
    document = json.loads(replicate(plain_chains, "--json", expect=21).stdout)
    assert (document["action"], document["exit_code"], document["error"]["name"]) == ("replicate", 21, "BadVolume")
    result = document["result"]
    assert list(result) == [
        *("dry_run", "copied", "files", "bytes", "present", "present_files", "lost", "forked", "incomplete"),
        *("broken", "doubts"),
    ]
    assert result["copied"] == [
        {"kind": "full", "time": "2026-01-01T12:00:00Z"},
        {"kind": "full", "time": "2026-01-03T12:00:00Z"},
    ]
    assert result["lost"] == [
        {
            "kind": "inc",
            "time": "2026-01-02T12:00:00Z",
            "reason": f"Hash mismatch for: {INCREMENT}.vol1.difftar.gz",
            "waiting": [],
        }
    ]
    assert (result["files"], result["dry_run"], result["present"]) == (6, False, [])
    dry = json.loads(replicate(plain_chains, "--json", "--dry-run").stdout)["result"]
    assert (dry["dry_run"], dry["files"], len(dry["copied"]), len(dry["present"])) == (True, 3, 1, 2)


def test_who_calls_us_duplicity_has_no_such_action(plain: Scene) -> None:
    plain.back_up()
    replicate(plain.called("duplicity"), expect=23)
    assert not copy_of(plain).exists()
    assert "replicate" not in plain.called("duplicity").run_bare("--help-all").stdout
    assert "twofold replicate [options] source_url target_url" in plain.run_bare("--help").stdout


def test_both_words_have_to_be_urls_and_different_ones(plain: Scene) -> None:
    assert "The target has to be a URL" in plain.run("replicate", plain.url, str(copy_of(plain)), expect=23).stderr
    assert "The place of the backup has to be a URL" in plain.run("replicate", "here", plain.url, expect=23).stderr
    assert "replicate takes source_url target_url" in plain.run("replicate", plain.url, expect=23).stderr
    assert "Source and target are the same" in plain.run("replicate", plain.url, plain.url, expect=23).stderr


def test_one_directory_in_other_words_is_the_same(plain: Scene) -> None:
    plain.back_up()
    (plain.folder / "link").symlink_to(plain.target)
    for word in (f"{plain.folder}/./target", f"{plain.folder}/link", f"{plain.folder}/t%61rget", f"//{plain.target}"):
        done = plain.run("replicate", plain.url, f"file://{word}", expect=23)
        assert done.stderr.startswith("Source and target are the same: ")


def test_a_password_is_never_shown(plain: Scene) -> None:
    url = "file://somebody:geheim@host/place"
    for done in (plain.run("replicate", url, url, expect=23), plain.run("replicate", plain.url, url, expect=30)):
        assert "geheim" not in done.stdout + done.stderr


def test_the_cache_of_the_target_is_locked_meanwhile(plain: Scene) -> None:
    plain.back_up()
    replicate(plain, "--dry-run")
    (cache,) = [path for path in (plain.folder / "archive").iterdir() if path.name != "scene"]
    # A lock is the process's, so another one has to hold it.
    holder = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    words = ["python3", "-c", holder, str(cache / "lockfile")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        stderr = replicate(plain, expect=23).stderr
        process.communicate(b"\n")
    assert f"Another backup is running on the archive directory {cache}" in stderr
    assert not copy_of(plain).exists()


def test_the_cache_of_the_copy_is_filled_when_it_is_used(symmetric: Scene) -> None:
    symmetric.back_up()
    replicate(symmetric)
    scene = Scene(symmetric.folder, symmetric.settings, MappingProxyType(dict(symmetric.variables)))
    done = scene.run_bare("list-current-files", url_of_copy(scene), *cache_of_copy(scene))
    assert f"Copying {FULL}.manifest.gpg to local cache." in done.stdout

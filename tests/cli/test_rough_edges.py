"""Rough edges of duplicity (docs/cli.md section 11): what is said, asked and shown; all in docs/differences.md."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.cli.scene import DAY, NOON, Scene, lines_of, rewrite
from tests.support.gnupg import GnupgHome

MANY = NOON + 5 * DAY
INCREMENT = "duplicity-inc.20260101T120000Z.to.20260102T120000Z"


def chain(scene: Scene) -> None:
    """A full set and, a day later, an increment."""
    scene.back_up()
    rewrite(scene.source / "docs" / "a.txt", b"alpha, changed\n", time=NOON + 60)
    scene.at(NOON + DAY).back_up()


# ---- messages --------------------------------------------------------------------------------------------------------


def test_a_backup_says_nothing_about_its_own_insides(plain: Scene) -> None:
    log = plain.folder / "log"
    for program in ("twofold", "duplicity"):
        done = plain.called(program).back_up("--log-file", str(log), action="full")
        assert "DEBUG" not in done.stdout + log.read_text()
        assert "to_partial" not in done.stdout


@pytest.mark.parametrize("program", ["twofold", "duplicity"])
def test_only_a_backup_that_was_made_is_said_to_be_complete(plain: Scene, program: str) -> None:
    scene = plain.called(program)
    rehearsed = {"twofold": "Dry run complete: no backup was made.", "duplicity": "Duplicity backup complete."}
    assert lines_of(scene.back_up("--dry-run").stdout)[-1] == rehearsed[program]
    assert lines_of(scene.back_up().stdout)[-1].lower().endswith("backup complete.")
    out = str(plain.folder / "out")
    others = [
        scene.run("restore", plain.url, out),
        scene.run("verify", plain.url, str(plain.source)),
        scene.run("cleanup", plain.url),
        scene.run("collection-status", plain.url),
        scene.run("restore", plain.url, out, expect=11),
        scene.run("full", str(plain.folder / "nosuch"), plain.url, expect=23),
    ]
    assert all("complete." not in done.stdout.removesuffix("compared, 0 difference(s) found.\n") for done in others)


@pytest.mark.parametrize(
    ("words", "code", "word"),
    [
        (("list-current-files", "@EMPTY"), 30, "CollectionsError"),
        (("remove-all-but-n-full", "0", "@URL"), 30, "AssertionError"),
        (("collection-status", "@URL", "--show-changes-in-set", "7"), 30, "IndexError"),
        (("full", "@SOURCE", "@URL", "--exclude-regexp", "["), 30, "error"),
        (("full", "@SOURCE", "@URL", "--tempdir", "/no/such/place"), 23, ""),
    ],
)
def test_ordinary_mistakes_are_a_sentence_and_keep_number_and_class(
    plain: Scene, words: Sequence[str], code: int, word: str
) -> None:
    plain.back_up()
    log = plain.folder / "log"
    places = {"@URL": plain.url, "@SOURCE": str(plain.source), "@EMPTY": f"file://{plain.folder}/empty"}
    done = plain.run(*(places.get(each, each) for each in words), "--log-file", str(log), expect=code)
    assert len(lines_of(done.stderr)) <= 3
    assert f"\nERROR {code}{' ' if word else ''}{word}\n" in "\n" + log.read_text()


def test_a_first_backup_is_no_reason_to_warn(plain: Scene) -> None:
    log = plain.folder / "log"
    done = plain.back_up("--log-file", str(log))
    assert "No signatures found, switching to full backup.\n" in done.stdout
    assert "WARNING" not in log.read_text()


@pytest.mark.parametrize(("program", "word"), [("twofold", "encryption"), ("duplicity", "decryption")])
def test_a_passphrase_to_encrypt_with_is_asked_for_as_such(
    symmetric: Scene, monkeypatch: pytest.MonkeyPatch, program: str, word: str
) -> None:
    asked = answering(monkeypatch, lambda _: "a new passphrase")
    scene = symmetric.with_only({"GNUPGHOME": symmetric.variables["GNUPGHOME"]}).called(program)
    scene.back_up()
    assert asked == [f"GnuPG passphrase for {word}: ", f"Retype passphrase for {word} to confirm: "]
    asked.clear()
    scene.run("restore", scene.url, str(scene.folder / "out"))
    assert asked == ["GnuPG passphrase for decryption: "]


def answering(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str], str]) -> list[str]:
    """Has somebody sit at the terminal; the list holds what was asked."""
    asked: list[str] = []

    def ask(_: object, prompt: str) -> str:
        asked.append(prompt)
        return answer(prompt)

    monkeypatch.setattr("twofold.ui.prompt.TerminalPrompter.ask", ask)
    monkeypatch.setattr("twofold.ui.prompt.TerminalPrompter.is_person", True)
    return asked


def test_names_are_shown_without_the_dress_of_python(plain: Scene) -> None:
    out = []
    out.append(plain.back_up("-v9"))
    (plain.source / "link").unlink()
    (plain.source / "link").symlink_to("elsewhere")
    rewrite(plain.source / "docs" / "a.txt", b"another\n", time=NOON + 60)
    out.append(plain.run("verify", plain.url, str(plain.source), "-v9", expect=1))
    out.append(plain.at(NOON + DAY).back_up("-v9"))
    out.append(plain.run("collection-status", plain.url, "--show-changes-in-set", "0"))
    out.append(plain.run("restore", plain.url, str(plain.folder / "out"), "-v9"))
    shown = "".join(done.stdout + done.stderr for done in out)
    assert "link" in shown
    assert "b'" not in shown


@pytest.mark.parametrize(
    "words", [("remove-all-but-n-full", "1"), ("remove-older-than", "1Y"), ("remove-all-inc-of-but-n-full", "1")]
)
def test_nobody_is_sent_to_force_where_nothing_would_be_deleted(plain: Scene, words: tuple[str, str]) -> None:
    chain(plain)
    said = plain.at(NOON + 2 * DAY).run(*words, plain.url).stdout
    assert "--force" not in said
    assert said.endswith("No old backup sets found, nothing deleted.\n")


def test_the_help_is_one_and_tells_units_and_targets_as_they_are(plain: Scene) -> None:
    assert plain.run_bare("-h").stdout == plain.run_bare("--help").stdout
    every = " ".join(plain.run_bare("--help-all").stdout.split())
    assert "--copy-blocksize KIB How many KiB to copy or compare at a time (default: 128)" in every
    urls = plain.run_bare("--help-urls").stdout
    assert all(form in urls for form in ("file:///", "par2+", "gio+"))
    assert "ssh://" not in urls


@pytest.mark.parametrize("action", ["full", "restore", "verify"])
def test_progress_into_a_pipe_has_no_codes_and_is_there_for_reading_too(plain: Scene, action: str) -> None:
    plain.back_up()
    words = {
        "full": (str(plain.source), plain.url),
        "restore": (plain.url, str(plain.folder / "out")),
        "verify": (plain.url, str(plain.source)),
    }[action]
    done = plain.at(NOON + DAY).run(action, *words, "--progress")
    assert "100% ETA 0sec" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


# ---- the command line ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["docs/", "/docs", "./docs", "docs"])
def test_a_path_to_restore_may_be_written_as_people_write_paths(plain: Scene, path: str) -> None:
    plain.back_up()
    out = plain.folder / "out"
    plain.run("restore", "--path-to-restore", path, plain.url, str(out))
    assert sorted(os.listdir(out)) == ["a.txt", "b.txt"]


def test_old_names_of_options_are_understood(plain: Scene) -> None:
    plain.back_up()
    out = plain.folder / "out"
    plain.run("restore", "--file-to-restore=docs/a.txt", "--do-not-restore-ownership", plain.url, str(out))
    assert out.read_bytes() == b"alpha\n"


def test_two_dashes_and_values_with_dashes_are_understood(plain: Scene) -> None:
    scene = plain.folder
    words = ("full", "--no-encryption", "--archive-dir", str(scene / "archive"), "--exclude", "**", "--name", "-n")
    plain.run_bare(*words, "--", str(plain.source), plain.url)
    assert os.listdir(scene / "archive") == ["-n"]


@pytest.mark.parametrize(
    ("option", "number"),
    [
        ("--volsize", "-5"),
        ("--volsize", "0"),
        ("--concurrency", "-1"),
        ("--concurrency", "99999999"),
        ("--num-retries", "0"),
        ("--timeout", "-4"),
        ("--copy-blocksize", "0"),
        ("--progress-rate", "0"),
        ("--full-if-n-inc", "-2"),
        ("--max-blocksize", "-1"),
        ("--backend-retry-delay", "-1"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(plain: Scene, option: str, number: str) -> None:
    done = plain.back_up(option, number, expect=23)
    assert f"Option {option} must be at " in done.stderr
    assert f", not {number}" in done.stderr
    assert not plain.target.exists()


def test_four_slashes_are_three(plain: Scene) -> None:
    plain.run("full", str(plain.source), f"file:///{plain.target}")
    assert plain.names()
    assert os.listdir(plain.folder / "home") == []


def test_settings_that_do_nothing_are_accepted(plain: Scene) -> None:
    words = ("--config-dir", "/no/such", "--encrypt-secret-keyring", "x", "--idr-fakeroot", "x")
    plain.with_variables(SLATE_SSL_VERIFY="0").back_up(*words, "--azure-max-block-size", "3")


# ---- the machine log -------------------------------------------------------------------------------------------------


def test_timestamps_do_not_silence_the_machine_log(plain: Scene) -> None:
    log = plain.folder / "log"
    reading, writing = os.pipe()
    with open(reading, "rb") as stream:
        plain.back_up("--log-timestamp", "--log-fd", str(writing), "--log-file", str(log))
        os.close(writing)
        assert stream.read() == log.read_bytes()
    assert "\nNOTICE 1\n" in log.read_text()


def test_names_that_are_no_text_have_their_stanza(plain: Scene) -> None:
    with open(os.fsencode(plain.source) + b"/\xff\xfe x", "wb"):
        pass
    log = plain.folder / "log"
    plain.back_up()
    plain.run("list-current-files", plain.url, "--log-file", str(log))
    heads = [line for line in log.read_bytes().split(b"\n") if line.startswith(b"INFO 10 ")]
    assert len(heads) == 7
    # COMPAT: duplicity <= 3.2.1: blanks stand as they are, Déjà Dup reads them so.
    assert sum(b" x'" in head for head in heads) == 1


# ---- the place of the cache ------------------------------------------------------------------------------------------


def test_the_cache_is_named_after_the_url_as_it_is_typed(plain: Scene) -> None:
    words = ("--archive-dir", str(plain.folder / "archive"), "--no-encryption")
    for program in ("twofold", "duplicity"):
        plain.called(program).run_bare("full", str(plain.source), plain.url, *words)
    assert len(os.listdir(plain.folder / "archive")) == 1
    plain.run_bare("full", str(plain.source), f"{plain.url}/", *words)
    assert len(os.listdir(plain.folder / "archive")) == 2
    path = Path(plain.folder / "archive")
    plain.run_bare("full", str(plain.source), f"{plain.url}/", *words, "--name", "mine")
    assert (path / "mine").is_dir()


# ---- keys ------------------------------------------------------------------------------------------------------------


def test_a_full_backup_with_another_passphrase_warns(symmetric: Scene) -> None:
    symmetric.back_up()
    mistyped = symmetric.with_variables(PASSPHRASE="mistyped").at(NOON + DAY)
    done = mistyped.back_up(action="full")
    assert (
        "The backup of Thu Jan  1 12:00:00 2026 cannot be opened with the passphrase of this one, and needs its own"
        in done.stdout
    )
    assert "cannot be opened" not in mistyped.at(NOON + 2 * DAY).back_up(action="full").stdout


def test_a_full_backup_for_a_key_opens_nothing(symmetric: Scene, gnupg_home: GnupgHome) -> None:
    symmetric.back_up()
    done = symmetric.with_variables(PASSPHRASE="that of a key").at(NOON + DAY)
    key = gnupg_home.bare.fingerprint
    assert "cannot be opened" not in done.back_up("--encrypt-key", key, action="full").stdout


def test_a_restore_on_a_new_machine_asks_for_the_passphrase_of_the_key(
    symmetric: Scene, gnupg_home: GnupgHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = gnupg_home.locked
    scene = symmetric.with_only({"GNUPGHOME": gnupg_home.path})
    words = ("--encrypt-key", key.fingerprint)
    scene.back_up(*words)
    for file in scene.archive_dir.iterdir():
        file.unlink()
    asked = answering(monkeypatch, lambda _: key.passphrase)
    scene.run("restore", scene.url, str(scene.folder / "out"), *words)
    assert asked == ["GnuPG passphrase for decryption: "]
    asked.clear()
    gnupg_home.forget_passphrases()
    scene.at(NOON + DAY).back_up(*words, "--sign-key", key.fingerprint, action="full")
    assert asked == ["GnuPG passphrase for signing key: "]


def test_a_chain_that_is_signed_in_part_is_refused_and_nothing_waits(symmetric: Scene, gnupg_home: GnupgHome) -> None:
    key = gnupg_home.bare.fingerprint
    words = ("--encrypt-key", key)
    scene = symmetric.with_variables(PASSPHRASE="", SIGN_PASSPHRASE="")
    scene.back_up(*words, "--sign-key", key)
    rewrite(scene.source / "docs" / "a.txt", b"alpha, changed\n", time=NOON + 60)
    scene.at(NOON + DAY).back_up(*words)
    done = scene.run("verify", scene.url, str(scene.source), *words, "--sign-key", key, expect=22)
    assert f"{INCREMENT}.vol1.difftar.gpg carries no good signature; one by key {key} is demanded\n" in done.stderr

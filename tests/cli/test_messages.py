"""The mistakes that people make, and word for word what they are told: what happened, to what, and what to do.

Mistakes in the command line itself stand in test_errors.py, and so do those that need another process.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.cli.scene import DAY, NOON, NOON_TEXT, PASSPHRASE, SYNCHRONIZED, Scene, fails, incompressible, rewrite
from tests.support.gnupg import LOCKED_PASSPHRASE, GnupgHome
from twofold.storage.registry import SCHEMES, Form, Scheme

SET = "duplicity-full.20260101T120000Z"
FOUND = f"{SYNCHRONIZED}\nLast full backup date: {NOON_TEXT}\n"
NOTHING = f"{SYNCHRONIZED}\nLast full backup date: none\n"
NO_BACKUP = "there is no backup at the target. Check the URL and the file prefixes"


def told(scene: Scene, *words: str, code: int, stanza: str, said: str = "") -> str:
    """What a person reads of a failure, without its last line end; the machine log has the same."""
    return fails(scene, *words, code=code, stanza=stanza, said=said).removesuffix("\n")


def beginning(scene: Scene, *words: str, code: int, stanza: str) -> str:
    """The lines before gpg's own, which are in a frame that front ends look for."""
    log = scene.folder / "log"
    log.unlink(missing_ok=True)
    done = scene.run(*words, "--log-file", str(log), expect=code)
    lines, frame, rest = done.stderr.partition("\n===== Begin GnuPG log =====\n")
    assert frame
    assert rest.endswith("\n===== End GnuPG log =====\n\n")
    assert f"\n{stanza}\n. {lines.splitlines()[0]}\n" in f"\n{log.read_text()}"
    return lines


@pytest.fixture
def stored(plain: Scene) -> Scene:
    plain.back_up()
    return plain


# ---- nothing to read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["twofold", "duplicity"])
@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("restore", "@URL", "@OUT"), f"No backup chains found: {NO_BACKUP}"),
        (("verify", "@URL", "@SOURCE"), f"No backup chains found: {NO_BACKUP}"),
        (
            ("list-current-files", "@URL"),
            (
                "No signature chains found: there is no complete backup with signatures at the target. "
                "Check the URL and the file prefixes"
            ),
        ),
    ],
)
def test_no_backup_at_the_target(plain: Scene, program: str, words: tuple[str, ...], text: str) -> None:
    places = {"@URL": plain.url, "@OUT": str(plain.folder / "out"), "@SOURCE": str(plain.source)}
    filled = [places.get(word, word) for word in words]
    scene = plain.called(program)
    assert told(scene, *filled, code=30, stanza="ERROR 30 CollectionsError", said=NOTHING) == text


def test_nothing_from_so_early_a_time(stored: Scene) -> None:
    log = stored.folder / "log"
    words = ("--time", "2001-01-01", "--log-file", str(log))
    done = stored.run("restore", stored.url, str(stored.folder / "out"), *words)
    text = f"There is no backup from so early; the oldest one is used, of {NOON_TEXT}"
    assert (done.stdout, done.stderr) == (f"{FOUND}{text}\n", "")
    assert f"\nWARNING 1\n. {text}\n\n" in log.read_text()
    log.unlink()
    listed = stored.run("list-current-files", stored.url, *words)
    assert listed.stderr == ""
    assert "\nWARNING 11 20260101T120000Z\n. " in log.read_text()


def test_a_path_that_is_not_in_the_backup(stored: Scene) -> None:
    words = ("restore", stored.url, str(stored.folder / "out"), "--path-to-restore", "docs/nosuch")
    assert told(stored, *words, code=19, stanza="ERROR 19", said=FOUND) == (
        "docs/nosuch not found in archive - no files restored. Paths are as list-current-files shows them; those of "
        "another day need --time"
    )


def test_a_selection_that_leaves_nothing(stored: Scene) -> None:
    words = ("restore", stored.url, str(stored.folder / "out"), "--exclude", "**")
    assert told(stored, *words, code=20, stanza="ERROR 20", said=FOUND) == (
        "No files found in archive - nothing restored. Check what is included and excluded"
    )


# ---- where to restore to ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["twofold", "duplicity"])
@pytest.mark.parametrize(("place", "fault"), [("source", "is not empty"), ("source/big", "is no directory")])
def test_something_stands_where_a_restore_would_write(stored: Scene, program: str, place: str, fault: str) -> None:
    out = stored.folder / place
    assert told(stored.called(program), "restore", stored.url, str(out), code=11, stanza="ERROR 11") == (
        f"Cannot restore to {out}: it {fault}.\n"
        "Will not overwrite without --force; name a new directory or an empty one"
    )


def test_the_current_directory_is_no_place_to_restore_to(stored: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    out = stored.folder / "out"
    out.mkdir()
    monkeypatch.chdir(out)
    assert told(stored, "restore", stored.url, str(out), code=11, stanza="ERROR 11") == (
        f"Cannot restore to {out}: it is the current directory.\n"
        "Will not overwrite without --force; name a new directory or an empty one"
    )


def test_a_directory_that_cannot_be_made(stored: Scene) -> None:
    out = stored.source / "big" / "out"
    assert told(stored, "restore", stored.url, str(out), code=23, stanza="ERROR 23", said=FOUND) == (
        f"Cannot restore to {out}: Not a directory. Name a directory that can be made there"
    )


# ---- what is backed up -----------------------------------------------------------------------------------------------


def test_an_increment_of_nothing(plain: Scene) -> None:
    words = ("incremental", str(plain.source), plain.url)
    assert told(plain, *words, code=17, stanza="ERROR 17", said=NOTHING) == (
        "Unable to start incremental backup.  Old signatures not found and incremental specified. Make a full backup "
        "first, or check the URL and the file prefixes"
    )


def test_a_clock_that_was_moved_back(stored: Scene) -> None:
    words = ("backup", str(stored.source), stored.url)
    assert told(stored.at(NOON - DAY), *words, code=23, stanza="ERROR 23", said=FOUND) == (
        "The clock is 86400 seconds behind the last backup; an increment made now could not be restored. Set the clock "
        "right, or make a full backup"
    )


STOPPING = (
    "Stopping, because two different sources may be about to share one target or one archive directory. "
    "If this is what you want, add --allow-source-mismatch"
)


def test_another_source_than_before(stored: Scene) -> None:
    other = stored.folder / "other"
    other.mkdir()
    later, stanza = stored.at(NOON + DAY), f"ERROR 42 '{other}' '{stored.source}'"
    assert told(later, "backup", str(other), stored.url, code=42, stanza=stanza, said=FOUND) == (
        f"Fatal Error: Backup source directory has changed.\nNow: {other}\nBefore: {stored.source}\n\n{STOPPING}"
    )


def test_another_host_than_before(stored: Scene) -> None:
    later = stored.at(NOON + DAY).on_host("there")
    words = ("backup", str(stored.source), stored.url)
    assert told(later, *words, code=3, stanza="ERROR 3 'there' 'here'", said=FOUND) == (
        f"Fatal Error: Backup source host has changed.\nNow: there\nBefore: here\n\n{STOPPING}"
    )


# ---- URLs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "word", "text"),
    [
        (
            "file://",
            "InvalidBackendURL",
            "missing // - relative paths not supported for scheme file: file:// (write file:///path)",
        ),
        (
            "sftp:///x",
            "InvalidBackendURL",
            (
                "Missing hostname in a backend URL which requires an explicit hostname: sftp:///x "
                "(write scheme://user@host/directory)"
            ),
        ),
        (
            "sftp://me:a/b@host/x",
            "InvalidBackendURL",
            (
                "Syntax error (port) in: sftp://me:*****@host/x (in user and password, @ : / ? # % must be written "
                "as %40 and so on)"
            ),
        ),
        (
            "webdva://host/x",
            "UnsupportedBackendScheme",
            "scheme not supported in url: webdva://host/x (did you mean webdav or webdavs?)",
        ),
    ],
)
def test_a_url_that_is_none(plain: Scene, url: str, word: str, text: str) -> None:
    assert told(plain, "backup", str(plain.source), url, code=23, stanza=f"ERROR 23 {word}") == text


@pytest.mark.parametrize(
    ("scheme", "text"),
    [
        (
            "ad",
            (
                "ad:// cannot be used: Amazon closed Amazon Drive on 2023-12-31 and nothing can be fetched from it; "
                "use another target"
            ),
        ),
        (
            "lacking",
            "lacking:// needs twofold_has_no_such_module: pip install 'twofold[lacking]'",
        ),
    ],
)
def test_a_service_that_cannot_be_reached_from_here(
    plain: Scene, monkeypatch: pytest.MonkeyPatch, scheme: str, text: str
) -> None:
    row = Scheme("lacking", Form.PLACE, driver="twofold_has_no_such_module:Store", extra="lacking")
    monkeypatch.setitem(SCHEMES, "lacking", row)
    words = ("backup", str(plain.source), f"{scheme}://x")
    assert told(plain, *words, code=50, stanza="ERROR 50 BackendException") == f"BackendException: {text}"


# ---- this machine ----------------------------------------------------------------------------------------------------


def test_a_temporary_directory_that_is_a_file(plain: Scene) -> None:
    words = ("backup", str(plain.source), plain.url, "--tempdir", str(plain.source / "big"))
    assert told(plain, *words, code=23, stanza="ERROR 23") == (
        f"The temporary directory {plain.source / 'big'} is no directory; make it or choose another"
    )


@pytest.mark.parametrize(("action", "settings"), [("restore", ()), ("verify", ()), ("verify", ("--compare-data",))])
def test_a_temporary_directory_without_room_for_one_file_is_named_and_the_others_are_handled(
    plain: Scene, small_disk: Path, action: str, settings: tuple[str, ...]
) -> None:
    big, content = plain.source / "big", incompressible(1_300_000)
    rewrite(big, content, time=NOON - 60)
    plain.back_up()
    rewrite(big, content[:700_000] + incompressible(600_000, seed=2), time=NOON + 60)
    later = plain.at(NOON + DAY)
    later.back_up()
    (plain.source / "link").unlink()
    out = plain.folder / "out"
    words = {"restore": (plain.url, str(out)), "verify": (plain.url, str(plain.source))}[action]
    done = later.run(action, *words, *settings, "--tempdir", str(small_disk), expect=1)
    reason = f"No space left on device ({small_disk}). Make room there, or choose another place with --tempdir"
    assert f"Error '{reason}' processing big\n" in done.stdout
    assert done.stderr.startswith("1 file(s) could not be ")
    if action == "restore":
        assert sorted(os.listdir(out)) == ["docs", "link"]
    else:
        assert "Difference found: File link is missing\n" in done.stdout


# ---- passphrases and keys --------------------------------------------------------------------------------------------

WRONG = "the passphrase is wrong, or the file is damaged: check PASSPHRASE"
WRONG_FOR_KEY = "the passphrase of the secret key is wrong: check PASSPHRASE"
NO_KEY = "the secret key for it is not in the keyring: import it"
OTHER_KEYS = "An increment under other keys could not be restored together with what is there"


@pytest.fixture
def locked(symmetric: Scene, gnupg_home: GnupgHome) -> Scene:
    """A backup to a key that a passphrase protects."""
    scene = symmetric.with_settings(*symmetric.settings, "--encrypt-key", gnupg_home.locked.fingerprint)
    scene = scene.with_variables(PASSPHRASE=LOCKED_PASSPHRASE)
    scene.back_up()
    return scene


def _readings(scene: Scene) -> dict[str, tuple[str, ...]]:
    return {
        "restore": ("restore", scene.url, str(scene.folder / "out")),
        "verify": ("verify", scene.url, str(scene.source)),
        "list": ("list-current-files", scene.url),
    }


@pytest.mark.parametrize("action", ["restore", "verify"])
def test_a_wrong_passphrase_where_volumes_are_read(symmetric: Scene, action: str) -> None:
    symmetric.back_up()
    wrong = symmetric.with_variables(PASSPHRASE="wrong")
    assert beginning(wrong, *_readings(wrong)[action], code=31, stanza="ERROR 31 GPGError") == (
        f"GPGError: Cannot decrypt {SET}.vol1.difftar.gpg: {WRONG}"
    )


@pytest.mark.parametrize("action", ["restore", "verify", "list"])
def test_a_wrong_passphrase_on_a_machine_without_a_cache(symmetric: Scene, action: str) -> None:
    symmetric.back_up()
    shutil.rmtree(symmetric.archive_dir)
    wrong = symmetric.with_variables(PASSPHRASE="wrong")
    assert beginning(wrong, *_readings(wrong)[action], code=31, stanza="ERROR 31 GPGError") == (
        f"GPGError: Cannot decrypt {SET}.manifest.gpg: {WRONG}"
    )


@pytest.mark.parametrize("action", ["restore", "verify"])
def test_a_wrong_passphrase_of_the_secret_key(locked: Scene, action: str, gnupg_home: GnupgHome) -> None:
    gnupg_home.forget_passphrases()
    wrong = locked.with_variables(PASSPHRASE="wrong")
    assert beginning(wrong, *_readings(wrong)[action], code=31, stanza="ERROR 31 GPGError") == (
        f"GPGError: Cannot decrypt {SET}.vol1.difftar.gpg: {WRONG_FOR_KEY}"
    )


@pytest.mark.parametrize("action", ["restore", "verify"])
def test_a_secret_key_that_is_not_here(locked: Scene, action: str, public_gnupg_home: GnupgHome) -> None:
    elsewhere = locked.with_variables(GNUPGHOME=public_gnupg_home.path)
    assert beginning(elsewhere, *_readings(elsewhere)[action], code=31, stanza="ERROR 31 GPGError") == (
        f"GPGError: Cannot decrypt {SET}.vol1.difftar.gpg: {NO_KEY}"
    )


@pytest.mark.parametrize("program", ["twofold", "duplicity"])
def test_a_wrong_passphrase_for_an_increment(symmetric: Scene, program: str) -> None:
    symmetric.back_up()
    wrong = symmetric.with_variables(PASSPHRASE="wrong").at(NOON + DAY).called(program)
    assert beginning(wrong, "incremental", str(wrong.source), wrong.url, code=1, stanza="ERROR 1") == (
        f"Error processing remote file ({SET}.manifest.gpg): Cannot decrypt {SET}.manifest.gpg: {WRONG}\n{OTHER_KEYS}"
    )


def test_a_wrong_passphrase_of_the_secret_key_for_an_increment(locked: Scene, gnupg_home: GnupgHome) -> None:
    gnupg_home.forget_passphrases()
    wrong = locked.with_variables(PASSPHRASE="wrong").at(NOON + DAY)
    assert beginning(wrong, "incremental", str(wrong.source), wrong.url, code=1, stanza="ERROR 1") == (
        f"Error processing remote file ({SET}.manifest.gpg): Cannot decrypt {SET}.manifest.gpg: {WRONG_FOR_KEY}\n"
        f"{OTHER_KEYS}"
    )


@pytest.mark.parametrize("option", ["--encrypt-key", "--hidden-encrypt-key"])
def test_a_public_key_that_is_not_here(symmetric: Scene, option: str) -> None:
    words = ("backup", str(symmetric.source), symmetric.url, option, "DEADBEEF")
    assert beginning(symmetric, *words, code=31, stanza="ERROR 31 GPGError") == (
        f"GPGError: gpg cannot encrypt: the public key DEADBEEF is not in the keyring: import it, or mend {option}"
    )


def test_a_key_that_cannot_sign_because_it_is_not_here(symmetric: Scene, gnupg_home: GnupgHome) -> None:
    keys = ("--encrypt-key", gnupg_home.bare.fingerprint, "--sign-key", "DEADBEEF")
    scene = symmetric.with_variables(SIGN_PASSPHRASE=PASSPHRASE)
    words = ("backup", str(scene.source), scene.url, *keys)
    assert beginning(scene, *words, code=31, stanza="ERROR 31 GPGError") == (
        "GPGError: gpg cannot sign: the secret key DEADBEEF is not in the keyring: import it, or mend --sign-key"
    )


def test_a_wrong_passphrase_of_the_key_that_signs(symmetric: Scene, gnupg_home: GnupgHome) -> None:
    gnupg_home.forget_passphrases()
    key = gnupg_home.locked.fingerprint
    keys = ("--encrypt-key", gnupg_home.bare.fingerprint, "--sign-key", key)
    scene = symmetric.with_variables(SIGN_PASSPHRASE="wrong")
    words = ("backup", str(scene.source), scene.url, *keys)
    assert beginning(scene, *words, code=31, stanza="ERROR 31 GPGError") == (
        f"GPGError: gpg cannot sign: the passphrase of the secret key {key} is wrong or was not given: check "
        "SIGN_PASSPHRASE"
    )


def test_a_signature_by_another_key_than_demanded(symmetric: Scene, gnupg_home: GnupgHome) -> None:
    signer, demanded = gnupg_home.bare.fingerprint, gnupg_home.locked.fingerprint
    scene = symmetric.with_variables(SIGN_PASSPHRASE=PASSPHRASE)
    scene.back_up("--sign-key", signer)
    words = ("restore", scene.url, str(scene.folder / "out"), "--sign-key", demanded)
    assert told(scene, *words, code=22, stanza="ERROR 22", said=FOUND) == (
        f"{SET}.vol1.difftar.gpg was signed by key {signer}, not by {demanded}"
    )


def test_a_gpg_that_is_none(symmetric: Scene, tmp_path: Path) -> None:
    said = f"{NOTHING}No signatures found, switching to full backup.\n"
    words = ("backup", str(symmetric.source), symmetric.url, "--gpg-binary", "false")
    assert told(symmetric, *words, code=31, stanza="ERROR 31 GPGError", said=said) == (
        "GPGError: gpg cannot encrypt: check --gpg-options, gpg.conf and --gpg-binary"
    )

"""What a person and a front end are told when something is wrong: all of standard error, exit code, machine log."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.scene import DAY, NOON, NOON_TEXT, SYNCHRONIZED, Scene, fails, incompressible
from tests.support.gnupg import GnupgHome

VOLUME = "duplicity-full.20260101T120000Z.vol1.difftar.gpg"
MANIFEST = "duplicity-full.20260101T120000Z.manifest.gpg"
TIMES = (
    'Write an interval before now such as "3D64s" (s, m, h, D, W, M = 30 days, Y = 365 days), a time such as '
    '"2002-04-26T04:22:01-07:00", "2002-04-26T04:22:01" (local time) or "20020426T112201Z", a date such as 2001-04-23, '
    '2001/4/23, 4/23/2001 or 20010423Z (the month always before the day), seconds since 1970, or "now"'
)
HELP = "Enter 'twofold --help' for help screen."


# ---- the command line ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("backup", "nosuch", "@URL"), "The source 'nosuch' does not exist"),
        (("backup", "@SOURCE", "@URL", "--volsize", "0"), "Option --volsize must be at least 1, not 0 (in MiB)"),
        (("backup", "@SOURCE", "@URL", "--volsizes", "5"), "Unknown option '--volsizes'. Did you mean '--volsize'?"),
        (("backup", "@SOURCE", "@URL", "--frobnicate"), "Unknown option '--frobnicate'"),
        (("fulll", "@SOURCE", "@URL"), "'fulll' is not an action. Did you mean 'full'?"),
        (
            ("backup", "@SOURCE"),
            (
                "backup takes source_path target_url, but got '@SOURCE'\n"
                "The URL of the target is missing, such as file:///mnt/backup"
            ),
        ),
        (
            ("full", "backup", "@SOURCE", "@URL"),
            (
                "full takes source_path target_url, but got 'backup', '@SOURCE', '@URL'\n"
                "full and backup are both actions: give one. A path of that name is written './backup'"
            ),
        ),
        (
            ("backup", "@URL", "@SOURCE"),
            "The source has to be a local path, not '@URL'\nThe words are the wrong way round: backup @SOURCE @URL",
        ),
        (
            ("restore", "@SOURCE", "out"),
            "The place of the backup has to be a URL, not '@SOURCE'. A local directory is written file://@SOURCE",
        ),
        (("remove-all-but-n-full", "x", "@URL"), "The number of chains to keep has to be a whole number, not 'x'"),
        (
            ("backup", "@SOURCE", "@URL", "--name", "--force"),
            "Option --name needs a value: --name NAME. What follows is '--force'; a variable may be empty",
        ),
        (
            ("backup", "@SOURCE", "@URL", "--volsize", "200M"),
            "Option --volsize needs a whole number of MiB, not '200M'. Write --volsize 200",
        ),
        (
            ("backup", "@SOURCE", "@URL", "--num-retries", "many"),
            "Option --num-retries needs a whole number, not 'many'",
        ),
        (("list-current-files", "@URL", "--time", "3d"), f"Option --time: Bad time '3d'. {TIMES}"),
        (("remove-older-than", "yesterday", "@URL"), f"Argument time: Bad time 'yesterday'. {TIMES}"),
    ],
)
def test_what_is_wrong_with_a_command_line_is_named(plain: Scene, words: tuple[str, ...], text: str) -> None:
    places = {"@SOURCE": str(plain.source), "@URL": plain.url}
    filled = [places.get(word, word) for word in words]
    stderr = fails(plain, *filled, code=23, stanza="ERROR 23 CommandLineError")
    for name, place in places.items():
        text = text.replace(name, place)
    assert stderr == f"CommandLineError: {text}\n{HELP}\n"
    assert not plain.target.exists()


def test_an_ambiguous_option_ends_with_two_and_is_not_in_the_machine_log(plain: Scene) -> None:
    log = plain.folder / "log"
    done = plain.back_up("--no", "--log-file", str(log), expect=2)
    assert done.stdout == ""
    assert done.stderr.startswith("usage: twofold backup [options] source_path target_url\n")
    assert done.stderr.endswith(
        "\ntwofold: error: ambiguous option: --no could match --no-check-remote, --no-compression, --no-encryption, "
        "--no-files-changed, --no-print-statistics, --no-restore-ownership\n"
    )
    assert log.read_bytes() == b""


def test_errors_call_the_program_as_it_was_called(plain: Scene) -> None:
    done = plain.called("duplicity").run("backup", "nosuch", plain.url, expect=23)
    assert done.stderr.endswith("\nEnter 'duplicity --help' for help screen.\n")


@pytest.mark.parametrize(
    ("url", "word", "text"),
    [
        (
            "gopher://host/x",
            "UnsupportedBackendScheme",
            "scheme not supported in url: gopher://host/x (--help-urls lists those that are)",
        ),
        (
            "sfpt://host/x",
            "UnsupportedBackendScheme",
            "scheme not supported in url: sfpt://host/x (did you mean sftp or swift?)",
        ),
        (
            "zzzz://me:s3cret@host/x",
            "UnsupportedBackendScheme",
            "scheme not supported in url: zzzz://me:*****@host/x (--help-urls lists those that are)",
        ),
    ],
)
def test_targets_that_cannot_be_used_are_named_without_their_password(
    plain: Scene, url: str, word: str, text: str
) -> None:
    assert fails(plain, "backup", str(plain.source), url, code=23, stanza=f"ERROR 23 {word}") == f"{text}\n"


def test_a_descriptor_that_is_not_open_is_refused(plain: Scene) -> None:
    done = plain.run("collection-status", plain.url, "--log-fd", "987", expect=30)
    assert done.stderr == ("Cannot write to --log-fd 987: Bad file descriptor. Open it before the program starts\n")


def test_stanzas_go_to_an_open_descriptor(plain: Scene) -> None:
    reading, writing = os.pipe()
    try:
        plain.run("backup", "nosuch", plain.url, "--log-fd", str(writing), expect=23)
        stanza = os.read(reading, 4096)
    finally:
        os.close(reading)
        os.close(writing)
    assert stanza.decode() == (
        f"ERROR 23 CommandLineError\n. CommandLineError: The source 'nosuch' does not exist\n. {HELP}\n\n"
    )


# ---- this machine ----------------------------------------------------------------------------------------------------


def test_a_missing_temporary_directory_is_named(plain: Scene) -> None:
    missing = plain.folder / "missing"
    words = ("backup", str(plain.source), plain.url, "--tempdir", str(missing))
    assert fails(plain, *words, code=23, stanza="ERROR 23") == (
        f"The temporary directory {missing} does not exist; make it or choose another\n"
    )


def test_an_archive_directory_that_is_a_file_is_named(plain: Scene) -> None:
    (plain.folder / "archive").write_bytes(b"")
    assert fails(plain, "collection-status", plain.url, code=23, stanza="ERROR 23") == (
        f"Cannot use the archive directory {plain.archive_dir}: Not a directory; name another one with --archive-dir\n"
    )


def test_an_archive_directory_in_use_is_not_waited_for(plain: Scene) -> None:
    plain.archive_dir.mkdir(parents=True)
    lock = plain.archive_dir / "lockfile"
    # A lock is the process's, so another one has to hold it.
    holder = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    with subprocess.Popen(
        ["python3", "-c", holder, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        stderr = fails(plain, "collection-status", plain.url, code=23, stanza="ERROR 23")
        process.communicate(b"\n")
    assert stderr == (
        f"Another backup is running on the archive directory {plain.archive_dir} (its lock file is {lock}); "
        "wait until it has ended\n"
    )
    plain.run("collection-status", plain.url)


def test_the_lock_is_given_back(plain: Scene) -> None:
    plain.back_up()
    with open(plain.archive_dir / "lockfile", "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_nothing_to_compare_with_is_an_error(plain: Scene) -> None:
    missing = plain.folder / "missing"
    assert fails(plain, "verify", plain.url, str(missing), code=23, stanza="ERROR 23") == (
        f"There is nothing to compare with at {missing}. Name the directory that was backed up\n"
    )
    assert not missing.exists()


def test_a_full_target_ends_with_fifty_and_leaves_no_half_volume(plain: Scene, small_disk: Path) -> None:
    (plain.source / "big").write_bytes(incompressible(600_000))
    target = small_disk / "target"
    log = plain.folder / "log"
    words = ("--num-retries", "1", "--log-file", str(log))
    done = plain.run("backup", str(plain.source), f"file://{target}", *words, expect=50)
    assert re.fullmatch(
        r"Giving up put of duplicity-full\.20260101T120000Z\.vol1\.difftar\.gz: .*No space left on device.*\n",
        done.stderr,
    )
    assert re.search(r"\nERROR 53 put 'duplicity-full.*vol1.*' 'duplicity-full.*vol1.*'\n", log.read_text())
    assert "\nERROR 50 BackendException\n" in log.read_text()
    assert not [name for name in os.listdir(target) if name.startswith("duplicity")]


@pytest.mark.parametrize("program", ["twofold", "duplicity"])
def test_a_target_that_is_full_for_gpg_is_named_and_not_gpg(symmetric: Scene, small_disk: Path, program: str) -> None:
    (symmetric.source / "big").write_bytes(incompressible(600_000))
    target = small_disk / "target"
    log = symmetric.folder / "log"
    words = ("backup", str(symmetric.source), f"file://{target}", "--log-file", str(log))
    done = symmetric.called(program).run(*words, expect=50)
    text = f"No space left on device at the target for {VOLUME}. Make room there, or use another target"
    assert done.stderr == f"Giving up put of {VOLUME}: {text}\n"
    assert log.read_text().endswith(
        f"\nERROR 53 put '{VOLUME}' '{VOLUME}'\n. Giving up put of {VOLUME}: {text}\n\n"
        f"ERROR 50 BackendException\n. BackendException: {text}\n\n"
    )
    assert os.listdir(target) == []


@pytest.mark.parametrize("action", ["backup", "restore", "verify"])
def test_a_full_temporary_directory_is_named_and_not_the_passphrase(
    symmetric: Scene, small_disk: Path, action: str
) -> None:
    symmetric.back_up()
    with open(small_disk / "filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))
    words = {
        "backup": (str(symmetric.source), symmetric.url),
        "restore": (symmetric.url, str(symmetric.folder / "out")),
        "verify": (symmetric.url, str(symmetric.source)),
    }[action]
    said = f"{SYNCHRONIZED}\nLast full backup date: {NOON_TEXT}\n"
    later = symmetric.at(NOON + DAY)
    assert fails(later, action, *words, "--tempdir", str(small_disk), code=1, stanza="ERROR 1", said=said) == (
        f"No space left on device ({small_disk}). Make room there, or choose another place with --tempdir or "
        "--archive-dir, and run the same command again\n"
    )
    assert os.listdir(small_disk) == ["filler"]


def test_a_full_archive_directory_is_named(plain: Scene, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(240_000))
    (plain.source / "more").write_bytes(incompressible(20_000_000))
    words = ("full", str(plain.source), plain.url, "--no-encryption", "--archive-dir", str(small_disk))
    done = plain.run_bare(*words, expect=1)
    assert "No space left on device" in done.stderr
    assert str(small_disk) in done.stderr
    (small_disk / "filler").unlink()
    plain.run_bare(*words)


# ---- the target ------------------------------------------------------------------------------------------------------


def test_a_target_that_cannot_be_written_ends_with_fifty(plain: Scene) -> None:
    (plain.folder / "file").write_bytes(b"")
    place = plain.folder / "file" / "below"
    log = plain.folder / "log"
    done = plain.run("backup", str(plain.source), f"file://{place}", "--log-file", str(log), expect=50)
    reason = f"list failed at {place}: Not a directory (is the path right and the disk mounted?)"
    assert (done.stdout, done.stderr) == ("", f"Giving up list of the target: {reason}\n")
    assert log.read_text() == (
        f"ERROR 52 list\n. Giving up list of the target: {reason}\n\n"
        f"ERROR 50 BackendException\n. BackendException: {reason}\n\n"
    )


@pytest.mark.parametrize("action", ["list-current-files", "restore", "verify"])
def test_a_target_without_a_backup_is_no_success(plain: Scene, action: str) -> None:
    local = {"list-current-files": (), "restore": (str(plain.folder / "out"),), "verify": (str(plain.source),)}[action]
    said = f"{SYNCHRONIZED}\nLast full backup date: none\n"
    stderr = fails(plain, action, plain.url, *local, code=30, stanza="ERROR 30 CollectionsError", said=said)
    assert stderr.count("\n") == 1
    assert not plain.target.exists()


# ---- gpg -------------------------------------------------------------------------------------------------------------


def test_a_wrong_passphrase_restores_nothing(symmetric: Scene) -> None:
    symmetric.back_up()
    out = symmetric.folder / "out"
    said = f"{SYNCHRONIZED}\nLast full backup date: {NOON_TEXT}\n"
    wrong = symmetric.with_variables(PASSPHRASE="not the right one")
    log = symmetric.folder / "log"
    done = wrong.run("restore", wrong.url, str(out), "--log-file", str(log), expect=31)
    assert done.stdout == said
    assert done.stderr == (
        f"GPGError: Cannot decrypt {VOLUME}: the passphrase is wrong, or the file is damaged: check PASSPHRASE\n"
        "===== Begin GnuPG log =====\n"
        "gpg: AES256.CFB encrypted data\n"
        "gpg: encrypted with 1 passphrase\n"
        "gpg: decryption failed: Bad session key\n"
        "===== End GnuPG log =====\n\n"
    )
    assert "\nERROR 31 GPGError\n. GPGError: Cannot decrypt" in log.read_text()
    assert "\n. gpg: decryption failed: Bad session key\n. ===== End GnuPG log =====\n. \n\n" in log.read_text()
    assert not out.exists()


def test_a_wrong_passphrase_stores_nothing(symmetric: Scene) -> None:
    symmetric.back_up()
    before = {name: (symmetric.target / name).read_bytes() for name in symmetric.names()}
    wrong = symmetric.with_variables(PASSPHRASE="not the right one").at(NOON + DAY)
    said = f"{SYNCHRONIZED}\nLast full backup date: {NOON_TEXT}\n"
    stderr = fails(wrong, "backup", str(wrong.source), wrong.url, code=1, stanza="ERROR 1", said=said)
    assert stderr.startswith(
        f"Error processing remote file ({MANIFEST}): Cannot decrypt {MANIFEST}: the passphrase is wrong, "
        "or the file is damaged: check PASSPHRASE\n"
    )
    assert "\nAn increment under other keys could not be restored together with what is there\n" in stderr
    assert {name: (symmetric.target / name).read_bytes() for name in symmetric.names()} == before
    symmetric.at(NOON + DAY).back_up(action="incremental")


def test_a_missing_secret_key_is_named(symmetric: Scene, gnupg_home: GnupgHome, public_gnupg_home: GnupgHome) -> None:
    symmetric.back_up("--encrypt-key", gnupg_home.bare.fingerprint)
    done = symmetric.with_variables(GNUPGHOME=public_gnupg_home.path).run(
        "restore", symmetric.url, str(symmetric.folder / "out"), expect=31
    )
    assert done.stderr.startswith(
        f"GPGError: Cannot decrypt {VOLUME}: the secret key for it is not in the keyring: import it\n"
        "===== Begin GnuPG log =====\n"
    )
    assert "\ngpg: decryption failed: No secret key\n===== End GnuPG log =====\n" in done.stderr


def test_an_unknown_recipient_is_named_and_nothing_stored(symmetric: Scene) -> None:
    done = symmetric.back_up("--encrypt-key", "nosuch@twofold.example", expect=31)
    assert done.stderr.startswith(
        "GPGError: gpg cannot encrypt: the public key nosuch@twofold.example is not in the keyring: import it, or mend "
        "--encrypt-key\n"
    )
    assert "\ngpg: nosuch@twofold.example: skipped: No public key\n" in done.stderr
    assert not symmetric.target.exists() or symmetric.names() == []


def test_a_missing_gpg_is_named_with_a_remedy(symmetric: Scene) -> None:
    said = f"{SYNCHRONIZED}\nLast full backup date: none\nNo signatures found, switching to full backup.\n"
    words = ("backup", str(symmetric.source), symmetric.url, "--gpg-binary", "no-such-gpg")
    assert fails(symmetric, *words, code=31, stanza="ERROR 31 GPGError", said=said) == (
        "GPGError: Cannot run no-such-gpg: No such file or directory; install GnuPG or name the program with "
        "--gpg-binary\n"
    )


def test_without_encryption_no_gpg_is_needed(plain: Scene) -> None:
    plain.back_up("--gpg-binary", "no-such-gpg")


def test_an_unsigned_archive_is_refused_where_a_signature_is_demanded(symmetric: Scene, gnupg_home: GnupgHome) -> None:
    symmetric.back_up()
    key = gnupg_home.bare.fingerprint
    said = f"{SYNCHRONIZED}\nLast full backup date: {NOON_TEXT}\n"
    out = symmetric.folder / "out"
    words = ("restore", symmetric.url, str(out), "--sign-key", key)
    assert fails(symmetric, *words, code=22, stanza="ERROR 22", said=said) == (
        f"{VOLUME} carries no good signature; one by key {key} is demanded\n"
    )
    assert not out.exists()


def test_without_anybody_to_ask_a_front_end_learns_that_a_passphrase_is_wanted(
    symmetric: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = symmetric.folder / "no-terminal"
    monkeypatch.setattr("twofold.ui.prompt.TerminalPrompter._open_terminal", lambda _: None)
    nobody.write_bytes(b"")
    log = symmetric.folder / "log"
    variables = {name: value for name, value in symmetric.variables.items() if name != "PASSPHRASE"}
    scene = symmetric.with_only(variables)
    before = os.dup(0)
    try:
        empty = os.open(nobody, os.O_RDONLY)
        os.dup2(empty, 0)
        os.close(empty)
        done = scene.back_up("--log-file", str(log), expect=30)
    finally:
        os.dup2(before, 0)
        os.close(before)
    assert done.stderr.startswith(
        "There is no terminal: reading the answer from standard input, where it may be seen\n"
    )
    assert "\nNobody answers the question 'GnuPG passphrase for encryption:'. Set PASSPHRASE" in done.stderr
    assert "\nERROR 30 EOFError\n" in log.read_text()

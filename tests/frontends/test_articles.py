"""The two articles of docs/cli.md section 12, line by line, under both names.

Their targets behind ssh and ftp need a server; what of them is about words and not about the service stands in
tests/unit/ui/test_parser.py. Here the same commands go to a disk.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.cli.scene import BLOCK, SYNCHRONIZED, TITLE
from tests.frontends.desk import DUPLICITY, QUICK_KEYS, TWOFOLD, Desk
from tests.support.gnupg import GnupgHome
from tests.support.programs import Outcome
from tests.support.tree import Fidelity, assert_same_tree

DAY = 86_400
IMPLIED = "No valid action found. Will imply '{}' because "
STAMP = r"\d{8}T\d{6}Z"
FULL_SET = [
    rf"duplicity-full-signatures\.{STAMP}\.sigtar\.gpg",
    rf"duplicity-full\.{STAMP}\.manifest\.gpg",
    rf"duplicity-full\.{STAMP}\.vol1\.difftar\.gpg",
]
NEXT_SET = [
    rf"duplicity-inc\.{STAMP}\.to\.{STAMP}\.manifest\.gpg",
    rf"duplicity-inc\.{STAMP}\.to\.{STAMP}\.vol1\.difftar\.gpg",
    rf"duplicity-new-signatures\.{STAMP}\.to\.{STAMP}\.sigtar\.gpg",
]
ASCTIME = r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d \d{4}"


@pytest.fixture(params=[DUPLICITY, TWOFOLD])
def name(request: pytest.FixtureRequest) -> str:
    """What the program is called as."""
    found: str = request.param
    return found


def closing_line(name: str) -> str:
    return "Duplicity backup complete." if name == DUPLICITY else "Backup complete."


def assert_names(desk: Desk, patterns: list[str]) -> None:
    names = desk.names()
    assert len(names) == len(patterns)
    for pattern in patterns:
        assert any(re.fullmatch(pattern, each) for each in names), (pattern, names)


def block_of(done: Outcome) -> list[str]:
    """The lines of the statistics, after a check of what surrounds them."""
    lines = done.stdout.split("\n")
    start = lines.index(TITLE)
    block = lines[start + 1 : start + 1 + len(BLOCK)]
    assert lines[start + 1 + len(BLOCK) : start + 3 + len(BLOCK)] == ["-" * len(TITLE), ""]
    return block


# ---- the first article: commands ---------------------------------------------------------------------------------


def test_a_folder_is_backed_up_with_a_passphrase_and_no_word_for_the_action(name: str, desk: Desk) -> None:
    desk = desk.with_variables(PASSPHRASE="secret")
    done = desk.run(name, desk.source, desk.url, QUICK_KEYS)
    assert done.stdout.startswith(IMPLIED.format("backup"))
    assert_names(desk, FULL_SET)
    (desk.source / "docs" / "more.txt").write_bytes(b"more")
    desk.run(name, desk.source, desk.url, QUICK_KEYS)
    assert_names(desk, FULL_SET + NEXT_SET)


def test_without_encryption_and_compression_volumes_are_plain(name: str, desk: Desk) -> None:
    folder = desk.folder / "roomy"
    folder.mkdir()
    desk.run(name, "--no-encryption", "--no-compression", "--tempdir", folder, desk.source, desk.url)
    assert any(each.endswith(".vol1.difftar") for each in desk.names())
    assert os.listdir(folder) == os.listdir(desk.temporary) == []


def test_the_variable_tmpdir_says_where_temporary_files_go(name: str, desk: Desk) -> None:
    missing = desk.folder / "not there"
    desk.with_variables(TMPDIR=str(missing)).run(name, desk.source, desk.url, "--no-encryption")
    assert not missing.exists()
    done = desk.run(name, desk.source, desk.url, "--no-encryption", "--tempdir", missing, expect=None)
    assert done.returncode != 0
    assert str(missing) in done.stderr


def test_an_old_password_variable_is_honoured_with_advice(name: str, desk: Desk) -> None:
    done = desk.with_variables(FTP_PASSWORD="123").run(name, desk.source, desk.url, "--no-encryption")
    assert "FTP_PASSWORD is deprecated" in done.stdout


# ---- the second article: a key without a passphrase, and what is printed -------------------------------------------


def test_what_the_article_prints_is_printed(name: str, desk: Desk, gnupg_home: GnupgHome) -> None:
    key = gnupg_home.bare.fingerprint
    first = desk.run(name, "--encrypt-key", key, "source", "file://docsbackup")
    block = block_of(first)
    lines = first.stdout.split("\n")
    assert lines[0].startswith(IMPLIED.format("backup"))
    assert lines[1:4] == [SYNCHRONIZED, "Last full backup date: none", "No signatures found, switching to full backup."]
    assert lines[-2:] == [closing_line(name), ""]
    assert [line.partition(" ")[0] for line in block] == list(BLOCK)
    assert re.fullmatch(rf"StartTime \d+\.\d\d \({ASCTIME}\)", block[0])
    assert re.fullmatch(rf"EndTime \d+\.\d\d \({ASCTIME}\)", block[1])
    assert re.fullmatch(r"ElapsedTime \d+\.\d\d \(\d+\.\d\d seconds\)", block[2])
    assert re.fullmatch(r"SourceFileSize \d+ \([\d.]+ KB\)", block[4])
    assert block[3] == "SourceFiles 6"
    assert block[5] == "NewFiles 6"
    assert block[7:11] == [
        "DeletedFiles 0",
        "ChangedFiles 0",
        "ChangedFileSize 0 (0 bytes)",
        "ChangedDeltaSize 0 (0 bytes)",
    ]
    assert block[11] == "DeltaEntries 6"
    assert re.fullmatch(r"TotalDestinationSizeChange \d+ \([\d.]+ KB\)", block[13])
    assert block[14] == "Errors 0"
    assert sorted(os.listdir(desk.folder / "docsbackup"))[1].startswith("duplicity-full.")

    (desk.source / "docs" / "foot.txt").write_bytes(b"foo\n")
    second = desk.run(name, "--encrypt-key", key, "source", "file://docsbackup")
    assert re.fullmatch(rf"Last full backup date: {ASCTIME}", second.stdout.split("\n")[2])
    told = dict(line.split(" ", 1) for line in block_of(second))
    new_size = 4 + os.stat(desk.source / "docs").st_size
    assert (told["NewFiles"], told["DeltaEntries"], told["RawDeltaSize"]) == ("2", "2", "4 (4 bytes)")
    assert told["NewFileSize"].split()[0] == str(new_size)


def test_a_key_that_signs_takes_its_passphrase_from_the_environment(
    name: str, desk: Desk, gnupg_home: GnupgHome
) -> None:
    key = gnupg_home.locked
    desk.with_variables(PASSPHRASE=key.passphrase).run(
        name, "--encrypt-sign-key", key.fingerprint, desk.source, desk.url
    )
    done = desk.with_variables(PASSPHRASE=key.passphrase).run(
        name, "verify", "--compare-data", "--sign-key", key.fingerprint, desk.url, desk.source
    )
    assert "Verify complete: 6 file(s) compared, 0 difference(s) found." in done.stdout


def test_the_script_of_the_article_ends_its_options_with_two_dashes(
    name: str, desk: Desk, gnupg_home: GnupgHome
) -> None:
    script = desk.folder / "backup.sh"
    script.write_text(
        f'#!/bin/sh\nkeyid="{gnupg_home.bare.fingerprint}"\nlocal="{desk.source}"\nremote="{desk.url}"\n'
        f'exec {name} --encrypt-key "$keyid" -- "$local" "$remote"\n'
    )
    done = desk.run("sh", script)
    assert done.stderr == ""
    assert_names(desk, FULL_SET)


def test_all_comes_back_with_the_arguments_swapped_though_the_cache_is_lost(
    name: str, desk: Desk, gnupg_home: GnupgHome, tmp_path: Path
) -> None:
    desk.run(name, "--encrypt-key", gnupg_home.bare.fingerprint, desk.source, desk.url)
    shutil.rmtree(desk.cache)
    done = desk.with_variables(PASSPHRASE="").run(name, desk.url, "docsrestore")
    lines = done.stdout.split("\n")
    assert lines[0].startswith(IMPLIED.format("restore"))
    assert lines[1] == "Synchronizing remote metadata to local cache..."
    copied = [line for line in lines if line.startswith("Copying ")]
    assert copied
    assert all(re.fullmatch(rf"Copying duplicity-full\S*\.{STAMP}\.\S+ to local cache\.", line) for line in copied)
    assert_same_tree(os.fsencode(tmp_path / "docsrestore"), os.fsencode(desk.source), fidelity=Fidelity.FULL)

    verified = desk.with_variables(PASSPHRASE="").run(name, "verify", desk.url, desk.source)
    assert "Verify complete: 6 file(s) compared, 0 difference(s) found.\n" in verified.stdout


@pytest.mark.parametrize("option", ["--file-to-restore", "--path-to-restore"])
def test_one_file_comes_back_as_it_was_three_days_ago(
    name: str, desk: Desk, gnupg_home: GnupgHome, option: str
) -> None:
    now = 1_750_000_000
    key = ("--encrypt-key", gnupg_home.bare.fingerprint)
    plan = desk.source / "docs" / "plan.txt"
    desk.run(name, *key, desk.source, desk.url, f"--current-time={now - 5 * DAY}")
    plan.write_bytes(b"second\n")
    desk.run(name, *key, desk.source, desk.url, f"--current-time={now - 2 * DAY}")
    reader = desk.with_variables(PASSPHRASE="")
    pretend = f"--current-time={now}"
    reader.run(name, "--time", "3D", option, "docs/plan.txt", desk.url, "plan.txt", pretend)
    assert (desk.folder / "plan.txt").read_bytes() == b"first\n"
    reader.run(name, "--time", "3D", desk.url, "then", pretend)
    assert (desk.folder / "then" / "docs" / "plan.txt").read_bytes() == b"first\n"
    reader.run(name, desk.url, "newest", pretend)
    assert (desk.folder / "newest" / "docs" / "plan.txt").read_bytes() == b"second\n"

"""Déjà Dup 44 as far as it goes without a desktop: its command lines, and the stanzas that it reads (docs/cli.md 10.2).

Its own programs need a desktop session, so the calls are replayed from the specification.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.scene import incompressible
from tests.frontends.desk import DUPLICITY, QUICK_KEYS, Desk
from tests.frontends.stanzas import Stanza, errors, of_kind, only
from tests.support.programs import Outcome
from tests.support.tools import unavailable
from tests.support.tree import Fidelity, assert_same_tree

PASSWORD = "sesame"
BRACKETED = "b [x] caf\u00e9's"
ESCAPED = BRACKETED.replace("[", "[[]")


@dataclass(frozen=True, slots=True)
class DejaDup:
    """One person's Déjà Dup; it always backs `/` up and says with --include which folders are meant."""

    desk: Desk

    @property
    def common(self) -> tuple[str, ...]:
        folder = self.desk.folder
        return (
            "--allow-source-mismatch",
            "--verbosity=9",
            "--timeout=120",
            f"--archive-dir={folder / 'archive'}",
            f"--tempdir={self.desk.temporary}",
        )

    @property
    def selection(self) -> tuple[str, ...]:
        source = str(self.desk.source)
        return (
            f"--exclude={source}/docs/{ESCAPED}.tmp",
            f"--include={source}",
            "--exclude=**",
            "--exclude-if-present=CACHEDIR.TAG",
            "--exclude-if-present=.deja-dup-ignore",
            "--volsize=200",
        )

    @property
    def url(self) -> str:
        """Folders of this machine are given so."""
        return f"gio+{self.desk.url}"

    def call(self, *words: str, expect: int = 0) -> tuple[Outcome, list[Stanza]]:
        return self.desk.run_logged(DUPLICITY, *words, *self.common, QUICK_KEYS, expect=expect)

    def back_up(self, *first: str, expect: int = 0) -> list[Stanza]:
        """Without a word for the action 44 leaves the choice to duplicity."""
        return self.call(*first, *self.selection, "/", self.url, expect=expect)[1]

    def status(self) -> dict[str, list[str]]:
        """The lines of the collection status under the keyword that each belongs to."""
        _, stanzas = self.call("collection-status", self.url)
        found: dict[str, list[str]] = {}
        keyword = ""
        for line in only(stanzas, "INFO", 3).data:
            if line.startswith(" "):
                found[keyword].append(line.strip())
            else:
                keyword, _, rest = line.partition(" ")
                found[keyword] = [rest] if rest else []
        return found

    def time_of(self, kind: str) -> str:
        """The newest set of a kind, as T of --time."""
        return next(line.split()[1] for line in reversed(self.status()["chain-complete"]) if line.startswith(kind))

    def within(self, path: Path) -> str:
        """A path below the root, as the backup has it."""
        return str(path).removeprefix("/")


@pytest.fixture
def person(desk: Desk) -> DejaDup:
    """With a password, a folder that is not wanted and a file whose name means something in patterns."""
    (desk.source / "docs" / BRACKETED).write_bytes(b"odd\n")
    (desk.source / "docs" / f"{BRACKETED}.tmp").write_bytes(b"left out\n")
    (desk.source / "cache").mkdir()
    (desk.source / "cache" / "CACHEDIR.TAG").write_bytes(b"Signature: 8a477f597d28d172789f06886806bc55")
    return DejaDup(desk.with_variables(PASSPHRASE=PASSWORD))


def without_password(person: DejaDup) -> DejaDup:
    variables = {name: value for name, value in person.desk.variables.items() if name != "PASSPHRASE"}
    return DejaDup(Desk(person.desk.folder, person.desk.programs, person.desk.gnupg_home, variables))


def with_password(person: DejaDup, password: str) -> DejaDup:
    return DejaDup(person.desk.with_variables(PASSPHRASE=password))


def expected_tree(person: DejaDup, folder: Path) -> Path:
    """What a restore has to bring back of the source."""
    copy = folder / "expected"
    shutil.copytree(person.desk.source, copy, symlinks=True)
    (copy / "docs" / f"{BRACKETED}.tmp").unlink()
    shutil.rmtree(copy / "cache")
    for path in (person.desk.source, person.desk.source / "docs"):
        there = copy / path.relative_to(person.desk.source)
        shutil.copystat(path, there)
    return copy


# ---- making backups --------------------------------------------------------------------------------------------------


def test_a_first_backup_is_announced_by_a_dry_run_and_shows_up_in_the_status(person: DejaDup) -> None:
    assert "chain-complete" not in person.status()
    rehearsal = person.back_up("full", "--dry-run")
    total = int(of_kind(rehearsal, "INFO", 2)[-1].extra)
    assert not person.desk.target.exists() or person.desk.names() == []

    stanzas = person.back_up("full")
    done = [int(stanza.extra) for stanza in of_kind(stanzas, "INFO", 2)]
    assert 70_000 < done[-1] <= total
    stored = [stanza.words[0] for stanza in of_kind(stanzas, "INFO", 4)]
    source = person.within(person.desk.source)
    assert stored[0] == "."
    assert [path for path in stored if path.startswith(f"{source}/docs/")] == [
        f"{source}/docs/{name}" for name in (BRACKETED, "notes.txt", "plan.txt")
    ]
    assert f"{source}/cache" not in stored
    assert errors(stanzas) == []

    status = person.status()
    assert status["backend"]
    assert [line.split()[0::3] for line in status["chain-complete"]] == [["full", "enc"]]
    assert (status["orphaned-sets-num"], status["incomplete-sets-num"]) == (["0"], ["0"])


def test_without_a_word_for_the_action_the_next_backup_is_an_increment(person: DejaDup) -> None:
    person.back_up("full")
    source = person.desk.source
    (source / "docs" / "plan.txt").write_bytes(b"second\n")
    (source / "docs" / "notes.txt").unlink()
    (source / "docs" / "new.txt").write_bytes(b"new\n")
    stanzas = person.back_up()
    below = person.within(source / "docs")
    assert only(stanzas, "INFO", 6).words == [f"{below}/notes.txt"]
    assert f"{below}/new.txt" in [stanza.words[0] for stanza in of_kind(stanzas, "INFO", 4)]
    assert [line.split()[0] for line in person.status()["chain-complete"]] == ["full", "inc"]


def test_old_backups_are_removed_and_leftovers_cleaned_up(person: DejaDup) -> None:
    person.back_up("full", "--current-time=1700000000")
    person.back_up("full", "--current-time=1700100000")
    assert len(person.status()["chain-no-sig"]) == 2
    _, stanzas = person.call("remove-all-but-n-full", "1", "--force", person.url)
    assert errors(stanzas) == []
    person.call("cleanup", "--force", person.url)
    assert all("20231116T020000Z" in name for name in person.desk.names())


def test_leftovers_are_told_so_that_a_cleanup_follows(person: DejaDup) -> None:
    person.back_up("full", "--current-time=1700000000")
    person.back_up("--current-time=1700100000")
    person.back_up("full", "--current-time=1700200000")
    for name in person.desk.names():
        if name.startswith(("duplicity-full.20231114", "duplicity-full-signatures.20231114")):
            (person.desk.target / name).unlink()
    stanzas = person.back_up("--current-time=1700300000")
    assert all("duplicity-new-signatures.20231114T221320Z" in told.text for told in of_kind(stanzas, "WARNING", 2))
    assert len(of_kind(stanzas, "WARNING", 2)) == len(("in the archive directory", "at the target"))
    assert "duplicity-inc.20231114T221320Z" in only(stanzas, "WARNING", 6).text
    person.call("cleanup", "--force", person.url)
    stanzas = person.back_up("--current-time=1700400000")
    assert of_kind(stanzas, "WARNING", 2) + of_kind(stanzas, "WARNING", 6) == []
    assert not any("20231114T221320Z" in name for name in person.desk.names())


def test_a_backup_that_was_killed_blocks_nobody(person: DejaDup) -> None:
    big = person.desk.source / "big"
    with open(big, "wb") as file:
        file.write(incompressible(1 << 20) * 60)
    words = [DUPLICITY, "full", *person.selection, "--volsize=1", "/", person.url, *person.common, QUICK_KEYS]
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=person.desk.environment(),
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while not any(name.endswith(".vol1.difftar.gpg") for name in _listed(person.desk.target)):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    os.truncate(big, 1000)
    assert errors(person.back_up("full")) == []
    assert [line.split()[0] for line in person.status()["chain-complete"]] == ["full"]


def _listed(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.exists() else []


# ---- reading them ----------------------------------------------------------------------------------------------------


def test_the_files_at_a_time_of_the_status_can_be_listed(person: DejaDup) -> None:
    person.back_up("full", "--current-time=1700000000")
    (person.desk.source / "docs" / "later.txt").write_bytes(b"later\n")
    person.back_up("--current-time=1700100000")
    _, stanzas = person.call("list-current-files", f"--time={person.time_of('full')}", person.url)
    then = [stanza.words for stanza in of_kind(stanzas, "INFO", 10)]
    _, stanzas = person.call("list-current-files", person.url)
    now = [stanza.words for stanza in of_kind(stanzas, "INFO", 10)]
    later = person.within(person.desk.source / "docs" / "later.txt")
    assert {words[1] for words in now} - {words[1] for words in then} == {later}
    assert {tuple(words[1:]) for words in then} >= {
        (".", "dir"),
        (person.within(person.desk.source / "docs" / BRACKETED), "reg"),
    }
    for words in now:
        time.strptime(words[0], "%Y%m%dT%H%M%SZ")


@pytest.mark.parametrize(
    "words", [("--file-to-restore=", "--do-not-restore-ownership"), ("--path-to-restore=", "--no-restore-ownership")]
)
def test_a_file_is_put_back_over_the_one_that_is_there(person: DejaDup, words: tuple[str, str]) -> None:
    person.back_up("full")
    plan = person.desk.source / "docs" / "plan.txt"
    plan.write_bytes(b"spoilt\n")
    option, ownership = words
    _, stanzas = person.call(
        "restore", ownership, "--force", f"{option}{person.within(plan)}", f"--time={person.time_of('full')}",
        person.url, str(plan),
    )  # fmt: skip
    assert plan.read_bytes() == b"first\n"
    assert [stanza.words for stanza in of_kind(stanzas, "INFO", 7)] == [[person.within(plan), "reg"]]
    assert [stanza.extra for stanza in of_kind(stanzas, "INFO", 2)] == ["1 1"]


def test_everything_is_restored_into_a_folder(person: DejaDup, tmp_path: Path) -> None:
    person.back_up("full")
    expected = expected_tree(person, tmp_path)
    out = tmp_path / "out"
    person.call("restore", "--no-restore-ownership", "--force", person.url, str(out))
    assert_same_tree(
        os.fsencode(out / person.within(person.desk.source)), os.fsencode(expected), fidelity=Fidelity.FULL
    )


def test_a_folder_is_restored_under_another_name(person: DejaDup, tmp_path: Path) -> None:
    person.back_up("full")
    docs = person.within(person.desk.source / "docs")
    renamed = f"{person.within(person.desk.source)}/letters"
    person.call("restore", "--rename", docs, renamed, "--force", person.url, str(tmp_path / "out"))
    assert (tmp_path / "out" / renamed / "plan.txt").read_bytes() == b"first\n"
    assert not (tmp_path / "out" / docs).exists()


# ---- what goes wrong -------------------------------------------------------------------------------------------------


def test_without_a_password_it_learns_that_one_is_wanted(person: DejaDup, tmp_path: Path) -> None:
    person.back_up("full")
    shutil.rmtree(tmp_path / "archive")
    unknowing = without_password(person)
    for words in (("list-current-files", person.url), ("restore", person.url, str(tmp_path / "out"))):
        _, stanzas = unknowing.call(*words, expect=30)
        assert errors(stanzas) == [(30, "EOFError")]
    assert errors(unknowing.back_up(expect=30)) == [(30, "EOFError")]


def test_a_wrong_password_is_told_in_the_words_that_are_searched_for(person: DejaDup, tmp_path: Path) -> None:
    person.back_up("full")
    before = person.desk.names()
    mistaken = with_password(person, "mistaken")
    told = only(mistaken.back_up(expect=1), "ERROR", 1)  # duplicity's number when the manifest does not open
    shutil.rmtree(tmp_path / "archive")
    failed = [
        only(mistaken.call("restore", person.url, str(tmp_path / "out"), expect=31)[1], "ERROR", 31),
        only(mistaken.call("list-current-files", person.url, expect=31)[1], "ERROR", 31),
        only(mistaken.back_up(expect=31), "ERROR", 31),
    ]
    assert [stanza.extra for stanza in failed] == ["GPGError"] * 3
    for stanza in (told, *failed):
        assert "GnuPG" in stanza.text
        assert "Bad session key" in stanza.text
    assert person.desk.names() == before


@pytest.mark.parametrize("action", ["restore", "list-current-files"])
def test_no_backup_is_told_by_the_class_that_is_looked_for(person: DejaDup, action: str) -> None:
    words = [action, person.url] + ([str(person.desk.folder / "out")] if action == "restore" else [])
    _, stanzas = person.call(*words, expect=30)
    assert errors(stanzas) == [(30, "CollectionsError")]


def test_a_file_that_is_not_in_the_backup_has_a_number_of_its_own(person: DejaDup) -> None:
    person.back_up("full")
    _, stanzas = person.call(
        "restore", "--file-to-restore=none/such", person.url, str(person.desk.folder / "out"), expect=19
    )
    assert [number for number, _ in errors(stanzas)] == [19]


def test_another_computer_is_asked_about(person: DejaDup) -> None:
    person.back_up("full")
    manifest = next((person.desk.folder / "archive").rglob("*.manifest"))
    before = manifest.read_bytes()
    assert before.startswith(b"Hostname ")
    manifest.write_bytes(b"Hostname elsewhere\n" + before.partition(b"\n")[2])
    asking = [word for word in person.common if word != "--allow-source-mismatch"]
    _, stanzas = person.desk.run_logged(DUPLICITY, *person.selection, "/", person.url, *asking, QUICK_KEYS, expect=3)
    assert only(stanzas, "ERROR", 3).words == [os.uname().nodename, "elsewhere"]
    manifest.write_bytes(before)
    assert errors(person.back_up()) == []


def test_a_file_that_cannot_be_read_is_named_and_the_backup_succeeds(person: DejaDup) -> None:
    (person.desk.source / "docs" / "plan.txt").chmod(0)
    # Root may read everything unless that right is taken away.
    humbly = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
    words = (DUPLICITY, "full", *person.selection, "/", person.url, *person.common, QUICK_KEYS)
    _, stanzas = person.desk.run_logged(*humbly, *words)
    assert only(stanzas, "WARNING", 10).words == [str(person.desk.source / "docs" / "plan.txt")]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 192 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode != 0:
        unavailable("A small disk can only be mounted by root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_as_a_failed_upload(person: DejaDup, small_disk: Path) -> None:
    (person.desk.source / "docs" / "big").write_bytes(incompressible(400_000))
    words = ("full", *person.selection, "--no-encryption", "/", f"gio+file://{small_disk}")
    _, stanzas = with_password(person, "").call(*words, expect=50)
    first, last = (stanza for stanza in stanzas if stanza.level == "ERROR")
    assert (first.code, first.words[0]) == (53, "put")
    assert ".vol1.difftar.gz" in first.words[1]
    assert (last.code, last.extra) == (50, "BackendException")

"""duply's whole cycle on twofold, on a real key pair and on a passphrase: what it prints, its exit codes, the files.

Times of sets are made up with --current-time, which duply hands on like every option that it does not know.
"""

from __future__ import annotations

import filecmp
import os
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest

from tests.cli.scene import incompressible
from tests.frontends.desk import Desk
from tests.support.gnupg import GnupgHome
from tests.support.programs import Outcome
from tests.support.tools import require_tool
from tests.support.tree import Fidelity, assert_same_tree

pytestmark = pytest.mark.slow

KNOWN_VERSION = "2.4.1"
DAY = 86_400
BEGIN = 1_700_000_000
PASSWORD = "it's a 'quoted' one"
NAME = "photos"


class Protection(Enum):
    """What the profile encrypts with."""

    KEY = "key"
    PASSPHRASE = "passphrase"


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile called `photos`, made by duply and adjusted as its file says."""

    desk: Desk

    @property
    def folder(self) -> Path:
        return self.desk.home / ".duply" / NAME

    @property
    def conf(self) -> Path:
        return self.folder / "conf"

    @property
    def archive_dir(self) -> Path:
        """ARCH_DIR; duply appends no `duply_` to the profile's name there."""
        return self.desk.folder / "archive"

    def run(self, command: str, *words: str | Path, expect: int = 0, now: int | None = None) -> Outcome:
        """`now` is when backups are made."""
        time = () if now is None else ("--current-time", str(now))
        return self.desk.run("duply", NAME, command, *words, *time, expect=expect)

    def set(self, **settings: str) -> None:
        """Appends to the file; what stands last counts."""
        lines = []
        for name, value in settings.items():
            quoted = value.replace("'", "'\\''")
            lines.append(f"{name}='{quoted}'\n" if name != "DUPL_PARAMS" else f'{name}="${name} {value}"\n')
        with self.conf.open("a") as file:
            file.writelines(lines)

    def script(self, name: str) -> Path:
        """Makes `pre` or `post` write down what it was told; gives the file that it writes to."""
        told = self.desk.folder / f"{name}.told"
        script = self.folder / name
        script.write_text(f'echo "$CMD_PREV $CMD_NEXT $CMD_ERR" >> {told}\necho "{name} was here"\n')
        return told


@pytest.fixture
def profile(desk: Desk) -> Profile:
    """Created and pointed to source and target, without encryption."""
    require_tool("duply")
    made = Profile(desk)
    created = made.run("create")
    assert f"You just created the profile '{NAME}'." in created.stdout
    made.conf.write_text(re.sub(r"^(GPG_KEY|GPG_PW|TARGET|SOURCE)=.*\n", "", made.conf.read_text(), flags=re.MULTILINE))
    made.set(SOURCE=str(desk.source), TARGET=desk.url, TEMP_DIR=str(desk.temporary), VERBOSITY="5", GPG_KEY="disabled")
    return made


@pytest.fixture(params=list(Protection), ids=lambda each: each.value)
def protected(request: pytest.FixtureRequest, profile: Profile, gnupg_home: GnupgHome) -> Profile:
    """With everything that the file offers; duply makes its own test of gpg, too."""
    profile.set(GPG_KEY="")
    if request.param is Protection.KEY:
        key = gnupg_home.locked
        # Without it duply's own test asks for the passphrase of the key in a window.
        profile.set(
            GPG_KEYS_ENC=f"{gnupg_home.bare.fingerprint},{key.fingerprint}",
            GPG_KEY_SIGN=key.fingerprint,
            GPG_PW=key.passphrase,
            GPG_PW_SIGN=key.passphrase,
            GPG_OPTS="--pinentry-mode loopback --s2k-count 65536",
        )
    else:
        profile.set(GPG_PW=PASSWORD, GPG_OPTS="--s2k-count 65536")
    profile.set(ARCH_DIR=str(profile.archive_dir), MAX_AGE="1M", MAX_FULLBKP_AGE="1M", VOLSIZE="1")
    profile.set(DUPL_PARAMS="--full-if-older-than $MAX_FULLBKP_AGE --volsize $VOLSIZE")
    profile.set(DUPL_PARAMS="--exclude-if-present '.duplicity-ignore'")
    return profile


def fill_further(desk: Desk) -> None:
    """What the exclude file is about, and more than a volume."""
    (desk.source / "docs" / "draft.tmp").write_bytes(b"draft\n")
    (desk.source / "ignored").mkdir()
    (desk.source / "ignored" / ".duplicity-ignore").write_bytes(b"")
    (desk.source / "pictures" / "large.raw").write_bytes(incompressible(1_300_000, seed=2))


def assert_restored(out: Path, source: Path) -> None:
    """All is there but for what the exclude file and --exclude-if-present keep out."""
    compared = filecmp.dircmp(source, out)
    assert (compared.left_only, compared.right_only) == (["ignored"], [])
    assert filecmp.dircmp(source / "docs", out / "docs").left_only == ["draft.tmp"]
    assert_same_tree(os.fsencode(out / "pictures"), os.fsencode(source / "pictures"), fidelity=Fidelity.FULL)
    for name in ("plan.txt", "notes.txt"):
        assert (out / "docs" / name).read_bytes() == (source / "docs" / name).read_bytes()


def failure(outcome: Outcome) -> int:
    """The exit code of duplicity as duply tells it."""
    found = re.search(r"Task '[A-Z]+' failed with exit code '(\d+)'\.", outcome.stderr)
    assert found is not None, str(outcome)
    return int(found[1])


def test_duply_is_the_one_that_the_specification_describes(desk: Desk) -> None:
    require_tool("duply")
    told = desk.run("duply", "version").stdout
    assert "Using installed duplicity version 3.2.1, python " in told
    version = re.search(r"duply version (\S+)", told)
    assert version is not None
    if version[1] != KNOWN_VERSION:
        pytest.skip(f"duply {version[1]} is installed and tested here, docs/cli.md describes {KNOWN_VERSION}")


def test_a_profile_goes_through_its_whole_life(protected: Profile, tmp_path: Path) -> None:
    desk = protected.desk
    fill_further(desk)
    (protected.folder / "exclude").write_text("- **.tmp\n")
    before, after = protected.script("pre"), protected.script("post")

    assert "No backup chains with active signatures found" in protected.run("status").stdout
    protected.set(GPG_TEST="disabled")  # once is enough: it takes a second each time
    first = protected.run("backup", now=BEGIN)
    assert "No signatures found, switching to full backup." in first.stdout
    assert "pre was here" in first.stdout
    assert "post was here" in first.stdout
    assert [before.read_text().split()[:2], after.read_text().split()[0]] == [["START", "bkp"], "pre"]
    assert len([name for name in desk.names() if ".vol" in name]) == 2
    assert all(name.endswith(".gpg") for name in desk.names())
    assert (protected.archive_dir / NAME).is_dir()

    (desk.source / "docs" / "plan.txt").write_bytes(b"second\n")
    (desk.source / "docs" / "new.txt").write_bytes(b"new\n")
    done = protected.run("incr_list_status_verify", now=BEGIN + DAY).stdout
    assert re.search(r"^M docs/plan\.txt$", done, re.MULTILINE)
    assert re.search(r"^A docs/new\.txt$", done, re.MULTILINE)
    assert re.search(r"^.{24} docs/new\.txt$", done, re.MULTILINE)
    assert re.search(r"^         Incremental +Wed Nov 15 22:13:20 2023 +1$", done, re.MULTILINE)
    assert "Verify complete: 8 file(s) compared, 0 difference(s) found." in done
    assert done.count("--- Finished state OK at ") == 4

    out = tmp_path / "out"
    protected.run("restore", out)
    assert_restored(out, desk.source)
    early = tmp_path / "early"
    protected.run("restore", early, "2023-11-14T23:00:00Z")
    assert (early / "docs" / "plan.txt").read_bytes() == b"first\n"
    assert not (early / "docs" / "new.txt").exists()
    fetched = tmp_path / "fetched.txt"
    protected.run("fetch", "docs/plan.txt", fetched)
    assert fetched.read_bytes() == b"second\n"

    (desk.source / "docs" / "plan.txt").write_bytes(b"third\n")
    compared = protected.run("verify", "--compare-data", expect=1)
    assert "Difference found: File docs/plan.txt has " in compared.stdout
    assert failure(compared) == 1
    protected.run("verifyPath", "docs/new.txt", desk.source / "docs" / "new.txt")
    later = protected.run("bkp", now=BEGIN + 40 * DAY).stdout
    assert "Last full backup is too old, forcing full backup" in later
    assert os.listdir(desk.temporary) == []


def test_old_backups_go_only_by_force(profile: Profile) -> None:
    profile.set(MAX_AGE="1M", MAX_FULL_BACKUPS="2", MAX_FULLS_WITH_INCRS="1")
    for start in (BEGIN + number * 40 * DAY for number in range(4)):
        back_up_directly(profile, "full", start)
        back_up_directly(profile, "incr", start + DAY)
    everything = profile.desk.names()
    assert (fulls(profile), increments(profile)) == (4, 4)

    shown = profile.run("purge_purgeFull_purgeIncr_purgeAuto").stdout
    assert shown.count("Rerun command with --force option to actually delete.") == 6
    assert profile.desk.names() == everything
    profile.run("purgeFull", "3", "--force")
    assert fulls(profile) == 3
    profile.run("purgeIncr", "2", "--force")
    assert (fulls(profile), increments(profile)) == (3, 2)
    profile.run("purgeAuto", "--force")
    assert (fulls(profile), increments(profile)) == (1, 1)
    verified = profile.run("verify").stdout
    assert ", 0 difference(s) found." in verified


def fulls(profile: Profile) -> int:
    return len([name for name in profile.desk.names() if re.fullmatch(r"duplicity-full\..*\.manifest", name)])


def increments(profile: Profile) -> int:
    return len([name for name in profile.desk.names() if re.fullmatch(r"duplicity-inc\..*\.manifest", name)])


def back_up_directly(profile: Profile, action: str, now: int) -> None:
    """What duply would have done, without the time that it takes to say so."""
    words = (f"--name=duply_{NAME}", "--no-encryption", f"--current-time={now}")
    profile.desk.run("duplicity", action, profile.desk.source, profile.desk.url, *words)


def test_leftovers_of_a_lost_backup_are_cleaned_up_by_force(profile: Profile) -> None:
    back_up_directly(profile, "full", BEGIN)
    back_up_directly(profile, "incr", BEGIN + DAY)
    back_up_directly(profile, "full", BEGIN + 2 * DAY)
    for name in profile.desk.names():
        if name.startswith(("duplicity-full.20231114", "duplicity-full-signatures.20231114")):
            (profile.desk.target / name).unlink()
    before = profile.desk.names()
    assert "Run duplicity again with the --force option to actually delete." in profile.run("cleanup").stdout
    assert profile.desk.names() == before
    profile.run("cleanup", "--force")
    assert {name.split(".")[1] for name in profile.desk.names()} == {"20231116T221320Z"}
    assert "No extraneous files found, nothing deleted in cleanup." in profile.run("cleanup", "--force").stdout


def test_a_preview_runs_nothing(profile: Profile) -> None:
    shown = profile.run("full_status", "--preview").stdout
    assert re.search(rf"^TMPDIR=\S+ +duplicity +full .*--name duply_{NAME} .*'{profile.desk.url}'", shown, re.MULTILINE)
    assert not profile.desk.target.exists()
    assert not profile.desk.cache.exists()


def test_failures_are_failures_of_duply(profile: Profile, tmp_path: Path) -> None:
    assert failure(profile.run("incr", expect=1)) == 17
    assert failure(profile.run("restore", tmp_path / "out", expect=1)) == 30
    profile.run("full")
    assert failure(profile.run("fetch", "docs/none", tmp_path / "out", expect=1)) == 19
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_bytes(b"")
    assert failure(profile.run("restore", tmp_path / "full", expect=1)) == 11
    assert failure(profile.run("status", "--nonsense", expect=1)) == 23


def test_an_increment_may_be_the_first_backup_where_a_full_one_is_due_at_times(profile: Profile) -> None:
    profile.set(DUPL_PARAMS="--full-if-older-than 1M")
    profile.run("incr")
    assert fulls(profile) == 1


def test_a_wrong_password_fails_and_changes_nothing(profile: Profile, tmp_path: Path) -> None:
    profile.set(GPG_KEY="", GPG_PW=PASSWORD, GPG_TEST="disabled", GPG_OPTS="--s2k-count 65536")
    profile.run("full")
    before = profile.desk.names()
    profile.set(GPG_PW="another")
    assert failure(profile.run("incr", expect=1)) == 1
    assert failure(profile.run("restore", tmp_path / "out", expect=1)) == 31
    assert profile.desk.names() == before

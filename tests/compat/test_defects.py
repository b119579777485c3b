"""The defects of docs/format.md section 15: both programs in the same situation, and twofold does better.

Those that need no second program to be seen have their tests elsewhere; the table at the end of docs/differences.md
names one for each.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.interruption import kill_after_volumes
from tests.support.programs import REPOSITORY_ROOT, Outcome, Program, Workspace
from tests.support.tools import require_tool, unavailable
from tests.support.tree import Fidelity, assert_same_tree, snapshot

pytestmark = pytest.mark.interop

NOON = 1_767_268_800
HOUR, DAY = 3600, 86_400
OLD, NEW = "it was once like this\n", "it is now like that\n"


@dataclass
class Story:
    """A small source and its backups, all in a folder of their own, and the program that is used."""

    program: Program
    workspace: Workspace

    @property
    def source(self) -> Path:
        return Path(os.fsdecode(self.workspace.path("source")))

    @property
    def target(self) -> Path:
        return Path(os.fsdecode(self.workspace.path("target")))

    def by(self, program: Program) -> Story:
        return replace(self, program=program)

    def run(self, *words: str, at: int = NOON, expect: int = 0) -> Outcome:
        given = [self.workspace.url() if word == "URL" else word for word in words]
        time = ("--current-time", str(at))
        return self.workspace.run(self.program, *given, "--no-encryption", *time).expect(expect)

    def back_up(self, *options: str, action: str = "backup", at: int = NOON, expect: int = 0) -> Outcome:
        return self.run(action, str(self.source), "URL", *options, at=at, expect=expect)

    def restored(self, *options: str, at: int = NOON + DAY) -> Path:
        """The newest state that is there, or that of `--time`."""
        name = f"restored-by-{self.program}-{len(os.listdir(self.workspace.folder))}"
        folder = Path(os.fsdecode(self.workspace.path(name)))
        self.run("restore", "URL", str(folder), *options, at=at)
        return folder


@pytest.fixture
def tell(workspace: Workspace) -> Callable[[Program], Story]:
    """Begins a story with a program."""

    def begin(program: Program) -> Story:
        folder = workspace.path(str(program))
        story = Story(program, Workspace.below(folder, gnupg_home=workspace.gnupg_home))
        (story.source / "docs").mkdir(parents=True)
        (story.source / "docs" / "plan").write_text(OLD)
        (story.source / "secret").write_text(OLD)
        return story

    return begin


Teller = Callable[[Program], Story]


@pytest.fixture
def as_duplicity(twofold: Program) -> Program:
    """twofold under the name of duplicity."""
    code = "import sys; sys.argv[0] = 'duplicity'; from twofold.__main__ import main; sys.exit(main())"
    variables = (("PYTHONPATH", str(REPOSITORY_ROOT / "src")),)
    return Program("twofold-as-duplicity", (sys.executable, "-c", code), variables)


def humble(program: Program) -> Program:
    """The same without the right of root to read everything."""
    if os.geteuid() != 0:
        return program
    words = (require_tool("setpriv"), "--bounding-set=-dac_override,-dac_read_search")
    return replace(program, command=(*words, *program.command))


# ---- 4: unreadable sources are recorded as deleted -------------------------------------------------------------------


def test_what_cannot_be_read_keeps_its_last_state_and_does_not_end_with_0(
    tell: Teller, twofold: Program, as_duplicity: Program, duplicity: Program
) -> None:
    for program, code, is_kept in ((twofold, 1, True), (as_duplicity, 0, True), (duplicity, 0, False)):
        story = tell(humble(program))
        story.back_up()
        for name in ("secret", "docs"):
            (story.source / name).chmod(0)
        done = story.back_up(at=NOON + HOUR, expect=code)
        assert done.statistic("Errors") == 2
        assert done.stdout.count("Error accessing possibly locked file") == 2
        assert ("2 path(s) could not be read and so not stored as they are now" in done.stdout) == (code == 1)
        assert done.stdout.rstrip().endswith("ackup complete.")
        for name in ("secret", "docs"):
            (story.source / name).chmod(0o755)
        assert (story.restored() / "docs" / "plan").exists() == is_kept


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--skip-if-no-change",)])
def test_a_full_backup_that_lacks_a_path_holds_all_else(
    options: tuple[str, ...], tell: Teller, twofold: Program, as_duplicity: Program
) -> None:
    for program, code in ((twofold, 1), (as_duplicity, 0)):
        story = tell(humble(program))
        (story.source / "docs").chmod(0)
        done = story.back_up(*options, action="full", expect=code)
        (story.source / "docs").chmod(0o755)
        assert done.statistic("Errors") == 1
        if "--dry-run" not in options:
            assert (story.restored() / "secret").read_text() == OLD


def test_a_source_that_cannot_be_listed_gives_no_empty_backup(
    tell: Teller, twofold: Program, as_duplicity: Program, duplicity: Program
) -> None:
    for program in (twofold, as_duplicity):
        story = tell(humble(program))
        story.source.chmod(0)
        assert "Cannot list the source" in story.back_up(expect=23).stderr
        assert not list(story.target.glob("duplicity-*"))
    story = tell(humble(duplicity))
    story.source.chmod(0)
    assert story.back_up().statistic("Errors") == 0


@pytest.mark.parametrize(("options", "code_of_duplicity"), [((), 0), (("--compare-data",), 1)])
def test_a_verification_that_cannot_read_a_local_file_does_not_end_with_0(
    options: tuple[str, ...],
    code_of_duplicity: int,
    tell: Teller,
    twofold: Program,
    as_duplicity: Program,
    duplicity: Program,
) -> None:
    for program, code in ((twofold, 1), (as_duplicity, code_of_duplicity), (duplicity, code_of_duplicity)):
        story = tell(humble(program))
        (story.source / "secret").chmod(0o600)
        story.back_up()
        (story.source / "secret").chmod(0)
        done = story.run("verify", "URL", str(story.source), *options, at=NOON + HOUR, expect=code)
        assert f"Error accessing possibly locked file {story.source / 'secret'}" in done.stdout
        assert "Verify complete: 4 file(s) compared" in done.stdout
        assert ("1 path(s) could not be read and so not compared" in done.stdout) == (program is not duplicity)


# ---- 6 and 9: times --------------------------------------------------------------------------------------------------


def test_a_clock_behind_the_last_backup_makes_no_set_that_nobody_can_restore(
    tell: Teller, twofold: Program, as_duplicity: Program, duplicity: Program
) -> None:
    for program, code in ((twofold, 23), (as_duplicity, 23), (duplicity, 0)):
        story = tell(program)
        story.back_up()
        before = set(os.listdir(story.target))
        (story.source / "secret").write_text(NEW)
        done = story.back_up(action="incremental", at=NOON - HOUR, expect=code)
        assert ("The clock is 3600 seconds behind the last backup" in done.stderr) == (code == 23)
        assert (set(os.listdir(story.target)) == before) == (code == 23)
        assert (story.restored() / "secret").read_text() == OLD


def test_a_time_before_the_first_backup_is_not_passed_over_in_silence(
    tell: Teller, twofold: Program, as_duplicity: Program, duplicity: Program
) -> None:
    for program, is_told in ((twofold, True), (as_duplicity, True), (duplicity, False)):
        story = tell(program)
        story.back_up()
        out = story.workspace.path("out")
        done = story.run("restore", "URL", os.fsdecode(out), "--time", str(NOON - DAY), at=NOON + DAY)
        assert ("There is no backup from so early; the oldest one is used" in done.stdout) == is_told


# ---- 5 and 7: what changes -------------------------------------------------------------------------------------------


def test_a_change_within_the_second_or_of_the_size_alone_is_stored(
    tell: Teller, twofold: Program, as_duplicity: Program, duplicity: Program
) -> None:
    for program, expected in ((twofold, NEW * 2), (as_duplicity, NEW * 2), (duplicity, OLD)):
        story = tell(program)
        path = story.source / "secret"
        for time, text in ((NOON * 10**9 + 1, OLD), (NOON * 10**9 + 2, NEW * 2)):
            path.write_text(text)
            os.utime(path, ns=(time, time))
            story.back_up(at=NOON + HOUR + time % 10)
        assert (story.restored() / "secret").read_text() == expected


def test_an_interrupted_backup_of_a_source_that_changed_is_not_stored_half_and_half(
    tell: Teller, twofold: Program
) -> None:
    story = tell(twofold)
    big = story.source / "big"
    story.back_up("--volsize", "1", action="full")
    big.write_bytes(os.urandom(4 << 20))
    words = ("incremental", str(story.source), story.workspace.url(), "--no-encryption", "--volsize", "1")
    time = ("--current-time", str(NOON + HOUR))
    kill_after_volumes(story.workspace, twofold, *words, *time, cwd=story.workspace.folder)
    big.write_bytes(os.urandom(4 << 20))
    story.back_up("--volsize", "1", action="incremental", at=NOON + 2 * HOUR)
    assert_same_tree(os.fsencode(story.restored()), snapshot(os.fsencode(story.source)), fidelity=Fidelity.DUPLICITY)


# ---- 11: what an owner that may not be set costs ---------------------------------------------------------------------


def test_a_file_whose_owner_may_not_be_set_gets_its_mode_and_the_restore_does_not_end_with_0(
    tell: Teller, twofold: Program, as_duplicity: Program, duplicity: Program
) -> None:
    if os.geteuid() != 0:
        unavailable("Only root can store files of others")
    for program, code, mode in ((twofold, 1, 0o640), (as_duplicity, 0, 0o640), (duplicity, 0, 0o644)):
        story = tell(program)
        (story.source / "secret").chmod(0o640)
        os.chown(story.source / "secret", 12345, 12345)
        story.back_up()
        words = (require_tool("setpriv"), "--bounding-set=-chown")
        out = Path(os.fsdecode(story.workspace.path("out")))
        story = story.by(replace(program, command=(*words, *program.command)))
        done = story.run("restore", "URL", str(out), expect=code)
        assert (out / "secret").stat().st_mode & 0o777 == mode
        assert ("Not everything could be restored: owner of secret" in done.stdout) == (program is not duplicity)
        story.run("restore", "URL", f"{out}-2", "--no-restore-ownership")


# ---- 8, 10 and 12: what else is there --------------------------------------------------------------------------------


def test_an_unfinished_newest_set_of_another_machine_does_not_keep_from_restoring(
    tell: Teller, twofold: Program, as_duplicity: Program, duplicity: Program
) -> None:
    for program, code in ((twofold, 0), (as_duplicity, 0), (duplicity, 30)):
        story = tell(program)
        story.back_up()
        volume = next(story.target.glob("*.vol1.*"))
        (story.target / volume.name.replace("20260101", "20260102")).write_bytes(volume.read_bytes())
        out = story.workspace.path("out")
        story.run("restore", "URL", os.fsdecode(out), at=NOON + 2 * DAY, expect=code)
        assert os.path.exists(os.path.join(out, b"secret")) == (code == 0)


@pytest.mark.parametrize("stray", ["{volume}.tmp", "{volume}.par2", "{zero}", "duplicity-full.junk.jsonstat"])
def test_stray_files_beside_the_backup_do_no_harm(
    stray: str, tell: Teller, twofold: Program, as_duplicity: Program, duplicity: Program
) -> None:
    for program, code in ((twofold, 0), (as_duplicity, 0), (duplicity, 30)):
        story = tell(program)
        story.back_up()
        volume = next(story.target.glob("*.vol1.*")).name
        name = stray.format(volume=volume, zero=volume.replace("vol1", "vol0"))
        (story.target / name).write_bytes(b"stray")
        story.run("collection-status", "URL", expect=code)
        if code == 0:
            story.run("cleanup", "--force", "URL")
            assert (story.target / name).exists()
            story.back_up(at=NOON + HOUR)
            assert (story.restored() / "secret").read_text() == OLD


def test_a_second_instance_leaves_the_lock_of_the_first_alone(
    tell: Teller, twofold: Program, as_duplicity: Program, duplicity: Program
) -> None:
    for program, is_left in ((twofold, True), (as_duplicity, True), (duplicity, False)):
        story = tell(program)
        story.back_up()
        folder = next(Path(os.fsdecode(story.workspace.archive_dir)).iterdir())
        with (folder / "lockfile").open("a") as held:
            fcntl.lockf(held, fcntl.LOCK_EX)
            story.back_up(at=NOON + HOUR, expect=23)
            assert (folder / "lockfile").exists() == is_left

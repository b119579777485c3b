"""What goes and what stays, side by side with duplicity 3.2.1: the same commands on copies of the same target."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.programs import Outcome, Program, Workspace

pytestmark = pytest.mark.interop

DAY = 86_400
BEGIN = 1_700_000_000
NOW = BEGIN + 6 * DAY


@dataclass
class Place:
    """A source, a target and an archive directory that can be copied as one."""

    workspace: Workspace

    @property
    def folder(self) -> Path:
        return Path(os.fsdecode(self.workspace.folder))

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def target(self) -> Path:
        return self.folder / "target"

    def names(self) -> set[str]:
        cached = {f"cached {path.name}" for path in self.folder.joinpath("archive").rglob("duplicity-*.*")}
        return {path.name for path in self.target.iterdir()} | cached

    def run(self, program: Program, *words: str, at: int = NOW) -> Outcome:
        given = [self.workspace.url() if word == "URL" else word for word in words]
        options = ("--no-encryption", "--name", "x", "--current-time", str(at))
        return self.workspace.run(program, *given, *options)

    def back_up(self, program: Program, step: int, *options: str, action: str = "backup") -> Outcome:
        """In a source that each time holds one file more, or with a negative step as it is."""
        (self.source / f"file-{step}").write_text("content\n")
        return self.run(program, action, "source", "URL", *options, at=BEGIN + step * DAY)

    def copy(self, name: str) -> Place:
        folder = self.folder.with_name(f"{self.folder.name}-{name}")
        shutil.copytree(self.folder, folder)
        return Place(Workspace.below(os.fsencode(folder), gnupg_home=self.workspace.gnupg_home))


@pytest.fixture
def place(workspace: Workspace) -> Place:
    found = Place(Workspace.below(workspace.path("place"), gnupg_home=workspace.gnupg_home))
    found.source.mkdir()
    return found


@pytest.fixture
def chains(place: Place, twofold: Program) -> Place:
    """Two chains of a full backup and an increment, and a full backup."""
    for step, action in enumerate(("full", "inc", "full", "inc", "full")):
        place.back_up(twofold, step, action=action).expect()
    return place


def _leave_behind(place: Place) -> None:
    """What runs leave that were interrupted on other machines: a set without manifest, an increment of nothing."""
    for path in tuple(place.target.iterdir()):
        if path.name.startswith("duplicity-full.20231118T221320Z.vol1"):
            shutil.copy(path, path.with_name(path.name.replace("20231118", "20231101")))
        if ".20231114T221320Z.to.20231115T221320Z." in path.name:
            shutil.copy(path, path.with_name(path.name.replace("20231114", "20231102").replace("20231115", "20231103")))


COMMANDS = [
    ("remove-older-than", str(BEGIN + DAY // 2)),
    ("remove-older-than", str(BEGIN + 2 * DAY)),
    ("remove-older-than", "1D"),
    ("remove-all-but-n-full", "1"),
    ("remove-all-but-n-full", "2"),
    ("remove-all-but-n-full", "9"),
    ("remove-all-inc-of-but-n-full", "1"),
    ("remove-all-inc-of-but-n-full", "2"),
    ("cleanup",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_both_delete_the_same_and_only_by_force(
    command: tuple[str, ...], chains: Place, twofold: Program, duplicity: Program
) -> None:
    _leave_behind(chains)
    left = []
    for program in (twofold, duplicity):
        place = chains.copy(str(program))
        before = place.names()
        for options in ((), ("--dry-run",), ("--force", "--dry-run")):
            place.run(program, *command, "URL", *options).expect()
            assert place.names() == before, f"{program} {options}"
        place.run(program, *command, "URL", "--force").expect()
        left.append(place.names())
    assert left[0] == left[1]


def test_after_each_deletion_duplicity_restores_what_is_kept(
    chains: Place, twofold: Program, duplicity: Program
) -> None:
    """The order of twofold, file by file, as far as the middle of each of the chains that go."""
    import json

    planned = chains.run(twofold, "remove-all-but-n-full", "1", "URL", "--json").expect()
    order = json.loads(planned.stdout)["result"]["target_files"]
    assert len(order) == 12
    for count, name in enumerate(order, 1):
        (chains.target / name).unlink()
        if count % 3 == 2:  # the manifest has gone, the volume has not
            out = chains.folder / f"out-{count}"
            chains.run(duplicity, "restore", "URL", str(out)).expect()
            assert sorted(os.listdir(out)) == [f"file-{step}" for step in range(5)]
            status = chains.run(duplicity, "collection-status", "URL").expect()
            assert "and 1 incomplete backup set(s)." in status.stdout


def test_a_lost_manifest_is_rescued_and_its_volumes_are_never_deleted(place: Place, twofold: Program) -> None:
    place.back_up(twofold, 0).expect()
    (place.target / "duplicity-full.20231114T221320Z.manifest").unlink()
    kept = place.names()
    told = place.run(twofold, "cleanup", "--force", "URL").expect()
    copy = place.folder / "archive" / "x" / "duplicity-full.20231114T221320Z.manifest"
    assert f"until {copy} is copied to the target" in told.stdout
    for words in (("remove-all-but-n-full", "1"), ("remove-older-than", "1s")):
        place.run(twofold, *words, "--force", "URL").expect()
    assert place.names() == kept
    made = place.back_up(twofold, 1).expect()
    assert "switching to full backup" in made.stdout
    assert kept < place.names()
    shutil.copy(copy, place.target)
    out = place.folder / "out"
    place.run(twofold, "restore", "URL", str(out), "--time", str(BEGIN)).expect()
    assert os.listdir(out) == ["file-0"]
    copy.unlink()
    (place.target / copy.name).unlink()
    place.run(twofold, "cleanup", "--force", "URL").expect()
    assert not [name for name in place.names() if "20231114" in name], "without any copy it is given up"


# ---- options whose meaning scripts rely on ---------------------------------------------------------------------------


@pytest.fixture(params=["twofold", "duplicity"])
def program(request: pytest.FixtureRequest) -> Program:
    """Both in turn, with one expectation."""
    found: Program = request.getfixturevalue(request.param)
    return found


def test_a_full_backup_is_made_when_the_last_is_too_old_or_there_is_none(program: Program, place: Place) -> None:
    for step, action in enumerate(("incremental", "backup", "incremental", "backup", "incremental")):
        place.back_up(program, step, "--full-if-older-than", "36h", action=action).expect()
    assert len(list(place.target.glob("duplicity-full.*.manifest"))) == 3
    assert len(list(place.target.glob("duplicity-inc.*.manifest"))) == 2


def test_an_increment_without_changes_is_skipped_on_demand(program: Program, place: Place) -> None:
    place.back_up(program, 0).expect()
    before = place.names()
    words = ("backup", "source", "URL", "--skip-if-no-change")
    skipped = place.run(program, *words, at=BEGIN + DAY).expect()
    assert "Skipped volume upload, as effectivly nothing has changed" in skipped.stdout
    assert place.names() == before
    place.run(program, *words[:-1], at=BEGIN + DAY).expect()
    assert place.names() > before


def test_another_source_has_to_be_allowed_for_an_increment_and_not_for_a_full_backup(
    program: Program, place: Place
) -> None:
    place.back_up(program, 0).expect()
    shutil.copytree(place.source, place.folder / "other")
    words = ("backup", "other", "URL")
    place.run(program, *words, at=BEGIN + DAY).expect(42)
    place.run(program, *words, "--allow-source-mismatch", at=BEGIN + 2 * DAY).expect()
    assert len(list(place.target.glob("duplicity-inc.*.manifest"))) == 1
    place.run(program, "full", "source", "URL", at=BEGIN + 3 * DAY).expect()


def test_a_name_is_that_of_the_folder_in_the_archive_directory(program: Program, place: Place) -> None:
    place.back_up(program, 0).expect()
    assert {path.name for path in (place.folder / "archive").iterdir()} == {"x"}


def test_a_dry_run_stores_nothing(program: Program, place: Place) -> None:
    assert place.back_up(program, 0, "--dry-run").expect().statistic("RawDeltaSize") == 0
    assert not list(place.target.glob("duplicity-*"))
    place.back_up(program, 0).expect()
    before = place.names()
    for action in ("full", "incremental"):
        place.back_up(program, 1, "--dry-run", action=action).expect()
        assert place.names() == before


def test_force_is_nothing_that_a_backup_minds(program: Program, place: Place) -> None:
    for step in range(2):
        place.back_up(program, step, "--force").expect()
    assert len(list(place.target.glob("duplicity-inc.*.manifest"))) == 1

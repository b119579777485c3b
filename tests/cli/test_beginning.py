"""What is begun ahead of time: gpg for a backup that may come to nothing; and parts of volumes, to begin reading at."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.cli.scene import DAY, NOON, Scene, set_time
from tests.support.tree import Fidelity, assert_same_tree
from twofold.envelope import gpg_process
from twofold.ui.actions import backing_up
from twofold.ui.failure import INTERRUPTED

ENCRYPT, DECRYPT = "--symmetric", "--decrypt"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What each gpg was started for."""
    found: list[str] = []
    start: Callable[..., object] = gpg_process.start_program

    def noted(command: list[str], environment: Mapping[str, str], **more: object) -> object:
        found.extend(word for word in command if word in (ENCRYPT, DECRYPT))
        return start(command, environment, **more)

    monkeypatch.setattr(gpg_process, "start_program", noted)
    return found


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody presses Ctrl-C as soon as the program that makes backups is loaded."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(backing_up, "build_selection", interrupt)


def test_an_increment_without_changes_starts_a_gpg_for_each_file_and_one_for_the_check(
    symmetric: Scene, started: list[str]
) -> None:
    symmetric.back_up()
    assert started == [ENCRYPT] * 3
    started.clear()
    symmetric.at(NOON + DAY).back_up()
    assert sorted(started) == [DECRYPT] + [ENCRYPT] * 3


@pytest.mark.parametrize(("action", "expected"), [("backup", 4), ("incremental", 4), ("full", 3)])
def test_what_was_begun_leaves_nothing_when_the_run_ends_early(
    action: str, expected: int, symmetric: Scene, started: list[str], request: pytest.FixtureRequest
) -> None:
    symmetric.back_up()
    before = os.listdir(symmetric.target)
    started.clear()
    request.getfixturevalue("interrupted")
    symmetric.at(NOON + DAY).back_up(action=action, expect=INTERRUPTED)
    assert sorted(started) == [DECRYPT][: expected - 3] + [ENCRYPT] * 3
    assert os.listdir(symmetric.target) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize("action", ["backup", "incremental", "full"])
@pytest.mark.parametrize("dry", [False, True])
def test_a_full_backup_that_was_cut_off_does_not_stop_the_next_one(action: str, dry: bool, symmetric: Scene) -> None:
    """As after a power cut before its manifest was there."""
    symmetric.back_up()
    for folder in (symmetric.target, symmetric.archive_dir):
        for path in Path(os.fsdecode(folder)).rglob("*manifest*"):
            path.unlink()
    before = sorted(os.listdir(symmetric.target))
    words = ["--dry-run"] if dry else []
    symmetric.at(NOON + DAY).back_up(*words, action=action, expect=17 if action == "incremental" else 0)
    if dry:
        assert sorted(os.listdir(symmetric.target)) == before


def test_nothing_is_begun_where_there_is_no_backup_yet(symmetric: Scene, started: list[str], interrupted: None) -> None:
    symmetric.back_up(expect=INTERRUPTED)
    assert not symmetric.target.exists()
    assert started == []


def test_a_dry_run_only_makes_the_check(symmetric: Scene, started: list[str]) -> None:
    symmetric.back_up("--dry-run")
    assert started == []
    symmetric.back_up()
    started.clear()
    symmetric.at(NOON + DAY).back_up("--dry-run")
    assert started == [DECRYPT]


def test_nobody_is_asked_for_a_passphrase_ahead_of_time(
    symmetric: Scene, started: list[str], request: pytest.FixtureRequest
) -> None:
    symmetric.back_up()
    started.clear()
    variables = {name: value for name, value in symmetric.variables.items() if name != "PASSPHRASE"}
    request.getfixturevalue("interrupted")
    symmetric.with_only(variables).back_up(expect=INTERRUPTED)
    assert started == []


def test_another_passphrase_than_that_of_the_chain_stores_nothing(symmetric: Scene) -> None:
    symmetric.back_up()
    before = os.listdir(symmetric.target)
    wrong = symmetric.with_variables(PASSPHRASE="another one").at(NOON + DAY)
    assert "check PASSPHRASE" in wrong.back_up(expect=1).stderr
    assert os.listdir(symmetric.target) == before


# ---- reading inside a volume -----------------------------------------------------------------------------------------


@pytest.fixture
def wide(symmetric: Scene) -> Scene:
    """A backup of 12 MiB: folders of files, half of which do not compress, and a large one in the middle."""
    source = random.Random(1)
    for folder in (b"a", b"m", b"z"):
        for number in range(60):
            content = source.randbytes(30_000) + bytes(30_000)
            write(symmetric.source / os.fsdecode(folder) / f"{number:02}", content)
    write(symmetric.source / "large", source.randbytes(3 << 20))
    write(symmetric.source / "a-", b"behind all of a, before m")
    symmetric.back_up()
    return symmetric


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    set_time(path, NOON - 3600)
    set_time(path.parent, NOON - 3600)


def entrances(scene: Scene) -> list[Path]:
    return sorted(scene.archive_dir.glob("twofold-entrances.*"))


def restore(scene: Scene, path: str) -> None:
    out = scene.folder / "out" / path.replace("/", "-")
    out.parent.mkdir(exist_ok=True)
    scene.run("restore", "--path-to-restore", path, scene.url, str(out))
    assert_same_tree(os.fsencode(out), os.fsencode(scene.source / path), fidelity=Fidelity.FULL)


@pytest.mark.parametrize("path", ["a", "a/00", "a/59", "a-", "large", "link", "m/30", "m", "z/00", "z/59"])
def test_every_path_of_a_large_volume_is_found(path: str, wide: Scene, started: list[str]) -> None:
    assert len(entrances(wide)) == 1
    restore(wide, path)
    assert started == [DECRYPT]


def test_a_path_that_is_not_there_is_not_found(wide: Scene) -> None:
    for path in ("a/99", "large/x", "n", "zz"):
        wide.run("restore", "--path-to-restore", path, wide.url, str(wide.folder / "out"), expect=19)


@pytest.mark.parametrize("content", [None, b"", b"twofold entrances 1\n", b"no list at all"])
def test_without_a_sound_list_volumes_are_read_from_the_beginning(content: bytes | None, wide: Scene) -> None:
    (path,) = entrances(wide)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    restore(wide, "m/30")


def test_a_list_that_is_wrong_costs_time_but_no_file(wide: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from twofold.pipeline import entrances as module
    from twofold.pipeline.entrances import Entrance

    wrong = [Entrance(0, b""), Entrance(1000, b"a/00"), Entrance(1_000_000, b"m/00"), Entrance(1_000_001, b"m/10")]
    monkeypatch.setattr(module, "_load", lambda *_: wrong)
    restore(wide, "m/30")
    restore(wide, "a/59")


def test_lists_go_with_their_sets(wide: Scene) -> None:
    wide.at(NOON + DAY).back_up()
    later = wide.at(NOON + 2 * DAY)
    later.back_up(action="full")
    assert len(entrances(wide)) == 2
    later.run("remove-all-but-n-full", "1", wide.url, "--force")
    assert [path.name for path in entrances(wide)] == ["twofold-entrances.duplicity-full.20260103T120000Z.manifest"]
    restore(later, "m/30")

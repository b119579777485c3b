"""Two runs at once, on one machine or two: refused or safe, never mixed."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.cli.scene import DAY, NOON, Scene, rewrite
from tests.support.interruption import kill_after_volumes
from tests.support.programs import Outcome, Program, Workspace
from tests.support.tally import Tried, tally
from twofold.model.backup import FileRole, StoredName
from twofold.repository.archive_dir import LOCK_NAME
from twofold.repository.repository import Repository
from twofold.storage.store import StoredFile


@pytest.fixture
def large(workspace: Workspace) -> Workspace:
    os.mkdir(workspace.path("source"))
    Path(os.fsdecode(workspace.path("source", "big"))).write_bytes(os.urandom(3 << 20))
    return workspace


def _full(space: Workspace) -> tuple[str | bytes, ...]:
    return ("full", space.path("source"), space.url(), "--no-encryption", "--volsize", "1")


def test_a_second_run_on_one_archive_directory_is_refused_and_the_first_one_ends_well(
    large: Workspace, twofold: Program
) -> None:
    """The first one waits in the middle, stopped."""
    words = _full(large)
    with large.start(twofold, *words) as first:
        while not list(Path(os.fsdecode(large.archive_dir)).rglob("*.manifest.part")):
            assert first.poll() is None
        os.kill(first.pid, signal.SIGSTOP)
        try:
            for each in (words, ("cleanup", "--force", large.url()), ("remove-all-but-n-full", "1", large.url())):
                refused = large.run(twofold, *each).expect(23)
                assert "Another backup is running on the archive directory" in refused.stderr
        finally:
            os.kill(first.pid, signal.SIGCONT)
        first.communicate()
    assert first.returncode == 0
    large.run(twofold, "verify", "--compare-data", large.url(), large.path("source")).expect()


def test_a_dead_holder_of_the_lock_blocks_nobody(large: Workspace, twofold: Program) -> None:
    kill_after_volumes(large, twofold, *_full(large), cwd=large.folder, volumes=1)
    (lock,) = Path(os.fsdecode(large.archive_dir)).rglob(LOCK_NAME)
    large.run(twofold, *_full(large)).expect()
    assert lock.exists()
    large.run(twofold, "verify", "--compare-data", large.url(), large.path("source")).expect()
    tally(Tried.KILLS)


class _Beside:
    """Another machine's backup of the same target, made when ours is about to store its signatures."""

    def __init__(self, scene: Scene, patch: pytest.MonkeyPatch, *words: str, now: int) -> None:
        self._scene = scene
        self._words = words
        self._now = now
        self._store = Repository.hand_over
        self.ended: list[Outcome] = []

        def hand_over(repository: Repository, path: str, meaning: StoredName) -> StoredFile:
            return self._hand_over(repository, path, meaning)

        patch.setattr(Repository, "hand_over", hand_over)

    def _hand_over(self, repository: Repository, path: str, meaning: StoredName) -> StoredFile:
        if meaning.role is FileRole.SIGNATURES and not self.ended:
            begun = Outcome((), -1, "", "")
            self.ended.append(begun)
            elsewhere = ("--archive-dir", str(self._scene.folder / "elsewhere"), "--no-encryption", "--name", "other")
            words = (*self._words, *elsewhere, "--current-time", str(self._now))
            self.ended[0] = self._scene.run_bare(*words, expect=None)
        return self._store(repository, path, meaning)


@pytest.mark.parametrize("action", ["full", "incremental"])
def test_a_run_from_another_machine_is_refused_at_a_directory(
    plain: Scene, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    plain.back_up()
    rewrite(plain.source / "docs" / "a.txt", b"ours\n", time=NOON + 60)
    words = (action, str(plain.source), plain.url)
    beside = _Beside(plain, monkeypatch, *words, now=NOON + DAY)
    plain.at(NOON + DAY).back_up(action=action)
    assert "Another backup is being written to this target" in beside.ended[0].expect(23).stderr
    _all_is_well(plain)


@pytest.mark.parametrize("action", ["full", "incremental"])
@pytest.mark.parametrize("apart", [1, 60])
def test_what_another_machine_stores_meanwhile_is_never_mixed_with_ours(
    plain: Scene, monkeypatch: pytest.MonkeyPatch, action: str, apart: int
) -> None:
    """At a target that does not tell who else is at it. Two fulls make two chains; else ours does not count."""
    plain.back_up()
    rewrite(plain.source / "docs" / "a.txt", b"ours\n", time=NOON + 60)
    other = plain.folder / "other"
    shutil.copytree(plain.source, other, symlinks=True)
    rewrite(other / "docs" / "a.txt", b"their\n", time=NOON + 60)
    monkeypatch.setattr(Repository, "refuse_beside_writer", lambda _: None)
    words = (action, str(other), plain.url, "--allow-source-mismatch")
    beside = _Beside(plain, monkeypatch, *words, now=NOON + DAY + apart)
    both = action == "full"
    ours = plain.at(NOON + DAY).back_up(action=action, expect=0 if both else 23)
    beside.ended[0].expect(0)
    assert ("Another backup of this target was made at the same time" in ours.stderr) != both
    assert _restored(plain, NOON + DAY + apart) == b"their\n"
    if both:
        assert _restored(plain, NOON + DAY) == b"ours\n"
    plain.at(NOON + 2 * DAY).back_up("--allow-source-mismatch")
    plain.at(NOON + 2 * DAY).run("cleanup", "--force", plain.url)
    _all_is_well(plain.at(NOON + 2 * DAY))
    assert _restored(plain, NOON + DAY + apart) == b"their\n"


def _restored(scene: Scene, moment: int) -> bytes:
    target = scene.folder / "restored"
    scene.at(NOON + 3 * DAY).run("restore", scene.url, str(target), "--time", str(moment), "--force")
    return (target / "docs" / "a.txt").read_bytes()


def _all_is_well(scene: Scene) -> None:
    scene.run("verify", scene.url, str(scene.source), "--compare-data")
    assert "No orphaned or incomplete backup sets found." in scene.run("collection-status", scene.url).stdout

"""Damage met by the program as people run it: a clear message, duplicity's exit code, all else restored."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.archive import Target, diff_of, directory, one_volume, other, parts, raw, snapshot, symlink
from tests.support.chain import Mode, with_passphrases, wrapping
from tests.support.gnupg import GnupgHome
from tests.support.programs import Outcome, Program, Workspace
from tests.support.tools import unavailable
from tests.support.tree import Fidelity, Snapshot, assert_same_tree
from tests.support.tree import snapshot as tree_of
from twofold.model.backup import SetId, Wrapping

SOURCE = random.Random(11)
FULL, FIRST = SetId(1_700_000_000), SetId(1_700_086_400, 1_700_000_000)
MODES = (Mode.SYMMETRIC, Mode.GZIP, Mode.PLAIN)


@dataclass
class Archive:
    """A full backup of several volumes and an increment, never to be changed; tests take copies."""

    folder: Path
    options: tuple[str, ...]
    passphrase: str | None
    states: tuple[Snapshot, Snapshot]


@pytest.fixture(scope="module")
def archives(
    tmp_path_factory: pytest.TempPathFactory, gnupg_home: GnupgHome, twofold: Program
) -> Iterator[dict[Mode, Archive]]:
    made = {}
    for mode in MODES:
        folder = tmp_path_factory.mktemp(mode.value)
        workspace = Workspace.below(os.fsencode(folder), gnupg_home=gnupg_home.path)
        workspace = with_passphrases(workspace, mode, gnupg_home)
        options = wrapping(mode, gnupg_home)
        source = folder / "source"
        (source / "d").mkdir(parents=True)
        for name, size in (("a", 10), ("big", 1_500_000), ("d/x", 400_000), ("z", 700_000)):
            (source / name).write_bytes(SOURCE.randbytes(size))
        (source / "link").symlink_to("a")
        first = tree_of(os.fsencode(source))
        arguments = (*options, os.fsencode(source), workspace.url())
        workspace.run(twofold, "full", "--volsize", "1", "--current-time", str(FULL.end), *arguments).expect()
        (source / "d" / "x").write_bytes(b"changed" + (source / "d" / "x").read_bytes())
        (source / "new").write_bytes(b"new")
        states = first, tree_of(os.fsencode(source))
        workspace.run(twofold, "incremental", "--current-time", str(FIRST.end), *arguments).expect()
        made[mode] = Archive(folder, options, workspace.passphrase, states)
    yield made
    for archive in made.values():
        shutil.rmtree(archive.folder)


class Copy:
    """A copy of an archive to be damaged, and the program to read it with."""

    def __init__(self, archive: Archive, workspace: Workspace, twofold: Program, *, cached: bool) -> None:
        folder = Path(os.fsdecode(workspace.folder))
        shutil.copytree(archive.folder / "target", folder / "target")
        if cached:
            name = next(iter(os.listdir(archive.folder / "archive")))
            self._cache_source = archive.folder / "archive" / name
        self.archive = archive
        self.folder = folder
        self.target = folder / "target"
        self.restored = folder / "restored"
        self._workspace = workspace.with_passphrase(archive.passphrase)
        self._program = twofold
        if cached:
            self.run("collection-status").expect()
            (cache,) = (folder / "archive").iterdir()
            shutil.copytree(self._cache_source, cache, dirs_exist_ok=True)
            self.cache = cache

    def run(self, action: str, *arguments: str | bytes) -> Outcome:
        return self._workspace.run(self._program, action, *self.archive.options, self._workspace.url(), *arguments)

    def restore(self, *options: str) -> Outcome:
        outcome = self.run("restore", os.fsencode(self.restored), *options)
        assert "Traceback" not in outcome.stdout + outcome.stderr, str(outcome)
        return outcome

    def file(self, kind: str, place: Path | None = None) -> Path:
        """The second volume of the full set, or metadata of the increment."""
        pattern = {"volume": "*full.*vol2.*", "manifest": "*inc.*.manifest*", "signatures": "*new-sig*"}[kind]
        (found,) = (place or self.target).glob(pattern)
        return found

    def assert_the_rest_is_restored(self, outcome: Outcome, *, lost: set[bytes]) -> None:
        """Everything is as it was but for what is lost, which is named."""
        expected = {name: state for name, state in self.archive.states[1].items() if name not in lost}
        assert_same_tree(os.fsencode(self.restored), expected, fidelity=Fidelity.DUPLICITY)
        for name in lost:
            assert os.fsdecode(name) in outcome.stdout + outcome.stderr


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def extend(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n  and more\n")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    at = content.find(b"Hash SHA1 ")
    at = at + 12 if at >= 0 else len(content) * 2 // 3
    content[at] ^= 1
    path.write_bytes(content)


def swap(path: Path) -> None:
    """Another file of the same kind stands in its place."""
    pattern = path.name.replace("inc.20231114T221320Z.to.20231115T221320Z", "full.20231114T221320Z")
    pattern = pattern.replace("new-signatures.20231114T221320Z.to.20231115T221320Z", "full-signatures.20231114T221320Z")
    shutil.copy(path.parent / pattern.replace("vol2", "vol1"), path)


DAMAGES = (cut, extend, flip, swap)


@pytest.fixture(params=MODES, ids=lambda mode: mode.value)
def copy(request: pytest.FixtureRequest, archives: dict[Mode, Archive], workspace: Workspace, twofold: Program) -> Copy:
    return Copy(archives[request.param], workspace, twofold, cached=False)


@pytest.fixture(params=MODES[:2], ids=lambda mode: mode.value)
def wrapped(
    request: pytest.FixtureRequest, archives: dict[Mode, Archive], workspace: Workspace, twofold: Program
) -> Copy:
    return Copy(archives[request.param], workspace, twofold, cached=False)


@pytest.fixture
def cached(archives: dict[Mode, Archive], workspace: Workspace, twofold: Program) -> Copy:
    return Copy(archives[Mode.GZIP], workspace, twofold, cached=True)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_volume_is_21_and_costs_only_the_files_in_it(copy: Copy, damage: Callable[[Path], None]) -> None:
    path = copy.file("volume")
    damage(path)
    outcome = copy.restore().expect(21)
    assert path.name in outcome.stderr
    lost = set(copy.archive.states[1]) - set(tree_of(os.fsencode(copy.restored)))
    assert lost
    assert lost <= {b"big", b"d/x", b"z"}
    copy.assert_the_rest_is_restored(outcome, lost=lost)


def test_a_missing_volume_is_1_with_nothing_written_unless_errors_are_ignored(copy: Copy) -> None:
    copy.file("volume").unlink()
    outcome = copy.restore().expect(1)
    assert "volume 2" in outcome.stderr
    assert not copy.restored.exists()
    outcome = copy.restore("--ignore-errors").expect(1)
    lost = set(copy.archive.states[1]) - set(tree_of(os.fsencode(copy.restored)))
    assert b"big" in lost
    copy.assert_the_rest_is_restored(outcome, lost=lost)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_manifest_is_an_error_with_its_name_or_harmless(
    wrapped: Copy, damage: Callable[[Path], None]
) -> None:
    path = wrapped.file("manifest")
    damage(path)
    outcome = wrapped.restore()
    if outcome.returncode:
        assert outcome.returncode in ({31, 1} if wrapped.archive.passphrase else {1, 21, 30})
        assert path.name in outcome.stderr or "inc.20231114T221320Z.to.20231115T221320Z" in outcome.stderr
    else:
        assert damage in (extend, flip), "one of two hashes may be wrong"
        wrapped.assert_the_rest_is_restored(outcome, lost=set())
    older = wrapped.run("restore", "--time", str(FULL.end), os.fsencode(wrapped.folder / "older")).expect()
    assert "Traceback" not in outcome.stderr + older.stderr
    assert_same_tree(os.fsencode(wrapped.folder / "older"), wrapped.archive.states[0], fidelity=Fidelity.DUPLICITY)


def test_a_set_without_manifest_is_passed_over_with_a_word(wrapped: Copy) -> None:
    wrapped.file("manifest").unlink()
    outcome = wrapped.restore().expect(0)
    assert "not complete" in outcome.stdout + outcome.stderr
    assert_same_tree(os.fsencode(wrapped.restored), wrapped.archive.states[0], fidelity=Fidelity.DUPLICITY)


@pytest.mark.parametrize("damage", [*DAMAGES, Path.unlink], ids=lambda damage: damage.__name__)
def test_damaged_signatures_do_not_keep_from_restoring(wrapped: Copy, damage: Callable[[Path], None]) -> None:
    damage(wrapped.file("signatures"))
    outcome = wrapped.restore().expect(0)
    wrapped.assert_the_rest_is_restored(outcome, lost=set())


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["manifest", "signatures"])
def test_damage_in_the_cache_costs_nothing(cached: Copy, kind: str, damage: Callable[[Path], None]) -> None:
    damage(cached.file(kind, cached.cache))
    outcome = cached.restore().expect(0)
    cached.assert_the_rest_is_restored(outcome, lost=set())


@pytest.mark.parametrize("damage", [cut, flip])
def test_listing_names_the_damaged_signature_file(cached: Copy, damage: Callable[[Path], None]) -> None:
    path = cached.file("signatures", cached.cache)
    (path.parent / "twofold-state").unlink()  # it tells the same, so with it nobody would look
    damage(path)
    outcome = cached.run("list-current-files").expect(30)
    assert path.name in outcome.stderr
    assert "Traceback" not in outcome.stderr
    path.unlink()
    assert "d/x" in cached.run("list-current-files").expect(0).stdout


@pytest.mark.parametrize("option", ["", "--compare-data"])
def test_verify_finds_damaged_volumes_too(copy: Copy, option: str) -> None:
    path = copy.file("volume")
    flip(path)
    outcome = copy.run("verify", os.fsencode(copy.archive.folder / "source"), *([option] if option else []))
    outcome.expect(21)
    assert path.name in outcome.stderr


def test_a_wrong_passphrase_is_31_and_nothing_is_written(
    archives: dict[Mode, Archive], workspace: Workspace, twofold: Program
) -> None:
    copy = Copy(archives[Mode.SYMMETRIC], workspace, twofold, cached=False)
    copy._workspace = workspace.with_passphrase("not the right one")
    outcome = copy.restore().expect(31)
    assert "passphrase is wrong" in outcome.stderr
    assert not copy.restored.exists()


def test_a_missing_secret_key_is_31_and_nothing_is_written(
    tmp_path: Path, workspace: Workspace, twofold: Program, gnupg_home: GnupgHome, public_gnupg_home: GnupgHome
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_bytes(b"a")
    key = ("--encrypt-key", gnupg_home.bare.fingerprint)
    workspace.run(twofold, "full", *key, os.fsencode(source), workspace.url()).expect()
    poor = workspace.with_gnupg_home(public_gnupg_home.path).with_archive_dir("other").with_passphrase("")
    outcome = poor.run(twofold, "restore", *key, workspace.url(), os.fsencode(tmp_path / "restored")).expect(31)
    assert "secret key" in outcome.stderr
    assert not (tmp_path / "restored").exists()


def stored(workspace: Workspace, target: Target) -> Path:
    folder = Path(os.fsdecode(workspace.path("target")))
    folder.mkdir()
    for name, content in target.files.items():
        (folder / name).write_bytes(content)
    return Path(os.fsdecode(workspace.path("restored")))


@pytest.mark.parametrize("options", [(), ("--force",)])
def test_hostile_archives_write_nothing_outside(
    workspace: Workspace, twofold: Program, options: tuple[str, ...]
) -> None:
    target = Target(Wrapping.GZIP)
    target.add_set(
        FULL,
        one_volume(
            directory(b""),
            other(b"away", symlink(b"..")),
            snapshot(b"away/outside", b"evil"),
            raw(b"snapshot/../outside", b"evil"),
            raw(b"snapshot//outside", b"evil"),
            raw(b"snapshot/c/../../outside", b"evil"),
            snapshot(b"zz", b"good"),
        ),
    )
    target.add_set(FIRST, one_volume(snapshot(b"away/outside2", b"evil")))
    restored = stored(workspace, target)
    outcome = workspace.run(twofold, "restore", "--no-encryption", *options, workspace.url(), os.fsencode(restored))
    outcome.expect(1)
    assert "Traceback" not in outcome.stderr
    assert sorted(os.listdir(restored)) == ["away", "zz"]
    assert not list(restored.parent.rglob("outside*"))


MEASURED = """
import re, sys
from twofold.ui.cli import run
code = run()
print("peak", re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
sys.exit(code)
"""


def test_bombs_do_not_fill_the_memory(workspace: Workspace, twofold: Program) -> None:
    """A volume that inflates to 64 MB, and a delta that multiplies its basis to as much."""
    basis = bytes(1_000_000)
    bomb = b"rs\x026" + (b"\x47\x00" + len(basis).to_bytes(4, "big")) * 64 + b"\x00"
    target = Target(Wrapping.GZIP)
    target.add_set(FULL, one_volume(directory(b""), *parts(b"large", bytes(64_000_000)), snapshot(b"small", basis)))
    target.add_set(FIRST, one_volume(diff_of(b"small", bomb)))
    restored = stored(workspace, target)
    measured = Program("measured", (sys.executable, "-c", MEASURED), twofold.variables)
    outcome = workspace.run(measured, "restore", "--no-encryption", workspace.url(), os.fsencode(restored)).expect()
    assert (restored / "small").stat().st_size == 64_000_000
    assert outcome.statistic("peak") < 60_000, "kilobytes"


def test_a_full_disk_is_told_with_the_file(workspace: Workspace, twofold: Program, tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(room)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True, timeout=60).returncode:
        unavailable("Only root may mount a small file system")
    try:
        target = Target()
        content = SOURCE.randbytes(900_000)
        members = [directory(b""), *parts(b"first", content), *parts(b"second", content), snapshot(b"third", b"3")]
        target.add_set(FULL, one_volume(*members))
        stored(workspace, target)
        options = ("--no-encryption", "--no-compression", workspace.url())
        outcome = workspace.run(twofold, "restore", *options, os.fsencode(room / "restored")).expect(1)
        assert "second" in outcome.stderr
        assert "No space left" in outcome.stderr
        assert "Traceback" not in outcome.stderr
        assert (room / "restored" / "first").read_bytes() == content
        assert os.listdir(room / "restored") == ["first"]
    finally:
        subprocess.run(["umount", str(room)], check=True, timeout=60)

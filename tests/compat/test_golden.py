"""Archives that were written once and are kept: each must restore to what was recorded then, and can be continued.

See tests/data/README.md. `interrupted` archives have tests of their own in test_golden_interrupted.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import gnupg
from tests.support.chain import LISTED, STEP_SECONDS, Counts, expected_counts
from tests.support.golden import ARCHIVES, TREES, Golden, all_goldens, as_restored_by
from tests.support.golden_tree import lines
from tests.support.programs import Outcome, Program, Workspace
from tests.support.tree import ROOT, Kind, Snapshot, assert_same_tree, snapshot
from tests.support.tree_editor import TreeEditor

FINISHED = [golden for golden in all_goldens() if not golden.about.unfinished]
EVERY = pytest.mark.parametrize("golden", FINISHED, ids=str)


class Opened:
    """A copy of a golden archive and what is needed to read it."""

    def __init__(self, golden: Golden, workspace: Workspace, program: Program) -> None:
        golden.copy_into(workspace.folder)
        self.golden = golden
        self.workspace = workspace.with_passphrase(golden.about.passphrase)
        self.program = program
        self.states = [as_restored_by(state, user=os.geteuid(), group=os.getegid()) for state in golden.states()]

    def run(self, *arguments: str | bytes) -> Outcome:
        return self.workspace.run(self.program, *arguments, *self.golden.about.options)

    def restore(self, name: str, *options: str | bytes) -> bytes:
        folder = self.workspace.path(name)
        self.run("restore", *options, self.workspace.url(), folder).expect()
        return folder

    def assert_restores(self, name: str, state: Snapshot, *options: str | bytes) -> bytes:
        folder = self.restore(name, *options)
        assert_same_tree(folder, state, fidelity=self.golden.fidelity)
        return folder


@pytest.fixture
def opened(golden: Golden, tmp_path: Path, twofold: Program) -> Iterator[Opened]:
    with ExitStack() as stack:
        keys = [(golden.folder / golden.about.secret_key).read_bytes()] if golden.about.secret_key else []
        home = stack.enter_context(gnupg.imported(*keys))
        yield Opened(golden, Workspace.below(os.fsencode(tmp_path), gnupg_home=home), twofold)


@EVERY
def test_every_set_restores_to_what_was_recorded(opened: Opened) -> None:
    sign_key = opened.golden.about.sign_key
    checking = ("--sign-key", sign_key) if sign_key else ()
    for step, (time, state) in enumerate(zip(opened.golden.about.times, opened.states, strict=True)):
        opened.assert_restores(f"step-{step}", state, "--time", str(time), *checking)
    opened.assert_restores("newest", opened.states[-1])


@EVERY
def test_the_file_list_names_what_was_recorded(opened: Opened) -> None:
    for time, state in zip(opened.golden.about.times, opened.golden.states(), strict=True):
        outcome = opened.run("list-current-files", "--time", str(time), opened.workspace.url()).expect()
        listed = [line[25:] for line in outcome.stdout.split("\n") if LISTED.match(line)]
        names = [os.fsdecode(name).encode("utf-8", "surrogateescape") for name in state]
        expected = [name.decode("utf-8", "backslashreplace").split("\n")[0] for name in names]
        assert sorted(listed) == sorted(expected)


@EVERY
def test_the_collection_status_shows_every_set(opened: Opened) -> None:
    outcome = opened.run("collection-status", opened.workspace.url()).expect()
    assert "Found primary backup chain with matching signature chain" in outcome.stdout
    assert f"Number of contained backup sets: {len(opened.states)}\n" in outcome.stdout
    assert "No orphaned or incomplete backup sets found" in outcome.stdout


@EVERY
def test_a_restored_tree_verifies_and_a_changed_one_does_not(opened: Opened) -> None:
    folder = opened.restore("newest")
    url = opened.workspace.url()
    outcome = opened.run("verify", "--compare-data", url, folder).expect()
    assert " 0 difference(s) found" in outcome.stdout
    changed = next(name for name, node in snapshot(folder).items() if node.kind is Kind.REGULAR and node.size > 100)
    path = folder if changed == ROOT else os.path.join(folder, changed)
    before = os.lstat(path)
    with open(path, "r+b") as file:
        file.write(b"#")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    outcome = opened.run("verify", "--compare-data", url, folder).expect(1)
    assert " 1 difference(s) found" in outcome.stdout


@EVERY
def test_the_chain_can_be_continued(opened: Opened) -> None:
    source = opened.restore("source")
    before = snapshot(source)
    _change(source)
    after = snapshot(source)
    about = opened.golden.about
    time = str(about.times[-1] + STEP_SECONDS)
    key = ("--encrypt-key", _fingerprint(opened)) if about.secret_key else ()
    new_set = ("--allow-source-mismatch", "--current-time", time, *key)
    outcome = opened.run("incremental", *new_set, source, opened.workspace.url()).expect()
    assert Counts.reported(outcome) == expected_counts(before, after), str(outcome)
    for step, old_time in enumerate(about.times):
        opened.assert_restores(f"old-{step}", opened.states[step], "--time", str(old_time))
    opened.assert_restores("continued", after)


def test_no_kept_archive_is_left_out() -> None:
    described = {golden.folder for golden in all_goldens()}
    folders = {path for producer in ARCHIVES.iterdir() for path in producer.iterdir() if path.name != TREES}
    assert folders == described
    assert {golden.folder.parent.name for golden in all_goldens()} >= {"duplicity-0.8.22", "duplicity-3.2.1"}
    unfinished = {str(golden) for golden in all_goldens() if golden.about.unfinished}
    assert len(FINISHED) + len(unfinished) == len(described)


def test_every_recorded_tree_belongs_to_an_archive() -> None:
    used = {golden.folder.parent / TREES / f"{golden.about.tree}.json" for golden in all_goldens()}
    assert set(ARCHIVES.glob(f"*/{TREES}/*.json")) == used


def _change(source: bytes) -> None:
    if not os.path.isdir(source):
        folder, name = os.path.split(source)
        with TreeEditor(folder, step=9) as tree:
            tree.overwrite(name, 5_000, b"continued")
        return
    with TreeEditor(source, step=9) as tree:
        names = [name for name, node in snapshot(source).items() if node.kind is Kind.REGULAR and node.size > 6_000]
        tree.overwrite(names[0], 5_000, b"continued")
        tree.append(names[-1], lines("continued", 70_000))
        tree.write(b"continued", b"a new file\n")
        kept = [name for name in sorted(os.listdir(source)) if name != b"continued" and name not in names]
        tree.remove(kept[-1])


def _fingerprint(opened: Opened) -> str:
    listed = gnupg.run_gpg(opened.workspace.gnupg_home, "--with-colons", "--list-secret-keys").stdout.decode()
    return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))

"""A backup chain made step by step by any program, of a source that changes in between.

Backups carry times decided here, a day apart, so that chains are made without waiting.
"""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.support import nasty_tree
from tests.support.gnupg import SYMMETRIC_PASSPHRASE, GnupgHome
from tests.support.programs import Outcome, Program, Workspace
from tests.support.tree import ROOT, Fidelity, Kind, NodeState, Snapshot, assert_same_tree, snapshot

FIRST_TIME = 1_700_000_000
STEP_SECONDS = 86_400
NOW = -1

LISTED = re.compile(r"^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4} ")


def time_of(step: int) -> int:
    return FIRST_TIME + step * STEP_SECONDS


class Mode(enum.Enum):
    """How files at the target are wrapped."""

    SYMMETRIC = "symmetric"
    SIGNED = "signed"
    GZIP = "gzip"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Counts:
    """What an incremental backup has to find: the numbers of its statistics block."""

    new: int
    changed: int
    deleted: int

    @classmethod
    def reported(cls, outcome: Outcome) -> Counts:
        return cls(*(outcome.statistic(name) for name in ("NewFiles", "ChangedFiles", "DeletedFiles")))


def wrapping(mode: Mode, home: GnupgHome) -> tuple[str, ...]:
    """The options of a mode. A low S2K count saves a quarter of a second a file; reading does not depend on it."""
    match mode:
        case Mode.SYMMETRIC:
            return ("--gpg-options=--s2k-count=65536",)
        case Mode.SIGNED:
            return ("--encrypt-key", home.bare.fingerprint, "--sign-key", home.locked.fingerprint)
        case Mode.GZIP:
            return ("--no-encryption",)
        case Mode.PLAIN:
            return ("--no-encryption", "--no-compression")


def with_passphrases(workspace: Workspace, mode: Mode, home: GnupgHome) -> Workspace:
    match mode:
        case Mode.SYMMETRIC:
            return workspace.with_passphrase(SYMMETRIC_PASSPHRASE)
        case Mode.SIGNED:
            return workspace.with_passphrase(home.bare.passphrase, sign=home.locked.passphrase)
        case Mode.GZIP | Mode.PLAIN:
            return workspace


@dataclass
class Chain:
    """A source folder, its state at each backup so far, and the target."""

    workspace: Workspace
    options: tuple[str, ...]
    source: bytes
    build: Callable[[bytes], None] = nasty_tree.build
    change: Callable[[bytes, int], None] = nasty_tree.change
    states: tuple[Snapshot, ...] = ()

    @classmethod
    def begin(cls, workspace: Workspace, mode: Mode, home: GnupgHome, *extra_options: str) -> Chain:
        return cls(
            workspace=with_passphrases(workspace, mode, home),
            options=(*wrapping(mode, home), *extra_options),
            source=workspace.path("source"),
        )

    @property
    def newest(self) -> int:
        return len(self.states) - 1

    @property
    def target(self) -> bytes:
        return self.workspace.path("target")

    def use_archive_dir(self, name: str) -> None:
        self.workspace = self.workspace.with_archive_dir(name)

    def advance(self) -> int:
        """Changes the source for the next step and remembers what it looks like."""
        step = len(self.states)
        if step == 0:
            self.build(self.source)
        else:
            self.change(self.source, step)
        self.states = (*self.states, snapshot(self.source))
        return step

    def back_up(self, program: Program, *extra_options: str) -> Outcome:
        """Saves the next step: a full backup first, then incrementals."""
        step = self.advance()
        action = "full" if step == 0 else "incremental"
        return self.run(program, action, *extra_options, self.source, self.workspace.url(), at=time_of(step)).expect()

    def back_up_again(self, program: Program, *extra_options: str) -> Outcome:
        """An incremental of an unchanged source, which writes nothing."""
        options = ("--skip-if-no-change", *extra_options)
        time = time_of(len(self.states))
        return self.run(program, "incremental", *options, self.source, self.workspace.url(), at=time).expect()

    def expected_counts(self) -> Counts:
        return expected_counts(self.states[-2], self.states[-1])

    def restore(self, program: Program, step: int, *extra_options: str) -> bytes:
        folder = self.workspace.path(f"restored-{program}-{step}")
        time = ("--time", str(time_of(step)))
        self.run(program, "restore", *time, *extra_options, self.workspace.url(), folder).expect()
        return folder

    def assert_restores(self, program: Program, *, fidelity: Fidelity) -> None:
        """Every step comes back as it was."""
        for step, state in enumerate(self.states):
            folder = self.restore(program, step)
            assert_same_tree(folder, state, fidelity=fidelity)

    def assert_verifies(self, program: Program) -> None:
        """The newest step equals the source."""
        outcome = self.run(program, "verify", "--compare-data", self.workspace.url(), self.source).expect()
        assert " 0 difference(s) found" in outcome.stdout, str(outcome)

    def listed(self, program: Program, step: int) -> list[str]:
        """The lines of list-current-files that begin with a time."""
        outcome = self.run(program, "list-current-files", "--time", str(time_of(step)), self.workspace.url()).expect()
        return [line for line in outcome.stdout.split("\n") if LISTED.match(line)]

    def target_files(self) -> dict[bytes, bytes]:
        return {entry.name: _content(entry.path) for entry in os.scandir(self.target)}

    def run(self, program: Program, *arguments: str | bytes, at: int = NOW) -> Outcome:
        clock = () if at == NOW else ("--current-time", str(at))
        return self.workspace.run(program, *arguments, *self.options, *clock)

    def with_gnupg_home(self, gnupg_home: str) -> Chain:
        return replace(self, workspace=self.workspace.with_gnupg_home(gnupg_home))


def expected_counts(before: Snapshot, after: Snapshot) -> Counts:
    """What differs by duplicity's rules (docs/format.md section 5.3)."""
    differing = [name for name in after if name not in before or _compared(before[name]) != _compared(after[name])]
    changed = [name for name in differing if _is_regular(before.get(name)) and _is_regular(after[name])]
    deleted = [name for name in before if name not in after and name != ROOT]
    return Counts(new=len(differing) - len(changed), changed=len(changed), deleted=len(deleted))


def _is_regular(state: NodeState | None) -> bool:
    return state is not None and state.kind is Kind.REGULAR


def _compared(state: NodeState) -> tuple[object, ...]:
    owner = (state.kind, state.mode, state.uid, state.gid)
    match state.kind:
        case Kind.SYMLINK:
            return (state.kind, state.link_target)
        case Kind.CHARACTER_DEVICE | Kind.BLOCK_DEVICE:
            return (*owner, state.device)
        case Kind.REGULAR | Kind.DIRECTORY | Kind.FIFO:
            return (*owner, state.mtime_ns // 10**9)


def _content(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()

"""Random sequences of edits, backups, kills, retention and lost caches, carried out by twofold and duplicity in turns.

At the end each moment that has to be there is restored by both. `TWOFOLD_TEST_TURNS=500 python -m pytest
tests/compat/test_model_in_turns.py` plays so many; `-k 'seed17-'` plays one again.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable

import pytest

from tests.support.chain import Mode, time_of, with_passphrases, wrapping
from tests.support.edits import Edits
from tests.support.gnupg import GnupgHome
from tests.support.programs import Program, Workspace
from tests.support.tally import Tried, tally
from tests.support.tree import Fidelity, Snapshot, assert_same_tree, snapshot
from twofold.format.names import NameCodec
from twofold.model.backup import FileRole

pytestmark = pytest.mark.interop

SEQUENCES = int(os.environ.get("TWOFOLD_TEST_TURNS", "15"))
STEPS = 7
SIZES = (0, 1, 700, 5_000, 60_000, 700_000)
MODES = (Mode.PLAIN, Mode.GZIP, Mode.GZIP, Mode.SYMMETRIC)


class Story:
    """What has been done so far, and what has to be there: `chains` of moments, and the tree at each."""

    def __init__(self, seed: int, programs: list[Program], workspace: Workspace, home: GnupgHome) -> None:
        self.random = random.Random(seed)
        self.twofold = programs[0]
        self.programs = programs
        mode = self.random.choice(MODES)
        self.workspace = with_passphrases(workspace, mode, home)
        self.options = (*wrapping(mode, home), "--volsize", "1")
        self.has_own_folders = self.random.random() < 0.5
        self.source = workspace.path("source")
        os.mkdir(self.source)
        self.edits = Edits(self.source, seed, sizes=SIZES, hidden=False)
        self.step = 0
        self.seen: Snapshot = {}
        self.chains: list[list[int]] = []
        self.trees: dict[int, Snapshot] = {}
        self.was_killed = False
        self.log: list[str] = []

    def play(self) -> None:
        self.edit(20)
        self.back_up()
        deeds: tuple[Callable[[], None], ...] = (
            *(self.back_up,) * 4,
            *(self.kill, self.remove_old, self.remove_increments, self.clean_up, self.lose_cache),
        )
        for _ in range(STEPS):
            self.edit(self.random.choice((0, 1, 3, 8)))
            self.random.choice(deeds)()
        if self.was_killed:
            self.back_up()
        for program in self.programs:
            for moment in sorted(self.trees):
                self.expect(program, moment)

    # ---- what is done ------------------------------------------------------------------------------------------------

    def edit(self, count: int) -> None:
        self.edits.make_some(count)
        self._settle()

    def back_up(self) -> None:
        # duplicity goes on with a set whose source has changed since and spoils it (docs/format.md section 10.4).
        program = self.twofold if self.was_killed else self.random.choice(self.programs)
        action = self._action()
        self.run(program, action, self.source, self.workspace.url(), "--current-time", str(self._next()))
        self.was_killed = False
        self._notice()

    def kill(self) -> None:
        self.log.append("kill")
        action = self._action()
        time_given = ("--current-time", str(self._next()))
        words: tuple[str | bytes, ...] = (action, self.source, self.workspace.url(), *self.options, *time_given)
        with self._place(self.twofold).start(self.twofold, *words) as process:
            time.sleep(self.random.random() * 0.5)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        self.was_killed = True
        tally(Tried.KILLS)
        self._notice()

    def remove_old(self) -> None:
        count = self.random.choice((1, 1, 2))
        program = self.random.choice(self.programs)
        self.run(program, "remove-all-but-n-full", str(count), "--force", self.workspace.url())
        self._keep(self.chains[-count:])

    def remove_increments(self) -> None:
        program = self.random.choice(self.programs)
        self.run(program, "remove-all-inc-of-but-n-full", "1", "--force", self.workspace.url())
        self._keep([*([chain[0]] for chain in self.chains[:-1]), *self.chains[-1:]])

    def clean_up(self) -> None:
        self.run(
            self.twofold if self.was_killed else self.random.choice(self.programs),
            "cleanup",
            "--force",
            self.workspace.url(),
        )

    def lose_cache(self) -> None:
        self.log.append("lose the cache")
        shutil.rmtree(self._place(self.random.choice(self.programs)).archive_dir, ignore_errors=True)

    # ---- how ---------------------------------------------------------------------------------------------------------

    def run(self, program: Program, *words: str | bytes) -> None:
        self.log.append(f"{program} {words[0]!s}")
        outcome = self._place(program).run(program, *words, *self.options)
        assert outcome.returncode == 0, f"{self.log}\n{outcome}"

    def expect(self, program: Program, moment: int) -> None:
        folder = self.workspace.path(f"restored-{program}-{moment}")
        self.run(program, "restore", "--time", str(moment), self.workspace.url(), folder)
        try:
            assert_same_tree(folder, self.trees[moment], fidelity=Fidelity.DUPLICITY)
        except AssertionError as error:
            raise AssertionError(f"{self.log}\n{error}") from error
        shutil.rmtree(folder)
        tally(Tried.RESTORES)

    def _action(self) -> str:
        return "full" if not self.chains or self.random.random() < 0.2 else "incremental"

    def _next(self) -> int:
        self.step += 1
        return time_of(self.step)

    def _place(self, program: Program) -> Workspace:
        return self.workspace.with_archive_dir(f"archive-{program}") if self.has_own_folders else self.workspace

    def _settle(self) -> None:
        """Every change is seen by its whole seconds, which is all that duplicity looks at."""
        now = snapshot(self.source)
        stamp = (1_650_000_000 + self.step * 1000 + len(self.log)) * 10**9
        for name in sorted((name for name in now if now[name] != self.seen.get(name)), reverse=True):
            path = os.path.join(self.source, name) if name else self.source
            os.utime(path, ns=(stamp, stamp), follow_symlinks=False)
        self.seen = snapshot(self.source)

    def _notice(self) -> None:
        """What has its manifest counts, whoever was killed after."""
        codec = NameCodec()
        for name in sorted(os.listdir(self.workspace.path("target"))) if self.step else ():
            meaning = codec.parse(os.fsdecode(name))
            if meaning is None or meaning.role is not FileRole.MANIFEST or meaning.set_id.end in self.trees:
                continue
            if meaning.set_id.end == time_of(self.step):
                if meaning.set_id.start is None:
                    self.chains.append([])
                self.chains[-1].append(meaning.set_id.end)
                self.trees[meaning.set_id.end] = self.seen

    def _keep(self, chains: list[list[int]]) -> None:
        self.chains = chains
        self.trees = {moment: self.trees[moment] for chain in chains for moment in chain}


@pytest.mark.parametrize("seed", [pytest.param(seed, id=f"seed{seed}-") for seed in range(SEQUENCES)])
def test_both_programs_restore_whatever_both_have_done(
    seed: int, twofold: Program, duplicity: Program, workspace: Workspace, gnupg_home: GnupgHome
) -> None:
    Story(seed, [twofold, duplicity], workspace, gnupg_home).play()
    tally(Tried.SEQUENCES)
    tally(Tried.TURNS)

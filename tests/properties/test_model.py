"""A target, an archive directory and a tree go through whatever may happen to them, beside a model that only remembers.

Edits, full and incremental backups, power cuts at every call of the store, errors of the store, lost and damaged
caches, retention, cleanup, in any order: each moment that is meant to be kept comes back as the tree was then.

`TWOFOLD_TEST_SEQUENCES=5000 python -m pytest tests/properties/test_model.py` tries so many. A sequence that fails is
printed as a program of its rules and, by `@reproduce_failure`, as the one line that plays it again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.backups import Place
from tests.support.edits import Edits
from tests.support.tally import Tried, tally
from tests.support.tree import Fidelity, NodeState, Snapshot, assert_same_tree, snapshot
from twofold.collection.collection import Collection
from twofold.collection.retention import (
    Removal,
    plan_cleanup,
    plan_remove_all_but_n_full,
    plan_remove_all_inc_of_but_n_full,
    plan_remove_older_than,
)
from twofold.errors import Forbidden, NoSpace, StorageError, Unavailable, UserError
from twofold.model.backup import SetKind, Wrapping
from twofold.operations.expire import carry_out_removals
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.store import Operation, Store
from twofold.storage.testing.faulty import FaultyStore, Killed

T = TypeVar("T")

SEQUENCES = int(os.environ.get("TWOFOLD_TEST_SEQUENCES", "60"))
STEPS = 12
VOLUME = 30_000
SIZES = (0, 1, 700, 5_000, 20_000, 70_000)
KINDS = st.sampled_from((SetKind.FULL, SetKind.INCREMENTAL, SetKind.INCREMENTAL, SetKind.INCREMENTAL))
CALLS = st.sampled_from((Operation.MOVE, Operation.PUT, Operation.STAT, Operation.DELETE, Operation.LIST))
ERRORS = (Unavailable, Forbidden, NoSpace)


class PowerCut(FaultyStore):
    """Remembers what target and archive directory were like when it killed, before anything was tidied up."""

    def __init__(self, inner: MemoryStore, archive: str, kept: str) -> None:
        super().__init__(inner)
        self._memory = inner
        self._archive = archive
        self._kept = kept
        self.files: dict[str, bytes] | None = None

    def _faulty(self, operation: Operation, work: Callable[[], T]) -> T:
        try:
            return super()._faulty(operation, work)
        except Killed:
            if self.files is None:
                shutil.copytree(self._archive, self._kept)
                self.files = dict(self._memory.files)
            raise

    def restore(self) -> None:
        """Puts everything where it was at that moment."""
        if self.files is not None:
            self._memory.files.clear()
            self._memory.files.update(self.files)
            shutil.rmtree(self._archive)
            os.rename(self._kept, self._archive)


class Backups(RuleBasedStateMachine):
    """`chains` holds the times of what has to be there, by chains, and `trees` what the tree was like then."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.memory = MemoryStore()
        self.chains: list[list[int]] = []
        self.trees: dict[int, list[Snapshot]] = {}
        self.interrupted: list[Snapshot] = []
        self.is_state_damaged = False

    def teardown(self) -> None:
        self.folder.cleanup()
        tally(Tried.SEQUENCES)

    @initialize(seed=st.integers(0, 1 << 32), wrapping=st.sampled_from((Wrapping.PLAIN, Wrapping.GZIP)))
    def begin(self, seed: int, wrapping: Wrapping) -> None:
        self.place = Place(Path(self.folder.name), wrapping, store=self.memory, volume_size=VOLUME)
        self.edits = Edits(self.place.source, seed, sizes=SIZES)
        self.edits.make_some(8)

    # ---- what people do ----------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 8))
    def edit(self, count: int) -> None:
        self.edits.make_some(count)

    @rule(kind=KINDS)
    def back_up(self, kind: SetKind) -> None:
        try:
            summary = self.place.back_up(kind if self.chains else None)
        except UserError:
            # A damaged state file is noticed at the record that is damaged; it is made anew the next time.
            assert self.is_state_damaged
            self.notice()
            summary = self.place.back_up(kind if self.chains else None)
        self.is_state_damaged = False
        self.remember(summary.set_id.end, is_full=summary.set_id.start is None)

    @rule(kind=KINDS, operation=CALLS, calls=st.integers(0, 9), after=st.booleans())
    def lose_power_in_a_backup(self, kind: SetKind, operation: Operation, calls: int, after: bool) -> None:
        cut = PowerCut(self.memory, self.place.archive, os.path.join(self.folder.name, "kept"))
        (cut.kill_after if after else cut.kill_before)(operation, skip=calls)
        self.try_to_back_up(cut, kind, Killed)
        if cut.files is not None:
            tally(Tried.POWER_CUTS)
        cut.restore()
        shutil.rmtree(self.place.scratch)
        os.mkdir(self.place.scratch)
        self.notice()

    @rule(
        kind=KINDS,
        operation=CALLS,
        calls=st.integers(0, 9),
        error=st.sampled_from(ERRORS),
        times=st.sampled_from((1, 1000)),
        is_answer=st.booleans(),
    )
    def fail_in_a_backup(
        self, kind: SetKind, operation: Operation, calls: int, error: type[StorageError], times: int, is_answer: bool
    ) -> None:
        store = FaultyStore(self.memory)
        if is_answer:
            store.lose_answer(operation, times=times, skip=calls)
        else:
            store.fail(operation, times=times, skip=calls, error=error("A test wants this", operation=operation.value))
        self.try_to_back_up(store, kind, StorageError)
        assert self.place.leftovers() == []
        tally(Tried.FAULTS)
        self.notice()

    @rule()
    def lose_the_archive_directory(self) -> None:
        shutil.rmtree(self.place.archive)
        os.mkdir(self.place.archive)

    @rule(at=st.integers(0, 1 << 20), number=st.integers(0, 20))
    def flip_a_bit_of_the_state_file(self, at: int, number: int) -> None:
        path = Path(self.place.archive, "twofold-state")
        content = bytearray(path.read_bytes()) if path.exists() else bytearray()
        if content:
            content[at % len(content)] ^= 1 << number % 8
            path.write_bytes(content)
            self.is_state_damaged = True
            tally(Tried.DAMAGES)

    @rule(share=st.floats(0, 1))
    def cut_the_state_file(self, share: float) -> None:
        path = Path(self.place.archive, "twofold-state")
        if path.exists():
            os.truncate(path, int(path.stat().st_size * share))
            self.is_state_damaged = True
            tally(Tried.DAMAGES)

    # ---- what deletes ------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.trees)
    @rule(data=st.data(), calls=st.none() | st.integers(0, 6))
    def remove_older_than(self, data: st.DataObject, calls: int | None) -> None:
        instant = data.draw(st.sampled_from(sorted(self.trees)))
        kept = [chain for chain in self.chains if chain[-1] >= instant or chain is self.chains[-1]]
        now = self.place.clock.now()
        self.remove(lambda each: plan_remove_older_than(each, instant, now=now).removals, kept, calls)

    @precondition(lambda self: self.trees)
    @rule(count=st.integers(1, 3), calls=st.none() | st.integers(0, 6))
    def remove_all_but_n_full(self, count: int, calls: int | None) -> None:
        now = self.place.clock.now()
        kept = self.chains[-count:]
        self.remove(lambda each: plan_remove_all_but_n_full(each, count, now=now).removals, kept, calls)

    @precondition(lambda self: self.trees)
    @rule(count=st.integers(1, 3), calls=st.none() | st.integers(0, 6))
    def remove_all_inc_of_but_n_full(self, count: int, calls: int | None) -> None:
        now = self.place.clock.now()
        kept = [chain[:1] for chain in self.chains[:-count]] + self.chains[-count:]
        self.remove(lambda each: plan_remove_all_inc_of_but_n_full(each, count, now=now).removals, kept, calls)

    @rule(calls=st.none() | st.integers(0, 6))
    def clean_up(self, calls: int | None) -> None:
        self.remove(lambda each: plan_cleanup(each).removals, self.chains, calls)

    # ---- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def every_moment_comes_back(self) -> None:
        # All of them at the end; after each step the newest, and one that moves along.
        moments = sorted(self.trees)
        for moment in {*moments[-1:], *(moments[len(moments) // 2 :][:1])}:
            self.expect(moment)

    @rule()
    def restore_everything_elsewhere(self) -> None:
        """From a machine that has never seen this target."""
        archive = Path(self.place.archive)
        aside = archive.with_name("aside")
        archive.rename(aside)
        archive.mkdir()
        for moment in self.trees:
            self.expect(moment)
        shutil.rmtree(archive)
        aside.rename(archive)

    # ---- how it is done ----------------------------------------------------------------------------------------------

    def expect(self, moment: int) -> None:
        restored = self.place.restore(moment)
        if len(self.trees[moment]) == 1:
            assert_same_tree(restored, self.trees[moment][0], fidelity=Fidelity.FULL)
        else:
            _assert_made_of(snapshot(restored), self.trees[moment])
        shutil.rmtree(restored)
        tally(Tried.RESTORES)

    def remember(self, moment: int, *, is_full: bool) -> None:
        if is_full:
            self.chains.append([])
        self.chains[-1].append(moment)
        self.trees[moment] = [*self.interrupted, snapshot(self.place.source)]
        self.interrupted = []

    def try_to_back_up(self, store: Store, kind: SetKind, error: type[BaseException]) -> None:
        self.place.store = store
        try:
            self.place.back_up(kind if self.chains else None)
        except error:
            pass
        except UserError:
            assert self.is_state_damaged
        finally:
            self.place.store = self.memory

    def notice(self) -> None:
        """A backup that was interrupted after its manifest had been stored counts; else the next may go on with it."""
        for set_id in self.place.set_ids():
            if set_id.end > max(self.trees, default=0):
                self.remember(set_id.end, is_full=set_id.start is None)
                return
        self.interrupted.append(snapshot(self.place.source))

    def remove(
        self, plan: Callable[[Collection], tuple[Removal, ...]], kept: list[list[int]], calls: int | None
    ) -> None:
        """Carries a plan out, to the end or to so many deletions; what is to be kept must still be there."""
        store = FaultyStore(self.memory)
        if calls is not None:
            store.fail(Operation.DELETE, skip=calls, times=1000)
        self.place.store = store
        repository = self.place.repository()
        try:
            with repository.archive_dir:
                collection = repository.collection()
                carry_out_removals(repository, collection, plan(collection))
        except Unavailable:
            tally(Tried.FAULTS)
        finally:
            repository.close()
            self.place.store = self.memory
        there = {set_id.end for set_id in self.place.set_ids()}
        wanted = {moment for chain in kept for moment in chain}
        assert wanted <= there
        # What was stopped half-way may be there or not; only what still has all that it builds on is held to come back.
        self.chains = [chain for chain in (_whole(chain, wanted) for chain in self.chains) if chain]
        self.trees = {moment: self.trees[moment] for chain in self.chains for moment in chain}


def _assert_made_of(restored: Snapshot, trees: list[Snapshot]) -> None:
    """A backup that was gone on with holds each file as it was at one of the tries; never a mixture of two."""
    for name in {*restored, *(name for tree in trees for name in tree)}:
        found, possible = _alone(restored.get(name)), [_alone(tree.get(name)) for tree in trees]
        assert found in possible, f"{name!r} is {found}, which it was at no time: {possible}"


def _alone(state: NodeState | None) -> NodeState | None:
    """What can be said of one name without looking at others."""
    return None if state is None else replace(state, linked_names=())


def _whole(chain: list[int], there: set[int]) -> list[int]:
    return [moment for moment in chain if moment in there]


TestBackups = Backups.TestCase
TestBackups.settings = settings(
    max_examples=SEQUENCES,
    stateful_step_count=STEPS,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

"""Nothing that a kept backup needs is ever deleted, whatever history a target has and whatever fails on the way.

Targets and archive directories are names alone here: deleting never looks into a file. After every single deletion the
names are judged as twofold reads them and as duplicity does (docs/format.md section 9.1).
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.collection.collection import Collection
from twofold.collection.restore_point import restore_point
from twofold.collection.retention import (
    Removal,
    plan_cleanup,
    plan_remove_all_but_n_full,
    plan_remove_all_inc_of_but_n_full,
    plan_remove_older_than,
)
from twofold.collection.sets import BackupSet
from twofold.errors import StorageError
from twofold.format.names import NameCodec
from twofold.model.backup import FileRole, SetId, StoredName, Wrapping
from twofold.monitor import NullMonitor
from twofold.operations.expire import carry_out_removals
from twofold.operations.unfinished import clear_unfinished, plan_unfinished
from twofold.repository.archive_dir import ArchiveDir
from twofold.repository.repository import Repository, RepositoryOptions
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.store import Key, Operation
from twofold.storage.testing.faulty import FaultyStore, Killed

BEGIN, STEP = 1_700_000_000, 1000
NOW = BEGIN + 100 * STEP
EXAMPLES = 100
Points = dict[int, tuple[SetId, ...]]


class Fate(enum.Enum):
    """What became of a set: the files at the target, then those in the archive directory, by letters (see `_names`)."""

    WHOLE = ("vsm", "sm")
    WITH_STATISTICS = ("vsmj", "smj")
    MADE_ELSEWHERE = ("vsm", "")
    WITHOUT_SIGNATURES = ("vm", "m")
    MANIFEST_LOST = ("vs", "sm")
    MANIFEST_LOST_ELSEWHERE = ("vs", "")
    ONLY_VOLUMES = ("v", "")
    BEING_MADE = ("v", "SM")
    ALMOST_MADE = ("vs", "sM")
    MADE_UNNOTICED = ("vsm", "sM")
    PARTIAL_AT_TARGET = ("vM", "")
    ONLY_SIGNATURES = ("s", "s")
    ONLY_CACHED = ("", "sm")
    GONE = ("", "")


class _Codec(NameCodec):
    """The names are few, and judged again and again."""

    parse = functools.cache(NameCodec.parse)


CODEC = _Codec()


def _names(set_id: SetId, letters: str, volumes: int) -> Iterator[str]:
    """v volumes, s signatures, m manifest, j statistics; capitals are partial files."""
    roles = {"s": FileRole.SIGNATURES, "m": FileRole.MANIFEST, "j": FileRole.STATISTICS}
    for letter in letters:
        if letter == "v":
            for number in range(1, volumes + 1):
                yield CODEC.format(StoredName(set_id, FileRole.VOLUME, Wrapping.GZIP, number))
            continue
        role, partial = roles[letter.lower()], letter.isupper()
        wrapping = Wrapping.PLAIN if partial or role is FileRole.MANIFEST else Wrapping.GZIP
        yield CODEC.format(StoredName(set_id, role, wrapping, partial=partial))


@dataclass
class World:
    """A target and an archive directory; `watch` is called after every deletion."""

    remote: dict[str, bytes]
    local: dict[str, int]
    watch: Callable[[World], None] | None = None
    fails_here: list[tuple[int, bool]] = field(default_factory=list)

    def copy(self) -> World:
        return World(dict(self.remote), dict(self.local))

    def repository(self, fault: Callable[[FaultyStore], object] = bool) -> Repository:
        store = FaultyStore(_Target(self))
        fault(store)
        options = RepositoryOptions("")
        cache = _Cache(self)
        return Repository(store, cache, envelopes={}, written=Wrapping.GZIP, options=options, monitor=NullMonitor())

    def deleted(self) -> None:
        if self.watch is not None:
            self.watch(self)


class _Target(MemoryStore):
    def __init__(self, world: World) -> None:
        super().__init__(world.remote)
        self._world = world

    def delete(self, key: Key) -> None:
        assert key.name in self.files, "a deletion that was not planned on what is there"
        super().delete(key)
        self._world.deleted()


class _Cache(ArchiveDir):
    def __init__(self, world: World) -> None:
        super().__init__("", CODEC)
        self._world = world
        self._removals = 0

    def list(self) -> Iterator[tuple[str, int]]:
        return iter(tuple(self._world.local.items()))

    def remove(self, name: str) -> None:
        at, is_done = self._world.fails_here[0] if self._world.fails_here else (-1, False)
        fails = at == self._removals
        self._removals += 1
        if not fails or is_done:
            self._world.local.pop(name)
            self._world.deleted()
        if fails:
            raise OSError(5, "A test wants this to fail")


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Full sets and increments of any earlier set, so that chains lie in each other, fork and miss links."""
    remote: list[str] = []
    local: list[str] = []
    ends: list[int] = []
    fates = st.sampled_from([Fate.WHOLE] * 12 + list(Fate))
    for number in range(draw(st.integers(1, 9))):
        start = draw(st.sampled_from([None, *ends, *ends[-1:] * 4]))
        ends.append(BEGIN + number * STEP)
        there, here = draw(fates).value
        set_id, volumes = SetId(ends[-1], start), draw(st.integers(1, 3))
        remote += _names(set_id, there, volumes)
        local += _names(set_id, here, volumes)
    return World(dict.fromkeys(remote, b""), dict.fromkeys(local, 0))


@dataclass(frozen=True)
class Deed:
    """Something that deletes: what it does, and which points of the chain of a set it must leave."""

    name: str
    carry_out: Callable[[Repository], None]
    keeps: Callable[[Collection, int, int], bool]

    def __repr__(self) -> str:
        return self.name


def _deed(
    name: str,
    plan: Callable[[Collection], Iterable[Removal]],
    keeps: Callable[[Collection, int, int], bool] = lambda collection, point, newest_of_chain: True,
) -> Deed:
    def carry_out(repository: Repository) -> None:
        collection = repository.collection()
        carry_out_removals(repository, collection, plan(collection))

    return Deed(name, carry_out, keeps)


def _clear(repository: Repository) -> None:
    plan = plan_unfinished(repository.collection(), now=NOW)
    if plan is not None:
        clear_unfinished(repository, plan, monitor=NullMonitor())


def _is_of_newest(collection: Collection, newest_of_chain: int, count: int) -> bool:
    fulls = sorted((each.start for each in collection.chains if each.full.is_complete), reverse=True)
    return len(fulls) < count or newest_of_chain >= fulls[count - 1]


def _expiries(at: int) -> tuple[Deed, ...]:
    instant = BEGIN + at * STEP
    count = at % 3 + 1
    return (
        _deed(
            f"remove-older-than {at}",
            lambda collection: plan_remove_older_than(collection, instant, now=NOW).removals,
            lambda collection, point, newest_of_chain: newest_of_chain >= instant,
        ),
        _deed(
            f"remove-all-but-n-full {count}",
            lambda collection: plan_remove_all_but_n_full(collection, count, now=NOW).removals,
            lambda collection, point, newest_of_chain: _is_of_newest(collection, newest_of_chain, count),
        ),
        _deed(
            f"remove-all-inc-of-but-n-full {count}",
            lambda collection: plan_remove_all_inc_of_but_n_full(collection, count, now=NOW).removals,
            lambda collection, point, newest_of_chain: (
                _is_of_newest(collection, newest_of_chain, count) or point in {one.start for one in collection.chains}
            ),
        ),
    )


CLEANUP = _deed("cleanup", lambda collection: plan_cleanup(collection).removals)
CLEARING = Deed("clear what is unfinished", _clear, CLEANUP.keeps)
DEEDS = st.one_of(
    st.sampled_from([CLEANUP, CLEARING]), st.integers(0, 9).flatmap(lambda at: st.sampled_from(_expiries(at)))
)


def _points(chains: Iterable[Sequence[BackupSet]]) -> Points:
    """The sets that each moment is restored from, by chains of complete sets."""
    return {sets[at].id.end: tuple(each.id for each in sets[: at + 1]) for sets in chains for at in range(len(sets))}


def _usable(chain: Sequence[BackupSet]) -> Sequence[BackupSet]:
    incomplete = (at for at, each in enumerate(chain) if not each.is_complete)
    return chain[: next(incomplete, len(chain))]


def _chains_of_duplicity(collection: Collection) -> list[list[BackupSet]]:
    """docs/format.md section 9.1: sets without a manifest take part, and the later of two from one start wins."""
    chains: list[list[BackupSet]] = []
    for offered in collection.sets:
        if offered.is_full:
            chains.append([offered])
            continue
        for chain in chains:
            if chain[-1].id.end == offered.id.start:
                chain.append(offered)
            elif chain[-1].id.start == offered.id.start and chain[-1].id.end < offered.id.end:
                chain[-1] = offered
            else:
                continue
            break
    return chains


def _is_superseded(collection: Collection, set_id: SetId) -> bool:
    """Whether duplicity takes another increment from the same start for the one that counts."""
    linked = (each.id for chain in _chains_of_duplicity(collection) for each in chain)
    return any(one.start == set_id.start and one.end > set_id.end for one in linked if one.start is not None)


def _points_of_duplicity(collection: Collection) -> Points:
    return _points(map(_usable, _chains_of_duplicity(collection)))


class Judge:
    """Knows what was there before a deed, and judges what is there after each of its deletions."""

    def __init__(self, world: World, deed: Deed) -> None:
        before = world.repository().collection()
        self._volumes = {each.id: each.volumes for each in before.sets}
        self._points = _points(chain.usable for chain in before.chains)
        self._points_of_duplicity = _points_of_duplicity(before)
        newest = max(self._points, default=None)
        self.kept = {
            end: sets
            for chain in before.chains
            for end, sets in _points([chain.usable]).items()
            if newest is not None
            and (deed.keeps(before, end, chain.usable[-1].id.end) or sets == self._points[newest][: len(sets)])
        }
        if "-inc-" in deed.name:  # of these only the newest chain and what is asked for keep their increments
            self.kept = {end: sets for end, sets in self.kept.items() if deed.keeps(before, end, sets[-1].end)} | {
                end: self._points[end] for end in self.kept if len(self.kept[end]) == 1
            }
        needed = {one for sets in self.kept.values() for one in sets}
        self._remote = {name for name in world.remote if _set_of(name) in needed}
        self._local = {name for name in world.local if _set_of(name) in needed and ".part" not in name}

    def __call__(self, world: World) -> None:
        assert self._remote <= world.remote.keys()
        assert self._local <= world.local.keys()
        now = world.repository().collection()
        theirs = _points_of_duplicity(now)
        # An orphan may fit again once an unfinished set is gone; then it supersedes another from the same start.
        superseded = {each.id for chain in now.chains for each in chain.replaced}
        for end, sets in self.kept.items():
            assert sets[-1] in superseded or tuple(each.id for each in restore_point(now, end).sets) == sets
            if end in self._points_of_duplicity and not _is_superseded(now, sets[-1]):
                assert theirs[end] == self._points_of_duplicity[end]
        for end, sets in (*_points(chain.usable for chain in now.chains).items(), *theirs.items()):
            for one in sets:
                found = next(each for each in now.sets if each.id == one)
                assert found.volumes == self._volumes[one], f"{end} is believed in without all of its volumes"
        whole = {each.id for each in now.sets if each.is_complete}
        for sets in (*self._points.values(), *self._points_of_duplicity.values()):
            assert sets[-1] not in whole or whole.issuperset(sets), "an increment is there without what it builds on"


def _set_of(name: str) -> SetId | None:
    meaning = CODEC.parse(name)
    return None if meaning is None else meaning.set_id


def _finish(world: World, deed: Deed) -> None:
    """Carries a deed out under the eyes of a judge."""
    world.watch = Judge(world, deed)
    deed.carry_out(world.repository())


def _is_simple(world: World) -> bool:
    """Whether a second run finds no more to do than the first: of several unfinished sets one goes at a time, and an
    increment that its chain went on without may fit again once the others are gone.
    """
    collection = world.repository().collection()
    ends = {each.id.end for each in collection.sets}
    return sum(not each.is_complete or each.unfinished is not None for each in collection.sets) <= 1 and not any(
        each.id.start in ends for each in collection.orphaned
    )


@settings(max_examples=EXAMPLES)
@given(worlds(), DEEDS)
def test_after_every_deletion_all_that_is_kept_is_there_and_nothing_else_is_believed_in(
    world: World, deed: Deed
) -> None:
    is_simple = _is_simple(world)
    _finish(world, deed)
    rest = world.copy()
    _finish(world, deed)
    assert not is_simple or world.copy() == rest, "done once is done"


@settings(max_examples=EXAMPLES)
@given(worlds(), st.integers(0, 9), st.integers(1, 3), st.data())
def test_unsound_sets_displace_no_sound_ones(world: World, at: int, count: int, data: st.DataObject) -> None:
    collection = world.repository().collection()
    ids = [each.id for each in collection.sets]
    unsound = data.draw(st.sets(st.sampled_from(ids)) if ids else st.just(set()))
    points = _points(chain.usable for chain in collection.chains)
    sound_points = {end: sets for end, sets in points.items() if not unsound.intersection(sets)}
    whole = [
        each for each in collection.chains if each.usable and not unsound.intersection(one.id for one in each.sets)
    ]
    newest = {sound_points[max(sound_points)]} if sound_points else set()
    kept = newest | {tuple(one.id for one in chain.usable) for chain in whole[-1:]}
    newest_fulls = sorted(whole, key=lambda chain: chain.start)[-count:]
    asked = kept | {tuple(one.id for one in chain.usable) for chain in newest_fulls}
    for plan, stays in (
        (plan_remove_older_than(collection, BEGIN + at * STEP, now=NOW, unsound=unsound), kept),
        (plan_remove_all_but_n_full(collection, count, now=NOW, unsound=unsound), asked),
        (plan_remove_all_inc_of_but_n_full(collection, count, now=NOW, unsound=unsound), asked),
    ):
        gone = {_set_of(name) for removal in plan.removals for name in removal.remote}
        assert not gone.intersection(one for sets in stays for one in sets)


def _fail_before(store: FaultyStore, at: int) -> None:
    store.fail(Operation.DELETE, skip=at)


def _lose_answer(store: FaultyStore, at: int) -> None:
    store.lose_answer(Operation.DELETE, skip=at)


def _kill_before(store: FaultyStore, at: int) -> None:
    store.kill_before(Operation.DELETE, skip=at)


def _kill_after(store: FaultyStore, at: int) -> None:
    store.kill_after(Operation.DELETE, skip=at)


@settings(max_examples=EXAMPLES // 2)
@given(world=worlds(), deed=DEEDS, at=st.integers(0, 25))
@pytest.mark.parametrize("fault", [_fail_before, _lose_answer, _kill_before, _kill_after])
def test_what_failed_at_the_target_is_finished_by_the_same_command(
    fault: Callable[[FaultyStore, int], None], world: World, deed: Deed, at: int
) -> None:
    is_simple, undisturbed = _is_simple(world), world.copy()
    deed.carry_out(undisturbed.repository())
    world.watch = Judge(world, deed)
    try:
        deed.carry_out(world.repository(lambda store: fault(store, at)))
    except (StorageError, Killed):
        _finish(world, deed)
    assert not is_simple or (world.remote, world.local) == (undisturbed.remote, undisturbed.local)


@settings(max_examples=EXAMPLES)
@given(world=worlds(), deed=DEEDS, at=st.integers(0, 12), is_done=st.booleans())
def test_what_failed_in_the_archive_directory_is_finished_by_the_same_command(
    world: World, deed: Deed, at: int, is_done: bool
) -> None:
    is_simple, undisturbed = _is_simple(world), world.copy()
    deed.carry_out(undisturbed.repository())
    world.watch = Judge(world, deed)
    world.fails_here = [(at, is_done)]
    try:
        deed.carry_out(world.repository())
    except OSError:
        world.fails_here.clear()
        _finish(world, deed)
    assert not is_simple or (world.remote, world.local) == (undisturbed.remote, undisturbed.local)

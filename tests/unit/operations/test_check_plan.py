"""What a check has to look at, decided from names, sizes and manifests alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.collection.collection import Collection, build_collection
from twofold.collection.sets import find_files
from twofold.errors import NoBackups
from twofold.format.manifest import BlockPosition, Manifest, VolumeRecord
from twofold.format.names import NameCodec
from twofold.model.backup import FileRole, SetId, StoredName, Wrapping
from twofold.operations.check_plan import (
    ChainVerdict,
    CheckedChain,
    CheckPlan,
    Damage,
    VolumePlan,
    plan_check,
    plan_volumes,
    sampled,
    verdicts,
)

FULL, FIRST, SECOND = SetId(1000), SetId(2000, 1000), SetId(3000, 2000)
LATER = SetId(5000)
CHAIN = (FULL, FIRST, SECOND)
MANIFEST, SIGNATURES, VOLUME = FileRole.MANIFEST, FileRole.SIGNATURES, FileRole.VOLUME


def name(set_id: SetId, role: FileRole, volume: int | None = None, wrapping: Wrapping = Wrapping.GPG) -> str:
    return NameCodec().format(StoredName(set_id, role, wrapping, volume))


def files_of(*sets: SetId) -> dict[str, int]:
    roles = ((MANIFEST, None), (SIGNATURES, None), (VOLUME, 1), (VOLUME, 2))
    return {name(set_id, role, volume): 10 for set_id in sets for role, volume in roles}


def collected(files: dict[str, int], *copies: str) -> Collection:
    codec = NameCodec()
    return build_collection(
        remote=find_files(files.items(), codec.parse), local=find_files(((copy, 10) for copy in copies), codec.parse)
    )


def planned(*missing: str, sets: tuple[SetId, ...] = CHAIN, copies: tuple[str, ...] = ()) -> CheckPlan:
    files = {each: size for each, size in files_of(*sets).items() if each not in missing}
    return plan_check(collected(files, *copies), instant=None)


def ids(plan: CheckPlan) -> list[tuple[list[SetId], list[SetId]]]:
    return [([each.id for each in chain.usable], [each.id for each in chain.beyond]) for chain in plan.chains]


def test_all_complete_sets_of_all_chains_are_looked_at() -> None:
    plan = planned(sets=(*CHAIN, LATER))
    assert ids(plan) == [(list(CHAIN), []), ([LATER], [])]
    assert (plan.damages, plan.leftovers, plan.unfinished) == ((), (), ())


def test_with_an_instant_only_what_it_needs_is_looked_at() -> None:
    plan = plan_check(collected(files_of(*CHAIN, LATER)), instant=2500)
    assert ids(plan) == [([FULL, FIRST], [])]


def test_a_manifest_is_missed_where_others_build_on_its_set() -> None:
    plan = planned(name(FIRST, MANIFEST))
    assert [(damage.set_id, damage.role) for damage in plan.damages] == [(FIRST, MANIFEST)]
    assert ids(plan) == [([FULL], [SECOND])]
    assert not plan.unfinished


def test_a_last_set_without_manifest_is_unfinished_unless_it_is_known_here_as_complete() -> None:
    missing = name(SECOND, MANIFEST)
    plan = planned(missing)
    assert ([each.id for each in plan.unfinished], plan.damages, plan.leftovers) == ([SECOND], (), ())
    plan = planned(missing, copies=(name(SECOND, MANIFEST, wrapping=Wrapping.PLAIN),))
    assert [(damage.set_id, damage.role) for damage in plan.damages] == [(SECOND, MANIFEST)]
    assert (plan.unfinished, plan.leftovers) == ((), ())


def test_increments_whose_full_backup_is_gone_are_damage_and_their_remains_are_left_over() -> None:
    lost = files_of(FULL)
    plan = planned(*lost, sets=(*CHAIN, LATER))
    assert [(damage.set_id, damage.costs_files) for damage in plan.damages] == [(FIRST, True), (SECOND, True)]
    plan = planned(*lost, *(name(each, MANIFEST) for each in (FIRST, SECOND)), sets=(*CHAIN, LATER))
    assert not plan.damages
    assert {*plan.leftovers} == {*files_of(FIRST, SECOND)} - {name(each, MANIFEST) for each in (FIRST, SECOND)}


def test_missing_signatures_cost_no_files() -> None:
    (damage,) = planned(name(FIRST, SIGNATURES)).damages
    assert (damage.set_id, damage.role, damage.costs_files) == (FIRST, SIGNATURES, False)


@pytest.mark.parametrize("files", [{}, {name(FULL, VOLUME, 1): 10}, {"README": 3}])
def test_where_there_is_no_backup_there_is_nothing_to_check(files: dict[str, int]) -> None:
    with pytest.raises(NoBackups):
        plan_check(collected(files), instant=None)


def copy(set_id: SetId) -> str:
    return name(set_id, MANIFEST, wrapping=Wrapping.PLAIN)


COPIES = tuple(map(copy, CHAIN))
NOW = 1 << 40


@pytest.mark.parametrize("instant", [None, NOW])
@pytest.mark.parametrize(
    "missing",
    [
        [name(SECOND, MANIFEST), name(SECOND, SIGNATURES)],
        [*files_of(SECOND)],
        [each for each in files_of(SECOND) if each != name(SECOND, SIGNATURES)],
        [name(SECOND, MANIFEST)],
    ],
)
def test_a_set_that_is_known_here_as_complete_and_gone_is_damage_and_nothing_to_clean_up(
    missing: list[str], instant: int | None
) -> None:
    files = {each: size for each, size in files_of(*CHAIN).items() if each not in missing}
    plan = plan_check(collected(files, *COPIES), instant=instant)
    (damage,) = plan.damages
    assert (damage.set_id, damage.role, damage.costs_files) == (SECOND, MANIFEST, True)
    assert "missing at the target" in damage.reason
    assert (plan.unfinished, plan.leftovers, plan.stray) == ((), (), ())
    assert not plan_check(collected(files, *COPIES), instant=2500).damages


def test_what_has_expired_or_was_replaced_or_is_being_made_is_not_missed() -> None:
    rival = SetId(2500, 1000)
    assert not plan_check(collected(files_of(LATER), *COPIES, copy(LATER)), instant=None).damages
    assert not plan_check(collected(files_of(FULL, rival), copy(FIRST)), instant=None).damages
    unfinished = name(FIRST, MANIFEST, wrapping=Wrapping.PLAIN) + ".part"
    assert not plan_check(collected(files_of(FULL), copy(FIRST), unfinished), instant=None).damages


def test_increments_of_a_chain_whose_full_backup_is_there_are_missed_though_it_is_not_the_newest() -> None:
    plan = plan_check(collected(files_of(FULL, LATER), *COPIES), instant=None)
    assert [damage.set_id for damage in plan.damages] == [FIRST, SECOND]


def test_signatures_of_which_all_else_is_gone_are_named() -> None:
    plan = planned(*(each for each in files_of(SECOND) if each != name(SECOND, SIGNATURES)))
    assert (plan.stray, plan.damages) == ((name(SECOND, SIGNATURES),), ())


def test_an_empty_target_is_no_backup_whatever_is_known_here() -> None:
    with pytest.raises(NoBackups):
        plan_check(collected({}, *COPIES), instant=None)


# ---- volumes ---------------------------------------------------------------------------------------------------------


def manifest(*sizes: int | None) -> Manifest:
    position = BlockPosition(b"")
    records = (
        VolumeRecord(number, position, position, (("SHA1", f"{number}"),), size) for number, size in enumerate(sizes, 1)
    )
    return Manifest(None, None, tuple(records))


def of_volumes(listed: Manifest, other: Manifest | None = None) -> VolumePlan:
    (backup_set,) = collected(files_of(FULL)).sets
    return plan_volumes(backup_set, listed, other)


def numbers(plan: VolumePlan) -> tuple[list[int], list[tuple[int | None, bool]], int]:
    return (
        [volume.needed.record.number for volume in plan.volumes],
        [(damage.volume, damage.mismatch) for damage in plan.damages],
        len(plan.unlisted),
    )


def test_volumes_are_held_against_names_and_sizes_first() -> None:
    assert numbers(of_volumes(manifest(10, 10))) == ([1, 2], [], 0)
    assert numbers(of_volumes(manifest(None, 11))) == ([1], [(2, True)], 0)
    assert numbers(of_volumes(manifest(10, 10, 10))) == ([1, 2], [(3, False)], 0)
    assert numbers(of_volumes(manifest(10))) == ([1], [], 1)


@pytest.mark.parametrize("size", [10, None])
def test_the_other_copy_of_the_manifest_may_be_the_right_one(size: int | None) -> None:
    plan = of_volumes(manifest(11, 10), manifest(size, 10))
    assert numbers(plan) == ([1, 2], [], 0)
    assert [volume.other is not None for volume in plan.volumes] == [True, False]
    assert numbers(of_volumes(manifest(10), manifest(10, 10)))[2] == 0


# ---- samples ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 300), st.integers(1, 1_000_000), st.integers(0, 100))
def test_a_sample_is_never_empty_and_never_more_than_there_is(count: int, share: int, seed: int) -> None:
    chosen = sampled(range(count), share, random.Random(seed))
    assert list(chosen) == sorted({*chosen} & {*range(count)})
    assert count * share <= len(chosen) * 1_000_000 < count * share + 1_000_000


def test_samples_are_independent_so_that_all_volumes_are_looked_at_in_time() -> None:
    chance = random.Random(1)
    nights = [sampled(range(40), 50_000, chance) for _ in range(300)]
    assert {len(night) for night in nights} == {2}
    assert {volume for night in nights for volume in night} == {*range(40)}


def test_without_a_share_all_volumes_are_looked_at() -> None:
    assert sampled("abc", None, random.Random(1)) == ("a", "b", "c")


# ---- what it means ---------------------------------------------------------------------------------------------------


def verdict(*damaged: SetId, costs_files: bool = True) -> list[ChainVerdict]:
    sets = collected(files_of(*CHAIN)).chains[0].sets
    damages = [Damage(each, VOLUME, "", "", costs_files=costs_files) for each in damaged]
    return list(verdicts([CheckedChain(sets)], damages))


def test_a_set_is_whole_if_all_that_it_builds_on_is() -> None:
    assert verdict() == []
    assert verdict(FULL, costs_files=False) == []
    assert verdict(SECOND) == [ChainVerdict(1000, 2000, 3000)]
    assert verdict(FIRST, SECOND) == [ChainVerdict(1000, 1000, 3000)]
    assert verdict(FULL) == [ChainVerdict(1000, None, 3000)]


def test_sets_behind_a_gap_are_not_whole() -> None:
    full, first, second = collected(files_of(*CHAIN)).chains[0].sets
    assert first.id == FIRST
    assert list(verdicts([CheckedChain((full,), (second,))], [])) == [ChainVerdict(1000, 1000, 3000)]

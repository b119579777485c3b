"""What goes and what stays: the examples of docs/format.md section 9.3 and docs/cli.md section 1.5."""

import pytest

from tests.unit.collection.listings import (
    DEC_4,
    DEC_5,
    DEC_6,
    NOV_14,
    NOV_15,
    NOV_16,
    NOV_24,
    NOV_25,
    NOV_26,
    THREE_CHAINS,
    cached,
    chain,
    full,
    inc,
    manifest,
    signatures,
    statistics,
    volume,
    whole,
)
from tests.unit.collection.test_collection import collect, ids
from twofold.collection.retention import (
    plan_cleanup,
    plan_remove_all_but_n_full,
    plan_remove_all_inc_of_but_n_full,
    plan_remove_older_than,
)
from twofold.errors import UserError

DECEMBER_1 = 1701388800
NOW = DEC_6 + 30 * 86400


def three_chains():
    return collect(*map(whole, THREE_CHAINS), local=map(cached, THREE_CHAINS))


def removed_ids(plan):
    return [removal.set_id for removal in plan.removals]


def remote_names(plan):
    return [name for removal in plan.removals for name in removal.remote]


def local_names(plan):
    return [name for removal in plan.removals for name in removal.local]


def test_chains_that_end_before_the_time_go_newest_first_increments_before_the_full():
    plan = plan_remove_older_than(three_chains(), DECEMBER_1, now=NOW)
    assert [one.end for one in plan.chains] == [NOV_26, NOV_16]
    assert removed_ids(plan) == [*reversed(THREE_CHAINS[3:6]), *reversed(THREE_CHAINS[0:3])]
    assert not plan.needed
    assert not plan.active_is_old
    assert plan.interrupted is None


def test_between_a_full_and_its_increment_nothing_goes_and_what_is_needed_is_named():
    collection = collect(*map(whole, [*chain(NOV_14, NOV_15), *chain(NOV_24, NOV_25), full(DEC_4)]))
    plan = plan_remove_older_than(collection, NOV_15, now=NOW)
    assert not plan.removals
    assert ids(plan.needed) == [full(NOV_14)]


def test_between_two_chains_the_six_remote_and_four_local_files_of_the_first_go():
    sets = [*chain(NOV_14, NOV_15), *chain(NOV_24, NOV_25), full(DEC_4)]
    plan = plan_remove_older_than(collect(*map(whole, sets), local=map(cached, sets)), NOV_16, now=NOW)
    assert sorted(remote_names(plan)) == sorted(file.name for one in sets[:2] for file in whole(one))
    assert len(remote_names(plan)) == 6
    assert len(local_names(plan)) == 4


def test_after_everything_the_newest_chain_stays_and_is_said_to_be_old():
    plan = plan_remove_older_than(three_chains(), DEC_6 + 1, now=NOW)
    assert [one.end for one in plan.chains] == [NOV_26, NOV_16]
    assert plan.active_is_old


def test_a_chain_that_ends_at_the_very_time_stays():
    plan = plan_remove_older_than(three_chains(), NOV_26, now=NOW)
    assert [one.end for one in plan.chains] == [NOV_16]
    assert ids(plan.needed) == THREE_CHAINS[3:5]


def test_the_newest_chain_stays_even_without_its_signatures():
    files = [file for one in chain(NOV_14, NOV_15) for file in (volume(one), manifest(one))]
    assert not plan_remove_older_than(collect(files), DEC_6, now=NOW).removals


def test_the_newest_chain_that_can_be_restored_stays_when_a_newer_one_cannot():
    lost = [volume(full(NOV_24)), signatures(full(NOV_24))]
    collection = collect(*map(whole, chain(NOV_14, NOV_15)), lost, whole(inc(NOV_24, NOV_25)))
    plan = plan_remove_older_than(collection, DEC_6, now=NOW)
    assert not {full(NOV_14), inc(NOV_14, NOV_15)} & set(removed_ids(plan))


def test_files_of_a_set_go_signatures_first_then_statistics_manifest_and_volumes_from_high_to_low():
    old, new = full(NOV_14), full(DEC_4)
    files = [*whole(old, volumes=3), statistics(old)]
    (removal,) = plan_remove_older_than(collect(files, whole(new)), NOV_24, now=NOW).removals
    assert removal.remote == (
        signatures(old).name,
        statistics(old).name,
        manifest(old).name,
        volume(old, 3).name,
        volume(old, 2).name,
        volume(old, 1).name,
    )


def test_replaced_increments_go_before_those_of_their_chain():
    first, second = inc(NOV_14, NOV_15), inc(NOV_14, NOV_16)
    collection = collect(*map(whole, [full(NOV_14), first, second, full(DEC_4)]))
    assert removed_ids(plan_remove_older_than(collection, NOV_24, now=NOW)) == [first, second, full(NOV_14)]


def test_signatures_whose_sets_are_lost_go_with_their_chain():
    lost = inc(NOV_14, NOV_15)
    collection = collect(whole(full(NOV_14)), [signatures(lost)], whole(full(DEC_4)))
    plan = plan_remove_older_than(collection, NOV_24, now=NOW)
    assert removed_ids(plan) == [lost, full(NOV_14)]
    assert signatures(lost).name in remote_names(plan)


def test_an_interrupted_newest_set_goes_first_and_the_rest_is_judged_without_it():
    torso = full(DEC_6 + 100)
    collection = collect(*map(whole, THREE_CHAINS), [volume(torso)], local=[[manifest(torso, partial=True)]])
    plan = plan_remove_all_but_n_full(collection, 1, now=NOW)
    assert plan.interrupted.id == torso
    assert removed_ids(plan)[0] == torso
    assert plan.removals[0].local == (manifest(torso, partial=True).name,)
    assert [one.end for one in plan.chains] == [NOV_26, NOV_16]


def test_a_set_whose_manifest_arrived_is_no_interrupted_one_even_beside_a_partial_manifest():
    newest = full(DEC_6 + 100)
    collection = collect(*map(whole, [*THREE_CHAINS, newest]), local=[[manifest(newest, partial=True)]])
    plan = plan_remove_older_than(collection, DECEMBER_1, now=NOW)
    assert plan.interrupted is None
    assert newest not in removed_ids(plan)


@pytest.mark.parametrize(("count", "ends"), [(1, [NOV_26, NOV_16]), (2, [NOV_16]), (3, []), (9, [])])
def test_the_newest_n_chains_stay(count, ends):
    assert [one.end for one in plan_remove_all_but_n_full(three_chains(), count, now=NOW).chains] == ends


def test_full_sets_without_manifest_do_not_count_among_those_to_keep():
    collection = collect(*map(whole, THREE_CHAINS), [volume(full(NOV_26 + 5))], [volume(inc(NOV_26 + 5, NOV_26 + 9))])
    assert [one.end for one in plan_remove_all_but_n_full(collection, 2, now=NOW).chains] == [NOV_16]


def test_increments_of_older_chains_go_and_their_full_sets_stay():
    plan = plan_remove_all_inc_of_but_n_full(three_chains(), 1, now=NOW)
    assert removed_ids(plan) == [*reversed(THREE_CHAINS[4:6]), *reversed(THREE_CHAINS[1:3])]
    for kept in (full(NOV_14), full(NOV_24)):
        assert not {file.name for file in whole(kept)} & {*remote_names(plan), *local_names(plan)}


def test_chains_without_increments_are_not_mentioned_when_increments_go():
    collection = collect(*map(whole, [full(NOV_14), *chain(NOV_24, NOV_25), full(DEC_4)]))
    assert [one.end for one in plan_remove_all_inc_of_but_n_full(collection, 1, now=NOW).chains] == [NOV_25]


@pytest.mark.parametrize("count", [0, -1])
def test_keeping_no_full_backup_at_all_is_refused(count):
    for plan in (plan_remove_all_but_n_full, plan_remove_all_inc_of_but_n_full):
        with pytest.raises(UserError, match="number of 1 or more"):
            plan(three_chains(), count, now=NOW)


def test_cleanup_finds_nothing_among_whole_chains():
    plan = plan_cleanup(three_chains())
    assert not plan.removals
    assert not plan.held_back


def test_cleanup_takes_orphaned_sets_abandoned_ones_and_orphaned_signatures():
    orphan, torso, stray = inc(NOV_24, NOV_25), full(DEC_4), inc(NOV_15, NOV_16)
    collection = collect(whole(full(NOV_14)), whole(orphan), [volume(torso)], [signatures(stray)])
    plan = plan_cleanup(collection)
    assert removed_ids(plan) == [torso, orphan, stray]
    assert set(remote_names(plan)) == {file.name for file in whole(orphan)} | {
        volume(torso).name,
        signatures(stray).name,
    }


def test_cleanup_leaves_a_chain_without_signatures_and_lone_full_signatures():
    files = [volume(full(NOV_14)), manifest(full(NOV_14)), signatures(full(DEC_5))]
    assert not plan_cleanup(collect(files)).removals


def test_cleanup_leaves_a_set_that_can_be_resumed():
    first, second = chain(NOV_14, NOV_15)
    partial = [manifest(second, partial=True), signatures(second, partial=True)]
    assert not plan_cleanup(collect(whole(first), [volume(second)], local=[cached(first), partial])).removals


def test_cleanup_keeps_signatures_of_a_set_that_can_be_resumed_though_they_fit_nowhere():
    torso = inc(NOV_14, NOV_15)
    partial = [manifest(torso, partial=True), signatures(torso, partial=True)]
    plan = plan_cleanup(collect(whole(full(NOV_14)), [volume(torso)], local=[partial]))
    assert not plan.removals


def test_cleanup_holds_back_a_set_that_lost_its_manifest_while_others_build_on_it():
    collection = collect([volume(full(NOV_14)), signatures(full(NOV_14))], whole(inc(NOV_14, NOV_15)))
    plan = plan_cleanup(collection)
    assert not plan.removals
    assert ids(plan.held_back) == [full(NOV_14)]


def test_cleanup_needs_one_pass_only():
    torso, lost = full(NOV_14), inc(NOV_14, NOV_15)
    plan = plan_cleanup(collect([volume(torso), signatures(torso)], [signatures(lost)]))
    assert removed_ids(plan) == [torso, lost]


def test_cleanup_takes_cached_signatures_that_fit_nowhere():
    stray = inc(NOV_15, NOV_16)
    (removal,) = plan_cleanup(collect(whole(full(NOV_14)), local=[[signatures(stray)]])).removals
    assert removal.remote == ()
    assert removal.local == (signatures(stray).name,)


def test_a_set_whose_manifest_is_lost_but_kept_here_is_held_back_and_protected():
    lost = full(DEC_4)
    files = [volume(lost), signatures(lost)]
    collection = collect(*map(whole, chain(NOV_14, NOV_15)), files, local=[cached(lost)])
    assert collection.interrupted is None
    assert collection.active is None
    assert ids(collection.lost_manifests) == [lost]
    plan = plan_cleanup(collection)
    assert not plan.removals
    assert ids(plan.held_back) == [lost]
    assert not plan_remove_older_than(collection, DEC_6, now=NOW).removals


def test_a_set_that_is_being_deleted_has_not_lost_its_manifest():
    """Signatures go first, so that without them nothing is held back."""
    collection = collect(whole(full(NOV_14)), [volume(full(DEC_4))], local=[cached(full(DEC_4))])
    assert not collection.lost_manifests
    assert removed_ids(plan_cleanup(collection)) == [full(DEC_4)]


def test_signatures_of_a_set_that_stays_are_no_leftovers_though_those_before_are_lost():
    first, second = chain(NOV_14, NOV_15)
    collection = collect([volume(first), manifest(first)], whole(second))
    assert not collection.orphaned_signatures
    assert not plan_cleanup(collection).removals


def test_copies_go_before_the_target_and_the_partial_manifest_goes_last():
    torso = full(DEC_6 + 100)
    here = [signatures(torso, partial=True), manifest(torso, partial=True), signatures(torso)]
    plan = plan_remove_older_than(collect(*map(whole, THREE_CHAINS), [volume(torso)], local=[here]), NOV_14, now=NOW)
    (removal,) = plan.removals
    assert removal.copies == (signatures(torso).name,)
    assert removal.unfinished == (signatures(torso, partial=True).name, manifest(torso, partial=True).name)

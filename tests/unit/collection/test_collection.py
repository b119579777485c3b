"""Sets, chains and the active pair, as docs/format.md section 9.1 has them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.collection.listings import (
    DEC_4,
    DEC_6,
    NOV_14,
    NOV_15,
    NOV_16,
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
from twofold.collection.collection import Collection, build_collection
from twofold.collection.restore_point import restore_point, signature_point
from twofold.collection.retention import (
    plan_cleanup,
    plan_remove_all_but_n_full,
    plan_remove_all_inc_of_but_n_full,
    plan_remove_older_than,
)
from twofold.collection.sets import FoundFile, find_files
from twofold.errors import NoBackups
from twofold.model.backup import FileRole, SetId, StoredName, Wrapping


def collect(*groups, local=()):
    return build_collection(
        remote=[file for group in groups for file in group],
        local=[file for group in local for file in group],
    )


def ids(sets):
    return [one.id for one in sets]


def chain_ids(collection):
    return [ids(one.sets) for one in collection.chains]


def test_a_listing_keeps_only_names_that_mean_something():
    known = volume(full(5))
    listing = [("README", 3), (known.name, 100), ("lockfile", None)]
    found = find_files(listing, {known.name: known.meaning}.get)
    assert found == (known,)


def test_all_files_of_one_time_are_one_set_whatever_their_suffixes():
    one = full(NOV_14)
    files = [*whole(one), volume(one, 2, tail=".gpg", wrapping=Wrapping.GPG), statistics(one)]
    (found,) = collect(files).sets
    assert sorted(found.volumes) == [1, 2]
    assert found.is_complete
    assert found.is_full
    assert found.is_encrypted
    assert found.statistics == (statistics(one),)


def test_a_set_is_not_encrypted_when_none_of_its_files_is():
    (found,) = collect(whole(full(NOV_14))).sets
    assert not found.is_encrypted


def test_two_names_for_one_volume_are_both_kept_the_original_first():
    one = full(NOV_14)
    stray = volume(one, 1, tail=".gz.par2", wrapping=Wrapping.PLAIN)
    (found,) = collect([stray], whole(one)).sets
    assert found.volumes[1] == (volume(one), stray)


def test_two_manifests_of_one_set_are_both_kept():
    one = full(NOV_14)
    stray = manifest(one, tail=".sig")
    (found,) = collect([stray], whole(one)).sets
    assert found.manifests == (manifest(one), stray)


def test_a_volume_without_a_sensible_number_is_ignored():
    one = full(NOV_14)
    (found,) = collect(whole(one), [volume(one, 0)]).sets
    assert list(found.volumes) == [1]
    assert not collect([volume(one, 0)]).sets


def test_signatures_and_statistics_alone_are_no_set():
    assert not collect([signatures(full(NOV_14)), statistics(full(NOV_14))]).sets


def test_cached_files_alone_are_no_set():
    assert not collect(local=[cached(full(NOV_14))]).sets


def test_a_set_without_manifest_is_abandoned_unless_the_archive_directory_can_resume_it():
    one = full(NOV_14)
    assert ids(collect([volume(one)]).abandoned) == [one]
    (resumable,) = collect([volume(one)], local=[[manifest(one, partial=True)]]).sets
    assert not resumable.is_abandoned
    assert not resumable.is_complete
    assert resumable.unfinished == manifest(one, partial=True)


def test_a_whole_manifest_that_only_the_archive_directory_has_does_not_complete_a_set():
    one = full(NOV_14)
    (found,) = collect([volume(one)], local=[[manifest(one)]]).sets
    assert found.is_abandoned
    assert found.local_manifests == (manifest(one),)


def test_a_partial_manifest_at_the_target_does_not_complete_a_set():
    one = full(NOV_14)
    (found,) = collect([volume(one), manifest(one, partial=True)]).sets
    assert found.is_abandoned
    assert found.leftovers == (manifest(one, partial=True),)


def test_each_increment_joins_the_chain_that_ends_where_it_starts():
    collection = collect(*(whole(one) for one in reversed(THREE_CHAINS)))
    assert chain_ids(collection) == [THREE_CHAINS[0:3], THREE_CHAINS[3:6], THREE_CHAINS[6:9]]
    assert not collection.orphaned
    assert next((one.start, one.end) for one in collection.chains) == (NOV_14, NOV_16)


def test_an_increment_without_its_base_is_orphaned():
    collection = collect(whole(full(NOV_14)), whole(inc(NOV_15, NOV_16)))
    assert ids(collection.orphaned) == [inc(NOV_15, NOV_16)]


def test_an_increment_that_ends_before_it_starts_is_orphaned():
    collection = collect(whole(full(NOV_15)), whole(inc(NOV_15, NOV_14)))
    assert ids(collection.orphaned) == [inc(NOV_15, NOV_14)]


def test_of_two_increments_from_one_start_the_later_replaces_the_other():
    first, second = inc(NOV_14, NOV_15), inc(NOV_14, NOV_16)
    collection = collect(whole(full(NOV_14)), whole(first), whole(second))
    assert chain_ids(collection) == [[full(NOV_14), second]]
    assert ids(collection.chains[0].replaced) == [first]
    assert not collection.orphaned


def test_an_unfinished_increment_never_replaces_a_complete_one():
    good, torso = inc(NOV_14, NOV_15), inc(NOV_14, NOV_16)
    collection = collect(whole(full(NOV_14)), whole(good), [volume(torso)])
    assert chain_ids(collection) == [[full(NOV_14), good]]
    assert ids(collection.orphaned) == [torso]


def test_an_increment_is_taken_by_the_older_of_two_chains_that_end_together():
    collection = collect(
        whole(full(NOV_14)), whole(inc(NOV_14, NOV_15)), whole(full(NOV_15)), whole(inc(NOV_15, NOV_16))
    )
    assert [full(NOV_14), inc(NOV_14, NOV_15), inc(NOV_15, NOV_16)] in chain_ids(collection)
    assert [full(NOV_15)] in chain_ids(collection)


def test_the_active_pair_prefers_the_signatures_of_the_archive_directory():
    sets = chain(NOV_14, NOV_15)
    collection = collect(*map(whole, sets), local=map(cached, sets))
    assert collection.active.chain == collection.chains[0]
    assert collection.active.signatures.local
    without_cache = collect(*map(whole, sets))
    assert not without_cache.active.signatures.local
    assert without_cache.active.signatures.end == NOV_15


def test_without_matching_signatures_nothing_is_active():
    first, second = chain(NOV_14, NOV_15)
    assert collect(whole(first), [volume(second), manifest(second)]).active is None
    assert collect([]).active is None


def test_a_last_increment_whose_signatures_are_lost_is_set_aside():
    first, second, third = chain(NOV_14, NOV_15, NOV_16)
    collection = collect(whole(first), whole(second), [volume(third), manifest(third)])
    assert collection.active.set_aside.id == third
    assert collection.active.signatures.end == NOV_15


def test_a_chain_with_a_missing_manifest_in_its_middle_is_not_continued():
    first, second, third = chain(NOV_14, NOV_15, NOV_16)
    collection = collect(whole(first), [volume(second), signatures(second)], whole(third))
    assert collection.active is None


def test_signature_chains_are_found_apart_and_what_fits_nowhere_is_orphaned():
    first, second, third = chain(NOV_14, NOV_15, NOV_16)
    collection = collect([signatures(first), signatures(third)], local=[[signatures(first), signatures(second)]])
    assert [(one.local, one.end) for one in collection.signature_chains] == [(False, NOV_14), (True, NOV_15)]
    assert [one.set_id for one in collection.orphaned_signatures] == [third]
    assert not collection.orphaned_local_signatures


def test_the_interrupted_set_is_the_last_of_the_chain_with_the_newest_full():
    first, second = chain(NOV_14, NOV_15)
    assert collect(whole(first), whole(second)).interrupted is None
    assert collect(whole(first), [volume(second)]).interrupted.id == second
    resumable = collect(whole(first), [volume(second)], local=[[manifest(second, partial=True)]])
    assert resumable.interrupted.id == second
    assert collect([]).interrupted is None


def test_a_partial_manifest_beside_a_whole_one_still_means_an_interrupted_run():
    first = full(NOV_14)
    collection = collect(whole(first), local=[[manifest(first, partial=True)]])
    assert collection.interrupted.id == first
    assert collection.interrupted.is_complete


def test_the_last_full_backup_is_the_newest_complete_one():
    assert collect([]).last_full is None
    collection = collect(*map(whole, THREE_CHAINS), [volume(full(DEC_6 + 5))])
    assert collection.last_full.id == full(DEC_4)


def test_a_collection_without_some_files_is_as_if_they_had_never_been_there():
    first, second = chain(NOV_14, NOV_15)
    collection = collect(whole(first), whole(second), local=[cached(first), cached(second)])
    names = [file.name for file in whole(second)]
    assert collection.without(names, local=names) == collect(whole(first), local=[cached(first)])


TIMES = st.integers(0, 6)
SET_IDS = st.builds(SetId, TIMES, st.none() | TIMES)


@st.composite
def found_files(draw):
    meaning = StoredName(
        draw(SET_IDS),
        draw(st.sampled_from([*FileRole, FileRole.MANIFEST, FileRole.MANIFEST])),
        draw(st.sampled_from(Wrapping)),
        draw(st.none() | st.integers(0, 3)),
        draw(st.booleans()),
    )
    return FoundFile(f"{meaning}{draw(st.sampled_from(['', '.bak']))}", meaning, draw(st.none() | st.just(1)))


def everything_asked(collection: Collection):
    for instant in range(-1, 8):
        for point in (restore_point, signature_point):
            try:
                point(collection, instant)
            except NoBackups:
                assert not any(one.usable for one in collection.chains) or point is signature_point
    return [
        plan_cleanup(collection),
        *(plan_remove_older_than(collection, instant, now=1e9) for instant in range(-1, 8)),
        *(plan_remove_all_but_n_full(collection, count, now=1e9) for count in (1, 2, 3)),
        *(plan_remove_all_inc_of_but_n_full(collection, count, now=1e9) for count in (1, 2, 3)),
    ]


@settings(max_examples=8, deadline=None)
@given(st.lists(found_files(), max_size=20), st.lists(found_files(), max_size=8))
def test_any_files_whatever_make_disjoint_chains_and_plans_that_spare_the_newest_backup(remote, local):
    collection = build_collection(remote=remote, local=local)
    in_chains = [one.id for found in collection.chains for one in (*found.sets, *found.replaced)]
    assert len(in_chains) == len(set(in_chains))
    assert sorted(map(repr, in_chains + ids(collection.orphaned))) == sorted(map(repr, ids(collection.sets)))
    for plan in everything_asked(collection):
        gone = {name for removal in plan.removals for name in removal.remote}
        gone_here = {name for removal in plan.removals for name in removal.local}
        after = collection.without(gone, local=gone_here)
        if collection.newest_usable is not None:
            newest = collection.newest_usable.usable[-1].id
            assert newest in ids(after.newest_usable.usable)
        for kept in after.sets:
            was = [ids(one.sets) for one in collection.chains if kept.id in ids(one.sets)]
            needs = was[0][: was[0].index(kept.id)] if was else []
            assert set(needs) <= set(ids(after.sets))
    assert not plan_cleanup(after_cleanup(collection)).removals


def after_cleanup(collection):
    plan = plan_cleanup(collection)
    return collection.without(
        {name for removal in plan.removals for name in removal.remote},
        local={name for removal in plan.removals for name in removal.local},
    )

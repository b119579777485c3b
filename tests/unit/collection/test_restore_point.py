"""Which sets a moment needs (docs/format.md section 9.2, the careful way)."""

import pytest

from tests.unit.collection.listings import (
    DEC_4,
    DEC_6,
    NOV_14,
    NOV_15,
    NOV_16,
    NOV_24,
    NOV_26,
    THREE_CHAINS,
    chain,
    full,
    inc,
    signatures,
    volume,
    whole,
)
from tests.unit.collection.test_collection import collect, ids
from twofold.collection.restore_point import restore_point, signature_point
from twofold.errors import NoBackups


@pytest.mark.parametrize(
    ("instant", "needed"),
    [
        (NOV_14, THREE_CHAINS[0:1]),
        (NOV_15 - 1, THREE_CHAINS[0:1]),
        (NOV_15, THREE_CHAINS[0:2]),
        (NOV_16 + 1, THREE_CHAINS[0:3]),
        (NOV_24 - 1, THREE_CHAINS[0:3]),
        (NOV_24, THREE_CHAINS[3:4]),
        (DEC_4 - 1, THREE_CHAINS[3:6]),
        (2**40, THREE_CHAINS[6:9]),
    ],
)
def test_the_newest_backup_not_later_than_the_moment_counts(instant, needed):
    point = restore_point(collect(*map(whole, THREE_CHAINS)), instant)
    assert ids(point.sets) == needed
    assert point.instant == needed[-1].end
    assert not point.before_first
    assert not point.skipped


def test_before_the_first_backup_the_oldest_full_one_is_offered_and_flagged():
    point = restore_point(collect(*map(whole, THREE_CHAINS)), NOV_14 - 1)
    assert point.before_first
    assert ids(point.sets) == [full(NOV_14)]


def test_an_unfinished_newest_set_is_skipped_and_named():
    first, second = chain(NOV_14, NOV_15)
    collection = collect(whole(first), [volume(second)])
    point = restore_point(collection, NOV_16)
    assert ids(point.sets) == [first]
    assert ids(point.skipped) == [second]
    assert not restore_point(collection, NOV_15 - 1).skipped


def test_what_builds_on_a_set_without_manifest_is_skipped_too():
    first, second, third = chain(NOV_14, NOV_15, NOV_16)
    point = restore_point(collect(whole(first), [volume(second)], whole(third)), NOV_24)
    assert ids(point.sets) == [first]
    assert ids(point.skipped) == [second, third]


def test_an_unfinished_full_set_leaves_the_older_chain_in_use():
    collection = collect(whole(full(NOV_14)), whole(inc(NOV_14, NOV_15)), [volume(full(NOV_24))])
    point = restore_point(collection, NOV_26)
    assert ids(point.sets) == [full(NOV_14), inc(NOV_14, NOV_15)]
    assert ids(point.skipped) == [full(NOV_24)]


def test_orphaned_sets_are_named_as_skipped():
    collection = collect(whole(full(NOV_14)), whole(inc(NOV_15, NOV_16)))
    assert ids(restore_point(collection, NOV_24).skipped) == [inc(NOV_15, NOV_16)]


def test_of_overlapping_chains_the_one_with_the_newest_set_counts():
    collection = collect(*map(whole, [*chain(NOV_14, NOV_16, DEC_4), *chain(NOV_15, NOV_24)]))
    assert ids(restore_point(collection, NOV_15).sets) == [full(NOV_15)]
    assert ids(restore_point(collection, NOV_16).sets) == chain(NOV_14, NOV_16)
    assert ids(restore_point(collection, NOV_26).sets) == chain(NOV_15, NOV_24)
    assert ids(restore_point(collection, DEC_6).sets) == chain(NOV_14, NOV_16, DEC_4)


def test_without_any_backup_there_is_no_restore_point():
    with pytest.raises(NoBackups, match="No backup chains found: there is no backup"):
        restore_point(collect([]), NOV_14)


def test_without_any_complete_backup_the_reason_is_told():
    with pytest.raises(NoBackups, match=r"of 1 backup set.* none is a full one with a manifest"):
        restore_point(collect([volume(full(NOV_14))]), NOV_16)


def test_signatures_of_a_moment_come_from_the_archive_directory_if_it_has_them_all():
    first, second = chain(NOV_14, NOV_15)
    collection = collect(whole(first), whole(second), local=[[signatures(first), signatures(second)]])
    point = signature_point(collection, NOV_16)
    assert point.chain.local
    assert [one.set_id for one in point.files] == [first, second]
    older = collect(whole(first), whole(second), local=[[signatures(first)]])
    assert not signature_point(older, NOV_16).chain.local
    assert signature_point(older, NOV_14).chain.local


def test_signatures_before_the_first_backup_are_the_oldest_and_flagged():
    point = signature_point(collect(*map(whole, THREE_CHAINS)), 5)
    assert point.before_first
    assert [one.set_id for one in point.files] == [full(NOV_14)]


def test_signatures_of_unfinished_sets_are_left_out():
    first, second = chain(NOV_14, NOV_15)
    collection = collect(whole(first), [volume(second), signatures(second)])
    assert [one.set_id for one in signature_point(collection, NOV_16).files] == [first]
    with pytest.raises(NoBackups, match="No signature chains found"):
        signature_point(collect([volume(first), signatures(first)]), NOV_16)

"""What a copy lacks, decided from names and sizes alone."""

from __future__ import annotations

import pytest

from twofold.collection.collection import Collection, build_collection
from twofold.collection.sets import find_files
from twofold.errors import NoBackups, UserError
from twofold.format.names import NameCodec
from twofold.model.backup import FileRole, SetId, StoredName, Wrapping
from twofold.model.times import format_asctime
from twofold.operations.replicate_plan import OtherArchive, ReplicatePlan, plan_replicate

FULL, FIRST, SECOND, THIRD = SetId(1000), SetId(2000, 1000), SetId(3000, 2000), SetId(4000, 3000)
CHAIN = (FULL, FIRST, SECOND)
LATER = SetId(5000)
SIZE = 10


def name(set_id: SetId, role: FileRole, volume: int | None = None, wrapping: Wrapping = Wrapping.GPG) -> str:
    return NameCodec().format(StoredName(set_id, role, wrapping, volume))


def names_of(set_id: SetId, *, volumes: int = 2, wrapping: Wrapping = Wrapping.GPG) -> list[str]:
    """In the order in which they are to be sent."""
    return [
        *(name(set_id, FileRole.VOLUME, number, wrapping) for number in range(1, volumes + 1)),
        name(set_id, FileRole.SIGNATURES, wrapping=wrapping),
        name(set_id, FileRole.MANIFEST, wrapping=wrapping),
    ]


def holding(*sets: SetId, without: str = "", sizes: dict[str, int] | None = None) -> Collection:
    names = [each for set_id in sets for each in names_of(set_id) if each != without]
    return of_files(dict.fromkeys(names, SIZE) | (sizes or {}))


def of_files(files: dict[str, int]) -> Collection:
    return build_collection(remote=find_files(files.items(), NameCodec().parse), local=())


def sent(plan: ReplicatePlan) -> list[str]:
    return [file.name for copy in plan.sets for file in copy.files]


def ids(sets: tuple[object, ...]) -> list[SetId]:
    return [each.id for each in sets]  # type: ignore[attr-defined]


def test_everything_goes_to_an_empty_target_oldest_chain_first_and_manifests_last() -> None:
    plan = plan_replicate(holding(LATER, SECOND, FIRST, FULL), holding())
    assert sent(plan) == [each for set_id in (*CHAIN, LATER) for each in names_of(set_id)]
    assert plan.total_bytes == 16 * SIZE


def test_statistics_go_in_front_of_the_manifest() -> None:
    statistics = name(FULL, FileRole.STATISTICS)
    plan = plan_replicate(holding(FULL, sizes={statistics: 3}), holding())
    assert sent(plan)[-2:] == [statistics, name(FULL, FileRole.MANIFEST)]


def test_what_the_target_has_whole_is_not_sent() -> None:
    plan = plan_replicate(holding(*CHAIN), holding(FULL, FIRST))
    assert sent(plan) == names_of(SECOND)
    assert ids(plan.present) == [FULL, FIRST]
    same = plan.chains[0].same
    assert same is not None
    assert same[0].id == same[1].id == FIRST


def test_a_set_without_manifest_at_the_target_is_gone_through_whole() -> None:
    plan = plan_replicate(holding(*CHAIN), holding(*CHAIN, without=name(SECOND, FileRole.MANIFEST)))
    assert sent(plan) == names_of(SECOND)


@pytest.mark.parametrize("role", [FileRole.VOLUME, FileRole.SIGNATURES])
def test_what_a_complete_set_has_lost_is_sent_alone(role: FileRole) -> None:
    lost = name(FIRST, role, 1 if role is FileRole.VOLUME else None)
    for target in (holding(*CHAIN, without=lost), holding(*CHAIN, sizes={lost: SIZE - 1})):
        plan = plan_replicate(holding(*CHAIN), target)
        assert sent(plan) == [lost]
        assert plan.sets[0].manifest is None
        assert ids(plan.present) == [FULL, SECOND]


def test_sets_that_nobody_can_restore_are_not_copied() -> None:
    broken = holding(*CHAIN, THIRD, without=name(SECOND, FileRole.MANIFEST))
    plan = plan_replicate(broken, holding())
    assert sent(plan) == [*names_of(FULL), *names_of(FIRST)]
    assert ids(plan.broken) == [SECOND, THIRD]


def test_a_last_set_without_a_manifest_is_unfinished_and_no_loss() -> None:
    for unfinished, others in ((LATER, CHAIN), (SECOND, (FULL, FIRST))):
        source = holding(*others, unfinished, without=name(unfinished, FileRole.MANIFEST))
        plan = plan_replicate(source, holding())
        assert (ids(plan.unfinished), plan.broken) == ([unfinished], ())


def test_an_old_run_that_was_given_up_has_no_signatures() -> None:
    given_up = of_files(dict.fromkeys([*names_of(LATER), name(FULL, FileRole.VOLUME, 1)], SIZE))
    plan = plan_replicate(given_up, holding())
    assert (ids(plan.unfinished), plan.broken) == ([FULL], ())
    lost = plan_replicate(holding(FULL, LATER, without=name(FULL, FileRole.MANIFEST)), holding())
    assert (lost.unfinished, ids(lost.broken)) == ((), [FULL])


def test_a_manifest_that_only_the_cache_has_is_a_loss() -> None:
    files = dict.fromkeys([*names_of(FULL), *names_of(FIRST)], SIZE)
    del files[name(FIRST, FileRole.MANIFEST)]
    cached = [(name(FIRST, FileRole.MANIFEST, wrapping=Wrapping.PLAIN), SIZE)]
    parse = NameCodec().parse
    source = build_collection(remote=find_files(files.items(), parse), local=find_files(cached, parse))
    assert ids(plan_replicate(source, holding()).broken) == [FIRST]


@pytest.mark.parametrize("chain", [(FULL, FIRST, SECOND), (FULL, FIRST)])
def test_the_newest_chain_without_its_full_manifest_is_a_loss(chain: tuple[SetId, ...]) -> None:
    older = SetId(500)
    source = holding(older, *chain, without=name(FULL, FileRole.MANIFEST))
    plan = plan_replicate(source, holding())
    assert (sent(plan), ids(plan.broken)) == (names_of(older), list(chain))
    assert plan_replicate(source, holding(), until=999).broken == ()


def test_what_something_builds_on_is_not_unfinished_even_without_signatures() -> None:
    lost = {name(FULL, FileRole.MANIFEST), name(FULL, FileRole.SIGNATURES)}
    names = [each for set_id in (SetId(500), FULL, FIRST) for each in names_of(set_id) if each not in lost]
    plan = plan_replicate(of_files(dict.fromkeys(names, SIZE)), holding())
    assert (plan.unfinished, ids(plan.broken)) == ((), [FULL, FIRST])


def test_increments_without_a_full_set_are_a_loss() -> None:
    plan = plan_replicate(holding(LATER, FIRST, SECOND), holding())
    assert (sent(plan), ids(plan.broken)) == (names_of(LATER), [FIRST, SECOND])


def test_an_empty_file_at_both_sides_is_not_there() -> None:
    empty = {name(FULL, FileRole.VOLUME, 1): 0}
    plan = plan_replicate(holding(FULL, sizes=empty), holding(FULL, sizes=empty))
    assert sent(plan) == list(empty)


def test_only_sets_that_ended_by_then_are_copied() -> None:
    source = holding(*CHAIN, LATER)
    assert sent(plan_replicate(source, holding(), until=2000)) == [*names_of(FULL), *names_of(FIRST)]
    assert sent(plan_replicate(source, holding(), until=1999)) == names_of(FULL)
    with pytest.raises(NoBackups, match=f"The oldest backup at the source is of {format_asctime(1000)}: none"):
        plan_replicate(source, holding(), until=999)


@pytest.mark.parametrize("source", [holding(), holding(FIRST), holding(FULL, without=name(FULL, FileRole.MANIFEST))])
def test_a_source_without_a_complete_backup_is_an_error(source: Collection) -> None:
    with pytest.raises(NoBackups, match="There is no complete backup at the source"):
        plan_replicate(source, holding())


def test_another_manifest_under_the_same_name_is_that_of_another_archive() -> None:
    manifest = name(FULL, FileRole.MANIFEST)
    with pytest.raises(OtherArchive, match=f"The manifest {manifest} at the source is not the one at the target"):
        plan_replicate(holding(*CHAIN), holding(FULL, sizes={manifest: SIZE + 1}))


def test_a_set_of_the_same_time_under_other_names_is_of_another_archive() -> None:
    theirs = of_files(dict.fromkeys(names_of(FULL, wrapping=Wrapping.GZIP), SIZE))
    with pytest.raises(OtherArchive):
        plan_replicate(holding(FULL), theirs)


def test_a_target_with_backups_none_of_which_is_known_has_to_be_confirmed() -> None:
    with pytest.raises(OtherArchive, match="add --allow-source-mismatch") as caught:
        plan_replicate(holding(*CHAIN), holding(SetId(500)))
    assert isinstance(caught.value, UserError)
    assert len(plan_replicate(holding(*CHAIN), holding(SetId(500)), mixing=True).sets) == 3


def test_backups_of_another_archive_that_were_only_begun_have_to_be_confirmed() -> None:
    begun = of_files({name(SetId(500), FileRole.VOLUME, 1): SIZE})
    with pytest.raises(OtherArchive, match="add --allow-source-mismatch"):
        plan_replicate(holding(*CHAIN), begun)
    own = of_files({name(FULL, FileRole.VOLUME, 1): SIZE})
    assert sent(plan_replicate(holding(FULL), own)) == names_of(FULL)


def test_older_chains_at_the_target_that_the_source_has_removed_are_left_alone() -> None:
    assert sent(plan_replicate(holding(*CHAIN, LATER), holding(SetId(500), *CHAIN))) == names_of(LATER)


def test_a_chain_that_the_target_has_continued_itself_is_not_forked() -> None:
    own = SetId(2500, 2000)
    plan = plan_replicate(holding(*CHAIN, THIRD, LATER), holding(FULL, FIRST, own))
    assert ids(plan.forked) == [SECOND, THIRD]
    assert sent(plan) == names_of(LATER)


def test_a_chain_that_the_target_has_continued_further_is_whole() -> None:
    plan = plan_replicate(holding(*CHAIN), holding(*CHAIN, THIRD))
    assert (sent(plan), plan.forked) == ([], ())


def test_an_unfinished_increment_at_the_target_stands_in_nobodys_way() -> None:
    own = SetId(2500, 2000)
    plan = plan_replicate(holding(*CHAIN), holding(FULL, FIRST, own, without=name(own, FileRole.MANIFEST)))
    assert (sent(plan), plan.forked) == (names_of(SECOND), ())


def test_an_increment_that_another_one_replaced_at_the_source_may_be_at_the_target() -> None:
    replaced = SetId(2500, 2000)
    plan = plan_replicate(holding(FULL, FIRST, replaced, SECOND), holding(FULL, FIRST, replaced))
    assert (sent(plan), plan.forked) == (names_of(SECOND), ())

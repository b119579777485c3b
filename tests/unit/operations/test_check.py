"""What a check fetches, and what reading the data finds in archives whose hashes are all right."""

from __future__ import annotations

import errno
import io
import os
import random
from collections.abc import Generator, Iterable
from pathlib import Path

import pytest

from tests.support.archive import (
    BLOCK,
    DIRECTORY,
    FILE,
    Target,
    Volume,
    deleted,
    delta,
    diff,
    diff_of,
    other,
    parts,
    record_of,
    sig_deleted,
    sig_file,
    sig_other,
    signature_of,
    snapshot,
    volume,
)
from tests.support.restoring import Place, place
from twofold.collection.sets import BackupSet
from twofold.format.manifest import Manifest
from twofold.format.sigtar import read_members
from twofold.format.tar_reader import TarReader
from twofold.format.volume_reader import VolumeReader
from twofold.model.backup import FileRole, SetId, Wrapping
from twofold.monitor import Problem, RecordingMonitor, VolumeRead
from twofold.operations import check_keeping, check_metadata
from twofold.operations.check import CheckOptions, CheckSummary, check, look
from twofold.operations.check_agreement import Agreement, SignedMember
from twofold.operations.check_plan import Damage, plan_check, set_text
from twofold.repository.manifests import read_manifest
from twofold.storage.store import Operation
from twofold.storage.testing.recording import RecordingStore

FULL, FIRST, SECOND = SetId(1000), SetId(2000, 1000), SetId(3000, 2000)
OLD, NEW, NEWEST = (bytes([number]) * 700 for number in (1, 2, 3))
LARGE = random.Random(1).randbytes(1 << 21)


def one_volume(*members: bytes) -> list[Volume]:
    """All members in one volume whose range is theirs."""
    paths = [member.path for member in VolumeReader(io.BytesIO(b"".join(members) + bytes(1024)))]
    return [volume(1, members, first=paths[0], last=paths[-1])]


class Checked:
    """One check, and everything that was said and fetched."""

    def __init__(self, here: Place, *, read_data: bool = False, sample_ppm: int | None = None) -> None:
        self.monitor = RecordingMonitor()
        repository = here.repository(self.monitor)
        store = RecordingStore(repository.store)
        repository.store = store
        options = CheckOptions(str(here.folder / "tmp"), read_data, sample_ppm)
        plan = plan_check(look(repository).collection, instant=None)
        self.summary: CheckSummary = check(
            repository, plan, options=options, chance=random.Random(1), monitor=self.monitor
        )
        self.fetched = sorted(store.names(Operation.GET))
        self.calls = {call.operation for call in store.calls}

    @property
    def named(self) -> list[bytes]:
        return [event.path for event in self.monitor.events if isinstance(event, Problem)]

    @property
    def damages(self) -> list[tuple[SetId, FileRole, int | None]]:
        found = [event for event in self.monitor.events if isinstance(event, Damage)]
        assert tuple(found) == self.summary.damages
        return [(each.set_id, each.role, each.volume) for each in found]


def chain() -> Target:
    """Three sets: a full one of two volumes, a difference, and a whole new content and a deletion."""
    target = Target(Wrapping.GZIP, ("SHA1", "SHA256"))
    full = [other(b"", DIRECTORY), snapshot(b"a", OLD)], [snapshot(b"b", OLD)]
    target.add_set(
        FULL,
        [volume(1, full[0], first=b"", last=b"a"), volume(2, full[1], first=b"b", last=b"b")],
        [sig_other(b"", DIRECTORY), sig_file(b"a", OLD), sig_file(b"b", OLD)],
    )
    target.add_set(FIRST, one_volume(diff(b"a", OLD, NEW)), [sig_file(b"a", NEW)])
    target.add_set(
        SECOND, one_volume(snapshot(b"a", NEWEST), deleted(b"b")), [sig_file(b"a", NEWEST), sig_deleted(b"b")]
    )
    return target


def names(target: Target, role: FileRole) -> list[str]:
    found = [(FULL, 1), (FULL, 2), (FIRST, 1), (SECOND, 1)] if role is FileRole.VOLUME else []
    found = found or [(each, None) for each in (FULL, FIRST, SECOND)]  # type: ignore[list-item]
    return [target.name(set_id, role, number) for set_id, number in found]


# ---- what is fetched -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read_data", [False, True])
def test_each_file_is_fetched_once_and_nothing_is_written(tmp_path: Path, read_data: bool) -> None:
    here = place(tmp_path, chain())
    here.synchronize()
    before = {path.name: path.read_bytes() for path in here.cache.iterdir()}
    done = Checked(here, read_data=read_data)
    assert done.fetched == sorted(here.files)
    assert done.calls == {Operation.LIST, Operation.GET}
    assert done.summary[:5] == (3, 10, sum(map(len, here.files.values())), 3 if read_data else None, 0)
    assert (done.damages, done.summary.exit_code) == ([], 0)
    assert {path.name: path.read_bytes() for path in here.cache.iterdir()} == before


@pytest.mark.parametrize("sample_ppm", [None, 1_000_000])
def test_each_file_is_fetched_once_without_a_cache_too(tmp_path: Path, sample_ppm: int | None) -> None:
    here = place(tmp_path, chain())
    done = Checked(here, read_data=True, sample_ppm=sample_ppm)
    assert done.fetched == sorted(here.files)
    assert done.summary.entries == 3
    assert (list(here.cache.iterdir()), list((here.folder / "tmp").iterdir())) == ([], [])


def test_signatures_for_which_there_is_no_room_are_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = chain()
    signatures = names(target, FileRole.SIGNATURES)
    monkeypatch.setattr(check_keeping, "_MOST_BYTES", max(len(target.files[name]) for name in signatures))
    done = Checked(place(tmp_path, target), read_data=True)
    again = [name for name in {*done.fetched} if done.fetched.count(name) == 2]
    assert {*again} < {*signatures}
    assert (len(again) > 0, done.damages) == (True, [])


def test_without_hard_links_signatures_are_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_source: str, _target: str) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    target = chain()
    done = Checked(place(tmp_path, target), read_data=True)
    assert len(done.fetched) == len(target.files) + len([*names(target, FileRole.SIGNATURES)])
    assert done.damages == []


def test_what_was_kept_for_a_second_reading_goes_when_the_check_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("twofold.operations.check.DataCheck.read_chain", fail)
    here = place(tmp_path, chain())
    with pytest.raises(KeyboardInterrupt):
        Checked(here, read_data=True)
    assert list((here.folder / "tmp").iterdir()) == []


@pytest.mark.parametrize("read_data", [False, True])
def test_of_a_sample_only_its_volumes_are_fetched(tmp_path: Path, read_data: bool) -> None:
    target = chain()
    done = Checked(place(tmp_path, target), read_data=read_data, sample_ppm=500_000)
    volumes = [name for name in done.fetched if name in names(target, FileRole.VOLUME)]
    assert len(volumes) == len({*volumes}) == 2
    assert {*done.fetched} - {*volumes} == {*target.files} - {*names(target, FileRole.VOLUME)}
    assert [event.total for event in done.monitor.events if isinstance(event, VolumeRead)] == [2, 2]


def test_volumes_are_counted_over_all_chains(tmp_path: Path) -> None:
    target = chain()
    target.add_set(SetId(4000), one_volume(other(b"", DIRECTORY)), [sig_other(b"", DIRECTORY)])
    done = Checked(place(tmp_path, target), read_data=True)
    counted = [(event.number, event.total) for event in done.monitor.events if isinstance(event, VolumeRead)]
    assert counted == [(number, 5) for number in range(1, 6)]


def test_a_volume_with_a_wrong_hash_is_fetched_again_before_it_is_called_damaged(tmp_path: Path) -> None:
    target = chain()
    bad = target.name(FULL, FileRole.VOLUME, 2)
    target.files[bad] = target.files[bad][:-1] + b"x"
    done = Checked(place(tmp_path, target))
    assert done.fetched.count(bad) == 2
    assert done.damages == [(FULL, FileRole.VOLUME, 2)]
    assert done.summary.exit_code == 21


def test_a_manifest_on_a_bad_spot_of_a_disk_is_damage_and_the_rest_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = place(tmp_path, chain())
    here.synchronize()

    def read(source: object, name: str, backup_set: BackupSet) -> Manifest:
        if os.path.isabs(name):
            return read_manifest(source, name, backup_set)  # type: ignore[arg-type]
        raise OSError(number, os.strerror(number))

    number = errno.EIO
    monkeypatch.setattr(check_metadata, "read_manifest", read)
    done = Checked(here)
    assert done.damages == [(each, FileRole.MANIFEST, None) for each in (FULL, FIRST, SECOND)]
    assert done.summary.files == 7
    number = errno.ENOSPC
    with pytest.raises(OSError, match="No space"):
        Checked(here)


# ---- what reading the data finds -------------------------------------------------------------------------------------


def one_set(*members: bytes, signatures: list[bytes] | None = None) -> Target:
    target = Target()
    target.add_set(FULL, one_volume(other(b"", DIRECTORY), *members), signatures)
    return target


def test_a_content_that_later_backups_replaced_is_compared_all_the_same(tmp_path: Path) -> None:
    target = Target()
    wrong = snapshot(b"a", OLD).replace(OLD, NEW)
    target.add_set(FULL, one_volume(other(b"", DIRECTORY), wrong, snapshot(b"c", OLD)))
    target.add_set(FIRST, one_volume(snapshot(b"a", NEWEST)))
    here = place(tmp_path, target)
    assert here.restore().exit_code == 0
    done = Checked(here, read_data=True)
    assert done.named == [b"a"]
    assert done.summary.exit_code == 1


@pytest.mark.parametrize("content", [OLD, LARGE])
def test_what_stood_between_two_differences_is_compared(tmp_path: Path, content: bytes) -> None:
    target = Target()
    middle, newest = content + b"middle", content + b"newest"
    target.add_set(FULL, one_volume(other(b"", DIRECTORY), *parts(b"a", content, record=record_of(content))))
    target.add_set(
        FIRST, one_volume(diff_of(b"a", delta(content, middle), record_of(middle)._replace(digest=b"x" * 32)))
    )
    target.add_set(SECOND, one_volume(diff(b"a", middle, newest)))
    here = place(tmp_path, target)
    assert here.restore().exit_code == 0
    assert Checked(here, read_data=True).named == [b"a"]
    assert not [path for path in (tmp_path / "tmp").iterdir() if path.name != "tmp"]


def test_a_difference_without_record_must_fit(tmp_path: Path) -> None:
    target = one_set(snapshot(b"a", OLD, recorded=False), snapshot(b"b", OLD, recorded=False))
    target.add_set(FIRST, one_volume(diff_of(b"a", b"no delta"), diff(b"b", OLD, NEW, recorded=False)))
    target.add_set(SECOND, one_volume(snapshot(b"a", NEW, recorded=False)))
    assert Checked(place(tmp_path, target), read_data=True).named == [b"a"]


def test_files_of_a_run_are_named_one_by_one(tmp_path: Path) -> None:
    members = [snapshot(b"f%d" % number, OLD) for number in range(9)]
    members[3], members[7] = (member.replace(OLD, NEW) for member in (members[3], members[7]))
    target = one_set(*members)
    done = Checked(place(tmp_path, target), read_data=True)
    assert done.named == [b"f3", b"f7"]
    assert Checked(place(tmp_path, target), read_data=True, sample_ppm=1).named == [b"f3", b"f7"]


def test_a_sample_reads_over_what_begins_or_ends_in_other_volumes(tmp_path: Path) -> None:
    pieces = parts(b"b", LARGE, record=record_of(LARGE))
    target = Target(algorithms=("SHA256",))
    thirds = [pieces[:10], pieces[10:20], pieces[20:]]
    thirds[0] = [other(b"", DIRECTORY), snapshot(b"a", OLD), *thirds[0]]
    thirds[2] = [*thirds[2], snapshot(b"c", NEW), diff(b"d", OLD, NEW)]
    target.add_set(FULL, [volume(number, each, first=b"", last=b"d") for number, each in enumerate(thirds, 1)])
    done = Checked(place(tmp_path, target), read_data=True, sample_ppm=999_999)
    assert done.named == []
    thirds[2][-2] = snapshot(b"c", NEW).replace(NEW, OLD)
    target.add_set(FULL, [volume(number, each, first=b"", last=b"d") for number, each in enumerate(thirds, 1)])
    assert Checked(place(tmp_path, target), read_data=True, sample_ppm=999_999).named == [b"c"]


def test_a_tar_that_breaks_off_is_found_by_a_sample(tmp_path: Path) -> None:
    target = Target()
    broken = volume(1, [snapshot(b"a", OLD), snapshot(b"b", OLD)[: BLOCK + 100]], first=b"", last=b"b", ending=b"")
    target.add_set(FULL, [broken])
    done = Checked(place(tmp_path, target), read_data=True, sample_ppm=1)
    assert len(done.named) >= 1
    assert done.summary.exit_code == 1


# ---- volumes and signatures ------------------------------------------------------------------------------------------


def members(*encoded: bytes) -> Generator[SignedMember, None, None]:
    reader = TarReader(io.BytesIO(b"".join(encoded) + bytes(1024)))
    for member in read_members(reader):
        yield SignedMember(member, reader)


def disagreements(
    known: list[bytes], seen: list[tuple[bytes, bytes | None]], *, ours: bool = True, resumed: Iterable[bytes] = ()
) -> list[bytes]:
    """Paths that are reported; what is seen is a path and its content, None where it was deleted."""
    monitor = RecordingMonitor()
    agreement = Agreement(members(*known), monitor, set_id=FULL, ours=ours)
    for path, content in seen:
        entry = FILE if content is None else FILE._replace(content=record_of(content))
        agreement.meet(path, may_be_more=path in resumed)
        agreement.compare(path, entry, deleted=content is None)
    agreement.finish()
    agreement.close()
    return [event.path for event in monitor.events if isinstance(event, Problem)]


KNOWN = [sig_file(b"a", OLD), sig_file(b"b", NEW), sig_deleted(b"c")]


def test_volumes_and_signatures_that_say_the_same_agree() -> None:
    assert disagreements(KNOWN, [(b"a", OLD), (b"b", NEW), (b"c", None)]) == []


@pytest.mark.parametrize(
    ("seen", "reported"),
    [
        ([(b"a", OLD), (b"c", None)], [b"b"]),
        ([(b"a", OLD), (b"b", NEW)], [b"c"]),
        ([(b"a", OLD), (b"b", OLD), (b"c", None)], [b"b"]),
        ([(b"a", OLD), (b"aa", OLD), (b"b", NEW), (b"c", None)], [b"aa"]),
        ([(b"a", OLD), (b"b", None), (b"c", None)], [b"b"]),
        ([], [b"a", b"b", b"c"]),
    ],
)
def test_what_only_one_of_them_says_is_named(seen: list[tuple[bytes, bytes | None]], reported: list[bytes]) -> None:
    assert disagreements(KNOWN, seen) == reported


def test_only_where_a_volume_was_resumed_may_duplicitys_hold_more_than_its_signatures() -> None:
    seen = [(b"a", OLD), (b"aa", OLD), (b"b", OLD), (b"c", None)]
    assert disagreements(KNOWN, seen, ours=False, resumed=[b"aa"]) == []
    assert disagreements(KNOWN, seen, ours=False) == [b"aa"]
    assert disagreements(KNOWN, [(b"a", OLD), (b"c", None)], ours=False) == [b"b"]


def test_where_a_volume_is_lost_the_signatures_are_not_blamed(tmp_path: Path) -> None:
    target = chain()
    here = place(tmp_path, target)
    here.synchronize()
    del target.files[target.name(FULL, FileRole.VOLUME, 2)]
    done = Checked(here, read_data=True)
    assert done.damages == [(FULL, FileRole.VOLUME, 2)]
    assert done.named == [b"b"]


def test_a_sample_of_all_volumes_is_a_check_of_everything(tmp_path: Path) -> None:
    target = chain()
    target.add_set(FIRST, one_volume(diff(b"a", OLD, NEW)), [sig_file(b"a", OLD)])
    here = place(tmp_path, target)
    assert not Checked(here, read_data=True, sample_ppm=999_999).named
    assert Checked(here, read_data=True, sample_ppm=1_000_000).named


# ---- block signatures ------------------------------------------------------------------------------------------------


def sig_swapped(path: bytes, content: bytes) -> bytes:
    """As `sig_file`, but the first two block sums stand in each other's place."""
    made = sig_file(path, content)
    at = made.index(signature_of(content)) + 12
    return made[:at] + made[at + 20 : at + 40] + made[at : at + 20] + made[at + 40 :]


@pytest.mark.parametrize("content", [OLD, LARGE])
@pytest.mark.parametrize("wrong", [0, 1, 2])
@pytest.mark.parametrize("recorded", [True, False])
def test_each_state_of_a_file_is_compared_with_its_block_signature(
    tmp_path: Path, content: bytes, wrong: int, recorded: bool
) -> None:
    target = Target(algorithms=("SHA256",))
    states = [content, content + b"middle", content + b"newest"]
    signed = [(sig_swapped if number == wrong else sig_file)(b"a", each) for number, each in enumerate(states)]
    records = [record_of(each) if recorded else None for each in states]
    first = [other(b"", DIRECTORY), *(parts(b"a", content, record=records[0]) if content is LARGE else [])]
    first += [] if content is LARGE else [snapshot(b"a", content, recorded=recorded)]
    target.add_set(FULL, one_volume(*first), [sig_other(b"", DIRECTORY), signed[0]])
    for number, set_id in enumerate((FIRST, SECOND), 1):
        difference = diff_of(b"a", delta(states[number - 1], states[number]), records[number])
        target.add_set(set_id, one_volume(difference), [signed[number]])
    done = Checked(place(tmp_path, target), read_data=True)
    assert done.named == [b"a"]
    (problem,) = (event for event in done.monitor.events if isinstance(event, Problem))
    assert "block signature is not that of its content" in problem.reason
    assert set_text((FULL, FIRST, SECOND)[wrong]) in problem.reason


def test_of_files_read_in_one_go_only_those_that_are_wrongly_signed_are_named(tmp_path: Path) -> None:
    files = [snapshot(b"f%d" % number, OLD) for number in range(5)]
    signed = [(sig_swapped if number == 3 else sig_file)(b"f%d" % number, OLD) for number in range(5)]
    damaged = sig_file(b"f4", OLD)
    at = damaged.index(signature_of(OLD))
    signed[4] = damaged[:at] + b"none" + damaged[at + 4 :]
    done = Checked(place(tmp_path, one_set(*files, signatures=[sig_other(b"", DIRECTORY), *signed])), read_data=True)
    assert done.named == [b"f3", b"f4"]
    assert done.summary.exit_code == 1


# ---- ranges of volumes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ranges", "told"),
    [
        ([(b"", b"a"), (b"b", b"b")], None),
        ([(b"", b"a"), (b"bb", b"b")], "do not follow"),
        ([(b"", b"b"), (b"b", b"b")], "volume 1 ends with a, and not with b"),
        ([(b"", b"aa"), (b"b", b"b")], "volume 1 ends with a, and not with aa"),
        ([(b"", b"a"), (b"a", b"b")], "volume 2 begins with b, and not with a"),
    ],
)
def test_the_ranges_of_volumes_are_those_in_the_manifest(
    tmp_path: Path, ranges: list[tuple[bytes, bytes]], told: str | None
) -> None:
    target = Target()
    held = [other(b"", DIRECTORY), snapshot(b"a", OLD)], [snapshot(b"b", OLD)]
    volumes = [
        volume(number, each, first=first, last=last)
        for number, (each, (first, last)) in enumerate(zip(held, ranges, strict=True), 1)
    ]
    target.add_set(FULL, volumes, [sig_other(b"", DIRECTORY), sig_file(b"a", OLD), sig_file(b"b", OLD)])
    done = Checked(place(tmp_path, target), read_data=True)
    if told is None:
        assert done.damages == []
    else:
        assert done.damages == [(FULL, FileRole.MANIFEST, None)]
        assert told in done.summary.damages[0].reason
        assert not done.summary.verdicts


def test_a_resumed_volume_may_begin_before_its_starting_path(tmp_path: Path) -> None:
    target = Target()
    volumes = [
        volume(1, [other(b"", DIRECTORY), snapshot(b"a", OLD)], first=b"", last=b"a"),
        volume(2, [snapshot(b"b", OLD), snapshot(b"c", OLD)], first=b"c", last=b"c"),
    ]
    target.add_set(FULL, volumes, [sig_other(b"", DIRECTORY), sig_file(b"a", OLD), sig_file(b"c", OLD)])
    done = Checked(place(tmp_path, target), read_data=True)
    assert (done.damages, done.named) == ([], [])

"""The cache made equal to the target: what is fetched, what goes, and what damaged files do."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.support.archive import Target, one_volume, sig_file, snapshot
from tests.support.restoring import Place
from twofold.errors import CorruptManifest, CorruptStream
from twofold.model.backup import FileRole, SetId, Wrapping
from twofold.monitor import MetadataSynchronized, Note, RecordingMonitor
from twofold.repository.sync import plan_sync

FULL, FIRST = SetId(1000), SetId(2000, 1000)


def made() -> Target:
    target = Target(Wrapping.GZIP)
    target.add_set(FULL, one_volume(snapshot(b"a", b"a")), [sig_file(b"a", b"a")])
    target.add_set(FIRST, one_volume(snapshot(b"b", b"b")), [sig_file(b"b", b"b")])
    return target


def cached(here: Place) -> set[str]:
    return {path.name for path in here.cache.iterdir()}


def test_manifests_and_signatures_are_fetched_once(tmp_path: Path) -> None:
    target = made()
    here = Place(tmp_path, target.files)
    names = {target.name(each, role) for each in (FULL, FIRST) for role in (FileRole.MANIFEST, FileRole.SIGNATURES)}
    monitor = here.synchronize()
    assert cached(here) == names
    (done,) = [event for event in monitor.events if isinstance(event, MetadataSynchronized)]
    assert set(done.copied) == names
    signatures = target.name(FULL, FileRole.SIGNATURES)
    assert gzip.decompress((here.cache / signatures).read_bytes()) == gzip.decompress(target.files[signatures])
    (again,) = [event for event in here.synchronize().events if isinstance(event, MetadataSynchronized)]
    assert not again.copied
    assert not again.removed


def test_only_the_sets_in_question_are_fetched(tmp_path: Path) -> None:
    target = made()
    repository = Place(tmp_path, target.files).repository(RecordingMonitor())
    plan = plan_sync(repository.collection(), wanted={FULL})
    assert {file.meaning.set_id for file in plan.copy} == {FULL}
    assert plan.copy[0].meaning.role is FileRole.MANIFEST


def test_what_is_no_longer_at_the_target_goes_from_the_cache(tmp_path: Path) -> None:
    target = made()
    here = Place(tmp_path, target.files)
    here.synchronize()
    for role in (FileRole.MANIFEST, FileRole.SIGNATURES):
        del here.files[target.name(FIRST, role)]
    here.synchronize()
    assert cached(here) == {target.name(FULL, FileRole.MANIFEST), target.name(FULL, FileRole.SIGNATURES)}


def test_an_empty_target_costs_the_cache_nothing(tmp_path: Path) -> None:
    here = Place(tmp_path, made().files)
    here.synchronize()
    before = cached(here)
    here.files.clear()
    monitor = here.synchronize()
    assert cached(here) == before
    assert any("mounted" in event.text for event in monitor.events if isinstance(event, Note))


@pytest.mark.parametrize(
    ("role", "error"), [(FileRole.MANIFEST, CorruptManifest), (FileRole.SIGNATURES, CorruptStream)]
)
def test_a_damaged_file_is_named_and_never_cached(tmp_path: Path, role: FileRole, error: type[Exception]) -> None:
    target = made()
    here = Place(tmp_path, target.files)
    name = target.name(FIRST, role)
    here.files[name] = b"Volume x\n" if role is FileRole.MANIFEST else here.files[name][:-12]
    with pytest.raises(error, match=name.split(".")[1]):
        here.synchronize(lenient=False)
    assert name not in cached(here)
    monitor = here.synchronize(lenient=True)
    assert len(cached(here)) == 3
    assert any(name in event.text for event in monitor.events if isinstance(event, Note))


def test_when_nothing_can_be_opened_that_is_the_error(tmp_path: Path) -> None:
    target = made()
    here = Place(tmp_path, target.files)
    for name in target.files:
        if "sigtar" in name:
            here.files[name] = b"not gzip"
    for each in (FULL, FIRST):
        del here.files[target.name(each, FileRole.MANIFEST)]
    with pytest.raises(CorruptStream):
        here.synchronize(lenient=True)

"""Which volumes are needed, and how they are opened ahead of their reader."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.support.archive import Target, snapshot, volume
from tests.support.restoring import Place
from twofold.concurrency import Crew
from twofold.envelope.protocol import Opened
from twofold.errors import BadVolume, NotFound
from twofold.format.manifest import BlockPosition, Manifest, VolumeRecord
from twofold.model.backup import FileRole, SetId
from twofold.monitor import BadDownload, RecordingMonitor, VolumeRead
from twofold.pipeline.chain_reading import plan_reading
from twofold.pipeline.fetch import NeededVolume, VolumeFetcher, demand_order, needed_volumes
from twofold.pipeline.replay import LostVolume, OpenVolume
from twofold.repository.repository import Repository
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.store import ByteCounter, Key, ignore_bytes

FULL = SetId(1000)
RANGES = [(b"", b"a"), (b"b", b"b/x"), (b"b/x", b"b-"), (b"c", b"z")]


def target() -> Target:
    made = Target()
    volumes = [
        volume(number, [snapshot(last, last)], first=first, last=last) for number, (first, last) in enumerate(RANGES, 1)
    ]
    made.add_set(FULL, volumes)
    return made


@pytest.mark.parametrize(
    ("within", "numbers"),
    [
        (b"", [1, 2, 3, 4]),
        (b"a", [1, 2]),
        (b"b", [2, 3]),
        (b"b/x", [2, 3]),
        (b"b/y", [3]),
        (b"b-", [3, 4]),
        (b"c", [4]),
        (b"zz", []),
    ],
)
def test_only_volumes_that_can_hold_the_path_are_needed(tmp_path: Path, within: bytes, numbers: list[int]) -> None:
    """A volume may begin right behind the end of the one before (docs/format.md section 10.4)."""
    here = Place(tmp_path, target().files)
    repository = here.repository(RecordingMonitor())
    (backup_set,) = repository.collection().sets
    records = tuple(
        VolumeRecord(number, BlockPosition(first), BlockPosition(last), ())
        for number, (first, last) in enumerate(RANGES, 1)
    )
    needed = needed_volumes(backup_set, Manifest(None, None, records), within=within)
    assert [each.record.number for each in needed] == numbers


def fetch(here: Place) -> tuple[list[OpenVolume | LostVolume], RecordingMonitor, VolumeFetcher]:
    monitor = RecordingMonitor()
    repository = here.repository(monitor)
    plan = plan_reading(repository, repository.collection().sets, within=b"")
    ((backup_set, volumes),) = plan.sets
    with Crew() as crew:
        fetcher = VolumeFetcher(repository, crew, total=plan.total, monitor=monitor)
        found = list(fetcher.feeds([(backup_set, volumes)])[0])
    return found, monitor, fetcher


def test_volumes_come_in_the_manifests_order_and_are_counted(tmp_path: Path) -> None:
    found, monitor, fetcher = fetch(Place(tmp_path, target().files))
    assert [each.record.number for each in found] == [1, 2, 3, 4]
    assert all(isinstance(each, OpenVolume) for each in found)
    assert [event.number for event in monitor.events if isinstance(event, VolumeRead)] == [1, 2, 3, 4]
    assert not fetcher.failures
    assert not list((tmp_path / "tmp").iterdir()), "what was fetched is open, and has no name any more"


def test_a_volume_with_a_wrong_hash_is_fetched_again_and_then_lost(tmp_path: Path) -> None:
    made = target()
    name = made.name(FULL, FileRole.VOLUME, 2)
    made.files[name] += b"more"
    found, monitor, fetcher = fetch(Place(tmp_path, made.files, attempts=3))
    assert [isinstance(each, LostVolume) for each in found] == [False, True, False, False]
    assert [event.name for event in monitor.events if isinstance(event, BadDownload)] == [name] * 3
    (failure,) = fetcher.failures
    assert isinstance(failure, BadVolume)
    assert failure.name == name
    assert not list((tmp_path / "tmp").iterdir())


def test_a_volume_that_is_not_there_is_lost(tmp_path: Path) -> None:
    made = target()
    del made.files[made.name(FULL, FileRole.VOLUME, 3)]
    found, _, fetcher = fetch(Place(tmp_path, made.files))
    assert [isinstance(each, LostVolume) for each in found] == [False, False, True, False]
    assert isinstance(fetcher.failures[0], NotFound)


def test_of_two_files_for_one_volume_the_one_whose_hash_fits_is_taken(tmp_path: Path) -> None:
    made = target()
    name = made.name(FULL, FileRole.VOLUME, 2)
    made.files[name.replace("vol2", "vol02")] = made.files[name]
    made.files[name] = b"damaged"
    found, _, _ = fetch(Place(tmp_path, made.files, attempts=1))
    assert all(isinstance(each, OpenVolume) for each in found)


def test_a_planted_file_that_cannot_even_be_opened_does_not_hide_the_right_one(tmp_path: Path) -> None:
    made = target()
    name = made.name(FULL, FileRole.VOLUME, 2)
    made.files[name.replace("vol2", "vol000002")] = made.files.pop(name)
    made.files[name + ".gpg"] = b"planted, and there is no key for it"
    found, monitor, _ = fetch(Place(tmp_path, made.files, attempts=1))
    assert all(isinstance(each, OpenVolume) for each in found)
    assert [event.name for event in monitor.events if isinstance(event, BadDownload)] == [name + ".gpg"]


def test_a_volume_without_a_hash_that_is_known_is_refused(tmp_path: Path) -> None:
    made = target()
    manifest = made.name(FULL, FileRole.MANIFEST)
    made.files[manifest] = made.files[manifest].replace(b"SHA1", b"CRC9")
    found, _, fetcher = fetch(Place(tmp_path, made.files))
    assert all(isinstance(each, LostVolume) for each in found)
    assert "no hash that can be checked" in str(fetcher.failures[0])


def test_the_manifest_at_the_target_is_asked_when_a_hash_in_the_cached_one_is_wrong(tmp_path: Path) -> None:
    here = Place(tmp_path, target().files, attempts=1)
    here.synchronize()
    (cached,) = here.cache.iterdir()
    lines = cached.read_bytes().split(b"\n")
    lines = [line[:-1] + b"0" if b"SHA1" in line and not line.endswith(b"0") else line for line in lines]
    cached.write_bytes(b"\n".join(lines))
    found, _, fetcher = fetch(here)
    assert all(isinstance(each, OpenVolume) for each in found)
    assert not fetcher.failures


def test_the_only_volumes_of_many_sets_are_opened_side_by_side_and_come_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Target()
    ids = [FULL, *(SetId(1000 + number, 999 + number) for number in range(1, 9))]
    for number, set_id in enumerate(ids):
        made.add_set(set_id, [volume(1, [snapshot(b"%d" % number, b"")], first=b"", last=b"z")])
    here = Place(tmp_path, made.files)
    monitor = RecordingMonitor()
    repository = here.repository(monitor)
    (chain,) = repository.collection().chains
    threads: set[str] = set()
    open_volume = Repository.open_volume

    def noted(self: Repository, *arguments: object) -> Opened:
        threads.add(threading.current_thread().name)
        return open_volume(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Repository, "open_volume", noted)
    plan = plan_reading(repository, chain.sets, within=b"")
    with Crew() as crew:
        feeds = VolumeFetcher(repository, crew, total=len(ids), monitor=monitor).feeds(plan.sets)
        opened = [list(feed) for feed in feeds]
        contents = [each.content.read(4096) for found in opened for each in found if isinstance(each, OpenVolume)]
        for found in opened:
            for each in found:
                assert isinstance(each, OpenVolume)
                each.close()
    assert [b"snapshot/%d\0" % number in content for number, content in enumerate(contents)] == [True] * len(ids)
    assert threads == {"fetch"}


def test_volumes_are_wanted_in_the_order_in_which_a_merged_reading_meets_their_ends() -> None:
    def volumes(*ends: bytes) -> list[NeededVolume]:
        return [NeededVolume(VolumeRecord(1, BlockPosition(b""), BlockPosition(end), ()), ()) for end in ends]

    assert demand_order([volumes(b"c", b"f", b"z"), volumes(b"z"), volumes(b"a", b"d", b"e")]) == [
        *((0, 0), (1, 0), (2, 0)),  # all begin at once
        (2, 1),  # after a
        (0, 1),  # after c
        (2, 2),  # after d
        (0, 2),  # after f
    ]


class Gate(MemoryStore):
    """Lets volumes through only when so many have been asked for; a file is fetched, as from a server."""

    def __init__(self, files: dict[str, bytes], together: int) -> None:
        super().__init__(files)
        self._lock = threading.Lock()
        self._together = threading.Barrier(together)
        self._active = 0
        self.most = 0

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        with self._lock:
            self._active += 1
            self.most = max(self.most, self._active)
        self._together.wait(20)
        super().get(key, target, received=received)
        with self._lock:
            self._active -= 1


@pytest.mark.parametrize(("transfers", "at_once"), [(1, 1), (3, 3), (99, 4)])
def test_so_many_volumes_of_a_set_are_fetched_at_once_as_pay_and_are_allowed(
    tmp_path: Path, transfers: int, at_once: int
) -> None:
    made = target()
    here = Place(tmp_path, made.files, transfers=transfers)
    here.synchronize()
    here.store = gate = Gate(made.files, at_once if at_once != 3 else 1)
    found, _, fetcher = fetch(here)
    assert [each.record.number for each in found] == [1, 2, 3, 4]
    assert not fetcher.failures
    assert gate.most <= at_once
    assert at_once == 3 or gate.most == at_once
    assert not list((tmp_path / "tmp").iterdir())


def test_what_nobody_asks_for_is_closed_and_what_is_on_its_way_given_up(tmp_path: Path) -> None:
    made = target()
    here = Place(tmp_path, made.files, transfers=4)
    here.synchronize()
    under_way = threading.Barrier(4)

    class Endless(MemoryStore):
        def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
            if ".vol1." not in key.name:
                under_way.wait(20)
                while True:
                    received(0)
            super().get(key, target, received=received)

    here.store = Endless(made.files)
    repository = here.repository(RecordingMonitor())
    plan = plan_reading(repository, repository.collection().sets, within=b"")
    before = set(threading.enumerate())
    with Crew() as crew:
        (feed,) = VolumeFetcher(repository, crew, total=4, monitor=RecordingMonitor()).feeds(plan.sets)
        under_way.wait(20)
        del feed
    assert set(threading.enumerate()) <= before
    assert not list((tmp_path / "tmp").iterdir())

"""Several volumes on their way at once: how many, in which order they count, and what an error or an end leaves."""

from __future__ import annotations

import faulthandler
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.backups import Place
from tests.support.tree import Fidelity, assert_same_tree
from twofold.concurrency import Cancelled
from twofold.errors import Forbidden, Unavailable
from twofold.format.names import NameCodec
from twofold.model.backup import FileRole, SetKind
from twofold.pipeline.set_files import ManifestFiles
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.store import ByteCounter, Key, Store, StoredFile, StoreWrapper, ignore_bytes
from twofold.storage.testing.faulty import Killed

T = TypeVar("T")
AT_ONCE = 3
PATIENCE = 20


@pytest.fixture(autouse=True)
def nothing_hangs() -> Iterator[None]:
    faulthandler.dump_traceback_later(60, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


class FarStore(StoreWrapper):
    """Files have to be sent there; what a test wants happens on the way of a volume, with its number."""

    def __init__(self, inner: Store, on_the_way: Callable[[int, ByteCounter], None]) -> None:
        super().__init__(inner)
        self._on_the_way = on_the_way
        self._codec = NameCodec()
        self._lock = threading.Lock()
        self._active = 0
        self.most = 0
        self.order: list[str] = []
        self.arrived = threading.Semaphore(0)

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        with self._lock:
            self._active += 1
            self.most = max(self.most, self._active)
        try:
            meaning = self._codec.parse(key.name)
            if meaning is not None and meaning.role is FileRole.VOLUME:
                self._on_the_way(meaning.volume or 0, sent)
            stored = self.inner.put(key, source, sent=sent)
        finally:
            with self._lock:
                self._active -= 1
        self.order.append(key.name)
        self.arrived.release()
        return stored

    def wait_for(self, count: int) -> None:
        """Until so many more files are there."""
        for _ in range(count):
            assert self.arrived.acquire(timeout=PATIENCE)

    def ability(self, wanted: Callable[..., T]) -> T | None:
        return None


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path, transfers=AT_ONCE)
    for number in range(12):
        Path(os.fsdecode(place.source), str(number)).write_bytes(os.urandom(150_000))
    return place


def sent_over(place: Place, on_the_way: Callable[[int, ByteCounter], None]) -> FarStore:
    place.store = store = FarStore(MemoryStore(place.files), on_the_way)
    return store


def gives_up(place: Place, error: type[BaseException]) -> BaseException:
    """Backs up, expecting that error, which leaves no thread and no stray file; then the next run succeeds."""
    threads = set(threading.enumerate())
    with pytest.raises(error) as raised:
        place.back_up(SetKind.FULL)
    assert set(threading.enumerate()) <= threads
    assert place.leftovers() == []
    assert place.set_ids() == []
    return raised.value


def recovers(place: Place) -> FarStore:
    store = sent_over(place, lambda number, sent: None)
    place.back_up(SetKind.FULL)
    assert place.partial_files() == []
    (set_id,) = place.set_ids()
    assert sum(".vol" in name for name in place.files) == len(place.manifest(set_id).volumes)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)
    return store


def test_volumes_overlap_within_the_bound_and_the_manifest_comes_last(place: Place) -> None:
    together = threading.Barrier(AT_ONCE)
    lying_about: list[int] = []

    def meet(number: int, sent: ByteCounter) -> None:
        lying_about.append(len(os.listdir(place.scratch)))
        if number <= AT_ONCE:
            together.wait(PATIENCE)

    store = sent_over(place, meet)
    place.back_up(SetKind.FULL)
    assert store.most == AT_ONCE
    assert max(lying_about) <= AT_ONCE + 1 + 1, "one in the making, and the signatures"
    *volumes, signatures, manifest = store.order
    assert len(volumes) == 9
    assert all(".vol" in name for name in volumes)
    assert ".sigtar" in signatures
    assert manifest.endswith(".manifest")
    assert [volume.number for volume in place.manifest(place.set_ids()[0]).volumes] == [*range(1, 10)]
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


def test_one_at_a_time_is_one_at_a_time(place: Place) -> None:
    place.transfers = 1
    store = sent_over(place, lambda number, sent: None)
    place.back_up(SetKind.FULL)
    assert store.most == 1
    assert store.order == sorted(store.order, key=lambda name: (".manifest" in name, ".sigtar" in name))


def test_a_volume_counts_only_when_all_before_it_are_there(place: Place) -> None:
    seen: list[list[str]] = []

    def hold_back_the_first(number: int, sent: ByteCounter) -> None:
        if number == 1:
            store.wait_for(AT_ONCE - 1)
            seen.append(place.partial_files())
            raise Killed

    store = sent_over(place, hold_back_the_first)
    gives_up(place, Killed)
    assert [".sigtar.part" in name for name in seen[0]] == [True], "no manifest of what has a gap"
    assert len(store.order) <= AT_ONCE, "nor is more there than is on its way at once"
    assert all(".vol1." not in name for name in place.files)
    recovers(place)


def test_going_on_sends_nothing_again_but_what_was_on_its_way(place: Place) -> None:
    def die_at_the_fourth(number: int, sent: ByteCounter) -> None:
        if number == 4:
            store.wait_for(3 + AT_ONCE - 1)
            raise Killed

    for number in range(12):  # files so small that each is in one volume
        for part in range(3):
            Path(os.fsdecode(place.source), f"{number} {part}").write_bytes(os.urandom(50_000))
        os.unlink(os.path.join(place.source, b"%d" % number))
    store = sent_over(place, die_at_the_fourth)
    gives_up(place, Killed)
    assert len(place.files) - 3 in {AT_ONCE - 1, AT_ONCE}, "those before the gap, and what was on its way behind it"
    store = recovers(place)
    sent = sorted(meaning.volume or 0 for name in store.order if (meaning := NameCodec().parse(name)) is not None)
    assert sent == [0, 0, *range(4, len(place.manifest(place.set_ids()[0]).volumes) + 1)]


@pytest.mark.parametrize(
    "error", [Forbidden("no"), Unavailable("gone"), Killed()], ids=lambda each: type(each).__name__
)
def test_an_error_ends_the_others_at_once(place: Place, error: BaseException) -> None:
    third = threading.Event()
    broken_off: list[int] = []

    def fail_the_second(number: int, sent: ByteCounter) -> None:
        if number == 2:
            assert third.wait(PATIENCE)
            raise error
        while number > 2:
            third.set()
            try:
                sent(0)
            except Cancelled:
                broken_off.append(number)
                raise

    sent_over(place, fail_the_second)
    assert gives_up(place, type(error)) is error
    assert 3 in broken_off
    assert [".vol1." in name for name in place.files] == [True]
    recovers(place)


def test_control_c_breaks_off_what_is_on_its_way(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    second = threading.Event()

    def linger(number: int, sent: ByteCounter) -> None:
        while number > 1:
            second.set()
            sent(0)

    def interrupt(*_: object) -> None:
        assert second.wait(PATIENCE)
        raise KeyboardInterrupt

    sent_over(place, linger)
    with monkeypatch.context() as patched:
        patched.setattr(ManifestFiles, "add", interrupt)
        gives_up(place, KeyboardInterrupt)
    place.clock.advance(90_000)  # no volume is on record, so it is taken to be under way elsewhere for a day
    recovers(place)


def test_a_small_disk_for_temporary_files_bounds_what_is_on_its_way(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twofold.system.free_bytes", lambda directory: 7 * place.volume_size)
    store = sent_over(place, lambda number, sent: None)
    repository = place.repository()
    assert [repository.uploads_at_once(size) for size in (0, 1, 250_000, 300_000, 400_000, 1 << 40)] == [
        3,
        3,
        3,
        2,
        1,
        1,
    ]
    place.back_up(SetKind.FULL)
    assert store.most <= 2

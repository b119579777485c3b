"""So many bytes a second, whoever moves them; time passes only where somebody waits for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from twofold.concurrency import Crew
from twofold.errors import Unavailable
from twofold.model.backup import FileRole
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.drivers.rclone.daemon import child_environment
from twofold.storage.registry import open_store
from twofold.storage.settings import Rates, StoreSettings
from twofold.storage.store import CanCreateExclusive, CanReadRange, Key, Operation, Store, ability
from twofold.storage.testing.faulty import FaultyStore
from twofold.storage.url import StorageUrl
from twofold.storage.wrappers.limit import LimitedStore, TokenBucket
from twofold.storage.wrappers.retry import RetryPolicy, RetryStore

RATE = 100
KEY = Key(FileRole.VOLUME, "file")


class Time:
    """A clock that only sleepers move."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def bucket(self, rate: int = RATE) -> TokenBucket:
        return TokenBucket(rate, monotonic=self.monotonic, sleep=self.sleep)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "file"
    path.write_bytes(bytes(500))
    return str(path)


def test_bytes_take_their_time_from_the_first_one_on(time: Time) -> None:
    bucket = time.bucket()
    for _ in range(10):
        bucket.take(50)
    assert time.slept == [0.5] * 10
    assert time.now == 1005.0


def test_who_was_slow_anyway_does_not_wait(time: Time) -> None:
    bucket = time.bucket()
    for _ in range(5):
        time.now += 0.5
        bucket.take(50)
    assert time.slept == []


def test_of_a_long_silence_one_second_is_saved(time: Time) -> None:
    bucket = time.bucket()
    time.now += 3600
    bucket.take(100)
    assert time.slept == []
    bucket.take(100)
    assert time.slept == [1.0]


def test_what_is_taken_back_is_not_given_back_to_the_line(time: Time) -> None:
    bucket = time.bucket()
    bucket.take(100)
    bucket.take(-100)
    bucket.take(100)
    assert time.now == 1002.0


def test_whoever_comes_later_waits_for_those_before_too(time: Time) -> None:
    """Several threads sleep at the same time: here nobody's sleep moves the clock."""
    waits: list[float] = []
    bucket = TokenBucket(RATE, monotonic=time.monotonic, sleep=waits.append)
    with Crew() as crew:
        assert len(list(crew.ordered_map(bucket.take, [50] * 8, workers=4, name="transfer"))) == 8
    assert sorted(waits) == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]


def test_each_direction_has_its_own_limit(time: Time, file: str, tmp_path: Path) -> None:
    memory = MemoryStore()
    LimitedStore(memory, upload=time.bucket(), download=None).put(KEY, file)
    assert time.now == 1005.0
    for upload, download, until in ((time.bucket(), None, 1005.0), (None, time.bucket(50), 1015.0)):
        LimitedStore(memory, upload=upload, download=download).get(KEY, str(tmp_path / "copy"))
        assert time.now == until


def test_two_stores_share_one_limit(time: Time, file: str) -> None:
    bucket = time.bucket()
    for _ in range(2):
        LimitedStore(MemoryStore(), upload=bucket, download=None).put(KEY, file)
    assert time.now == 1010.0


def test_pieces_and_small_files_count_too(time: Time) -> None:
    store = LimitedStore(MemoryStore(), upload=time.bucket(), download=time.bucket(50))
    create, read = ability(store, CanCreateExclusive), ability(store, CanReadRange)
    assert create is not None
    assert read is not None
    create.create(KEY, bytes(100))
    assert time.now == 1001.0
    time.now += 10
    read.read_range(KEY, 0, 100)
    assert time.slept == [1.0, 1.0], "of the second limit, a second had been saved"


def test_what_is_sent_again_is_held_back_again_and_counted_once(time: Time, file: str) -> None:
    faulty = FaultyStore(MemoryStore()).lose_answer(Operation.PUT)
    limited = LimitedStore(faulty, upload=time.bucket(), download=None)
    policy = RetryPolicy(base_delay=0.0)
    store = RetryStore(limited, policy=policy, sleep=lambda _: None, chance=lambda: 0.0, noticed=lambda _: None)
    sent: list[int] = []
    store.put(KEY, file, sent=sent.append)
    assert sum(sent) == 500
    assert time.now == 1010.0


def test_what_the_caller_raises_still_ends_a_transfer(time: Time, file: str) -> None:
    def refuse(_: int) -> None:
        raise Unavailable("enough")

    memory = MemoryStore()
    with pytest.raises(Unavailable):
        LimitedStore(memory, upload=time.bucket(), download=None).put(KEY, file, sent=refuse)
    assert memory.files == {}


def test_the_limit_stands_around_each_driver_and_not_around_what_is_made_of_others(tmp_path: Path) -> None:
    around: list[str] = []

    def limited(store: Store) -> Store:
        around.append(type(store).__name__)
        return store

    open_store(StorageUrl.parse(f"file://{tmp_path}"), settings=StoreSettings(limited=limited))
    assert around == ["LocalStore"]


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        (Rates(), None),
        (Rates(upload=2048), "2048B:off"),
        (Rates(download=1024), "off:1024B"),
        (Rates(4096, 1024), "4096B:1024B"),
    ],
)
def test_rclone_is_told_whatever_its_own_settings_are(rates: Rates, said: str | None) -> None:
    environment = child_environment(StoreSettings({"RCLONE_BWLIMIT": "1G"}, rates=rates))
    assert environment["RCLONE_BWLIMIT"] == (said or "1G")

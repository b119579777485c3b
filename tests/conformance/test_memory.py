"""The memory driver, bare and inside every wrapper, against the conformance suite."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from twofold.errors import NoSpace
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.store import Store
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.faulty import FaultyStore
from twofold.storage.testing.ground import Files, key
from twofold.storage.testing.recording import RecordingStore
from twofold.storage.wrappers.check_size import CheckSizeStore
from twofold.storage.wrappers.retry import RetryPolicy, RetryStore


def retrying(store: Store) -> Store:
    return RetryStore(store, policy=RetryPolicy(), sleep=lambda _: None, chance=lambda: 0.5, noticed=lambda _: None)


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def place(self) -> Callable[[], Store]:
        files: dict[str, bytes] = {}
        return lambda: MemoryStore(files)

    def test_a_full_store_refuses_and_keeps_what_it_has(self, files: Files) -> None:
        store = MemoryStore(capacity=10)
        store.put(key("a"), files.source(b"12345678"))
        with pytest.raises(NoSpace):
            store.put(key("b"), files.source(b"123"))
        assert store.files == {"a": b"12345678"}
        assert store.free_bytes() == 2


class TestRetryStore(StoreConformance):
    @pytest.fixture
    def place(self) -> Callable[[], Store]:
        files: dict[str, bytes] = {}
        return lambda: retrying(MemoryStore(files))


class TestCheckSizeStore(StoreConformance):
    @pytest.fixture
    def place(self) -> Callable[[], Store]:
        files: dict[str, bytes] = {}
        return lambda: CheckSizeStore(MemoryStore(files))


class TestAllWrappersAtOnce(StoreConformance):
    @pytest.fixture
    def place(self) -> Callable[[], Store]:
        files: dict[str, bytes] = {}
        return lambda: retrying(CheckSizeStore(RecordingStore(FaultyStore(MemoryStore(files)))))

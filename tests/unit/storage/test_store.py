"""Keys, and abilities seen through wrappers."""

from __future__ import annotations

from pathlib import Path

import pytest

from twofold.model.backup import FileRole
from twofold.storage.drivers.local import LocalStore
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.store import (
    CanCopy,
    CanMove,
    CanRetain,
    CanStage,
    Digest,
    DigestName,
    Key,
    StoredFile,
    StoreWrapper,
    ability,
)
from twofold.storage.testing.faulty import FaultyStore
from twofold.storage.testing.recording import RecordingStore
from twofold.storage.wrappers.retry import RetryPolicy, RetryStore


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\0"])
def test_a_key_is_one_file_name(name: str) -> None:
    with pytest.raises(ValueError, match="Not a file name"):
        Key(FileRole.VOLUME, name)


def test_stored_files_can_be_compared_and_collected() -> None:
    digest = Digest(DigestName.MD5, b"x" * 16)
    assert len({StoredFile("a", 1, digests=(digest,)), StoredFile("a", 1, digests=(digest,))}) == 1


class TestAbilities:
    def test_a_store_has_what_it_offers(self, tmp_path: Path) -> None:
        store = LocalStore(str(tmp_path))
        assert ability(store, CanMove) is store
        assert ability(store, CanRetain) is None

    def test_a_wrapper_has_no_ability_that_the_inner_store_lacks(self) -> None:
        store = RecordingStore(PlainStore(MemoryStore()))
        assert isinstance(store, CanCopy)
        assert ability(store, CanCopy) is None

    def test_a_wrapper_stands_before_the_abilities_it_knows(self) -> None:
        store = RecordingStore(FaultyStore(MemoryStore()))
        assert ability(store, CanMove) is store

    def test_abilities_a_wrapper_does_not_know_show_through(self, tmp_path: Path) -> None:
        local = LocalStore(str(tmp_path))
        store = RetryStore(
            RecordingStore(local),
            policy=RetryPolicy(),
            sleep=lambda _: None,
            chance=lambda: 0.0,
            noticed=lambda _: None,
        )
        assert ability(store, CanStage) is local

    def test_using_an_ability_that_is_not_there_is_a_mistake_of_the_program(self, tmp_path: Path) -> None:
        store = RecordingStore(PlainStore(MemoryStore()))
        with pytest.raises(TypeError, match="ask ability"):
            store.copy(Key(FileRole.VOLUME, "a"), Key(FileRole.VOLUME, "b"))


class PlainStore(StoreWrapper):
    """Hides every ability."""

    def ability(self, wanted: object) -> None:
        return None

"""What every Store has to do, as tests: subclass `StoreConformance`, give it a `place`, and pytest runs them all.

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def place(self, tmp_path):
            return lambda: MyStore(...)

Tests of abilities that a store does not have are skipped visibly. Only the modules of this package with `conformance`
in their names, and `ground`, need pytest.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from twofold.concurrency import Crew, spawn
from twofold.errors import NotFound, StorageError
from twofold.storage.store import Store
from twofold.storage.testing.ability_conformance import AbilityConformance
from twofold.storage.testing.ground import (
    LARGE,
    ODD_NAMES,
    Files,
    GivenStores,
    Interruption,
    interrupt,
    key,
    listed,
    put,
)


class _Basics(GivenStores):
    unspeakable: frozenset[str] = frozenset()
    """Override: odd names that the server itself changes, whoever sends them. No file of a backup has one of these."""

    @pytest.mark.parametrize("size", [0, 1, LARGE])
    def test_what_was_put_can_be_got(self, store: Store, files: Files, size: int) -> None:
        content = os.urandom(size)
        stored = store.put(key("a"), files.source(content))
        assert (stored.name, stored.size) == ("a", size)
        assert store.stat(key("a")) == stored
        assert files.fetched(store, "a") == content

    @pytest.mark.parametrize("new", [b"short", b"much longer than before"])
    def test_put_replaces(self, store: Store, files: Files, new: bytes) -> None:
        put(store, files, "a", b"some bytes")
        put(store, files, "a", new)
        assert listed(store) == {"a": len(new)}
        assert files.fetched(store, "a") == new

    def test_put_leaves_its_source_alone(self, store: Store, files: Files) -> None:
        source = files.source(b"content")
        store.put(key("a"), source)
        assert Path(source).read_bytes() == b"content"

    def test_transfers_tell_their_bytes(self, store: Store, files: Files) -> None:
        sent: list[int] = []
        received: list[int] = []
        store.put(key("a"), files.source(bytes(LARGE)), sent=sent.append)
        store.get(key("a"), files.target(), received=received.append)
        assert (sum(sent), sum(received)) == (LARGE, LARGE)

    def test_a_second_store_sees_what_the_first_one_put(self, stores: Callable[[], Store], files: Files) -> None:
        first, second = stores(), stores()
        put(first, files, "a", b"content")
        assert listed(second) == {"a": 7}
        assert files.fetched(second, "a") == b"content"

    def test_deleted_is_gone(self, store: Store, files: Files) -> None:
        put(store, files, "a", b"content")
        put(store, files, "b", b"content")
        store.delete(key("a"))
        assert listed(store) == {"b": 7}
        with pytest.raises(NotFound):
            store.stat(key("a"))

    def test_deleting_what_is_missing_is_no_error(self, store: Store, files: Files) -> None:
        put(store, files, "b", b"content")
        store.delete(key("a"))
        store.delete(key("a"))

    def test_an_absent_place_lists_empty_and_is_not_made_by_asking(self, stores: Callable[[], Store]) -> None:
        store = stores()
        assert listed(store) == {}
        with pytest.raises(NotFound):
            store.stat(key("a"))
        store.delete(key("a"))
        assert listed(stores()) == {}

    def test_1100_files_are_listed_once_each(self, store: Store, files: Files) -> None:
        source = files.source(b"x")
        names = {f"duplicity-full.20261122T044630Z.vol{number}.difftar.gpg" for number in range(1100)}
        with Crew() as crew:
            stored = crew.ordered_map(
                lambda name: store.put(key(name), source), names, workers=store.traits.parallel, name="put"
            )
            assert {file.name for file in stored} == names
        assert listed(store) == dict.fromkeys(names, 1)

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_odd_names_survive_the_trip(self, store: Store, files: Files, name: str) -> None:
        if name in self.unspeakable:
            pytest.skip("the server changes such a name")
        put(store, files, name, b"content")
        assert listed(store) == {name: 7}
        assert store.stat(key(name)).name == name
        assert files.fetched(store, name) == b"content"
        store.delete(key(name))
        assert listed(store) == {}

    def test_close_may_be_called_twice_and_before_anything_else(self, stores: Callable[[], Store]) -> None:
        store = stores()
        store.close()
        store.close()

    def test_traits_are_sensible(self, store: Store) -> None:
        assert store.traits.parallel >= 1
        assert store.traits.largest_file is None or store.traits.largest_file > 0


class _Failures(GivenStores):
    def test_an_interrupted_put_leaves_nothing(self, store: Store, files: Files) -> None:
        put(store, files, "other", b"content")
        with pytest.raises(Interruption):
            store.put(key("a"), files.source(bytes(LARGE)), sent=interrupt)
        with pytest.raises(NotFound):
            store.stat(key("a"))
        assert listed(store) == {"other": 7}

    def test_an_interrupted_put_leaves_the_old_file_whole(self, store: Store, files: Files) -> None:
        put(store, files, "a", b"old")
        with pytest.raises(Interruption):
            store.put(key("a"), files.source(bytes(LARGE)), sent=interrupt)
        assert listed(store) == {"a": 3}
        assert files.fetched(store, "a") == b"old"

    def test_an_interrupted_put_can_be_repeated(self, store: Store, files: Files) -> None:
        source = files.source(bytes(LARGE))
        with pytest.raises(Interruption):
            store.put(key("a"), source, sent=interrupt)
        assert store.put(key("a"), source).size == LARGE

    def test_a_missing_source_does_not_look_like_a_missing_file(self, store: Store, files: Files) -> None:
        with pytest.raises(StorageError) as caught:
            store.put(key("a"), files.target())
        assert not isinstance(caught.value, NotFound)
        assert listed(store) == {}

    def test_get_replaces_the_target_and_leaves_no_part(self, store: Store, files: Files) -> None:
        put(store, files, "a", b"new")
        target = files.source(b"the old one")
        before = files.names()
        store.get(key("a"), target)
        assert Path(target).read_bytes() == b"new"
        assert stat.S_IMODE(os.stat(target).st_mode) == 0o600
        assert files.names() == before

    def test_get_of_what_is_missing_touches_nothing(self, store: Store, files: Files) -> None:
        put(store, files, "other", b"content")
        target = files.source(b"old")
        before = files.names()
        with pytest.raises(NotFound) as caught:
            store.get(key("a"), target)
        assert caught.value.name == "a"
        assert Path(target).read_bytes() == b"old"
        assert files.names() == before

    def test_an_interrupted_get_leaves_no_short_target(self, store: Store, files: Files) -> None:
        put(store, files, "a", bytes(LARGE))
        before = files.names()
        with pytest.raises(Interruption):
            store.get(key("a"), files.target(), received=interrupt)
        assert files.names() == before

    def test_an_interrupted_get_leaves_the_old_target(self, store: Store, files: Files) -> None:
        put(store, files, "a", bytes(LARGE))
        target = files.source(b"old")
        with pytest.raises(Interruption):
            store.get(key("a"), target, received=interrupt)
        assert Path(target).read_bytes() == b"old"

    def test_get_to_an_impossible_target_is_a_storage_error(self, store: Store, files: Files) -> None:
        put(store, files, "a", b"content")
        with pytest.raises(StorageError):
            store.get(key("a"), files.target() + "/missing/target")


class _Threads(GivenStores):
    def test_many_threads_may_put_and_get_at_once(self, store: Store, files: Files) -> None:
        sources = {f"name {number}": files.source(bytes([number]) * 50_000) for number in range(24)}
        targets = {name: files.target() for name in sources}

        def transfer(number: int) -> None:
            for name in list(sources)[number::6]:
                store.put(key(name), sources[name])
                store.get(key(name), targets[name])

        tasks = [spawn(partial(transfer, number), name="transfer") for number in range(6)]
        for task in tasks:
            task.join()
        assert listed(store) == dict.fromkeys(sources, 50_000)
        for name, source in sources.items():
            assert Path(targets[name]).read_bytes() == Path(source).read_bytes()

    def test_a_reader_never_sees_half_a_replacement(self, store: Store, files: Files) -> None:
        contents = [b"a" * 300_000, b"b" * 200_000]
        sources = [files.source(content) for content in contents]
        store.put(key("a"), sources[0])

        def replace() -> None:
            for number in range(20):
                store.put(key("a"), sources[number % 2])

        task = spawn(replace, name="replace")
        while True:
            running = task.running
            assert files.fetched(store, "a") in contents
            if not running:
                break
        task.join()


class StoreConformance(_Basics, _Failures, _Threads, AbilityConformance):
    """Subclass this as a Test… class and override the fixture `place`."""

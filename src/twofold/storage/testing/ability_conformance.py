"""The conformance tests of the abilities that only some stores have; the others skip them visibly."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from twofold.concurrency import spawn
from twofold.errors import AlreadyExists, NotFound, StorageError
from twofold.storage.store import (
    CanCopy,
    CanCreateExclusive,
    CanDeleteMany,
    CanMove,
    CanOpenInPlace,
    CanReadRange,
    CanReportSpace,
    CanStage,
    Store,
)
from twofold.storage.testing.ground import LARGE, Files, GivenStores, key, listed, need, put


class AbilityConformance(GivenStores):
    """Part of StoreConformance."""

    @pytest.mark.parametrize(
        ("start", "size", "expected"),
        [(0, 3, b"012"), (4, 2, b"45"), (8, 5, b"89"), (10, 4, b""), (50, 1, b""), (3, 0, b"")],
    )
    def test_a_range_is_read(self, store: Store, files: Files, start: int, size: int, expected: bytes) -> None:
        reader = need(store, CanReadRange)
        put(store, files, "a", b"0123456789")
        assert reader.read_range(key("a"), start, size) == expected

    def test_a_range_of_a_missing_file_is_not_found(self, store: Store) -> None:
        reader = need(store, CanReadRange)
        with pytest.raises(NotFound):
            reader.read_range(key("a"), 0, 1)

    def test_a_copy_is_equal_and_replaces(self, store: Store, files: Files) -> None:
        copier = need(store, CanCopy)
        put(store, files, "a", bytes(LARGE))
        put(store, files, "b", b"old")
        assert copier.copy(key("a"), key("b")).size == LARGE
        assert files.fetched(store, "b") == files.fetched(store, "a")
        assert listed(store) == {"a": LARGE, "b": LARGE}

    def test_a_copy_of_a_missing_file_is_not_found(self, store: Store, files: Files) -> None:
        copier = need(store, CanCopy)
        put(store, files, "b", b"old")
        with pytest.raises(NotFound):
            copier.copy(key("a"), key("b"))
        assert listed(store) == {"b": 3}

    def test_move_takes_the_source_away(self, store: Store, files: Files) -> None:
        mover = need(store, CanMove)
        put(store, files, "a", b"old")
        source = files.source(b"content")
        stored = mover.move(source, key("a"))
        assert not os.path.exists(source)
        assert store.stat(key("a")) == stored
        assert files.fetched(store, "a") == b"content"

    def test_move_of_a_missing_source_changes_nothing(self, store: Store, files: Files) -> None:
        mover = need(store, CanMove)
        put(store, files, "a", b"old")
        with pytest.raises(StorageError) as caught:
            mover.move(files.target(), key("a"))
        assert not isinstance(caught.value, NotFound)
        assert files.fetched(store, "a") == b"old"

    @pytest.mark.parametrize("content", [b"", b"x", b"a whole line"])
    def test_only_the_first_creation_succeeds(self, store: Store, files: Files, content: bytes) -> None:
        creator = need(store, CanCreateExclusive)
        creator.create(key("lock"), content)
        with pytest.raises(AlreadyExists):
            creator.create(key("lock"), content)
        assert files.fetched(store, "lock") == content
        store.delete(key("lock"))
        creator.create(key("lock"), b"again")
        assert listed(store) == {"lock": 5}

    def test_of_many_creators_one_wins(self, store: Store, files: Files) -> None:
        creator = need(store, CanCreateExclusive)
        contents = [b"creator %d" % number for number in range(8)]
        won: list[bytes] = []

        def create(content: bytes) -> None:
            try:
                creator.create(key("lock"), content)
            except AlreadyExists:
                return
            won.append(content)

        tasks = [spawn(partial(create, content), name="create") for content in contents]
        for task in tasks:
            task.join()
        assert [files.fetched(store, "lock")] == won

    def test_delete_many_yields_what_is_gone(self, store: Store, files: Files) -> None:
        deleter = need(store, CanDeleteMany)
        for name in "abc":
            put(store, files, name, b"x")
        gone = set(deleter.delete_many([key("a"), key("missing"), key("c")]))
        assert gone >= {key("a"), key("c")}
        assert listed(store) == {"b": 1}

    def test_free_space_is_a_number_or_unknown(self, store: Store) -> None:
        free = need(store, CanReportSpace).free_bytes()
        assert free is None or free >= 0

    def test_a_staging_directory_is_private_and_stays_the_same(self, store: Store) -> None:
        directory = need(store, CanStage).staging_directory()
        if directory is None:
            pytest.skip("this store's file system has no private directories")
        assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
        assert need(store, CanStage).staging_directory() == directory
        assert listed(store) == {}

    def test_files_built_in_the_staging_directory_are_moved_and_leftovers_removed(
        self, stores: Callable[[], Store]
    ) -> None:
        store = stores()
        directory = need(store, CanStage).staging_directory()
        if directory is None:
            pytest.skip("this store's file system has no private directories")
        for name in ("finished", "unfinished"):
            Path(directory, name).write_bytes(b"content")
        need(store, CanMove).move(os.path.join(directory, "finished"), key("a"))
        store.close()
        assert not os.path.exists(directory)
        assert listed(stores()) == {"a": 7}

    def test_a_file_can_be_read_where_it_lies(self, store: Store, files: Files) -> None:
        opener = need(store, CanOpenInPlace)
        put(store, files, "a", b"content")
        assert Path(opener.open_local(key("a"))).read_bytes() == b"content"
        with pytest.raises(NotFound):
            opener.open_local(key("b"))

"""Retries, size checks, and the two stores for tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from twofold.errors import AlreadyExists, Forbidden, Incomplete, NotFound, Unavailable
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.store import Operation, Store
from twofold.storage.testing.faulty import FaultyStore, Killed
from twofold.storage.testing.ground import Files, Interruption, key
from twofold.storage.testing.recording import Call, RecordingStore
from twofold.storage.wrappers.check_size import CheckSizeStore
from twofold.storage.wrappers.retry import FailedAttempt, RetryPolicy, RetryStore, pause_after


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local files")


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore({"old": b"content"})


@pytest.fixture
def faulty(memory: MemoryStore) -> FaultyStore:
    return FaultyStore(memory)


class Retries:
    """A RetryStore with what it did."""

    def __init__(self, store: Store, policy: RetryPolicy | None = None) -> None:
        self.pauses: list[float] = []
        self.failures: list[FailedAttempt] = []
        self.store = RetryStore(
            store,
            policy=policy or RetryPolicy(),
            sleep=self.pauses.append,
            chance=lambda: 0.5,
            noticed=self.failures.append,
        )


class TestPauses:
    def test_bounds_double_and_chance_picks_below_them(self) -> None:
        pauses = [
            pause_after(number, policy=RetryPolicy(attempts=99), chance=0.5, retry_after=None, waited=0)
            for number in (1, 2, 3, 4, 7, 8, 98)
        ]
        assert pauses == [0.5, 1.0, 2.0, 4.0, 30.0, 30.0, 30.0]

    def test_a_server_is_obeyed_but_not_for_ever(self) -> None:
        policy = RetryPolicy(patience=100)
        assert pause_after(1, policy=policy, chance=0.5, retry_after=70, waited=0) == 70
        assert pause_after(1, policy=policy, chance=0.5, retry_after=0.1, waited=0) == 0.5
        assert pause_after(2, policy=policy, chance=0.5, retry_after=70, waited=70) is None

    def test_the_last_attempt_has_no_pause(self) -> None:
        assert pause_after(5, policy=RetryPolicy(attempts=5), chance=0.5, retry_after=None, waited=0) is None

    def test_endless_attempts_do_not_overflow(self) -> None:
        policy = RetryPolicy(attempts=10**6, patience=1e9)
        assert pause_after(10**5, policy=policy, chance=0.5, retry_after=None, waited=0) == 30.0


class TestRetryStore:
    @pytest.mark.parametrize(
        "operation", [Operation.PUT, Operation.GET, Operation.LIST, Operation.STAT, Operation.DELETE]
    )
    def test_what_was_unavailable_is_tried_again(self, faulty: FaultyStore, files: Files, operation: Operation) -> None:
        retries = Retries(faulty.fail(operation, times=2))
        calls = {
            Operation.PUT: lambda: retries.store.put(key("new"), files.source(b"x")),
            Operation.GET: lambda: retries.store.get(key("old"), files.target()),
            Operation.LIST: lambda: list(retries.store.list()),
            Operation.STAT: lambda: retries.store.stat(key("old")),
            Operation.DELETE: lambda: retries.store.delete(key("old")),
        }
        calls[operation]()
        assert retries.pauses == [0.5, 1.0]
        assert [(failure.operation, failure.number) for failure in retries.failures] == [(operation, 1), (operation, 2)]

    def test_every_ability_is_retried(self, faulty: FaultyStore, memory: MemoryStore, files: Files) -> None:
        for operation in (Operation.MOVE, Operation.COPY, Operation.CREATE, Operation.READ_RANGE, Operation.DELETE):
            faulty.fail(operation)
        retries = Retries(faulty)
        retries.store.move(files.source(b"moved"), key("moved"))
        retries.store.copy(key("old"), key("copied"))
        retries.store.create(key("created"), b"created")
        assert retries.store.read_range(key("old"), 1, 3) == b"ont"
        assert list(retries.store.delete_many([key("old")])) == [key("old")]
        assert memory.files == {"moved": b"moved", "copied": b"content", "created": b"created"}
        assert len(retries.pauses) == 5

    @pytest.mark.parametrize("operation", [Operation.PUT, Operation.GET])
    def test_a_file_that_arrived_incomplete_is_moved_again(
        self, faulty: FaultyStore, memory: MemoryStore, files: Files, operation: Operation
    ) -> None:
        retries = Retries(faulty.fail(operation, times=2, error=Incomplete("The sizes differ")))
        if operation is Operation.PUT:
            retries.store.put(key("new"), files.source(b"x"))
        else:
            assert files.fetched(retries.store, "old") == b"content"
        assert len(retries.pauses) == 2
        retries = Retries(faulty.fail(Operation.PUT, times=9, error=Incomplete("The sizes differ")))
        with pytest.raises(Incomplete):
            retries.store.put(key("new"), files.source(b"x"))
        assert len(retries.pauses) == RetryPolicy().attempts - 1

    def test_it_gives_up_after_the_last_attempt(self, faulty: FaultyStore) -> None:
        retries = Retries(faulty.fail(Operation.STAT, times=9), RetryPolicy(attempts=3))
        with pytest.raises(Unavailable):
            retries.store.stat(key("old"))
        assert retries.pauses == [0.5, 1.0]
        assert len(retries.failures) == 2

    def test_one_attempt_means_no_second_one(self, faulty: FaultyStore) -> None:
        retries = Retries(faulty.fail(Operation.STAT), RetryPolicy(attempts=1))
        with pytest.raises(Unavailable):
            retries.store.stat(key("old"))
        assert retries.pauses == []

    def test_the_sum_of_pauses_is_bounded(self, faulty: FaultyStore) -> None:
        error = Unavailable("Slow down", retry_after=40.0)
        retries = Retries(faulty.fail(Operation.STAT, times=9, error=error), RetryPolicy(attempts=9, patience=100))
        with pytest.raises(Unavailable):
            retries.store.stat(key("old"))
        assert retries.pauses == [40.0, 40.0]

    @pytest.mark.parametrize("error", [NotFound("x"), Forbidden("x"), Incomplete("x")])
    def test_nothing_else_is_tried_again(self, faulty: FaultyStore, error: Forbidden) -> None:
        retries = Retries(faulty.fail(Operation.STAT, error=error))
        with pytest.raises(type(error)):
            retries.store.stat(key("old"))
        assert retries.pauses == []

    def test_bytes_of_a_failed_attempt_are_taken_back(self, memory: MemoryStore, files: Files) -> None:
        retries = Retries(FaultyStore(memory).lose_answer(Operation.PUT))
        counts: list[int] = []
        retries.store.put(key("a"), files.source(b"12345"), sent=counts.append)
        assert counts == [5, -5, 5]

    def test_a_creation_whose_answer_was_lost_is_recognised_as_ours(
        self, faulty: FaultyStore, memory: MemoryStore
    ) -> None:
        Retries(faulty.lose_answer(Operation.CREATE)).store.create(key("lock"), b"mine")
        assert memory.files["lock"] == b"mine"

    def test_a_creation_that_another_won_meanwhile_is_lost(self, faulty: FaultyStore, memory: MemoryStore) -> None:
        memory.files["lock"] = b"mine or theirs"
        with pytest.raises(AlreadyExists):
            Retries(faulty.fail(Operation.CREATE)).store.create(key("lock"), b"mine")

    def test_a_first_creation_that_finds_an_equal_file_is_lost(self, faulty: FaultyStore, memory: MemoryStore) -> None:
        memory.files["lock"] = b"mine"
        with pytest.raises(AlreadyExists):
            Retries(faulty).store.create(key("lock"), b"mine")

    def test_a_bulk_deletion_goes_on_where_it_broke_off(self, faulty: FaultyStore, memory: MemoryStore) -> None:
        memory.files.update({"a": b"", "b": b"", "c": b""})
        recording = RecordingStore(faulty.fail(Operation.DELETE, skip=1))
        keys = [key(name) for name in "abc"]
        assert list(Retries(recording).store.delete_many(keys)) == keys
        assert recording.names(Operation.DELETE) == ["a", "b", "c"]


class TestCheckSizeStore:
    def test_a_short_file_is_sent_again(self, faulty: FaultyStore, memory: MemoryStore, files: Files) -> None:
        counts: list[int] = []
        stored = CheckSizeStore(faulty.cut_short(3, times=2)).put(key("a"), files.source(b"12345"), sent=counts.append)
        assert stored.size == 5
        assert memory.files["a"] == b"12345"
        assert counts == [3, -3, 3, -3, 5]

    def test_a_file_that_stays_short_is_removed(self, faulty: FaultyStore, memory: MemoryStore, files: Files) -> None:
        with pytest.raises(Incomplete, match="left 3 of 5 bytes"):
            CheckSizeStore(faulty.cut_short(3, times=3)).put(key("a"), files.source(b"12345"))
        assert "a" not in memory.files

    def test_what_a_driver_has_undone_itself_does_not_cost_the_old_file(
        self, faulty: FaultyStore, memory: MemoryStore, files: Files
    ) -> None:
        faulty.fail(Operation.PUT, times=3, error=Incomplete("Undone"))
        with pytest.raises(Incomplete, match="Undone"):
            CheckSizeStore(faulty).put(key("old"), files.source(b"12345"))
        assert memory.files == {"old": b"content"}


class TestFaultyStore:
    def test_faults_come_when_they_are_due(self, faulty: FaultyStore) -> None:
        faulty.fail(Operation.STAT, skip=1, times=2, error=Forbidden("No"))
        faulty.stat(key("old"))
        for _ in range(2):
            with pytest.raises(Forbidden):
                faulty.stat(key("old"))
        faulty.stat(key("old"))

    def test_death_before_and_after(self, faulty: FaultyStore, memory: MemoryStore, files: Files) -> None:
        faulty.kill_before(Operation.PUT).kill_after(Operation.PUT)
        with pytest.raises(Killed):
            faulty.put(key("before"), files.source(b"x"))
        with pytest.raises(Killed):
            faulty.put(key("after"), files.source(b"x"))
        assert set(memory.files) == {"old", "after"}

    def test_a_cut_upload_claims_success_and_leaves_no_local_file(
        self, faulty: FaultyStore, memory: MemoryStore, files: Files
    ) -> None:
        source = files.source(b"12345")
        before = files.names()
        faulty.cut_short(2).put(key("a"), source)
        assert memory.files["a"] == b"12"
        assert files.names() == before


class TestRecordingStore:
    def test_calls_and_bytes_are_noted(self, memory: MemoryStore, files: Files) -> None:
        store = RecordingStore(memory)
        store.put(key("a"), files.source(b"12345"))
        store.get(key("a"), files.target())
        store.read_range(key("a"), 0, 2)
        store.stat(key("a"))
        list(store.list())
        store.delete(key("a"))
        assert store.calls == [
            Call(Operation.PUT, "a", 5),
            Call(Operation.GET, "a", 5),
            Call(Operation.READ_RANGE, "a", 2),
            Call(Operation.STAT, "a"),
            Call(Operation.LIST, ""),
            Call(Operation.DELETE, "a"),
        ]
        assert store.moved(Operation.GET, Operation.READ_RANGE) == 7
        assert store.count(Operation.LIST) == 1

    def test_a_call_that_raises_is_not_noted(self, memory: MemoryStore, files: Files) -> None:
        def interrupt(_count: int) -> None:
            raise Interruption

        store = RecordingStore(memory)
        with pytest.raises(Interruption):
            store.put(key("a"), files.source(b"x"), sent=interrupt)
        with pytest.raises(NotFound):
            store.stat(key("missing"))
        assert store.calls == []

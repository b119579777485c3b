"""Trying out a storage service: what is found, that nothing stays, and that troubles are told apart."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from twofold.collection.sets import find_files
from twofold.errors import (
    Forbidden,
    Incomplete,
    MissingLibrary,
    NoPlace,
    NoSpace,
    NotFound,
    Retained,
    StorageError,
    Unavailable,
    Unsupported,
    Untrusted,
)
from twofold.format.names import NameCodec
from twofold.model.backup import FileRole
from twofold.operations import validate_storage as validate_storage_module
from twofold.operations.validate_storage import validate_storage
from twofold.operations.validate_storage_findings import (
    MIB,
    PREFIX,
    Standing,
    Step,
    StorageReport,
    Trouble,
    is_left_over,
    size_for_speed,
    trouble_of,
)
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.store import ByteCounter, CanCreateExclusive, Key, Operation, Store, StoredFile, ignore_bytes
from twofold.storage.store import StoreWrapper as Wrapper
from twofold.storage.testing.faulty import FaultyStore
from twofold.storage.testing.recording import RecordingStore

NOON = 1_767_268_800
OF_A_BACKUP = {"duplicity-full.20260101T120000Z.manifest.gpg": b"precious"}


def validate(store: Store, folder: Path, *, writes: bool = True) -> StorageReport:
    """Each look at the clock is a second later, so files of 2 MiB are what is measured with."""
    seconds = itertools.count(0.0, 1.0)
    report = validate_storage(store, temp_dir=str(folder), now=NOON, elapsed=lambda: next(seconds), writes=writes)
    assert list(folder.iterdir()) == []
    return report


def standings(report: StorageReport) -> dict[Step, Standing]:
    return {each.step: each.standing for each in report.findings}


def trouble(report: StorageReport) -> Trouble:
    assert report.fault is not None
    return trouble_of(report.fault)


class Bare(Wrapper):
    """A store without any ability."""

    def ability(self, wanted: object) -> None:
        return None


class AppendOnly(Wrapper):
    """Takes new files and gives nothing away."""

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        if any(file.name == key.name for file in self.inner.list()):
            raise Forbidden("May not replace", name=key.name, operation="put")
        return self.inner.put(key, source, sent=sent)

    def delete(self, key: Key) -> None:
        raise Forbidden("May not delete", name=key.name, operation="delete")


def test_a_good_store_can_do_everything_and_nothing_stays(tmp_path: Path) -> None:
    files = dict(OF_A_BACKUP)
    report = validate(MemoryStore(files), tmp_path)
    assert standings(report) == dict.fromkeys(Step, Standing.WORKS)
    assert (report.fault, report.left, report.files, report.keeps_all) == (None, (), 1, False)
    assert files == OF_A_BACKUP
    assert [(speed.count, speed.size) for speed in report.speeds] == [(1, 2 * MIB), (4, MIB)]
    assert all(finding.seconds for finding in report.findings)


def test_what_a_service_does_not_offer_is_no_fault(tmp_path: Path) -> None:
    report = validate(Bare(MemoryStore()), tmp_path)
    absent = {step for step, standing in standings(report).items() if standing is Standing.ABSENT}
    assert absent == {Step.RANGE, Step.SPACE, Step.CREATE, Step.COPY}
    assert report.fault is None


def test_an_ability_that_the_service_turns_out_to_lack_is_not_offered(tmp_path: Path) -> None:
    store = FaultyStore(MemoryStore()).fail(Operation.COPY, error=Unsupported("This remote makes no copies"))
    report = validate(store, tmp_path)
    assert standings(report)[Step.COPY] is Standing.ABSENT
    assert report.fault is None


def test_a_store_that_forbids_to_delete_keeps_one_small_file_and_is_fine_for_backups(tmp_path: Path) -> None:
    files: dict[str, bytes] = {}
    report = validate(AppendOnly(MemoryStore(files)), tmp_path)
    assert (report.keeps_all, report.is_append_only, report.fault) == (True, True, None)
    assert report.left == tuple(files)
    assert [len(content) for content in files.values()] == [1000]
    assert standings(report)[Step.REPLACE] is Standing.DENIED
    assert standings(report)[Step.SPEED] is Standing.UNTRIED


def test_a_store_that_keeps_files_until_a_date_is_one_of_those(tmp_path: Path) -> None:
    store = FaultyStore(MemoryStore()).fail(Operation.DELETE, times=99, error=Retained("Kept until tomorrow"))
    report = validate(store, tmp_path)
    assert (report.keeps_all, report.is_append_only) == (True, False)


@pytest.mark.parametrize(
    ("operation", "skip", "error", "expected"),
    [
        (Operation.LIST, 0, Forbidden("530 Login incorrect"), Trouble.CREDENTIALS),
        (Operation.LIST, 0, Untrusted("The certificate has expired"), Trouble.TRUST),
        (Operation.LIST, 0, Unavailable("Connection refused"), Trouble.NETWORK),
        (Operation.LIST, 0, NoPlace("No such bucket"), Trouble.PLACE),
        (Operation.LIST, 0, MissingLibrary("rsync is not installed"), Trouble.PROGRAM),
        (Operation.LIST, 1, Unavailable("Connection reset"), Trouble.NETWORK),
        (Operation.PUT, 0, Forbidden("May not write"), Trouble.PERMISSION),
        (Operation.PUT, 0, NoSpace("Full"), Trouble.SPACE),
        (Operation.PUT, 0, NotFound("No directory"), Trouble.PLACE),
        (Operation.PUT, 3, NoSpace("Nearly full"), Trouble.SPACE),
        (Operation.PUT, 5, Unavailable("421 Too many connections"), Trouble.NETWORK),
        (Operation.STAT, 0, NotFound("It was there"), Trouble.OTHER),
        (Operation.GET, 0, Forbidden("May not read"), Trouble.PERMISSION),
        (Operation.DELETE, 0, Unavailable("Connection reset"), Trouble.NETWORK),
    ],
)
def test_troubles_are_told_apart(
    tmp_path: Path, operation: Operation, skip: int, error: StorageError, expected: Trouble
) -> None:
    files = dict(OF_A_BACKUP)
    report = validate(FaultyStore(MemoryStore(files)).fail(operation, skip=skip, error=error), tmp_path)
    assert trouble(report) is expected
    assert report.fault is not None
    assert report.fault.error is error
    assert (files, report.left) == (OF_A_BACKUP, ())


def test_what_comes_back_changed_is_damage(tmp_path: Path) -> None:
    class Lossy(Wrapper):
        def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
            self.inner.get(key, target, received=received)
            content = bytearray(Path(target).read_bytes())
            content[500] ^= 1
            Path(target).write_bytes(content)

    files: dict[str, bytes] = {}
    assert trouble(validate(Lossy(MemoryStore(files)), tmp_path)) is Trouble.DAMAGE
    assert files == {}


def test_a_put_cut_short_is_damage(tmp_path: Path) -> None:
    report = validate(FaultyStore(MemoryStore()).cut_short(10), tmp_path)
    assert trouble(report) is Trouble.DAMAGE
    assert report.fault is not None
    assert isinstance(report.fault.error, Incomplete)


def test_a_listing_without_what_was_stored_is_a_fault(tmp_path: Path) -> None:
    class Forgetful(Wrapper):
        def list(self) -> Iterator[StoredFile]:
            return iter(())

    report = validate(Forgetful(MemoryStore()), tmp_path)
    assert report.fault is not None
    assert report.fault.step is Step.LIST
    assert "has been stored and is not listed" in str(report.fault.error)


def test_a_service_that_lets_two_writers_win_is_found_out(tmp_path: Path) -> None:
    class Generous(MemoryStore):
        def create(self, key: Key, content: bytes) -> None:
            self.files[key.name] = content

    report = validate(Generous(), tmp_path)
    finding = next(each for each in report.findings if each.step is Step.CREATE)
    assert finding.standing is Standing.FAILED
    assert "created twice" in str(finding.error)
    assert report.fault is None


def test_a_deleted_file_that_stays_is_a_fault(tmp_path: Path) -> None:
    class Undying(Wrapper):
        def delete(self, key: Key) -> None:
            """Says yes and does nothing."""

    report = validate(Undying(MemoryStore()), tmp_path)
    assert report.fault is not None
    assert report.fault.step is Step.DELETE


@pytest.mark.parametrize("call", range(1, 9))
def test_an_interruption_removes_what_was_put(tmp_path: Path, call: int) -> None:
    files = dict(OF_A_BACKUP)
    store = FaultyStore(MemoryStore(files))
    seen = itertools.count(1)

    class Interrupted(Wrapper):
        def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
            stored = self.inner.put(key, source, sent=sent)
            if next(seen) == call:
                raise KeyboardInterrupt
            return stored

    with pytest.raises(KeyboardInterrupt):
        validate(Interrupted(store), tmp_path)
    assert files == OF_A_BACKUP
    assert list(tmp_path.iterdir()) == []


def test_a_service_that_is_silent_keeps_nobody_who_wants_to_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validate_storage_module, "_LOOKS", 2)
    answer = threading.Event()

    class Silent(Wrapper):
        def stat(self, key: Key) -> StoredFile:
            raise KeyboardInterrupt

        def delete(self, key: Key) -> None:
            answer.wait()

    with pytest.raises(KeyboardInterrupt):
        validate(Silent(MemoryStore()), tmp_path)
    answer.set()


def test_files_that_cannot_be_removed_after_an_error_are_named(tmp_path: Path) -> None:
    files: dict[str, bytes] = {}
    gone = Unavailable("Connection reset")
    store = FaultyStore(MemoryStore(files)).fail(Operation.GET, error=gone).fail(Operation.DELETE, times=99, error=gone)
    assert validate(store, tmp_path).left == tuple(files) != ()


def test_what_a_killed_run_has_left_is_removed_by_a_later_one(tmp_path: Path) -> None:
    files = {
        f"{PREFIX}20260101T105959Z-0a0b0c0d-file": b"old",
        f"{PREFIX}20260101T115959Z-0a0b0c0d-file": b"of a run that may be alive",
        f"{PREFIX}notes.txt": b"not ours",
        "duplicity-20250101T105959Z": b"not ours",
    }
    kept = dict(list(files.items())[1:])
    validate(MemoryStore(files), tmp_path)
    assert files == kept


def test_without_writing_only_questions_are_asked(tmp_path: Path) -> None:
    store = RecordingStore(MemoryStore({f"{PREFIX}20250101T105959Z-0a0b0c0d-file": b"old"}))
    report = validate(store, tmp_path, writes=False)
    assert {call.operation for call in store.calls} <= {Operation.LIST, Operation.FREE_BYTES}
    assert standings(report)[Step.PUT] is Standing.UNTRIED
    assert report.fault is None


def test_no_program_takes_the_files_for_a_backup(tmp_path: Path) -> None:
    store = RecordingStore(MemoryStore())
    validate(store, tmp_path)
    names = set(store.names(Operation.PUT)) | set(store.names(Operation.CREATE)) | set(store.names(Operation.COPY))
    assert len(names) >= 8
    assert all(name.startswith(PREFIX) for name in names)
    for codec in (NameCodec(), NameCodec("p-"), NameCodec(PREFIX)):
        assert find_files([(name, 1) for name in names], codec.parse) == ()


def test_files_of_a_validation_are_never_sent_to_cold_storage(tmp_path: Path) -> None:
    roles = set()

    class Noting(Wrapper):
        def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
            roles.add(key.role)
            return self.inner.put(key, source, sent=sent)

    validate(Noting(MemoryStore()), tmp_path)
    assert roles == {FileRole.MANIFEST}


def test_speed_is_measured_with_as_much_as_takes_two_seconds() -> None:
    assert [size_for_speed(seconds) for seconds in (0.0, 0.001, 0.2, 0.9, 5.0, 500.0)] == [
        32 * MIB,
        32 * MIB,
        10 * MIB,
        2 * MIB,
        MIB,
        MIB,
    ]


def test_a_left_over_is_told_by_its_time() -> None:
    name = PREFIX + "20260101T110000Z-00000000-file"
    assert is_left_over(name, now=NOON)
    assert not is_left_over(name, now=NOON - 1)
    assert not is_left_over("x" + name, now=NOON)


def test_the_ability_to_create_is_asked_for_and_not_assumed(tmp_path: Path) -> None:
    class Without(Wrapper):
        def ability(self, wanted: object) -> object:
            return None if wanted is CanCreateExclusive else super().ability(wanted)  # type: ignore[type-var]

    assert standings(validate(Without(MemoryStore()), tmp_path))[Step.CREATE] is Standing.ABSENT

"""Whatever fails in the middle of a backup: the right error, no hang, nothing left running or lying about."""

from __future__ import annotations

import errno
import faulthandler
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.backups import Place
from tests.support.tree import Fidelity, assert_same_tree
from twofold.envelope.gzip import GzipEnvelope
from twofold.envelope.protocol import Buffer, Piece, Sealed, Sealer, Slices
from twofold.errors import EnvelopeError, Forbidden, NoSpace, StorageError, UserError
from twofold.model.backup import SetKind
from twofold.operations.backup_plan import BackupSummary
from twofold.pipeline.known import StateWriter
from twofold.pipeline.set_files import ChangeList, ManifestFiles, SignatureFiles
from twofold.repository import archive_dir
from twofold.storage.drivers.local import LocalStore
from twofold.storage.store import Key, Operation, StoredFile, StoreWrapper
from twofold.storage.testing.faulty import FaultyStore, Killed

FULL_DISK = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(autouse=True)
def nothing_hangs() -> Iterator[None]:
    faulthandler.dump_traceback_later(60, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    for number in range(12):
        with open(os.path.join(place.source, b"%d" % number), "wb") as file:
            file.write(os.urandom(150_000))
    return place


def fails(place: Place, error: type[BaseException], kind: SetKind = SetKind.FULL) -> BaseException:
    """Backs up, expecting that error; afterwards no thread, no descriptor, no stray file is left."""
    threads, descriptors = set(threading.enumerate()), len(os.listdir("/proc/self/fd"))
    with pytest.raises(error) as raised:
        place.back_up(kind)
    assert set(threading.enumerate()) <= threads
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert place.leftovers() == []
    return raised.value


def recovers(place: Place, kind: SetKind = SetKind.FULL) -> BackupSummary:
    """The next run clears away and succeeds."""
    place.envelope = None
    summary = place.back_up(kind)
    assert place.partial_files() == []
    assert place.leftovers() == []
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)
    numbers = {volume.number for set_id in place.set_ids() for volume in place.manifest(set_id).volumes}
    assert numbers
    assert sum(len(place.manifest(set_id).volumes) for set_id in place.set_ids()) == sum(
        ".vol" in name for name in place.files
    )
    return summary


@pytest.mark.parametrize("stored", [0, 1, 3])
@pytest.mark.parametrize("error", [NoSpace("full"), Forbidden("no")], ids=["no space", "forbidden"])
def test_a_volume_that_cannot_be_stored(place: Place, stored: int, error: StorageError) -> None:
    memory = place.store
    place.store = FaultyStore(memory).fail(Operation.MOVE, skip=stored, error=error)
    assert fails(place, type(error)) is error
    assert len(place.partial_files()) == (2 if stored else 1)
    assert len(place.files) == stored
    recovers(place)


def test_signatures_and_manifest_that_cannot_be_stored(place: Place) -> None:
    count = len(recovered_volumes(place))
    for skip in (count, count + 1):
        place.files.clear()
        for name in os.listdir(place.archive):
            os.unlink(os.path.join(place.archive, name))
        memory = place.store
        place.store = FaultyStore(memory).fail(Operation.MOVE, skip=skip, error=NoSpace("full"))
        fails(place, NoSpace)
        assert place.set_ids() == []
        place.store = memory
        recovers(place)


def recovered_volumes(place: Place) -> list[bytes]:
    return place.volumes(place.back_up(SetKind.FULL).set_id)


@pytest.mark.parametrize("stored", [0, 2])
def test_an_interruption_by_the_user_in_the_main_thread(place: Place, stored: int) -> None:
    memory = place.store
    place.store = InterruptedStore(memory, stored)
    fails(place, KeyboardInterrupt)
    place.store = memory
    recovers(place)


class InterruptedStore(StoreWrapper):
    """Control-C while a volume is being stored."""

    def __init__(self, inner: object, after: int) -> None:
        super().__init__(inner)  # type: ignore[arg-type]
        self._left = after

    def move(self, source: str, key: Key) -> StoredFile:
        if not self._left:
            raise KeyboardInterrupt
        self._left -= 1
        return self.inner.move(source, key)  # type: ignore[attr-defined, no-any-return]


def test_a_process_that_dies_between_any_two_stored_files(place: Place) -> None:
    count = len(recovered_volumes(place)) + 2
    place.back_up(SetKind.INCREMENTAL)
    for stored in range(count):
        place.files.clear()
        memory = place.store
        place.store = FaultyStore(memory).kill_before(Operation.MOVE, skip=stored)
        fails(place, Killed)
        place.store = memory
        recovers(place)


def test_an_increment_that_fails_does_not_hurt_its_chain(place: Place) -> None:
    place.back_up(SetKind.FULL)
    for number in range(6):
        with open(os.path.join(place.source, b"%d" % number), "wb") as file:
            file.write(os.urandom(150_000))
    memory = place.store
    place.store = FaultyStore(memory).fail(Operation.MOVE, skip=2, error=NoSpace("full"))
    fails(place, NoSpace, SetKind.INCREMENTAL)
    place.store = memory
    assert len(place.set_ids()) == 1
    recovers(place, SetKind.INCREMENTAL)
    assert len(place.set_ids()) == 2


class FailingEnvelope(GzipEnvelope):
    """Fails at the nth call of one method."""

    def __init__(self, method: str, at: int, error: BaseException) -> None:
        super().__init__()
        self._method, self._left, self._error = method, at, error

    def count(self, method: str) -> None:
        if method == self._method:
            self._left -= 1
            if self._left == 0:
                raise self._error

    def compress(self, data: Buffer, bodies: Sequence[Slices] = ()) -> Piece:
        self.count("compress")
        return super().compress(data, bodies)

    def create(self, path: str) -> Sealer:
        self.count("create")
        return FailingSealer(self, super().create(path))


class FailingSealer:
    """Asks its envelope whether to fail."""

    def __init__(self, envelope: FailingEnvelope, inner: Sealer) -> None:
        self._envelope, self._inner = envelope, inner

    def feed_raw(self, data: Buffer) -> None:
        self._inner.feed_raw(data)

    def write(self, piece: Piece) -> None:
        self._envelope.count("write")
        self._inner.write(piece)

    def finish(self) -> Sealed:
        self._envelope.count("finish")
        return self._inner.finish()

    def abort(self) -> None:
        self._inner.abort()


@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.parametrize("method", ["compress", "create", "write", "finish"])
def test_an_envelope_that_fails(place: Place, method: str, at: int) -> None:
    error = EnvelopeError("gpg has died")
    place.envelope = FailingEnvelope(method, at, error)
    assert fails(place, EnvelopeError) is error
    recovers(place)


PATCHES = {
    "state": (StateWriter, "write"),
    "changes": (ChangeList, "add"),
    "manifest": (ManifestFiles, "add"),
    "partial file": (archive_dir.AppendOnlyFile, "append"),
    "install": (archive_dir.ArchiveDir, "install"),
}


@pytest.mark.parametrize(("owner", "method"), PATCHES.values(), ids=PATCHES)
def test_a_full_disk_under_the_archive_directory(
    place: Place, owner: type, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise FULL_DISK

    with monkeypatch.context() as patched:
        patched.setattr(owner, method, refuse)
        assert fails(place, OSError) is FULL_DISK
    place.clock.advance(90_000)  # what was begun is not known here, and so taken to be under way elsewhere for a day
    recovers(place)


@pytest.mark.parametrize(("owner", "method"), [(SignatureFiles, "write"), (ManifestFiles, "commit")])
def test_a_target_that_is_full_for_signatures_or_manifest_is_called_full(
    place: Place, owner: type, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.store = store = LocalStore(str(place.folder / "target"))

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"{store.staging_directory()}/file")

    monkeypatch.setattr(owner, method, refuse)
    with pytest.raises(NoSpace, match="at the target for its signatures and manifest") as caught:
        place.back_up(SetKind.FULL)
    assert (caught.value.exit_code, caught.value.operation) == (50, "put")


def test_a_state_file_that_cannot_be_finished_costs_only_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise FULL_DISK

    with monkeypatch.context() as patched:
        patched.setattr(StateWriter, "finish", refuse)
        place.back_up(SetKind.FULL)
    assert "twofold-state" not in os.listdir(place.archive)
    assert place.leftovers() == []
    assert place.back_up(SetKind.INCREMENTAL).tally.stored == 0


def test_a_check_of_the_target_that_fails_stops_everything_before_anything_is_stored(place: Place) -> None:
    def check() -> None:
        raise UserError("Wrong passphrase")

    with pytest.raises(UserError, match="Wrong passphrase"):
        place.back_up(SetKind.FULL, check=check)
    assert place.files == {}
    assert place.leftovers() == []


def test_a_check_that_fails_is_heard_of_although_there_is_nothing_to_store(place: Place) -> None:
    place.back_up(SetKind.FULL)

    def check() -> None:
        raise UserError("Wrong passphrase")

    with pytest.raises(UserError, match="Wrong passphrase"):
        place.back_up(SetKind.INCREMENTAL, check=check, skip_if_no_change=True)


@pytest.mark.parametrize("position", [3, 40, 400, -10])
def test_a_damaged_state_file_never_gives_a_wrong_backup(place: Place, position: int) -> None:
    place.back_up(SetKind.FULL)
    path = os.path.join(place.archive, "twofold-state")
    with open(path, "r+b") as file:
        file.seek(position, os.SEEK_SET if position >= 0 else os.SEEK_END)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0x41]))
    with open(os.path.join(place.source, b"3"), "ab") as changed:
        changed.write(b"more")
    try:
        place.back_up(SetKind.INCREMENTAL)
    except UserError as error:
        assert "state file" in str(error)  # noqa: PT017 - only where a record itself is hit
        place.back_up(SetKind.INCREMENTAL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)
    assert len(place.set_ids()) == 2

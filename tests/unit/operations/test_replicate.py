"""Copies between stores in memory: order, checks, damage, and an interruption at every call."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path

import pytest

from tests.support.archive import Target, sig_file, snapshot, volume
from twofold.collection.collection import build_collection
from twofold.collection.sets import find_files
from twofold.envelope.gzip import GzipEnvelope
from twofold.envelope.plain import PlainEnvelope
from twofold.envelope.protocol import Envelope, Inside, Opened
from twofold.errors import (
    BadVolume,
    CorruptManifest,
    EnvelopeError,
    Forbidden,
    Incomplete,
    KeyMissing,
    MissingVolume,
    NoPlace,
    NotFound,
    StorageError,
    TwofoldError,
    Unavailable,
    WrongSigner,
)
from twofold.format.names import NameCodec
from twofold.model.backup import FileRole, SetId, Wrapping
from twofold.monitor import Advance, BadDownload, Finished, Note, RecordingMonitor, Storing, Underway, VolumeDone
from twofold.operations.replicate import (
    Doubt,
    FileSent,
    ReplicateSummary,
    SetBegins,
    check_same_archive,
    list_source,
    list_target,
    replicate,
)
from twofold.operations.replicate_files import LostFile
from twofold.operations.replicate_plan import OtherArchive, plan_replicate
from twofold.repository.archive_dir import ArchiveDir
from twofold.repository.repository import Repository, RepositoryOptions
from twofold.storage import unfinished
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.store import (
    ByteCounter,
    Digest,
    DigestName,
    Key,
    Operation,
    Store,
    StoredFile,
    StoreWrapper,
    ignore_bytes,
)
from twofold.storage.testing.faulty import FaultyStore, Killed
from twofold.storage.testing.recording import RecordingStore

FULL, INCREMENT, LATER = SetId(1000), SetId(2000, 1000), SetId(5000)
MAKER = Target()


def archive(text: bytes = b"text") -> dict[str, bytes]:
    """Two chains: a full set of two volumes with an increment, and another full set."""
    made = Target()
    made.add_set(
        FULL,
        [
            volume(1, [snapshot(b"a", text * 300)], first=b"", last=b"a"),
            volume(2, [snapshot(b"b", text * 200)], first=b"b", last=b"b"),
        ],
        [sig_file(b"a", text * 300), sig_file(b"b", text * 200)],
    )
    for set_id in (INCREMENT, LATER):
        content = text * (set_id.end // 100)
        made.add_set(set_id, [volume(1, [snapshot(b"a", content)], first=b"a", last=b"a")], [sig_file(b"a", content)])
    return made.files


def named(set_id: SetId, role: FileRole = FileRole.VOLUME, number: int | None = 1) -> str:
    return MAKER.name(set_id, role, number if role is FileRole.VOLUME else None)


def files_of(set_id: SetId) -> list[str]:
    """All of a set with one volume."""
    return [named(set_id), signatures_of(set_id), manifest_of(set_id)]


def manifest_of(set_id: SetId) -> str:
    return named(set_id, FileRole.MANIFEST)


def signatures_of(set_id: SetId) -> str:
    return named(set_id, FileRole.SIGNATURES)


class Locked(PlainEnvelope):
    """Opens nothing."""

    def __init__(self, error: EnvelopeError) -> None:
        self._error = error

    def open(self, path: str, inside: Inside | None = None) -> Opened:
        raise self._error


class Telling(StoreWrapper):
    """Tells SHA-1 of what it has, as some services do."""

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        return self._with_digest(self.inner.put(key, source, sent=sent))

    def list(self) -> Iterator[StoredFile]:
        return iter([self._with_digest(file) for file in self.inner.list()])

    def _with_digest(self, file: StoredFile) -> StoredFile:
        content = self.inner.files[file.name]  # type: ignore[attr-defined]
        return StoredFile(file.name, file.size, digests=(Digest(DigestName.SHA1, sha1(content).digest()),))


class Flipping(StoreWrapper):
    """Stores one file with a wrong byte and says that all is well."""

    def __init__(self, inner: MemoryStore, name: str) -> None:
        super().__init__(inner)
        self._name = name

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        stored = super().put(key, source, sent=sent)
        if key.name == self._name:
            files = self.inner.files  # type: ignore[attr-defined]
            files[key.name] = bytes([files[key.name][0] ^ 1]) + files[key.name][1:]
        return stored


@dataclass
class Scene:
    """Two places; `source` and `target` may be replaced by stores that misbehave."""

    folder: Path
    source_files: dict[str, bytes] = field(default_factory=archive)
    target_files: dict[str, bytes] = field(default_factory=dict)
    attempts: int = 3
    envelope: Envelope = field(default_factory=PlainEnvelope)
    monitor: RecordingMonitor = field(default_factory=RecordingMonitor)

    def __post_init__(self) -> None:
        self.source: Store = MemoryStore(self.source_files)
        self.target: Store = MemoryStore(self.target_files)
        for name in ("archive", "tmp"):
            (self.folder / name).mkdir(exist_ok=True)

    def copy(self, **options: bool) -> ReplicateSummary:
        repository = Repository(
            self.source,
            ArchiveDir(str(self.folder / "archive"), NameCodec()),
            envelopes={Wrapping.PLAIN: self.envelope, Wrapping.GZIP: GzipEnvelope()},
            written=Wrapping.PLAIN,
            options=RepositoryOptions(str(self.folder / "tmp"), self.attempts),
            monitor=self.monitor,
        )
        try:
            listing = list_target(self.target, repository)
            plan = plan_replicate(list_source(repository), listing.collection, **options)
            check_same_archive(repository, self.target, plan=plan)
            return replicate(repository, self.target, plan=plan, listing=listing, monitor=self.monitor)
        finally:
            assert os.listdir(self.folder / "tmp") == []

    def fill_cache(self) -> None:
        for set_id in (FULL, INCREMENT, LATER):
            (self.folder / "archive" / manifest_of(set_id)).write_bytes(self.source_files[manifest_of(set_id)])

    def events(self, kind: type) -> list[object]:
        return [event for event in self.monitor.events if isinstance(event, kind)]

    def assert_only_whole_sets_count(self) -> None:
        """Whatever counts at the target can be restored: nothing is missing or different below a manifest."""
        found = build_collection(
            remote=find_files(((name, len(content)) for name, content in self.target_files.items()), NameCodec().parse),
            local=(),
        )
        assert not [each for each in found.orphaned if each.is_complete]
        for chain in found.chains:
            for each in chain.usable:
                stem = [name for name in self.source_files if NameCodec().parse(name).set_id == each.id]  # type: ignore[union-attr]
                assert all(self.target_files.get(name) == self.source_files[name] for name in stem)
        assert all(chain.is_continuable for chain in found.chains)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


# ---- what is sent ----------------------------------------------------------------------------------------------------


def test_a_copy_has_every_file_as_it_is(scene: Scene) -> None:
    summary = scene.copy()
    assert scene.target_files == scene.source_files
    assert summary.copied == [FULL, INCREMENT, LATER]
    assert (summary.files, summary.sent_bytes) == (10, sum(map(len, scene.source_files.values())))


def test_manifests_come_last_and_nothing_is_fetched_twice(scene: Scene) -> None:
    scene.source, scene.target = (source, target) = RecordingStore(scene.source), RecordingStore(scene.target)
    scene.copy()
    assert target.names(Operation.PUT) == [
        *(named(FULL), named(FULL, number=2), signatures_of(FULL), manifest_of(FULL)),
        *(named(INCREMENT), signatures_of(INCREMENT), manifest_of(INCREMENT)),
        *(named(LATER), signatures_of(LATER), manifest_of(LATER)),
    ]
    assert sorted(source.names(Operation.GET)) == sorted(scene.source_files)
    # Only what no manifest has a hash of is read back.
    assert len(target.names(Operation.GET)) == 6
    assert not [name for name in target.names(Operation.GET) if ".vol" in name]
    assert target.count(Operation.DELETE) == source.count(Operation.DELETE) == source.count(Operation.PUT) == 0


@pytest.mark.parametrize("cached", [False, True])
def test_the_same_command_again_compares_one_manifest_a_chain_and_sends_nothing(scene: Scene, *, cached: bool) -> None:
    scene.copy()
    if cached:
        scene.fill_cache()
    scene.source, scene.target = (source, target) = RecordingStore(scene.source), RecordingStore(scene.target)
    summary = scene.copy()
    assert (summary.copied, summary.files, summary.doubts) == ([], 0, [])
    assert summary.present == [FULL, INCREMENT, LATER]
    compared = [manifest_of(INCREMENT), manifest_of(LATER)]
    assert target.names(Operation.GET) == compared
    # Those that are not cached are read to know the numbers of volumes.
    read = [] if cached else [manifest_of(FULL), *compared]
    assert source.names(Operation.GET) == compared + read
    for store in (source, target):
        assert store.count(Operation.PUT) == store.count(Operation.DELETE) == 0


def test_the_monitor_is_told_of_sets_files_and_progress(scene: Scene) -> None:
    scene.copy()
    assert len(scene.events(SetBegins)) == 3
    assert [event.name for event in scene.events(FileSent)][:2] == [signatures_of(FULL), manifest_of(FULL)]  # type: ignore[attr-defined]
    assert [event.number for event in scene.events(VolumeDone)] == [1, 2, 1, 1]  # type: ignore[attr-defined]
    assert [event.what for event in scene.events(Storing)][:3] == ["volume 1", "volume 2", "signatures"]  # type: ignore[attr-defined]
    (underway,) = scene.events(Underway)
    assert underway.ask() == Advance(sum(map(len, scene.source_files.values())))  # type: ignore[attr-defined]
    assert len(scene.events(Finished)) == 1


def test_what_lies_in_a_half_copied_set_is_not_sent_again(scene: Scene) -> None:
    scene.copy()
    del scene.target_files[manifest_of(FULL)], scene.target_files[named(FULL, number=2)]
    scene.target = target = RecordingStore(scene.target)
    summary = scene.copy()
    assert target.names(Operation.PUT) == [named(FULL, number=2), manifest_of(FULL)]
    assert (summary.files, summary.present_files) == (2, 2)
    assert scene.target_files == scene.source_files


def test_a_volume_that_lies_there_already_is_not_even_fetched(scene: Scene) -> None:
    scene.target_files[named(FULL)] = scene.source_files[named(FULL)]
    scene.source = source = RecordingStore(scene.source)
    scene.copy()
    assert named(FULL) not in source.names(Operation.GET)


def test_a_store_that_tells_hashes_is_not_read(scene: Scene) -> None:
    scene.target_files[named(FULL)] = scene.source_files[named(FULL)]
    scene.target_files[named(FULL, number=2)] = bytes(len(scene.source_files[named(FULL, number=2)]))
    recorder = RecordingStore(Telling(scene.target))
    scene.target = recorder
    scene.copy()
    assert not [name for name in recorder.names(Operation.GET) if ".vol" in name]
    assert scene.target_files == scene.source_files


@pytest.mark.parametrize("piece", [b"", b"torn", None])
def test_a_torn_or_wrong_piece_of_a_set_that_does_not_count_is_replaced(scene: Scene, piece: bytes | None) -> None:
    for name in (named(FULL), signatures_of(FULL)):
        scene.target_files[name] = bytes(len(scene.source_files[name])) if piece is None else piece
    scene.copy()
    assert scene.target_files == scene.source_files


def test_what_a_complete_set_has_lost_is_sent_again(scene: Scene) -> None:
    scene.copy()
    del scene.target_files[named(INCREMENT)]
    scene.target_files[signatures_of(FULL)] = b"cut"
    scene.target = target = RecordingStore(scene.target)
    scene.copy()
    assert target.names(Operation.PUT) == [signatures_of(FULL), named(INCREMENT)]
    assert scene.target_files == scene.source_files


# ---- files of sets that count ----------------------------------------------------------------------------------------


def lock(scene: Scene) -> None:
    scene.envelope = Locked(KeyMissing("Cannot decrypt it"))


def doubts(summary: ReplicateSummary) -> list[tuple[SetId, str]]:
    return [(each.set_id, each.reason) for each in summary.doubts]


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("name", [named(FULL, number=2), signatures_of(FULL)])
def test_without_a_key_a_file_of_another_size_is_named_and_left_on_both_sides(
    scene: Scene, name: str, side: str
) -> None:
    scene.copy()
    lock(scene)
    files: dict[str, bytes] = getattr(scene, f"{side}_files")
    files[name] = files[name][:-512]
    before = dict(scene.target_files)
    summary = scene.copy()
    ((set_id, reason),) = doubts(summary)
    assert (set_id, scene.target_files) == (FULL, before)
    assert reason.startswith(f"{name} has {len(scene.source_files[name])} bytes at the source and {len(before[name])} ")
    assert (summary.copied, summary.files) == ([], 0)
    assert len(scene.events(Doubt)) == 1


def test_with_a_cached_manifest_a_cut_volume_is_mended_without_a_key(scene: Scene) -> None:
    scene.copy()
    lock(scene)
    scene.fill_cache()
    scene.target_files[named(FULL)] = b"cut"
    summary = scene.copy()
    assert (scene.target_files, summary.doubts, summary.copied) == (scene.source_files, [], [FULL])


def test_a_volume_that_is_cut_at_the_source_replaces_nothing(scene: Scene) -> None:
    scene.copy()
    before = dict(scene.target_files)
    scene.source_files[named(FULL)] = b"cut"
    summary = scene.copy()
    assert lost(summary) == (FULL, BadVolume, [])
    assert summary.lost[0].there
    assert (scene.target_files, summary.present) == (before, [INCREMENT, LATER])


@pytest.mark.parametrize("cut", [-512, -1024, 700])
def test_signatures_that_are_cut_at_the_source_replace_nothing(scene: Scene, cut: int) -> None:
    scene.copy()
    before = dict(scene.target_files)
    scene.source_files[signatures_of(FULL)] = before[signatures_of(FULL)][:cut]
    summary = scene.copy()
    assert [set_id for set_id, _ in doubts(summary)] == [FULL]
    assert scene.target_files == before


def test_of_two_whole_signature_files_the_one_at_the_target_stays(scene: Scene) -> None:
    scene.copy()
    other = scene.target_files[signatures_of(FULL)] + bytes(512)
    scene.target_files[signatures_of(FULL)] = other
    summary = scene.copy()
    assert [set_id for set_id, _ in doubts(summary)] == [FULL]
    assert scene.target_files[signatures_of(FULL)] == other


def test_of_two_cut_signature_files_neither_replaces_the_other(scene: Scene) -> None:
    scene.copy()
    for files, cut in ((scene.source_files, 800), (scene.target_files, 700)):
        files[signatures_of(FULL)] = files[signatures_of(FULL)][:cut]
    before = dict(scene.target_files)
    assert [set_id for set_id, _ in doubts(scene.copy())] == [FULL]
    assert scene.target_files == before


@pytest.mark.parametrize("keyless", [False, True])
def test_a_volume_that_neither_side_has_is_noticed_every_time(scene: Scene, *, keyless: bool) -> None:
    scene.copy()
    if keyless:
        lock(scene)
    for files in (scene.source_files, scene.target_files):
        del files[named(FULL)]
    before = dict(scene.target_files)
    summary = scene.copy()
    assert lost(summary) == (FULL, MissingVolume, [])
    assert str(summary.lost[0].error) == "Volume 1 is missing at the source and at the target"
    assert (scene.target_files, summary.present) == (before, [INCREMENT, LATER])


def test_a_last_volume_that_neither_side_has_is_noticed_by_the_manifest(scene: Scene) -> None:
    scene.copy()
    for files in (scene.source_files, scene.target_files):
        del files[named(FULL, number=2)]
    assert lost(scene.copy()) == (FULL, MissingVolume, [])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (named(FULL), "Volume 1 is missing at the source; the target has it"),
        (signatures_of(FULL), "Its signatures are missing at the source; the target has them"),
    ],
)
def test_what_the_source_alone_has_lost_is_told(scene: Scene, name: str, reason: str) -> None:
    scene.copy()
    del scene.source_files[name]
    before = dict(scene.target_files)
    assert doubts(scene.copy()) == [(FULL, reason)]
    assert scene.target_files == before


def test_behind_a_new_set_that_is_lost_what_counts_is_mended_all_the_same(scene: Scene) -> None:
    scene.copy()
    for name in (manifest_of(FULL), named(INCREMENT)):
        del scene.target_files[name]
    scene.source_files[named(FULL)] = b"rotten"
    summary = scene.copy(mixing=True)
    assert lost(summary) == (FULL, BadVolume, [])
    assert scene.target_files[named(INCREMENT)] == scene.source_files[named(INCREMENT)]


def test_a_copied_manifest_with_another_passphrase_is_no_damage(scene: Scene) -> None:
    scene.copy()
    scene.envelope = Locked(EnvelopeError("The passphrase is wrong, or the file is damaged"))
    summary = scene.copy()
    assert (summary.present, summary.lost, summary.doubts) == ([FULL, INCREMENT, LATER], [], [])
    assert len(scene.events(Note)) == 1


def test_a_present_manifest_that_does_not_decrypt_and_is_not_the_copied_one_is_damage(scene: Scene) -> None:
    scene.copy()
    scene.envelope = Locked(EnvelopeError("The passphrase is wrong, or the file is damaged"))
    content = scene.source_files[manifest_of(FULL)]
    scene.source_files[manifest_of(FULL)] = bytes(len(content))
    summary = scene.copy()
    assert lost(summary) == (FULL, EnvelopeError, [])
    assert summary.lost[0].there


def test_a_larger_piece_of_a_set_that_does_not_count_is_not_torn_and_stays(scene: Scene) -> None:
    piece = scene.source_files[signatures_of(LATER)] + bytes(512)
    scene.target_files[signatures_of(LATER)] = piece
    summary = scene.copy()
    assert lost(summary) == (LATER, LostFile, [])
    assert scene.target_files[signatures_of(LATER)] == piece


# ---- empty and missing files at the source ---------------------------------------------------------------------------


def test_a_set_without_signatures_is_copied_and_that_is_told(scene: Scene) -> None:
    del scene.source_files[signatures_of(LATER)]
    for there in ("Without them it cannot be continued", "missing at the target, too"):
        ((set_id, reason),) = doubts(scene.copy())
        assert set_id == LATER
        assert reason.startswith("Its signatures are missing at the source")
        assert there in reason
    assert scene.target_files == scene.source_files


def test_an_empty_signature_file_counts_as_missing(scene: Scene) -> None:
    scene.source_files[signatures_of(LATER)] = b""
    for _ in range(2):
        assert doubts(scene.copy()) == [(LATER, f"{signatures_of(LATER)} is empty at the source and so not copied")]
    assert scene.target_files.keys() == scene.source_files.keys() - {signatures_of(LATER)}


def test_without_a_key_an_empty_volume_costs_its_set(scene: Scene) -> None:
    lock(scene)
    scene.source_files[named(LATER)] = b""
    assert lost(scene.copy()) == (LATER, LostFile, [])
    assert manifest_of(LATER) not in scene.target_files


@pytest.mark.parametrize("keyless", [False, True])
def test_a_volume_that_is_empty_on_both_sides_is_not_there_already(scene: Scene, *, keyless: bool) -> None:
    scene.copy()
    for files in (scene.source_files, scene.target_files):
        files[named(FULL)] = b""
    if keyless:
        lock(scene)
        assert doubts(scene.copy()) == [(FULL, f"{named(FULL)} is empty at the source and so not copied")]
    else:
        assert lost(scene.copy()) == (FULL, BadVolume, [])


# ---- scratch files ---------------------------------------------------------------------------------------------------


def test_what_a_killed_copy_left_in_the_temporary_directory_is_removed(scene: Scene) -> None:
    dead = scene.folder / "tmp" / f"{unfinished.STAGING_PREFIX}dead"
    dead.mkdir(mode=0o700)
    (dead / unfinished.LOCK_NAME).touch()
    (dead / "twofold-piece").write_bytes(b"of a volume")
    scene.copy()  # which asserts that nothing is left


def test_scratch_files_of_others_are_not_touched(tmp_path: Path) -> None:
    theirs = tmp_path / f"{unfinished.STAGING_PREFIX}theirs"
    theirs.mkdir()
    unfinished.sweep(str(tmp_path), owner=os.geteuid() + 1)
    assert theirs.exists()
    unfinished.sweep(str(tmp_path), owner=os.geteuid())
    assert not theirs.exists()


def test_without_locks_the_scratch_folder_goes_all_the_same(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished.Staging, "make", lambda _parent: None)
    assert not scene.copy().lost
    assert scene.target_files == scene.source_files


# ---- interruptions ---------------------------------------------------------------------------------------------------

CALLS = [
    ("target", Operation.LIST, 1),
    ("target", Operation.PUT, 10),
    ("target", Operation.GET, 6),
    ("source", Operation.LIST, 1),
    ("source", Operation.GET, 10),
]
EVERY_CALL = [(side, operation, skip) for side, operation, count in CALLS for skip in range(count)]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("side", "operation", "skip"), EVERY_CALL)
def test_a_copy_goes_on_after_an_interruption_at_any_call(
    scene: Scene, side: str, operation: Operation, skip: int, *, after: bool
) -> None:
    scene.target = recorder = RecordingStore(scene.target)
    sound = getattr(scene, side)
    faulty = FaultyStore(sound)
    (faulty.kill_after if after else faulty.kill_before)(operation, skip=skip)
    setattr(scene, side, faulty)
    with pytest.raises(Killed):
        scene.copy()
    scene.assert_only_whole_sets_count()
    setattr(scene, side, sound)
    scene.copy()
    assert scene.target_files == scene.source_files
    # A file that arrived unnoticed is found there, so nothing at all goes twice.
    assert sorted(recorder.names(Operation.PUT)) == sorted(scene.source_files)


@pytest.mark.parametrize("operation", [Operation.PUT, Operation.GET, Operation.LIST])
@pytest.mark.parametrize("side", ["source", "target"])
def test_an_error_of_a_store_tells_which_side_it_is(scene: Scene, side: str, operation: Operation) -> None:
    if (side, operation) == ("source", Operation.PUT):
        scene.target = FaultyStore(scene.target).fail(Operation.PUT, error=Unavailable("Gone"))
        side = "target"
    setattr(scene, side, FaultyStore(getattr(scene, side)).fail(operation, error=Unavailable("Gone")))
    with pytest.raises(Unavailable, match=f"^At the {side}: Gone$"):
        scene.copy()


def test_a_source_that_has_gone_ends_the_copy(scene: Scene) -> None:
    scene.source = FaultyStore(scene.source).fail(Operation.GET, error=NoPlace("No directory"), skip=2)
    with pytest.raises(NoPlace):
        scene.copy()


# ---- damage at the source --------------------------------------------------------------------------------------------


def lost(summary: ReplicateSummary) -> tuple[SetId, type[TwofoldError], list[SetId]]:
    (one,) = summary.lost
    return one.set_id, type(one.error), list(one.waiting)


def test_a_damaged_volume_costs_its_set_and_those_behind_it_but_no_other_chain(scene: Scene) -> None:
    scene.source_files[named(FULL, number=2)] = b"rotten"
    scene.source = source = RecordingStore(scene.source)
    summary = scene.copy()
    assert lost(summary) == (FULL, BadVolume, [INCREMENT])
    assert summary.copied == [LATER]
    assert set(scene.target_files) == {named(FULL), *files_of(LATER)}
    assert source.names(Operation.GET).count(named(FULL, number=2)) == scene.attempts
    assert len(scene.events(BadDownload)) == scene.attempts


def test_a_volume_that_arrives_whole_at_the_second_attempt_is_copied(scene: Scene) -> None:
    class Once(StoreWrapper):
        spoiled = False

        def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
            super().get(key, target, received=received)
            if key.name == named(FULL) and not self.spoiled:
                self.spoiled = True
                with open(target, "r+b") as file:
                    file.write(b"\xff")

    scene.source = Once(scene.source)
    assert not scene.copy().lost
    assert scene.target_files == scene.source_files


def test_a_volume_under_two_names_is_copied_from_the_one_with_the_right_hash(scene: Scene) -> None:
    good = scene.source_files[named(FULL)]
    stray = f"{named(FULL)}.gz"
    scene.source_files[named(FULL)] = b"rotten"
    scene.source_files[stray] = good
    assert not scene.copy().lost
    assert scene.target_files[stray] == good
    assert named(FULL) not in scene.target_files


def test_a_volume_that_is_missing_costs_its_set(scene: Scene) -> None:
    del scene.source_files[named(LATER)]
    assert lost(scene.copy()) == (LATER, MissingVolume, [])
    assert manifest_of(LATER) not in scene.target_files


@pytest.mark.parametrize("error", [NotFound("Gone"), Forbidden("Not for you")])
def test_a_file_that_cannot_be_fetched_costs_its_set(scene: Scene, error: StorageError) -> None:
    scene.source = FaultyStore(scene.source).fail(Operation.GET, error=error, skip=1)
    assert lost(scene.copy()) == (FULL, LostFile, [INCREMENT])
    assert manifest_of(LATER) in scene.target_files


def test_a_volume_that_the_manifest_does_not_list_is_left_out(scene: Scene) -> None:
    stray = named(LATER, number=2)
    scene.source_files[stray] = b"from an interrupted run"
    assert not scene.copy().lost
    assert scene.target_files.keys() == scene.source_files.keys() - {stray}


def test_what_the_target_does_not_let_read_ends_the_copy(scene: Scene) -> None:
    scene.target_files[named(FULL)] = scene.source_files[named(FULL)]
    scene.target = FaultyStore(scene.target).fail(Operation.GET, error=Forbidden("Only writing"))
    with pytest.raises(Forbidden, match=r"^At the target: Only writing$"):
        scene.copy()


def test_a_manifest_that_makes_no_sense_is_not_copied(scene: Scene) -> None:
    scene.source_files[manifest_of(LATER)] = b"Volume 1:\n    nonsense\n"
    assert lost(scene.copy()) == (LATER, CorruptManifest, [])
    assert not set(scene.target_files) & set(files_of(LATER))


def test_a_manifest_that_does_not_decrypt_costs_its_set(scene: Scene) -> None:
    scene.envelope = Locked(EnvelopeError("The passphrase is wrong, or the file is damaged"))
    summary = scene.copy()
    assert [each.set_id for each in summary.lost] == [FULL, LATER]
    assert scene.target_files == {}


def test_a_manifest_of_another_signer_ends_the_copy(scene: Scene) -> None:
    scene.envelope = Locked(WrongSigner("Somebody else"))
    with pytest.raises(WrongSigner):
        scene.copy()


# ---- without keys ----------------------------------------------------------------------------------------------------


def test_without_a_key_everything_is_read_back_and_that_is_said_once(scene: Scene) -> None:
    scene.envelope = Locked(KeyMissing("Cannot decrypt it"))
    scene.target = target = RecordingStore(scene.target)
    summary = scene.copy()
    assert (scene.target_files, summary.lost) == (scene.source_files, [])
    assert target.names(Operation.GET) == target.names(Operation.PUT)
    (note,) = scene.events(Note)
    assert note.text == (  # type: ignore[attr-defined]
        "Volumes are compared with what the target gets, not with the hashes in their manifests, and a missing "
        "last volume goes unnoticed: Cannot decrypt it"
    )


def test_without_a_key_a_gap_between_volumes_is_noticed(scene: Scene) -> None:
    scene.envelope = Locked(KeyMissing("Cannot decrypt it"))
    del scene.source_files[named(FULL)]
    assert lost(scene.copy()) == (FULL, MissingVolume, [INCREMENT])


def test_without_a_key_the_cached_manifests_have_the_hashes(scene: Scene) -> None:
    scene.envelope = Locked(KeyMissing("Cannot decrypt it"))
    scene.fill_cache()
    scene.source_files[named(LATER)] = b"rotten"
    assert lost(scene.copy()) == (LATER, BadVolume, [])
    assert scene.events(Note) == []


# ---- at the target ---------------------------------------------------------------------------------------------------


def test_another_archive_at_the_target_is_not_touched(scene: Scene) -> None:
    scene.target_files.update(archive(b"TEXT"))
    before = dict(scene.target_files)
    with pytest.raises(OtherArchive, match=manifest_of(INCREMENT)):
        scene.copy()
    assert scene.target_files == before


@pytest.mark.parametrize("name", [signatures_of(FULL), manifest_of(FULL)])
def test_a_file_that_arrives_changed_does_not_stay(scene: Scene, name: str) -> None:
    scene.target = Flipping(MemoryStore(scene.target_files), name)
    with pytest.raises(Incomplete, match=f"^At the target: {name} has not arrived"):
        scene.copy()
    assert name not in scene.target_files
    scene.assert_only_whole_sets_count()


def test_a_file_that_arrives_cut_short_does_not_stay(scene: Scene) -> None:
    scene.target = FaultyStore(scene.target).cut_short(7)
    with pytest.raises(Incomplete):
        scene.copy()
    assert scene.target_files == {}


def test_a_volume_that_a_store_tells_another_hash_of_does_not_stay(scene: Scene) -> None:
    class Wrong(Telling):
        def _with_digest(self, file: StoredFile) -> StoredFile:
            return StoredFile(file.name, file.size, digests=(Digest(DigestName.SHA1, bytes(20)),))

    scene.target = Wrong(scene.target)
    with pytest.raises(Incomplete):
        scene.copy()
    assert scene.target_files == {}

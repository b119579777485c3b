"""An interrupted backup is gone on with: nothing is lost, nothing sent twice, and no file is made of two states."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.backups import Place
from tests.support.power_cut import PowerCut
from tests.support.tree import Fidelity, NodeState, assert_same_tree, snapshot
from twofold.envelope.gzip import GzipEnvelope
from twofold.envelope.protocol import Inside, Opened
from twofold.errors import EnvelopeError, NeedsWarmUp, OtherSettings, Unavailable
from twofold.model.backup import FileRole, SetKind, Wrapping
from twofold.model.times import SystemClock
from twofold.monitor import Note
from twofold.operations import backup, resumption
from twofold.pipeline import chunks
from twofold.pipeline.checkpoint import read_checkpoints
from twofold.storage.store import Operation
from twofold.storage.testing.faulty import FaultyStore
from twofold.tree.scan import ScanOptions, SourceTree

MOST_MOMENTS = 60
PAST = 1_600_000_000
FULL, INCREMENTAL = SetKind.FULL, SetKind.INCREMENTAL
LARGE = b"b/large"


def write(place: Place, name: bytes, content: bytes) -> None:
    path = os.path.join(place.source, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    os.utime(path, (PAST, PAST))


class Later(SystemClock):
    """By which files that have just been made are old enough to be believed."""

    def now(self) -> float:
        return super().now() + 3600


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "SystemClock", Later)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A tree that takes four volumes, the first two end in the middle of a file; a file has two names far apart."""
    place = Place(tmp_path, volume_size=330_000)
    content = random.Random(1)
    for name in (b"a/1", b"a/2", b"b/1", b"b/2", b"z/1", b"z/2"):
        write(place, name, content.randbytes(30_000))
    write(place, LARGE, content.randbytes(420_000))
    os.link(os.path.join(place.source, b"a/1"), os.path.join(place.source, b"z/linked"))
    return place


def change(place: Place) -> None:
    """What makes an increment of as many volumes: a large difference, new and removed files."""
    content = random.Random(2)
    write(place, LARGE, content.randbytes(410_000))
    write(place, b"a/3", content.randbytes(60_000))
    write(place, b"z/3", content.randbytes(60_000))
    os.unlink(os.path.join(place.source, b"b/1"))


def begun(place: Place, kind: SetKind) -> None:
    """What comes before the backup in question."""
    if kind is INCREMENTAL:
        place.back_up(FULL)
        change(place)


def notes(place: Place) -> str:
    return "\n".join(event.text for event in place.monitor.events if isinstance(event, Note))


def names_of_newest(place: Place) -> set[str]:
    newest = place.set_ids()[-1]
    numbers = {each.number for each in place.manifest(newest).volumes}
    repository = place.repository()
    names = {name: repository.codec.parse(name) for name in place.files}
    found = {name: meaning for name, meaning in names.items() if meaning is not None and meaning.set_id == newest}
    assert {meaning.volume for meaning in found.values() if meaning.role is FileRole.VOLUME} == numbers
    return set(found)


def cut(place: Place, kind: SetKind | None, *, volumes: int, **changes: object) -> PowerCut:
    """Ends a backup when so many volumes are at the target and noted."""
    run = PowerCut(place, when=lambda: _noted(place) == volumes)
    assert run.run(lambda: place.back_up(kind, **changes)) is None  # type: ignore[arg-type]
    return run


def _noted(place: Place) -> int:
    files = [*Path(place.archive).glob("twofold-checkpoints.*")]
    return files[0].read_bytes().count(b"\n") - 1 if files else 0


def resumed_at(place: Place) -> str:
    return next((line for line in notes(place).splitlines() if line.startswith("RESTART: ")), "")


# ---- whatever the moment ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", range(MOST_MOMENTS))
@pytest.mark.parametrize("kind", [FULL, INCREMENTAL])
def test_after_a_power_cut_the_same_command_does_what_is_left(place: Place, kind: SetKind, moment: int) -> None:
    begun(place, kind)
    earlier, before = set(place.files), snapshot(place.source)
    first = PowerCut(place, moment, all_is_kept=bool(moment % 2))
    first.run(lambda: place.back_up(kind))
    second = PowerCut(place)
    was_complete = any("manifest" in name for name in place.files.keys() - earlier)
    second.run(lambda: place.back_up(None if was_complete else kind))

    assert place.leftovers() == []
    assert place.partial_files() == []
    assert_same_tree(place.restore(), before, fidelity=Fidelity.FULL)
    stored = names_of_newest(place)
    total = sum(len(place.files[name]) for name in place.files.keys() - earlier)
    signatures = sum(len(place.files[name]) for name in stored if "sig" in name)
    assert first.sent + second.sent - total <= max(len(place.files[name]) for name in stored) + signatures
    assert place.back_up(INCREMENTAL).tally.stored == 0
    assert place.problems() == []


@pytest.mark.parametrize("kind", [FULL, INCREMENTAL])
def test_all_moments_are_among_those_that_are_tested(place: Place, kind: SetKind) -> None:
    begun(place, kind)
    run = PowerCut(place)
    run.run(lambda: place.back_up(kind))
    assert 30 < run.moments <= MOST_MOMENTS


# ---- the source has changed ------------------------------------------------------------------------------------------


def remove(place: Place, name: bytes) -> None:
    path = os.path.join(place.source, name)
    if os.path.isdir(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def replace_by_file(place: Place, name: bytes) -> None:
    remove(place, name)
    write(place, name, b"a file now")


def replace_by_directory(place: Place, name: bytes) -> None:
    remove(place, name)
    write(place, name + b"/below", b"a directory now")


def replace_by_link(place: Place, name: bytes) -> None:
    remove(place, name)
    os.symlink(b"/nowhere", os.path.join(place.source, name))


def rewrite(place: Place, name: bytes) -> None:
    """As large as it was, and no newer as far as it says itself."""
    size = os.path.getsize(os.path.join(place.source, name))
    write(place, name, random.Random(3).randbytes(size))


EDITS: dict[str, Callable[[Place], object]] = {
    "nothing": lambda _: None,
    "before": lambda place: rewrite(place, b"a/2"),
    "before, new": lambda place: write(place, b"a/0", b"new"),
    "before, gone": lambda place: remove(place, b"a/2"),
    "before, its folder": lambda place: remove(place, b"a"),
    "in the middle": lambda place: rewrite(place, LARGE),
    "in the middle, longer": lambda place: write(place, LARGE, random.Random(4).randbytes(600_000)),
    "in the middle, shorter": lambda place: write(place, LARGE, b"short"),
    "in the middle, gone": lambda place: remove(place, LARGE),
    "in the middle, a directory": lambda place: replace_by_directory(place, LARGE),
    "in the middle, a link": lambda place: replace_by_link(place, LARGE),
    "around it, gone": lambda place: remove(place, b"b"),
    "around it, a file": lambda place: replace_by_file(place, b"b"),
    "behind": lambda place: rewrite(place, b"z/2"),
    "behind, new": lambda place: write(place, b"z/9", b"new"),
    "behind, gone": lambda place: remove(place, b"z/2"),
    "all else": lambda place: [remove(place, name) for name in (b"a", b"b", b"z")],
}


def essence(state: NodeState | None) -> object:
    return state and (state.kind, state.sha256, state.mode, state.link_target)


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize(
    ("kind", "volumes"), [(FULL, 1), (FULL, 2), (FULL, 3), (INCREMENTAL, 1), (INCREMENTAL, 2)], ids=str
)
def test_what_has_changed_since_is_either_as_it_was_or_as_it_is(
    place: Place, kind: SetKind, volumes: int, edit: str
) -> None:
    begun(place, kind)
    before = snapshot(place.source)
    cut(place, kind, volumes=volumes)
    EDITS[edit](place)
    after = snapshot(place.source)
    place.back_up(kind)

    restored = snapshot(place.restore())
    for path in before.keys() | after.keys():
        if path:
            found = essence(restored.get(path))
            assert found in (essence(before.get(path)), essence(after.get(path))), (path, found)
    assert place.problems() == []
    assert place.leftovers() == []
    names_of_newest(place)
    place.back_up(INCREMENTAL)
    assert_same_tree(place.restore(), after, fidelity=Fidelity.FULL)
    touched = edit.startswith(("in the middle", "around", "all"))
    assert resumed_at(place) or (touched and volumes < 3)


@pytest.mark.parametrize("kind", [FULL, INCREMENTAL])
@pytest.mark.parametrize("edit", ["in the middle", "in the middle, gone", "in the middle, shorter"])
def test_a_file_that_changes_when_it_is_about_to_be_gone_on_with(
    place: Place, kind: SetKind, edit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(place, kind)
    cut(place, kind, volumes=2)
    EDITS[edit](place)
    monkeypatch.setattr(resumption, "_is_sound", lambda repository, found, _: resumption._is_kept(repository, found))
    place.back_up(kind)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)
    assert place.leftovers() == []
    names_of_newest(place)


@pytest.mark.parametrize("kind", [FULL, INCREMENTAL])
def test_a_file_whose_content_has_changed_without_a_trace_is_not_mixed(
    place: Place, kind: SetKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(place, kind)
    monkeypatch.setattr(chunks, "identity_of", lambda _: (1,))
    monkeypatch.setattr(resumption, "_is_sound", lambda repository, found, _: resumption._is_kept(repository, found))
    cut(place, kind, volumes=2)
    with open(os.path.join(place.source, LARGE), "r+b") as file:
        file.write(b"another beginning")
    os.utime(os.path.join(place.source, LARGE), (PAST, PAST))
    place.back_up(kind)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


def test_an_unchanged_file_in_the_middle_is_not_sent_again(place: Place) -> None:
    begun(place, FULL)
    first = cut(place, FULL, volumes=2)
    second = PowerCut(place)
    second.run(lambda: place.back_up(FULL))
    assert resumed_at(place) == "RESTART: Volumes 1 to 2 have been stored; going on with volume 3."
    assert first.sent + second.sent == sum(map(len, place.files.values()))


def test_nobody_goes_on_in_the_middle_of_a_removal(tmp_path: Path) -> None:
    place = Place(tmp_path, Wrapping.PLAIN, volume_size=140_000)
    names = [b"d/e/%04d" % number for number in range(600)]
    for name in names:
        write(place, name, b"")
    write(place, b"z", b"last")
    place.back_up(FULL)
    remove(place, b"d")
    run = PowerCut(place, when=lambda: len([name for name in place.files if "inc" in name]) == 2)
    assert run.run(lambda: place.back_up(INCREMENTAL)) is None
    for name in names[500:]:
        write(place, name, b"back")
    place.back_up(INCREMENTAL)
    assert resumed_at(place) == ""
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


# ---- what is different now -------------------------------------------------------------------------------------------


def test_other_settings_begin_anew(place: Place) -> None:
    begun(place, FULL)
    cut(place, FULL, volumes=2)
    place.fingerprint = "another"
    place.back_up(FULL)
    assert "Cleaning up previous partial full backup set, restarting." in notes(place)
    assert resumed_at(place) == ""
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)
    assert len(place.set_ids()) == 1


def test_another_kind_of_backup_begins_anew(place: Place) -> None:
    begun(place, INCREMENTAL)
    cut(place, INCREMENTAL, volumes=1)
    place.back_up(FULL)
    assert "Cleaning up previous partial incremental backup set, restarting." in notes(place)
    assert [each.kind for each in place.set_ids()] == [FULL, FULL]
    assert place.partial_files() == []


def test_whichever_kind_is_due_goes_on_with_what_was_begun(place: Place) -> None:
    begun(place, FULL)
    cut(place, FULL, volumes=3)
    place.back_up(None)
    assert resumed_at(place) == "RESTART: Volumes 1 to 3 have been stored; going on with volume 4."
    assert [each.kind for each in place.set_ids()] == [FULL]


def test_a_clock_that_was_set_back_begins_anew(place: Place) -> None:
    begun(place, FULL)
    cut(place, FULL, volumes=2)
    place.clock.advance(-1000)
    place.back_up(FULL)
    assert resumed_at(place) == ""
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


def test_a_set_that_is_called_by_a_time_to_come_is_gone_on_with(place: Place) -> None:
    begun(place, FULL)
    cut(place, FULL, volumes=2)
    place.clock.advance(-12)  # a backup in this harness is ten seconds after the one before
    place.back_up(FULL)
    assert resumed_at(place) == "RESTART: Volumes 1 to 2 have been stored; going on with volume 3."


def test_a_volume_that_is_lost_or_cut_short_at_the_target_is_made_anew(place: Place) -> None:
    begun(place, FULL)
    cut(place, FULL, volumes=3)
    third = next(name for name in place.files if ".vol3." in name)
    place.files[third] = place.files[third][:-1]
    place.back_up(FULL)
    assert resumed_at(place) == "RESTART: Volumes 1 to 2 have been stored; going on with volume 3."
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


class Locked(GzipEnvelope):
    """As one whose passphrase is another."""

    def open(self, path: str, inside: Inside | None = None) -> Opened:
        raise EnvelopeError("decryption failed")


def test_another_passphrase_is_refused_and_nothing_is_lost(place: Place) -> None:
    begun(place, FULL)
    place.by_passphrase = True
    cut(place, FULL, volumes=2)
    stored = dict(place.files)
    place.envelope = Locked()
    with pytest.raises(OtherSettings, match="with this passphrase: decryption failed") as caught:
        place.back_up(FULL)
    assert caught.value.exit_code == 45
    assert place.files == stored
    place.envelope = None
    place.back_up(FULL)
    assert resumed_at(place) == "RESTART: Volumes 1 to 2 have been stored; going on with volume 3."


def test_volumes_in_cold_storage_cannot_prove_the_passphrase(place: Place) -> None:
    begun(place, FULL)
    place.by_passphrase = True
    cut(place, FULL, volumes=2)
    inner, cold = place.store, NeedsWarmUp("It lies in cold storage", operation="get")
    place.store = FaultyStore(inner).fail(Operation.GET, error=cold)
    place.back_up(FULL)
    assert "The interrupted backup is begun anew: It lies in cold storage" in notes(place)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


def test_what_an_interrupted_run_says_last_is_what_it_has_kept(place: Place) -> None:
    place.store = FaultyStore(inner := place.store).fail(Operation.MOVE, skip=2)
    with pytest.raises(Unavailable):
        place.back_up(FULL)
    assert notes(place).endswith("Volumes 1 to 2 of this backup are kept: the same command goes on with volume 3")
    place.store = inner
    place.back_up(FULL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


# ---- what is kept here is damaged ------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("what", ["checkpoints", "signatures", "changes", "duplicity"])
@pytest.mark.parametrize("damage", ["flip", "tear"])
def test_whatever_is_damaged_the_backup_is_right(place: Place, what: str, damage: str, share: float) -> None:
    begun(place, FULL)
    cut(place, FULL, volumes=3)
    [path] = Path(place.archive).glob(f"{'' if what == 'duplicity' else 'twofold-'}{what}*.manifest.part")
    content = bytearray(path.read_bytes())
    at = min(int(share * len(content)), len(content) - 1)
    if damage == "flip":
        content[at] ^= 1 << random.Random(at).randrange(8)
    else:
        del content[at:]
    path.write_bytes(content)
    place.back_up(FULL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)
    assert place.leftovers() == []
    assert len(place.set_ids()) == 1
    names_of_newest(place)
    assert len(place.manifest(place.set_ids()[0]).file_changes or ()) == 8


@pytest.mark.parametrize("what", ["checkpoints", "signatures", "changes"])
def test_whatever_is_lost_the_backup_is_right(place: Place, what: str) -> None:
    begun(place, FULL)
    cut(place, FULL, volumes=3)
    [path] = Path(place.archive).glob(f"twofold-{what}.*.manifest.part")
    path.unlink()
    place.back_up(FULL)
    assert resumed_at(place) == ""
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)
    assert place.leftovers() == []


def test_every_flipped_bit_of_a_checkpoint_is_seen(place: Place) -> None:
    begun(place, FULL)
    cut(place, FULL, volumes=3)
    [path] = Path(place.archive).glob("twofold-checkpoints.*")
    content = bytearray(path.read_bytes())
    sound = read_checkpoints(bytes(content))
    assert len(sound[1]) == 3
    for at in range(len(content)):
        content[at] ^= 1 << at % 8
        fingerprint, found = read_checkpoints(bytes(content))
        line = bytes(content[:at]).count(b"\n")
        assert (fingerprint, list(found)) == (sound[0] if line else "", list(sound[1][: max(0, line - 1)]))
        content[at] ^= 1 << at % 8


# ---- what a hostile reader found -------------------------------------------------------------------------------------


def _many(place: Place) -> None:
    content = random.Random(3)
    shutil.rmtree(place.source)
    for number in range(30):
        write(place, b"f%03d" % number, content.randbytes(30_000))
    os.utime(place.source, (PAST, PAST))


def test_the_last_entry_that_was_stored_becomes_a_directory(place: Place) -> None:
    _many(place)
    cut(place, FULL, volumes=2)
    last = read_checkpoints(next(Path(place.archive).glob("twofold-checkpoints.*")).read_bytes())[1][-1].position
    assert last.block is None
    replace_by_directory(place, last.path)
    write(place, last.path + b"/y/z", random.Random(4).randbytes(200_000))
    os.utime(place.source, (PAST, PAST))
    place.back_up(FULL)
    assert resumed_at(place).startswith("RESTART: Volume 1 has") or resumed_at(place) == ""
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)
    assert place.problems() == []


def test_the_same_while_it_is_read_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was decided on was right a moment ago."""
    _many(place)
    cut(place, FULL, volumes=2)
    last = read_checkpoints(next(Path(place.archive).glob("twofold-checkpoints.*")).read_bytes())[1][-1].position
    replace_by_directory(place, last.path)
    write(place, last.path + b"/y", b"below")
    os.utime(place.source, (PAST, PAST))
    monkeypatch.setattr(resumption, "_is_sound", lambda *_: True)
    place.back_up(FULL)
    monkeypatch.undo()
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)
    assert place.problems() == []


def test_what_is_complete_last_is_the_newest(place: Place) -> None:
    """Another machine has gone on with the chain before, while this full backup was interrupted."""
    place.back_up(FULL)
    cut(place, FULL, volumes=1)
    here, aside = Path(place.archive), place.folder / "aside"
    here.rename(aside)
    here.mkdir()
    place.back_up(INCREMENTAL)
    shutil.rmtree(here)
    aside.rename(here)
    write(place, b"thesis", b"the only copy")
    place.back_up(FULL)
    assert resumed_at(place) == ""
    assert place.set_ids()[-1].kind is FULL
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


def test_what_could_not_be_looked_at_before_counts_at_the_end(place: Place) -> None:
    tree = SourceTree(place.source, None, options=ScanOptions(), monitor=place.monitor)
    tree.problems = 2
    cut(place, FULL, volumes=2, tree=tree)
    summary = place.back_up(FULL)
    assert resumed_at(place) != ""
    assert summary.tally.errors == 2

"""Archives made to do harm: each row of the table in docs/format.md section 12, and what else somebody may think of.

Whoever can write to the target can write any of these, hashes and all. None of them may put a byte outside of the
folder that is restored to, pass off a wrong content as restored, keep what is sound from coming back, or take memory
that its size does not account for.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import tarfile
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support import backups
from tests.support.archive import (
    DIRECTORY,
    FILE,
    Target,
    Volume,
    delta,
    diff,
    diff_of,
    directory,
    one_volume,
    other,
    parts,
    raw,
    record_of,
    sig_file,
    sig_other,
    snapshot,
    symlink,
    volume,
)
from tests.support.envelopes import FixedPassphrases, gpg_settings, seal
from tests.support.gnupg import GnupgHome
from tests.support.programs import REPOSITORY_ROOT
from tests.support.restoring import Place, Result
from tests.support.tally import Tried, tally
from twofold.envelope.gpg import GpgEnvelope
from twofold.envelope.protocol import Envelope
from twofold.errors import BadVolume, CorruptManifest, EnvelopeError, WrongSigner
from twofold.format.difftar import Action, member_header
from twofold.format.pax import format_record
from twofold.format.tar_reader import BLOCK
from twofold.format.tar_writer import metadata_of, padding
from twofold.model.backup import FileRole, SetId, SetKind, Wrapping
from twofold.model.entry import ContentRecord, Entry, Kind
from twofold.monitor import Note, RecordingMonitor
from twofold.operations.restore import RestoreOptions, plan_restore, restore
from twofold.repository import manifests
from twofold.repository.manifests import read_manifest
from twofold.repository.repository import Repository
from twofold.tree.shortfalls import Degraded, DegradedKind

FULL, FIRST = SetId(1000), SetId(2000, 1000)
ROOT = directory(b"")
GOOD = snapshot(b"zz", b"good")
LIMIT = 24 << 20
"""Bytes of memory that no archive of a few kilobytes may take, buffers of megabytes included."""

Test = TypeVar("Test", bound=Callable[..., None])
tested: dict[str, str] = {}


def row(text: str) -> Callable[[Test], Test]:
    """Says of which row of the table a test is."""

    def noted(test: Test) -> Test:
        tested[text] = test.__name__
        return test

    return noted


def test_every_row_of_the_table_has_a_test() -> None:
    text = (REPOSITORY_ROOT / "docs" / "format.md").read_text(encoding="utf-8")
    section = text.partition("\n## 12. ")[2].partition("\n---")[0]
    rows = re.findall(r"^\| (.+?) \| .+? \| .+? \|$", section, re.MULTILINE)[1:]
    assert rows == list(tested), "in the order of the table"


@dataclass
class Attempt:
    """What came of restoring an archive."""

    result: Result
    found: dict[bytes, bytes]
    here: Place

    @property
    def code(self) -> int:
        return self.result.exit_code

    @property
    def named(self) -> list[bytes]:
        return self.result.named

    def degraded(self) -> set[DegradedKind]:
        return {event.kind for event in self.result.monitor.events if isinstance(event, Degraded)}


def attempt(folder: Path, files: dict[str, bytes], *, place: type[Place] = Place) -> Attempt:
    """Restores a target, and looks at everything beside the restored folder."""
    tally(Tried.HOSTILE)
    here = place(folder / "deep" / "er", files, attempts=1)
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "victim").write_bytes(b"untouched")
    try:
        here.synchronize()
        result = here.restore()
    except EnvelopeError as error:
        result = Result(error, RecordingMonitor())
    assert (folder / "victim").read_bytes() == b"untouched"
    assert sorted(os.listdir(folder)) == ["deep", "victim"]
    assert os.listdir(folder / "deep") == ["er"]
    assert {path.name for path in here.folder.iterdir()} <= {"tmp", "cache", "restored"}
    assert os.listdir(here.folder / "tmp") == []
    return Attempt(result, here.restored() if here.target.is_dir() else {}, here)


def from_members(folder: Path, *members: bytes, later: Sequence[bytes] = ()) -> Attempt:
    target = Target()
    target.add_set(FULL, one_volume(ROOT, *members))
    if later:
        target.add_set(FIRST, one_volume(*later))
    return attempt(folder, target.files)


def info(name: bytes, kind: bytes = tarfile.REGTYPE, *, data: bytes = b"", **changes: object) -> bytes:
    """A member as Python's tarfile writes it."""
    made = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
    made.type, made.size = kind, len(data)
    for each, value in changes.items():
        setattr(made, each, value)
    return made.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape") + data + padding(len(data))


def refused(attempted: Attempt, names: Sequence[bytes], *, found: dict[bytes, bytes] | None = None) -> None:
    """Exactly these were named, nothing came of them, and what is sound is there."""
    assert attempted.code == 1
    assert sorted(attempted.named) == sorted(names)
    assert attempted.found == {b"zz": b"good", **(found or {})}


# ---- names and kinds of entries --------------------------------------------------------------------------------------


@row("`..` component")
def test_no_name_leads_upwards(tmp_path: Path) -> None:
    names = [
        b"snapshot/../victim",
        b"snapshot/a/../../../../victim",
        b"snapshot/..",
        b"diff/../victim",
        b"deleted/../../../victim",
        b"multivol_snapshot/../victim/1",
    ]
    refused(from_members(tmp_path, *(raw(name, b"evil") for name in names), GOOD), names)


@row("`snapshot//abs/path`, empty component")
def test_no_name_is_absolute(tmp_path: Path) -> None:
    victim = os.fsencode(tmp_path / "victim")
    names = [b"snapshot/" + victim, b"snapshot//abs/path", b"snapshot/a//b", b"snapshot/a//"]
    refused(from_members(tmp_path, *(raw(name, b"evil") for name in names), GOOD), names)


@row("`.` component")
def test_a_dot_is_the_root_or_nothing(tmp_path: Path) -> None:
    names = [b"snapshot/./x", b"snapshot/a/./b", b"snapshot/a/."]
    refused(from_members(tmp_path, *(raw(name, b"evil") for name in names), GOOD), names)


@row("NUL in a name (pax)")
def test_a_nul_in_a_name_costs_that_entry(tmp_path: Path) -> None:
    strange = [b"snapshot/a\0b", b"snapshot/\0", b"snapshot/link\0"]
    made = [raw(b"snapshot/x", b"evil", extra=format_record(b"path", name)) for name in strange]
    target = raw(b"snapshot/y", entry=symlink(b"x"), extra=format_record(b"linkpath", b"a\0b"))
    refused(from_members(tmp_path, *made, target, GOOD), [*strange, b"snapshot/y"])


@row("component > 255 bytes")
def test_a_name_that_no_file_system_takes_costs_that_entry(tmp_path: Path) -> None:
    names = [b"snapshot/" + b"n" * 256, b"snapshot/d/" + b"n" * 5000 + b"/x"]
    refused(from_members(tmp_path, *(raw(name, b"evil") for name in names), GOOD), names)


@row("symlink entry `l`, then entry `l/x`")
@pytest.mark.parametrize("where", [b"../..", b"../../victim", b"/tmp", b"."])
def test_what_lies_below_a_planted_link_goes_nowhere(tmp_path: Path, where: bytes) -> None:
    link = other(b"l", symlink(where))
    below = [
        snapshot(b"l/victim", b"evil"),
        other(b"l/x", Entry(Kind.FIFO, 0o666)),
        directory(b"l/y"),
        snapshot(b"l/y/z", b"evil"),
    ]
    one = from_members(tmp_path / "one", link, *below, GOOD)
    refused(one, [b"l/victim", b"l/x", b"l/y", b"l/y/z"], found={b"l": b"-> " + where})
    later = from_members(tmp_path / "later", link, GOOD, later=below)
    refused(later, [b"l/victim", b"l/x", b"l/y", b"l/y/z"], found={b"l": b"-> " + where})


@row("file entry, then entry below it")
def test_nothing_lies_below_a_file(tmp_path: Path) -> None:
    made = from_members(tmp_path / "one", snapshot(b"f", b"good"), snapshot(b"f/x", b"evil"), GOOD)
    refused(made, [b"f/x"], found={b"f": b"good"})


@row("parent directory missing in the archive")
def test_a_missing_parent_is_made_for_the_owner_alone(tmp_path: Path) -> None:
    made = from_members(tmp_path / "one", snapshot(b"a/b/x", b"x"), GOOD)
    assert made.found == {b"a": b"/", b"a/b": b"/", b"a/b/x": b"x", b"zz": b"good"}
    assert made.degraded() == {DegradedKind.MISSING_PARENT}
    assert stat.S_IMODE(os.stat(made.here.target / "a" / "b").st_mode) == 0o700


@row("entry out of order or repeated")
def test_nothing_is_written_twice(tmp_path: Path) -> None:
    made = from_members(
        tmp_path / "one",
        snapshot(b"b", b"first"),
        snapshot(b"b", b"evil"),
        other(b"b", symlink(b"evil")),
        snapshot(b"a", b"evil"),
        GOOD,
    )
    refused(made, [b"b", b"b", b"a"], found={b"b": b"first"})


@row("unknown prefix, type 1, 7, other types")
def test_what_no_backup_holds_is_left_out(tmp_path: Path) -> None:
    kinds = [tarfile.LNKTYPE, tarfile.CONTTYPE, b"S", b"V", b"Z", b"\xff"]
    names = [b"snapshot/t%d" % number for number in range(len(kinds))]
    made = [info(name, kind, linkname="zz", data=b"") for name, kind in zip(names, kinds, strict=True)]
    strange = [b"xattr/a", b"evil", b"snapshotx/a", b"signature/a", b"multivol_snapshot/a/x", b"multivol_diff/a/0"]
    sparse = raw(b"snapshot/sparse", b"evil", extra=format_record(b"GNU.sparse.major", b"1"))
    attempted = from_members(tmp_path / "one", *made, *(raw(name, b"evil") for name in strange), sparse, GOOD)
    refused(attempted, [*names, *strange, b"snapshot/sparse"])


class AsAnybody(Place):
    """Restores without owners, as everybody but root does."""

    def restore(self, **_: object) -> Result:
        monitor = RecordingMonitor()
        repository = self.repository(monitor)
        plan = plan_restore(
            repository.collection(), repository, instant=1 << 62, within=b"", ignore_errors=False, monitor=monitor
        )
        options = RestoreOptions(os.fsencode(self.target), str(self.folder / "tmp"), restore_ownership=False)
        restore(repository, plan, options=options, monitor=monitor)
        return Result(None, monitor)


@row("setuid/setgid/device nodes")
def test_privileges_are_not_handed_to_who_restores(tmp_path: Path) -> None:
    theirs = FILE._replace(mode=0o6755, uid=54321, gid=54321)
    target = Target()
    device = Entry(Kind.CHARACTER_DEVICE, 0o666, 54321, 54321, device=(1, 3))
    target.add_set(FULL, one_volume(ROOT, other(b"null", device), snapshot(b"suid", b"x", entry=theirs), GOOD))
    made = attempt(tmp_path / "one", target.files, place=AsAnybody)
    assert stat.S_IMODE(os.stat(made.here.target / "suid").st_mode) == 0o755
    assert DegradedKind.SETUID in made.degraded()
    strange = Entry(Kind.BLOCK_DEVICE, 0o600, device=(1, 3))
    for number in (b"\xff" * 8, b"\x80" + b"\xff" * 7):
        header = bytearray(other(b"device", strange))
        header[329:337] = number
        made = from_members(tmp_path / f"later{number[0]}", resummed(header), GOOD)
        assert made.named == [b"snapshot/device"]


def resummed(member: bytearray) -> bytes:
    """A member of one header with a sound checksum."""
    total = sum(member[:148]) + 256 + sum(member[156:BLOCK])
    member[148:156] = b"%06o\0 " % total
    return bytes(member)


# ---- damaged structure -----------------------------------------------------------------------------------------------


def broken(member: bytes) -> bytes:
    """Its last header has a wrong checksum."""
    return member[:-BLOCK] + bytes([member[-BLOCK] ^ 1]) + member[-BLOCK + 1 :]


def three_volumes(middle: Volume) -> dict[str, bytes]:
    target = Target()
    volumes = [
        volume(1, [ROOT, snapshot(b"a", b"a")], first=b"", last=b"a"),
        middle,
        volume(3, [GOOD], first=b"zz", last=b"zz"),
    ]
    names = [b"a", b"b", b"c", b"d"]
    signatures = [sig_other(b"", DIRECTORY), *(sig_file(name, name) for name in names), sig_file(b"zz", b"good")]
    target.add_set(FULL, volumes, signatures)
    return target.files


@row("corrupted tar header in the middle")
def test_behind_a_damaged_header_nothing_of_the_volume_is_believed(tmp_path: Path) -> None:
    members = [snapshot(b"b", b"b"), broken(directory(b"c")), snapshot(b"d", b"d")]
    made = attempt(tmp_path / "one", three_volumes(volume(2, members, first=b"b", last=b"d")))
    refused(made, [b"c", b"d"], found={b"a": b"a", b"b": b"b"})


@row("corrupted first header")
def test_a_damaged_first_header_is_not_an_empty_volume(tmp_path: Path) -> None:
    members = [broken(directory(b"b")), snapshot(b"c", b"c"), snapshot(b"d", b"d")]
    made = attempt(tmp_path / "one", three_volumes(volume(2, members, first=b"b", last=b"d")))
    refused(made, [b"b", b"c", b"d"], found={b"a": b"a"})


def of_size(name: bytes, size: int) -> bytes:
    """A member that claims so many bytes of data and has four."""
    return (
        member_header(Action.SNAPSHOT, name, kind=Kind.REGULAR, metadata=metadata_of(FILE), size=size)
        + b"data"
        + padding(4)
    )


@row("truncated tar / size larger than volume")
@pytest.mark.parametrize("size", [5 * BLOCK, 1 << 33, 1 << 62, (1 << 63) - 1])
def test_a_size_beyond_the_volume_takes_neither_memory_nor_disk(tmp_path: Path, size: int) -> None:
    cut = volume(2, [of_size(b"b", size)], first=b"b", last=b"d", ending=b"")
    tracemalloc.start()
    try:
        made = attempt(tmp_path / "one", three_volumes(cut))
        assert tracemalloc.get_traced_memory()[1] < LIMIT
    finally:
        tracemalloc.stop()
    refused(made, [b"b", b"c", b"d"], found={b"a": b"a"})


def test_a_size_that_is_no_number_of_bytes_is_damage(tmp_path: Path) -> None:
    for number, claim in enumerate((b"-1", b"9" * 19, b"9" * 20, b"x")):
        member = raw(b"snapshot/b", extra=format_record(b"size", claim))
        made = attempt(tmp_path / f"one{number}", three_volumes(volume(2, [member], first=b"b", last=b"d")))
        refused(made, [b"b", b"c", b"d"], found={b"a": b"a"})


@row("missing middle part of a multivol file")
def test_a_file_without_one_of_its_parts_is_no_file(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    made = parts(b"big", content)
    for number in range(len(made) - 1):
        left = made[:number] + made[number + 1 :]
        attempted = from_members(tmp_path / f"one{number}", *left, GOOD)
        assert attempted.found == {b"zz": b"good"}
        assert b"big" in attempted.named
    swapped = from_members(tmp_path / "later", made[0], made[2], made[1], *made[3:], GOOD)
    assert swapped.found == {b"zz": b"good"}
    again = from_members(tmp_path / "two", *made[:2], made[1], *made[2:], GOOD)
    assert again.found == {b"zz": b"good"}


# ---- differences -----------------------------------------------------------------------------------------------------

BASIS = bytes(range(256)) * 16
MAGIC = b"rs\x026"


def from_delta(folder: Path, *deltas: bytes) -> Attempt:
    names = [b"f%03d" % number for number in range(len(deltas))]
    whole = [snapshot(name, BASIS, recorded=False) for name in names]
    return from_members(
        folder, *whole, GOOD, later=[diff_of(name, each) for name, each in zip(names, deltas, strict=True)]
    )


@row("delta: bad magic/opcode/copy range/no END")
def test_a_damaged_difference_leaves_no_file(tmp_path: Path) -> None:
    deltas = [
        b"",
        b"rs\x027\x00",
        MAGIC,
        MAGIC + b"\x03abc",
        MAGIC + b"\x55\x00",
        MAGIC + b"\xff" * 20,
        MAGIC + b"\x45\x01",
        MAGIC + b"\x47\x00" + len(BASIS).to_bytes(4, "big") + b"\x45\x00\x00\x00",
        MAGIC + b"\x46" + b"\xff" + b"\x10\x00" + b"\x00",
        delta(BASIS, BASIS[1:])[:-1],
    ]
    refused(from_delta(tmp_path / "one", *deltas), [b"f%03d" % number for number in range(len(deltas))])


@row("delta without base")
def test_a_difference_to_nothing_is_an_error(tmp_path: Path) -> None:
    made = from_members(
        tmp_path / "one",
        other(b"link", symlink(b"../../victim")),
        diff(b"new", BASIS, BASIS + b"x"),
        GOOD,
        later=[diff(b"link", BASIS, b"evil"), diff(b"other", BASIS, BASIS + b"x")],
    )
    refused(made, [b"link", b"new", b"other"])


@row("copy/literal lengths up to 2^63")
def test_lengths_beyond_all_measure_take_neither_memory_nor_disk(tmp_path: Path) -> None:
    deltas = []
    for length in (1 << 20, 1 << 31, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
        eight = length.to_bytes(8, "big")
        deltas += [MAGIC + b"\x44" + eight + b"data\x00", MAGIC + b"\x48\x00" + eight + b"\x00"]
        deltas.append(MAGIC + b"\x54" + eight + eight + b"\x00")
    tracemalloc.start()
    try:
        made = from_delta(tmp_path / "one", *deltas)
        assert tracemalloc.get_traced_memory()[1] < LIMIT
    finally:
        tracemalloc.stop()
    refused(made, [b"f%03d" % number for number in range(len(deltas))])


# ---- hashes and envelopes --------------------------------------------------------------------------------------------


def set_volume(files: dict[str, bytes], change: Callable[[bytes], bytes], number: int = 1) -> str:
    (name,) = (name for name in files if f".vol{number}." in name)
    files[name] = change(files[name])
    return name


@row("wrong SHA1")
def test_a_volume_with_another_hash_is_not_opened(tmp_path: Path) -> None:
    files = three_volumes(volume(2, [snapshot(b"b", b"evil")], first=b"b", last=b"d"))
    set_volume(files, lambda stored: stored.replace(b"evil", b"worse"), 2)
    made = attempt(tmp_path / "one", files)
    assert isinstance(made.result.error, BadVolume)
    assert made.found == {b"a": b"a", b"zz": b"good"}


@row("no Hash, only unknown Hash")
@pytest.mark.parametrize("algorithms", [(), ("sha3_256",)])
def test_a_volume_without_a_hash_is_refused(tmp_path: Path, algorithms: tuple[str, ...]) -> None:
    target = Target(algorithms=algorithms)
    target.add_set(FULL, one_volume(ROOT, GOOD))
    made = attempt(tmp_path / "one", target.files)
    assert isinstance(made.result.error, BadVolume)
    assert made.found == {}


@dataclass
class Tampered(Target):
    """Volumes are changed before the manifest gets their hashes, so that these fit."""

    change: Callable[[bytes], bytes] = bytes

    def _wrapped(self, content: bytes) -> bytes:
        return self.change(super()._wrapped(content))


@row("gzip CRC wrong, bit flips with matching SHA1")
@pytest.mark.parametrize("place", [-6, -2, 14], ids=["crc", "size", "data"])
def test_a_wrong_checksum_behind_a_right_hash_is_noticed(tmp_path: Path, place: int) -> None:
    def flip(stored: bytes) -> bytes:
        at = place % len(stored)
        return stored[:at] + bytes([stored[at] ^ 4]) + stored[at + 1 :]

    target = Tampered(Wrapping.GZIP, change=flip)
    target.add_set(FULL, one_volume(ROOT, GOOD))
    assert attempt(tmp_path / "one", target.files).code == 1


@dataclass
class Encrypted(Target):
    """Encrypted volumes; `change` is made behind their encryption and before their hash."""

    wrapping: Wrapping = Wrapping.GPG
    envelope: Envelope | None = None
    folder: Path = Path()
    change: Callable[[bytes], bytes] = bytes

    def _wrapped(self, content: bytes) -> bytes:
        assert self.envelope is not None
        path = self.folder / "volume.gpg"
        seal(self.envelope, path, [content])
        stored = path.read_bytes()
        path.unlink()
        return self.change(stored)


@dataclass
class EncryptedPlace(Place):
    """Reads with gpg."""

    envelope: Envelope | None = field(default=None)

    def repository(self, monitor: RecordingMonitor) -> Repository:
        made = super().repository(monitor)
        made._envelopes = {**made._envelopes, Wrapping.GPG: self.envelope}  # type: ignore[dict-item,attr-defined]
        return made


def from_encrypted(folder: Path, target: Encrypted, envelope: Envelope) -> Attempt:
    content = os.urandom(200_000)
    target.add_set(FULL, one_volume(ROOT, *parts(b"big", content), GOOD))
    return attempt(folder, target.files, place=lambda *given, **more: EncryptedPlace(*given, **more, envelope=envelope))  # type: ignore[arg-type]


@row("MDC failure")
def test_a_flipped_bit_of_ciphertext_lets_no_file_out(tmp_path: Path, gnupg_home: GnupgHome) -> None:
    envelope = GpgEnvelope(gpg_settings(gnupg_home.path, tmp_path / "gpg"), FixedPassphrases("open sesame"))

    def flip(stored: bytes) -> bytes:
        at = len(stored) * 9 // 10
        return stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :]

    sound = from_encrypted(tmp_path / "one", Encrypted(envelope=envelope, folder=tmp_path), envelope)
    assert set(sound.found) == {b"big", b"zz"}
    made = from_encrypted(tmp_path / "later", Encrypted(envelope=envelope, folder=tmp_path, change=flip), envelope)
    assert made.code == 31
    assert made.found == {}


@row("signature by another key")
def test_what_another_key_has_signed_lets_no_file_out(tmp_path: Path, gnupg_home: GnupgHome) -> None:
    passphrases = FixedPassphrases("open sesame", "")
    theirs = gpg_settings(gnupg_home.path, tmp_path / "gpg", sign_key=gnupg_home.bare.fingerprint)
    demanding = gpg_settings(gnupg_home.path, tmp_path / "gpg", demanded_signer=gnupg_home.locked.fingerprint)
    target = Encrypted(envelope=GpgEnvelope(theirs, passphrases), folder=tmp_path)
    made = from_encrypted(tmp_path / "one", target, GpgEnvelope(demanding, passphrases))
    assert isinstance(made.result.error, WrongSigner)
    assert made.code == 22
    assert made.found == {}


# ---- manifests, signatures, sets -------------------------------------------------------------------------------------


def manifest_of(files: dict[str, bytes]) -> str:
    (name,) = (name for name in files if name.endswith(".manifest"))
    return name


@row("manifest: empty Hostname, blank-only line")
def test_empty_lines_of_a_manifest_are_no_damage(tmp_path: Path) -> None:
    files = three_volumes(volume(2, [snapshot(b"b", b"b")], first=b"b", last=b"d"))
    name = manifest_of(files)
    files[name] = b"Hostname \n  \t \n\n" + files[name].partition(b"\n")[2].replace(b"    Hash", b" \n    Hash")
    made = attempt(tmp_path / "one", files)
    assert made.code == 0
    assert made.found == {b"a": b"a", b"b": b"b", b"zz": b"good"}


@row("manifest: duplicate volumes")
def test_of_a_volume_listed_twice_the_last_section_counts(tmp_path: Path) -> None:
    files = three_volumes(volume(2, [snapshot(b"b", b"b")], first=b"b", last=b"d"))
    name = manifest_of(files)
    wrong = b"Volume 2:\n    StartingPath   zzz  \n    EndingPath     zzz  \n    Hash SHA1 " + b"0" * 40 + b"\n"
    files[name] = files[name].replace(b"Volume 2:", wrong + wrong.replace(b"Volume 2", b"Volume 9") + b"Volume 2:")
    made = attempt(tmp_path / "one", files)
    assert made.code == 0
    assert made.found == {b"a": b"a", b"b": b"b", b"zz": b"good"}


@row("signature with bad magic/short")
@pytest.mark.parametrize(
    "hostile", [b"", b"rs\x01", b"rs\x01\x47" + b"\xff" * 8, b"rs\x01\x36\0\0\0\0\0\0\0\x08" + b"x" * 24]
)
def test_a_signature_that_is_none_is_answered_with_a_whole_copy(tmp_path: Path, hostile: bytes) -> None:
    tally(Tried.HOSTILE)
    here = backups.Place(tmp_path / "one", wrapping=Wrapping.PLAIN)
    source = Path(os.fsdecode(here.source))
    content = os.urandom(40_000)
    (source / "f").write_bytes(content)
    here.back_up()
    (name,) = (name for name in here.files if "signatures" in name)
    stream = here.files[name]
    at = stream.index(b"rs\x01\x47")
    length = int(stream[at - BLOCK + 124 : at - BLOCK + 135], 8)
    here.files[name] = stream[:at] + (hostile + bytes(length))[:length] + stream[at + length :]
    for path in Path(here.archive).iterdir():
        path.unlink()
    (source / "f").write_bytes(content + b"more")
    here.back_up(SetKind.INCREMENTAL)
    volumes = b"".join(here.volumes(here.set_ids()[-1]))
    assert b"snapshot/f" in volumes
    assert (Path(os.fsdecode(here.restore())) / "f").read_bytes() == content + b"more"


@row("uid/gid/mtime negative or huge; pax mtime < 0")
def test_numbers_beyond_their_range_cost_no_file(tmp_path: Path) -> None:
    made = from_members(
        tmp_path / "one",
        info(b"snapshot/a", data=b"a", mtime=-1.5, uid=0, gid=0),
        info(b"snapshot/b", data=b"b", mtime=1 << 70),
        info(b"snapshot/c", data=b"c", uid=1 << 60, gid=(1 << 32) - 1),
        raw(b"snapshot/d", b"d", extra=format_record(b"uid", b"-5") + format_record(b"gid", b"9" * 40)),
        raw(b"snapshot/e", b"e", extra=format_record(b"mtime", b"-9" + b"9" * 30 + b".5")),
        raw(b"snapshot/f", b"f", extra=format_record(b"mtime", b"nan") + format_record(b"uid", b"\xff")),
        GOOD,
    )
    assert made.code == 0
    assert made.found == {**{bytes([each]): bytes([each]) for each in b"abcdef"}, b"zz": b"good"}
    assert os.stat(made.here.target / "a").st_mtime == 0


class Endless:
    """A stream without end; counts what was read of it."""

    def __init__(self, unit: bytes) -> None:
        self.block = unit * ((1 << 20) // len(unit))
        self.given = 0

    def read(self, size: int, /) -> bytes:
        self.given += len(self.block)
        return self.block


@pytest.mark.parametrize(
    "unit",
    [b"a", b"\0", b"\n", b"Filelist \n" + b"x" * 1000 + b"\n", b"Volume 1:\n", b"Hash SHA1 " + b"0" * 40 + b"\n"],
    ids=["long line", "zeros", "empty lines", "lists", "volumes", "hashes"],
)
def test_a_manifest_without_end_ends_where_it_makes_no_sense(monkeypatch: pytest.MonkeyPatch, unit: bytes) -> None:
    tally(Tried.HOSTILE)
    monkeypatch.setattr(manifests, "_LARGEST", 2 << 20)
    source = Endless(unit)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptManifest):
            read_manifest(source, "manifest", None)
        assert tracemalloc.get_traced_memory()[1] < LIMIT
    finally:
        tracemalloc.stop()
    assert source.given <= 20 << 20


@row("decompression bomb")
def test_a_file_that_inflates_to_more_than_it_says_ends_there(tmp_path: Path) -> None:
    """What is behind it is inflated a block at a time and goes nowhere."""
    target = Target(Wrapping.GZIP)
    claimed = ContentRecord(BLOCK, 1000, record_of(b"").digest)
    target.add_set(FULL, one_volume(ROOT, snapshot(b"bomb", b"x"), GOOD))
    target.add_set(FIRST, one_volume(*parts(b"bomb", bytes(8 << 20), record=claimed)))
    assert sum(map(len, target.files.values())) < 100_000
    tracemalloc.start()
    try:
        made = attempt(tmp_path / "one", target.files)
        assert tracemalloc.get_traced_memory()[1] < LIMIT
    finally:
        tracemalloc.stop()
    refused(made, [b"bomb"])


def test_a_bomb_for_a_manifest_fills_no_disk(tmp_path: Path) -> None:
    target = Target()
    target.add_set(FULL, one_volume(ROOT, GOOD))
    name = manifest_of(target.files)
    del target.files[name]
    target.files[name + ".gz"] = gzip.compress(b"a" * (16 << 20), 1)
    made = attempt(tmp_path / "one", target.files)
    assert made.code != 0
    assert made.found == {}
    assert sum(path.stat().st_size for path in made.here.cache.iterdir()) < 1 << 20


@row("two files with one volume number; volume 0")
def test_a_planted_second_file_for_a_volume_does_not_hide_the_right_one(tmp_path: Path) -> None:
    files = three_volumes(volume(2, [snapshot(b"b", b"b")], first=b"b", last=b"d"))
    (name,) = (name for name in files if ".vol2." in name)
    files[name + ".gz"] = gzip.compress(b"evil")
    files[name.replace("vol2", "vol02")] = b"evil"
    files[name.replace("vol2", "vol0")] = b"evil"
    made = attempt(tmp_path / "one", files)
    assert made.code == 0
    assert made.found == {b"a": b"a", b"b": b"b", b"zz": b"good"}


@row("set without manifest as newest")
def test_a_newest_set_without_manifest_is_passed_over_with_a_word(tmp_path: Path) -> None:
    target = Target()
    target.add_set(FULL, one_volume(ROOT, GOOD))
    target.add_set(FIRST, one_volume(snapshot(b"zz", b"newer")))
    del target.files[target.name(FIRST, FileRole.MANIFEST)]
    made = attempt(tmp_path / "one", target.files)
    assert made.code == 0
    assert made.found == {b"zz": b"good"}
    assert any(isinstance(event, Note) and event.warning for event in made.result.monitor.events)


# ---- beyond the table ------------------------------------------------------------------------------------------------


def linked(path: bytes, first: bytes, content: bytes = b"data") -> bytes:
    return raw(b"snapshot/" + path, content, extra=format_record(b"TWOFOLD.links_to", first))


def test_hard_links_in_a_circle_or_to_elsewhere_become_files(tmp_path: Path) -> None:
    made = from_members(
        tmp_path / "one",
        linked(b"a", b"b"),
        linked(b"b", b"a"),
        linked(b"c", b"c"),
        linked(b"d", b"../../../victim"),
        linked(b"e", b"/etc/passwd"),
        linked(b"f", b"nowhere"),
        other(b"g", symlink(b"../..")),
        linked(b"h", b"g/victim"),
        GOOD,
    )
    assert {name: made.found[name] for name in (b"a", b"b", b"c", b"d", b"e", b"f", b"h")} == dict.fromkeys(
        (b"a", b"b", b"c", b"d", b"e", b"f", b"h"), b"data"
    )
    assert os.stat(tmp_path / "one" / "victim").st_nlink == 1


@pytest.mark.parametrize("number", [10**9, 10**17])
def test_a_volume_number_beyond_all_measure_counts_as_one_volume(tmp_path: Path, number: int) -> None:
    files = three_volumes(volume(2, [snapshot(b"b", b"b")], first=b"b", last=b"d"))
    name = manifest_of(files)
    section = b"Volume %d:\n    StartingPath   zzz  \n    EndingPath     zzz  \n    Hash SHA1 %b\n" % (
        number,
        b"0" * 40,
    )
    files[name] = files[name].replace(b"Filelist", section + b"Filelist")
    tracemalloc.start()
    try:
        made = attempt(tmp_path / "one", files)
        assert tracemalloc.get_traced_memory()[1] < LIMIT
    finally:
        tracemalloc.stop()
    assert made.code == 1
    assert f"{number}" in str(made.result.error)


def test_a_manifest_of_very_many_volumes_is_read_in_time_and_memory_of_its_size(tmp_path: Path) -> None:
    tally(Tried.HOSTILE)
    section = b"Volume %d:\n StartingPath a\n EndingPath a\n"
    content = b"".join(section % number for number in range(1, 501)) + b"Filelist 0\n"
    tracemalloc.start()
    try:
        assert len(read_manifest(io.BytesIO(content), "manifest", None).volumes) == 500
        assert tracemalloc.get_traced_memory()[1] < 40 * len(content)
    finally:
        tracemalloc.stop()


def test_sets_in_a_circle_are_no_chain(tmp_path: Path) -> None:
    target = Target()
    target.add_set(FULL, one_volume(ROOT, GOOD))
    for circle in (SetId(3000, 2000), SetId(2000, 3000), SetId(500, 1000)):
        target.add_set(circle, one_volume(snapshot(b"zz", b"evil")))
    target.add_set(SetId(1000, 1000), one_volume(snapshot(b"yy", b"of the same second")))
    made = attempt(tmp_path / "one", target.files)
    assert made.code == 0
    assert made.found == {b"yy": b"of the same second", b"zz": b"good"}


def test_extended_headers_without_end_are_damage(tmp_path: Path) -> None:
    endless = [
        raw(b"snapshot/b", extra=format_record(b"comment", b"c" * (9 << 20))),
        b"".join(raw(b"x", format_record(b"path", b"snapshot/b"), entry=FILE)[:0] + extended(b"x") for _ in range(40)),
        b"".join(extended(b"g", b"k%d" % number, b"v" * 20_000) for number in range(8)) + snapshot(b"b", b"b"),
    ]
    for number, member in enumerate(endless):
        made = attempt(tmp_path / f"one{number}", three_volumes(volume(2, [member], first=b"b", last=b"d")))
        refused(made, [b"b", b"c", b"d"], found={b"a": b"a"})


def extended(kind: bytes, key: bytes = b"comment", value: bytes = b"c") -> bytes:
    record = format_record(key, value)
    header = bytearray(raw(b"extended", record))
    header[156:157] = kind
    return resummed(bytearray(header[:BLOCK])) + bytes(header[BLOCK:])


def test_holes_beyond_the_file_make_it_no_larger(tmp_path: Path) -> None:
    holes = [b"0+%d" % (1 << 62), b"%d+1" % (1 << 62), b"0+4096,4096+9223372036854771711", b"1+1,0+1", b"0+0"]
    members = [
        raw(b"snapshot/h%d" % number, b"data", extra=format_record(b"TWOFOLD.holes", hole))
        for number, hole in enumerate(holes)
    ]
    made = from_members(tmp_path / "one", *members, GOOD)
    assert made.found == {**{b"h%d" % number: b"data" for number in range(len(holes))}, b"zz": b"good"}


def test_names_that_a_terminal_would_obey_are_restored_as_they_are(tmp_path: Path) -> None:
    names = [
        b"\x1b[2J\x1b]0;evil\x07",
        b"a\nERROR 0 \n",
        b"\xff\xfe",
        b"\xe2\x80\xae gpj.exe",
        b"-rf",
        b"~",
        b"$(evil)",
    ]
    made = from_members(tmp_path / "one", *(snapshot(name, name) for name in sorted(names)))
    assert made.code == 0
    assert made.found == {name: name for name in names}


def test_attributes_of_the_system_are_not_anybodys_to_set(tmp_path: Path) -> None:
    """What is refused is told and costs no file."""
    extra = b"".join(
        format_record(b"SCHILY.xattr." + name, b"evil")
        for name in (b"security.evil", b"nonsense", b"user." + b"n" * 300)
    )
    made = from_members(tmp_path / "one", raw(b"snapshot/x", b"x", extra=extra), GOOD)
    assert made.found == {b"x": b"x", b"zz": b"good"}

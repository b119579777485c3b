"""Where reading may begin inside a volume: what is noted, what is found again, and what becomes of wrong lists."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.archive import snapshot
from twofold.collection.sets import BackupSet
from twofold.envelope.protocol import Piece
from twofold.format.manifest import BlockPosition, VolumeRecord
from twofold.format.names import NameCodec
from twofold.model.backup import SetId
from twofold.pipeline.entrances import Entrance, EntranceWriter, Stretch, find_stretch, stretch_of
from twofold.pipeline.members import Chunk
from twofold.pipeline.seal import Pressed
from twofold.repository.archive_dir import ArchiveDir

MIB = 1 << 20
SET = BackupSet(SetId(1000), {})
DIGEST = "ab" * 32
ENTRANCES = [Entrance(0, b"a"), Entrance(10, b"d"), Entrance(20, b"d/x"), Entrance(30, b"d-"), Entrance(40, b"m")]


def pressed(volume: int, path: bytes | None, *, packed: int, raw: int = MIB) -> Pressed:
    chunk = Chunk(0, volume, bytearray())
    chunk.used = raw
    chunk.first = None if path is None else BlockPosition(path)
    return Pressed(chunk, Piece(bytes(packed), raw, 0))


def record(digest: str = DIGEST, number: int = 1) -> VolumeRecord:
    hashes = (("SHA1", "cd" * 20), ("SHA256", digest))
    return VolumeRecord(number, BlockPosition(b""), BlockPosition(b"z"), hashes)


@pytest.fixture
def archive_dir(tmp_path: Path) -> ArchiveDir:
    return ArchiveDir(str(tmp_path), NameCodec())


def write(archive_dir: ArchiveDir, *volumes: list[Pressed]) -> None:
    """Volume 1 gets DIGEST, the others some of their own."""
    writer = EntranceWriter(archive_dir, wanted=True)
    for number, chunks in enumerate(volumes, start=1):
        assert list(writer.watch(chunks)) == chunks
        writer.add(number, DIGEST if number == 1 else f"{number:064x}")
    writer.commit(SET.id)
    writer.abort()


@pytest.mark.parametrize(
    ("path", "begin", "end"),
    [
        (b"a", 0, 20),  # what begins at an entrance may be a later part: never before the one in front
        (b"b", 0, 20),
        (b"d", 0, 40),  # and all below it, with one entrance behind
        (b"d/x", 10, 40),
        (b"d/y", 20, 40),
        (b"d-", 20, None),
        (b"m", 30, None),
        (b"z", 40, None),
    ],
)
def test_a_path_is_read_from_the_entrance_before_it_to_the_second_behind_it(
    path: bytes, begin: int, end: int | None
) -> None:
    found = stretch_of(ENTRANCES, path)
    assert found is not None
    assert (found.begin.offset, found.end) == (begin, end)


@pytest.mark.parametrize(
    "entrances",
    [
        ENTRANCES[1:],  # what is wanted may stand before it
        [ENTRANCES[0], ENTRANCES[2], ENTRANCES[1]],
        [Entrance(0, b"a"), Entrance(20, b"b"), Entrance(20, b"c"), Entrance(30, b"d")],
        [Entrance(0, b"a"), Entrance(10, b"c"), Entrance(20, b"b"), Entrance(30, b"d")],
    ],
)
def test_lists_that_no_volume_can_have_are_not_used(entrances: list[Entrance]) -> None:
    assert stretch_of(entrances, b"z") is None
    assert stretch_of(entrances, b"b") is None


def test_where_nothing_can_be_left_out_there_is_no_stretch() -> None:
    assert stretch_of([], b"a") is None
    assert stretch_of(ENTRANCES[:1], b"a") is None
    assert stretch_of([Entrance(0, b"a"), Entrance(9, b"d")], b"c") is None


def test_what_is_noted_is_found_again_by_the_hash_of_the_volume(archive_dir: ArchiveDir) -> None:
    first = [pressed(1, b"a", packed=100, raw=2 * MIB), pressed(1, None, packed=5), pressed(1, b"m", packed=7)]
    second = [pressed(2, b"n", packed=1, raw=2 * MIB), pressed(2, b"q", packed=1)]
    write(archive_dir, first, second)
    assert find_stretch(archive_dir, SET, record(), b"x") == Stretch(Entrance(105, b"m"), None)
    assert find_stretch(archive_dir, SET, record(f"{2:064x}"), b"x") == Stretch(Entrance(1, b"q"), None)
    assert find_stretch(archive_dir, SET, record("00" * 32), b"x") is None
    no_hash = VolumeRecord(1, BlockPosition(b""), BlockPosition(b"z"), (("SHA1", "cd" * 20),))
    assert find_stretch(archive_dir, SET, no_hash, b"x") is None
    assert find_stretch(archive_dir, BackupSet(SetId(2000), {}), record(), b"x") is None


def test_near_entrances_are_left_out_and_large_files_have_two(archive_dir: ArchiveDir) -> None:
    small = [pressed(1, b"%03d" % number, packed=10) for number in range(100)]
    large = [pressed(1, b"large", packed=10) for _ in range(100)]
    write(archive_dir, [*small, *large, *(pressed(1, each, packed=10) for each in (b"n", b"o", b"p", b"q"))])
    for path, begin, end in ((b"050", 480, 540), (b"large", 980, 2030), (b"m", 1990, 2030), (b"o", 1990, None)):
        found = find_stretch(archive_dir, SET, record(), path)
        assert found is not None
        assert (found.begin.offset, found.end) == (begin, end), path
    assert os.path.getsize(archive_dir.entrances_path(SET.id)) < 500


def test_a_volume_with_one_entrance_is_not_worth_a_file(archive_dir: ArchiveDir) -> None:
    write(archive_dir, [pressed(1, b"a", packed=10)])
    assert list(archive_dir.list()) == []


def test_what_is_not_wanted_or_not_committed_leaves_no_file(archive_dir: ArchiveDir) -> None:
    chunks = [pressed(1, b"a", packed=10, raw=2 * MIB), pressed(1, b"b", packed=10)]
    unwanted = EntranceWriter(archive_dir, wanted=False)
    assert list(unwanted.watch(chunks)) == chunks
    unwanted.add(1, DIGEST)
    unwanted.commit(SET.id)
    given_up = EntranceWriter(archive_dir, wanted=True)
    assert list(given_up.watch(chunks)) == chunks
    given_up.add(1, DIGEST)
    assert len(list(archive_dir.list())) == 1
    given_up.abort()
    given_up.abort()
    assert list(archive_dir.list()) == []


def test_a_damaged_list_is_not_used(archive_dir: ArchiveDir) -> None:
    write(archive_dir, [pressed(1, b"a", packed=100, raw=2 * MIB), pressed(1, b"m", packed=7)])
    path = Path(archive_dir.entrances_path(SET.id))
    whole = path.read_bytes()
    sound = find_stretch(archive_dir, SET, record(), b"x")
    assert sound is not None
    for at in range(0, len(whole), 4):
        path.write_bytes(whole[:at])
        assert find_stretch(archive_dir, SET, record(), b"x") is None
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 0x55,)) + whole[at + 1 :])
        assert find_stretch(archive_dir, SET, record(), b"x") is None


def test_a_stretch_is_sound_only_where_its_path_stands() -> None:
    inside = Stretch(Entrance(7, b"m"), 9).inside()
    assert (inside.begin, inside.end) == (7, 9)
    assert inside.is_sound(snapshot(b"m", b"content"))
    assert not inside.is_sound(snapshot(b"n", b"content"))
    assert not inside.is_sound(snapshot(b"m", b"content")[3:])
    assert not inside.is_sound(b"")

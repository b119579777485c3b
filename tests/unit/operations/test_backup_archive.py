"""What a backup writes, checked on the stored bytes with Python's own tar reader against docs/format.md, appendix B."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.backups import Place, tar_members
from twofold.format.names import NameCodec
from twofold.model.backup import FileRole, SetId, SetKind, Wrapping
from twofold.model.relpath import order_key
from twofold.rsync import SignatureBuilder, SignatureKind, patch_bytes
from twofold.storage.store import Operation
from twofold.storage.testing.recording import RecordingStore

PART = 65536
OLD = random.Random(5).randbytes(1_000_000)
NEW = random.Random(6).randbytes(200_001)


class Member(NamedTuple):
    """One tar member with its name taken apart."""

    prefix: str
    path: bytes
    part: int | None
    type: bytes
    data: bytes
    mtime: float


def members_of(stream: bytes) -> list[Member]:
    found = []
    for info, data in tar_members(stream):
        prefix, _, path = os.fsencode(info.name).partition(b"/")
        part = None
        if prefix.startswith(b"multivol"):
            path, _, digits = path.rpartition(b"/")
            part = int(digits)
        path = b"" if path in (b".", b"./") else path.rstrip(b"/")
        found.append(Member(prefix.decode(), path, part, info.type, data, info.mtime))
    return found


def put(place: Place, name: bytes, content: bytes) -> None:
    path = os.path.join(place.source, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


@pytest.fixture(params=[Wrapping.GZIP, Wrapping.PLAIN], ids=["gzip", "plain"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A full backup and an increment with every kind of change."""
    place = Place(tmp_path, request.param)
    put(place, b"big", OLD)
    put(place, b"dir/b", b"1")
    put(place, b"dir/sub/f", b"2")
    put(place, b"dir-x/f", b"3")
    put(place, b"dir.y", b"a file")
    put(place, b"exact", OLD[:PART])
    put(place, b"long" * 30 + b"/" + b"\xff\xfe" * 20, b"4")
    put(place, b"gone/one/two", b"5")
    os.symlink(b"t" * 150, os.path.join(place.source, b"link"))
    os.mkfifo(os.path.join(place.source, b"pipe"))
    put(place, b"before 1970", b"6")
    os.utime(os.path.join(place.source, b"before 1970"), ns=(0, -5 * 10**9))
    # The header of part 10 of this one no longer fits one block: multivol_snapshot/ + 80 + /9 are 100 bytes.
    put(place, b"n" * 80, OLD[::-1])
    place.back_up(SetKind.FULL)
    put(place, b"big", OLD[:400_000] + NEW + OLD[400_000:700_000] + OLD[:150_000])
    put(place, b"dir/b", b"other")
    os.unlink(os.path.join(place.source, b"gone/one/two"))
    os.rmdir(os.path.join(place.source, b"gone/one"))
    os.rmdir(os.path.join(place.source, b"gone"))
    os.unlink(os.path.join(place.source, b"dir.y"))
    put(place, b"dir.y/f", b"now a directory")
    place.back_up(SetKind.INCREMENTAL)
    return place


def difftar(place: Place, set_id: SetId) -> list[Member]:
    return [member for volume in place.volumes(set_id) for member in members_of(volume)]


def test_every_tar_is_in_order_without_repetitions(place: Place) -> None:
    for set_id in place.set_ids():
        keys = [order_key(member.path) for member in members_of(place.signatures(set_id))]
        assert keys == sorted(set(keys))
        places = [(order_key(member.path), member.part or 0) for member in difftar(place, set_id)]
        assert places == sorted(set(places))


def test_prefixes_and_types_are_those_that_duplicity_takes(place: Place) -> None:
    for set_id in place.set_ids():
        for member in difftar(place, set_id):
            words = {"snapshot", "deleted", "diff", "multivol_snapshot", "multivol_diff"}
            assert member.prefix in words
            assert member.type in b"023456"
            assert member.mtime >= 0
            assert len(member.data) <= PART
        for member in members_of(place.signatures(set_id)):
            assert member.prefix in {"signature", "snapshot", "deleted"}
            assert (member.prefix == "signature") == (member.type == b"0" and member.prefix != "deleted")
            assert member.mtime >= 0


def test_the_root_comes_first_and_is_written_as_duplicity_knows_it(place: Place) -> None:
    full = place.set_ids()[0]
    volume, signatures = tar_members(place.volumes(full)[0]), tar_members(place.signatures(full))
    assert (volume[0][0].name, volume[0][0].type) in {("snapshot/./", b"5"), ("snapshot/.", b"5")}
    assert (signatures[0][0].name, signatures[0][0].type) in {("snapshot/", b"5"), ("snapshot", b"5")}


def test_the_signature_file_lists_exactly_what_the_volumes_hold(place: Place) -> None:
    for set_id in place.set_ids():
        stored = {member.path for member in difftar(place, set_id)}
        signed = [member.path for member in members_of(place.signatures(set_id))]
        assert set(signed) == stored
        regular = {
            member.path for member in difftar(place, set_id) if member.prefix != "deleted" and member.type == b"0"
        }
        assert {m.path for m in members_of(place.signatures(set_id)) if m.prefix == "signature"} == regular


def test_parts_are_of_64_kib_and_count_from_one_and_only_the_last_is_shorter(place: Place) -> None:
    for set_id in place.set_ids():
        parts: dict[bytes, list[Member]] = {}
        for member in difftar(place, set_id):
            if member.part is not None:
                parts.setdefault(member.path, []).append(member)
        assert parts
        for found in parts.values():
            assert [member.part for member in found] == list(range(1, len(found) + 1))
            assert {len(member.data) for member in found[:-1]} == {PART}
            assert len(found[-1].data) < PART
    exact = [member for member in difftar(place, place.set_ids()[0]) if member.path == b"exact"]
    assert [len(member.data) for member in exact] == [PART, 0]


def contents(place: Place, set_id: SetId) -> dict[bytes, tuple[str, bytes]]:
    found: dict[bytes, tuple[str, bytes]] = {}
    for member in difftar(place, set_id):
        if member.type == b"0" and member.prefix != "deleted":
            found[member.path] = (
                member.prefix.removeprefix("multivol_"),
                found.get(member.path, ("", b""))[1] + member.data,
            )
    return found


def test_contents_deltas_and_signatures_say_what_the_files_say(place: Place) -> None:
    full, increment = place.set_ids()
    old, new = contents(place, full), contents(place, increment)
    assert old[b"n" * 80] == ("snapshot", OLD[::-1])
    assert new[b"big"][0] == "diff"
    for path, (word, data) in new.items():
        with open(os.path.join(place.source, path), "rb") as file:
            expected = file.read()
        assert (patch_bytes(old[path][1], data, 1 << 30) if word == "diff" else data) == expected
        signature = next(m.data for m in members_of(place.signatures(increment)) if m.path == path)
        maker = SignatureBuilder(
            SignatureKind(int.from_bytes(signature[:4], "big")),
            int.from_bytes(signature[4:8], "big"),
            int.from_bytes(signature[8:12], "big"),
        )
        maker.update(expected)
        maker.finish()
        assert maker.take() == signature


def test_everything_below_a_removed_directory_is_deleted_one_by_one(place: Place) -> None:
    increment = place.set_ids()[1]
    for members in (difftar(place, increment), members_of(place.signatures(increment))):
        assert [m.path for m in members if m.prefix == "deleted"] == [b"gone", b"gone/one", b"gone/one/two"]


def test_the_manifest_describes_each_volume_as_it_is_stored(place: Place) -> None:
    for set_id in place.set_ids():
        volumes = place.manifest(set_id).volumes
        assert [volume.number for volume in volumes] == list(range(1, len(volumes) + 1))
        streams = place.volumes(set_id)
        assert len(streams) == len(volumes)
        parts: dict[bytes, int] = {}
        for member in difftar(place, set_id):
            parts[member.path] = max(parts.get(member.path, 0), member.part or 0)
        for record, stream in zip(volumes, streams, strict=True):
            members = members_of(stream)
            for position, member in ((record.first, members[0]), (record.last, members[-1])):
                is_last = member.part == parts[member.path]
                assert position == (member.path, None if is_last else member.part)
            assert len(stream) % 512 == 0
            assert stream.endswith(bytes(512))
    hashes = {hashlib.sha1(content).hexdigest() for content in place.files.values()}
    for set_id in place.set_ids():
        assert {volume.hash_of("SHA1") for volume in place.manifest(set_id).volumes} <= hashes


def test_no_volume_is_larger_than_asked_for_and_none_is_empty(place: Place) -> None:
    codec = NameCodec()
    sizes = [
        len(content)
        for name, content in place.files.items()
        if (meaning := codec.parse(name)) is not None and meaning.role is FileRole.VOLUME
    ]
    assert len(sizes) > 5
    assert max(sizes) <= place.volume_size
    assert all(members_of(volume) for set_id in place.set_ids() for volume in place.volumes(set_id))


def test_the_times_of_a_chain_follow_each_other(place: Place) -> None:
    full, increment = place.set_ids()
    assert increment.start == full.end
    assert increment.end > full.end


def test_an_increment_without_changes_is_one_empty_volume(place: Place) -> None:
    summary = place.back_up(SetKind.INCREMENTAL)
    assert place.volumes(summary.set_id) == [bytes(10240)]
    assert place.signatures(summary.set_id) == bytes(10240)
    record = place.manifest(summary.set_id).volumes[0]
    assert (record.first, record.last) == ((b"", None), (b"", None))
    assert place.manifest(summary.set_id).file_changes == ()


def test_an_increment_without_changes_can_be_left_out(place: Place) -> None:
    before = dict(place.files)
    summary = place.back_up(SetKind.INCREMENTAL, skip_if_no_change=True)
    assert summary.skipped
    assert place.files == before
    assert place.leftovers() == []


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_volumes_are_the_same_whatever_the_number_of_threads(tmp_path: Path, workers: int) -> None:
    place = Place(tmp_path)
    for number in range(40):
        put(place, b"%02d" % number, OLD[number * 1000 : number * 20_000])
    for number in range(40):
        os.utime(os.path.join(place.source, b"%02d" % number), ns=(10**18, 10**18))
    first = place.back_up(SetKind.FULL, workers=3)
    second = place.back_up(SetKind.FULL, workers=workers)
    assert place.volumes(first.set_id) == place.volumes(second.set_id)
    assert len(place.volumes(first.set_id)) > 2


def test_volumes_come_first_then_the_signatures_and_the_manifest_last(tmp_path: Path) -> None:
    place = Place(tmp_path)
    recording = RecordingStore(place.store)
    place.store = recording
    put(place, b"big", OLD)
    place.back_up(SetKind.FULL)
    codec = NameCodec()
    stored = [codec.parse(call.name) for call in recording.calls if call.operation in (Operation.PUT, Operation.MOVE)]
    roles = [(meaning.role, meaning.volume) for meaning in stored if meaning is not None]
    volumes = [(FileRole.VOLUME, number) for number in range(1, len(roles) - 1)]
    assert roles == [*volumes, (FileRole.SIGNATURES, None), (FileRole.MANIFEST, None)]
    assert len(volumes) > 2


def test_two_full_backups_in_one_second_are_two_sets(tmp_path: Path) -> None:
    place = Place(tmp_path)
    put(place, b"f", b"1")
    place.back_up(SetKind.FULL)
    place.clock.advance(-10)
    place.back_up(SetKind.FULL)
    assert len(place.set_ids()) == 2


@pytest.mark.parametrize("content", [b"small", OLD], ids=["small", "in parts"])
def test_a_single_file_is_a_source_as_well(tmp_path: Path, content: bytes) -> None:
    place = Place(tmp_path)
    os.rmdir(place.source)
    for each in (content, content + b"more", b"x" + content):
        with open(place.source, "wb") as file:
            file.write(each)
        place.back_up()
        with open(place.restore(), "rb") as file:
            assert file.read() == each
    assert place.problems() == []

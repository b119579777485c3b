"""Usual members read in one go: the same as in general, and nothing that is not sound is taken for usual."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from tests.support.archive import parts as large_in_parts
from twofold.errors import CorruptTar
from twofold.format.difftar import PART_SIZE, Action, DiffMember, content_header, interpret
from twofold.format.records import content_value
from twofold.format.tar_reader import TarMember, TarReader
from twofold.format.tar_writer import metadata_of, padding
from twofold.format.volume_reader import VolumeReader
from twofold.model.entry import ContentRecord, Entry, Kind

FILE = Entry(Kind.REGULAR, 0o644, 1000, 1000, b"u", b"g", 1_700_000_000_123_456_789, True)
WHOLE_SECOND = FILE._replace(mtime_ns=1_700_000_000 * 10**9, mtime_exact=False)
CONTENT = ContentRecord(4096, 5, b"d" * 32)
DATA = b"12345"


def stored(path: bytes, entry: Entry = FILE, part: int | None = None) -> bytes:
    made, _ = content_header(
        Action.SNAPSHOT,
        path,
        metadata=metadata_of(entry),
        size=len(DATA),
        part=part,
        content=content_value(CONTENT),
    )
    return made + DATA + padding(len(DATA))


def total_of(block: bytes | bytearray) -> int:
    """What the checksum of a header must be."""
    return sum(block) - sum(block[148:156]) + 8 * 32


class Counting(VolumeReader):
    """Counts the members that were not of the usual kind."""

    unusual = 0

    def next_member(self) -> TarMember | None:
        self.unusual += 1
        return super().next_member()


def outcome(members: Callable[[], DiffMember | None]) -> list[object]:
    found: list[object] = []
    try:
        while (member := members()) is not None:
            found.append(member)
    except CorruptTar as error:
        found.append(str(error))
    return found


def both_ways(stream: bytes) -> tuple[list[object], list[object], int]:
    usual, general = Counting(io.BytesIO(stream)), TarReader(io.BytesIO(stream))

    def in_general() -> DiffMember | None:
        member = general.next_member()
        return None if member is None else interpret(member)

    expected = outcome(in_general)
    assert in_runs(stream) == expected
    return outcome(usual.next), expected, usual.unusual


def in_runs(stream: bytes) -> list[object]:
    """The members as the runs give them, the others in between."""
    reader = VolumeReader(io.BytesIO(stream))
    found: list[object] = []

    def following() -> DiffMember | None:
        member = reader.next()
        if member is not None and (run := reader.run(None)) is not None:
            for at, path in enumerate(run.paths):
                found.append(DiffMember(Action.SNAPSHOT, path, None, run.entry(at), run.sizes[at]))
            return found.pop()  # type: ignore[return-value]
        return member

    def all_of() -> DiffMember | None:
        member = following()
        if member is not None:
            found.append(member)
        return member

    try:
        while all_of() is not None:
            pass
    except CorruptTar as error:
        found.append(str(error))
    return found


@pytest.mark.parametrize("entry", [FILE, WHOLE_SECOND])
@pytest.mark.parametrize("part", [None, 1, 2])
def test_only_the_first_of_many_alike_goes_the_general_way(entry: Entry, part: int | None) -> None:
    stream = b"".join(stored(b"d/file %d" % number, entry, part) for number in range(100))
    found, expected, unusual = both_ways(stream)
    assert found == expected
    assert len(found) == 100
    assert unusual == 2, "the first, whose owner has not been met, and the end"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"30 mtime=", b"31 mtime="),
        (b"30 mtime=", b"29 mtime="),
        (b"30 mtime=", b"00 mtime="),
        (b"117 TWOFOLD", b"118 TWOFOLD"),
        (b"117 TWOFOLD", b"017 TWOFOLD"),
        (b"0000004096,", b"0000000000,"),
        (b"0000004096,", b"9999999999,"),
        (b",00000000000000000005,", b",99999999999999999999,"),
        (b"mtime=1700000000.", b"mtime=9999999999."),
        (b"TWOFOLD.content", b"TWOFOLD.Content"),
        (b"6464", b"64G4"),
        (b"snapshot/file", b"snapshot/f\0le"),
        (b"snapshot/file", b"snapshot/./ee"),
        (b"snapshot/file", b"snapshot/../e"),
        (b"snapshot/file", b"snapshot//ile"),
        (b"snapshot/file", b"snapshot/fil/"),
        (b"snapshot/file", b"snapshots/ile"),
        (b"snapshot/file", b"diff/nap/file"),
        (b"snapshot/file", b"deleted//file"),
        (b"0000644\0", b"0000644 "),
        (b"00000000005\0", b"0000000_005\0"),
        (b"00000000005\0", b"-0000000005\0"),
        (b"00000000005\0", b"000000 0005\0"),
        (b"00000000005\0", b"\x80" + bytes(10) + b"\x05"),
        (b"ustar\x0000", b"ustar  \0"),
    ],
)
def test_what_is_not_quite_usual_is_judged_as_in_general(old: bytes, new: bytes) -> None:
    assert old in stored(b"file")
    assert len(old) == len(new)
    strange = bytearray(stored(b"file").replace(old, new))
    for start in range(0, len(strange) - 511, 512):
        block = strange[start : start + 512]
        if block[257:262] == b"ustar":
            strange[start + 148 : start + 156] = b"%06o\0 " % total_of(block)
    warm = stored(b"before")
    found, expected, _ = both_ways(warm + bytes(strange) + warm)
    assert found == expected


@pytest.mark.parametrize("cut", [1, 511, 512, 1023, 1024, 1500, 1540, 2047])
def test_a_volume_that_is_cut_short_is_damaged_wherever_it_ends(cut: int) -> None:
    warm = stored(b"before")
    assert len(warm) == 2048
    found, expected, _ = both_ways(warm + warm[:cut])
    assert found == expected
    assert isinstance(found[-1], str)


def test_a_header_with_a_wrong_checksum_is_damage() -> None:
    warm = stored(b"before")
    for place in (1024, 1100, 1024 + 148, 1024 + 300):
        damaged = bytearray(warm)
        damaged[place] ^= 1
        found, expected, _ = both_ways(warm + damaged)
        assert found == expected
        assert isinstance(found[-1], str)


def test_a_sum_that_is_only_right_modulo_that_of_adler_is_wrong() -> None:
    """Bytes above 127 can sum to more than 65521, which an Adler-32 cannot tell from a smaller sum."""
    warm = bytearray(stored(b"before"))
    at = len(warm) - 1024
    for start, end in ((100, 124), (265, 296), (297, 328), (329, 345), (500, 512)):  # owners, device, filler
        warm[at + start : at + end] = b"\xff" * (end - start)
    strange = warm.copy()
    strange[at : at + 100] = b"snapshot/" + b"\xff" * 91
    strange[at + 157 : at + 257] = b"\xff" * 100
    assert total_of(strange[at : at + 512]) > 65521
    warm[at + 148 : at + 156] = b"%06o\0 " % total_of(warm[at : at + 512])
    strange[at + 148 : at + 156] = b"%06o\0 " % (total_of(strange[at : at + 512]) - 65521)
    found, expected, _ = both_ways(bytes(warm + strange))
    assert found == expected
    assert "wrong checksum" in str(found[-1])


def many(count: int) -> list[bytes]:
    return [stored(b"d/file %03d" % number) for number in range(count)]


def test_a_run_has_the_data_and_all_that_is_recorded() -> None:
    reader = VolumeReader(io.BytesIO(b"".join(many(5))))
    reader.next()  # its owner has not been met before
    reader.next()
    run = reader.run(None)
    assert run is not None
    assert run.paths == [b"d/file 001", b"d/file 002", b"d/file 003", b"d/file 004"]
    assert [run.data[at : at + size] for at, size in zip(run.offsets, run.sizes, strict=True)] == [DATA] * 4
    assert [run.content(at) for at in range(len(run))] == [DATA] * 4
    assert (run.modes, run.owners) == ([FILE.mode] * 4, [(1000, 1000, b"u", b"g")] * 4)
    assert run.mtimes_ns == [FILE.mtime_ns] * 4
    assert run.block_lens == [4096] * 4
    assert run.digests == b"d" * 128
    assert run.last_key == b"d\0file 004"
    assert reader.next() is None


def test_a_run_ends_before_the_key_that_it_is_told() -> None:
    reader = VolumeReader(io.BytesIO(b"".join(many(5))))
    reader.next()
    reader.next()
    run = reader.run(b"d\0file 003")
    assert run is not None
    assert run.paths == [b"d/file 001", b"d/file 002"]
    following = reader.next()
    assert following is not None
    assert following.path == b"d/file 003"


def test_a_run_begins_with_the_current_member_or_not_at_all() -> None:
    reader = VolumeReader(io.BytesIO(b"".join(many(9)) + stored(b"e", part=1) + stored(b"f")))
    assert reader.run(None) is None, "there is no member yet"
    reader.next()
    assert reader.run(None) is None, "it has come the general way"
    reader.next()
    reader.read(1)
    assert reader.run(None) is None, "some of it has been read"
    reader.next()
    assert reader.run(None) is not None
    assert reader.run(None) is None, "it has been taken"
    part = reader.next()
    assert part is not None
    assert part.part == 1
    assert reader.run(None) is None, "it is not whole"


def test_what_does_not_lie_whole_in_the_buffer_is_in_no_run() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 2048))

    reader = VolumeReader(Slow(b"".join(many(20))))
    paths = []
    while (member := reader.next()) is not None:
        run = reader.run(None)
        paths += [member.path] if run is None else run.paths
    assert paths == [b"d/file %03d" % number for number in range(20)]


class Slow:
    """Gives few bytes at once, so that parts lie across the reader's buffers."""

    def __init__(self, content: bytes, most: int) -> None:
        self._stream = io.BytesIO(content)
        self._most = most

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, self._most))


LARGE = bytes(at * 31 % 251 for at in range(4 * PART_SIZE + 77))


def by_parts(source: Slow, most: int) -> list[bytes]:
    """All data, as many parts at once as the reader gives."""
    reader, found = VolumeReader(source), []
    while reader.next() is not None:
        parts = reader.parts(most)
        found.append(parts.data if parts is not None else reader.read(most))
        while data := reader.read(most):
            found.append(data)
    return found


@pytest.mark.parametrize("most", [1, 1000, PART_SIZE, 2 * PART_SIZE, 1 << 20])
@pytest.mark.parametrize("buffered", [70_000, 2 * PART_SIZE, 1 << 20])
def test_parts_read_at_once_are_what_they_are_one_by_one(most: int, buffered: int) -> None:
    volume = b"".join((*large_in_parts(b"a", LARGE), stored(b"b"), *large_in_parts(b"c", LARGE[::-1])))
    found = by_parts(Slow(volume, buffered), most)
    assert b"".join(found) == LARGE + DATA + LARGE[::-1]
    assert max(map(len, found)) <= most


def test_parts_tell_where_they_end_and_what_is_on_record() -> None:
    reader = VolumeReader(Slow(stored(b"0") + b"".join(large_in_parts(b"a", LARGE, record=CONTENT)), 1 << 20))
    reader.next()
    reader.next()
    parts = reader.parts(1 << 20)
    assert parts is not None
    assert (parts.number, parts.size, parts.record, parts.all_full) == (5, 77, CONTENT, False)
    assert reader.next() is None


def test_parts_that_do_not_follow_each_other_are_not_joined() -> None:
    one, two, three, *_ = large_in_parts(b"a", LARGE)
    other = large_in_parts(b"b", LARGE)[1]
    for members, count in (([one, three], 1), ([one, two, two], 2), ([one, other], 1), ([two, three, one], 2)):
        reader = VolumeReader(Slow(stored(b"0") + b"".join(members), 1 << 20))
        reader.next()
        reader.next()
        parts = reader.parts(1 << 20)
        assert parts is not None
        assert len(parts.data) == count * PART_SIZE


def test_neither_whole_files_nor_what_has_been_begun_nor_what_is_cut_short_are_read_as_parts() -> None:
    reader = VolumeReader(Slow(stored(b"a") + b"".join(large_in_parts(b"b", LARGE))[:-1000], 1 << 20))
    reader.next()
    assert reader.parts(1 << 20) is None
    reader.next()
    reader.read(1)
    assert reader.parts(1 << 20) is None
    reader = VolumeReader(Slow(large_in_parts(b"b", LARGE)[0][:-1000], 1 << 20))
    reader.next()
    assert reader.parts(1 << 20) is None
    with pytest.raises(CorruptTar, match="cut short"):
        reader.read(1 << 20)

"""Usual members read in one go: the same as in general, and nothing that is not sound is taken for usual."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from twofold.errors import CorruptTar
from twofold.format.difftar import Action, DiffMember, content_header, interpret
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

    return outcome(usual.next), outcome(in_general), usual.unusual


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

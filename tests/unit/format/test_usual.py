"""Both ways of finding usual members find the same, and only what the general way reads in the same way."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tools import unavailable
from twofold import rsync
from twofold.errors import CorruptTar
from twofold.format import usual
from twofold.format.difftar import Action, content_header, member_header
from twofold.format.records import content_value
from twofold.format.tar_reader import BLOCK, LARGEST_NUMBER
from twofold.format.tar_writer import metadata_of, padding
from twofold.format.usual import FindUsual, Usual
from twofold.format.volume_reader import VolumeReader
from twofold.model.entry import ContentRecord, Entry, Kind

SECOND = 10**9
OWNER = {"uid": 1000, "gid": 100, "uname": b"user", "gname": b"group"}
FILE = Entry(Kind.REGULAR, 0o640, mtime_ns=1_700_000_000 * SECOND + 123_456_789, mtime_exact=True)._replace(**OWNER)
FOLDER = FILE._replace(kind=Kind.DIRECTORY, mode=0o750)
RECORD = ContentRecord(2048, 3, bytes(range(32)))


def file(path: bytes, data: bytes = b"abc", *, part: int | None = None, entry: Entry = FILE) -> bytes:
    made, _ = content_header(
        Action.SNAPSHOT, path, metadata=metadata_of(entry), size=len(data), part=part, content=content_value(RECORD)
    )
    return made + data + padding(len(data))


def folder(path: bytes, entry: Entry = FOLDER) -> bytes:
    return member_header(Action.SNAPSHOT, path, kind=entry.kind, metadata=metadata_of(entry))


STREAM = b"".join(
    (
        folder(b"d"),
        *(file(b"d/%d" % number, b"x" * (number * 300)) for number in range(4)),
        file(b"d/large", b"y" * 700, part=1),
        file(b"d/large", b"y", part=2),
        folder(b"e/f", FOLDER._replace(mtime_ns=SECOND, mtime_exact=False)),
        file(b"e/" + b"n" * 80, entry=FILE._replace(mtime_ns=5, uname=b"", mode=0o4755)),
        member_header(Action.SNAPSHOT, b"z", kind=Kind.REGULAR, metadata=metadata_of(FILE)),
    )
)


@pytest.fixture(params=["python", "native"])
def find(request: pytest.FixtureRequest) -> Iterator[FindUsual]:
    if request.param == "native":
        if rsync.IMPLEMENTATION != "native":
            unavailable("no compiled kernel")
        assert usual.usual_members is not usual.specification
        yield usual.usual_members
    else:
        yield usual.specification


def test_everything_that_is_usually_in_a_volume_is_found(find: FindUsual) -> None:
    found = [Usual(*member) for member in find(STREAM, 0)]
    assert [(member.path, member.part, member.directory) for member in found] == [
        (b"d", None, True),
        *((b"d/%d" % number, None, False) for number in range(4)),
        (b"d/large", 1, False),
        (b"d/large", 2, False),
        (b"e/f", None, True),
        (b"e/" + b"n" * 80, None, False),
        (b"z", None, False),
    ]
    start, begin = 1536, 3072  # three headers each
    assert found[1] == Usual(
        b"d/0",
        None,
        (0o640, 1000, 100),
        (b"user", b"group"),
        FILE.mtime_ns,
        True,
        tuple(RECORD),
        begin,
        begin,
        start,
        False,
    )
    assert [(member.mtime_ns, member.mtime_exact, member.content is None) for member in found[-3:]] == [
        (SECOND, False, True),
        (5, True, False),
        (FILE.mtime_ns, True, True),
    ]
    assert (found[-2].ids, found[-2].names) == ((0o4755, 1000, 100), (b"", b"group"))
    assert found[2].end - found[2].begin == 300


@pytest.mark.parametrize("name", [b".config/a", b"a/.b", b"a/..b", b"...", b".a/...", b"a./b..", b"a\n", b"..\n"])
def test_dots_in_names_are_usual(find: FindUsual, name: bytes) -> None:
    assert [member[0] for member in find(file(name) + folder(name + b"d"), 0)] == [name, name + b"d"]


def test_what_begins_elsewhere_has_other_positions(find: FindUsual) -> None:
    shifted = find(b"#" * 77 + STREAM, 77)
    assert [(path, part, begin - 77, end - 77) for path, part, *_, begin, end, _, _ in shifted] == [
        (path, part, begin, end) for path, part, *_, begin, end, _, _ in find(STREAM, 0)
    ]


@pytest.mark.parametrize(
    "member",
    [
        file(b"\xff"),
        file(b"n" * 300),
        file(b"a", entry=FILE._replace(xattrs=((b"user.x", b"1"),))),
        file(b"a", entry=FILE._replace(links_to=b"b")),
        file(b"a", entry=FILE._replace(uid=1 << 22)),
        file(b"a", part=0),
        file(b".."),
        file(b"a/."),
        folder(b"a/.."),
        file(b"..", part=1),
        file(b"./a"),
        file(b"a/../b"),
        file(b"a//b"),
        file(b"a/"),
        file(b""),
        folder(b""),
        folder(b"a", Entry(Kind.SYMLINK, 0o777, target=b"x")),
        folder(b"a", Entry(Kind.FIFO, 0o600)),
        bytes(BLOCK),
        file(b"a")[:1535],
    ],
)
def test_whatever_is_not_usual_is_left_alone_and_so_is_all_behind_it(find: FindUsual, member: bytes) -> None:
    assert find(member + STREAM, 0) == []
    assert len(find(STREAM + member + STREAM, 0)) == 10


@pytest.mark.parametrize("position", [-1, len(STREAM), len(STREAM) + 1, 1 << 62])
def test_where_nothing_is_nothing_is_found(find: FindUsual, position: int) -> None:
    if position < 0:
        with pytest.raises((OverflowError, ValueError)):
            find(STREAM, position)
    else:
        assert find(STREAM, position) == []


def both(stream: bytes, position: int = 0) -> list[Usual]:
    if rsync.IMPLEMENTATION != "native":
        unavailable("no compiled kernel")
    found = [Usual(*member) for member in usual.usual_members(stream, position)]
    assert found == usual.specification(stream, position)
    return found


def general(stream: bytes) -> list[object]:
    reader = VolumeReader(io.BytesIO(stream))
    reader._looks_ahead = lambda: False  # type: ignore[method-assign]
    return _read(reader)


def _read(reader: VolumeReader) -> list[object]:
    found: list[object] = []
    try:
        while (member := reader.next()) is not None:
            found.append((member, reader.data_offset, reader.read_all(1 << 20)))
    except CorruptTar as error:
        found.append(str(error))
    return found


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(STREAM) - 1), st.binary(min_size=1, max_size=3)), max_size=3),
    st.booleans(),
)
def test_damage_is_met_alike_by_both_and_by_the_general_way(edits: list[tuple[int, bytes]], mend: bool) -> None:
    stream = bytearray(STREAM)
    for at, change in edits:
        stream[at : at + len(change)] = change
    if mend:
        _mend_sums(stream)
    both(bytes(stream))
    assert _read(VolumeReader(io.BytesIO(stream))) == general(bytes(stream))


def _mend_sums(stream: bytearray) -> None:
    """Makes the checksums of all blocks that are headers right, so that damage is met behind them."""
    for at in range(0, len(stream) - BLOCK + 1, BLOCK):
        block = stream[at : at + BLOCK]
        if block[257:262] == b"ustar":
            total = sum(block) - sum(block[148:156]) + 8 * 32
            stream[at + 148 : at + 156] = b"%06o\0 " % total


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, LARGEST_NUMBER),
    st.booleans(),
    st.integers(0, 0o7777),
    st.integers(0, 1 << 22),
    st.text("abc./~ ", min_size=1, max_size=200),
    st.sampled_from([None, 1, 77, 10**9 - 1, 10**9]),
)
def test_any_metadata_are_read_alike(
    mtime_ns: int, exact: bool, mode: int, uid: int, path: str, part: int | None
) -> None:
    entry = FILE._replace(mtime_ns=mtime_ns, mtime_exact=exact, mode=mode, uid=uid, gid=uid // 2)
    stream = file(path.encode(), part=part, entry=entry) + folder(path.encode(), entry._replace(kind=Kind.DIRECTORY))
    both(stream)
    assert _read(VolumeReader(io.BytesIO(stream))) == general(stream)


@pytest.mark.parametrize("field", [slice(100, 108), slice(108, 116), slice(116, 124), slice(124, 136), slice(136, 148)])
@pytest.mark.parametrize("number", [b"", b" ", b"7 ", b" 7", b"8", b"+1", b"1_0", b"-1", b"\x80\0\0\0\0\0\0\1"])
def test_strange_numbers_are_left_to_the_general_way(field: slice, number: bytes) -> None:
    stream = bytearray(folder(b"d") + file(b"f"))
    for start in (512 * 2, 512 * 5):
        stream[start + field.start : start + field.stop] = number.ljust(field.stop - field.start, b"\0")
    _mend_sums(stream)
    assert both(bytes(stream)) == []
    assert _read(VolumeReader(io.BytesIO(stream))) == general(bytes(stream))


@pytest.mark.parametrize(
    "records",
    [
        b"20 mtime=1.123456789\n",
        b"21 mtime=1.123456789\n",
        b"12 mtime=1.\n",
        b"12 mtime=.1\n",
        b"31 mtime=99999999999.123456789\n",
        b"30 mtime=9999999999.123456789\n",
        b"117 TWOFOLD.content=0000000000,00000000000000000003," + b"a" * 64 + b"\n",
        b"117 TWOFOLD.content=2147483649,00000000000000000003," + b"a" * 64 + b"\n",
        b"117 TWOFOLD.content=2147483648,09223372036854775808," + b"a" * 64 + b"\n",
        b"117 TWOFOLD.content=2147483648,09223372036854775807," + b"a" * 64 + b"\n",
        b"117 TWOFOLD.content=2147483648,00000000000000000003," + b"A" * 64 + b"\n",
        b"117 TWOFOLD.content=214748364,000000000000000000003," + b"a" * 64 + b"\n",
        b"117 TWOFOLD.content=2147483648,00000000000000000003," + b"a" * 64,
        b"\n",
        b"",
    ],
)
def test_strange_records_are_read_alike(records: bytes) -> None:
    stream = member_header(Action.SNAPSHOT, b"f", kind=Kind.REGULAR, metadata=metadata_of(FILE), extra=records)
    both(stream)
    assert _read(VolumeReader(io.BytesIO(stream))) == general(stream)
    whole_second = FILE._replace(mtime_ns=SECOND, mtime_exact=False)
    stream = member_header(Action.SNAPSHOT, b"f", kind=Kind.REGULAR, metadata=metadata_of(whole_second), extra=records)
    both(stream)
    assert _read(VolumeReader(io.BytesIO(stream))) == general(stream)


def test_where_records_hold_for_all_members_none_is_usual() -> None:
    """What such a record says of each is for the general way."""
    record = b"19 gname=everybody\n"
    head = bytearray(folder(b"g", FOLDER._replace(mtime_exact=False))[:BLOCK])
    head[124:136], head[156:157] = b"%011o\0" % len(record), b"g"
    stream = head + record.ljust(BLOCK, b"\0") + STREAM
    _mend_sums(stream)
    found = _read(VolumeReader(io.BytesIO(stream)))
    assert found == general(bytes(stream))
    assert found[0][0].entry.gname == b"everybody"  # type: ignore[index]

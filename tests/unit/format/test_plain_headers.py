"""Headers made from templates are those that the general way makes."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tools import unavailable
from twofold import rsync
from twofold.format import difftar, sigtar
from twofold.format import plain_headers as plain_module
from twofold.format.plain_headers import (
    LATEST_PLAIN,
    LONGEST_PLAIN_PATH,
    PLAIN_HEADER,
    WriteHeaders,
    plain_headers,
    plain_owner,
)
from twofold.format.records import content_value
from twofold.format.tar_writer import metadata_of
from twofold.model.entry import ContentRecord, Entry, Kind

DIGEST = bytes(range(32))
UNKNOWN = bytes(32)

paths = st.text(st.characters(min_codepoint=1, max_codepoint=127), min_size=1, max_size=LONGEST_PLAIN_PATH)
ids = st.one_of(st.integers(0, 2**21 - 1), st.sampled_from([0, 1000, 65534]))
times = st.one_of(
    st.integers(0, LATEST_PLAIN - 1),
    st.integers(0, 2**33 - 1).map(lambda seconds: seconds * 10**9),
    st.integers(0, 2**33 * 1000 - 1).map(lambda thousandths: thousandths * 10**6),
)


@settings(max_examples=60, deadline=None)
@given(
    paths,
    st.tuples(st.integers(0, 0o7777), ids, ids),
    st.tuples(st.integers(0, 65535), st.integers(512, 2**31), st.integers(12, 3000)),
    times,
    st.tuples(st.integers(-1, 2**63 - 1), st.integers(0, 2**64 - 1)),
)
def test_both_headers_are_those_of_the_general_way(
    text: str, who: tuple[int, int, int], sizes: tuple[int, int, int], mtime_ns: int, rest: tuple[int, int]
) -> None:
    path, (mode, uid, gid), (size, block_len, signature_size), (ctime_ns, inode) = text.encode(), who, sizes, rest
    owner = plain_owner(0o100000 | mode, uid, gid=gid, uname=b"somebody", gname=b"")
    assert owner is not None
    made = plain_headers(
        path,
        owner,
        sizes=(size, block_len, signature_size),
        mtime_ns=mtime_ns,
        ctime_ns=ctime_ns,
        inode=inode,
    )
    entry = Entry(Kind.REGULAR, mode, uid, gid, b"somebody", b"", mtime_ns, True, size, ctime_ns=ctime_ns, inode=inode)
    metadata = metadata_of(entry)
    header, value_at = difftar.content_header(
        difftar.Action.SNAPSHOT,
        path,
        metadata=metadata,
        size=size,
        content=content_value(ContentRecord(block_len, size, UNKNOWN)),
    )
    assert (made.header, made.digest_at) == (header, value_at + 32)
    assert len(header) == PLAIN_HEADER
    known = entry._replace(content=ContentRecord(block_len, size, DIGEST))
    expected = sigtar.member_header(path, known, metadata=metadata, size=signature_size)
    assert made.front + DIGEST.hex().encode() + made.back == expected
    assert len(expected) == PLAIN_HEADER


@pytest.mark.parametrize(
    ("uid", "gid", "uname", "gname"),
    [(8**7, 0, b"", b""), (0, 8**7, b"", b""), (0, 0, b"n" * 33, b""), (0, 0, b"", b"\xc3\xa4")],
)
def test_an_owner_that_does_not_fit_its_fields_is_not_plain(uid: int, gid: int, uname: bytes, gname: bytes) -> None:
    assert plain_owner(0o100644, uid, gid=gid, uname=uname, gname=gname) is None


OWNER = plain_owner(0o100640, 1000, gid=100, uname=b"somebody", gname=b"users")
assert OWNER is not None
FIELDS = (OWNER.fields, OWNER.tail)
LENGTHS = (2048, 20)


@pytest.fixture(params=["specification", "native"])
def write(request: pytest.FixtureRequest) -> WriteHeaders:
    if request.param == "specification":
        return plain_module.specification
    if rsync.IMPLEMENTATION != "native":
        unavailable("no compiled kernel")
    assert plain_module.write_headers is not plain_module.specification
    return plain_module.write_headers


def facts(*files: tuple[int, int, int, int]) -> array[int]:
    """Size, times, inode."""
    return array("q", [number for file in files for number in (0, 0, 0, *file)])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            paths,
            st.tuples(st.integers(0, 65535), times, st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1)),
        ),
        max_size=3,
    ),
    st.integers(0, 1500),
    st.integers(512, 2**31),
)
def test_both_ways_of_writing_write_the_same(
    files: list[tuple[str, tuple[int, int, int, int]]], position: int, block_len: int
) -> None:
    if rsync.IMPLEMENTATION != "native":
        unavailable("no compiled kernel")
    names = [text.encode() for text, _ in files]
    numbers = facts(*(each for _, each in files))
    first, second = bytearray(b"?" * 250_000), bytearray(b"?" * 250_000)
    made = plain_module.specification(first, position, names, numbers, FIELDS, (block_len, 20))
    assert plain_module.write_headers(second, position, names, numbers, FIELDS, (block_len, 20)) == made
    assert first == second


def test_headers_are_written_where_the_data_are(write: WriteHeaders) -> None:
    buffer = bytearray(b"?" * 10_000)
    written = write(buffer, 512, [b"a", b"b"], facts((513, 1, 2, 3), (0, 5, 6, 7)), FIELDS, LENGTHS)
    assert [each[0] for each in written] == [512 + 1536, 512 + 1536 + 1024 + 1536]
    assert bytes(buffer[:512]) == b"?" * 512, "in front"
    assert bytes(buffer[512 + 1536 : 512 + 1536 + 1024]) == b"?" * 1024, "the data"
    assert bytes(buffer[written[1][0] :]) == b"?" * (10_000 - written[1][0])
    assert OWNER is not None
    expected = plain_headers(b"a", OWNER, sizes=(513, 2048, 32), mtime_ns=1, ctime_ns=2, inode=3)
    assert bytes(buffer[512:2048]) == expected.header
    assert tuple(written[0]) == (2048, 512 + expected.digest_at, expected.front, expected.back, 32)
    assert written[1][4] == 12


GOOD = (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("position", "names", "numbers", "owner", "lengths"),
    [
        (9000, [b"a"], facts(GOOD), FIELDS, LENGTHS),
        (2**63, [b"a"], facts(GOOD), FIELDS, LENGTHS),
        (-1, [b"a"], facts(GOOD), FIELDS, LENGTHS),
        (0, [b"a" * 91], facts(GOOD), FIELDS, LENGTHS),
        (0, [b"\xff"], facts(GOOD), FIELDS, LENGTHS),
        (0, [b"a"], facts(GOOD, GOOD), FIELDS, LENGTHS),
        (0, [b"a"], array("q", [1, 2, 3]), FIELDS, LENGTHS),
        (0, [b"a"], facts((-1, 2, 3, 4)), FIELDS, LENGTHS),
        (0, [b"a"], facts((1 << 18, 2, 3, 4)), FIELDS, LENGTHS),
        (0, [b"a"], facts((1, -1, 3, 4)), FIELDS, LENGTHS),
        (0, [b"a"], facts((1, LATEST_PLAIN, 3, 4)), FIELDS, LENGTHS),
        (0, [b"a"], facts(GOOD), (b"short", FIELDS[1]), LENGTHS),
        (0, [b"a"], facts(GOOD), (FIELDS[0], b"short"), LENGTHS),
        (0, [b"a"], facts(GOOD), FIELDS, (0, 20)),
        (0, [b"a"], facts(GOOD), FIELDS, (2048, 65)),
        (0, [b"a"], facts(GOOD), FIELDS, (2048, -1)),
    ],
)
def test_wrong_arguments_are_refused(
    write: WriteHeaders,
    position: int,
    names: list[bytes],
    numbers: array[int],
    owner: tuple[bytes, bytes],
    lengths: tuple[int, int],
) -> None:
    with pytest.raises((ValueError, OverflowError)):
        write(bytearray(10_000), position, names, numbers, owner, lengths)


def test_what_must_not_be_written_to_is_not(write: WriteHeaders) -> None:
    with pytest.raises((ValueError, TypeError)):
        write(memoryview(bytes(10_000)), 0, [b"a"], facts(GOOD), FIELDS, LENGTHS)

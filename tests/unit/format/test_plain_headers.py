"""Headers made from templates are those that the general way makes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.format import difftar, sigtar
from twofold.format.plain_headers import LATEST_PLAIN, LONGEST_PLAIN_PATH, PLAIN_HEADER, plain_headers, plain_owner
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

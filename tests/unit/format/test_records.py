"""twofold's own records: written, read back, and left out with a word where they make no sense."""

import pytest

from twofold.format import pax
from twofold.format.records import (
    CONTENT_PLACEHOLDER,
    CONTENT_VALUE_LENGTH,
    LARGEST_HOLES,
    Records,
    content_value,
    decode,
    encode_attributes,
    encode_content,
    encode_holes,
    encode_stat,
)
from twofold.model.entry import ContentRecord, Entry, Kind

CONTENT = ContentRecord(2048, 2**63 - 1, bytes(range(32)))
VALUE = b"0000002048,09223372036854775807," + bytes(range(32)).hex().encode()


def parsed(data: bytes) -> dict[bytes, bytes]:
    records = pax.parse_records(data)
    assert records is not None
    return records


def test_the_content_record_has_a_fixed_width() -> None:
    assert content_value(CONTENT) == VALUE
    assert encode_content(VALUE) == b"117 TWOFOLD.content=" + VALUE + b"\n"
    assert len(CONTENT_PLACEHOLDER) == len(VALUE) == CONTENT_VALUE_LENGTH
    assert decode(parsed(encode_content(VALUE))) == Records(content=CONTENT)


def test_the_placeholder_means_that_nothing_is_known() -> None:
    assert decode(parsed(encode_content(CONTENT_PLACEHOLDER))) == Records()


def test_attribute_names_are_escaped_as_gnu_tar_does() -> None:
    entry = Entry(Kind.REGULAR, xattrs=((b"user.a=b%3Dc%", b"v"), (b"user.empty", b"")))
    encoded = encode_attributes(entry)
    assert parsed(encoded.data) == {b"SCHILY.xattr.user.a%3Db%253Dc%25": b"v", b"SCHILY.xattr.user.empty": b""}
    assert not encoded.binary
    assert decode(parsed(encoded.data)).xattrs == entry.xattrs


@pytest.mark.parametrize(
    ("entry", "binary"),
    [
        (Entry(Kind.REGULAR, xattrs=((b"user.a", b"\xff"),)), True),
        (Entry(Kind.REGULAR, xattrs=((b"user.a", "ü".encode()),)), False),
        (Entry(Kind.REGULAR, links_to=b"bad\xff"), True),
        (Entry(Kind.REGULAR, links_to=b"good", xattrs=((b"user.a", b"\xff"),)), True),
    ],
)
def test_values_that_are_no_text_are_announced(entry: Entry, binary: bool) -> None:
    assert encode_attributes(entry).binary is binary


def test_holes_and_stat_come_back() -> None:
    entry = Entry(Kind.REGULAR, holes=((0, 4096), (8192, 1)), size=8193, ctime_ns=17 * 10**17, inode=2**64 - 1)
    assert parsed(encode_holes(entry)) == {b"TWOFOLD.holes": b"0+4096,8192+1"}
    records = decode(parsed(encode_holes(entry) + encode_stat(entry)))
    assert records == Records(holes=entry.holes, size=8193, ctime_ns=17 * 10**17, inode=2**64 - 1)


def test_what_was_changed_before_1970_is_recorded_as_unknown() -> None:
    assert parsed(encode_stat(Entry(Kind.DIRECTORY, ctime_ns=-1, inode=3))) == {b"TWOFOLD.stat": b"0,0,3"}


def test_too_many_holes_are_left_out() -> None:
    holes = tuple((number * 8192, 4096) for number in range(LARGEST_HOLES // 8))
    assert encode_holes(Entry(Kind.REGULAR, holes=holes)) == b""
    assert encode_holes(Entry(Kind.REGULAR)) == b""


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("content", b""),
        ("content", VALUE[:-1]),
        ("content", VALUE[:-1] + b"x"),
        ("content", b"-" + VALUE[1:]),
        ("content", VALUE.replace(b",", b";", 1)),
        ("content", VALUE.replace(b"09223372036854775807", b"99999999999999999999")),
        ("stat", b""),
        ("stat", b"1,2"),
        ("stat", b"1,2,3,4"),
        ("stat", b"1,,3"),
        ("stat", b"1,-2,3"),
        ("stat", b"9223372036854775808,1,1"),
        ("stat", b"1,1,18446744073709551616"),
        ("stat", b"1" * 5000 + b",1,1"),
        ("links_to", b""),
        ("links_to", b"../x"),
        ("links_to", b"/etc/passwd"),
        ("links_to", b"a\0b"),
        ("holes", b""),
        ("holes", b"1"),
        ("holes", b"1+0"),
        ("holes", b"5+5,9+1"),
        ("holes", b"-1+5"),
        ("holes", b"9223372036854775807+1"),
        ("holes", b"9" * 5000 + b"+1"),
    ],
)
def test_a_malformed_record_is_left_out_and_named(key: str, value: bytes) -> None:
    name = f"TWOFOLD.{key}"
    records = decode({name.encode(): value, b"SCHILY.xattr.user.a": b"b"})
    assert records == Records(xattrs=((b"user.a", b"b"),), fault=f"has a malformed record {name}")


def test_an_attribute_without_name_is_left_out() -> None:
    assert decode({b"SCHILY.xattr.": b"x"}) == Records(fault="has a malformed record SCHILY.xattr.")


def test_records_of_others_are_passed_over() -> None:
    assert (
        decode({b"LIBARCHIVE.creationtime": b"1", b"comment": b"x", b"XYZ.key": b"", b"TWOFOLD.later": b"?"})
        == Records()
    )
    assert decode({b"GNU.sparse.major": b"1"}).sparse

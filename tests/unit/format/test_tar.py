"""Tar headers as duplicity makes them, and a reader that takes every dialect and no damage."""

import io
import tarfile

import pytest

from twofold.errors import CorruptTar, FormatError
from twofold.format import pax, tar_reader
from twofold.format.tar_reader import READ_SIZE, TarMember, TarReader
from twofold.format.tar_writer import header, metadata_of, padding, tail
from twofold.model.entry import Entry, Kind

# The example of docs/format.md section 4.2: pax header, its data, the header proper and the data.
BAD_NAME = (
    (b"././@PaxHeader".ljust(100, b"\0") + b"0000000\0" * 3 + b"00000000054\0" + b"00000000000\0" + b"010214\0 x")
    .ljust(257, b"\0")
    .__add__(b"ustar\x0000")
    .ljust(512, b"\0")
    + b"21 hdrcharset=BINARY\n23 path=snapshot/bad\xff\xfe\n".ljust(512, b"\0")
    + (
        (b"snapshot/bad??".ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"00000000001\0" + b"15300463326\0")
        + b"012313\0 0"
    ).ljust(257, b"\0")
    + (b"ustar\x0000" + b"root".ljust(32, b"\0") + b"root").ljust(255, b"\0")
)


def members(data: bytes) -> list[tuple[TarMember, bytes]]:
    reader = TarReader(io.BytesIO(data))
    found = []
    while (member := reader.next_member()) is not None:
        content = reader.read_all(10**7)
        assert data.startswith(content, reader.data_offset)
        found.append((member, content))
    return found


def only(data: bytes) -> TarMember:
    ((member, _),) = members(data)
    return member


def with_tarfile(*infos: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT, **options: object) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form, errors="surrogateescape", **options) as archive:  # type: ignore[call-overload]
        for info in infos:
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    return stream.getvalue()


def raw_header(
    name: bytes = b"x", kind: bytes = b"0", size: bytes = b"00000000000\0", magic: bytes = b"ustar\x0000"
) -> bytes:
    block = bytearray(512)
    block[: len(name)] = name
    block[100:148] = b"0000644\0" + b"0000001\0" + b"0000002\0" + size + b"00000000003\0"
    block[156:157] = kind
    block[257:265] = magic
    return signed(bytes(block))


def signed(block: bytes, as_signed_bytes: bool = False) -> bytes:
    block = block[:148] + b" " * 8 + block[156:]
    total = sum(byte - 256 if as_signed_bytes and byte > 127 else byte for byte in block)
    return block[:148] + b"%06o\0 " % total + block[156:]


def pax_member(records: bytes, kind: bytes = b"x") -> bytes:
    return raw_header(b"pax", kind, b"%011o\0" % len(records)) + records + padding(len(records))


def records(**values: bytes) -> bytes:
    return b"".join(pax.format_record(key.encode(), value) for key, value in values.items())


class Trickle:
    """A source that counts its calls."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)
        self.calls = 0

    def read(self, size: int, /) -> bytes:
        self.calls += 1
        return self._stream.read(size)


# ---- writing


def test_a_header_is_what_duplicity_writes_byte_for_byte() -> None:
    entry = Entry(Kind.REGULAR, 0o644, 0, 0, b"root", b"root", 0o15300463326 * 10**9, size=1)
    assert header(b"snapshot/bad\xff\xfe", metadata_of(entry), size=1)[0] == BAD_NAME
    assert header(b"snapshot/x", metadata_of(entry), size=1)[1] == 0


@pytest.mark.parametrize(
    ("name", "entry", "size"),
    [
        ("snapshot/a", Entry(Kind.REGULAR, 0o6755, 1000, 100, b"u", b"g", 1_600_000_000 * 10**9), 4711),
        ("snapshot/" + "n" * 91, Entry(Kind.REGULAR), 0),
        ("snapshot/" + "n" * 92, Entry(Kind.REGULAR), 0),
        ("snapshot/café/" + "ü" * 200, Entry(Kind.REGULAR), 0),
        ("snapshot/l", Entry(Kind.SYMLINK, 0o777, target=b"t" * 100), 0),
        ("snapshot/l", Entry(Kind.SYMLINK, 0o777, target=b"t" * 101), 0),
        ("snapshot/é", Entry(Kind.SYMLINK, 0o777, target="ü".encode()), 0),
        ("snapshot/p", Entry(Kind.FIFO), 0),
        ("snapshot/c", Entry(Kind.CHARACTER_DEVICE, device=(1, 3)), 0),
        ("snapshot/b", Entry(Kind.BLOCK_DEVICE, device=(259, 2**20)), 0),
        ("snapshot/d/", Entry(Kind.DIRECTORY, 0o1777), 0),
        ("snapshot/a", Entry(Kind.REGULAR, 0, 2097151, 2097152), 0),
        ("snapshot/a", Entry(Kind.REGULAR, 0, 4294967294, 3000000, b"w" * 33, "gr\xfcn".encode()), 0),
        ("signature/a", Entry(Kind.REGULAR), 8**11 - 1),
        ("signature/" + "n" * 100, Entry(Kind.REGULAR, 0, 3000000, mtime_ns=8**11 * 10**9), 8**11),
    ],
)
def test_headers_equal_those_of_pythons_tarfile(name: str, entry: Entry, size: int) -> None:
    types = {Kind.REGULAR: b"0", Kind.DIRECTORY: b"5", Kind.SYMLINK: b"2", Kind.FIFO: b"6"}
    info = tarfile.TarInfo(name)
    info.type = types.get(entry.kind, b"3" if entry.kind is Kind.CHARACTER_DEVICE else b"4")
    info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.gid
    info.uname, info.gname, info.linkname = entry.uname.decode(), entry.gname.decode(), entry.target.decode()
    info.mtime, info.size = entry.mtime_ns // 10**9, size
    info.devmajor, info.devminor = entry.device
    assert header(name.encode(), metadata_of(entry), size=size)[0] == info.tobuf(tarfile.PAX_FORMAT)


def test_nanoseconds_go_to_a_record_only_where_they_are_known() -> None:
    for mtime_ns, exact, expected in [
        (1_600_000_000_123_456_789, True, b"30 mtime=1600000000.123456789\n"),
        (1_600_000_000_500_000_000, True, b"22 mtime=1600000000.5\n"),
        (1, True, b"21 mtime=0.000000001\n"),
        (1_600_000_000_123_456_789, False, b""),
        (1_600_000_000_000_000_000, True, b""),
        (-1, True, b""),
        (-(10**12), False, b""),
    ]:
        made, end = header(b"snapshot/x", metadata_of(Entry(Kind.REGULAR, mtime_ns=mtime_ns, mtime_exact=exact)))
        assert made[512:end] == expected
        member = only(made)
        assert member.mtime_ns == (max(0, mtime_ns) if exact else max(0, mtime_ns) // 10**9 * 10**9)
        assert member.mtime_exact == (expected != b"")


def test_bare_headers_leave_out_what_duplicity_would() -> None:
    entry = Entry(Kind.REGULAR, uid=3000000, mtime_ns=1_500_000_001, mtime_exact=True, xattrs=((b"user.a", b"b"),))
    plain = entry._replace(mtime_ns=10**9, mtime_exact=False, xattrs=())
    assert header(b"x", metadata_of(entry), bare=True) == header(b"x", metadata_of(plain))
    assert set(only(header(b"x", metadata_of(entry))[0]).pax) == {b"uid", b"mtime", b"SCHILY.xattr.user.a"}


def test_records_stand_in_duplicitys_order() -> None:
    entry = Entry(
        Kind.SYMLINK, 0, 3000000, 3000001, b"u" * 40, b"g" * 40, 1, True, 0, b"t" * 200, xattrs=((b"user.x", b""),)
    )
    made = header(b"n" * 200, metadata_of(entry), size=8**11, extra=b"7 ZZ=1\n")[0]
    order = [b"path", b"linkpath", b"uname", b"gname", b"uid", b"gid", b"size", b"mtime", b"SCHILY.xattr.user.x", b"ZZ"]
    assert list(only(made).pax) == order


def test_attributes_that_no_reader_would_take_are_refused() -> None:
    with pytest.raises(FormatError, match="Extended attributes"):
        metadata_of(Entry(Kind.REGULAR, xattrs=((b"user.huge", bytes(5 * 1024 * 1024)),)))


def test_streams_are_filled_up_with_zeros() -> None:
    assert [len(padding(size)) for size in (0, 1, 511, 512, 513)] == [0, 511, 1, 0, 511]
    assert [len(tail(length)) for length in (0, 512, 9728, 10240)] == [10240, 9728, 512, 10240]


# ---- reading


def test_the_example_of_the_specification_is_read() -> None:
    ((member, content),) = members(BAD_NAME + b"x".ljust(512, b"\0") + bytes(512))
    assert content == b"x"
    assert member.name == b"snapshot/bad\xff\xfe"
    assert (member.mode, member.uname, member.mtime_ns) == (0o644, b"root", 0o15300463326 * 10**9)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_strange_names_of_either_dialect_are_read(form: int) -> None:
    names = ["a/" * 80 + "b", "n" * 100, "n" * 101, "bad\udcff\udcfe", "x/" + "é" * 300, "line\nfeed"]
    infos = []
    for name in names:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.uid, info.mtime = tarfile.SYMTYPE, name[::-1], 3_000_000, 2**33 + 5
        infos.append(info)
    for name, (member, _) in zip(names, members(with_tarfile(*infos, form=form)), strict=True):
        assert member.name == name.encode("utf-8", "surrogateescape")
        assert member.linkname == name[::-1].encode("utf-8", "surrogateescape")
        assert (member.uid, member.mtime_ns) == (3_000_000, (2**33 + 5) * 10**9)


def test_the_prefix_field_of_ustar_is_read() -> None:
    info = tarfile.TarInfo("p" * 120 + "/" + "n" * 90)
    assert only(with_tarfile(info, form=tarfile.USTAR_FORMAT)).name == info.name.encode()


def test_names_of_the_days_before_ustar_are_read() -> None:
    member = only(raw_header(b"dir/", b"\0", magic=bytes(8)))
    assert (member.name, member.type, member.uid, member.mtime_ns) == (b"dir/", b"5", 1, 3 * 10**9)
    assert only(raw_header(b"file", b"\0", magic=bytes(8))).type == b"0"


def test_global_and_solaris_headers_count() -> None:
    data = (
        pax_member(b"17 uname=globals\n", b"g") + pax_member(b"12 path=new\n", b"X") + raw_header() + raw_header(b"y")
    )
    (first, _), (second, _) = members(data)
    assert (first.name, first.uname) == (b"new", b"globals")
    assert (second.name, second.uname) == (b"y", b"globals")


def test_values_may_hold_anything() -> None:
    value = b"5 a=b\n\0=\xff\n\n12 path=evil\n"
    member = only(pax_member(pax.format_record(b"SCHILY.xattr.user.x", value) + b"12 path=new\n") + raw_header())
    assert member.pax == {b"SCHILY.xattr.user.x": value, b"path": b"new"}
    assert member.name == b"new"


def test_a_negative_or_huge_owner_or_time_is_brought_into_range() -> None:
    member = only(pax_member(records(uid=b"-5", gid=b"9" * 17, mtime=b"-1.5")) + raw_header())
    assert (member.uid, member.gid, member.mtime_ns) == (0, 2**32 - 2, 0)
    block = bytearray(raw_header())
    block[108:116] = b"\xff" * 8
    block[116:124] = b"\x80" + b"\x7f" * 7
    block[136:148] = b"\xff" * 12
    member = only(signed(bytes(block)))
    assert (member.uid, member.gid, member.mtime_ns) == (0, 2**32 - 2, 0)
    block[136:148] = b"\x80" + b"\x7f" * 11
    assert only(signed(bytes(block))).mtime_ns == 2**63 - 1


def test_records_that_are_no_numbers_leave_the_headers_values() -> None:
    member = only(pax_member(records(uid=b"xx", gid=b"--", mtime=b"1e9")) + raw_header())
    assert (member.uid, member.gid, member.mtime_ns, member.mtime_exact) == (1, 2, 3 * 10**9, False)


def test_records_may_be_filled_up_with_nul() -> None:
    assert only(pax_member(b"12 path=new\n" + bytes(9)) + raw_header()).name == b"new"


def test_empty_records_leave_the_headers_names() -> None:
    assert only(pax_member(b"8 path=\n") + raw_header()).name == b"x"


def test_the_size_record_overrides_the_headers() -> None:
    ((member, content),) = members(pax_member(b"10 size=3\n") + raw_header() + b"abc".ljust(512, b"\0"))
    assert (member.size, content) == (3, b"abc")


def test_links_and_directories_have_no_data_whatever_their_size_says() -> None:
    data = b"".join(raw_header(kind, kind, b"00000001000\0") for kind in (b"1", b"2", b"3", b"4", b"5", b"6"))
    assert [member.size for member, _ in members(data)] == [0] * 6


def test_old_sparse_maps_are_stepped_over() -> None:
    block = bytearray(raw_header(b"s", b"S", b"00000000002\0", b"ustar  \0"))
    block[482] = 1
    more = bytes(504) + b"\1" + bytes(7)
    data = signed(bytes(block)) + more + bytes(512) + b"ab".ljust(512, b"\0") + raw_header(b"next")
    assert [(member.name, content) for member, content in members(data)] == [(b"s", b"ab"), (b"next", b"")]


def test_checksums_of_signed_bytes_are_accepted() -> None:
    block = raw_header(b"\xff\xfe\xfd")
    assert only(signed(block, as_signed_bytes=True)).name == b"\xff\xfe\xfd"
    assert only(signed(block)).name == b"\xff\xfe\xfd"


def test_what_follows_the_first_zero_block_is_not_looked_at() -> None:
    reader = TarReader(io.BytesIO(raw_header() + bytes(512) + b"garbage" * 1000))
    assert reader.next_member() is not None
    assert reader.next_member() is None
    assert reader.next_member() is None


def test_an_empty_stream_and_one_without_end_blocks_are_sound() -> None:
    assert members(b"") == []
    assert members(bytes(10240)) == []
    assert len(members(raw_header())) == 1


def test_data_is_read_in_pieces_or_passed_over() -> None:
    big = bytes(range(256)) * 3000
    data = (
        raw_header(b"a", size=b"%011o\0" % len(big)) + big + raw_header(b"b", size=b"%011o\0" % 3) + b"xyz" + bytes(509)
    )
    data = data + raw_header(b"c", size=b"%011o\0" % len(big)) + big + raw_header(b"d")
    reader = TarReader(io.BytesIO(data))
    assert reader.next_member() is not None
    pieces = [reader.read(1000), reader.read(READ_SIZE * 2), reader.read(10**9)]
    assert b"".join(pieces) == big
    assert reader.read(1) == b""
    member = reader.next_member()
    assert member is not None
    assert member.name == b"b"
    assert reader.read(1) == b"x"
    assert reader.remaining == 2
    assert [(found := reader.next_member()) and found.name for _ in range(3)] == [b"c", b"d", None]


@pytest.mark.parametrize("read_size", [1, 511, 512, 700, 1024, 1537, 5000])
def test_where_the_buffer_ends_makes_no_difference(read_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(
        pax_member(records(path=b"n" * (number * 37 % 900 + 1)))
        + raw_header(size=b"%011o\0" % (number * 97 % 2000))
        + bytes([number]) * (number * 97 % 2000)
        + padding(number * 97 % 2000)
        for number in range(1, 40)
    )
    expected = members(data)
    monkeypatch.setattr(tar_reader, "READ_SIZE", read_size)
    assert members(data) == expected
    assert len(expected) == 39
    reader = TarReader(io.BytesIO(data))
    assert [reader.next_member() for _ in range(40)] == [member for member, _ in expected] + [None]


def test_small_members_cost_no_call_to_the_source() -> None:
    source = Trickle(raw_header() * 400 + bytes(1024))
    reader = TarReader(source)
    while reader.next_member() is not None:
        pass
    assert source.calls == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (raw_header()[:-1], "is cut short"),
        (raw_header(size=b"00000001000\0") + bytes(511), "cut short in its data"),
        (raw_header(size=b"00010000000\0") + bytes(READ_SIZE), "cut short in its data"),
        (raw_header()[:5] + b"X" + raw_header()[6:], "wrong checksum"),
        (b"\xff" + raw_header()[1:], "wrong checksum"),
        (raw_header()[:148] + b"notoctal" + raw_header()[156:], "no checksum"),
        (raw_header(size=b"garbage\0\0\0\0\0"), "for a number"),
        (raw_header(size=b"\xff" * 12), "size of -1 bytes"),
        (raw_header(size=b"\x80" + b"\x7f" * 11), "claims a size"),
        (raw_header(kind=b"x", size=b"77777777777\0"), "extended header of 8589934591 bytes"),
        (raw_header(kind=b"L", size=b"00010000000\0"), "extended header of 2097152 bytes"),
        (pax_member(b"12 path=new\n"), "ends behind an extended header"),
        (pax_member(b"12 path=new\n") + bytes(512), "ends behind an extended header"),
        (pax_member(b"12 path=new\n") * 17 + raw_header(), "too many extended headers"),
        (pax_member(b"13 path=new\n") + raw_header(), "malformed extended record"),
        (pax_member(b"11 path=new\n") + raw_header(), "malformed extended record"),
        (pax_member(b"12 pathnew=") + raw_header(), "malformed extended record"),
        (pax_member(b"path=new\n") + raw_header(), "malformed extended record"),
        (pax_member(b"999999999999999999 path=new\n") + raw_header(), "malformed extended record"),
        (pax_member(b"5 =x\n") + raw_header(), "malformed extended record"),
        (pax_member(b"0 a=b\n") + raw_header(), "malformed extended record"),
        (pax_member(bytes(30)) + raw_header(), "malformed extended record"),
        (pax_member(b"12 path=new\n\0\0x") + raw_header(), "malformed extended record"),
        (pax_member(b"10 size=x\n") + raw_header(), "for a size"),
        (pax_member(b"11 size=-1\n") + raw_header(), "for a size"),
        (pax_member(pax.format_record(b"a", bytes(70_000)), b"g") + raw_header(), "larger than makes sense"),
        (b"not a tar at all" * 100, "no checksum"),
    ],
)
def test_damage_is_an_error_and_never_the_end(data: bytes, message: str) -> None:
    with pytest.raises(CorruptTar, match=message):
        for _ in members(raw_header(b"first") + data):
            pass


def test_the_place_of_the_damage_is_named() -> None:
    with pytest.raises(CorruptTar, match="at byte 1024 "):
        members(raw_header() * 2 + b"?" * 512)


def test_data_beyond_the_limit_is_not_read() -> None:
    reader = TarReader(io.BytesIO(raw_header(size=b"00000001000\0") + bytes(512)))
    assert reader.next_member() is not None
    with pytest.raises(CorruptTar, match="512 bytes where 511"):
        reader.read_all(511)


def test_passing_over_missing_data_is_an_error() -> None:
    reader = TarReader(io.BytesIO(raw_header(size=b"00010000000\0") + bytes(512)))
    assert reader.next_member() is not None
    with pytest.raises(CorruptTar, match="cut short"):
        reader.next_member()


def test_decoded_fields_are_not_kept_without_bound() -> None:
    data = b"".join(
        signed(raw_header()[:100] + b"%07o\0" % number * 3 + raw_header()[124:265] + b"%032d" % number + bytes(215))
        for number in range(3000)
    )
    reader = TarReader(io.BytesIO(data))
    for number in range(3000):
        member = reader.next_member()
        assert member is not None
        assert (member.uid, member.uname) == (number, b"%032d" % number)
    assert max(len(reader._owners), len(reader._tails)) <= tar_reader._CACHED_FIELDS

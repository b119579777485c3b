"""Tar members of any shape come back as they were; Python's tarfile agrees; damage is never anything but CorruptTar."""

import io
import tarfile
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.errors import CorruptTar
from twofold.format import difftar, pax, sigtar
from twofold.format.difftar import DiffMember
from twofold.format.records import content_value, encode_holes
from twofold.format.tar_reader import TarReader
from twofold.format.tar_writer import metadata_of, padding, tail
from twofold.format.volume_reader import VolumeReader
from twofold.model.entry import ContentRecord, Entry, Kind

TYPES = {
    Kind.REGULAR: b"0",
    Kind.DIRECTORY: b"5",
    Kind.SYMLINK: b"2",
    Kind.FIFO: b"6",
    Kind.CHARACTER_DEVICE: b"3",
    Kind.BLOCK_DEVICE: b"4",
}
FEW = settings(max_examples=60, deadline=None)

raw = st.binary(max_size=40).map(lambda value: value.replace(b"\0", b"\xff"))
components = st.one_of(
    st.binary(min_size=1, max_size=12),
    st.text(alphabet="aé=\n\r 7%🦀", min_size=1, max_size=60).map(str.encode),
    st.integers(80, 255).map(lambda length: b"n" * length),
).map(lambda value: value.replace(b"\0", b"\x01").replace(b"/", b"\xfe")[:255])
paths = st.lists(components.filter(lambda name: name not in (b".", b"..")), min_size=1, max_size=4).map(b"/".join)
owners = st.one_of(st.integers(0, 70000), st.integers(2097150, 2097153), st.integers(0, 2**32 - 2))
times = st.one_of(st.integers(0, 2**63 - 1), st.integers(0, 2**33).map(lambda seconds: seconds * 10**9))
contents = st.builds(
    ContentRecord, st.integers(1, 10**9), st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32)
)
attributes = st.dictionaries(raw.map(lambda name: b"user." + name), st.binary(max_size=600), max_size=3).map(
    lambda found: tuple(found.items())
)
holes = st.lists(st.integers(1, 2**40), max_size=6, unique=True).map(
    lambda edges: tuple(
        (start, end - start) for start, end in zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False)
    )
)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    kind = draw(st.sampled_from(Kind))
    mtime_ns, exact = draw(times), draw(st.booleans())
    device = kind in (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE)
    return Entry(
        kind,
        draw(st.integers(0, 0o7777)),
        draw(owners),
        draw(owners),
        draw(raw),
        draw(raw),
        mtime_ns if exact else mtime_ns // 10**9 * 10**9,
        exact,
        target=draw(raw.filter(bool) | paths) if kind is Kind.SYMLINK else b"",
        device=(draw(st.integers(0, 2**21 - 1)), draw(st.integers(0, 2**21 - 1))) if device else (0, 0),
        xattrs=draw(attributes),
        links_to=draw(st.none() | paths) if kind is Kind.REGULAR else None,
    )


def stored(entry: Entry, path: bytes, data: bytes, part: int | None) -> bytes:
    metadata = metadata_of(entry)
    if entry.kind is not Kind.REGULAR:
        return difftar.member_header(difftar.Action.SNAPSHOT, path, kind=entry.kind, metadata=metadata)
    content = content_value(entry.content) if entry.content else difftar.CONTENT_PLACEHOLDER
    made, _ = difftar.content_header(
        difftar.Action.SNAPSHOT,
        path,
        metadata=metadata,
        size=len(data),
        part=part,
        extra=encode_holes(entry),
        content=content,
    )
    return made + data + padding(len(data))


@FEW
@given(entries(), paths, st.binary(max_size=1500), st.none() | st.just(1), st.none() | contents, holes)
def test_difftar_members_come_back(
    entry: Entry,
    path: bytes,
    data: bytes,
    part: int | None,
    content: ContentRecord | None,
    found: tuple[tuple[int, int], ...],
) -> None:
    if entry.kind is Kind.REGULAR:
        if content is not None and content.digest == bytes(32):
            content = None
        entry = entry._replace(content=content, holes=found)
    else:
        data, part = b"", None
    stream = stored(entry, path, data, part)
    reader = VolumeReader(io.BytesIO(stream + stream + tail(2 * len(stream))))
    member, again = reader
    assert again == member, "what is remembered of the first member must not change the second"
    assert (member.path, member.part, member.size, member.fault, member.warning) == (path, part, len(data), None, None)
    size: int | None = None
    if entry.kind is Kind.REGULAR:
        size = entry.content.size if entry.content else len(data) if part is None else None
    exact = entry.mtime_exact and entry.mtime_ns % 10**9 != 0
    assert member.entry == entry._replace(size=size, mtime_exact=exact)


@FEW
@given(entries(), paths, st.binary(max_size=1500), contents, st.integers(0, 2**63 - 1), st.integers(0, 2**64 - 1))
def test_sigtar_members_come_back(
    entry: Entry, path: bytes, data: bytes, content: ContentRecord, ctime_ns: int, inode: int
) -> None:
    regular = entry.kind is Kind.REGULAR
    if entry.mtime_exact:
        entry = entry._replace(ctime_ns=ctime_ns, inode=inode)
    if regular and content.digest != bytes(32):
        entry = entry._replace(size=content.size, content=content)
    data = data if regular else b""
    stream = sigtar.member_header(path, entry, metadata=metadata_of(entry), size=len(data)) + data + padding(len(data))
    (member,) = sigtar.read_members(TarReader(io.BytesIO(stream)))
    if regular and entry.size is None:
        entry = entry._replace(ctime_ns=0, inode=0, mtime_exact=entry.mtime_exact and entry.mtime_ns % 10**9 != 0)
    assert (member.path, member.entry, member.size, member.fault, member.warning) == (
        path,
        entry,
        len(data),
        None,
        None,
    )
    assert stream.startswith(data, member.data_offset)


@FEW
@given(st.lists(st.tuples(entries(), paths, st.binary(max_size=700)), max_size=4))
def test_pythons_tarfile_reads_what_is_written(written: list[tuple[Entry, bytes, bytes]]) -> None:
    stream = b"".join(stored(entry, path, data, None) for entry, path, data in written)
    with tarfile.open(
        fileobj=io.BytesIO(stream + tail(len(stream))), encoding="utf-8", errors="surrogateescape"
    ) as archive:
        infos = archive.getmembers()
        for info, (entry, path, data) in zip(infos, written, strict=True):
            text = path.decode("utf-8", "surrogateescape")
            assert info.name == "snapshot/" + text
            assert (info.type, info.mode, info.uid, info.gid) == (TYPES[entry.kind], entry.mode, entry.uid, entry.gid)
            assert info.linkname == entry.target.decode("utf-8", "surrogateescape")
            assert (info.uname, info.gname) == tuple(
                name.decode("utf-8", "surrogateescape") for name in (entry.uname, entry.gname)
            )
            assert int(float(info.mtime)) - entry.mtime_ns // 10**9 in (0, 1)  # its fractions are floating point
            if entry.kind is Kind.REGULAR:
                content = archive.extractfile(info)
                assert content is not None
                assert content.read() == data


@FEW
@given(
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    st.lists(st.tuples(entries(), paths, st.binary(max_size=700)), max_size=4),
)
def test_what_pythons_tarfile_writes_is_read(form: int, written: list[tuple[Entry, bytes, bytes]]) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as archive:
        for entry, path, data in written:
            info = tarfile.TarInfo("snapshot/" + path.decode("utf-8", "surrogateescape"))
            info.type, info.mode, info.uid, info.gid = TYPES[entry.kind], entry.mode, entry.uid, entry.gid
            info.mtime, info.linkname = entry.mtime_ns // 10**9, entry.target.decode("utf-8", "surrogateescape")
            info.devmajor, info.devminor = entry.device
            info.size = len(data) if entry.kind is Kind.REGULAR else 0
            archive.addfile(info, io.BytesIO(data))
    reader = VolumeReader(io.BytesIO(stream.getvalue()))
    assert [(found.path, found.entry, found.fault, reader.read_all(1000)) for found in reader] == [
        (
            path,
            Entry(
                entry.kind,
                entry.mode,
                entry.uid,
                entry.gid,
                b"",
                b"",
                entry.mtime_ns // 10**9 * 10**9,
                False,
                len(data) if entry.kind is Kind.REGULAR else None,
                entry.target,
                entry.device,
            ),
            None,
            data if entry.kind is Kind.REGULAR else b"",
        )
        for entry, path, data in written
    ]


def sign(data: bytearray) -> None:
    """Gives every block a sound checksum, which lets damage reach the inner parsers."""
    for start in range(0, len(data) - 511, 512):
        block = data[start : start + 512]
        total = sum(block[:148]) + 256 + sum(block[156:])
        if any(block):
            data[start + 148 : start + 156] = b"%06o\0 " % total


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(entries(), paths, st.binary(max_size=700)), min_size=1, max_size=3),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    st.none() | st.floats(0, 1),
    st.booleans(),
)
def test_damage_is_corrupt_tar_or_a_fault(
    written: list[tuple[Entry, bytes, bytes]], flips: list[tuple[float, int]], cut: float | None, sign_again: bool
) -> None:
    data = bytearray(b"".join(stored(entry, path, data, None) for entry, path, data in written) + bytes(512))
    for place, value in flips:
        data[int(place * len(data))] = value
    if cut is not None:
        del data[int(cut * len(data)) :]
    if sign_again:
        sign(data)
    volume, signatures = VolumeReader(io.BytesIO(bytes(data))), TarReader(io.BytesIO(bytes(data)))
    for reader, members in ((volume, volume), (signatures, sigtar.read_members(signatures))):
        try:
            for member in members:
                assert member.fault is None or member.fault
                assert len(reader.read_all(len(data))) == member.size
        except CorruptTar:
            pass


def what_comes(reader: TarReader, members: Iterator[DiffMember]) -> list[object]:
    """Each member with its place and data, and at last the error, if there is one."""
    found: list[object] = []
    try:
        found.extend((member, reader.data_offset, reader.read(300)) for member in members)
    except CorruptTar as error:
        found.append(str(error))
    return found


def members_in_general(reader: TarReader) -> Iterator[DiffMember]:
    while (member := reader.next_member()) is not None:
        yield difftar.interpret(member)


PLAIN = Entry(Kind.REGULAR, 0o644, 1000, 1000, b"u", b"g", 1_600_000_000 * 10**9)
USUAL = PLAIN._replace(mtime_ns=1_700_000_000_123_456_789, mtime_exact=True)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.just(USUAL) | st.just(PLAIN) | entries(),
            st.sampled_from([b"a", b"a/b", b"./a", b"a//b", b"a/../b", b"d" * 90 + b"/" + b"e" * 60]) | paths,
            st.binary(max_size=700),
            st.none() | st.integers(1, 3),
            contents,
        ),
        min_size=1,
        max_size=3,
    ),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=3),
    st.booleans(),
)
def test_usual_members_are_read_in_one_go_as_they_are_in_general(
    written: list[tuple[Entry, bytes, bytes, int | None, ContentRecord]],
    flips: list[tuple[float, int]],
    sign_again: bool,
) -> None:
    sound = b"".join(
        stored(entry._replace(content=content), path, data, part) for entry, path, data, part, content in written
    )
    damaged = bytearray(sound)
    for place, value in flips:
        damaged[int(place * len(damaged))] = value
    if sign_again:
        sign(damaged)
    stream = sound + bytes(damaged) + sound
    usual, general = VolumeReader(io.BytesIO(stream)), TarReader(io.BytesIO(stream))
    assert what_comes(usual, iter(usual)) == what_comes(general, members_in_general(general))


@FEW
@given(st.binary(max_size=3000))
def test_any_bytes_are_a_tar_or_corrupt(data: bytes) -> None:
    reader = TarReader(io.BytesIO(data))
    try:
        while reader.next_member() is not None:
            pass
    except CorruptTar:
        pass


@FEW
@given(
    st.dictionaries(
        st.binary(min_size=1, max_size=120).map(lambda key: key.replace(b"=", b"-")), st.binary(max_size=1200)
    )
)
def test_extended_records_come_back(records: dict[bytes, bytes]) -> None:
    assert pax.parse_records(b"".join(pax.format_record(key, value) for key, value in records.items())) == records


@FEW
@given(
    st.lists(
        st.sampled_from(
            [b"5 a=\n", b"6 a=\n\n", b"12 path=new\n", b"05 a=\n", b"\n", b"1", b"0 ", b"=", b"x", b"\0", b" "]
        ),
        max_size=6,
    ).map(b"".join)
)
def test_the_quick_way_through_records_agrees_with_the_exact_one(data: bytes) -> None:
    assert pax.parse_records(data) == pax._parse_by_length(data)


@FEW
@given(times)
def test_times_come_back_to_the_nanosecond(nanoseconds: int) -> None:
    assert pax.parse_time(pax.format_time(nanoseconds)) == (nanoseconds, nanoseconds % 10**9 != 0)

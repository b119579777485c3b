"""Names, manifests, tar, members of volumes and of signature files."""

from __future__ import annotations

import io

from tests.fuzz.target import Target
from tests.support.archive import (
    DIRECTORY,
    deleted,
    delta,
    directory,
    other,
    parts,
    raw,
    record_of,
    sig_deleted,
    sig_file,
    sig_other,
    snapshot,
    symlink,
)
from twofold.errors import CorruptManifest, CorruptTar, FormatError
from twofold.format import sigtar, usual
from twofold.format.difftar import Action, DiffMember, interpret, member_header
from twofold.format.manifest import Manifest, format_manifest, parse_manifest
from twofold.format.names import NameCodec
from twofold.format.pax import format_record, parse_records
from twofold.format.records import decode, encode_attributes, encode_holes, encode_stat
from twofold.format.tar_reader import BLOCK, TarMember, TarReader
from twofold.format.tar_writer import metadata_of, padding
from twofold.format.usual import Usual
from twofold.format.volume_reader import VolumeReader
from twofold.model.entry import Entry, Kind
from twofold.model.relpath import fault_of, order_key

LARGEST_TAR = 12 * 1024
RECORD_NAMES = (b"TWOFOLD.content=", b"TWOFOLD.stat=", b"TWOFOLD.links_to=", b"TWOFOLD.holes=", b"SCHILY.xattr.user.")
TAR_WORDS = (
    b"snapshot/",
    b"multivol_snapshot/",
    b"multivol_diff/",
    b"diff/",
    b"deleted/",
    b"signature/",
    b"ustar\x0000",
)
PAX_WORDS = (b"mtime=", b"path=", b"linkpath=", b"size=", b"uid=", b"GNU.sparse.major=1", *RECORD_NAMES)

# ---- names -----------------------------------------------------------------------------------------------------------

CODECS = (
    NameCodec(),
    NameCodec("a-", manifest_prefix="m-", archive_prefix="v-", signature_prefix="s-", time_separator="_"),
    NameCodec("duplicity-", time_separator="."),
)
NAMES = (
    "duplicity-full.20231114T221320Z.vol1.difftar.gpg",
    "duplicity-inc.20231114T221320Z.to.20231115T221320Z.manifest.part",
    "duplicity-full-signatures.2023-11-14T22_13_20-04_30.sigtar.gz",
    "duplicity-inc.2009-11-14T22:13:20Z.to.2010-11-14T22:13:20+01:00.jsonstat.g",
    "df.s44we8.1.dt.z",
    "dns.s44we8.s44wh0.st.p.p7m",
)


def check_name(data: bytes) -> None:
    name = data.decode("utf-8", "surrogateescape")
    for codec in CODECS:
        stored = codec.parse(name)
        if stored is None:
            continue
        assert stored.volume is None or stored.volume > 0
        written = codec.format(stored)
        assert codec.parse(written) == stored, (name, written)


def name_seeds() -> list[bytes]:
    return [f"{prefix}{name}".encode() for name in NAMES for prefix in ("", "a-v-", "a-m-", "duplicity-")]


# ---- manifests -------------------------------------------------------------------------------------------------------

MANIFEST = b"""Hostname vm
Localdir "my\\x20d\xc3\xafr"
Twofold 1
Volume 1:
    StartingPath   .\x20\x20
    EndingPath     "big\\x20fi\\x22le" 15
    Hash SHA1 0398b05222a747ba56f1700a3198f780d02fb0da
    Size 1234
Volume 2:
    StartingPath   "big\\x20fi\\x22le" 16
    EndingPath     z\x20\x20
    Hash MD5 0398B05222a747ba56f1700a3198f780
Filelist 2
    new      "big\\x20fi\\x22le"
    deleted  z
"""


def check_manifest(data: bytes) -> None:
    try:
        manifest = parse_manifest(data, with_file_changes=True)
    except CorruptManifest:
        return
    shorter = parse_manifest(data)
    assert shorter.file_changes is None
    assert shorter.volumes == manifest.volumes
    assert len(manifest.volumes) + len(manifest.file_changes or ()) <= data.count(b"\n") + 1
    written = canonical(manifest)
    again = parse_manifest(format_manifest(written), with_file_changes=True)
    assert again == written


def canonical(manifest: Manifest) -> Manifest:
    """Without what no writer would write: odd host names, hashes that are not ASCII, volumes in another order."""
    hostname = manifest.hostname
    volumes = sorted(
        (each for each in manifest.volumes if all(f"{name}{digits}".isascii() for name, digits in each.hashes)),
        key=lambda each: each.number,
    )
    return Manifest(
        None if hostname is None or len(hostname.split()) != 1 else hostname,
        manifest.source or None,
        tuple(volumes),
        None if manifest.file_changes is None else tuple(each for each in manifest.file_changes if each[1]),
        manifest.format_version,
    )


# ---- tar -------------------------------------------------------------------------------------------------------------


def signed(data: bytes) -> bytes:
    """Every block with a sound checksum, without which hardly a mutation would get beyond the first test."""
    stream = bytearray(data)
    for start in range(0, len(stream) - BLOCK + 1, BLOCK):
        block = stream[start : start + BLOCK]
        if any(block) and b"ustar" in block[257:263]:
            total = sum(block[:148]) + 256 + sum(block[156:])
            stream[start + 148 : start + 156] = b"%06o\0 " % total
    return bytes(stream)


def stream_of(data: bytes) -> bytes:
    """The last byte decides whether checksums are made right."""
    return data[:-1] if data[-1:] < b"\x40" else signed(data[:-1])


Read = list[tuple[TarMember | DiffMember, bytes]]


def read_all(reader: TarReader, step: int) -> tuple[Read, str]:
    """All members with their data, and how it ended."""
    found: Read = []
    try:
        while True:
            member = reader.next() if isinstance(reader, VolumeReader) else reader.next_member()
            if member is None:
                assert reader.next_member() is None
                return found, "end"
            pieces = []
            while piece := reader.read(step):
                assert len(piece) <= step
                pieces.append(piece)
            found.append((member, b"".join(pieces)))
    except CorruptTar as error:
        return found, str(error)


def check_tar(data: bytes) -> None:
    stream = stream_of(data)
    found, ending = read_all(TarReader(io.BytesIO(stream)), 1 << 20)
    assert sum(len(content) for _, content in found) + BLOCK * len(found) <= len(stream)
    for member, content in found:
        assert len(content) == member.size
    assert read_all(TarReader(io.BytesIO(stream)), 100) == (found, ending)
    reader = TarReader(io.BytesIO(stream))
    passed = []
    try:
        while (member := reader.next_member()) is not None:
            passed.append(member)
    except CorruptTar:
        assert ending != "end"
    assert passed[: len(found)] == [member for member, _ in found]


def check_volume(data: bytes) -> None:
    """The quick ways of reading a volume find what the general way finds, and no faulty path gets through."""
    stream = stream_of(data)
    general, ending = read_all(TarReader(io.BytesIO(stream)), 1 << 20)
    expected = [(interpret(member), content) for member, content in general if isinstance(member, TarMember)]
    found, other_ending = read_all(VolumeReader(io.BytesIO(stream)), 1 << 20)
    assert (found, other_ending == "end") == (expected, ending == "end")
    for member, _ in expected:
        assert member.fault is not None or fault_of(member.path) is None
        assert member.fault is not None or member.path or member.action is not Action.DELETED
    for position in (0, BLOCK, 1):
        usual_found = [Usual(*each) for each in usual.usual_members(stream, position)]
        assert usual_found == usual.specification(stream, position)
    check_runs(stream, [(member.path, content) for member, content in expected])


def check_runs(stream: bytes, expected: list[tuple[bytes, bytes]]) -> None:
    """What comes in runs and in parts joined is what comes one by one."""
    reader = VolumeReader(io.BytesIO(stream))
    found: list[tuple[bytes, bytes]] = []
    joined: list[bytes] = []
    try:
        while (member := reader.next()) is not None:
            if (run := reader.run(None)) is not None:
                assert sorted(set(map(order_key, run.paths))) == list(map(order_key, run.paths))
                found += [(run.path(at), run.content(at)) for at in range(len(run))]
            elif (several := reader.parts(1 << 20)) is not None:
                joined.append(several.data)
            else:
                found.append((member.path, reader.read(1 << 20)))
    except CorruptTar:
        pass
    known = set(expected)
    assert all(each in known for each in found)
    everything = b"".join(content for _, content in expected)
    assert all(each in everything for each in joined)


def check_signatures(data: bytes) -> None:
    stream = stream_of(data)
    reader = TarReader(io.BytesIO(stream))
    try:
        for member in sigtar.read_members(reader):
            assert member.fault is not None or fault_of(member.path) is None
            assert reader.remaining == member.size
            if member.fault is None and member.action is not sigtar.Action.DELETED:
                check_entry_comes_back(member.path, member.entry)
    except CorruptTar:
        pass


def check_entry_comes_back(path: bytes, entry: Entry) -> None:
    """What was read of a member is written so that it is read the same."""
    exact = entry.mtime_exact and (
        entry.size is not None or entry.kind is not Kind.REGULAR or entry.mtime_ns % 10**9 != 0
    )
    entry = entry._replace(mtime_exact=exact, holes=())
    if not exact:
        entry = entry._replace(mtime_ns=entry.mtime_ns // 10**9 * 10**9, size=None, ctime_ns=0, inode=0)
    elif entry.kind is Kind.REGULAR and entry.size is None:
        entry = entry._replace(ctime_ns=0, inode=0)
    if entry.content is not None and entry.content.digest == bytes(32):
        entry = entry._replace(content=None)
    if entry.content is not None and entry.size is None:
        entry = entry._replace(size=entry.content.size)
    try:
        written = sigtar.member_header(path, entry, metadata=metadata_of(entry))
    except FormatError:
        return
    (again,) = sigtar.read_members(TarReader(io.BytesIO(written)))
    assert (again.path, again.fault) == (path, None)
    assert again.entry == entry._replace(content=entry.content if entry.kind is Kind.REGULAR else None), again


def check_records(data: bytes) -> None:
    records = parse_records(data)
    if records is None:
        return
    written = b"".join(format_record(key, value) for key, value in records.items())
    assert parse_records(written) == records
    found = decode(records)
    entry = Entry(Kind.REGULAR, xattrs=found.xattrs, links_to=found.links_to, holes=found.holes)
    entry = entry._replace(size=found.size, ctime_ns=found.ctime_ns, inode=found.inode)
    again = decode(parse_records(encode_attributes(entry).data + encode_holes(entry)) or {})
    assert again.links_to == found.links_to
    assert dict(again.xattrs) == dict(found.xattrs)
    assert again.holes == found.holes
    if found.size is not None:
        stat = decode(parse_records(encode_stat(entry)) or {})
        assert (stat.size, stat.ctime_ns, stat.inode) == (found.size, found.ctime_ns, found.inode)


def record_seeds() -> list[bytes]:
    values = (
        (b"mtime", b"1700000000.123456789"),
        (b"TWOFOLD.content", b"0000000512,00000000000000000003," + b"ab" * 32),
        (b"TWOFOLD.stat", b"3,1700000000123456789,77"),
        (b"TWOFOLD.links_to", b"a/b"),
        (b"TWOFOLD.holes", b"0+4096,8192+100"),
        (b"SCHILY.xattr.user.a%3Db%25", b"\xff\n\0"),
    )
    each = [format_record(*value) for value in values]
    return [*each, b"".join(each), each[0] + bytes(20)]


NANOSECONDS = Entry(Kind.REGULAR, 0o640, 1000, 100, b"user", b"group", 1_700_000_000_123_456_789, mtime_exact=True)


def volume_seeds() -> list[bytes]:
    big = parts(b"big", b"data" * 40000, record=record_of(b"data"))
    small = [shortened(part) for part in big]
    pieces = [
        directory(b""),
        *small,
        snapshot(b"d/x", b"some content", entry=NANOSECONDS),
        snapshot(b"d/y", b"", entry=NANOSECONDS),
        other(b"link", symlink(b"../x")),
        other(b"pipe", Entry(Kind.FIFO, 0o600)),
        other(b"null", Entry(Kind.CHARACTER_DEVICE, 0o600, device=(1, 3))),
        deleted(b"gone"),
        raw(b"diff/changed", delta(b"a" * 2000, b"a" * 1000 + b"b")),
        raw(b"snapshot/" + b"n" * 150, b"long"),
        raw(b"snapshot/special", b"1", extra=format_record(b"TWOFOLD.holes", b"0+4096")),
    ]
    return [each + b"\xff" for each in (*pieces, b"".join(pieces)[:LARGEST_TAR], b"".join(pieces[5:9]) + bytes(1024))]


def shortened(part: bytes) -> bytes:
    """A part with a few bytes of data instead of its own."""
    metadata = metadata_of(NANOSECONDS)
    head = member_header(Action.SNAPSHOT, b"big", kind=Kind.REGULAR, metadata=metadata, size=3, part=1)
    return head + part[-3:] + padding(3)


def signature_seeds() -> list[bytes]:
    full = NANOSECONDS._replace(ctime_ns=5, inode=7, xattrs=((b"user.a", b"\xff"),), links_to=b"d/x")
    pieces = [
        sig_other(b"", DIRECTORY),
        sig_file(b"a", b"content" * 200),
        sig_file(b"d/x", b"content", entry=full),
        sig_other(b"link", symlink(b"target")._replace(mtime_exact=True)),
        sig_deleted(b"gone"),
    ]
    return [each + b"\xff" for each in (*pieces, b"".join(pieces))]


def manifest_seeds() -> list[bytes]:
    return [MANIFEST, MANIFEST.replace(b"Volume 2", b"Volume 1"), b"Volume 7:\n StartingPath a\n EndingPath b 5\n"]


WORDS = (b"Volume ", b"StartingPath ", b"EndingPath ", b"Hash SHA1 ", b"Size ", b"Filelist ", b"Hostname ", b'"\\x20"')
TARGETS = {
    "names": Target(check_name, name_seeds, (b".to.", b".difftar", b".manifest", b".part", b".vol1", b"Z"), 120),
    "manifest": Target(check_manifest, manifest_seeds, WORDS),
    "records": Target(check_records, record_seeds, PAX_WORDS, 1024),
    "tar": Target(check_tar, lambda: [*volume_seeds(), *signature_seeds()], (*TAR_WORDS, *PAX_WORDS), LARGEST_TAR),
    "volume": Target(check_volume, volume_seeds, (*TAR_WORDS, *PAX_WORDS), LARGEST_TAR),
    "sigtar": Target(check_signatures, signature_seeds, (*TAR_WORDS, *PAX_WORDS), LARGEST_TAR),
}

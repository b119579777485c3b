"""Archives made member by member: sound ones, and whatever no backup would ever write.

Volumes exist as lists of encoded members; `feed` hands them to a reader as if they had been fetched, `Target` puts
whole sets with manifests and signature files into a store in memory.
"""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from twofold import rsync
from twofold.errors import BadVolume
from twofold.format import difftar, sigtar
from twofold.format.difftar import PART_SIZE, Action
from twofold.format.manifest import BlockPosition, Manifest, VolumeRecord, format_manifest
from twofold.format.names import NameCodec
from twofold.format.records import content_value, encode_content
from twofold.format.sigtar import SigMember
from twofold.format.tar_reader import TarReader
from twofold.format.tar_writer import header, metadata_of, padding, tail
from twofold.model.backup import FileRole, SetId, StoredName, Wrapping
from twofold.model.entry import ContentRecord, Entry, Kind
from twofold.model.relpath import order_key
from twofold.pipeline.replay import LostVolume, OpenVolume

BLOCK = 512
KIND = rsync.SignatureKind.BLAKE2_RABIN_KARP
FILE = Entry(Kind.REGULAR, 0o644, 0, 0, b"", b"", 1_600_000_000 * 10**9)
DIRECTORY = Entry(Kind.DIRECTORY, 0o755, 0, 0, b"", b"", 1_600_000_000 * 10**9)
UNKNOWN = bytes(32)


def symlink(target: bytes) -> Entry:
    return Entry(Kind.SYMLINK, 0o777, target=target)


def record_of(content: bytes) -> ContentRecord:
    return ContentRecord(BLOCK, len(content), rsync.content_hashes(content, [0], [len(content)], [BLOCK]))


def signature_of(content: bytes) -> bytes:
    maker = rsync.SignatureBuilder(KIND, BLOCK, 16)
    maker.update(content)
    maker.finish()
    return maker.take()


def delta(old: bytes, new: bytes) -> bytes:
    encoder = rsync.DeltaEncoder(signature_of(old), KIND, BLOCK, 16)
    made = encoder.feed(new)
    return made + encoder.finish()[0]


def directory(path: bytes, entry: Entry = DIRECTORY) -> bytes:
    return other(path, entry)


def other(path: bytes, entry: Entry) -> bytes:
    """Anything that has no content."""
    return difftar.member_header(Action.SNAPSHOT, path, kind=entry.kind, metadata=metadata_of(entry))


def deleted(path: bytes) -> bytes:
    return difftar.deleted_header(path)


def raw(name: bytes, data: bytes = b"", *, entry: Entry = FILE, extra: bytes = b"") -> bytes:
    """A member of any name."""
    return header(name, metadata_of(entry), size=len(data), extra=extra)[0] + data + padding(len(data))


def snapshot(path: bytes, content: bytes, *, recorded: bool = True, entry: Entry = FILE) -> bytes:
    """A whole file as one member."""
    return _single(Action.SNAPSHOT, path, content, record_of(content) if recorded else None, entry)


def diff(path: bytes, old: bytes, new: bytes, *, recorded: bool = True, entry: Entry = FILE) -> bytes:
    """A difference as one member."""
    return _single(Action.DIFF, path, delta(old, new), record_of(new) if recorded else None, entry)


def diff_of(path: bytes, data: bytes, record: ContentRecord | None = None) -> bytes:
    """A difference with any bytes for a delta."""
    return _single(Action.DIFF, path, data, record, FILE)


def parts(
    path: bytes,
    data: bytes,
    *,
    action: Action = Action.SNAPSHOT,
    record: ContentRecord | None = None,
    entry: Entry = FILE,
) -> list[bytes]:
    """A file or delta in parts of 64 KiB; the first announces the record, the last has it."""
    pieces = [data[start : start + PART_SIZE] for start in range(0, len(data), PART_SIZE)]
    if not pieces or len(pieces[-1]) == PART_SIZE:
        pieces.append(b"")
    announced = encode_content(content_value(record._replace(digest=UNKNOWN))) if record is not None else b""
    made = []
    for number, piece in enumerate(pieces, 1):
        if number == len(pieces) and record is not None:
            head = difftar.content_header(
                action,
                path,
                metadata=metadata_of(entry),
                size=len(piece),
                part=number,
                content=content_value(record),
            )[0]
        else:
            head = difftar.member_header(
                action,
                path,
                kind=Kind.REGULAR,
                metadata=metadata_of(entry),
                size=len(piece),
                part=number,
                extra=announced if number == 1 else b"",
            )
        made.append(head + piece + padding(len(piece)))
    return made


def _single(action: Action, path: bytes, data: bytes, record: ContentRecord | None, entry: Entry) -> bytes:
    metadata = metadata_of(entry)
    if record is None:
        head = difftar.member_header(action, path, kind=Kind.REGULAR, metadata=metadata, size=len(data))
    else:
        value = content_value(record)
        head = difftar.content_header(action, path, metadata=metadata, size=len(data), content=value)[0]
    return head + data + padding(len(data))


@dataclass(frozen=True)
class Volume:
    """One volume: the members, and what the manifest says of them."""

    number: int
    first: BlockPosition
    last: BlockPosition
    members: tuple[bytes, ...]
    lost: bool = False
    ending: bytes | None = None

    @property
    def content(self) -> bytes:
        joined = b"".join(self.members)
        return joined + (tail(len(joined)) if self.ending is None else self.ending)

    @property
    def record(self) -> VolumeRecord:
        return VolumeRecord(self.number, self.first, self.last, ())


def volume(
    number: int,
    members: Sequence[bytes],
    *,
    first: tuple[bytes, int | None] | bytes,
    last: tuple[bytes, int | None] | bytes,
    lost: bool = False,
    ending: bytes | None = None,
) -> Volume:
    return Volume(number, _position(first), _position(last), tuple(members), lost, ending)


def one_volume(*members: bytes) -> list[Volume]:
    """All members in one volume whose range is everything."""
    return [volume(1, members, first=b"", last=b"\xff" * 8)]


def _position(at: tuple[bytes, int | None] | bytes) -> BlockPosition:
    return BlockPosition(at) if isinstance(at, bytes) else BlockPosition(*at)


def feed(volumes: Iterable[Volume]) -> list[OpenVolume | LostVolume]:
    """What a fetcher would hand out."""
    return [
        LostVolume(each.record, BadVolume(f"Hash mismatch for: vol{each.number}", name=f"vol{each.number}"))
        if each.lost
        else OpenVolume(each.record, io.BytesIO(each.content), lambda: None)
        for each in volumes
    ]


# ---- signature files -------------------------------------------------------------------------------------------------


def sig_file(path: bytes, content: bytes, entry: Entry = FILE) -> bytes:
    signature = signature_of(content)
    known = entry._replace(content=record_of(content), size=len(content))
    return (
        sigtar.member_header(path, known, metadata=metadata_of(entry), size=len(signature))
        + signature
        + padding(len(signature))
    )


def sig_other(path: bytes, entry: Entry) -> bytes:
    return sigtar.member_header(path, entry, metadata=metadata_of(entry))


def sig_deleted(path: bytes) -> bytes:
    return sigtar.deleted_header(path)


def sig_lookup(members: Sequence[bytes] | None) -> Callable[[bytes, bytes], list[SigMember] | None]:
    """The entries of a signature file between two order keys, as a SetReader asks for them; None: there is no file."""
    if members is None:
        return lambda _low, _high: None
    known = list(sigtar.read_members(TarReader(io.BytesIO(b"".join(members) + bytes(1024)))))
    return lambda low, high: [each for each in known if low <= order_key(each.path) <= high]


# ---- whole targets ---------------------------------------------------------------------------------------------------


@dataclass
class Target:
    """Sets as files of a store in memory, gzipped or plain, with hashes that fit whatever the volumes hold.

    `algorithms` are the hashes in the manifests; duplicity records SHA1 only.
    """

    wrapping: Wrapping = Wrapping.PLAIN
    algorithms: tuple[str, ...] = ("SHA1",)
    files: dict[str, bytes] = field(default_factory=dict)

    def add_set(self, set_id: SetId, volumes: Sequence[Volume], signatures: Sequence[bytes] | None = None) -> None:
        records = []
        for each in volumes:
            stored = self._wrapped(each.content)
            self.files[self.name(set_id, FileRole.VOLUME, each.number)] = stored
            hashes = tuple((name, hashlib.new(name, stored).hexdigest()) for name in self.algorithms)
            records.append(VolumeRecord(each.number, each.first, each.last, hashes))
        manifest = format_manifest(Manifest(b"host", b"source", tuple(records), ()))
        self.files[self.name(set_id, FileRole.MANIFEST)] = manifest
        if signatures is not None:
            content = b"".join(signatures)
            self.files[self.name(set_id, FileRole.SIGNATURES)] = self._wrapped(content + tail(len(content)))

    def name(self, set_id: SetId, role: FileRole, number: int | None = None) -> str:
        wrapping = Wrapping.PLAIN if role is FileRole.MANIFEST else self.wrapping
        return NameCodec().format(StoredName(set_id, role, wrapping, number))

    def _wrapped(self, content: bytes) -> bytes:
        return gzip.compress(content, 1, mtime=0) if self.wrapping is Wrapping.GZIP else content

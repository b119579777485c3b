"""What travels between the stages of a backup: chunks of tar with the list of what lies in them.

A chunk is up to a MiB; values a file exist only as tuples in its list. The signing stage reads the data in the
buffer, puts content hashes in their places and makes the signature file from the list, in the same order.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from twofold.format.manifest import BlockPosition
from twofold.format.tar_writer import Metadata
from twofold.model.entry import Entry
from twofold.pipeline.checkpoint import Mark
from twofold.pipeline.compare import Work
from twofold.rsync import SignatureMaker


class SmallFile(NamedTuple):
    """A whole regular file of less than a part; its digest's hex digits go to `digest_at` in the buffer.

    `known` says that the chain holds it already, with another content or other metadata.
    """

    path: bytes
    entry: Entry
    metadata: Metadata
    work: Work
    at: int
    digest_at: int
    known: bool


class PlainFile(NamedTuple):
    """A small file that needs nothing but the usual headers, which are there but for the digest (plain_headers.py)."""

    path: bytes
    work: Work
    at: int
    digest_at: int
    front: bytes
    back: bytes
    signature_size: int


class LargeFile:
    """A regular file that spans parts; the signing stage keeps its half-made signature here."""

    __slots__ = ("at", "block_len", "builder", "entry", "metadata", "path", "signature", "work")

    def __init__(self, path: bytes, entry: Entry, metadata: Metadata, *, work: Work, at: int, block_len: int) -> None:
        self.path = path
        self.entry = entry
        self.metadata = metadata
        self.work = work
        self.at = at
        self.block_len = block_len
        self.builder: SignatureMaker | None = None
        self.signature: list[bytes] = []


class LargeData(NamedTuple):
    """Pieces of a large file's data in the buffer; after the last ones its digest goes to `digest_at`."""

    file: LargeFile
    offsets: list[int]
    lengths: list[int]
    size: int
    digest_at: int | None


class SignedFile(NamedTuple):
    """A regular file stored as a difference: its new signature has been made along with it."""

    path: bytes
    entry: Entry
    metadata: Metadata
    work: Work
    at: int
    signature: tuple[bytes, ...]


class OtherFile(NamedTuple):
    """Anything that is not a regular file."""

    path: bytes
    entry: Entry
    metadata: Metadata
    work: Work
    at: int


class RemovedFile(NamedTuple):
    """A path that exists no more; `regular` tells what it was."""

    path: bytes
    regular: bool


class FinishedDirectory(NamedTuple):
    """All of a directory has been seen: its record goes to the state file."""

    work: Work


class KeptDirectory(NamedTuple):
    """A directory that cannot be read keeps the records it has in the old state file, from `offset` down."""

    work: Work
    at: int
    offset: int


Member: TypeAlias = (
    PlainFile | SmallFile | LargeData | SignedFile | OtherFile | RemovedFile | FinishedDirectory | KeptDirectory
)


class Chunk:
    """A filled buffer: the first `used` bytes are tar, of volume `volume`.

    Of each small file, plain or not, in the order of the members: `offsets` of the data, `sizes`, `block_lens`. At the
    end of a volume behind which another run could go on there is a `mark`; with `proof`, the parts of a file that end
    here are to be those that an interrupted run has stored.
    """

    __slots__ = (
        *("block_lens", "buffer", "ends_volume", "first", "last", "mark", "members", "number", "offsets", "proof"),
        *("read_bytes", "sizes", "used", "volume"),
    )

    def __init__(self, number: int, volume: int, buffer: bytearray) -> None:
        self.number = number
        self.volume = volume
        self.buffer = buffer
        self.used = 0
        self.members: list[Member] = []
        self.offsets: list[int] = []
        self.sizes: list[int] = []
        self.block_lens: list[int] = []
        self.first: BlockPosition | None = None
        self.last: BlockPosition | None = None
        self.ends_volume = False
        self.mark: Mark | None = None
        self.proof: str | None = None
        self.read_bytes = 0

"""Contents of a part (64 KiB) or more: whole files and deltas, laid into chunks part by part (docs/format.md 4.5)."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from isal import isal_zlib

from twofold import rsync
from twofold.format.difftar import PART_SIZE, Action, content_header, member_header
from twofold.format.records import content_value, encode_content, encode_holes
from twofold.format.tar_writer import metadata_of
from twofold.model.entry import ContentRecord, Entry, Kind
from twofold.pipeline.chunks import ChunkBuilder
from twofold.pipeline.members import Chunk, LargeData, LargeFile
from twofold.pipeline.pieces import ContentPiece, ContentReader

_UNKNOWN: Final = bytes(32)
# Room for a header in front of a part, extended records of a long path included.
_HEADER_ROOM: Final = 16384
_ROOM: Final = _HEADER_ROOM + PART_SIZE + 512
# The last part has a content record more: two blocks, or three where there were no extended records.
_RECORD_ROOM: Final = 2048


def pending_content(block_len: int, size: int) -> bytes:
    """The value of a content record whose digest is put in later, or stands on the last part."""
    return content_value(ContentRecord(block_len, size, _UNKNOWN))


class PartWriter:
    """Lays the parts of one file into chunks. The first part announces the block length, the last has the digest."""

    def __init__(self, action: Action, path: bytes, entry: Entry, *, block_len: int, builder: ChunkBuilder) -> None:
        builder.begin_parts(path, entry)
        self._action = action
        self._path = path
        self._entry = entry
        self._metadata = metadata_of(entry)
        self._builder = builder
        self.block_len = block_len
        self._announced = encode_holes(entry) + encode_content(pending_content(block_len, entry.size or 0))
        self._part = 0
        self._lengths: dict[int, int] = {}
        self._made = 0, b""

    @property
    def parts(self) -> int:
        """How many have been laid down."""
        return self._part

    def room(self) -> Iterator[Chunk]:
        """Makes room for one more part, whether it is the last or not."""
        needed = max(_ROOM, self.expected_header() + _RECORD_ROOM + PART_SIZE + 512)
        if self._builder.is_full(needed):
            yield from self._builder.turn_over(needed)

    def expected_header(self, ahead: int = 0) -> int:
        """How long the header of the next part (or one further `ahead`) is, if that part is not the last one."""
        part = self._part + 1 + ahead
        # But for the first one, all part numbers with as many digits have headers of one length.
        alike = len(str(part)) if part > 1 else 0
        if alike not in self._lengths:
            self._lengths[alike] = len(self._header(part))
        return self._lengths[alike]

    def place(self, data_at: int, proof: str = "") -> int:
        """A full part's data lie at `data_at`: completes the entry, as ChunkBuilder.place. Gives where they lie now."""
        self._part += 1
        header = self._header(self._part)
        data_at = self._move(data_at, PART_SIZE, len(header))
        self._builder.add(header, PART_SIZE, None)
        self._builder.place(self._path, self._part, self._entry, proof=proof)
        return data_at

    def place_last(self, data_at: int, size: int, value: bytes, *, first: bool = False) -> tuple[int, int]:
        """As `place` for the last part, with the value of its content record; also gives where the digest goes."""
        self._part += 1
        extra = self._announced_holes() if first else b""
        header, value_at = content_header(
            self._action,
            self._path,
            metadata=self._metadata,
            size=size,
            part=None if first else self._part,
            extra=extra,
            content=value,
        )
        start = self._builder.chunk.used
        data_at = self._move(data_at, size, len(header))
        self._builder.add(header, size, None)
        self._builder.place(self._path, None)
        return data_at, start + value_at + 32

    def _announced_holes(self) -> bytes:
        return self._announced[: len(self._announced) - 117]

    def _header(self, part: int) -> bytes:
        """The header of a full part; the last one made is kept, for its length is asked for first."""
        if self._made[0] != part:
            extra = self._announced if part == 1 else b""
            header = member_header(
                self._action,
                self._path,
                kind=Kind.REGULAR,
                metadata=self._metadata,
                size=PART_SIZE,
                part=part,
                extra=extra,
            )
            self._made = part, header
        return self._made[1]

    def _move(self, data_at: int, size: int, header_length: int) -> int:
        wanted = self._builder.chunk.used + header_length
        if wanted != data_at and size:
            data = bytes(self._builder.view[data_at : data_at + size])
            self._builder.view[wanted : wanted + size] = data
        return wanted


class FilePieces:
    """A whole file of a part or more: its first part has been read into the chunk already."""

    def __init__(self, descriptor: int, file: LargeFile, builder: ChunkBuilder) -> None:
        self._descriptor = descriptor
        self._file = file
        self._builder = builder
        self._writer = PartWriter(Action.SNAPSHOT, file.path, file.entry, block_len=file.block_len, builder=builder)
        self.size = 0
        self.problem: str | None = None

    def chunks(self, first_at: int) -> Iterator[Chunk]:
        """Lays all parts down; the first one's data lie at `first_at`, with nothing behind them in the chunk."""
        builder = self._builder
        if self._writer.expected_header() > _HEADER_ROOM:
            first = bytes(builder.view[first_at : first_at + PART_SIZE])
            yield from self._writer.room()
            first_at = builder.chunk.used + self._writer.expected_header()
            builder.view[first_at : first_at + PART_SIZE] = first
        offsets = [self._writer.place(first_at)]
        self.size = PART_SIZE
        while True:
            if builder.is_full(_ROOM):
                self._note(offsets)
                yield from builder.turn_over(_ROOM)
                offsets = []
            count, slots = self._read()
            full, rest = divmod(count, PART_SIZE)
            offsets += [self._writer.place(slot) for slot in slots[:full]]
            self.size += count
            builder.read_bytes += count
            if full < len(slots):
                break
        value = pending_content(self._file.block_len, self.size)
        data_at, digest_at = self._writer.place_last(slots[full], rest, value)
        self._note([*offsets, data_at], rest, digest_at)

    def _read(self) -> tuple[int, list[int]]:
        """Reads as many parts as fit into the chunk with one call, each behind the room for its header."""
        builder = self._builder
        slots = self._slots()
        number = len(slots)
        if self._has_grown():
            return 0, slots
        views = [builder.view[slot : slot + PART_SIZE] for slot in slots]
        count = 0
        try:
            while views:
                more = os.readv(self._descriptor, views)
                if not more:
                    break
                count += more
                if count == number * PART_SIZE:
                    break
                whole, within = divmod(count, PART_SIZE)
                views = [builder.view[slot : slot + PART_SIZE] for slot in slots[whole:]]
                views[0] = builder.view[slots[whole] + within : slots[whole] + PART_SIZE]
        except OSError as error:
            self.problem = error.strerror or str(error)
        return count, slots

    def _slots(self) -> list[int]:
        """Where the data of the next parts are to lie, as many as fit with room for the last one's record."""
        builder = self._builder
        header = self._writer.expected_header()
        start = builder.chunk.used
        number = max(1, (builder.capacity - start - _HEADER_ROOM) // (header + PART_SIZE))
        number = min(number, builder.parts_together(self._writer.parts))
        # NB: a part number with one more digit may need a longer header, which would push data into what follows.
        while number > 1 and self._writer.expected_header(number - 1) != header:
            number -= 1
        return [start + header + index * (header + PART_SIZE) for index in range(number)]

    def _has_grown(self) -> bool:
        """Whether as much has been read as there was at the beginning: a file that is always added to must end."""
        return self._file.entry.size is not None and self.size >= self._file.entry.size > 0

    def _note(self, offsets: list[int], rest: int | None = None, digest_at: int | None = None) -> None:
        """Tells the signing stage where the data lie in this chunk."""
        if not offsets:
            return
        lengths = [PART_SIZE] * len(offsets)
        if rest is not None:
            lengths[-1] = rest
        self._builder.chunk.members.append(LargeData(self._file, offsets, lengths, self.size, digest_at))


class DeltaSource:
    """The delta of a changed file, made while the file is read."""

    def __init__(self, descriptor: int, encoder: rsync.DeltaMaker, *, expected: int) -> None:
        """`expected` is the size of the file when it was opened: so much is read, and little that is added later."""
        self._descriptor = descriptor
        self._encoder = encoder
        self._expected = expected
        self._pieces: Iterator[ContentPiece] = iter(())
        self._ready: deque[memoryview] = deque()
        self._ready_size = 0
        self._ended = False
        self._signature: list[bytes] = []
        self.size = 0
        self.delta_size = 0
        self.digest = b""
        self.problem: str | None = None

    @property
    def signature(self) -> tuple[bytes, ...]:
        """The new content's signature, complete once the delta is."""
        return tuple(self._signature)

    def feed(self, data: memoryview, sums: bytes | None = None) -> None:
        """Takes content that has been read already; `sums` as for `rsync.DeltaMaker.feed`."""
        self.size += len(data)
        self._collect(self._encoder.feed(data, sums))
        self._signature.append(self._encoder.take_signature())

    def end(self) -> int:
        """The content is complete; gives the size of the delta so far not taken."""
        if not self._ended:
            self._ended = True
            rest, self.digest = self._encoder.finish()
            self._collect(rest)
            self._signature.append(self._encoder.take_signature())
        return self._ready_size

    def chunks(self, path: bytes, entry: Entry, block_len: int, builder: ChunkBuilder) -> Iterator[Chunk]:
        """Lays the delta down as one entry or in parts. A read error ends the content there, with `problem` set."""
        reader = ContentReader(self._descriptor, position=self.size, expected=self._expected)
        with closing(reader.pieces(block_len)) as self._pieces:
            writer = PartWriter(Action.DIFF, path, entry, block_len=block_len, builder=builder)
            yield from self._parts(writer, builder)
        self.problem = reader.problem

    def _parts(self, writer: PartWriter, builder: ChunkBuilder) -> Iterator[Chunk]:
        first, crc = True, 0
        while True:
            yield from writer.room()
            data = self._take(PART_SIZE)
            data_at = builder.chunk.used + writer.expected_header()
            builder.view[data_at : data_at + len(data)] = data
            if len(data) < PART_SIZE:
                value = content_value(ContentRecord(writer.block_len, self.size, self.digest))
                writer.place_last(data_at, len(data), value, first=first)
                return
            crc = isal_zlib.crc32(data, crc)
            writer.place(data_at, f"delta {self.delta_size} {crc:08x}")
            first = False

    def _take(self, size: int) -> bytes:
        if not self._ended and self._ready_size < size:
            self._read(size)
        pieces = []
        missing = size
        while missing and self._ready:
            piece = self._ready.popleft()
            if len(piece) > missing:
                self._ready.appendleft(piece[missing:])
                piece = piece[:missing]
            pieces.append(piece)
            missing -= len(piece)
        taken = size - missing
        self._ready_size -= taken
        self.delta_size += taken
        return b"".join(pieces)

    def _read(self, size: int) -> None:
        while self._ready_size < size:
            piece = next(self._pieces, None)
            if piece is None:
                self.end()
                return
            self.feed(piece.data, piece.sums)

    def _collect(self, delta: bytes) -> None:
        if delta:
            self._ready.append(memoryview(delta))
            self._ready_size += len(delta)

"""Turns the steps of a comparison into chunks of tar: reads each file once, straight into the buffer it travels in.

A header is made when the data are there, so whatever a file does while it is read, the archive stays whole: what is
stored is what was read, with the metadata from before. What cannot be read gets no entry; in an incremental it keeps
its last state.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Final

from twofold import rsync
from twofold.errors import CorruptSignature
from twofold.format.difftar import PART_SIZE, Action, content_header, deleted_header, member_header
from twofold.format.records import encode_holes
from twofold.format.tar_writer import metadata_of
from twofold.model.entry import ContentRecord, Entry, Kind
from twofold.model.value import value
from twofold.monitor import FileStored, Monitor, Problem
from twofold.pipeline.blocks import STRONG_LENGTH, block_length
from twofold.pipeline.chunks import ChunkBuilder
from twofold.pipeline.compare import Change, Check, Gone, Keep, Leave, Same, Step, Store, Work
from twofold.pipeline.entries import EntryMaker
from twofold.pipeline.known import FIELDS, MODE, SIZE
from twofold.pipeline.lookup import KnownFile, SignatureLookup
from twofold.pipeline.members import (
    Chunk,
    FinishedDirectory,
    KeptDirectory,
    LargeFile,
    OtherFile,
    RemovedFile,
    SignedFile,
    SmallFile,
)
from twofold.pipeline.parts import DeltaSource, FilePieces, pending_content
from twofold.pipeline.plain import PlainFiles
from twofold.pipeline.tally import Tally
from twofold.tree.scan import SourceTree

# Room for the usual header in front of the data: one block each for the extended header, its records, the header.
_USUAL_HEADER: Final = 1536
_LONGEST_HEADER: Final = 16384
# What is held of an unchanged directory takes as much memory as that many of its entries.
_DIRECTORY_WEIGHT: Final = 8
_ROOM: Final = _LONGEST_HEADER + PART_SIZE + 512
_KIND: Final = rsync.SignatureKind.BLAKE2_RABIN_KARP


@value
class PackOptions:
    """`largest_block` limits the block length of signatures, 0 for none; `detailed` reports every entry stored.

    `skip_empty` gives no chunk at all when there is nothing to store.
    """

    largest_block: int = 0
    detailed: bool = False
    skip_empty: bool = False


class Packer:
    """Fills chunks from steps. One thread uses it."""

    def __init__(
        self,
        source: SourceTree,
        builder: ChunkBuilder,
        entries: EntryMaker,
        lookup: SignatureLookup,
        *,
        options: PackOptions,
        monitor: Monitor,
        tally: Tally | None = None,
    ) -> None:
        """`tally` is added to; it may be the one that `builder` knows."""
        self._source = source
        self._builder = builder
        self._entries = entries
        self._lookup = lookup
        self._options = options
        self._monitor = monitor
        self.tally = tally or Tally()
        self._plain = PlainFiles(source, builder, entries, self.tally, largest_block=options.largest_block, room=_ROOM)

    def chunks(self, steps: Generator[Step, None, None]) -> Iterator[Chunk]:
        """All chunks of the backup, the last one closing the last volume. Closes `steps`, and with it directories."""
        with closing(steps):
            for step in steps:
                if type(step) is Store:
                    yield from self._store_run(step.work, step.indexes)
                elif type(step) is Same:
                    self.tally.same(step.entries, step.size)
                else:
                    yield from self._take(step)
        if not (self._options.skip_empty and self.tally.stored == 0):
            yield from self._builder.finish()

    def _take(self, step: Step) -> Iterator[Chunk]:
        match step:
            case Change():
                yield from self._change(step)
            case Check():
                yield from self._check(step)
            case Gone():
                yield from self._remove(step)
            case Leave():
                yield from self._builder.note(FinishedDirectory(step.work), len(step.work.names) + _DIRECTORY_WEIGHT)
            case Keep():
                yield from self._builder.note(KeptDirectory(step.work, step.at, step.offset), 1)

    # ---- entries -----------------------------------------------------------------------------------------------------

    def _store_run(self, work: Work, indexes: Sequence[int]) -> Iterator[Chunk]:
        """New entries: ordinary files by themselves, the others one by one between them."""
        builder = self._builder
        position = 0
        while position < len(indexes):
            stopped = self._plain.store(work, indexes, position)
            if self._options.detailed:
                for at in indexes[position:stopped]:
                    self._stored(work.prefix + work.names[at], "new")
            position = stopped
            if stopped < len(indexes):
                if builder.chunk.used + _ROOM > builder.capacity:
                    yield from builder.turn_over(_ROOM)
                else:
                    yield from self._store(work, indexes[stopped])
                    position += 1

    def _store(self, work: Work, at: int) -> Iterator[Chunk]:
        path = work.prefix + work.names[at]
        if not stat.S_ISREG(work.packed[at * FIELDS + MODE]):
            yield from self._store_other(work, at, path, known=None)
            return
        builder = self._builder
        if builder.chunk.used + _ROOM > builder.capacity:
            yield from builder.turn_over(_ROOM)
        descriptor = self._open(work, at, path, known=None)
        if descriptor < 0:
            return
        try:
            yield from self._store_regular(work, at, path, descriptor, known=None)
        finally:
            os.close(descriptor)

    def _store_regular(
        self, work: Work, at: int, path: bytes, descriptor: int, *, known: Change | None
    ) -> Iterator[Chunk]:
        """A regular file as a whole copy. There is room in the chunk for a small one."""
        builder = self._builder
        try:
            entry = self._entries.regular(work, at, path, descriptor)
            data_at = builder.chunk.used + _USUAL_HEADER
            count = _fill(descriptor, builder.view[data_at : data_at + PART_SIZE])
        except OSError as error:
            self._unreadable(work, at, path, error, known=known)
            return
        builder.read_bytes += count
        if count == PART_SIZE:
            count = yield from self._store_large(work, at, entry, descriptor, path=path, first_at=data_at)
        else:
            yield from self._place_small(work, at, path, entry, data_at, count)
        self.tally.new(count)
        self._stored(path, "new")

    def _place_small(
        self, work: Work, at: int, path: bytes, entry: Entry, data_at: int, count: int, *, known: bool = False
    ) -> Iterator[Chunk]:
        """The file's data lie in the buffer from `data_at` on: completes the entry around them."""
        builder = self._builder
        block_len = block_length(count, limit=self._options.largest_block)
        entry = entry._replace(size=count)
        metadata = metadata_of(entry)
        content = pending_content(block_len, count)
        header, value_at = content_header(
            Action.SNAPSHOT, path, metadata=metadata, size=count, extra=encode_holes(entry), content=content
        )
        start = builder.chunk.used
        if len(header) != data_at - start:
            data = bytes(builder.view[data_at : data_at + count])
            if len(header) > _LONGEST_HEADER:
                yield from builder.turn_over(len(header) + PART_SIZE + 512)
                start = builder.chunk.used
            data_at = start + len(header)
            builder.view[data_at : data_at + count] = data
        member = SmallFile(path, entry, metadata, work, at, start + value_at + 32, known)
        builder.add_small(header, count, member, block_len=block_len)
        builder.place(path, None)
        self.tally.raw_delta += count

    def _store_large(
        self, work: Work, at: int, entry: Entry, descriptor: int, *, path: bytes, first_at: int
    ) -> Generator[Chunk, None, int]:
        """A file of a part or more, whose first part lies in the chunk already; gives its size."""
        block_len = block_length(entry.size or 0, limit=self._options.largest_block)
        file = LargeFile(path, entry, metadata_of(entry), work=work, at=at, block_len=block_len)
        pieces = FilePieces(descriptor, file, self._builder)
        yield from pieces.chunks(first_at)
        self.tally.raw_delta += pieces.size
        self._cut_short(work, at, path, pieces.problem)
        return pieces.size

    def _store_other(self, work: Work, at: int, path: bytes, *, known: Change | None) -> Iterator[Chunk]:
        builder = self._builder
        if builder.chunk.used + _ROOM > builder.capacity:
            yield from builder.turn_over(_ROOM)
        try:
            entry = self._entries.other(work, at, path)
        except OSError as error:
            self._unreadable(work, at, path, error, known=known)
            return
        metadata = metadata_of(entry)
        header = member_header(Action.SNAPSHOT, path, kind=entry.kind, metadata=metadata)
        if len(header) > _LONGEST_HEADER:
            yield from builder.turn_over(len(header) + 512)
        builder.add(header, 0, OtherFile(path, entry, metadata, work, at))
        builder.place(path, None, may_hold_more=entry.kind is Kind.DIRECTORY)
        self.tally.new(work.packed[at * FIELDS + SIZE])
        self._stored(path, "new")

    def _remove(self, step: Gone) -> Iterator[Chunk]:
        builder = self._builder
        if builder.chunk.used + _ROOM > builder.capacity:
            yield from builder.turn_over(_ROOM)
        builder.add(deleted_header(step.path), 0, RemovedFile(step.path, stat.S_ISREG(step.mode)))
        builder.place(step.path, None, may_hold_more=True)
        self.tally.deleted += 1
        self._stored(step.path, "deleted")

    # ---- what was there before ---------------------------------------------------------------------------------------

    def _check(self, step: Check) -> Iterator[Chunk]:
        """Looks unchanged but for its change time (or duplicity's files cannot say): its content decides."""
        work, at = step.work, step.at
        path = work.prefix + work.names[at]
        known = self._lookup.find(step.where, path)
        if known is None:
            yield from self._change(Change(*step))
            return
        try:
            same = self._entries.is_unchanged(work, at, path, known)
        except OSError as error:
            self._unreadable(work, at, path, error, known=step)
            return
        if same:
            work.locations[at] = step.where
            self.tally.same(1, work.packed[at * FIELDS + SIZE])
        else:
            yield from self._change(Change(*step))

    def _change(self, step: Change) -> Iterator[Chunk]:
        work, at = step.work, step.at
        path = work.prefix + work.names[at]
        if not stat.S_ISREG(work.packed[at * FIELDS + MODE]):
            yield from self._store_other(work, at, path, known=step)
            return
        builder = self._builder
        if builder.chunk.used + _ROOM > builder.capacity:
            yield from builder.turn_over(_ROOM)
        descriptor = self._open(work, at, path, known=step)
        if descriptor < 0:
            return
        try:
            known = self._lookup.find(step.where, path)
            block_len = block_length(work.packed[at * FIELDS + SIZE], limit=self._options.largest_block)
            encoder = self._encoder(known, block_len)
            known = None  # its signature may be large, and the encoder has what it needs of it
            if encoder is None:
                yield from self._store_regular(work, at, path, descriptor, known=step)
            else:
                yield from self._store_difference(step, path, descriptor, encoder, block_len=block_len)
        finally:
            os.close(descriptor)

    def _encoder(self, known: KnownFile | None, block_len: int) -> rsync.DeltaMaker | None:
        """None when there is no signature that can be used: then the file is stored whole."""
        if known is None or known.entry.kind is not Kind.REGULAR:
            return None
        basis_size = known.entry.content.size if known.entry.content is not None else None
        try:
            return rsync.DeltaEncoder(known.signature, _KIND, block_len, STRONG_LENGTH, basis_size=basis_size)
        except CorruptSignature:
            return None

    def _store_difference(
        self, step: Change, path: bytes, descriptor: int, encoder: rsync.DeltaMaker, *, block_len: int
    ) -> Iterator[Chunk]:
        work, at = step.work, step.at
        builder = self._builder
        try:
            entry = self._entries.regular(work, at, path, descriptor)
            data_at = builder.chunk.used + _USUAL_HEADER
            count = _fill(descriptor, builder.view[data_at : data_at + PART_SIZE])
        except OSError as error:
            self._unreadable(work, at, path, error, known=step)
            return
        source = DeltaSource(descriptor, encoder, expected=entry.size or 0)
        source.feed(builder.view[data_at : data_at + count])
        if count < PART_SIZE and source.end() >= count:
            # Smaller than its difference, so stored whole: restoring starts here. To a person it has changed.
            yield from self._place_small(work, at, path, entry, data_at, count, known=True)
            self.tally.changed(count)
        else:
            yield from source.chunks(path, entry, block_len, builder)
            record = ContentRecord(block_len, source.size, source.digest)
            entry = entry._replace(size=source.size, content=record)
            builder.chunk.members.append(SignedFile(path, entry, metadata_of(entry), work, at, source.signature))
            self.tally.changed(source.size)
            self.tally.raw_delta += source.delta_size
            self._cut_short(work, at, path, source.problem)
        builder.read_bytes += source.size
        self._stored(path, "changed")

    # ---- small things ------------------------------------------------------------------------------------------------

    def _open(self, work: Work, at: int, path: bytes, *, known: Change | None) -> int:
        try:
            return self._source.open_file(work.fd, work.names[at])
        except OSError as error:
            self._unreadable(work, at, path, error, known=known)
            return -1

    def _cut_short(self, work: Work, at: int, path: bytes, problem: str | None) -> None:
        """After a read error in the middle: the archive is whole, the file in it is not, and the next run looks."""
        if problem is not None:
            self._monitor.report(Problem(path, f"{problem}; it is stored only up to there"))
            self.tally.errors += 1
            work.distrust(at)

    def _unreadable(self, work: Work, at: int, path: bytes, error: OSError, *, known: Change | Check | None) -> None:
        self.tally.errors += 1
        self._monitor.report(Problem(path, error.strerror or str(error)))
        if known is None:
            work.forget(at)
        else:
            work.keep(at, known.known, known.position)

    def _stored(self, path: bytes, change: str) -> None:
        if self._options.detailed:
            self._monitor.report(FileStored(path, change))


def _fill(descriptor: int, view: memoryview) -> int:
    """Reads until the view is full or the file ends; gives the bytes read."""
    count = os.readv(descriptor, [view])
    while 0 < count < len(view):
        more = os.readv(descriptor, [view[count:]])
        if not more:
            break
        count += more
    return count

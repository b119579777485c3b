"""Makes the content of a file from what the sets of a chain say of it: the newest whole copy and the deltas after it.

Nothing is read before it is asked for. Small contents stay in memory; large ones stream, or lie in scratch files that
have no name, however many deltas follow each other. Where the archive has a content record, nothing leaves here as
right that does not match it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, Self

from twofold import rsync, system
from twofold.concurrency import Cancelled, Channel, spawn
from twofold.errors import CorruptDelta, FormatError
from twofold.format.difftar import Action
from twofold.model.entry import ContentRecord, Entry, Kind
from twofold.pipeline.blocks import STRONG_LENGTH
from twofold.pipeline.merge import FileHistory
from twofold.pipeline.versions import Doubt, Lost, Version

IN_MEMORY: Final = 1 << 20
BLOCK: Final = IN_MEMORY + 1
"""What is read of a content at once: more than what is kept in memory."""
_UNLIMITED: Final = (1 << 63) - 1
_AHEAD: Final = 2
_AT_ZERO: Final = (0,)
_UNKNOWN: Final = bytes(32)  # the first of several parts only announces the block length
_NOT_THE_SAME: Final = "Its content is not what was backed up"


class CorruptContent(FormatError):
    """A file came out other than it went in."""


class Content:
    """The content of one regular file, to be used once, before the next path is asked for.

    Everything but `close` raises CorruptContent, CorruptDelta, DataLost and CorruptTar where the archive does not give
    the content, and OSError for scratch files and the output.
    """

    __slots__ = (
        "_base",
        "_basis",
        "_differences",
        "_doubtful",
        "_first",
        "_newest",
        "_spooled",
        "_temp_dir",
        "_whole",
    )

    def __init__(self, base: Version, differences: list[Version], *, temp_dir: str, doubtful: bool = False) -> None:
        """`doubtful` demands a content record: the differences may not belong to what they are applied to."""
        self._base = base
        self._differences = differences
        self._newest = differences[-1] if differences else base
        self._temp_dir = temp_dir
        self._doubtful = doubtful
        self._whole: bytes | None = None
        self._first: bytes | None = None  # the beginning of a large base, or of the last delta
        self._basis: bytes | int = b""  # what that delta belongs to: in memory, or a scratch file
        self._spooled = -1

    @property
    def whole(self) -> bytes | None:
        """All of it, checked, if it is small."""
        if self._first is None:
            self._begin()
        return self._whole

    def blocks(self) -> Iterator[bytes]:
        """All of it in pieces. Raises after the last piece at the latest when it is not what was stored."""
        whole = self.whole
        if whole is not None:
            if whole:
                yield whole
        elif self._differences or self._spooled >= 0:
            self.spool()
            offset = 0
            while block := os.pread(self._spooled, BLOCK, offset):
                offset += len(block)
                yield block
        else:
            yield from self._stream(self._newest.entry.content)

    def write_to(self, descriptor: int) -> None:
        """Writes all of it to a file, to be read as well, at its current position."""
        if self.whole is None and self._differences and self._spooled < 0:
            start = os.lseek(descriptor, 0, os.SEEK_CUR)
            self._patch(self._differences[-1], descriptor)
            _check_written(descriptor, start, self._newest.entry.content)
            return
        for block in self.blocks():
            _write_all(descriptor, block)

    def spool(self) -> None:
        """Makes a large content ahead of its use, so that its record is known, and that it is right."""
        if self.whole is not None or self._spooled >= 0:
            return
        scratch = system.scratch_file(self._temp_dir)
        try:
            self.write_to(scratch)
        except BaseException:
            os.close(scratch)
            raise
        self._spooled = scratch

    def close(self) -> None:
        """Gives scratch files back; may be called twice."""
        if self._differences:
            self._drop_basis()
        if self._spooled >= 0:
            os.close(self._spooled)
            self._spooled = -1

    def _begin(self) -> None:
        """Goes as far as is needed to know whether the content is small."""
        if self._doubtful and self._newest.entry.content is None:
            raise CorruptDelta("What its difference belongs to may have stood in a volume that cannot be read")
        first = read_up_to(self._base, BLOCK)
        if self._differences:
            self._begin_with_differences(first)
        else:
            self._first = first
            if len(first) <= IN_MEMORY:
                if not self._base.checked:
                    _check_whole(first, self._base.entry.content)
                self._whole = first

    def _begin_with_differences(self, first: bytes) -> None:
        self._basis = self._started_basis(first)
        for difference in self._differences:
            self._first = read_up_to(difference, BLOCK)
            whole = self._patched_in_memory(difference)
            if difference is self._newest:
                self._whole = whole
                if whole is not None:
                    _check_whole(whole, difference.entry.content)
            elif whole is not None:
                self._check_step(whole, difference)
                self._basis = whole
            else:
                self._patch_into_scratch(difference)

    def _started_basis(self, first: bytes) -> bytes | int:
        if len(first) <= IN_MEMORY:
            if self._checks_steps:
                _check_whole(first, self._base.entry.content)
            return first
        self._first = first
        scratch = system.scratch_file(self._temp_dir)
        try:
            for block in self._stream(self._base.entry.content if self._checks_steps else None):
                _write_all(scratch, block)
        except BaseException:
            os.close(scratch)
            raise
        return scratch

    @property
    def _checks_steps(self) -> bool:
        """Without a record of the result, as when duplicity has continued the chain, those before it must do."""
        return self._newest.entry.content is None

    def _check_step(self, whole: bytes, difference: Version) -> None:
        if self._checks_steps:
            _check_whole(whole, difference.entry.content)

    def _patched_in_memory(self, difference: Version) -> bytes | None:
        expected, delta = _final(difference.entry.content), self._first or b""
        if isinstance(self._basis, int) or expected is None or max(len(delta), expected.size) > IN_MEMORY:
            return None
        return rsync.patch_bytes(self._basis, delta, expected.size)

    def _patch_into_scratch(self, difference: Version) -> None:
        output = system.scratch_file(self._temp_dir)
        try:
            self._patch(difference, output)
            if self._checks_steps:
                _check_written(output, 0, difference.entry.content)
        except BaseException:
            os.close(output)
            raise
        self._basis = output

    def _patch(self, difference: Version, output: int) -> None:
        """Applies a difference, whose beginning has been read, to the basis, which is gone then."""
        delta = self._first or b""
        if isinstance(self._basis, bytes):
            basis = self._basis
            self._basis = system.scratch_file(self._temp_dir)
            _write_all(self._basis, basis)
        record = difference.entry.content
        limit = record.size if record is not None and _final(record) is not None else _UNLIMITED
        patcher = rsync.Patcher(self._basis, os.fstat(self._basis).st_size, output, max_size=limit)
        patcher.feed(delta)
        if len(delta) > IN_MEMORY:
            while block := difference.read(BLOCK):
                patcher.feed(block)
        patcher.finish()
        self._drop_basis()

    def _drop_basis(self) -> None:
        if isinstance(self._basis, int):
            os.close(self._basis)
            self._basis = b""

    def _stream(self, announced: ContentRecord | None) -> Iterator[bytes]:
        """A large base, straight from the volumes."""
        with _Check(announced) as check:
            block = self._first or b""
            while block:
                check.update(block)
                yield block
                block = self._base.read(BLOCK)
            if announced is not None or not self._differences:
                check.finish(self._base.entry.content)


class Rebuilt:
    """A path as it was at the end of a chain: its entry, and for a regular file its content."""

    __slots__ = ("content", "newest", "path")

    def __init__(self, path: bytes, newest: Version, content: Content | None) -> None:
        self.path = path
        self.newest = newest
        self.content = content

    @property
    def entry(self) -> Entry:
        """The metadata; its content record is complete once the content has been read."""
        return self.newest.entry


def rebuild(history: FileHistory, *, temp_dir: str) -> Rebuilt | None:
    """The newest state of a path; None when it does not exist then.

    Raises CorruptContent and CorruptDelta where the archive does not give it. Nothing of a content has been read then.
    """
    path, versions = history
    if len(versions) == 1:
        (only,) = versions
        if isinstance(only, Version) and only.action is Action.SNAPSHOT:
            content = Content(only, [], temp_dir=temp_dir) if only.entry.kind is Kind.REGULAR else None
            return Rebuilt(path, only, content)
    return _rebuild_from_several(history, temp_dir)


def _rebuild_from_several(history: FileHistory, temp_dir: str) -> Rebuilt | None:
    """Finds the newest whole copy and the differences after it."""
    base: Version | Lost | None = None
    differences: list[Version] = []
    doubted = doubtful = False  # something may be missing: since the base, before a difference
    for version in history.versions:
        if isinstance(version, Doubt):
            doubted = True
        elif isinstance(version, Version) and version.action is Action.DIFF:
            doubtful = doubted
            differences.append(version)
        else:
            base, differences, doubted, doubtful = version, [], False, False
    if isinstance(base, Lost):
        raise CorruptContent("It stood in a volume that cannot be read")
    if base is None or base.action is Action.DELETED:
        if differences:
            raise CorruptDelta("There is a difference, but nothing that it belongs to")
        return None
    if base.entry.kind is not Kind.REGULAR:
        if differences:
            raise CorruptDelta("There is a difference to something that is not a regular file")
        return Rebuilt(history.path, base, None)
    newest = differences[-1] if differences else base
    return Rebuilt(history.path, newest, Content(base, differences, temp_dir=temp_dir, doubtful=doubtful))


def read_up_to(version: Version, size: int) -> bytes:
    """The next `size` bytes, fewer only at the end, whatever the parts of the file are. Raises as `Version.read`."""
    data = version.read(size)
    if version.first_part is None or len(data) == size or not data:
        return data
    pieces = [data]
    have = len(data)
    while have < size and (data := version.read(size - have)):
        pieces.append(data)
        have += len(data)
    return b"".join(pieces) if len(pieces) > 1 else pieces[0]


def _final(record: ContentRecord | None) -> ContentRecord | None:
    """The record, if it has a digest: the first of several parts only announces the block length."""
    return record if record is not None and record.digest != _UNKNOWN else None


def is_recorded(content: bytes, record: ContentRecord | None) -> bool:
    """Whether a content is the one on record; true, too, where there is no record of it."""
    if record is None or record.digest == _UNKNOWN:
        return True
    return rsync.content_hashes(content, _AT_ZERO, (len(content),), (record.block_len,)) == record.digest


def _check_whole(content: bytes, record: ContentRecord | None) -> None:
    if not is_recorded(content, record):
        raise CorruptContent(_NOT_THE_SAME)


def _check_written(descriptor: int, offset: int, record: ContentRecord | None) -> None:
    """Reads back what a delta has made: only then is the whole content known to be right."""
    expected = _final(record)
    if expected is None:
        return
    with _Check(expected) as check:
        while block := os.pread(descriptor, BLOCK, offset):
            check.update(block)
            offset += len(block)
        check.finish(expected)


class _Check:
    """Compares a large content with its record while it passes; `announced` gives the block length.

    Hashing goes on in a thread of its own, which ends with the `with` block, beside writing and reading.
    """

    def __init__(self, announced: ContentRecord | None) -> None:
        self._block_len = announced.block_len if announced is not None else 0
        self._blocks: Channel[bytes] = Channel(_AHEAD)
        self._task = spawn(self._hash, name="check") if announced is not None else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._blocks.cancel()
        if self._task is not None:
            self._task.wait()

    def update(self, data: bytes) -> None:
        if self._task is None:
            return
        try:
            self._blocks.put(data)
        except Cancelled:
            self._task.join()  # it has failed, and says how
            raise

    def finish(self, record: ContentRecord | None) -> None:
        expected = _final(record)
        if expected is None:
            return
        self._blocks.end()
        found = self._task.join() if self._task is not None else b""
        if found != expected.digest or self._block_len != expected.block_len:
            raise CorruptContent(_NOT_THE_SAME)

    def _hash(self) -> bytes:
        """The content hash of all blocks; nothing when it is not wanted any more."""
        try:
            builder = rsync.SignatureBuilder(rsync.SignatureKind.BLAKE2_RABIN_KARP, self._block_len, STRONG_LENGTH)
            for block in self._blocks:
                builder.update(block)
                builder.take()
            return builder.finish()
        except Cancelled:
            return b""
        except BaseException:
            self._blocks.cancel()
            raise


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]

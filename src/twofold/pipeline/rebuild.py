"""Makes the content of a file from what the sets of a chain say of it: the newest whole copy and the deltas after it.

Small contents stay in memory; large ones stream, or lie in scratch files that have no name. Where the archive has a
content record, nothing leaves here as right that does not match it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, Protocol

from twofold import rsync, system
from twofold.errors import CorruptDelta, FormatError
from twofold.format.difftar import Action
from twofold.model.entry import ContentRecord, Entry, Kind
from twofold.pipeline.blocks import STRONG_LENGTH
from twofold.pipeline.replay import FileHistory, Lost, Version

IN_MEMORY: Final = 1 << 20
_BLOCK: Final = 1 << 20
_UNLIMITED: Final = (1 << 63) - 1


class CorruptContent(FormatError):
    """A file came out other than it went in."""


class Content(Protocol):
    """The content of one regular file, to be used once, before the next path is asked for."""

    @property
    def whole(self) -> bytes | None:
        """All of it, checked, if it is small."""

    def blocks(self) -> Iterator[bytes]:
        """All of it in pieces. Raises CorruptContent after the last piece when it is not what was stored."""

    def write_to(self, descriptor: int) -> None:
        """Writes all of it to a file at its current position. Raises as `blocks`, and OSError."""

    def close(self) -> None:
        """Gives scratch files back."""


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

    Raises DataLost, CorruptContent, CorruptDelta, CorruptTar where the archive does not give it, OSError for scratch
    files.
    """
    base_at = len(history.versions) - 1
    while base_at > 0 and _is_difference(history.versions[base_at]):
        base_at -= 1
    base, *differences = history.versions[base_at:]
    if isinstance(base, Lost):
        raise CorruptContent("It stood in a volume that cannot be read")
    if base.action is Action.DELETED:
        if differences:
            raise CorruptDelta("There is a difference, but nothing that it belongs to")
        return None
    if base.action is Action.DIFF:
        raise CorruptDelta("There is a difference, but nothing that it belongs to")
    newest = differences[-1] if differences else base
    assert not isinstance(newest, Lost)
    if base.entry.kind is not Kind.REGULAR:
        if differences:
            raise CorruptDelta("There is a difference to something that is not a regular file")
        return Rebuilt(history.path, base, None)
    changes = [each for each in differences if not isinstance(each, Lost)]
    return Rebuilt(history.path, newest, _content(base, changes, temp_dir))


def _is_difference(version: Version | Lost) -> bool:
    return not isinstance(version, Lost) and version.action is Action.DIFF


def _content(base: Version, differences: list[Version], temp_dir: str) -> Content:
    first = _read_up_to(base, IN_MEMORY + 1)
    if not differences:
        if len(first) <= IN_MEMORY:
            return _small(first, base.entry.content)
        return _Streamed(first, base)
    content: Content = _Small(first) if len(first) <= IN_MEMORY else _Streamed(first, base, check=False)
    for position, difference in enumerate(differences):
        last = position == len(differences) - 1
        content = _patched(content, difference, temp_dir, check=last)
    return content


def _read_up_to(version: Version, size: int) -> bytes:
    data = version.read(size)
    if len(data) == size or not data:
        return data
    pieces = [data]
    have = len(data)
    while have < size and (data := version.read(size - have)):
        pieces.append(data)
        have += len(data)
    return b"".join(pieces) if len(pieces) > 1 else pieces[0]


def _patched(basis: Content, difference: Version, temp_dir: str, *, check: bool) -> Content:
    delta = _read_up_to(difference, IN_MEMORY + 1)
    expected = _final(difference.entry.content)
    whole = basis.whole
    if whole is not None and len(delta) <= IN_MEMORY and expected is not None and expected.size <= IN_MEMORY:
        patched = rsync.patch_bytes(whole, delta, expected.size)
        return _small(patched, expected if check else None)
    return _Patched(basis, delta, difference, temp_dir, check=check)


def _small(content: bytes, record: ContentRecord | None) -> Content:
    expected = _final(record)
    if expected is not None:
        check = _Check(expected)
        check.update(content)
        check.finish(expected)
    return _Small(content)


def _final(record: ContentRecord | None) -> ContentRecord | None:
    """The record, if it has a digest: the first of several parts only announces the block length."""
    return record if record is not None and any(record.digest) else None


class _Check:
    """Compares a content with its record while it passes; `announced` gives the block length."""

    def __init__(self, announced: ContentRecord | None) -> None:
        self._builder = None
        if announced is not None:
            self._builder = rsync.SignatureBuilder(
                rsync.SignatureKind.BLAKE2_RABIN_KARP, announced.block_len, STRONG_LENGTH
            )
        self._block_len = announced.block_len if announced is not None else 0

    def update(self, data: bytes | memoryview) -> None:
        if self._builder is not None:
            self._builder.update(data)
            self._builder.take()

    def finish(self, record: ContentRecord | None) -> None:
        expected = _final(record)
        if self._builder is None or expected is None:
            return
        if self._builder.finish() != expected.digest or self._block_len != expected.block_len:
            raise CorruptContent("Its content is not what was backed up")


class _Small:
    """A content in memory."""

    def __init__(self, content: bytes) -> None:
        self.whole: bytes | None = content

    def blocks(self) -> Iterator[bytes]:
        if self.whole:
            yield self.whole

    def write_to(self, descriptor: int) -> None:
        _write_all(descriptor, self.whole or b"")

    def close(self) -> None:
        pass


class _Streamed:
    """A large content that comes straight from the volumes."""

    whole: bytes | None = None

    def __init__(self, first: bytes, version: Version, *, check: bool = True) -> None:
        self._first = first
        self._version = version
        self._check = check

    def blocks(self) -> Iterator[bytes]:
        check = _Check(self._version.entry.content if self._check else None)
        check.update(self._first)
        yield self._first
        while block := self._version.read(_BLOCK):
            check.update(block)
            yield block
        check.finish(self._version.entry.content)

    def write_to(self, descriptor: int) -> None:
        for block in self.blocks():
            _write_all(descriptor, block)

    def close(self) -> None:
        pass


class _Patched:
    """A content that a delta makes from another."""

    whole: bytes | None = None

    def __init__(self, basis: Content, delta: bytes, difference: Version, temp_dir: str, *, check: bool) -> None:
        self._basis = basis
        self._delta = delta
        self._difference = difference
        self._temp_dir = temp_dir
        self._check = check

    def blocks(self) -> Iterator[bytes]:
        scratch = system.scratch_file(self._temp_dir)
        try:
            self._patch(scratch)
            yield from self._checked(scratch, 0)
        finally:
            os.close(scratch)

    def write_to(self, descriptor: int) -> None:
        start = os.lseek(descriptor, 0, os.SEEK_CUR)
        self._patch(descriptor)
        for _ in self._checked(descriptor, start):
            pass

    def _checked(self, descriptor: int, offset: int) -> Iterator[bytes]:
        """What the patch has written, read back: only then is the whole content known to be right."""
        record = self._difference.entry.content if self._check else None
        check = _Check(record)
        while block := os.pread(descriptor, _BLOCK, offset):
            check.update(block)
            offset += len(block)
            yield block
        check.finish(record)

    def _patch(self, output: int) -> int:
        basis = system.scratch_file(self._temp_dir)
        try:
            self._basis.write_to(basis)
            expected = _final(self._difference.entry.content)
            limit = expected.size if expected is not None else _UNLIMITED
            patcher = rsync.Patcher(basis, os.fstat(basis).st_size, output, max_size=limit)
            patcher.feed(self._delta)
            if len(self._delta) > IN_MEMORY:
                while block := self._difference.read(_BLOCK):
                    patcher.feed(block)
            return patcher.finish()
        finally:
            os.close(basis)

    def close(self) -> None:
        self._basis.close()


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]

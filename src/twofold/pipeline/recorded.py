"""Compares contents with their records (`ContentRecord`): small ones at once, large ones while they pass."""

from __future__ import annotations

import os
from typing import Final, Self

from twofold import rsync
from twofold.concurrency import Cancelled, Channel, spawn
from twofold.errors import FormatError
from twofold.model.entry import ContentRecord

_AHEAD: Final = 2
_AT_ZERO: Final = (0,)
_UNKNOWN: Final = bytes(32)  # the first of several parts only announces the block length
_READ_SIZE: Final = 1 << 20
_NOT_THE_SAME: Final = "Its content is not what was backed up"


class CorruptContent(FormatError):
    """A file came out other than it went in."""


def final(record: ContentRecord | None) -> ContentRecord | None:
    """The record, if it has a digest."""
    return record if record is not None and record.digest != _UNKNOWN else None


def is_recorded(content: bytes, record: ContentRecord | None) -> bool:
    """Whether a content is the one on record; true, too, where there is no record of it."""
    if record is None or record.digest == _UNKNOWN:
        return True
    return rsync.content_hashes(content, _AT_ZERO, (len(content),), (record.block_len,)) == record.digest


def check_whole(content: bytes, record: ContentRecord | None) -> None:
    """Raises CorruptContent."""
    if not is_recorded(content, record):
        raise CorruptContent(_NOT_THE_SAME)


def check_written(descriptor: int, record: ContentRecord | None) -> None:
    """Reads a file back that has been written. Raises CorruptContent, OSError."""
    expected = final(record)
    if expected is None:
        return
    offset = 0
    with RunningCheck(expected) as check:
        while block := os.pread(descriptor, _READ_SIZE, offset):
            check.update(block)
            offset += len(block)
        check.finish(expected)


class RunningCheck:
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
        """Takes the next bytes. Raises what hashing those before has raised."""
        if self._task is None:
            return
        try:
            self._blocks.put(data)
        except Cancelled:
            self._task.join()  # it has failed, and says how
            raise

    def finish(self, record: ContentRecord | None) -> None:
        """Raises CorruptContent where there is a record and it tells of another content."""
        expected = final(record)
        if expected is None:
            return
        self._blocks.end()
        found = self._task.join() if self._task is not None else b""
        if found != expected.digest or self._block_len != expected.block_len:
            raise CorruptContent(_NOT_THE_SAME)

    def _hash(self) -> bytes:
        """The content hash of all blocks; nothing when it is not wanted any more."""
        try:
            hasher = rsync.ContentHasher(self._block_len)
            for block in self._blocks:
                hasher.update(block)
            return hasher.finish()
        except Cancelled:
            return b""
        except BaseException:
            self._blocks.cancel()
            raise

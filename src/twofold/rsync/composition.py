"""Carrying out deltas while their basis streams by, in pure Python.

A *line* of the table stands for a stretch of the result: where it begins there, and where its bytes are, in the basis
or in the held file. Lines follow each other without gaps; the last one ends with the result.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from typing import Final, NamedTuple

from twofold.errors import CorruptDelta
from twofold.rsync.commands import CommandReader, check_copy
from twofold.rsync.kernel import Data

_MOST_BYTES: Final = (1 << 63) - 1


class _Place(NamedTuple):
    """Where bytes are."""

    is_held: bool
    position: int


class _Table:
    """The lines of one result, at most `most` of them; `is_full` says that there would have been more."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.is_full = False
        self.starts: list[int] = []
        self.places: list[_Place] = []
        self.size = 0

    def add(self, place: _Place, length: int) -> None:
        if self.size + length > _MOST_BYTES:
            raise CorruptDelta(f"Delta makes more than {_MOST_BYTES} bytes")
        if self.is_full:
            return
        if not (self.places and self._following() == place):
            if len(self.places) == self._most:
                self.is_full = True
                return
            self.starts.append(self.size)
            self.places.append(place)
        self.size += length

    def _following(self) -> _Place:
        """Where the bytes behind those of the last line are."""
        return _moved(self.places[-1], self.size - self.starts[-1])

    def line_at(self, position: int) -> int:
        return bisect_right(self.starts, position) - 1

    def end_of(self, line: int) -> int:
        return self.starts[line + 1] if line + 1 < len(self.starts) else self.size


class _Collector:
    """Makes a table of one delta; what it copies are bytes of `before`, of the basis itself where that is None."""

    def __init__(self, before: _Table | None, held: int, most: int) -> None:
        self._before = before
        self._held = held
        self.table = _Table(most)

    def begin_literal(self, length: int, place: int) -> None:
        self.table.add(_Place(True, self._held + place), length)

    def literal(self, data: memoryview) -> None:
        """The bytes are in the held file."""

    def copy(self, position: int, length: int) -> None:
        before = self._before
        if before is None:
            check_copy(position, length, _MOST_BYTES)
            self.table.add(_Place(False, position), length)
            return
        check_copy(position, length, before.size)
        line, end = before.line_at(position), position + length
        while position < end and not self.table.is_full:
            step = min(before.end_of(line), end) - position
            self.table.add(_moved(before.places[line], position - before.starts[line]), step)
            position += step
            line += 1


class _Keep(NamedTuple):
    """Bytes of the basis that are wanted after they have passed, and where they are held then."""

    start: int
    end: int
    held: int


class Composition:
    """See `kernel.Composer`."""

    def __init__(self, held_fd: int, *, most_commands: int) -> None:
        if held_fd < 0:
            raise ValueError(f"{held_fd} is no file descriptor")
        self._held_fd = held_fd
        self._most = most_commands
        self._held = 0  # bytes in the held file
        self._table: _Table | None = None
        self._collector: _Collector | None = None
        self._reader: CommandReader | None = None
        self._kept: list[_Keep] | None = None  # None until it is known
        self._chunk = b""
        self._chunk_start = 0
        self._line = 0
        self._taken = 0
        self.fits = True

    def feed_delta(self, delta: Data, /) -> None:
        if self._kept is not None:
            raise ValueError("All deltas come before the basis")
        if self._reader is None:
            self._collector = _Collector(self._table, self._held, self._most)
            self._reader = CommandReader(self._collector)
        if self.fits:
            self._reader.feed(delta)
        self._hold(memoryview(delta))

    def finish_delta(self, max_size: int, /) -> None:
        if not self.fits:
            return
        if self._reader is None or self._collector is None:
            raise CorruptDelta("Delta has no end command")
        self._reader.finish()
        table = self._collector.table
        if table.is_full:
            self.fits = False
            return
        if table.size > max_size:
            raise CorruptDelta(f"Delta makes more than {max_size} bytes")
        self._table, self._collector, self._reader = table, None, None

    def feed(self, basis: Data, /) -> bool:
        table = self._ready()
        if self._available(1):
            raise ValueError("What there is must be taken first")
        self._chunk_start += len(self._chunk)
        self._chunk = bytes(basis)
        self._keep()
        if self._taken == table.size or not self._chunk:
            return False
        place, left = self._next(table)
        if place != (False, self._chunk_start) or left < len(self._chunk):
            return False
        self._advance(table, len(self._chunk))
        return True

    def take(self, size: int, /) -> bytes:
        result = bytearray()
        while step := self._available(size - len(result)):
            result += self._read(step)
            self._advance(self._ready(), step)
        return bytes(result)

    def finish(self) -> None:
        table = self._ready()
        if self._available(1):
            raise ValueError("What there is must be taken first")
        if self._taken < table.size:
            place, left = self._next(table)
            check_copy(place.position, left, self._chunk_start + len(self._chunk))

    def _ready(self) -> _Table:
        if self._table is None or self._reader is not None or not self.fits:
            raise ValueError("The deltas are not finished, or do not fit")
        if self._kept is None:
            self._kept = _kept(self._table, self._held)
        return self._table

    def _next(self, table: _Table) -> tuple[_Place, int]:
        """Where the next bytes of the result are, and how many there are behind each other."""
        return (
            _moved(table.places[self._line], self._taken - table.starts[self._line]),
            table.end_of(self._line) - self._taken,
        )

    def _available(self, most: int) -> int:
        """How many of the next bytes of the result can be read at once."""
        table = self._ready()
        if self._taken == table.size:
            return 0
        (is_held, position), left = self._next(table)
        if is_held:
            return min(left, most)
        end = self._chunk_start if position < self._chunk_start else self._chunk_start + len(self._chunk)
        return max(min(left, most, end - position), 0)

    def _read(self, length: int) -> bytes:
        (is_held, position), _ = self._next(self._ready())
        if not is_held and position >= self._chunk_start:
            return self._chunk[position - self._chunk_start :][:length]
        if not is_held:
            position = self._held_place(position)
        data = os.pread(self._held_fd, length, position)
        if len(data) < length:
            raise OSError(f"The scratch file ends before byte {position + length}")
        return data

    def _held_place(self, position: int) -> int:
        kept = self._kept or []
        keep = kept[bisect_right(kept, position, key=lambda each: each.start) - 1]
        return keep.held + position - keep.start

    def _advance(self, table: _Table, step: int) -> None:
        self._taken += step
        if self._taken == table.end_of(self._line) < table.size:
            self._line += 1

    def _keep(self) -> None:
        """Holds what is wanted later of the bytes that have come."""
        first, end = self._chunk_start, self._chunk_start + len(self._chunk)
        for keep in self._kept or ():
            start, stop = max(first, keep.start), min(end, keep.end)
            if start < stop:
                data = memoryview(self._chunk)[start - first : stop - first]
                _write_at(self._held_fd, data, keep.held + start - keep.start)

    def _hold(self, data: memoryview) -> None:
        _write_at(self._held_fd, data, self._held)
        self._held += len(data)


def _moved(place: _Place, distance: int) -> _Place:
    return _Place(place.is_held, place.position + distance)


def _kept(table: _Table, held: int) -> list[_Keep]:
    """What the result has of the basis where it goes back, ordered, each byte once; `held`: bytes held already."""
    ranges = []
    front = 0
    for line, (is_held, start) in enumerate(table.places):
        end = start + table.end_of(line) - table.starts[line]
        if is_held:
            continue
        if start < front:
            ranges.append((start, min(end, front)))
        front = max(front, end)
    kept: list[_Keep] = []
    for start, end in sorted(ranges):
        if kept and start <= kept[-1].end:
            last = kept.pop()
            start, end = last.start, max(end, last.end)
            held = last.held
        kept.append(_Keep(start, end, held))
        held += end - start
    return kept


def _write_at(descriptor: int, data: memoryview, position: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, position)
        data, position = data[written:], position + written

"""Reads the members of a volume one after another, those of the usual kind in one go (usual.py), or whole runs of them.

A member that is not, or may not be, of the usual kind is left to the general way, `TarReader` and `difftar.interpret`,
which alone decides what is damaged or must not be used; both give the same for the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from twofold.format.difftar import PART_SIZE, Action, DiffMember, interpret
from twofold.format.tar_reader import BLOCK, ByteSource, TarReader
from twofold.format.usual import Content, Usual, usual_members
from twofold.model.entry import ContentRecord, Entry, Kind
from twofold.model.relpath import order_key

_new = tuple.__new__  # makes a value in half the time
_REGULAR: Final = Kind.REGULAR
_DIRECTORY: Final = Kind.DIRECTORY
_SNAPSHOT: Final = Action.SNAPSHOT
_NO_DEVICE: Final = (0, 0)
_HEADERS: Final = 4 * BLOCK
"""What the headers of a usual member take at most, and a block."""


def _entry(member: Usual) -> Entry:
    _, part, (mode, uid, gid), (uname, gname), mtime_ns, exact, recorded, begin, end, _, directory = member
    content, size = None, None
    if recorded is not None:
        content = _new(ContentRecord, recorded)
        size = recorded[1]
    elif part is None and not directory:
        size = end - begin
    return _new(Entry, (
        _DIRECTORY if directory else _REGULAR, mode, uid, gid, uname, gname, mtime_ns, exact, size, b"", _NO_DEVICE,
        (), content, None, (), 0, 0,
    ))  # fmt: skip


class Run:
    """Whole files with content records that follow each other, with their data. Lists and arguments count from 0.

    Each has more than an empty path, without faults. Their order keys ascend.
    """

    __slots__ = ("_members", "block_lens", "data", "offsets", "sizes")

    def __init__(self, data: bytes, members: list[Usual]) -> None:
        self.data = data
        self._members = members
        self.offsets = [member[7] for member in members]
        self.sizes = [member[8] - member[7] for member in members]
        self.block_lens = [member[6][0] for member in members if member[6] is not None]

    def __len__(self) -> int:
        return len(self._members)

    @property
    def last_key(self) -> bytes:
        """The order key of the last one."""
        return order_key(self.path(-1))

    @property
    def paths(self) -> list[bytes]:
        return [member[0] for member in self._members]

    @property
    def digests(self) -> bytes:
        """The content hashes that the files must have, joined."""
        return b"".join([member[6][2] for member in self._members if member[6] is not None])

    @property
    def modes(self) -> list[int]:
        return [member[2][0] for member in self._members]

    @property
    def mtimes_ns(self) -> list[int]:
        return [member[4] for member in self._members]

    @property
    def owners(self) -> list[tuple[int, int, bytes, bytes]]:
        """User and group, by number and by name."""
        return [(*member[2][1:], *member[3]) for member in self._members]

    def path(self, index: int) -> bytes:
        return self._members[index][0]

    def entry(self, index: int) -> Entry:
        return _entry(self._members[index])

    def content(self, index: int) -> bytes:
        begin = self.offsets[index]
        return self.data[begin : begin + self.sizes[index]]


class Parts(NamedTuple):
    """Parts of one file that follow each other: their joined data, the number, size and record of the last one.

    `all_full` says that those behind the first are of the size at which files are cut.
    """

    data: bytes
    number: int
    size: int
    record: ContentRecord | None
    all_full: bool


class VolumeReader(TarReader):
    """Iterates over the members of one volume; the data of each is read before the next one is asked for."""

    def __init__(self, source: ByteSource) -> None:
        super().__init__(source)
        self._found: list[Usual] = []  # the usual members of a buffer from some position on
        self._found_in = b""
        self._at = 0  # which of them comes next
        self._is_usual = False  # whether the current member is the one before

    def __iter__(self) -> Iterator[DiffMember]:
        while (member := self.next()) is not None:
            yield member

    def next(self) -> DiffMember | None:
        """The next member, sound or not, or None at the end. Raises CorruptTar, and whatever the source raises."""
        if self._unread or self._padding:
            self.skip()
        if 0 < self._position > len(self._buffer) - _HEADERS:
            self._fill(_HEADERS)  # else the next member would not be usual
        self._is_usual = self._looks_ahead()
        if self._is_usual:
            member = self._found[self._at]
            self._at += 1
            path, part, _, _, _, _, _, begin, end, _, _ = member
            self._position = begin
            self._data_offset = self._buffer_offset + begin
            self._header_offset = self._data_offset - BLOCK
            size = end - begin
            self._unread, self._padding = size, -size % BLOCK
            return _new(DiffMember, (_SNAPSHOT, path, part, _entry(member), size, None, None))
        found = self.next_member()
        return None if found is None else interpret(found)

    def _looks_ahead(self) -> bool:
        """Whether the next member is usual; then it is `_found[_at]`."""
        at, found = self._at, self._found
        if self._found_in is not self._buffer or at >= len(found) or found[at][9] != self._position:
            if self._global_pax:
                return False
            self._found = usual_members(self._buffer, self._position)
            self._found_in = self._buffer
            self._at = 0
        return self._at < len(self._found)

    def parts(self, most: int) -> Parts | None:
        """The current member, of which nothing has been read, and further parts behind it: they count as read then.

        Of at most that many bytes. None where the current member is not fit for it. Raises what the source raises.
        """
        if not self._is_usual or self._found_in is not self._buffer or self._unread > most:
            return None
        path, number, *_ = member = self._found[self._at - 1]
        if number is None or self._position != member[7]:
            return None
        size = self._unread
        if self._position + size + self._padding > len(self._buffer):
            self._fill(size + self._padding)
            self._found, self._at = usual_members(self._buffer, size + self._padding), 0
            self._found_in = self._buffer
            if size + self._padding > len(self._buffer):
                return None  # cut short: the general way says where
        ranges, record = [(self._position, self._position + size)], member[6]
        position, total = self._position + size + self._padding, size
        for found in self._found[self._at :]:
            _, _, _, _, _, _, content, begin, end, _, _ = found
            following = end + -(end - begin) % BLOCK
            total += end - begin
            if found[:2] != (path, number + len(ranges)) or following > len(self._buffer) or total > most:
                break
            ranges.append((begin, end))
            position, record = following, content
        self._at += len(ranges) - 1
        self._position = position
        self._is_usual = False
        self._unread = self._padding = 0
        return _joined(self._buffer, ranges, number, record)

    def run(self, until: bytes | None) -> Run | None:
        """The current member, of which nothing has been read, and those behind it, all of which count as read then.

        Only what lies in the buffer, before the order key `until`. None where the current member is not fit for it.
        """
        if not self._is_usual or self._found_in is not self._buffer:
            return None
        first = self._at - 1
        if self._position != self._found[first][7]:
            return None
        last, position = b"", -1
        for at in range(first, len(self._found)):
            path, part, _, _, _, _, content, begin, end, _, directory = self._found[at]
            following = end + -(end - begin) % BLOCK
            if part is not None or content is None or directory or following > len(self._buffer):
                break
            key = path.replace(b"/", b"\0")
            if key <= last or (until is not None and key >= until):
                break
            last, position, self._at = key, following, at + 1
        if position < 0:
            return None
        self._is_usual = False
        self._position = position
        self._unread = self._padding = 0
        return Run(self._buffer, self._found[first : self._at])


def _joined(buffer: bytes, ranges: list[tuple[int, int]], number: int, record: Content | None) -> Parts:
    view = memoryview(buffer)
    sizes = [end - begin for begin, end in ranges]
    return Parts(
        b"".join([view[begin:end] for begin, end in ranges]),
        number + len(ranges) - 1,
        sizes[-1],
        ContentRecord(*record) if record is not None else None,
        all(size == PART_SIZE for size in sizes[1:]),
    )

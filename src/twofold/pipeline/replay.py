"""Reads the volumes of several backup sets side by side and gives, path by path, what each set says of it.

The sets of a chain are merged in archive order, so nothing is held but the current file of each set. A volume that
cannot be read costs the files in it: they come out as `Lost`, by name where the set's signatures are at hand.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

from twofold.errors import CorruptStream, CorruptTar, TwofoldError
from twofold.format import sigtar
from twofold.format.difftar import Action, DiffMember, read_members
from twofold.format.manifest import VolumeRecord
from twofold.format.sigtar import SigMember
from twofold.format.tar_reader import ByteSource, TarReader
from twofold.model.entry import Entry
from twofold.model.relpath import is_within, order_key
from twofold.monitor import Monitor, Problem

_DRAIN: Final = 1 << 20


class OpenVolume(NamedTuple):
    """A volume whose hash and encryption have been found right, ready to be read."""

    record: VolumeRecord
    content: ByteSource
    close: Callable[[], None]


class LostVolume(NamedTuple):
    """A volume that is missing or is not what its manifest says."""

    record: VolumeRecord
    error: TwofoldError


Feed: TypeAlias = Iterable[OpenVolume | LostVolume]
MembersBetween: TypeAlias = Callable[[bytes, bytes], Iterable[SigMember] | None]


class Lost(NamedTuple):
    """One set's word on a path stood in a volume that cannot be read."""

    path: bytes


class DataLost(TwofoldError):
    """The rest of a file stood in a volume that cannot be read, or its parts do not follow each other."""


class Version:
    """What one set says of a path; its data come in order, once, and only until the next path is asked for."""

    __slots__ = ("_reader", "action", "entry", "first_part", "path")

    def __init__(
        self, action: Action, path: bytes, entry: Entry, *, part: int | None = None, reader: SetReader | None = None
    ) -> None:
        self.action = action
        self.path = path
        self.entry = entry
        self.first_part = part
        self._reader = reader

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, none at the end; the content record of the entry is known from then on.

        Raises DataLost, CorruptTar, and what reading the volume raises.
        """
        return self._reader.read_data(self, size) if self._reader is not None else b""


def _remembered(member: SigMember) -> Version | Lost:
    """What a signature file knows of an entry whose volume is lost: everything, unless it had data."""
    match member.action:
        case sigtar.Action.DELETED:
            return Version(Action.DELETED, member.path, member.entry)
        case sigtar.Action.SNAPSHOT:
            return Version(Action.SNAPSHOT, member.path, member.entry)
        case sigtar.Action.SIGNATURE:
            return Lost(member.path)


class SetReader:
    """One set's members in order, over all its volumes."""

    def __init__(self, feed: Feed, *, within: bytes, members_between: MembersBetween, monitor: Monitor) -> None:
        """`members_between` gives the entries of the set's signature file between two order keys, both included.

        It is None when there is no such file. What has only metadata is thus not lost with its volume.
        """
        self._volumes = iter(feed)
        self._within = within
        self._members_between = members_between
        self._monitor = monitor
        self._volume: OpenVolume | None = None
        self._tar: TarReader | None = None
        self._members: Iterator[DiffMember] = iter(())
        self._previous: VolumeRecord | None = None
        self._head: DiffMember | None = None
        self._head_key: bytes | None = None
        self._last_key: bytes | None = None
        self._taken_key: bytes | None = None
        self._cut_key: bytes | None = None  # the file whose rest stood in a volume that is lost
        self._lost: deque[tuple[bytes, SigMember]] = deque()
        self._next_part: int | None = None
        self._step()

    @property
    def key(self) -> bytes | None:
        """The order key of the next path, None at the end."""
        if self._lost and (self._head_key is None or self._lost[0][0] <= self._head_key):
            return self._lost[0][0]
        return self._head_key

    def take(self) -> Version | Lost:
        """What this set says of the path that `key` stands for."""
        self._taken_key = self.key
        if self._lost and self._lost[0][0] == self._taken_key:
            return _remembered(self._lost.popleft()[1])
        head = self._head
        assert head is not None
        self._next_part = None if head.part is None else head.part + 1
        return Version(head.action, head.path, head.entry, part=head.part, reader=self)

    def finish(self) -> None:
        """Done with the path that was taken: what is left of it is passed over."""
        while self._head is not None and self._head_key == self._taken_key:
            self._step()

    def close(self) -> None:
        """Gives the open volume back; may be called twice."""
        if self._volume is not None:
            self._volume.close()
            self._previous = self._volume.record
            self._volume = None
        self._tar = None
        self._members = iter(())

    def read_data(self, version: Version, size: int) -> bytes:
        """For Version.read."""
        while True:
            if self._head is None or self._head_key != self._taken_key or self._tar is None:
                return b""
            if version.first_part not in (None, 1):
                raise DataLost("Its first part is missing")
            try:
                data = self._tar.read(size)
            except (CorruptTar, CorruptStream) as error:
                self._lose_rest(error)
                raise DataLost(f"Its data cannot be read: {error}") from error
            if data or not self._continues(version):
                return data

    def _continues(self, version: Version) -> bool:
        """Moves on to the next part of the same file, if that is what follows."""
        if self._next_part is None:
            return False
        self._step()
        if self._cut_key == self._taken_key:
            raise DataLost("A part of it stood in a volume that cannot be read")
        head = self._head
        if head is None or self._head_key != self._taken_key or head.action is not version.action:
            self._next_part = None
            return False
        if head.part != self._next_part:
            raise DataLost(f"Part {self._next_part} of it is missing")
        self._next_part += 1
        if head.entry.content is not None and any(head.entry.content.digest):
            version.entry = version.entry._replace(content=head.entry.content)
        return True

    def _step(self) -> None:
        """Makes the next usable member the head."""
        while True:
            member = self._next_member()
            if member is None:
                self._head = self._head_key = None
                return
            if member.fault is not None:
                self._monitor.report(Problem(member.path, member.fault, "restore"))
                continue
            key = order_key(member.path)
            if self._within and not is_within(member.path, self._within):
                if key > order_key(self._within):
                    self._end()
                    return
                continue
            if self._last_key is not None and (
                key < self._last_key or (key == self._last_key and (member.part is None or member.part == 1))
            ):
                self._monitor.report(Problem(member.path, "it stands twice or in the wrong place", "restore"))
                continue
            self._last_key = key
            self._head, self._head_key = member, key
            return

    def _end(self) -> None:
        self.close()
        self._volumes = iter(())
        self._head = self._head_key = None

    def _next_member(self) -> DiffMember | None:
        while True:
            try:
                member = next(self._members, None)
            except (CorruptTar, CorruptStream) as error:
                self._lose_rest(error)
                member = None
            if member is not None:
                return member
            self.close()
            volume = next(self._volumes, None)
            if volume is None:
                return None
            if isinstance(volume, LostVolume):
                self._lose(volume)
                continue
            self._volume = volume
            self._tar = TarReader(volume.content)
            self._members = read_members(self._tar)

    def _lose(self, volume: LostVolume) -> None:
        record, before = volume.record, self._previous
        low = order_key(record.first.path)
        if before is not None:
            end = order_key(before.last.path)
            if end < low:
                low = end + b"\0"  # a resumed volume may begin before its StartingPath (docs/format.md 10.4)
            if before.last.block is not None or end == order_key(record.first.path):
                self._cut_key = end
        self._lose_between(low, record, volume.error)
        self._previous = record

    def _lose_rest(self, error: TwofoldError) -> None:
        """The open volume cannot be read any further."""
        if self._volume is None:
            return
        record = self._volume.record
        low = self._last_key
        if low is None:
            low = order_key(record.first.path)
        elif self._head is not None and self._head.part is not None:
            self._cut_key = low
        else:
            low += b"\0"
        self.close()
        self._lose_between(low, record, error)

    def _lose_between(self, low: bytes, record: VolumeRecord, error: TwofoldError) -> None:
        members = self._members_between(low, order_key(record.last.path))
        if members is None:
            last = record.last.path.decode(errors="backslashreplace")
            reason = f"volume {record.number} cannot be read ({error}): all from here to {last} may be missing or old"
            self._monitor.report(Problem(low.rstrip(b"\0").replace(b"\0", b"/"), reason, "restore"))
            return
        for member in members:
            key = order_key(member.path)
            if (self._taken_key is None or key > self._taken_key) and is_within(member.path, self._within):
                self._lost.append((key, member))


class FileHistory(NamedTuple):
    """What each set that mentions a path says of it, oldest set first."""

    path: bytes
    versions: list[Version | Lost]


def merge_sets(readers: list[SetReader]) -> Iterator[FileHistory]:
    """All paths of all sets in archive order. A history's data must be read before the next one is asked for."""
    heap = [(key, number) for number, reader in enumerate(readers) if (key := reader.key) is not None]
    heapq.heapify(heap)
    while heap:
        key = heap[0][0]
        numbers = []
        while heap and heap[0][0] == key:
            numbers.append(heapq.heappop(heap)[1])
        versions = []
        versions = [readers[number].take() for number in numbers]
        yield FileHistory(versions[0].path, versions)
        for number in numbers:
            reader = readers[number]
            reader.finish()
            upcoming = reader.key
            if upcoming is not None:
                heapq.heappush(heap, (upcoming, number))

"""Reads the volumes of one backup set and gives, path by path, what the set says of it.

Nothing is held but the current file. A volume that cannot be read costs the files in it: they come out as `Lost`, by
name where the set's signatures are at hand; where they are not, every path that may have stood in it gets a `Doubt`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeAlias

from twofold.errors import CorruptStream, CorruptTar, TwofoldError
from twofold.format import sigtar
from twofold.format.difftar import PART_SIZE, Action, DiffMember
from twofold.format.manifest import VolumeRecord
from twofold.format.sigtar import SigMember
from twofold.format.tar_reader import ByteSource
from twofold.format.volume_reader import Parts, Run, VolumeReader
from twofold.model.entry import ContentRecord
from twofold.model.relpath import is_within, order_key
from twofold.monitor import Monitor, Note, Problem
from twofold.pipeline.versions import DataLost, Lost, Version

_PIECE: Final = 1 << 20
_MOST_FILLER: Final = 1 << 28  # duplicity fills encrypted volumes up with some tens of KiB
_LAST_KEY: Final = b"\xff" * 256  # behind every path
_UNREADABLE: Final = (CorruptTar, CorruptStream, OSError)


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


def _remembered(member: SigMember) -> Version | Lost:
    """What a signature file knows of an entry whose volume is lost: everything, unless it had data."""
    match member.action:
        case sigtar.Action.DELETED:
            return Version(Action.DELETED, member.path, member.entry)
        case sigtar.Action.SNAPSHOT:
            return Version(Action.SNAPSHOT, member.path, member.entry)
        case sigtar.Action.SIGNATURE:
            return Lost(member.path)


class _Gap(NamedTuple):
    """What is missing from an order key on, because of which volume."""

    low: bytes
    record: VolumeRecord
    error: Exception


class SetReader:
    """One set's members in order, over all its volumes."""

    lends = True

    def __init__(self, feed: Feed, *, within: bytes, members_between: MembersBetween, monitor: Monitor) -> None:
        """`members_between` gives the entries of the set's signature file between two order keys, both included.

        It is None when there is no such file. What has only metadata is thus not lost with its volume.
        """
        self._volumes = iter(feed)
        self._within = within
        self._members_between = members_between
        self._monitor = monitor
        self._volume: OpenVolume | None = None
        self._tar: VolumeReader | None = None
        self._previous: VolumeRecord | None = None
        self._head: DiffMember | None = None
        self._head_key: bytes | None = None
        self._last_key: bytes | None = None
        self._taken_key: bytes | None = None
        self._cut_key: bytes | None = None  # the file whose rest stood in a volume that is lost
        self._last_part: int | None = None
        self._gaps: list[_Gap] = []
        self._lost: deque[tuple[bytes, SigMember]] = deque()
        self._lost_until: bytes | None = None
        self._doubts: list[tuple[bytes, bytes]] = []
        self._next_part: int | None = None  # of the file that was taken, None if it is not in parts
        self._all_full = False  # whether all its parts so far are of the size at which files are cut
        self._step()

    @property
    def key(self) -> bytes | None:
        """The order key of the next path, None at the end."""
        if self._lost and (self._head_key is None or self._lost[0][0] <= self._head_key):
            return self._lost[0][0]
        return self._head_key

    def take(self) -> Version | Lost:
        """What this set says of the path that `key` stands for."""
        self._taken_key = self.key if self._lost else self._head_key
        head = self._head
        if self._lost and self._lost[0][0] == self._taken_key:
            lost = self._lost.popleft()[1]
            if head is None or self._head_key != self._taken_key or head.part not in (None, 1):
                return _remembered(lost)
        assert head is not None
        action, path, part, entry, size, _, _ = head
        self._next_part = None if part is None else part + 1
        self._all_full = size == PART_SIZE
        return Version(action, path, entry, part=part, reader=self)

    def take_run(self, until: bytes | None) -> Run | None:
        """Instead of `take`: the file of `key` and those behind it, before the order key `until`, all of them whole.

        None where `take` has to be used. Of each file this set says that it is as the run has it.
        """
        if self._lost or self._gaps or self._tar is None:
            return None
        if self._within:
            end = order_key(self._within) + b"\1"
            until = end if until is None else min(until, end)
        run = self._tar.run(until)
        if run is not None:
            self._taken_key = self._head_key = self._last_key = run.last_key
            self._last_part = self._next_part = None
        return run

    @property
    def has_doubts(self) -> bool:
        """Whether `doubts` may be true of any path."""
        return bool(self._doubts)

    def doubts(self, key: bytes) -> bool:
        """Whether a path that this set does not mention may have stood in a volume that cannot be read."""
        return any(low <= key <= high for low, high in self._doubts)

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

    def read_data(self, version: Version, size: int) -> bytes:
        """For Version.read."""
        while True:
            if self._head is None or self._head_key != self._taken_key or self._tar is None:
                return b""
            if version.first_part not in (None, 1):
                raise DataLost("Its first part is missing")
            try:
                parts = self._tar.parts(size) if self._next_part is not None and not self._gaps else None
                data = self._tar.read(size) if parts is None else self._took(parts, version)
            except _UNREADABLE as error:
                self._lose_rest(error)
                raise DataLost(f"Its data cannot be read: {error}") from error
            if data or not self._continues(version):
                return data

    def _took(self, parts: Parts, version: Version) -> bytes:
        """Several parts have been read as one; what is remembered is as after the last one."""
        assert self._head is not None
        self._head = self._head._replace(part=parts.number, size=parts.size)
        self._next_part, self._last_part = parts.number + 1, parts.number
        self._all_full = self._all_full and parts.all_full
        self._note(parts.record, version)
        return parts.data

    def _note(self, record: ContentRecord | None, version: Version) -> None:
        """The last part has the record, the first one announces it."""
        if record is not None and any(record.digest):
            version.entry = version.entry._replace(content=record)

    def _continues(self, version: Version) -> bool:
        """Moves on to the next part of the same file, if that is what follows."""
        if self._next_part is None:
            return False
        last = self._next_part - 1
        self._step()
        if self._cut_key == self._taken_key:
            raise DataLost("A part of it stood in a volume that cannot be read")
        head = self._head
        if head is None or self._head_key != self._taken_key:
            self._check_end(last)
            self._next_part = None
            return False
        if head.part != self._next_part or head.action is not version.action:
            raise DataLost(f"Part {self._next_part} of it is missing")
        self._next_part += 1
        self._all_full = self._all_full and head.size == PART_SIZE
        self._note(head.entry.content, version)
        return True

    def _check_end(self, last: int) -> None:
        """Files are cut into parts until one is short, if need be empty: else the end is missing.

        The last part has our content record, unless duplicity has finished a set that we had begun.
        """
        if self._all_full:
            raise DataLost(f"Part {last + 1} of it is missing")

    def _step(self) -> None:
        """Makes the next usable member the head."""
        while True:
            member = self._next_member()
            if member is None:
                self._head = self._head_key = None
                return
            _, path, part, _, _, fault, warning = member
            if fault is not None:
                self._monitor.report(Problem(path, f"it {fault}", "restore"))
                continue
            key = path.replace(b"/", b"\0")
            if self._within and not is_within(path, self._within):
                if key > order_key(self._within):
                    self._end()
                    return
                continue
            if not (self._last_key is None or key > self._last_key or self._continues_last(key, part)):
                self._monitor.report(Problem(path, "it stands twice or in the wrong place", "restore"))
                continue
            if warning is not None:
                name = path.decode(errors="backslashreplace")
                self._monitor.report(Note(f"The backup of {name} {warning}, which is left out", warning=True))
            self._last_key, self._last_part = key, part
            self._head, self._head_key = member, key
            return

    def _continues_last(self, key: bytes, part: int | None) -> bool:
        """Whether a member may stand where it does though its path is not a later one: a further part of a file."""
        return key == self._last_key and self._last_part is not None and part not in (None, 1)

    def _end(self) -> None:
        self.close()
        self._volumes = iter(())
        self._head = self._head_key = None

    def _next_member(self) -> DiffMember | None:
        while True:
            try:
                member = self._tar.next() if self._tar is not None else None
            except _UNREADABLE as error:
                self._lose_rest(error)
                member = None
            if member is not None:
                if self._gaps and member.fault is None:
                    self._close_gaps(order_key(member.path))
                return member
            self._check_rest()
            self.close()
            volume = next(self._volumes, None)
            if volume is None:
                self._close_gaps(_LAST_KEY)
                return None
            if isinstance(volume, LostVolume):
                self._lose(volume)
                continue
            self._volume = volume
            self._tar = VolumeReader(volume.content)

    def _check_rest(self) -> None:
        """Reads what follows the tar, for a checksum of the whole may stand at the very end."""
        if self._volume is None:
            return
        record, left = self._volume.record, _MOST_FILLER
        try:
            while left > 0 and (piece := self._volume.content.read(_PIECE)):
                left -= len(piece)
            reason = None if left > 0 else "too much follows its end"
        except (CorruptStream, OSError) as error:
            reason = str(error)
        if reason is not None:
            last = record.last.path.decode(errors="backslashreplace")
            reason = f"volume {record.number} is damaged ({reason}): what was in it, up to {last}, may be wrong"
            self._monitor.report(Problem(record.first.path, reason, "restore"))

    def _lose(self, volume: LostVolume) -> None:
        record, before = volume.record, self._previous
        if before is not None:
            end = order_key(before.last.path)
            if before.last.block is not None or end == order_key(record.first.path):
                self._cut_key = end
        self._gaps.append(_Gap(self._begin_of(record), record, volume.error))
        self._previous = record

    def _begin_of(self, record: VolumeRecord) -> bytes:
        """Everything behind what came before counts, not only what the manifest says.

        A resumed volume may begin before its StartingPath (docs/format.md 10.4); and where a hash is wrong the fault
        may be the manifest's.
        """
        if self._previous is None:
            return b""
        end = order_key(self._previous.last.path)
        return min(end + b"\0", order_key(record.first.path))

    def _lose_rest(self, error: Exception) -> None:
        """The open volume cannot be read any further."""
        if self._volume is None:
            return
        record = self._volume.record
        low = self._last_key
        if low is None:
            low = self._begin_of(record)
        elif self._head is not None and self._head.part is not None:
            self._cut_key = low
        else:
            low += b"\0"
        self.close()
        self._gaps.append(_Gap(low, record, error))

    def _close_gaps(self, next_key: bytes) -> None:
        """What the set has between the last sound member and the next one is lost."""
        if not self._gaps:
            return
        gaps, self._gaps = self._gaps, []
        low = min(gap.low for gap in gaps)
        high = max(next_key, *(order_key(gap.record.last.path) for gap in gaps))
        members = self._members_between(low, high)
        if members is None:
            for gap in gaps:
                self._report_gap(gap)
            self._doubts.append((low, high))
            return
        for member in members:
            key = order_key(member.path)
            if self._is_news(key) and is_within(member.path, self._within):
                self._lost.append((key, member))
                self._lost_until = key

    def _report_gap(self, gap: _Gap) -> None:
        record = gap.record
        last = record.last.path.decode(errors="backslashreplace")
        reason = f"volume {record.number} cannot be read ({gap.error}): all from here to {last} may be missing or old"
        self._monitor.report(Problem(gap.low.rstrip(b"\0").replace(b"\0", b"/"), reason, "restore"))

    def _is_news(self, key: bytes) -> bool:
        """The file that a volume begins with may have been lost with the one before, or be taken already."""
        taken = self._taken_key is not None and key <= self._taken_key
        return not taken and (self._lost_until is None or key > self._lost_until)

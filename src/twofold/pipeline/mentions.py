"""Leaves out volumes that cannot have anything to say of the paths to be read: the sets' signature files tell.

A set names in its signature file every path that it stored or deleted (docs/format.md section 5.1). Only copies in the
archive directory are looked at, and only one that was read to its end, its checksum included, that does not contradict
the manifest and that twofold alone has made is believed: in a set that duplicity resumed, a volume can hold what the
signature file does not name (section 10.4). In every other case all volumes stay whose range spans the paths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from twofold.collection.sets import BackupSet, FoundFile
from twofold.envelope.protocol import Opened
from twofold.errors import TwofoldError
from twofold.format.sigtar import Action, read_members
from twofold.format.tar_reader import TarReader
from twofold.model.backup import FileRole, Wrapping
from twofold.model.relpath import is_within, order_key
from twofold.pipeline.chain_reading import ReadingPlan
from twofold.pipeline.entrances import find_stretch
from twofold.pipeline.fetch import NeededVolume, range_of
from twofold.pipeline.known import DamagedState, KnownTree
from twofold.repository.repository import Repository

_PIECE: Final = 1 << 20
# Searching a signature file takes a tenth of the time of decrypting as much, taking it apart ten times as long.
_WORTH_SEARCHING: Final = 8
_WORTH_PARSING: Final = 1 << 20
_SMALL: Final = 1 << 16


class Mention(NamedTuple):
    """One set's word on a path; what older sets say of it does not matter if it `stands_alone`."""

    path: bytes
    stands_alone: bool


def narrowed(repository: Repository, plan: ReadingPlan) -> ReadingPlan:
    """The plan without volumes, and parts of volumes, in which there is surely nothing of what it is to read."""
    if not plan.within:
        return plan
    sets = []
    settled: set[bytes] = set()
    spoken_of = False
    for backup_set, volumes in reversed(plan.sets):
        # What is there now and no newer set speaks of must be in the full one: no need to search for it.
        searched = volumes and not (backup_set.is_full and not spoken_of and _stands_in_state(repository, plan.within))
        mentions = _mentions_of(repository, backup_set, volumes, within=plan.within) if searched else None
        spoken_of = spoken_of or bool(volumes and mentions != [])
        wanted = volumes if mentions is None else _wanted(volumes, mentions, settled)
        sets.append((backup_set, _entered(repository, backup_set, wanted, plan.within)))
        settled.update(each.path for each in mentions or () if each.stands_alone)
    return ReadingPlan(tuple(reversed(sets)), plan.within)


def _entered(
    repository: Repository, backup_set: BackupSet, volumes: Sequence[NeededVolume], within: bytes
) -> tuple[NeededVolume, ...]:
    archive_dir = repository.archive_dir
    return tuple(
        volume._replace(stretch=find_stretch(archive_dir, backup_set, volume.record, within)) for volume in volumes
    )


def find_mentions(opener: Callable[[], Opened], within: bytes, *, parse: bool) -> list[Mention] | None:
    """What a signature file says of `within` and all below it; None if that is not known.

    Without `parse` it is known only if the name occurs nowhere in the file. Raises what opening and reading raise.
    """
    opened = opener()
    try:
        if not _occurs(opened, within.rpartition(b"/")[2]):
            return []
    finally:
        opened.close()
    if not parse:
        return None
    opened = opener()
    try:
        members = list(read_members(TarReader(opened)))
    finally:
        opened.close()
    if any(member.fault is not None for member in members):
        return None
    return [
        Mention(member.path, member.action is not Action.SIGNATURE)
        for member in members
        if is_within(member.path, within)
    ]


def _occurs(opened: Opened, name: bytes) -> bool:
    """Whether a name stands anywhere in a stream, which is read to its end.

    The last component of a path is in one piece in every dialect of tar: only at a slash may a header divide it.
    """
    found = False
    rest = b""
    while block := opened.read(_PIECE):
        window = rest + block
        found = found or name in window
        rest = window[1 - len(name) :] if len(name) > 1 else b""
    return found


def _stands_in_state(repository: Repository, path: bytes) -> bool:
    """Whether the state file has a path, of whichever chain it is: all that depends on it is what is read in vain."""
    try:
        known = KnownTree(repository.archive_dir.state_path)
    except DamagedState:
        return False
    try:
        *folders, name = (b"", *path.split(b"/"))  # the root has a record of its own
        offset = known.root
        for each in folders:
            directory = known.directory(offset)
            offset = directory.children[directory.name_list().index(each)]
            if not offset:
                return False
        return name in known.directory(offset).name_list()
    except (DamagedState, ValueError):
        return False
    finally:
        known.close()


def _mentions_of(
    repository: Repository, backup_set: BackupSet, volumes: Sequence[NeededVolume], *, within: bytes
) -> list[Mention] | None:
    if not all(_is_ours(volume) for volume in volumes):
        return None
    file = _cached_signatures(backup_set)
    if file is None or file.size is None or file.size > _SMALL + _total_size(volumes) // _WORTH_SEARCHING:
        return None
    path = repository.archive_dir.path_of(file.name)
    parse = not backup_set.is_full and file.size <= _WORTH_PARSING
    try:
        envelope = repository.envelope_for(file.meaning.wrapping)
        mentions = find_mentions(lambda: envelope.open(path), within, parse=parse)
    except (TwofoldError, OSError):
        return None
    if mentions is None or not _agree(mentions, volumes, within):
        return None
    return mentions


def _is_ours(volume: NeededVolume) -> bool:
    """Whether twofold has made a volume: duplicity records no such hash."""
    return any(algorithm == "SHA256" for algorithm, _ in volume.record.hashes)


def _cached_signatures(backup_set: BackupSet) -> FoundFile | None:
    """The copy of a signature file, if what it was copied from would have shown that something is missing.

    NB: a bare tar has no checksum of the whole, and one that is cut short becomes a perfect copy.
    """
    stored = backup_set.signatures
    if not stored or any(file.meaning.wrapping is Wrapping.PLAIN for file in stored):
        return None
    for file in backup_set.local:
        meaning = file.meaning
        if meaning.role is FileRole.SIGNATURES and not meaning.partial:
            return file if meaning.wrapping is Wrapping.GZIP else None
    return None


def _agree(mentions: Sequence[Mention], volumes: Sequence[NeededVolume], within: bytes) -> bool:
    """Paths that a volume begins or ends with are in it, so the signature file must know them."""
    ends = {position.path for volume in volumes for position in (volume.record.first, volume.record.last)}
    return {path for path in ends if is_within(path, within)} <= {each.path for each in mentions}


def _wanted(
    volumes: Sequence[NeededVolume], mentions: Sequence[Mention], settled: set[bytes]
) -> tuple[NeededVolume, ...]:
    keys = [order_key(each.path) for each in mentions if each.path not in settled]
    wanted = []
    before: NeededVolume | None = None
    for volume in volumes:
        follows = before is not None and before.record.number == volume.record.number - 1
        previous = order_key(before.record.last.path) if before is not None and follows else b""
        begin, last = range_of(volume.record, previous)
        if any(begin <= key <= last for key in keys):
            wanted.append(volume)
        before = volume
    return tuple(wanted)


def _total_size(volumes: Sequence[NeededVolume]) -> int:
    return sum(volume.candidates[0].size or 0 for volume in volumes if volume.candidates)

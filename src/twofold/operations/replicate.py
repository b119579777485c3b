"""Copies backup sets from one store to another: every file checked, none decrypted but the manifests.

A set counts at the target once its manifest is there, which comes last; what was there already is not sent again, so
the same command goes on after any interruption. The next files are fetched while one is stored. Nothing is deleted at
either side, but for a file that has not arrived as it was sent. No file of a set that counts is replaced, unless the
source's is proven to be the right one: the good copy must survive when the source is what has been damaged.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from twofold.collection.collection import Collection, build_collection
from twofold.collection.sets import BackupSet, FoundFile, find_files
from twofold.concurrency import Crew
from twofold.errors import (
    BadVolume,
    CorruptManifest,
    EnvelopeError,
    KeyMissing,
    MissingVolume,
    TwofoldError,
    UserError,
    WrongSigner,
)
from twofold.format.manifest import Manifest
from twofold.model.backup import FileRole, SetId
from twofold.model.value import field, record, value
from twofold.monitor import Advance, Finished, Monitor, Note, Storing, Underway, VolumeDone
from twofold.operations.replicate_files import (
    LostFile,
    PresentFile,
    ReadyFile,
    Scratch,
    Source,
    Target,
    at,
    differing,
    same_content,
)
from twofold.operations.replicate_plan import (
    ReplicatePlan,
    SetCopy,
    check_numbers,
    lacking_volumes,
    other_archive,
    records_by_number,
)
from twofold.operations.replicate_proof import is_whole
from twofold.repository.manifests import load_cached_manifest, read_fetched_manifest
from twofold.repository.repository import Repository
from twofold.storage.store import Store, StoredFile

_AHEAD = 1
_LOSSES = (BadVolume, MissingVolume, CorruptManifest, EnvelopeError, LostFile)


@value
class Listing:
    """What was at the target at the beginning."""

    collection: Collection
    files: dict[str, StoredFile]


@value
class LostSet:
    """A set that cannot be copied whole; `waiting` are those that build on it.

    One that is `there` is at the target already, but cannot be compared with it or mended.
    """

    set_id: SetId
    error: TwofoldError
    waiting: tuple[SetId, ...]
    there: bool


class Doubt(NamedTuple):
    """Something about a set that is not as it should be, but does not keep it from being copied."""

    set_id: SetId
    reason: str


@record
class ReplicateSummary:
    """What a copy has done so far: files and bytes that were sent, files that were found at the target.

    Of the sets in `present` nothing was sent.
    """

    copied: list[SetId] = field(default_factory=list)
    present: list[SetId] = field(default_factory=list)
    lost: list[LostSet] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    files: int = 0
    sent_bytes: int = 0
    present_files: int = 0
    present_bytes: int = 0


class SetBegins(NamedTuple):
    """What there is of a set will be sent now."""

    copy: SetCopy


class FileSent(NamedTuple):
    """A file that is no volume has arrived; of volumes VolumeDone tells."""

    name: str


class _SetEnds(NamedTuple):
    copy: SetCopy


_Step = ReadyFile | PresentFile | SetBegins | _SetEnds | LostSet | Doubt


def list_source(repository: Repository) -> Collection:
    """What there is to copy; the archive directory's manifests are part of it."""
    with at("source"):
        listed = [(file.name, file.size) for file in repository.store.list()]
    local = find_files(repository.archive_dir.list(), repository.codec.parse)
    return build_collection(remote=find_files(listed, repository.codec.parse), local=local)


def list_target(store: Store, repository: Repository) -> Listing:
    """What there is already; names mean what they mean at the source."""
    with at("target"):
        files = {file.name: file for file in store.list()}
    found = find_files(((file.name, file.size) for file in files.values()), repository.codec.parse)
    return Listing(build_collection(remote=found, local=()), files)


def check_same_archive(source: Repository, target: Store, *, plan: ReplicatePlan) -> None:
    """Raises OtherArchive when the newest set that both sides have of a chain has not the same manifest on both."""
    with Crew() as crew:
        scratch = Scratch(source.options.temp_dir, crew)
        for ours, theirs in (chain.same for chain in plan.chains if chain.same is not None):
            sides = (source.store, ours.manifests[0]), (target, theirs.manifests[0])
            if not same_content(*sides, scratch):
                raise other_archive(ours)


def replicate(
    source: Repository, target: Store, *, plan: ReplicatePlan, listing: Listing, monitor: Monitor
) -> ReplicateSummary:
    """Carries the plan out. A set that is damaged at the source is left, with those that build on it.

    The monitor gets SetBegins, LostSet, Doubt, FileSent. Raises what stores raise, Incomplete, WrongSigner; what has
    been sent stays.
    """
    summary = ReplicateSummary()
    with Crew(monitor=monitor) as crew:
        scratch = Scratch(source.options.temp_dir, crew)
        receiver = Target(target, listing.files, scratch)
        reader = _Reader(source, receiver, scratch, monitor)
        sender = _Sender(receiver, summary, monitor)
        monitor.report(Underway(sender.advance))
        for step in crew.ahead(reader.steps(plan), depth=_AHEAD, name="fetch"):
            sender.take(step)
    monitor.report(Finished())
    return summary


class _Reader:
    """Fetches and checks, in the order in which files are to be sent."""

    def __init__(self, repository: Repository, target: Target, scratch: Scratch, monitor: Monitor) -> None:
        self._repository = repository
        self._target = target
        attempts = repository.options.attempts
        self._source = Source(repository.store, scratch, attempts=attempts, monitor=monitor)
        self._monitor = monitor
        self._has_told = False

    def steps(self, plan: ReplicatePlan) -> Iterator[_Step]:
        """Nothing new is sent behind a set that cannot be copied: nobody could restore what builds on it."""
        for chain in plan.chains:
            is_broken = False
            for position, copy in enumerate(chain.copies):
                if is_broken and copy.there is None:
                    continue
                if copy.files:
                    yield SetBegins(copy)
                try:
                    yield from self._new(copy) if copy.there is None else self._mended(copy, copy.there)
                except WrongSigner:
                    raise
                except _LOSSES as error:
                    behind = () if is_broken else chain.copies[position + 1 :]
                    waiting = tuple(each.backup_set.id for each in behind if each.there is None)
                    yield LostSet(copy.backup_set.id, error, waiting, there=copy.there is not None)
                    is_broken = True
                else:
                    yield _SetEnds(copy)

    def _new(self, copy: SetCopy) -> Iterator[_Step]:
        """A set that does not count at the target yet."""
        backup_set = copy.backup_set
        manifest_file = backup_set.manifests[0]
        path, temporary = self._source.fetch(manifest_file)
        manifest = self._manifest(backup_set, path)
        check_numbers(backup_set, manifest)
        records = records_by_number(manifest)
        for candidates in copy.volumes:
            number = candidates[0].meaning.volume
            if records is None:
                yield self._source.unrecorded(candidates[0], self._target)
            elif number in records:  # any other is a leftover that nobody reads
                yield self._source.volume(candidates, records[number], self._target)
        if not backup_set.signatures:
            yield Doubt(backup_set.id, "Its signatures are missing at the source. Without them it cannot be continued")
        for file in copy.others:
            yield _empty(backup_set, file) if file.size == 0 else self._source.unrecorded(file, self._target)
        yield self._source.fetched(manifest_file, path, self._target, temporary=temporary)

    def _mended(self, copy: SetCopy, there: BackupSet) -> Iterator[_Step]:
        """A set that counts at the target: what it has lost is sent, and what is missing at the source is told."""
        backup_set = copy.backup_set
        manifest = self._manifest_of_present(backup_set)
        records = records_by_number(manifest)
        for candidates in copy.volumes:
            number = candidates[0].meaning.volume
            if records is None:
                yield self._unproven(backup_set, candidates[0])
            elif number in records:
                yield self._source.volume(candidates, records[number], self._target)
        for file in copy.others:
            yield self._unproven(backup_set, file)
        lacking = lacking_volumes(backup_set, there, manifest)
        if lacking:
            yield Doubt(backup_set.id, f"Volume {lacking[0]} is missing at the source; the target has it")
        if not backup_set.signatures:
            found = "the target has them" if there.signatures else "they are missing at the target, too"
            yield Doubt(backup_set.id, f"Its signatures are missing at the source; {found}")

    def _unproven(self, backup_set: BackupSet, file: FoundFile) -> _Step:
        """A file without a hash on record which the target has lost or has in another size."""
        if file.size == 0:
            return _empty(backup_set, file)
        if self._target.size_of(file) is None:
            return self._source.unrecorded(file, self._target)
        ready = None if file.meaning.role is FileRole.VOLUME else self._proven(file)
        return ready or Doubt(backup_set.id, differing(file, file.size, self._target))

    def _proven(self, file: FoundFile) -> ReadyFile | None:
        """The source's file if that is whole, and the target's is not."""
        path, temporary = self._source.fetch(file)
        ready = self._source.ready(file, path, temporary=temporary)
        if is_whole(self._repository, file, path):
            other, other_temporary = self._target.fetch(file)
            is_torn = is_whole(self._repository, file, other) is False
            if other_temporary:
                os.unlink(other)
            if is_torn:
                return ready
        if temporary:
            os.unlink(path)
        return None

    def _manifest_of_present(self, backup_set: BackupSet) -> Manifest | None:
        """The cached one, since nothing is compared but names and hashes; one a key is not at hand for is no damage."""
        cached = self._cached(backup_set)
        if cached is not None:
            return cached
        file = backup_set.manifests[0]
        path, temporary = self._source.fetch(file)
        try:
            return self._manifest(backup_set, path)
        except WrongSigner:
            raise
        except EnvelopeError as error:
            # With another passphrase it looks damaged. If it were, it would not be what has been copied.
            if not self._target.has(file, self._source.ready(file, path, temporary=False).hash):
                raise
            return self._instead(backup_set, error)
        finally:
            if temporary:
                os.unlink(path)

    def _manifest(self, backup_set: BackupSet, path: str) -> Manifest | None:
        """What the set has to hold, None if this machine has no key to read that. The cached one may stand in."""
        try:
            return read_fetched_manifest(self._repository, backup_set, path)
        except (KeyMissing, UserError) as error:
            return self._instead(backup_set, error)
        except EnvelopeError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            return self._instead(backup_set, error)  # there is no gpg here

    def _instead(self, backup_set: BackupSet, error: TwofoldError) -> Manifest | None:
        cached = self._cached(backup_set)
        if cached is None and not self._has_told:
            self._has_told = True
            self._monitor.report(
                Note(
                    "Volumes are compared with what the target gets, not with the hashes in their manifests, and a "
                    f"missing last volume goes unnoticed: {error}"
                )
            )
        return cached

    def _cached(self, backup_set: BackupSet) -> Manifest | None:
        try:
            return load_cached_manifest(self._repository, backup_set)
        except (CorruptManifest, OSError):
            return None


def _empty(backup_set: BackupSet, file: FoundFile) -> Doubt:
    return Doubt(backup_set.id, f"{file.name} is empty at the source and so not copied")


class _Sender:
    """Stores what the reader has made ready, and keeps count."""

    def __init__(self, target: Target, summary: ReplicateSummary, monitor: Monitor) -> None:
        self._target = target
        self._summary = summary
        self._monitor = monitor
        self._moving = 0
        self._has_sent = False

    def advance(self) -> Advance:
        """How far the copy has come."""
        done = self._summary.sent_bytes + self._summary.present_bytes + self._moving
        return Advance(done_bytes=done)

    def take(self, step: _Step) -> None:
        match step:
            case ReadyFile():
                self._send(step)
            case PresentFile():
                self._summary.present_files += 1
                self._summary.present_bytes += step.file.size or 0
            case SetBegins():
                self._monitor.report(step)
            case _SetEnds():
                done = self._summary.copied if self._has_sent else self._summary.present
                done.append(step.copy.backup_set.id)
                self._has_sent = False
            case LostSet():
                self._summary.lost.append(step)
                self._monitor.report(step)
                self._has_sent = False
            case Doubt():
                self._summary.doubts.append(step)
                self._monitor.report(step)

    def _send(self, ready: ReadyFile) -> None:
        meaning = ready.file.meaning
        number = meaning.volume
        self._monitor.report(Storing(meaning.role.value if number is None else f"volume {number}"))
        try:
            size = self._target.put(ready, self._count)
        finally:
            self._moving = 0
        self._has_sent = True
        self._summary.files += 1
        self._summary.sent_bytes += size
        if ready.temporary:
            os.unlink(ready.path)
        done = self.advance().done_bytes
        name = ready.file.name
        self._monitor.report(FileSent(name) if number is None else VolumeDone(number, name, size, done))

    def _count(self, moved: int) -> None:
        self._moving += moved

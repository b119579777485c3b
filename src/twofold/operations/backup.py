"""Backs a tree up: decides whether to begin or to continue a chain, runs the pipeline, commits.

A set counts only from the moment its manifest is at the target. The volumes come first, then the signatures, then the
manifest, and that only if all else is still there; an interruption before leaves a set that nobody takes for a backup.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from typing import Final

from twofold.collection.chains import SignatureChain
from twofold.collection.collection import Collection
from twofold.concurrency import Crew, Pool, Task
from twofold.envelope.protocol import Opened
from twofold.errors import NoSignatures, NoSpace, UserError
from twofold.model.backup import FileRole, SetId, SetKind, StoredName
from twofold.model.times import Clock, SystemClock
from twofold.model.value import field, replace, value
from twofold.monitor import Advance, FileStored, Monitor, Note, Storing, Underway, VolumeDone
from twofold.operations.completeness import require_stored
from twofold.operations.known_state import open_known_state, state_identity
from twofold.pipeline.chunks import SLACK, ChunkBuilder, chunk_capacity
from twofold.pipeline.compare import compare
from twofold.pipeline.entrances import EntranceWriter
from twofold.pipeline.entries import EntryMaker
from twofold.pipeline.known import DamagedState, KnownTree, StateWriter
from twofold.pipeline.lookup import SignatureLookup
from twofold.pipeline.pack import Packer, PackOptions
from twofold.pipeline.rehearse import rehearse
from twofold.pipeline.seal import Volume, VolumeSealer, press
from twofold.pipeline.set_files import ChangeList, ManifestFiles, SignatureFiles
from twofold.pipeline.sign import Signer
from twofold.pipeline.tally import Tally
from twofold.pipeline.volumes import VolumeMeter
from twofold.repository.repository import Repository
from twofold.repository.signatures import signature_openers
from twofold.tree.scan import SourceTree

_BUFFERS: Final = 6
_DEPTH: Final = 2
_WAIT: Final = 2
NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)


@value
class BackupOptions:
    """How a backup is made. Sizes in bytes, times in seconds since 1970.

    `hostname` and `source_name` are what the manifest records. `full_before` forces a full backup when the last one
    began before it, `full_after` when the chain has that many incrementals.
    """

    hostname: bytes
    source_name: bytes
    volume_size: int
    workers: int = 2
    largest_block: int = 0
    record_changes: bool = True
    skip_if_no_change: bool = False
    dry_run: bool = False
    detailed: bool = False
    full_before: int | None = None
    full_after: int | None = None


@value
class BackupPlan:
    """A full backup (`chain` is None) or the next increment of a chain.

    `taken` are the times of sets that are there already, in seconds since 1970: a full backup must not replace one.
    """

    kind: SetKind
    chain: SignatureChain | None
    reason: str | None = None
    is_warning: bool = False
    taken: frozenset[int] = frozenset()


@value
class BackupSummary:
    """What was done: times in seconds since 1970, `stored_bytes` of volumes at the target."""

    set_id: SetId
    began: float
    ended: float
    tally: Tally = field(repr=False)
    stored_bytes: int = 0
    skipped: bool = False


def plan_backup(collection: Collection, *, asked: SetKind | None, options: BackupOptions) -> BackupPlan:
    """What kind of backup to make; `asked` is None when either is welcome. Raises NoSignatures."""
    full = BackupPlan(SetKind.FULL, None, taken=frozenset(each.id.end for each in collection.sets))
    if asked is SetKind.FULL:
        return full
    active = collection.active
    if active is None:
        if asked is SetKind.INCREMENTAL:
            raise NoSignatures(
                "Unable to start incremental backup.  Old signatures not found and incremental specified. Make a full "
                "backup first, or check the URL and the file prefixes"
            )
        return replace(full, reason="No signatures found, switching to full backup.")
    if options.full_before is not None and active.chain.start < options.full_before:
        return replace(full, reason="Last full backup is too old, forcing full backup")
    if options.full_after is not None and len(active.chain.increments) >= options.full_after:
        return replace(full, reason="Latest chain has too many incrementals, forcing full backup")
    return BackupPlan(SetKind.INCREMENTAL, active.signatures)


def backup(
    source: SourceTree,
    repository: Repository,
    *,
    plan: BackupPlan,
    options: BackupOptions,
    check: Callable[[], None] | None = None,
    clock: Clock,
    monitor: Monitor,
) -> BackupSummary:
    """Carries the plan out. Raises UserError when the clock is behind the last backup, and whatever stops the work.

    `check` runs beside the pipeline; nothing is stored before it has ended without an error.
    """
    began = clock.now()
    set_id = _new_set(plan, clock)
    chain = plan.chain
    openers = signature_openers(repository, chain.files, local=chain.local) if chain is not None else []
    known = open_known_state(repository, plan.chain, openers, monitor=monitor) if plan.chain is not None else None
    try:
        if options.dry_run:
            if check is not None:
                check()
            return _count(source, known, set_id, options=options, began=began, clock=clock, monitor=monitor)
        run = _Run(
            source, repository, known, openers, set_id=set_id, plan=plan, options=options, check=check, monitor=monitor
        )
        return run.carry_out(began, clock)
    except OSError as error:
        if error.errno in NO_SPACE and _is_below(error.filename, repository.target_staging()):
            raise NoSpace(_full_target(error, "its signatures and manifest"), operation="put") from error
        raise
    except DamagedState as error:
        repository.archive_dir.remove(os.path.basename(repository.archive_dir.state_path))
        raise UserError(
            f"The state file in the archive directory was damaged ({error}) and has been removed. Run the same "
            "command again: it is made anew from the signatures"
        ) from error
    finally:
        if known is not None:
            known.close()


def _new_set(plan: BackupPlan, clock: Clock) -> SetId:
    now = int(clock.now())
    if plan.chain is None:
        while now in plan.taken:
            now += 1
        return SetId(now)
    previous = plan.chain.end
    if now <= previous - _WAIT:
        raise UserError(
            f"The clock is {previous - now} seconds behind the last backup; an increment made now could not be "
            "restored. Set the clock right, or make a full backup"
        )
    return SetId(max(now, previous + 1), previous)


def _count(
    source: SourceTree,
    known: KnownTree | None,
    set_id: SetId,
    *,
    options: BackupOptions,
    began: float,
    clock: Clock,
    monitor: Monitor,
) -> BackupSummary:
    """A dry run: what would be looked at, without reading a file."""
    tally = Tally()
    monitor.report(Underway(lambda: Advance(tally.source_bytes, entries=tally.source_files)))
    with closing(compare(source, known)) as steps:
        for step in steps:
            for path, change in rehearse(step, tally):
                if options.detailed:
                    monitor.report(FileStored(path, change))
    tally.errors += source.problems
    return BackupSummary(set_id, began, clock.now(), tally)


def _full_target(error: OSError, what: str) -> str:
    return f"{error.strerror} at the target for {what}. Make room there, or use another target"


def _is_below(path: object, directory: str | None) -> bool:
    return isinstance(path, str) and directory is not None and path.startswith(directory)


def _checked_first(volumes: Iterable[Volume], checking: Task[None] | None) -> Iterator[Volume]:
    """The volumes, none before the check has ended well, which it must in any case."""
    for volume in volumes:
        if checking is not None:
            checking.join()
        yield volume
    if checking is not None:
        checking.join()


class _Run:
    """One backup under way."""

    def __init__(
        self,
        source: SourceTree,
        repository: Repository,
        known: KnownTree | None,
        openers: list[Callable[[], Opened]],
        *,
        set_id: SetId,
        plan: BackupPlan,
        options: BackupOptions,
        check: Callable[[], None] | None,
        monitor: Monitor,
    ) -> None:
        self._check = check
        self._source = source
        self._repository = repository
        self._known = known
        self._openers = openers
        self._set_id = set_id
        self._plan = plan
        self._options = options
        self._monitor = monitor
        self._stored: dict[str, int] = {}

    def carry_out(self, began: float, clock: Clock) -> BackupSummary:
        repository, options = self._repository, self._options
        repository.begin_set()
        with ExitStack() as cleanup:
            state = StateWriter(repository.archive_dir.state_path)
            cleanup.callback(state.abort)
            changes = ChangeList(repository.archive_dir.path, wanted=options.record_changes)
            cleanup.callback(changes.close)
            signatures = SignatureFiles(repository)
            cleanup.callback(signatures.abort)
            manifest = ManifestFiles(repository, self._set_id, hostname=options.hostname, source=options.source_name)
            cleanup.callback(manifest.close)
            entrances = EntranceWriter(repository.archive_dir, wanted=repository.envelope.opens_inside)
            cleanup.callback(entrances.abort)
            lookup = SignatureLookup(self._openers, monitor=self._monitor)
            cleanup.callback(lookup.close)
            # Last in, first out: the threads end before anything that they use is taken away.
            crew = cleanup.enter_context(Crew(monitor=self._monitor))
            tally, root = self._run(crew, state, changes, signatures, manifest, entrances, lookup)
            tally.errors += self._source.problems
            ended = clock.now()
            if not self._stored:
                return BackupSummary(self._set_id, began, ended, tally, skipped=True)
            self._monitor.report(Storing("signatures and manifest"))
            stored = signatures.commit(self._set_id)
            require_stored(repository, {**self._stored, stored.name: stored.size})
            manifest.commit(changes)
            self._keep_knowledge(state, root, entrances)
            return BackupSummary(self._set_id, began, ended, tally, sum(self._stored.values()))

    def _keep_knowledge(self, state: StateWriter, root: int, entrances: EntranceWriter) -> None:
        """The backup is there; what only makes the next one faster, or a restore, may fail."""
        try:
            state.finish(root, state_identity(self._repository, self._plan.chain, self._set_id))
            entrances.commit(self._set_id)
        except OSError as error:
            text = (
                f"What spares work cannot be written to the archive directory ({error.strerror or error}); "
                "the next backup, or a restore of one file, will take longer"
            )
            self._monitor.report(Note(text, warning=True))

    def _run(
        self,
        crew: Crew,
        state: StateWriter,
        changes: ChangeList,
        signatures: SignatureFiles,
        manifest: ManifestFiles,
        entrances: EntranceWriter,
        lookup: SignatureLookup,
    ) -> tuple[Tally, int]:
        options, envelope = self._options, self._repository.envelope
        capacity = chunk_capacity(options.volume_size)
        pool = crew.pool(bytearray(capacity + SLACK) for _ in range(_BUFFERS))
        ledger = crew.ledger()
        meter = VolumeMeter(envelope, ledger, limit=options.volume_size)
        sink = crew.sink(signatures.write, depth=_DEPTH, name="signature files")
        builder = ChunkBuilder(pool, meter, capacity=capacity)
        packer = Packer(
            self._source,
            builder,
            EntryMaker(self._source, began_ns=int(SystemClock().now() * 1e9)),
            lookup,
            options=PackOptions(options.largest_block, options.detailed, options.skip_if_no_change),
            monitor=self._monitor,
        )
        signer = Signer(sink.put, state, set_number=len(self._openers), known=self._known, changes=changes.add)
        sealer = self._sealer(pool)
        crew.afterwards(sealer.close)
        self._monitor.report(Underway(lambda: _advance(packer.tally, builder, sealer)))
        packed = crew.ahead(packer.chunks(compare(self._source, self._known)), depth=_DEPTH, name="pack")
        signed = crew.ahead(signer.sign(packed), depth=_DEPTH, name="sign")
        pressed = press(signed, envelope, ledger, workers=options.workers, crew=crew)
        checking = crew.background(self._check, name="check the target") if self._check is not None else None
        volumes = crew.ahead(sealer.seal(entrances.watch(pressed)), depth=1, name="seal")
        for volume in _checked_first(volumes, checking):
            self._store(volume, manifest, entrances)
            sealer.stored(volume)
        sink.finish()
        return packer.tally, signer.root_record

    def _sealer(self, pool: Pool[bytearray]) -> VolumeSealer:
        return VolumeSealer(
            self._repository.envelope,
            self._repository.staging_directory,
            pool,
            volume_size=self._options.volume_size,
            explain=self._explain,
        )

    def _explain(self, error: OSError, number: int) -> Exception:
        """Volumes are built on the target's own disk where that can be: then it is the target that is full."""
        repository = self._repository
        if error.errno not in NO_SPACE or repository.target_staging() is None:
            return OSError(error.errno, error.strerror, repository.staging_directory())
        name = repository.codec.format(self._volume_name(number))
        return NoSpace(_full_target(error, name), name=name, operation="put")

    def _volume_name(self, number: int) -> StoredName:
        wrapping = self._repository.written_wrapping(FileRole.VOLUME)
        return StoredName(self._set_id, FileRole.VOLUME, wrapping, volume=number)

    def _store(self, volume: Volume, manifest: ManifestFiles, entrances: EntranceWriter) -> None:
        repository = self._repository
        self._monitor.report(Storing(f"volume {volume.number}"))
        manifest.begin()
        stored = repository.hand_over(volume.sealed.path, self._volume_name(volume.number))
        manifest.add(volume.record())
        entrances.add(volume.number, volume.sealed.sha256)
        self._stored[stored.name] = volume.sealed.size
        self._monitor.report(VolumeDone(volume.number, stored.name, volume.sealed.size, volume.read_bytes))


def _advance(tally: Tally, builder: ChunkBuilder, sealer: VolumeSealer) -> Advance:
    """Asked for from another thread: each of the numbers is right, though not all of the same moment."""
    unchanged = tally.source_bytes - tally.new_bytes - tally.changed_bytes
    return Advance(max(0, unchanged) + builder.read_bytes, builder.read_bytes, sealer.made_bytes, tally.source_files)

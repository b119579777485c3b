"""Backs a tree up as planned: runs the pipeline, commits.

A set counts only from the moment its manifest is at the target. The volumes come first, then the signatures, then the
manifest, and that only if all else is still there; an interruption before leaves a set that nobody takes for a backup.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from typing import Final

from twofold.concurrency import Cancelled, Crew, Ledger, Pool, Sink
from twofold.envelope.protocol import Opened
from twofold.errors import NoSpace, UserError
from twofold.model.backup import SetId
from twofold.model.times import Clock, SystemClock
from twofold.model.value import replace
from twofold.monitor import Advance, FileStored, Monitor, Note, Storing, Underway, VolumeDone
from twofold.operations.backup_plan import BackupOptions, BackupPlan, BackupSummary, new_set
from twofold.operations.completeness import require_stored
from twofold.operations.known_state import open_known_state, state_identity
from twofold.operations.resumption import Resumption, before_the_file
from twofold.pipeline.checkpoint import Checkpoint, CheckpointFile, Mark, PositionLost, silence_of
from twofold.pipeline.chunks import SLACK, ChunkBuilder, chunk_capacity
from twofold.pipeline.compare import Step, compare
from twofold.pipeline.entrances import EntranceWriter
from twofold.pipeline.entries import EntryMaker
from twofold.pipeline.known import DamagedState, KnownTree, StateWriter
from twofold.pipeline.lookup import SignatureLookup
from twofold.pipeline.pack import Packer, PackOptions
from twofold.pipeline.rehearse import rehearse
from twofold.pipeline.resume import steps_behind
from twofold.pipeline.seal import VolumeSealer, press
from twofold.pipeline.set_files import ChangeList, ManifestFiles, SignatureFiles
from twofold.pipeline.sign import Signer
from twofold.pipeline.tally import Tally
from twofold.pipeline.upload import Uploaded, Uploader, volume_name
from twofold.pipeline.volumes import VolumeMeter
from twofold.repository.repository import Repository
from twofold.repository.signatures import signature_openers
from twofold.tree.scan import SourceTree

_BUFFERS: Final = 6
_DEPTH: Final = 2
_LOCAL_VOLUMES: Final = 4
"""That may be in the making at once where they are built at the target."""
NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)


def backup(
    source: SourceTree,
    repository: Repository,
    *,
    plan: BackupPlan,
    options: BackupOptions,
    check: Callable[[], None] | None = None,
    resumption: Resumption | None = None,
    clock: Clock,
    monitor: Monitor,
) -> BackupSummary:
    """Carries the plan out. Raises UserError when the clock is behind the last backup, and whatever stops the work.

    `check` runs beside the pipeline; nothing is stored before it has ended without an error. With a `resumption`, which
    has to be of the plan's kind and chain, it is that set that is gone on with.
    """
    began = clock.now()
    set_id = new_set(plan, clock) if resumption is None else resumption.set_id
    chain = plan.chain
    openers = signature_openers(repository, chain.files, local=chain.local) if chain is not None else []
    known = open_known_state(repository, plan.chain, openers, monitor=monitor) if plan.chain is not None else None
    try:
        if options.dry_run:
            if check is not None:
                check()
            return _count(source, known, set_id, options=options, began=began, clock=clock, monitor=monitor)
        run = _Run(source, repository, known, openers, set_id=set_id, plan=plan, options=options, monitor=monitor)
        return run.carry_out(check, resumption, began=began, clock=clock)
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
        monitor: Monitor,
    ) -> None:
        self._source = source
        self._repository = repository
        self._known = known
        self._openers = openers
        self._set_id = set_id
        self._plan = plan
        self._options = options
        self._monitor = monitor
        self._stored: dict[str, int] = {}
        self._check: Callable[[], None] | None = None
        self._checkpoints = CheckpointFile(repository.archive_dir, set_id, options.fingerprint)
        self._kept_volumes: tuple[Checkpoint, ...] = ()
        self._mark: Mark | None = None

    def carry_out(
        self, check: Callable[[], None] | None, resumption: Resumption | None, *, began: float, clock: Clock
    ) -> BackupSummary:
        self._check = check
        try:
            return self._carry_out(resumption, began, clock)
        except PositionLost:
            # Noticed while it was read again: a file has changed since the decision to go on in its middle.
            assert resumption is not None
            self._source.problems, self._stored = 0, {}
            try:
                return self._carry_out(before_the_file(self._repository, resumption), began, clock)
            except PositionLost:
                self._source.problems, self._stored = 0, {}
                return self._carry_out(replace(resumption, checkpoints=()), began, clock)
        finally:
            self._checkpoints.close()
            self._tell_kept()

    def _carry_out(self, resumption: Resumption | None, began: float, clock: Clock) -> BackupSummary:
        repository, options, set_id = self._repository, self._options, self._set_id
        archive_dir = repository.archive_dir
        if resumption is not None:
            self._kept_volumes, self._mark = resumption.checkpoints, resumption.mark
        repository.begin_set()
        with ExitStack() as cleanup:
            state = StateWriter(archive_dir.state_path)
            cleanup.callback(state.abort)
            earlier = self._mark.changes if self._mark is not None else None
            changes = ChangeList(archive_dir, set_id, wanted=options.record_changes, earlier=earlier)
            cleanup.callback(changes.close)
            before = resumption.earlier_signatures(repository) if resumption is not None else None
            signatures = SignatureFiles(repository, set_id, written=Ledger(), earlier=before)
            cleanup.callback(signatures.abort)
            records = (each.record for each in self._kept_volumes)
            manifest = ManifestFiles(repository, set_id, header=options.manifest_header, records=records)
            cleanup.callback(manifest.close)
            entrances = EntranceWriter(archive_dir, wanted=repository.envelope.opens_inside and resumption is None)
            cleanup.callback(entrances.abort)
            if resumption is not None:
                self._resume(resumption)
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
            self._commit(signatures, manifest, changes)
            if resumption is None:
                self._keep_knowledge(state, root, entrances)
            return BackupSummary(self._set_id, began, ended, tally, sum(self._stored.values()))

    def _commit(self, signatures: SignatureFiles, manifest: ManifestFiles, changes: ChangeList) -> None:
        """From when the manifest is at the target the set is there, and nothing is left to go on with."""
        stored = signatures.commit()
        require_stored(self._repository, {**self._stored, stored.name: stored.size}, set_id=self._set_id)
        manifest.commit(changes)
        self._checkpoints.last = 0
        signatures.install()
        manifest.install()

    def _resume(self, resumption: Resumption) -> None:
        """What is kept here says what stays before anything else goes, so that an interruption finds the same again."""
        self._checkpoints.begin(resumption.checkpoints)
        self._repository.delete(resumption.surplus)
        for record in (each.record for each in resumption.checkpoints):
            name = self._repository.codec.format(volume_name(self._repository, self._set_id, record.number))
            self._stored[name] = record.size or 0

    def _tell_kept(self) -> None:
        """The last words of a run that did not come to its end, if there is something to go on with."""
        last = self._checkpoints.last
        if not last:
            self._repository.archive_dir.remove_beside(self._set_id)
        else:
            volumes = "Volume 1 of this backup is" if last == 1 else f"Volumes 1 to {last} of this backup are"
            self._monitor.report(Note(f"{volumes} kept: the same command goes on with volume {last + 1}"))

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
        pool = crew.pool(bytearray(chunk_capacity(options.volume_size) + SLACK) for _ in range(_BUFFERS))
        ledger = crew.ledger()
        meter = VolumeMeter(envelope, ledger, limit=options.volume_size)
        sink = crew.sink(signatures.write, depth=_DEPTH, name="signature files")
        builder, packer, steps = self._packing(pool, meter, lookup)
        signer = Signer(
            sink.put,
            state,
            set_number=len(self._openers),
            known=self._known,
            changes=changes.add,
            list_mark=changes.mark,
            offset=self._mark.signature_bytes if self._mark is not None else 0,
        )
        at_once = self._repository.uploads_at_once(options.volume_size)
        sealer = self._sealer(pool, crew.pool(range(self._slots(at_once))))
        crew.afterwards(sealer.close)
        self._monitor.report(Underway(lambda: _advance(packer.tally, builder, sealer)))
        packed = crew.ahead(packer.chunks(steps), depth=_DEPTH, name="pack")
        signed = crew.ahead(signer.sign(packed), depth=_DEPTH, name="sign")
        pressed = press(signed, envelope, ledger, workers=options.workers, crew=crew)
        checking = crew.background(self._check, name="check the target") if self._check is not None else None
        volumes = crew.ahead(sealer.seal(entrances.watch(pressed)), depth=1, name="seal")
        uploader = Uploader(self._repository, self._set_id, begin=manifest.begin, monitor=self._monitor)
        for uploaded in uploader.upload(volumes, checking, at_once=at_once, crew=crew):
            self._note(uploaded, manifest, entrances, self._kept(uploaded.volume.mark, signatures, changes, sink))
            sealer.stored(uploaded.volume)
        sink.finish()
        return packer.tally, signer.root_record

    def _packing(
        self, pool: Pool[bytearray], meter: VolumeMeter, lookup: SignatureLookup
    ) -> tuple[ChunkBuilder, Packer, Generator[Step, None, None]]:
        """What fills chunks, and the steps it does that from: with all that is there, or behind what is stored."""
        options, kept, mark = self._options, self._kept_volumes, self._mark
        tally = Tally() if mark is None else replace(mark.tally, source_files=0, source_bytes=0)
        builder = ChunkBuilder(
            pool,
            meter,
            capacity=chunk_capacity(options.volume_size),
            volume=len(kept) + 1,
            silence=silence_of(kept[-1]) if kept else None,
            tally=tally if options.fingerprint else None,
        )
        entries = EntryMaker(self._source, began_ns=int(SystemClock().now() * 1e9))
        packer = Packer(
            self._source,
            builder,
            entries,
            lookup,
            options=PackOptions(options.largest_block, options.detailed, options.skip_if_no_change),
            monitor=self._monitor,
            tally=tally,
        )
        steps = compare(self._source, self._known)
        if kept:
            steps = steps_behind(kept[-1].position, steps, tally=tally, entries=entries)
        return builder, packer, steps

    def _slots(self, at_once: int) -> int:
        """How many volumes may lie about: one in the making beside those on their way."""
        return at_once + 1 if self._repository.target_staging() is None else _LOCAL_VOLUMES

    def _sealer(self, pool: Pool[bytearray], slots: Pool[int]) -> VolumeSealer:
        return VolumeSealer(
            self._repository.envelope,
            self._repository.staging_directory,
            pool,
            slots=slots,
            volume_size=self._options.volume_size,
            explain=self._explain,
        )

    def _explain(self, error: OSError, number: int) -> Exception:
        """Volumes are built on the target's own disk where that can be: then it is the target that is full."""
        repository = self._repository
        if error.errno not in NO_SPACE or repository.target_staging() is None:
            return OSError(error.errno, error.strerror, repository.staging_directory())
        name = repository.codec.format(volume_name(repository, self._set_id, number))
        return NoSpace(_full_target(error, name), name=name, operation="put")

    def _kept(self, mark: Mark | None, signatures: SignatureFiles, changes: ChangeList, sink: Sink[bytes, None]) -> int:
        """What a mark speaks of is on the disk, to stay there; gives the CRC-32 of the signatures."""
        if mark is None:
            return 0
        changes.keep()
        try:
            return signatures.keep(mark.signature_bytes)
        except Cancelled:
            sink.finish()  # raises what has gone wrong there
            raise

    def _with_problems(self, mark: Mark | None) -> Mark | None:
        """What could not be looked at so far counts in the run that goes on, too; better twice than never."""
        if mark is None:
            return None
        return mark._replace(tally=replace(mark.tally, errors=mark.tally.errors + self._source.problems))

    def _note(self, uploaded: Uploaded, manifest: ManifestFiles, entrances: EntranceWriter, crc: int) -> None:
        volume, stored = uploaded
        manifest.add(volume.record())
        if self._options.fingerprint:
            self._checkpoints.add(Checkpoint(volume.record(), self._with_problems(volume.mark), crc))
        entrances.add(volume.number, volume.sealed.sha256)
        self._stored[stored.name] = volume.sealed.size
        self._monitor.report(VolumeDone(volume.number, stored.name, volume.sealed.size, volume.read_bytes))


def _advance(tally: Tally, builder: ChunkBuilder, sealer: VolumeSealer) -> Advance:
    """Asked for from another thread: each of the numbers is right, though not all of the same moment."""
    unchanged = tally.source_bytes - tally.new_bytes - tally.changed_bytes
    return Advance(max(0, unchanged) + builder.read_bytes, builder.read_bytes, sealer.made_bytes, tally.source_files)

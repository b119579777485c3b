"""Decides what kind of backup is made: a full one, or the next increment of a chain. Pure."""

from __future__ import annotations

from typing import Final

from twofold.collection.chains import SignatureChain
from twofold.collection.collection import Collection
from twofold.errors import NoSignatures, UserError
from twofold.format.manifest import header_bytes
from twofold.model.backup import SetId, SetKind
from twofold.model.times import Clock
from twofold.model.value import field, replace, value
from twofold.pipeline.tally import Tally

_WAIT: Final = 2


@value
class BackupOptions:
    """How a backup is made. Sizes in bytes, times in seconds since 1970.

    `hostname` and `source_name` are what the manifest records. `full_before` forces a full backup when the last one
    began before it, `full_after` when the chain has that many incrementals. With a `fingerprint` an interrupted run is
    gone on with by one that has the same.
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
    fingerprint: str = ""

    @property
    def manifest_header(self) -> bytes:
        return header_bytes(self.hostname, self.source_name)


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


def new_set(plan: BackupPlan, clock: Clock) -> SetId:
    """What the set of a plan is called. Raises UserError when the clock is behind the last backup."""
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

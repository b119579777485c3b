"""Which sets give the state of a moment (docs/format.md section 9.2).

That is the newest backup not later than the moment, with all that it builds on. Sets without a manifest at the target
cannot be used, nor what continues them; both are reported rather than met by a failure.
"""

from __future__ import annotations

from twofold.collection.chains import BackupChain, SignatureChain, SignatureFile
from twofold.collection.collection import Collection
from twofold.collection.sets import BackupSet
from twofold.errors import NoBackups
from twofold.model.backup import SetId
from twofold.model.value import value


@value
class RestorePoint:
    """The full set and the increments to apply to it, in order.

    `before_first` says that there is no backup so old, and that this is the oldest one instead. `skipped` are newer
    sets, not later than the moment, that are of no use because their manifest, or a set that they need, is missing.
    """

    chain: BackupChain
    sets: tuple[BackupSet, ...]
    before_first: bool
    skipped: tuple[BackupSet, ...]

    @property
    def instant(self) -> int:
        """When the backup that will be seen was begun."""
        return self.sets[-1].id.end


@value
class SignaturePoint:
    """The signature files that tell what a backup of a moment holds; `before_first` as in `RestorePoint`."""

    chain: SignatureChain
    files: tuple[SignatureFile, ...]
    before_first: bool


def restore_point(collection: Collection, instant: int) -> RestorePoint:
    """The newest usable backup not later than `instant`, else the oldest there is; raises NoBackups.

    Where chains overlap, as after two machines wrote to one target, the chain with the newest such backup counts, and
    of equals the one that was begun last.
    """
    usable = [chain for chain in collection.chains if chain.usable]
    if not usable:
        raise NoBackups(_nothing_usable(collection))
    begun = [chain for chain in usable if chain.start <= instant]
    if not begun:
        oldest = min(usable, key=lambda chain: chain.start)
        return RestorePoint(oldest, oldest.usable[:1], before_first=True, skipped=_skipped(collection, None, instant))
    chosen = max(begun, key=lambda chain: (_until(chain, instant)[-1].id.end, chain.start))
    sets = _until(chosen, instant)
    return RestorePoint(chosen, sets, before_first=False, skipped=_skipped(collection, sets[-1].id.end, instant))


def signature_point(collection: Collection, instant: int) -> SignaturePoint:
    """The signature files for the newest backup not later than `instant`, else for the oldest; raises NoBackups.

    The files of the archive directory are preferred. Signatures of sets without a manifest at the target are left out.
    """
    complete = {backup_set.id for backup_set in collection.sets if backup_set.is_complete}
    usable = [(chain, files) for chain in collection.signature_chains if (files := _readable(chain, complete))]
    if not usable:
        raise NoBackups(
            "No signature chains found: there is no complete backup with signatures at the target. "
            "Check the URL and the file prefixes"
        )
    begun = [(chain, files) for chain, files in usable if chain.start <= instant]
    if not begun:
        oldest, files = min(usable, key=lambda pair: (pair[0].start, not pair[0].local))
        return SignaturePoint(oldest, files[:1], before_first=True)
    cut = [(chain, tuple(file for file in files if file.set_id.end <= instant)) for chain, files in begun]
    chosen, files = max(cut, key=lambda pair: (pair[1][-1].set_id.end, pair[0].start, pair[0].local))
    return SignaturePoint(chosen, files, before_first=False)


def _readable(chain: SignatureChain, complete: set[SetId]) -> tuple[SignatureFile, ...]:
    """The files of the chain up to the first whose set is not complete."""
    for position, file in enumerate(chain.files):
        if file.set_id not in complete:
            return chain.files[:position]
    return chain.files


def _until(chain: BackupChain, instant: int) -> tuple[BackupSet, ...]:
    return tuple(backup_set for backup_set in chain.usable if backup_set.id.end <= instant)


def _skipped(collection: Collection, chosen: int | None, instant: int) -> tuple[BackupSet, ...]:
    """Sets that nothing can be restored from, newer than the chosen instant and not later than the one asked for."""
    unusable = [backup_set for chain in collection.chains for backup_set in chain.sets[len(chain.usable) :]]
    unusable += collection.orphaned
    wanted = [one for one in unusable if one.id.end <= instant and (chosen is None or one.id.end > chosen)]
    return tuple(sorted(wanted, key=lambda backup_set: backup_set.id.end))


def _nothing_usable(collection: Collection) -> str:
    if not collection.sets:
        return "No backup chains found: there is no backup at the target. Check the URL and the file prefixes"
    return (
        f"No backup chains found: of {len(collection.sets)} backup set(s) none is a full one with a manifest. "
        "Finish an interrupted backup from the machine that began it"
    )

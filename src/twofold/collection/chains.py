"""Chains: a full set and the incrementals that continue it, and the same of signature files (docs/format.md 9.1).

A chain is never empty, its first element is the full one, and each element is in one chain at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from twofold.collection.sets import BackupSet, FoundFile, in_order_of_trust, order_in_time
from twofold.model.backup import FileRole, SetId
from twofold.model.value import record, value


@value
class BackupChain:
    """`sets` begins with the full one; `replaced` are increments that a later one from the same start supersedes."""

    sets: tuple[BackupSet, ...]
    replaced: tuple[BackupSet, ...] = ()

    @property
    def full(self) -> BackupSet:
        return self.sets[0]

    @property
    def increments(self) -> tuple[BackupSet, ...]:
        return self.sets[1:]

    @property
    def start(self) -> int:
        return self.sets[0].id.end

    @property
    def end(self) -> int:
        return self.sets[-1].id.end

    @property
    def usable(self) -> tuple[BackupSet, ...]:
        """The sets up to the first without a manifest at the target: what a restore can rely on."""
        for position, backup_set in enumerate(self.sets):
            if not backup_set.is_complete:
                return self.sets[:position]
        return self.sets

    @property
    def is_continuable(self) -> bool:
        """Whether an increment can build on it: only the last set may be one that is not complete and will go."""
        return len(self.usable) >= len(self.sets) - 1 and not self.sets[-1].has_lost_manifest


@value
class SignatureFile:
    """The signatures of one set; several candidates if several names say so."""

    set_id: SetId
    candidates: tuple[FoundFile, ...]


@value
class SignatureChain:
    """Signature files of consecutive sets, all `local` (in the archive directory) or all at the target."""

    files: tuple[SignatureFile, ...]
    local: bool
    replaced: tuple[SignatureFile, ...] = ()

    @property
    def start(self) -> int:
        return self.files[0].set_id.end

    @property
    def end(self) -> int:
        return self.files[-1].set_id.end


@record
class _Linked:
    """A chain of identities while others are being offered to it."""

    ids: list[SetId]
    replaced: list[SetId]

    def takes(self, offered: SetId, may_replace: Callable[[SetId, SetId], bool]) -> bool:
        """Takes an increment that starts where the chain ends, or where its last one starts if it ends later."""
        last = self.ids[-1]
        if offered.start == last.end:
            self.ids.append(offered)
            return True
        rivals = last.start is not None and offered.start == last.start and offered.end > last.end
        if rivals and may_replace(offered, last):
            self.replaced.append(last)
            self.ids[-1] = offered
            return True
        return False


def link_sets(sets: Iterable[BackupSet]) -> tuple[tuple[BackupChain, ...], tuple[BackupSet, ...]]:
    """Chains by end time, and the sets that belong to none.

    A set without a manifest at the target takes part, but never replaces one that has it.
    """
    by_id = {backup_set.id: backup_set for backup_set in sets}
    linked, orphaned = _link(by_id, may_replace=lambda new, old: by_id[new].is_complete or not by_id[old].is_complete)
    chains = tuple(
        BackupChain(tuple(by_id[one] for one in chain.ids), tuple(by_id[one] for one in chain.replaced))
        for chain in linked
    )
    return chains, tuple(by_id[one] for one in orphaned)


def link_signatures(
    files: Iterable[FoundFile], *, local: bool
) -> tuple[tuple[SignatureChain, ...], tuple[SignatureFile, ...]]:
    """Signature chains of one place by end time, partial files included, and the files that belong to none."""
    candidates: dict[SetId, list[FoundFile]] = {}
    for file in files:
        if file.meaning.role is FileRole.SIGNATURES:
            candidates.setdefault(file.meaning.set_id, []).append(file)
    by_id = {set_id: SignatureFile(set_id, in_order_of_trust(several)) for set_id, several in candidates.items()}
    linked, orphaned = _link(by_id, may_replace=lambda new, old: True)
    chains = tuple(
        SignatureChain(
            tuple(by_id[one] for one in chain.ids),
            local=local,
            replaced=tuple(by_id[one] for one in chain.replaced),
        )
        for chain in linked
    )
    return chains, tuple(by_id[one] for one in orphaned)


def _link(
    ids: Iterable[SetId], *, may_replace: Callable[[SetId, SetId], bool]
) -> tuple[Sequence[_Linked], Sequence[SetId]]:
    chains: list[_Linked] = []
    orphaned: list[SetId] = []
    for offered in sorted(ids, key=order_in_time):
        if offered.start is None:
            chains.append(_Linked([offered], []))
        elif not any(chain.takes(offered, may_replace) for chain in chains):
            orphaned.append(offered)
    chains.sort(key=lambda chain: order_in_time(chain.ids[-1]))
    return chains, orphaned

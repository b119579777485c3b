"""The collection: all that can be said of a target's backups from the names there and in the archive directory.

It is a value: removing files gives another collection, as if they had never been listed.
"""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Iterable

from twofold.collection.chains import BackupChain, SignatureChain, SignatureFile, link_sets, link_signatures
from twofold.collection.sets import BackupSet, FoundFile, gather_sets
from twofold.model.value import value


@value
class ActivePair:
    """Where the next increment goes: it starts at the end of `signatures`.

    `set_aside` is a last set of the chain whose signatures are lost, and which the next increment therefore replaces.
    """

    chain: BackupChain
    signatures: SignatureChain
    set_aside: BackupSet | None = None


@value
class Collection:
    """What there is; sets and chains are in the order of their end times, the newest last.

    Orphaned signatures belong to no set of a chain: those of one that is kept tell what a lost volume held.
    """

    remote: tuple[FoundFile, ...]
    local: tuple[FoundFile, ...]
    sets: tuple[BackupSet, ...]
    chains: tuple[BackupChain, ...]
    orphaned: tuple[BackupSet, ...]
    signature_chains: tuple[SignatureChain, ...]
    orphaned_signatures: tuple[SignatureFile, ...]
    orphaned_local_signatures: tuple[SignatureFile, ...]

    @property
    def abandoned(self) -> tuple[BackupSet, ...]:
        """Sets without any manifest, in a chain or not."""
        return tuple(backup_set for backup_set in self.sets if backup_set.is_abandoned)

    @property
    def lost_manifests(self) -> tuple[BackupSet, ...]:
        """Sets that only lack a manifest of which there is a copy here."""
        return tuple(backup_set for backup_set in self.sets if backup_set.has_lost_manifest)

    @property
    def last_full(self) -> BackupSet | None:
        """The newest full backup that is complete."""
        fulls = [chain.full for chain in self.chains if chain.full.is_complete]
        return max(fulls, key=lambda backup_set: backup_set.id.end, default=None)

    @property
    def interrupted(self) -> BackupSet | None:
        """The last set of the chain with the newest full one, if its run did not come to its end.

        A partial manifest counts even if there is a whole one at the target: that one may be cut short. A set that has
        lost its manifest was complete.
        """
        if not self.chains:
            return None
        last = max(self.chains, key=lambda chain: chain.start).sets[-1]
        if last.has_lost_manifest:
            return None
        return last if last.unfinished is not None or not last.is_complete else None

    @property
    def newest_usable(self) -> BackupChain | None:
        """The chain with the newest backup that can be restored."""
        usable = [chain for chain in self.chains if chain.usable]
        return max(usable, key=lambda chain: chain.usable[-1].id.end, default=None)

    @property
    def active(self) -> ActivePair | None:
        """The chain to continue, with its signatures (those in the archive directory preferred); None asks for a full.

        A chain that lacks a manifest before its last set is not continued: nobody could restore what is added.
        """
        if not self.chains or not self.chains[-1].is_continuable:
            return None
        chain = self.chains[-1]
        for signatures in self._signatures_ending(chain.end):
            return ActivePair(chain, signatures)
        if len(chain.increments) >= 2:
            for signatures in self._signatures_ending(chain.sets[-2].id.end):
                return ActivePair(chain, signatures, chain.sets[-1])
        return None

    def without(self, names: Names[str], *, local: Names[str] = ()) -> Collection:
        """The collection once the files of these names are gone from the target and from the archive directory."""
        return build_collection(
            remote=(file for file in self.remote if file.name not in names),
            local=(file for file in self.local if file.name not in local),
        )

    def _signatures_ending(self, end: int) -> list[SignatureChain]:
        chains = [chain for chain in self.signature_chains if chain.end == end]
        return sorted(chains, key=lambda chain: not chain.local)


def build_collection(*, remote: Iterable[FoundFile], local: Iterable[FoundFile]) -> Collection:
    """The collection of all recognised files at the target and in the archive directory, in any order."""
    at_target, in_archive_dir = tuple(remote), tuple(local)
    sets = gather_sets(remote=at_target, local=in_archive_dir)
    chains, orphaned = link_sets(sets)
    remote_signatures, stray = link_signatures(at_target, local=False)
    local_signatures, local_stray = link_signatures(in_archive_dir, local=True)
    kept = {each.id for chain in chains for each in (*chain.sets, *chain.replaced)}
    return Collection(
        remote=at_target,
        local=in_archive_dir,
        sets=tuple(sets),
        chains=chains,
        orphaned=orphaned,
        signature_chains=tuple(sorted((*local_signatures, *remote_signatures), key=lambda chain: chain.end)),
        orphaned_signatures=tuple(each for each in stray if each.set_id not in kept),
        orphaned_local_signatures=tuple(each for each in local_stray if each.set_id not in kept),
    )

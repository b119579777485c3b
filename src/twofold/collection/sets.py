"""Backup sets: the files of one run, gathered by their names.

Everything is judged from names alone; nothing is opened and nothing here depends on a listing's order. Two names for
the same thing are both kept, the likelier first, so that a reader can take the one whose hash fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from twofold.model.backup import FileRole, SetId, SetKind, StoredName, Wrapping
from twofold.model.value import field, value

_STILL_BEING_MADE: Final = 86_400
"""For so many seconds a backup that was begun elsewhere is taken to be under way."""


class FoundFile(NamedTuple):
    """A file of a listing, its name and what that means; `size` is None where the listing does not tell."""

    name: str
    meaning: StoredName
    size: int | None = None


@value
class BackupSet:
    """One backup: `volumes` and the four tuples after it are at the target, `local` in the archive directory.

    `unfinished` is the local partial manifest of a run that was interrupted. `leftovers` are remote manifests under a
    partial name, which nobody reads, but which go with the set.
    """

    id: SetId
    volumes: Mapping[int, tuple[FoundFile, ...]] = field(hash=False)
    manifests: tuple[FoundFile, ...] = ()
    signatures: tuple[FoundFile, ...] = ()
    statistics: tuple[FoundFile, ...] = ()
    leftovers: tuple[FoundFile, ...] = ()
    local: tuple[FoundFile, ...] = ()
    unfinished: FoundFile | None = None

    @property
    def is_full(self) -> bool:
        return self.id.kind is SetKind.FULL

    @property
    def is_complete(self) -> bool:
        """Whether its manifest is at the target: it is written last, so that all else is there, or was."""
        return bool(self.manifests)

    @property
    def is_abandoned(self) -> bool:
        """Whether there is no manifest anywhere: neither can it be restored nor continued."""
        return not self.manifests and self.unfinished is None

    @property
    def has_lost_manifest(self) -> bool:
        """Whether the target lacks only the manifest, and the archive directory has it whole: it was complete once.

        No interruption leaves that: a backup would have a partial manifest here, and deletions begin with signatures.
        """
        here = any(file.meaning.wrapping is Wrapping.PLAIN for file in self.local_manifests)
        return here and self.is_abandoned and bool(self.volumes) and bool(self.signatures)

    @property
    def is_begun_here(self) -> bool:
        """Whether a run with this archive directory, whose lock is held, left it unfinished: nobody else writes it."""
        return any(file.meaning.partial for file in self.local)

    def is_given_up(self, now: float) -> bool:
        """Whether it has no manifest at the target and surely will not get one; `now` in seconds since 1970.

        What was begun elsewhere may be being made, and with signatures it may be whole but for a lost manifest.
        """
        is_old = self.id.end < now - _STILL_BEING_MADE
        return not self.is_complete and (self.is_begun_here or (is_old and not self.signatures))

    @property
    def is_encrypted(self) -> bool:
        """Whether any of its files at the target is."""
        files = [*self.manifests, *self.signatures, *(file for several in self.volumes.values() for file in several)]
        return any(file.meaning.wrapping in (Wrapping.GPG, Wrapping.GPGSM) for file in files)

    @property
    def local_manifests(self) -> tuple[FoundFile, ...]:
        """Whole manifests in the archive directory."""
        return tuple(file for file in self.local if file.meaning.role is FileRole.MANIFEST and not file.meaning.partial)


class _Heap:
    """The files of one set while they are being gathered."""

    def __init__(self) -> None:
        self.volumes: dict[int, list[FoundFile]] = {}
        self.manifests: list[FoundFile] = []
        self.signatures: list[FoundFile] = []
        self.statistics: list[FoundFile] = []
        self.leftovers: list[FoundFile] = []
        self.local: list[FoundFile] = []
        self.unfinished: list[FoundFile] = []

    def add_remote(self, file: FoundFile) -> None:
        match file.meaning.role:
            case FileRole.VOLUME:
                if file.meaning.volume is not None and file.meaning.volume >= 1:
                    self.volumes.setdefault(file.meaning.volume, []).append(file)
            case FileRole.MANIFEST:
                (self.leftovers if file.meaning.partial else self.manifests).append(file)
            case FileRole.SIGNATURES:
                self.signatures.append(file)
            case FileRole.STATISTICS:
                self.statistics.append(file)

    def add_local(self, file: FoundFile) -> None:
        self.local.append(file)
        if file.meaning.role is FileRole.MANIFEST and file.meaning.partial:
            self.unfinished.append(file)

    def finish(self, set_id: SetId) -> BackupSet | None:
        """The set, or None: signatures, statistics and cached copies alone make none."""
        if not (self.volumes or self.manifests or self.leftovers or self.unfinished):
            return None
        return BackupSet(
            set_id,
            volumes={number: in_order_of_trust(self.volumes[number]) for number in sorted(self.volumes)},
            manifests=in_order_of_trust(self.manifests),
            signatures=in_order_of_trust(self.signatures),
            statistics=in_order_of_trust(self.statistics),
            leftovers=in_order_of_trust(self.leftovers),
            local=in_order_of_trust(self.local),
            unfinished=in_order_of_trust(self.unfinished)[0] if self.unfinished else None,
        )


def find_files(
    listing: Iterable[tuple[str, int | None]], parse: Callable[[str], StoredName | None]
) -> tuple[FoundFile, ...]:
    """Those files of a listing of (name, size) that `parse` knows."""
    found = ((name, parse(name), size) for name, size in listing)
    return tuple(FoundFile(name, meaning, size) for name, meaning, size in found if meaning is not None)


def in_order_of_trust(files: Iterable[FoundFile]) -> tuple[FoundFile, ...]:
    """Names for the same thing, the shortest first: a stray copy (`.bak`, `.par2`) extends the name of the original."""
    return tuple(sorted(set(files), key=lambda file: (len(file.name), file.name)))


def gather_sets(*, remote: Iterable[FoundFile], local: Iterable[FoundFile]) -> list[BackupSet]:
    """All sets at the target and those begun by the archive directory's partial manifests, by end time."""
    heaps: dict[SetId, _Heap] = {}
    for file in remote:
        heaps.setdefault(file.meaning.set_id, _Heap()).add_remote(file)
    for file in local:
        heaps.setdefault(file.meaning.set_id, _Heap()).add_local(file)
    sets = (heap.finish(set_id) for set_id, heap in heaps.items())
    return sorted((found for found in sets if found is not None), key=lambda found: order_in_time(found.id))


def order_in_time(set_id: SetId) -> tuple[int, int]:
    """Sorts by end time, a full set before an incremental of the same second."""
    return (set_id.end, -1 if set_id.start is None else max(0, set_id.start))

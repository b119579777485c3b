"""Lists what a backup holds, from signatures alone.

The newest backup is listed from the state file, a hundred times as fast, if there is one that belongs to it. It says
the same as the signature files, or they are asked.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from twofold.collection.collection import Collection
from twofold.collection.restore_point import SignaturePoint, signature_point
from twofold.errors import CorruptStream, CorruptTar
from twofold.model.entry import Kind
from twofold.model.relpath import order_key
from twofold.model.times import format_asctime, format_compact
from twofold.monitor import Monitor, Note
from twofold.operations.known_state import find_known_state
from twofold.pipeline.known import KINDS, TYPE, DamagedState, KnownTree
from twofold.pipeline.known_runs import KnownRun, known_runs
from twofold.repository.repository import Repository
from twofold.repository.signatures import signature_openers

if TYPE_CHECKING:
    from twofold.pipeline.lookup import SignatureLookup

_AT_ONCE: Final = 512
_SECOND: Final = 1_000_000_000
# duplicity rounds such fractions up (docs/format.md section 5.3), so its signature file tells another second.
_ALMOST_A_SECOND: Final = _SECOND - 120


class ListedFiles(NamedTuple):
    """Entries in archive order, as parallel lists: paths, seconds since 1970, types."""

    paths: list[bytes]
    mtimes: list[int]
    kinds: list[Kind]


def list_files(
    collection: Collection, repository: Repository, *, instant: int, monitor: Monitor
) -> Iterator[ListedFiles]:
    """Every entry of the newest backup not later than `instant`, in archive order.

    Raises NoBackups, and what reading signature files raises.
    """
    point = signature_point(collection, instant)
    if point.before_first:
        oldest = point.files[0].set_id.end
        when = format_asctime(oldest)
        text = f"No signature chain for the requested time. Using oldest available chain, starting at time {when}."
        monitor.report(Note(text, code=11, warning=True, extra=format_compact(oldest)))
    listing = _Listing(point, repository, monitor)
    try:
        known = find_known_state(repository, point.chain) if point.files == point.chain.files else None
        yield from listing.from_signatures() if known is None else listing.from_state(known)
    except (CorruptTar, CorruptStream) as error:
        raise CorruptTar(f"{_where(point, repository)}: {error}") from error


class _Listing:
    """One listing under way."""

    def __init__(self, point: SignaturePoint, repository: Repository, monitor: Monitor) -> None:
        self._openers = signature_openers(repository, point.files, local=point.chain.local)
        self._monitor = monitor
        self._lookup: SignatureLookup | None = None

    def from_signatures(self, *, behind: bytes | None = None) -> Iterator[ListedFiles]:
        """All entries, or those behind a path."""
        from twofold.pipeline.basis import current_entries

        some = ListedFiles([], [], [])
        last = None if behind is None else order_key(behind)
        for entry in current_entries(self._openers, monitor=self._monitor):
            if last is not None and entry.key <= last:
                continue
            member = entry.member
            some.paths.append(member.path)
            some.mtimes.append(member.entry.mtime_ns // _SECOND)
            some.kinds.append(member.entry.kind)
            if len(some.paths) >= _AT_ONCE:
                yield some
                some = ListedFiles([], [], [])
        if some.paths:
            yield some

    def from_state(self, known: KnownTree) -> Iterator[ListedFiles]:
        """All entries; where the state file turns out to be damaged, the signature files go on."""
        last: bytes | None = None
        try:
            for some in _gathered(known_runs(known)):
                yield self._listed(some)
                last = some.paths[-1]
        except DamagedState:
            yield from self.from_signatures(behind=last)
        finally:
            known.close()
            if self._lookup is not None:
                self._lookup.close()

    def _listed(self, some: _Gathered) -> ListedFiles:
        mtimes = [mtime // _SECOND for mtime in some.mtimes]
        if min(mtimes) < 0 or max([mtime % _SECOND for mtime in some.mtimes]) >= _ALMOST_A_SECOND:
            mtimes = list(map(self._recorded, some.paths, some.mtimes, some.locations))
        return ListedFiles(some.paths, mtimes, [KINDS[mode & TYPE] for mode in some.modes])

    def _recorded(self, path: bytes, mtime: int, location: int) -> int:
        """The seconds that the signature file tells, where they may be others than those of the file."""
        if mtime >= 0 and mtime % _SECOND >= _ALMOST_A_SECOND:
            if self._lookup is None:
                from twofold.pipeline.lookup import SignatureLookup

                self._lookup = SignatureLookup(self._openers, monitor=self._monitor)
            found = self._lookup.find(location, path)
            mtime = mtime if found is None else found.entry.mtime_ns
        return max(0, mtime) // _SECOND


class _Gathered(NamedTuple):
    """Entries of several directories in archive order: parallel sequences."""

    paths: list[bytes]
    modes: array[int]
    mtimes: array[int]
    locations: array[int]


def _gathered(runs: Iterator[KnownRun]) -> Iterator[_Gathered]:
    """At least so many at once that what is done once for all of them costs nothing."""
    some = _Gathered([], array("q"), array("q"), array("Q"))
    for prefix, names, modes, mtimes, locations in runs:
        some.paths.extend([prefix + name for name in names] if prefix else names)
        some.modes.extend(modes)
        some.mtimes.extend(mtimes)
        some.locations.extend(locations)
        if len(some.paths) >= _AT_ONCE:
            yield some
            some = _Gathered([], array("q"), array("q"), array("Q"))
    if some.paths:
        yield some


def _where(point: SignaturePoint, repository: Repository) -> str:
    """The files that are read together, of which one is damaged, and what to do about it."""
    names = " or ".join(file.candidates[0].name for file in point.files)
    if not point.chain.local:
        return f"{names} at the target cannot be read"
    return f"{names} in {repository.archive_dir.path} cannot be read; delete it there, so that it is fetched again"

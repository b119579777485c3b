"""Listings made of whole sets, with the names that duplicity writes."""

import itertools

from twofold.collection.sets import FoundFile
from twofold.model.backup import FileRole, SetId, StoredName, Wrapping
from twofold.model.times import format_compact

DAY = 86400
NOV_14, NOV_15, NOV_16 = (1_700_000_000 + day * DAY for day in (0, 1, 2))
NOV_24, NOV_25, NOV_26 = (1_700_000_000 + day * DAY for day in (10, 11, 12))
DEC_4, DEC_5, DEC_6 = (1_700_000_000 + day * DAY for day in (20, 21, 22))


def span(set_id: SetId, *, signatures: bool = False) -> str:
    if set_id.start is None:
        return f"duplicity-full{'-signatures' if signatures else ''}.{format_compact(set_id.end)}"
    kind = "new-signatures" if signatures else "inc"
    return f"duplicity-{kind}.{format_compact(set_id.start)}.to.{format_compact(set_id.end)}"


def volume(set_id: SetId, number: int = 1, *, tail: str = ".gz", wrapping: Wrapping = Wrapping.GZIP) -> FoundFile:
    name = f"{span(set_id)}.vol{number}.difftar{tail}"
    return FoundFile(name, StoredName(set_id, FileRole.VOLUME, wrapping, number), 100)


def manifest(set_id: SetId, *, tail: str = "", partial: bool = False) -> FoundFile:
    name = f"{span(set_id)}.manifest{'.part' if partial else ''}{tail}"
    return FoundFile(name, StoredName(set_id, FileRole.MANIFEST, partial=partial), 10)


def signatures(set_id: SetId, *, partial: bool = False) -> FoundFile:
    name = f"{span(set_id, signatures=True)}.sigtar{'.part' if partial else '.gz'}"
    return FoundFile(name, StoredName(set_id, FileRole.SIGNATURES, Wrapping.GZIP, partial=partial), 10)


def statistics(set_id: SetId) -> FoundFile:
    return FoundFile(f"{span(set_id)}.jsonstat.gz", StoredName(set_id, FileRole.STATISTICS, Wrapping.GZIP), 10)


def whole(set_id: SetId, *, volumes: int = 1) -> list[FoundFile]:
    """All files of a complete set at the target."""
    return [*(volume(set_id, number + 1) for number in range(volumes)), signatures(set_id), manifest(set_id)]


def cached(set_id: SetId) -> list[FoundFile]:
    """Its files in the archive directory."""
    return [signatures(set_id), manifest(set_id)]


def full(end: int) -> SetId:
    return SetId(end)


def inc(start: int, end: int) -> SetId:
    return SetId(end, start)


def chain(*ends: int) -> list[SetId]:
    return [SetId(ends[0]), *(SetId(end, start) for start, end in itertools.pairwise(ends))]


THREE_CHAINS = [
    *chain(NOV_14, NOV_15, NOV_16),
    *chain(NOV_24, NOV_25, NOV_26),
    *chain(DEC_4, DEC_5, DEC_6),
]

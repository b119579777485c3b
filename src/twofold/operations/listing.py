"""Lists what a backup holds, from signatures alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from twofold.collection.collection import Collection
from twofold.collection.restore_point import SignaturePoint, signature_point
from twofold.errors import CorruptStream, CorruptTar
from twofold.model.times import format_asctime, format_compact
from twofold.monitor import Monitor, Note
from twofold.pipeline.basis import current_entries
from twofold.repository.repository import Repository
from twofold.repository.signatures import signature_openers


class ListedFile(NamedTuple):
    """One line of a listing: seconds since 1970, the path, duplicity's word for the type."""

    mtime: int
    path: bytes
    kind: str


def list_files(
    collection: Collection, repository: Repository, *, instant: int, monitor: Monitor
) -> Iterator[ListedFile]:
    """Every entry of the newest backup not later than `instant`, in archive order.

    Raises NoBackups, and what reading signature files raises.
    """
    point = signature_point(collection, instant)
    if point.before_first:
        oldest = point.files[0].set_id.end
        when = format_asctime(oldest)
        text = f"No signature chain for the requested time. Using oldest available chain, starting at time {when}."
        monitor.report(Note(text, code=11, warning=True, extra=format_compact(oldest)))
    try:
        for entry in current_entries(
            signature_openers(repository, point.files, local=point.chain.local), monitor=monitor
        ):
            member = entry.member
            yield ListedFile(member.entry.mtime_ns // 1_000_000_000, member.path, member.entry.kind.value)
    except (CorruptTar, CorruptStream) as error:
        raise CorruptTar(f"{_where(point, repository)}: {error}") from error


def _where(point: SignaturePoint, repository: Repository) -> str:
    """The files that are read together, of which one is damaged, and what to do about it."""
    names = " or ".join(file.candidates[0].name for file in point.files)
    if not point.chain.local:
        return f"{names} at the target cannot be read"
    return f"{names} in {repository.archive_dir.path} cannot be read; delete it there, so that it is fetched again"

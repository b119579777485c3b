"""The reports of collection-status, as text for people and data for programs (docs/cli.md sections 1.5, 7.3 and 7.7).

All are shown at any verbosity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum

from twofold.model.backup import SetKind
from twofold.model.times import format_asctime, format_compact
from twofold.model.value import value
from twofold.ui.message import Level, Message
from twofold.ui.text import path_text

_LINE = "-" * 25
_STATUS_CODE = 3
_KINDS = {SetKind.FULL: "Full", SetKind.INCREMENTAL: "Incremental"}


class Change(Enum):
    """What happened to a file in one set."""

    NEW = "new"
    CHANGED = "changed"
    DELETED = "deleted"


@value
class SetRow:
    """One set; `time` is its end in seconds since 1970."""

    kind: SetKind
    time: int
    volume_count: int
    is_encrypted: bool


@value
class ChainRows:
    """One chain, its full set first."""

    sets: tuple[SetRow, ...]


@value
class StatusReport:
    """All that a target holds. `secondary` chains are sorted from the oldest, `primary` is the one to be continued.

    `faults` are further lines, such as one about a missing volume. `backend` describes the target to people.
    """

    archive_dir: str
    secondary: tuple[ChainRows, ...] = ()
    primary: ChainRows | None = None
    orphaned_set_count: int = 0
    incomplete_set_count: int = 0
    cleanup_helps: bool = True
    faults: tuple[str, ...] = ()
    backend: str = "BackendWrapper"


@value
class SetChanges:
    """The files that one set changed, in archive order; `statistics` is the object stored with it, as JSON."""

    kind: SetKind
    time: int
    changes: tuple[tuple[bytes, Change], ...]
    statistics: str | None = None


@value
class FileHistory:
    """The sets in which one file changed, from the oldest."""

    path: bytes
    rows: tuple[tuple[SetKind, int, Change], ...]


def status_message(report: StatusReport) -> Message:
    """Text and data of the whole collection."""
    return Message(
        Level.INFO, "\n".join(_status_lines(report)), code=_STATUS_CODE, data=tuple(_status_data(report)), always=True
    )


def changes_message(changes: SetChanges) -> Message:
    """What --show-changes-in-set prints."""
    paths = [path_text(path) for path, _ in changes.changes]
    width = max(map(len, ("File:", *paths)))
    rows = [f"{path:<{width}}  {change.value:>20}" for path, (_, change) in zip(paths, changes.changes, strict=True)]
    return _report(
        [
            _LINE,
            f" Backup set time: {format_asctime(changes.time)}",
            f"Total number of changes: {len(rows)}",
            f"{'File:':<{width}}  {'Type of file change:':>20}",
            *rows,
            _LINE,
        ]
    )


def changes_json_message(sets: Iterable[SetChanges]) -> Message:
    """What --show-changes-in-set prints with --jsonstat, a key for each set in the order given."""
    import json

    found = {
        f"{changes.kind.value}-{format_compact(changes.time)}": {
            "json_stat": json.loads(changes.statistics) if changes.statistics else {},
            "files_changed": {path_text(path): change.value for path, change in changes.changes},
        }
        for changes in sets
    }
    return _report([json.dumps(found, indent=4)])


def history_message(history: FileHistory) -> Message:
    """What --file-changed prints."""
    rows = [
        f"{_KINDS[kind]:>20}   {format_asctime(time):>30}  {change.value.capitalize():>20}"
        for kind, time, change in history.rows
    ]
    return _report(
        [
            _LINE,
            f"File: {path_text(history.path)}",
            f"Total number of backup: {len(rows)}",
            f"{'Type of backup set:':>20}   {'Time:':>30}  {'Type of file change:':>20}",
            *rows,
            _LINE,
        ]
    )


def _report(lines: list[str]) -> Message:
    return Message(Level.INFO, "\n".join(lines), code=_STATUS_CODE, always=True)


def _status_lines(report: StatusReport) -> Iterator[str]:
    yield from ("Collection Status", "-----------------", f"Connecting with backend: {report.backend}")
    yield from (f"Archive dir: {report.archive_dir}", "")
    count = len(report.secondary)
    yield f"Found {count} secondary backup chain(s)."
    for number, chain in enumerate(report.secondary, start=1):
        yield f"Secondary chain {number} of {count}:"
        yield from _chain_lines(chain)
        yield ""
    if report.primary is None:
        yield "No backup chains with active signatures found"
    else:
        yield ""
        yield "Found primary backup chain with matching signature chain:"
        yield from _chain_lines(report.primary)
    yield from report.faults
    if report.orphaned_set_count or report.incomplete_set_count:
        yield f"Also found {report.orphaned_set_count} backup set(s) not part of any chain,"
        yield f"and {report.incomplete_set_count} incomplete backup set(s)."
        if report.cleanup_helps:
            yield 'These may be deleted by running duplicity with the "cleanup" command.'
        else:
            yield "The next backup sees to what was interrupted; cleanup deletes none of these."
    else:
        yield "No orphaned or incomplete backup sets found."


def _chain_lines(chain: ChainRows) -> Iterator[str]:
    yield _LINE
    yield f"Chain start time: {format_asctime(chain.sets[0].time)}"
    yield f"Chain end time: {format_asctime(chain.sets[-1].time)}"
    yield f"Number of contained backup sets: {len(chain.sets)}"
    yield f"Total number of contained volumes: {sum(row.volume_count for row in chain.sets)}"
    yield f"{'Type of backup set:':>20}   {'Time:':>30}   {'Num volumes:':>15}"
    for row in chain.sets:
        yield f"{_KINDS[row.kind]:>20}   {format_asctime(row.time):>30}   {row.volume_count:>15}"
    yield _LINE


def _status_data(report: StatusReport) -> Iterator[str]:
    """Front ends read the sets from here; the line of the archive dir stands as duplicity 3.2.1 writes it."""
    yield f"backend {report.backend}"
    yield "archive-dir (. dir)"
    for number, chain in enumerate(report.secondary):
        yield f"chain-no-sig {number}"
        yield from _set_data(chain)
    if report.primary is not None:
        yield "chain-complete"
        yield from _set_data(report.primary)
    yield f"orphaned-sets-num {report.orphaned_set_count}"
    yield f"incomplete-sets-num {report.incomplete_set_count}"


def _set_data(chain: ChainRows) -> Iterator[str]:
    for row in chain.sets:
        encryption = "enc" if row.is_encrypted else "noenc"
        yield f" {row.kind.value} {format_compact(row.time)} {row.volume_count} {encryption}"

"""The results of actions as JSON values, field by field as docs/json.md has them. Pure; loaded for --json alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from twofold.collection.chains import BackupChain
from twofold.collection.collection import Collection
from twofold.collection.retention import CleanupPlan, ExpirePlan
from twofold.collection.sets import BackupSet
from twofold.model.backup import SetId
from twofold.monitor import Monitor
from twofold.ui.answer import Json, path_json, time_json
from twofold.ui.statistics import BackupStatistics
from twofold.ui.status import FileHistory, SetChanges

if TYPE_CHECKING:
    from twofold.operations.check import CheckSummary
    from twofold.operations.check_plan import CheckPlan
    from twofold.operations.completeness import SetFault
    from twofold.operations.listing import ListedFiles
    from twofold.operations.replicate import ReplicateSummary
    from twofold.operations.replicate_plan import ReplicatePlan
    from twofold.operations.validate_storage_findings import StorageReport


def set_json(set_id: SetId) -> dict[str, Json]:
    """A backup set as others refer to it."""
    return {"kind": set_id.kind.value, "time": time_json(set_id.end)}


def backup_json(
    set_id: SetId, statistics: BackupStatistics, *, skipped: bool, dry_run: bool, reason: str | None
) -> dict[str, Json]:
    """What a backup did; there is a set only if something was stored."""
    return {
        "set": None if skipped else set_json(set_id),
        "skipped": skipped and not dry_run,
        "dry_run": dry_run,
        "reason": reason,
        "statistics": {
            "start_time": statistics.start_time,
            "end_time": statistics.end_time,
            "source_files": statistics.source_files,
            "source_bytes": statistics.source_file_size,
            "new_files": statistics.new_files,
            "new_bytes": statistics.new_file_size,
            "deleted_files": statistics.deleted_files,
            "changed_files": statistics.changed_files,
            "changed_bytes": statistics.changed_file_size,
            "volume_bytes_before_compression": statistics.raw_delta_size,
            "volume_bytes": statistics.destination_size,
            "errors": statistics.errors,
        },
    }


def status_json(collection: Collection, *, archive_dir: str, faults: Iterable[SetFault]) -> dict[str, Json]:
    """Which backups there are; chains are sorted by their ends, the newest last."""
    active = collection.active.chain if collection.active is not None else None
    last = collection.last_full
    return {
        "archive_dir": archive_dir,
        "last_full": None if last is None else time_json(last.id.end),
        "chains": [_chain(chain, is_active=chain is active) for chain in collection.chains],
        "orphaned": [set_json(each.id) for each in collection.orphaned],
        "replaced": [set_json(each.id) for chain in collection.chains for each in chain.replaced],
        "incomplete": [set_json(each.id) for each in collection.sets if not each.is_complete],
        "faults": [
            {"set_time": time_json(each.set_id.end), "volume": each.number, "reason": each.reason} for each in faults
        ],
    }


def _chain(chain: BackupChain, *, is_active: bool) -> dict[str, Json]:
    return {"active": is_active, "sets": [_whole_set(each) for each in chain.sets]}


def _whole_set(backup_set: BackupSet) -> dict[str, Json]:
    sizes = [files[0].size for files in backup_set.volumes.values()]
    known = [size for size in sizes if size is not None]
    return {
        **set_json(backup_set.id),
        "complete": backup_set.is_complete,
        "encrypted": backup_set.is_encrypted,
        "volumes": len(backup_set.volumes),
        "volume_bytes": sum(known) if len(known) == len(sizes) else None,
    }


def changes_json(sets: Iterable[SetChanges]) -> dict[str, Json]:
    """What --show-changes-in-set found."""
    import json

    return {
        "sets": [
            {
                "kind": each.kind.value,
                "time": time_json(each.time),
                "changes": [{**path_json(path), "change": change.value} for path, change in each.changes],
                "statistics": None if each.statistics is None else json.loads(each.statistics),
            }
            for each in sets
        ]
    }


def history_json(history: FileHistory) -> dict[str, Json]:
    """What --file-changed found."""
    return {
        **path_json(history.path),
        "history": [
            {"kind": kind.value, "time": time_json(time), "change": change.value} for kind, time, change in history.rows
        ],
    }


def listed_json(listed: ListedFiles) -> list[dict[str, Json]]:
    """Lines of list-current-files."""
    return [
        {**path_json(path), "type": kind.value, "time": time_json(mtime)}
        for path, mtime, kind in zip(*listed, strict=True)
    ]


def cleanup_json(plan: CleanupPlan, *, deleted: bool) -> dict[str, Json]:
    """What cleanup deleted, or would."""
    return {
        "deleted": deleted,
        "target_files": [name for removal in plan.removals for name in removal.remote],
        "local_files": [name for removal in plan.removals for name in removal.local],
        "held_back": [set_json(each.id) for each in plan.held_back],
    }


def expiry_json(plan: ExpirePlan, *, deleted: bool) -> dict[str, Json]:
    """What a remove action deleted, or would."""
    return {
        "deleted": deleted,
        "chains": [[set_json(each.id) for each in chain.sets] for chain in plan.chains],
        "target_files": [name for removal in plan.removals for name in removal.remote],
        "local_files": [name for removal in plan.removals for name in removal.local],
        "needed": [set_json(each.id) for each in plan.needed],
        "active_is_old": plan.active_is_old,
    }


def restore_json(*, entries: int | None, instant: int, volumes: Sequence[str]) -> dict[str, Json]:
    """What a restore wrote; None for a dry run."""
    return {"entries": entries, "time": time_json(instant), "volumes": list(volumes)}


class Differences:
    """Hands the events of a verify on and keeps those that tell of a difference."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self.found: list[Json] = []

    def report(self, event: object) -> None:
        from twofold.operations.verify import DataDiffers, Differs, OnlyInBackup, OnlyLocal

        match event:
            case OnlyLocal():
                self._keep(event.path, "only local")
            case OnlyInBackup():
                self._keep(event.path, "only in backup")
            case Differs():
                self._keep(event.path, event.difference.aspect.value)
            case DataDiffers():
                self._keep(event.path, "data")
        self._monitor.report(event)

    def _keep(self, path: bytes, what: str) -> None:
        self.found.append({**path_json(path), "difference": what})


def verify_json(*, compared: int, differences: Sequence[Json], instant: int) -> dict[str, Json]:
    """What a verify found."""
    return {"compared": compared, "differences": differences, "time": time_json(instant)}


def replicate_json(plan: ReplicatePlan, summary: ReplicateSummary, *, dry_run: bool) -> dict[str, Json]:
    """What was copied, or would be; `waiting` are sets that build on one that could not be copied."""
    copied = [each.backup_set.id for each in plan.sets] if dry_run else summary.copied
    return {
        "dry_run": dry_run,
        "copied": [set_json(each) for each in copied],
        "files": sum(len(each.files) for each in plan.sets) if dry_run else summary.files,
        "bytes": plan.total_bytes if dry_run else summary.sent_bytes,
        "present": [set_json(each) for each in ([one.id for one in plan.present] if dry_run else summary.present)],
        "present_files": summary.present_files,
        "lost": [
            {**set_json(each.set_id), "reason": str(each.error), "waiting": [set_json(one) for one in each.waiting]}
            for each in summary.lost
        ],
        "forked": [set_json(each.id) for each in plan.forked],
        "incomplete": [set_json(each.id) for each in plan.unfinished],
        "broken": [set_json(each.id) for each in plan.broken],
        "doubts": [{**set_json(each.set_id), "reason": each.reason} for each in summary.doubts],
    }


def storage_json(report: StorageReport, *, place: str) -> dict[str, Json]:
    """What a validation of a storage service found."""
    from twofold.operations.validate_storage_findings import trouble_of
    from twofold.ui.validated import rates_of

    return {
        "target": place,
        "trouble": None if report.fault is None else trouble_of(report.fault).value,
        "append_only": report.is_append_only,
        "transfers_at_once": report.traits.parallel,
        "becomes_visible": report.traits.atomic_put.value,
        "files": report.files,
        "free_bytes": report.free_bytes,
        "steps": [
            {
                "step": each.step.value,
                "standing": each.standing.value,
                "seconds": each.seconds,
                "reason": None if each.error is None else str(each.error),
            }
            for each in report.findings
        ],
        "speeds": [
            {"files": each.count, "bytes": each.size, "put_per_second": round(put), "get_per_second": round(get)}
            for each in report.speeds
            for put, get in (rates_of(each),)
        ],
        "left": list(report.left),
    }


def check_json(plan: CheckPlan, summary: CheckSummary, *, foreign: Sequence[str]) -> dict[str, Json]:
    """What a check found."""
    return {
        "sets": summary.sets,
        "files": summary.files,
        "bytes": summary.stored_bytes,
        "entries": summary.entries,
        "unsound_entries": summary.problems,
        "damaged": [
            {
                "set": set_json(each.set_id),
                "role": each.role.value,
                "volume": each.volume,
                "name": each.name or None,
                "mismatch": each.mismatch,
                "reason": each.reason,
            }
            for each in summary.damages
        ],
        "harmed_chains": [
            {"start": time_json(each.start), "whole_until": time_json(each.until), "end": time_json(each.end)}
            for each in summary.verdicts
        ],
        "unopened": list(summary.unopened),
        "unfinished": [set_json(each.id) for each in plan.unfinished],
        "leftovers": [*plan.leftovers, *plan.stray, *summary.unlisted],
        "foreign": list(foreign),
    }

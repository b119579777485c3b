"""What a backup did, in numbers: the block at the end of a run and the same as JSON (docs/cli.md sections 7.6, 7.7)."""

from __future__ import annotations

from twofold.model.backup import SetKind
from twofold.model.times import format_asctime, format_compact, format_duration
from twofold.model.value import value
from twofold.ui.message import Level, Message
from twofold.ui.text import format_size

_TITLE = f"{'-' * 14}[ Backup Statistics ]{'-' * 14}"


@value
class BackupStatistics:
    """Counts of entries and bytes; times are seconds since 1970, begin and end of the scan.

    `new` is what is stored whole, `changed` what is stored as a difference. `raw_delta_size` counts what went into
    volumes before compression, `destination_size` what was uploaded.
    """

    start_time: float
    end_time: float
    source_files: int = 0
    source_file_size: int = 0
    new_files: int = 0
    new_file_size: int = 0
    deleted_files: int = 0
    changed_files: int = 0
    changed_file_size: int = 0
    changed_delta_size: int = 0
    raw_delta_size: int = 0
    destination_size: int = 0
    errors: int = 0

    @property
    def elapsed_time(self) -> float:
        return self.end_time - self.start_time

    @property
    def delta_entries(self) -> int:
        return self.new_files + self.changed_files + self.deleted_files


@value
class BackupFacts:
    """What the JSON says besides the counts; `target` must not hold a password.

    `full_time` is that of the chain's full set in seconds since 1970, `increments_before` how many sets were behind it
    before this run, `earlier_files` the names of the statistics of those sets, None for one that has none.
    """

    kind: SetKind
    full_time: int
    increments_before: int
    concurrency: int
    target: str
    source: str
    skipped_incremental: bool = False
    earlier_files: tuple[str | None, ...] = ()


def statistics_message(statistics: BackupStatistics) -> Message:
    """The block with an empty line after it, shown at any verbosity."""
    lines = [_TITLE]
    for name, time in (("StartTime", statistics.start_time), ("EndTime", statistics.end_time)):
        lines.append(f"{name} {time:.2f} ({format_asctime(time)})")
    lines.append(f"ElapsedTime {statistics.elapsed_time:.2f} ({format_duration(statistics.elapsed_time)})")
    counts = {**_file_counts(statistics), "TotalDestinationSizeChange": statistics.destination_size}
    for name, number in counts.items():
        lines.append(f"{name} {number} ({format_size(number)})" if "Size" in name else f"{name} {number}")
    lines += (f"Errors {statistics.errors}", "-" * len(_TITLE), "")
    return Message(Level.NOTICE, "\n".join(lines), always=True)


def statistics_json(statistics: BackupStatistics, facts: BackupFacts) -> str:
    """The object that --jsonstat prints and stores."""
    import json

    return json.dumps(
        {
            "Filename": None,
            "StartTime": statistics.start_time,
            "EndTime": statistics.end_time,
            "ElapsedTime": statistics.elapsed_time,
            "Errors": statistics.errors,
            "TotalDestinationSizeChange": statistics.destination_size,
            **_file_counts(statistics),
            "StartTime_str": format_compact(int(statistics.start_time)),
            "EndTime_str": format_compact(int(statistics.end_time)),
            "backup_meta": {
                "action": facts.kind.value,
                "skipped_inc": facts.skipped_incremental,
                "time_full_bkp": facts.full_time,
                "time_full_bkp_str": format_compact(facts.full_time),
                "no_of_inc": facts.increments_before,
                "concurrency": facts.concurrency,
                "target": facts.target,
                "source": facts.source,
                "local_json_stat": ["N/A" if name is None else name for name in facts.earlier_files],
            },
        },
        indent=4,
    )


def _file_counts(statistics: BackupStatistics) -> dict[str, int]:
    """The counters that block and JSON share, in the order and under the names of both."""
    return {
        "SourceFiles": statistics.source_files,
        "SourceFileSize": statistics.source_file_size,
        "NewFiles": statistics.new_files,
        "NewFileSize": statistics.new_file_size,
        "DeletedFiles": statistics.deleted_files,
        "ChangedFiles": statistics.changed_files,
        "ChangedFileSize": statistics.changed_file_size,
        "ChangedDeltaSize": statistics.changed_delta_size,
        "DeltaEntries": statistics.delta_entries,
        "RawDeltaSize": statistics.raw_delta_size,
    }

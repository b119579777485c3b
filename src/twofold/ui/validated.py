"""What a validation of a storage service tells: a table of what it does, how fast, and for what that is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from twofold.errors import StorageError
from twofold.operations.validate_storage_findings import (
    NEEDED,
    Finding,
    Speed,
    Standing,
    Step,
    StorageReport,
    Trouble,
    trouble_of,
)
from twofold.ui.message import Level, Message, notice, warning
from twofold.ui.text import format_size

_UNUSED: Final = "optional"
_NEEDED_FOR: Final = {
    Step.LIST: "every action",
    Step.PUT: "backups",
    Step.STAT: "backups",
    Step.GET: "restore, verify, check, and machines without a cache",
    Step.RANGE: _UNUSED,
    Step.REPLACE: "sending a file again after an interruption",
    Step.SPACE: _UNUSED,
    Step.DELETE: "cleanup, remove-*, a backup after an interrupted one",
    Step.CREATE: _UNUSED,
    Step.COPY: _UNUSED,
    Step.SPEED: "backups and restores",
    Step.AT_ONCE: "backups and restores",
}
_TROUBLES: Final = {
    Trouble.CREDENTIALS: ("Credentials", "see whether user, password or key are right, and may list this place"),
    Trouble.TRUST: ("Certificate or host key", "the server has not proved who it is, so nothing was sent to it"),
    Trouble.NETWORK: ("Network", "see whether host and port are right, the service runs, and this machine reaches it"),
    Trouble.PLACE: ("Place", "make this directory or bucket, or correct the URL"),
    Trouble.PERMISSION: ("Permission", "the login is right, but must be given the right to do this"),
    Trouble.SPACE: ("Space", "make room there, or choose another target"),
    Trouble.DAMAGE: ("Damage", "what is stored there does not come back as it was, so no backup would be safe"),
}
"""What each kind is called, and what to do where the driver does not say it."""

_NO_DELETING: Final = (
    "Files can be stored there and not deleted. That is fine for backups; cleanup, the remove actions, and a backup "
    "that follows an interrupted one need an account that may delete. Speed was not measured: large files would stay"
)
_REPLACING: Final = (
    "Files can be replaced there, so whoever breaks into this machine can destroy them, unless the service keeps old "
    "versions"
)


def table(report: StorageReport, *, place: str) -> Message:
    """All findings, a line each."""
    files = "" if report.files is None else f": {report.files} file{'' if report.files == 1 else 's'} there"
    tried = [each for each in report.findings if each.standing is not Standing.UNTRIED]
    rows = [(each.step.value, *_told(each, report)) for each in tried]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [f"  {name:<{first}}  {how:<{second}}  {why}".rstrip() for name, how, why in rows]
    left = [each.step.value for each in report.findings if each not in tried]
    lines += [f"Not tried: {', '.join(left)}"] if left else []
    return Message(Level.NOTICE, "\n".join([f"{place}{files}", *lines]), always=True)


def _told(finding: Finding, report: StorageReport) -> tuple[str, str]:
    """How a step went, and what it is for or why it went wrong."""
    how = finding.standing.value
    if finding.standing is not Standing.WORKS:
        is_told = finding.standing is Standing.ABSENT or finding.step in NEEDED
        return how, _purpose(finding.step) if is_told else str(finding.error)
    speed = _speed_of(finding.step, report)
    if speed is not None:
        return _rates(speed), _amount(speed)
    if finding.step is Step.SPACE:
        return how, "it does not tell" if report.free_bytes is None else f"{format_size(report.free_bytes)} free"
    return f"{how} {_milliseconds(finding.seconds)}", _purpose(finding.step)


def _purpose(step: Step) -> str:
    why = _NEEDED_FOR[step]
    return why if why == _UNUSED else f"for {why}"


def _speed_of(step: Step, report: StorageReport) -> Speed | None:
    wanted = {Step.SPEED: 0, Step.AT_ONCE: 1}.get(step)
    return None if wanted is None or wanted >= len(report.speeds) else report.speeds[wanted]


def _rates(speed: Speed) -> str:
    put, get = (format_size(round(each)) for each in rates_of(speed))
    return f"put {put}/s, get {get}/s"


def rates_of(speed: Speed) -> tuple[float, float]:
    """Bytes a second of all files together, put and got."""
    total = speed.count * speed.size
    return total / max(speed.put_seconds, 1e-6), total / max(speed.get_seconds, 1e-6)


def _amount(speed: Speed) -> str:
    return f"{speed.count} of {format_size(speed.size)}" if speed.count > 1 else format_size(speed.size)


def _milliseconds(seconds: float | None) -> str:
    return f"{(seconds or 0) * 1000:.0f} ms"


def conclusions(report: StorageReport, *, dry_run: bool) -> Iterator[Message]:
    """What it means, and what is left; why no backup can be made is not here but in the error that ends the run."""
    if report.left:
        text = "These files could not be removed again; delete them when you can:\n"
        yield warning(text + "\n".join(report.left))
    if report.keeps_all:
        yield warning(_NO_DELETING)
        if not report.is_append_only:
            yield warning(_REPLACING)
    if report.fault is None:
        done = (
            "It can be listed; whether it can be written to was not tried" if dry_run else "All that backups need works"
        )
        yield notice(f"{done}.")


def failure(fault: Finding) -> StorageError:
    """The error of a fault, of the same kind, with what kind of thing it is and what to do."""
    error = fault.error
    assert error is not None
    kind, advice = _TROUBLES.get(trouble_of(fault), ("", ""))
    text = f"{kind}: {error}" if kind else str(error)
    if advice and not text.endswith(")"):
        text = f"{text} ({advice})"
    return type(error)(text, name=error.name, operation=error.operation)

"""What a check tells: damaged files and what they mean, what is left over, and the last line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from twofold.errors import BadVolume
from twofold.model.backup import FileRole
from twofold.model.times import format_asctime
from twofold.operations.check import CheckSummary
from twofold.operations.check_plan import ChainVerdict, CheckPlan, Damage, set_text
from twofold.ui.machine_log import quote_path
from twofold.ui.message import Level, Message, notice, warning
from twofold.ui.text import format_size

_LEFTOVERS_CODE: Final = 6
_MOST_NAMES: Final = 10
_ONLY_PATHS = "All of it can be restored, but single paths of it may not be found"
_COSTS = {
    FileRole.VOLUME: "What it holds is lost from this backup and from those that build on it",
    FileRole.MANIFEST: "Without it neither this backup nor those that build on it can be restored",
    FileRole.SIGNATURES: "Nothing is lost for a restore, but without a sound copy no increment can follow",
}


def damaged(damage: Damage) -> Message:
    """One damaged file: which one, what is wrong, what it costs."""
    part = f"Volume {damage.volume}" if damage.volume is not None else f"The {_part(damage.role)}"
    name = f" ({damage.name})" if damage.name and damage.name not in damage.reason else ""
    costs = _ONLY_PATHS if damage.role is FileRole.MANIFEST and not damage.costs_files else _COSTS[damage.role]
    text = f"{part} of {set_text(damage.set_id)}{name} is damaged: {damage.reason}. {costs}"
    code = BadVolume.exit_code if damage.mismatch else 1
    return Message(Level.ERROR, text, code=code, extra=quote_path(damage.name) if damage.name else "")


def _part(role: FileRole) -> str:
    return "signature file" if role is FileRole.SIGNATURES else role.value


def leftovers(plan: CheckPlan, foreign: Sequence[str]) -> Iterator[Message]:
    """What belongs to no backup, which is no damage."""
    for backup_set in plan.unfinished:
        text = f"T{set_text(backup_set.id)[1:]} is not finished: it is being made, or was interrupted"
        yield warning(f"{text}. The next backup, or the action cleanup, clears it away")
    if plan.leftovers:
        names = "\n".join(plan.leftovers)
        text = f"Files at the target that belong to no backup:\n{names}\nThe action cleanup deletes them"
        yield Message(Level.WARNING, text, code=_LEFTOVERS_CODE)
    if plan.stray:
        names = _some(plan.stray)
        yield warning(f"Signature files at the target of backups that are gone: {names}. The next backup is a full one")
    if foreign:
        yield notice(f"Files at the target that are no part of these backups: {_some(foreign)}")


def findings(summary: CheckSummary) -> Iterator[Message]:
    """What was found besides damaged files, and what follows from these."""
    if summary.unopened:
        text = f"There is no key to open {_some(summary.unopened)}, so only that they are there is known"
        yield warning(f"{text}. Set PASSPHRASE or import the secret key")
    if summary.unlisted:
        yield warning(f"Volumes that no manifest lists, and nobody needs: {_some(summary.unlisted)}")
    for verdict in summary.verdicts:
        yield notice(_verdict_text(verdict))
    if summary.damages or summary.problems:
        yield notice("Make a full backup: an increment mends nothing of what it builds on")


def _verdict_text(verdict: ChainVerdict) -> str:
    start, end = format_asctime(verdict.start), format_asctime(verdict.end)
    if verdict.until is None:
        chain = f"of {start}" if start == end else f"from {start} to {end}"
        return f"No backup {chain} can be restored whole; restore --ignore-errors gives what is left"
    until = format_asctime(verdict.until)
    return (
        f"Of the chain that begins {start}, backups up to {until} can be restored whole; "
        f"from later ones, up to {end}, restore --ignore-errors gives what is left"
    )


def completed(summary: CheckSummary) -> Message:
    """The last line."""
    counts = [
        _count(summary.sets, "set"),
        _count(summary.files, "file"),
        f"{format_size(summary.stored_bytes)} checked",
    ]
    if summary.entries is not None:
        counts.append(f"{_count(summary.entries, 'path')} read")
    counts.append(f"{len(summary.damages)} damaged")
    if summary.problems:
        counts.append(f"{_count(summary.problems, 'path')} unsound")
    return notice(f"Check complete: {', '.join(counts)}.")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")

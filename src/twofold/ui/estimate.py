"""How far a run has come, out of numbers that are taken now and then: amount, speed, time left, what is going on.

Pure: moments are handed in, in seconds of a clock that never goes back. An amount that nobody knows stays unknown;
before the end a run is never said to be further than 99 percent (docs/cli.md section 9).
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final, NamedTuple

from twofold.model.value import value
from twofold.monitor import Advance

_WINDOW: Final = 30.0
_STALLED_AFTER: Final = 5.0
_ALMOST: Final = 99
_BAR: Final = 40
_UNITS: Final = ("B", "KB", "MB", "GB", "TB")


class Work(Enum):
    """What a run does; the value is what a person is told."""

    BACKUP = "Backing up"
    RESTORE = "Restoring"
    VERIFY = "Verifying"
    REPLICATE = "Copying"
    CHECK = "Checking"


class Progress(NamedTuple):
    """All that is known of a run at a moment.

    `total_bytes` is None where nobody knows. `volumes` have been stored, or opened of `all_volumes`; `storing` is what
    is on its way to the target.
    """

    advance: Advance
    total_bytes: int | None = None
    volumes: int = 0
    all_volumes: int = 0
    stored_bytes: int = 0
    storing: str | None = None


@value
class Estimate:
    """What can be said of a run at a moment: seconds, bytes a second; None for what is not known."""

    progress: Progress
    elapsed: float
    speed: float
    percent: int | None
    left: float | None
    stalled: bool
    stages: tuple[str, ...]


class Estimator:
    """Keeps the last moments of one run."""

    def __init__(self, work: Work, *, began: float, rate: float, encrypts: bool) -> None:
        """`rate` is the interval of lines, on which depends what counts as standing still."""
        self._work = work
        self._began = began
        self._patience = max(_STALLED_AFTER, 2 * rate)
        self._encrypts = encrypts
        self._last = Progress(Advance())
        self._moved = began
        self._samples: deque[tuple[float, int]] = deque([(began, 0)])

    def at(self, now: float, progress: Progress) -> Estimate:
        """The next estimate; moments come in their order."""
        before, self._last = self._last, progress
        if progress != before or progress.storing is not None:
            self._moved = now
        done = progress.advance.done_bytes
        if not done:
            self._samples.clear()  # what comes first, such as gpg's work on a first volume, tells nothing of the speed
        self._samples.append((now, done))
        while len(self._samples) > 2 and self._samples[1][0] <= now - _WINDOW:
            self._samples.popleft()
        stalled = now - self._moved > self._patience
        then, done_then = self._samples[0]
        speed = 0.0 if stalled or now <= then else max(0, done - done_then) / (now - then)
        share = _share(progress)
        return Estimate(
            progress,
            now - self._began,
            speed,
            None if share is None else min(_ALMOST, int(share * 100)),
            self._left(share, speed, now),
            stalled,
            _stages(self._work, before, progress, encrypts=self._encrypts),
        )

    def finished(self, now: float, progress: Progress) -> Estimate:
        """What is said at the end of a run that came to its end."""
        elapsed = now - self._began
        speed = progress.advance.done_bytes / elapsed if elapsed > 0 else 0.0
        return Estimate(progress, elapsed, speed, 100, 0.0, stalled=False, stages=("finished",))

    def _left(self, share: float | None, speed: float, now: float) -> float | None:
        total = self._last.total_bytes
        if total is not None:
            return max(0, total - self._last.advance.done_bytes) / speed if speed else None
        if not share:
            return None
        return (now - self._began) * (1 - share) / share


def _share(progress: Progress) -> float | None:
    """By bytes if their number is known, else by volumes, of which the last one that was opened is being read."""
    if progress.total_bytes:
        return progress.advance.done_bytes / progress.total_bytes
    if progress.all_volumes:
        return max(0, progress.volumes - 1) / progress.all_volumes
    return None


def _stages(work: Work, before: Progress, now: Progress, *, encrypts: bool) -> tuple[str, ...]:
    """What has moved since the moment before: stages work side by side."""
    if work in (Work.RESTORE, Work.VERIFY, Work.CHECK):
        return tuple(_reading_stages(work, before, now))
    found = []
    then, advance = before.advance, now.advance
    if advance.entries > then.entries:
        found.append("walking")
    if advance.read_bytes > then.read_bytes:
        found.append("reading")
    if advance.made_bytes > then.made_bytes:
        found.append("compressing and encrypting" if encrypts else "compressing")
    if now.storing is not None:
        found.append(f"storing {now.storing}")
    return tuple(found) or ("waiting",)


def _reading_stages(work: Work, before: Progress, now: Progress) -> list[str]:
    found = []
    if now.all_volumes == 0 or now.volumes < now.all_volumes:
        found.append("fetching" if work is Work.CHECK else "fetching and decrypting")
    if now.advance.done_bytes > before.advance.done_bytes:
        found.append("writing" if work is Work.RESTORE else "comparing")
    return found or ["finishing"]


def plain_line(estimate: Estimate) -> str:
    """One line as duplicity's, without its terminal codes; what is not known shows as `--%` and `unknown`."""
    percent = estimate.percent
    filled = 0 if percent is None else _BAR * percent // 100
    bar = "=" * filled + ">" if percent is not None else ""
    if estimate.stalled:
        left = "Stalled!"
    else:
        left = "unknown" if estimate.left is None else left_text(estimate.left)
    return (
        f"{amount_text(estimate.progress.advance.done_bytes)} {elapsed_text(estimate.elapsed)} "
        f"[{amount_text(estimate.speed)}/s] [{bar[: _BAR + 1]:<{_BAR + 1}}] "
        f"{'--' if percent is None else percent}% ETA {left}"
    )


def log_words(estimate: Estimate) -> str:
    """What follows `NOTICE 16`: bytes, seconds, percent, seconds left, bytes a second, whether it stands still.

    Programs read numbers: percent is 0 and the seconds left are -1 where nobody knows them.
    """
    left = -1 if estimate.left is None else int(estimate.left)
    numbers = (estimate.progress.advance.done_bytes, int(estimate.elapsed), estimate.percent or 0, left)
    return " ".join(map(str, (*numbers, int(estimate.speed), int(estimate.stalled))))


def amount_text(amount: float) -> str:
    """Bytes with one decimal, in steps of 1000, as in the lines of duplicity."""
    for unit in _UNITS[:-1]:
        if amount < 999.95:
            return f"{amount:.1f}{unit}"
        amount /= 1000
    return f"{amount:.1f}{_UNITS[-1]}"


def elapsed_text(seconds: float) -> str:
    """HH:MM:SS, from one day on with the days before it."""
    days, rest = divmod(int(seconds), 86400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}d,{clock}" if days else clock


def left_text(seconds: float) -> str:
    """The time left as duplicity says it, which becomes rougher with its length."""
    whole = int(seconds)
    if whole <= 15:
        return f"{whole}sec"
    for limit, text in ((30, "< 30sec"), (45, "< 45sec"), (60, "< 1min")):
        if whole < limit:
            return text
    minutes = whole // 60
    if minutes < 6:
        return f"{minutes}min 30sec" if whole % 60 >= 30 else f"{minutes}min"
    days, hours = minutes // 1440, minutes // 60 % 24
    parts = [f"{days}d" if days else "", f"{hours}h" if hours else "", f"{minutes % 60}min"]
    return " ".join(part for part in parts if part)

"""A monitor that passes everything on and counts what went wrong."""

from __future__ import annotations

from twofold.monitor import Monitor, Problem


class CountingMonitor:
    """Counts problems; safe to be told from several threads, since only whole numbers are added by each."""

    def __init__(self, inner: Monitor) -> None:
        self._inner = inner
        self._problems: list[bytes] = []

    @property
    def problems(self) -> int:
        """How many problems have been reported."""
        return len(self._problems)

    def report(self, event: object) -> None:
        if isinstance(event, Problem):
            self._problems.append(event.path)
        self._inner.report(event)

"""A monitor that passes everything on and counts what went wrong."""

from __future__ import annotations

from twofold.monitor import Monitor, Problem
from twofold.tree.shortfalls import Degraded


class CountingMonitor:
    """Counts what went wrong; safe to be told from several threads, since only whole numbers are added by each."""

    def __init__(self, inner: Monitor) -> None:
        self._inner = inner
        self._problems: list[bytes] = []
        self._unread: list[bytes] = []
        self._shortfalls: list[Degraded] = []

    @property
    def problems(self) -> int:
        """How many entries the archive did not give, or could not be restored."""
        return len(self._problems)

    @property
    def unread(self) -> int:
        """How many local files could not be read."""
        return len(self._unread)

    @property
    def shortfalls(self) -> int:
        """How many kinds of metadata could not be restored."""
        return len(self._shortfalls)

    def report(self, event: object) -> None:
        if isinstance(event, Problem):
            (self._unread if event.while_doing == "read" else self._problems).append(event.path)
        elif isinstance(event, Degraded):
            self._shortfalls.append(event)
        self._inner.report(event)

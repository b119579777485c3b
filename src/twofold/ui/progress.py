"""Shows how far a run has come (--progress): a display on a terminal, lines elsewhere, numbers in the machine log.

The work is not slowed down: nothing is counted for this and no second pass is made. A thread of its own asks now and
then what has been counted anyway, and finds out meanwhile how much there will be to do, if that is known.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from typing import Final, Protocol

from twofold.concurrency import Task, spawn
from twofold.monitor import Advance, Expecting, Finished, Monitor, Storing, Underway, VolumeDone, VolumeRead
from twofold.ui.estimate import Estimate, Estimator, Progress, Work, log_words, plain_line
from twofold.ui.message import Audience, Level, Message, Sink

_FRAME: Final = 0.2
_CODE: Final = 16


class View(Protocol):
    """A part of a terminal that shows a run."""

    def show(self, estimate: Estimate) -> None:
        """Draws anew; the first time may take a moment."""

    def close(self) -> None:
        """Leaves what was drawn last, and the terminal as it was found; may be called twice."""


class ProgressMonitor:
    """Hands every event on, and shows how far the work has come from the moment when it says that it is under way."""

    def __init__(
        self,
        monitor: Monitor,
        estimator: Callable[[float], Estimator],
        *,
        sink: Sink,
        rate: float,
        view: View | None = None,
        audience: Audience = Audience.ALL,
        tells_stages: bool = True,
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[int, float], bool] | None = None,
    ) -> None:
        """Lines go to the sink every `rate` seconds, for that audience, or for programs alone if there is a `view`.

        They end in what is going on where `tells_stages`; duplicity's have no such end.

        `wait` takes a descriptor and seconds, and says whether the descriptor became readable within them.
        """
        self._monitor = monitor
        self._sink = sink
        self._rate = rate
        self._view = view
        self._audience = audience if view is None else Audience.PROGRAMS
        self._tells_stages = tells_stages
        self._now = now
        self._wait = wait or _readable
        self._began = now()
        self._estimator = estimator(self._began)
        # Each of these is set by one thread at a time and only read by the others.
        self._total: int | None = None
        self._volumes = self._all_volumes = self._stored_bytes = 0
        self._storing: str | None = None
        self._ask: Callable[[], Advance] | None = None
        self._expected: Callable[[], int | None] | None = None
        self._pipe: tuple[int, int] | None = None
        self._task: Task[None] | None = None

    def report(self, event: object) -> None:
        self._note(event)
        self._monitor.report(event)

    def finish(self, *, complete: bool) -> None:
        """Ends the display; of work that is `complete` the last line says so. May be called twice."""
        task, self._task = self._task, None
        if task is None:
            return
        assert self._pipe is not None
        try:
            os.close(self._pipe[1])
            task.wait()
            os.close(self._pipe[0])
            if complete:
                task.join()
                self._show_end()
        finally:
            if self._view is not None:
                self._view.close()

    def _show_end(self) -> None:
        estimate = self._estimator.finished(self._now(), self._taken())
        if self._view is not None:
            self._view.show(estimate)
        self._sink.tell(self._line(estimate))

    def _note(self, event: object) -> None:
        match event:
            case Underway():
                self._begin(event.ask)
            case Finished():
                self.finish(complete=True)
            case Expecting():
                self._expected = event.ask
            case Storing():
                self._storing = event.what
            case VolumeDone():
                self._volumes = event.number
                self._stored_bytes += event.stored_bytes
                self._storing = None
            case VolumeRead():
                self._volumes, self._all_volumes = event.number, event.total

    def _begin(self, ask: Callable[[], Advance]) -> None:
        self._ask = ask
        if self._task is None:
            self._pipe = os.pipe()
            end = self._pipe[0]
            self._task = spawn(lambda: self._run(end), name="progress")

    def _run(self, end: int) -> None:
        view = self._view
        if view is not None:
            view.show(self._estimate())
        self._total = self._expected() if self._expected is not None else None
        interval = self._rate if view is None else min(_FRAME, self._rate)
        due = self._now() + self._rate
        while not self._wait(end, interval):
            estimate = self._estimate()
            if view is not None:
                view.show(estimate)
            if view is None or self._now() >= due:
                due += self._rate
                self._sink.tell(self._line(estimate))

    def _estimate(self) -> Estimate:
        return self._estimator.at(self._now(), self._taken())

    def _taken(self) -> Progress:
        assert self._ask is not None
        counts = (self._volumes, self._all_volumes, self._stored_bytes)
        return Progress(self._ask(), self._total, *counts, self._storing)

    def _line(self, estimate: Estimate) -> Message:
        text = plain_line(estimate)
        if self._tells_stages:
            text = f"{text} ({', '.join(estimate.stages)})"
        return Message(Level.NOTICE, text, code=_CODE, extra=log_words(estimate), audience=self._audience)


def estimator_for(work: Work, *, rate: float, encrypts: bool) -> Callable[[float], Estimator]:
    """What makes the estimator once it is known when the run began."""
    return lambda began: Estimator(work, began=began, rate=rate, encrypts=encrypts)


def _readable(descriptor: int, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])

"""Where the time of a run went, thread by thread (--timings): so that the next bottleneck can be seen at once.

Of a thread's life its own work is `cpu`; `input` and `room` are waiting for the stage before or behind it; the `rest`
passes in system calls and pipes to other programs, and in waiting for the interpreter lock or a processor. The stage
that waits least for input and room is the one that all others wait for.
"""

from __future__ import annotations

import resource
import time
from collections import deque

from twofold.monitor import Monitor, StageTime
from twofold.ui.message import Level, Message

_COLUMNS = f"{'seconds':28}{'wall':>8}{'cpu':>8}{'input':>8}{'room':>8}{'rest':>8}"


class Timings:
    """Keeps the times of threads and hands every other event on."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._began = time.perf_counter()
        self._started = time.process_time()
        self._stages: deque[StageTime] = deque()  # threads append without a lock

    def report(self, event: object) -> None:
        if isinstance(event, StageTime):
            self._stages.append(event)
        else:
            self._monitor.report(event)

    def message(self) -> Message:
        """The table, as it stands now."""
        own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu, gpg = own.ru_utime + own.ru_stime, others.ru_utime + others.ru_stime
        stages = sorted(_added_up(self._stages), key=lambda stage: stage.cpu, reverse=True)
        threads = sum(stage.cpu for stage in stages)
        lines = ["", "Where the time went", _COLUMNS]
        lines += [_line(stage) for stage in stages]
        lines += [
            f"{'start-up':28}{'':8}{self._started:8.2f}",
            f"{'before and after the threads':28}{'':8}{max(0.0, cpu - threads - self._started):8.2f}",
            f"{'gpg':28}{'':8}{gpg:8.2f}",
            f"{'whole run':28}{time.perf_counter() - self._began + self._started:8.2f}{cpu + gpg:8.2f}",
            f"Peak memory {own.ru_maxrss / 1024:.0f} MiB",
        ]
        return Message(Level.NOTICE, "\n".join(lines), always=True)


def _added_up(stages: deque[StageTime]) -> list[StageTime]:
    """Threads of one name as one: there is one for each volume that was finished, fetched or the like."""
    totals: dict[str, StageTime] = {}
    for stage in stages:
        name = stage.name
        before = totals.get(name, StageTime(name, 0.0, 0.0, 0.0, 0.0))
        totals[name] = StageTime(
            name,
            before.wall + stage.wall,
            before.cpu + stage.cpu,
            before.waited_for_input + stage.waited_for_input,
            before.waited_for_room + stage.waited_for_room,
        )
    return list(totals.values())


def _line(stage: StageTime) -> str:
    waited = stage.waited_for_input + stage.waited_for_room
    rest = max(0.0, stage.wall - stage.cpu - waited)
    times = (stage.wall, stage.cpu, stage.waited_for_input, stage.waited_for_room, rest)
    return f"{stage.name:28}" + "".join(f"{each:8.2f}" for each in times)

"""Runs one program and says what it took: `python -I -S launch.py` reads what to run and writes the cost, both as JSON.

A process of its own, because a child begins with the peak memory of whoever started it: the benchmark itself may have
grown large, this has not. The tree is sampled from /proc, where that exists, from a thread that mostly sleeps.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

_SAMPLES_A_SECOND = 20
_PAGE = os.sysconf("SC_PAGESIZE")


def resident_bytes(pid: int) -> int:
    """Of one process; 0 when it has gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def children(pid: int) -> list[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
        except OSError:
            continue
    return found


def tree_bytes(pid: int) -> int:
    """Resident memory of a process and all below it; what they share counts for each."""
    return resident_bytes(pid) + sum(map(tree_bytes, children(pid)))


class Sampler:
    """The largest sum seen over a process tree."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def finish(self) -> int:
        self._over.set()
        self._thread.join()
        return self.peak

    def _run(self) -> None:
        while True:
            self.peak = max(self.peak, tree_bytes(self._pid))
            if self._over.wait(1 / _SAMPLES_A_SECOND):
                return


def run(arguments: list[str], environment: dict[str, str], *, folder: str, log: str) -> dict[str, float]:
    """Both output streams go to `log`. Memory in bytes, times in seconds."""
    os.chdir(folder)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    actions = [(os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    start = time.perf_counter()
    pid = os.posix_spawnp(arguments[0], arguments, environment, file_actions=actions)
    sampler = Sampler(pid)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    largest = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "process_bytes": largest,
        "tree_bytes": max(sampler.finish(), largest),
    }


def main() -> None:
    wanted = json.load(sys.stdin)
    json.dump(run(wanted["arguments"], wanted["environment"], folder=wanted["folder"], log=wanted["log"]), sys.stdout)


if __name__ == "__main__":
    main()

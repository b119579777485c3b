"""One measured run of a program: wall and CPU seconds, peak memory, how it ended."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass, field

_LAUNCHER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "launch.py")
_TAIL_BYTES = 3000


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, all of it: nothing of the caller's environment is handed on."""

    arguments: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)
    folder: str
    expected: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds are those of the process and all children it waited for. `process_bytes` is the peak of the largest
    process, as the kernel counts it; `tree_bytes` the largest sum seen over the tree, never less than that."""

    seconds: float
    cpu_seconds: float
    process_bytes: int
    tree_bytes: int


class CommandFailed(Exception):
    """A program ended with an exit code that means failure; the text holds the end of what it said."""

    def __init__(self, command: Command, code: int, output: str) -> None:
        super().__init__(f"{shlex.join(command.arguments)} ended with {code}:\n{output}")


def measured(command: Command, *, log: str) -> Cost:
    """Runs it to the end. Its output is in `log` afterwards.

    Raises CommandFailed.
    """
    wanted = {
        "arguments": command.arguments,
        "environment": command.environment,
        "folder": command.folder,
        "log": log,
    }
    launcher = [sys.executable, "-I", "-S", _LAUNCHER]
    code, output, complaint = _run(launcher, json.dumps(wanted).encode())
    if code:
        raise CommandFailed(command, code, complaint.decode(errors="replace")[-_TAIL_BYTES:])
    found = json.loads(output)
    if found["code"] not in command.expected:
        with open(log, "rb") as file:
            file.seek(max(0, os.path.getsize(log) - _TAIL_BYTES))
            raise CommandFailed(command, found["code"], file.read().decode(errors="replace"))
    return Cost(found["seconds"], found["cpu_seconds"], int(found["process_bytes"]), int(found["tree_bytes"]))


def _run(launcher: list[str], wanted: bytes) -> tuple[int, bytes, bytes]:
    """In a session of its own, so that nothing of it is left running when the benchmark is interrupted."""
    pipe = subprocess.PIPE
    with subprocess.Popen(launcher, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True) as process:
        try:
            output, complaint = process.communicate(wanted)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, output, complaint

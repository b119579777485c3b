"""Kills a program in the middle of a backup, at the same place every time.

Nothing in the programs helps with that: the run is watched from outside and killed when enough volumes are recorded. If
that came too late, everything is put back and tried again.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

from tests.support.programs import Program, Workspace

TRIES = 50
LOOK_SECONDS = 0.0005


def kill_after_volumes(
    workspace: Workspace, program: Program, *arguments: str | bytes, cwd: bytes, volumes: int = 2
) -> None:
    """Runs a backup to the point where so many volumes of its set are at the target and recorded, none more."""
    kept = workspace.path("before-interruption")
    shutil.rmtree(kept, ignore_errors=True)
    _copy_state(workspace.folder, kept)
    existing = set(_volumes(workspace))
    for _ in range(TRIES):
        with workspace.start(program, *arguments, cwd=cwd) as process:
            while process.poll() is None and _recorded(workspace) < volumes:
                time.sleep(LOOK_SECONDS)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        if _recorded(workspace) == volumes == len(set(_volumes(workspace)) - existing):
            return
        for name in (b"target", b"archive"):
            shutil.rmtree(workspace.path(name), ignore_errors=True)
        _copy_state(kept, workspace.folder)
    raise AssertionError(f"{program} could not be killed after volume {volumes}")


def _copy_state(origin: bytes, copy: bytes) -> None:
    for name in ("target", "archive"):
        path = os.path.join(os.fsdecode(origin), name)
        if os.path.exists(path):
            shutil.copytree(path, os.path.join(os.fsdecode(copy), name))


def _volumes(workspace: Workspace) -> list[bytes]:
    target = workspace.path("target")
    return [name for name in os.listdir(target) if b".vol" in name] if os.path.exists(target) else []


def _recorded(workspace: Workspace) -> int:
    """Volumes listed in duplicity's unfinished manifest of the archive dir, or in twofold's checkpoints."""
    try:
        found = Path(os.fsdecode(workspace.archive_dir)).rglob("*.manifest.part")
        names = ("duplicity-", "twofold-checkpoints.")
        listed = [path.read_bytes().count(b"Hash SHA1") for path in found if path.name.startswith(names)]
        return max(listed, default=0)
    except FileNotFoundError:  # finished and renamed in between
        return 0

"""What a reader must know of the machine, without saying whose it is."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess

GIBIBYTE = 2**30


def description(work: str) -> dict[str, str]:
    """Facts by name, as text for a table. `work` is the folder that is measured in."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "processors": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory / GIBIBYTE:.1f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "file system of the work folder": file_system(work),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"


def file_system(path: str) -> str:
    """The kind of file system that holds a path."""
    path = os.path.realpath(path)
    best, kind = "", "unknown"
    for line in _lines("/proc/mounts"):
        _, mounted, found, *_ = line.split()
        inside = path == mounted or path.startswith(mounted.rstrip("/") + "/")
        if inside and len(mounted) >= len(best):
            best, kind = mounted, found
    return kind


def available_memory() -> int:
    """Bytes that could be used without swapping, as Linux says; 0 elsewhere."""
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def commit(root: str) -> str:
    """The commit checked out, with a mark if files differ from it; empty without git."""
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "-C", root, "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readlines()
    except OSError:
        return []

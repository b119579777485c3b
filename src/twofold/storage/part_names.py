"""Temporary names on servers that have no locks: who is making a file, and whether that process can still be alive.

A name is `.twofold-part-<when>-<machine>-<process>-<random>`: seconds since 1970, a hash that tells machines (and
containers) apart, the process id. It begins with a dot, so that it never extends a name that duplicity recognises.
What a dead process of this machine left is removed at once, what others left after a week: no upload takes that long.
Should a living one lose its file all the same, its rename fails and it uploads again.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Iterable
from functools import cache

from twofold.model.times import Clock, SystemClock
from twofold.storage.unfinished import PART_PREFIX, PREFIX

LONGEST_UPLOAD = 7 * 86_400
"""Seconds after which nobody is still writing to a file in the making."""

_NAME = re.compile(re.escape(PART_PREFIX) + r"([0-9a-f]{1,12})-([0-9a-f]{12})-(\d{1,10})-[0-9a-f]{16}")


def is_unfinished(name: str) -> bool:
    """Whether a listing must not show the name."""
    return name.startswith(PREFIX)


class PartNames:
    """The temporary names that one store makes and meets. May be used from several threads at once."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._abandoned: set[str] = set()
        self.looked = False

    def new(self) -> str:
        """A name that nobody has."""
        when = int(self._clock.now())
        return f"{PART_PREFIX}{when:x}-{_machine()}-{os.getpid()}-{os.urandom(8).hex()}"

    def abandon(self, name: str) -> None:
        """Says that a file of this store will not be finished."""
        self._abandoned.add(name)

    def see(self, names: Iterable[str]) -> None:
        """Is told all names at the place; remembers those that nobody is writing to any more."""
        self._abandoned.update(name for name in names if is_unfinished(name) and self._is_dead(name))
        self.looked = True

    def take_abandoned(self) -> list[str]:
        """The names to remove, each given once."""
        taken = []
        while self._abandoned:
            try:
                taken.append(self._abandoned.pop())
            except KeyError:  # another thread was faster
                break
        return taken

    def _is_dead(self, name: str) -> bool:
        match = _NAME.fullmatch(name)
        if match is None:
            return False
        when, machine, process = int(match[1], 16), match[2], int(match[3])
        return self._clock.now() - when > LONGEST_UPLOAD or (machine == _machine() and not _is_alive(process))


@cache
def _machine() -> str:
    """Tells machines apart, and containers that share a host name: a process id means something only inside one."""
    try:
        numbers = os.readlink("/proc/self/ns/pid")
    except OSError:
        numbers = ""
    return hashlib.sha256(f"{socket.gethostname()} {numbers}".encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True

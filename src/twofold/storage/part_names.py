"""Temporary names on servers that have no locks: who is making a file, and whether that process can still be alive.

A name is `.twofold-part-<when>-<machine>-<process>-<random>`: seconds since 1970, a hash that tells machines (and
containers) apart, the process id. It begins with a dot, so that it never extends a name that duplicity recognises.
What a dead process of this machine left is removed at once, what others left after a week: no upload takes that long.
A file that had to make way for its successor is `.twofold-old-<the same>-<its name>`; a dead process left it only if
its name may be free now: it is never removed unseen, but gets its name back (`take_parked`).
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

_PARKED_PREFIX = f"{PREFIX}old-"
_MAKER = r"([0-9a-f]{1,12})-([0-9a-f]{12})-(\d{1,10})-[0-9a-f]{16}"
_NAME = re.compile(re.escape(PART_PREFIX) + _MAKER, re.ASCII)
_PARKED = re.compile(re.escape(_PARKED_PREFIX) + _MAKER + "-(.+)", re.ASCII | re.DOTALL)


def is_unfinished(name: str) -> bool:
    """Whether a listing must not show the name."""
    return name.startswith(PREFIX)


class PartNames:
    """The temporary names that one store makes and meets. May be used from several threads at once."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._abandoned: set[str] = set()
        self._parked: dict[str, str] = {}
        self.looked = False

    def new(self) -> str:
        """A name that nobody has."""
        when = int(self._clock.now())
        return f"{PART_PREFIX}{when:x}-{_machine()}-{os.getpid()}-{os.urandom(8).hex()}"

    def parked(self, name: str) -> str:
        """Where the file of this name waits until its successor has got the name."""
        return f"{_PARKED_PREFIX}{self.new().removeprefix(PART_PREFIX)}-{name}"

    def abandon(self, name: str) -> None:
        """Says that a file of this store will not be finished."""
        self._abandoned.add(name)

    def see(self, names: Iterable[str]) -> None:
        """Is told all names at the place; remembers those that nobody is writing to any more."""
        for name in filter(is_unfinished, names):
            if (match := _NAME.fullmatch(name)) and self._is_dead(match):
                self._abandoned.add(name)
            elif (match := _PARKED.fullmatch(name)) and self._is_dead(match):
                self._parked[name] = match[4]
        self.looked = True

    def take_parked(self) -> dict[str, str]:
        """The names of parked files, each given once, with the names that they had."""
        taken, self._parked = self._parked, {}
        return taken

    def take_abandoned(self) -> list[str]:
        """The names to remove, each given once."""
        taken = []
        while self._abandoned:
            try:
                taken.append(self._abandoned.pop())
            except KeyError:  # another thread was faster
                break
        return taken

    def _is_dead(self, match: re.Match[str]) -> bool:
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

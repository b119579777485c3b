"""What a restore could not do: entries that had to be left out, and metadata that this user or file system refuses.

Always holds: a lost entry is an `EntryProblem` of its own; a lost attribute is counted, and each kind of loss is told
once, at the end, so that restoring a million files as an ordinary user gives one line and not a million.
"""

from __future__ import annotations

import os
from enum import Enum

from twofold.errors import TwofoldError
from twofold.model.value import value
from twofold.monitor import Monitor


class EntryProblem(TwofoldError):
    """One entry could not be restored; nothing was left behind in its place and the next one may follow.

    `error_number` is the errno behind it, 0 if there is none: with ENOSPC the next entry will hardly do better.
    """

    def __init__(self, path: bytes, reason: str, *, error_number: int = 0) -> None:
        super().__init__(f"Cannot restore {os.fsdecode(path) or '.'}: {reason}")
        self.path = path
        self.reason = reason
        self.error_number = error_number


class DegradedKind(Enum):
    """What got lost; files are there all the same, except devices."""

    OWNER = "owner"
    MODE = "mode"
    SETUID = "setuid"
    TIME = "time"
    ACL = "acl"
    CAPABILITY = "capability"
    USER_XATTR = "user xattr"
    TRUSTED_XATTR = "trusted xattr"
    SECURITY_XATTR = "security xattr"
    OTHER_XATTR = "other xattr"
    DEVICE = "device"
    HARD_LINK = "hard link"
    MISSING_PARENT = "missing parent"
    MOVED_DIRECTORY = "moved directory"


@value
class Degraded:
    """One kind of loss: how many entries, the first of them, and what the system said about it."""

    kind: DegradedKind
    count: int
    example: bytes
    reason: str


class Shortfalls:
    """Counts losses by kind until they are reported."""

    def __init__(self) -> None:
        self._counts: dict[DegradedKind, int] = {}
        self._firsts: dict[DegradedKind, tuple[bytes, str]] = {}

    def count(self, kind: DegradedKind, path: bytes, cause: str | Exception) -> None:
        """Takes note of one loss."""
        if kind in self._counts:
            self._counts[kind] += 1
        else:
            self._counts[kind] = 1
            self._firsts[kind] = path, cause if isinstance(cause, str) else reason_of(cause)

    def report(self, monitor: Monitor) -> None:
        """Tells one `Degraded` for each kind and begins anew."""
        for kind in DegradedKind:
            if kind in self._counts:
                monitor.report(Degraded(kind, self._counts[kind], *self._firsts[kind]))
        self._counts.clear()
        self._firsts.clear()


def reason_of(error: Exception) -> str:
    """What the system said, without the file name that Python adds."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def problem_of(path: bytes, error: Exception) -> EntryProblem:
    """Translates what the system or Python (ValueError, OverflowError for hostile values) said about one entry."""
    number = error.errno or 0 if isinstance(error, OSError) else 0
    return EntryProblem(path, reason_of(error), error_number=number)

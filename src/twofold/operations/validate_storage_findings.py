"""What trying a storage service can find out, and what that means for backups. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Final

from twofold.errors import (
    Forbidden,
    Incomplete,
    MissingLibrary,
    NoPlace,
    NoSpace,
    NotFound,
    StorageError,
    Unavailable,
    Unsupported,
    Untrusted,
)
from twofold.model.times import parse_compact
from twofold.model.value import value
from twofold.storage.store import StoreTraits

PREFIX: Final = "twofold-validation-"
"""Names of ours begin with it; no program takes them for a backup, and every server lists them."""

MIB: Final = 1 << 20
_STALE_SECONDS: Final = 3600
_MOST_BYTES: Final = 32 * MIB
_SECONDS_OF_A_TRANSFER: Final = 2.0


class Step(Enum):
    """What is tried, in this order. The value is the word for people and programs."""

    LIST = "list"
    PUT = "put"
    STAT = "look up"
    GET = "get"
    RANGE = "read a piece"
    REPLACE = "replace"
    SPACE = "tell free space"
    DELETE = "delete"
    CREATE = "create once"
    COPY = "copy"
    SPEED = "transfer megabytes"
    AT_ONCE = "transfer several at once"


NEEDED: Final = frozenset({Step.LIST, Step.PUT, Step.STAT, Step.GET, Step.SPEED, Step.AT_ONCE})
"""Without one of these there is no backup."""


class Standing(Enum):
    """How a step ended."""

    WORKS = "works"
    ABSENT = "not offered"
    DENIED = "not permitted"
    FAILED = "failed"
    UNTRIED = "not tried"


class Trouble(Enum):
    """What kind of thing is in the way; the value is the word for programs."""

    CREDENTIALS = "credentials"
    TRUST = "trust"
    NETWORK = "network"
    PLACE = "place"
    PERMISSION = "permission"
    SPACE = "space"
    PROGRAM = "program"
    DAMAGE = "damage"
    OTHER = "other"


@value
class Finding:
    """`seconds` is the time of one call where it worked, `error` why it did not."""

    step: Step
    standing: Standing
    seconds: float | None = None
    error: StorageError | None = None


@value
class Speed:
    """So many files at once of so many bytes each, and how long all of them took each way."""

    count: int
    size: int
    put_seconds: float
    get_seconds: float


@value
class StorageReport:
    """One finding a step, in their order; `files` lie there already, `left` are ours that could not be removed."""

    traits: StoreTraits
    findings: tuple[Finding, ...]
    files: int | None
    free_bytes: int | None
    speeds: tuple[Speed, ...]
    left: tuple[str, ...]

    @property
    def fault(self) -> Finding | None:
        """Why no backup can be made there, None if one can. A service may forbid to delete, but not fail at it."""
        return next((each for each in self.findings if each.error is not None and _is_needed(each)), None)

    @property
    def keeps_all(self) -> bool:
        """Whether files can be stored and not deleted."""
        return self._standing(Step.PUT) is Standing.WORKS and self._standing(Step.DELETE) is Standing.DENIED

    @property
    def is_append_only(self) -> bool:
        """Whether they cannot be replaced either."""
        return self.keeps_all and self._standing(Step.REPLACE) is Standing.DENIED

    def _standing(self, step: Step) -> Standing:
        return next(each.standing for each in self.findings if each.step is step)


def standing_after(error: StorageError, step: Step) -> Standing:
    """How a step ended that ended with an error."""
    if isinstance(error, Unsupported) and step not in NEEDED:
        return Standing.ABSENT
    denied = isinstance(error, Forbidden) and not isinstance(error, Untrusted)
    return Standing.DENIED if denied else Standing.FAILED


def _is_needed(finding: Finding) -> bool:
    if finding.step is Step.DELETE:
        return finding.standing is Standing.FAILED
    return finding.step in NEEDED


_TROUBLES: Final[tuple[tuple[type[StorageError], Trouble], ...]] = (
    (Untrusted, Trouble.TRUST),
    (NoPlace, Trouble.PLACE),
    (NoSpace, Trouble.SPACE),
    (Unavailable, Trouble.NETWORK),
    (MissingLibrary, Trouble.PROGRAM),
    (Incomplete, Trouble.DAMAGE),
)


def trouble_of(fault: Finding) -> Trouble:
    """Tells apart what is in the way: who is refused at the first step has not come in at all."""
    first = fault.step is Step.LIST
    found = next((trouble for kind, trouble in _TROUBLES if isinstance(fault.error, kind)), None)
    if found is not None:
        return found
    if isinstance(fault.error, Forbidden):
        return Trouble.CREDENTIALS if first else Trouble.PERMISSION
    is_place = isinstance(fault.error, NotFound) and (first or fault.step is Step.PUT)
    return Trouble.PLACE if is_place else Trouble.OTHER


def is_left_over(name: str, *, now: int) -> bool:
    """Whether a stored file is what a run that was killed at least an hour ago has left."""
    stamp = name.removeprefix(PREFIX).partition("-")[0]
    made = parse_compact(stamp) if name.startswith(PREFIX) else None
    return made is not None and made <= now - _STALE_SECONDS


def size_for_speed(seconds_of_one_mib: float) -> int:
    """How many bytes tell the speed without taking long, in whole MiB."""
    fitting = _MOST_BYTES if seconds_of_one_mib <= 0 else int(_SECONDS_OF_A_TRANSFER / seconds_of_one_mib) * MIB
    return max(MIB, min(_MOST_BYTES, fitting))

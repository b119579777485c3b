"""What operations report upwards while they work: events as frozen values, which ui/ turns into text and log lines.

A Monitor may be called from any thread; it must not raise and must not keep the caller waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from twofold.model.value import field, record, value


class Monitor(Protocol):
    """Whoever wants to know what happens."""

    def report(self, event: object) -> None:
        """Takes note of one event, in any thread."""


class NullMonitor:
    """Nobody looks."""

    def report(self, event: object) -> None:
        """Does nothing."""


@record
class RecordingMonitor:
    """Keeps every event, for tests."""

    events: list[object] = field(default_factory=list)

    def report(self, event: object) -> None:
        self.events.append(event)


@value
class Problem:
    """A file that could not be handled; the work goes on without it. `path` is relative to the backup root."""

    path: bytes
    reason: str
    while_doing: str = "read"


@value
class SocketSkipped:
    """Sockets are never stored."""

    path: bytes


@value
class FileStored:
    """One entry went into the backup; `change` is new, changed or deleted."""

    path: bytes
    change: str


@value
class StageTime:
    """A thread of a pipeline has ended: seconds that it lived, used of a processor, and waited for others.

    What is left of its life it spent in system calls, in pipes to other programs, or waiting for the interpreter lock.
    """

    name: str
    wall: float
    cpu: float
    waited_for_input: float
    waited_for_room: float


@value
class VolumeDone:
    """A volume is at the target; `read_bytes` of the source have been read so far."""

    number: int
    name: str
    stored_bytes: int
    read_bytes: int


class Advance(NamedTuple):
    """How far work has come. `done_bytes` of the tree are done with in front of compression, unchanged files included;
    `read_bytes` were read for that, `made_bytes` have come out of compression. `entries` is 0 where nobody counts them.
    """

    done_bytes: int = 0
    read_bytes: int = 0
    made_bytes: int = 0
    entries: int = 0


@value
class Underway:
    """Work has begun whose advance can be asked for, at any moment and from any thread, at no cost to the work."""

    ask: Callable[[], Advance]


@value
class Expecting:
    """How many bytes the work will be about can be asked for, in any thread, and may take a while to find."""

    ask: Callable[[], int | None]


@value
class Finished:
    """All that was asked for has been done; what follows is only told."""


@value
class Storing:
    """What is named, a volume or what completes a set, is on its way to the target until VolumeDone, or the end."""

    what: str


@value
class VolumeRead:
    """A volume has been fetched and opened, `number` of `total`."""

    number: int
    total: int
    name: str


@value
class FileRestored:
    """An entry was written; `kind` is duplicity's word for its type."""

    path: bytes
    kind: str


@value
class MetadataSynchronized:
    """The cache agrees with the target: what was copied and what was removed (both empty: nothing to do)."""

    copied: tuple[str, ...]
    removed: tuple[str, ...]
    dry_run: bool = False


@value
class MetadataSyncing:
    """The cache lacks something; `copying` names one file that is being fetched, or None at the start."""

    copying: str | None = None
    removing: str | None = None


@value
class LastFull:
    """When the newest full backup was made; None if there is none."""

    time: int | None


@value
class Note:
    """Something a person should know that stops nothing; `code` is the number in the machine log, `level` its level."""

    text: str
    code: int = 1
    warning: bool = False
    extra: str = ""


@value
class BadDownload:
    """A fetched volume has the wrong hash by that algorithm."""

    name: str
    algorithm: str
    found: str
    expected: str

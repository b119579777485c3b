"""Which backup, and which of its files."""

from __future__ import annotations

from enum import Enum

from twofold.model.value import value


class SetKind(Enum):
    """A full backup stands alone; an incremental continues the set that ended where it starts."""

    FULL = "full"
    INCREMENTAL = "inc"


@value
class SetId:
    """Identifies one backup set: `start` is None for a full set; times are whole seconds since 1970, UTC."""

    end: int
    start: int | None = None

    def __lt__(self, other: SetId) -> bool:
        return (self.end, self.start or 0) < (other.end, other.start or 0)

    @property
    def kind(self) -> SetKind:
        return SetKind.FULL if self.start is None else SetKind.INCREMENTAL


class FileRole(Enum):
    """What one stored file is for."""

    VOLUME = "volume"
    MANIFEST = "manifest"
    SIGNATURES = "signatures"
    STATISTICS = "statistics"


class Wrapping(Enum):
    """What the very end of a name says about its content (docs/format.md section 2.2)."""

    PLAIN = ""
    GZIP = ".gz"
    GPG = ".gpg"
    GPGSM = ".p7m"


@value
class StoredName:
    """A file name taken apart. `volume` counts from 1; `partial` marks an unfinished manifest or signature file."""

    set_id: SetId
    role: FileRole
    wrapping: Wrapping = Wrapping.PLAIN
    volume: int | None = None
    partial: bool = False

"""Which backup, and which of its files."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class SetKind(Enum):
    """A full backup stands alone; an incremental continues the set that ended where it starts."""

    FULL = "full"
    INCREMENTAL = "inc"


@dataclass(frozen=True, slots=True, order=True)
class SetId:
    """Identifies one backup set: `start` is None for a full set; times are whole seconds since 1970, UTC."""

    end: int
    start: int | None = None

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


@dataclass(frozen=True, slots=True)
class StoredName:
    """A file name taken apart. `volume` counts from 1; `partial` marks an unfinished manifest or signature file."""

    set_id: SetId
    role: FileRole
    wrapping: Wrapping = Wrapping.PLAIN
    volume: int | None = None
    partial: bool = False

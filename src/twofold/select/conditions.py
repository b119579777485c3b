"""What the command line says about which files to take, in its order (docs/cli.md section 6).

Lists arrive already read; patterns are text in which undecodable bytes are surrogates.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Mode(Enum):
    """Paths are matched as the source was typed in a backup (and verify), relative to the backup root in a restore."""

    BACKUP = "backup"
    RESTORE = "restore"


class Syntax(Enum):
    """How the patterns after a switch are to be read; values are the words of error messages."""

    GLOB = "shell glob"
    LITERAL = "literal string"
    REGEXP = "regular expression"


@dataclass(frozen=True, slots=True)
class Include:
    """`--include`."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Exclude:
    """`--exclude`."""

    pattern: str


@dataclass(frozen=True, slots=True)
class IncludeRegexp:
    """`--include-regexp`."""

    expression: str


@dataclass(frozen=True, slots=True)
class ExcludeRegexp:
    """`--exclude-regexp`."""

    expression: str


@dataclass(frozen=True, slots=True)
class IncludeFilelist:
    """`--include-filelist`: `content` is what the file of that name holds."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class ExcludeFilelist:
    """`--exclude-filelist`: `content` is what the file of that name holds."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class FilesFrom:
    """`--files-from`: `content` is what the file of that name holds."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class ExcludeIfPresent:
    """`--exclude-if-present`: the name of the marker."""

    name: bytes


@dataclass(frozen=True, slots=True)
class ExcludeDeviceFiles:
    """`--exclude-device-files`."""


@dataclass(frozen=True, slots=True)
class ExcludeOtherFilesystems:
    """`--exclude-other-filesystems`."""


@dataclass(frozen=True, slots=True)
class ExcludeOlderThan:
    """`--exclude-older-than`: seconds since 1970."""

    instant: int


@dataclass(frozen=True, slots=True)
class FilterSyntax:
    """`--filter-globbing`, `--filter-literal`, `--filter-regexp`: holds for the patterns after it."""

    syntax: Syntax


@dataclass(frozen=True, slots=True)
class FilterCase:
    """`--filter-ignorecase`, `--filter-strictcase`: holds for the patterns after it."""

    ignore: bool


@dataclass(frozen=True, slots=True)
class NullSeparator:
    """`--null-separator`: holds for all lists, wherever it stands."""


Condition = (
    Include
    | Exclude
    | IncludeRegexp
    | ExcludeRegexp
    | IncludeFilelist
    | ExcludeFilelist
    | FilesFrom
    | ExcludeIfPresent
    | ExcludeDeviceFiles
    | ExcludeOtherFilesystems
    | ExcludeOlderThan
    | FilterSyntax
    | FilterCase
    | NullSeparator
)

"""What the command line says about which files to take, in its order (docs/cli.md section 6).

Lists arrive already read; patterns are text in which undecodable bytes are surrogates.
"""

from __future__ import annotations

from enum import Enum

from twofold.model.value import value


class Mode(Enum):
    """Paths are matched as the source was typed in a backup (and verify), relative to the backup root in a restore."""

    BACKUP = "backup"
    RESTORE = "restore"


class Syntax(Enum):
    """How the patterns after a switch are to be read; values are the words of error messages."""

    GLOB = "shell glob"
    LITERAL = "literal string"
    REGEXP = "regular expression"


@value
class Include:
    """`--include`."""

    pattern: str


@value
class Exclude:
    """`--exclude`."""

    pattern: str


@value
class IncludeRegexp:
    """`--include-regexp`."""

    expression: str


@value
class ExcludeRegexp:
    """`--exclude-regexp`."""

    expression: str


@value
class IncludeFilelist:
    """`--include-filelist`: `content` is what the file of that name holds."""

    name: str
    content: bytes


@value
class ExcludeFilelist:
    """`--exclude-filelist`: `content` is what the file of that name holds."""

    name: str
    content: bytes


@value
class FilesFrom:
    """`--files-from`: `content` is what the file of that name holds."""

    name: str
    content: bytes


@value
class ExcludeIfPresent:
    """`--exclude-if-present`: the name of the marker."""

    name: bytes


@value
class ExcludeDeviceFiles:
    """`--exclude-device-files`."""


@value
class ExcludeOtherFilesystems:
    """`--exclude-other-filesystems`."""


@value
class ExcludeOlderThan:
    """`--exclude-older-than`: seconds since 1970."""

    instant: int


@value
class FilterSyntax:
    """`--filter-globbing`, `--filter-literal`, `--filter-regexp`: holds for the patterns after it."""

    syntax: Syntax


@value
class FilterCase:
    """`--filter-ignorecase`, `--filter-strictcase`: holds for the patterns after it."""

    ignore: bool


@value
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

"""The version line. Imports next to nothing, so that `--version` answers at once.

Three programs parse what duplicity prints: it must begin with its name, the number must be the second and the last
word, and nothing else may be printed (docs/cli.md sections 1.6 and 10).
"""

from __future__ import annotations

from twofold._version import VERSION

COMPATIBLE_WITH = "3.2.1"
DUPLICITY = "duplicity"
TWOFOLD = "twofold"


def program_name(path: str) -> str:
    """What the program calls itself: duplicity if it was called so, else twofold."""
    return DUPLICITY if path.rpartition("/")[2] == DUPLICITY else TWOFOLD


def version_line(program: str) -> str:
    """One line without its end."""
    return f"{DUPLICITY} {COMPATIBLE_WITH}" if program == DUPLICITY else f"{TWOFOLD} {VERSION}"


def asks_only_for_version(arguments: list[str]) -> bool:
    """Whether the rest of the program need not be loaded."""
    return arguments in (["--version"], ["-V"])

"""What can be wrong with a command line. Messages may have several lines; the first one names the mistake."""

from __future__ import annotations

from typing import ClassVar

from twofold.errors import UserError


class CommandLineError(UserError):
    """The words or options cannot be understood; `log_word` is what programs find in the machine log."""

    log_word: ClassVar[str] = "CommandLineError"


class AmbiguousOption(CommandLineError):
    """An abbreviation fits several options; 2 is what duplicity's argument parser ends with."""

    exit_code = 2


class CountTooSmall(UserError):
    """Fewer than one chain to keep. duplicity fails an assertion here; number and word stay (docs/cli.md 11.3)."""

    exit_code = 30
    log_word: ClassVar[str] = "AssertionError"


class NoSuchSet(UserError):
    """A set of the newest chain by a number that it has not. duplicity dies of an IndexError; number and word stay."""

    exit_code = 30
    log_word: ClassVar[str] = "IndexError"

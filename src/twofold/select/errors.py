"""Selections that cannot be meant, each with duplicity's exit code (docs/cli.md section 6.8)."""

from __future__ import annotations

from twofold.errors import UserError


class SelectionError(UserError):
    """A selection option that does not fit the command."""


class OutsideRoot(SelectionError):
    """A pattern can match neither the root nor anything below it."""

    exit_code = 14


class BadGlob(SelectionError):
    """A glob that no path can match."""

    exit_code = 15


class RedundantInclude(SelectionError):
    """The last condition includes what is included anyway."""

    exit_code = 16


class BadExpression(SelectionError):
    """A regular expression or a class of characters that does not compile."""

    exit_code = 30
    log_word = "error"


class OnlyDefaultModes(SelectionError):
    """The filter mode switches ask for what is the case anyway."""

    exit_code = 70


class TrailingMode(SelectionError):
    """A filter mode switch with nothing after it."""

    exit_code = 71


class AbsolutePathListed(SelectionError):
    """A list of files holds a path that is not relative to the source."""

    exit_code = 72


class NothingListed(SelectionError):
    """A list of files is empty."""

    exit_code = 73

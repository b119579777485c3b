"""What a shell can suggest: which options an action has, and what their values and the words look like. Pure."""

from __future__ import annotations

from enum import Enum

from twofold.storage.registry import SCHEMES
from twofold.ui.commands import Command, Scope, Word
from twofold.ui.option import Option, Status, Value
from twofold.ui.options import OPTIONS


class Suggestion(Enum):
    """What comes where a value or a word is wanted."""

    NOTHING = "nothing"
    FILE = "file"
    DIRECTORY = "directory"
    PROGRAM = "program"
    CHOICE = "choice"
    URL = "url"


_FILE_WORDS = (Word.SOURCE_PATH, Word.TARGET_PATH, Word.LOCAL_PATH)
_BY_METAVAR = {"DIR": Suggestion.DIRECTORY, "FILE": Suggestion.FILE, "PROGRAM": Suggestion.PROGRAM}
_LEVELS = ("error", "warning", "notice", "info", "debug")
REPEATED = frozenset(
    {
        Value.PATTERN,
        Value.MARK,
        Value.KEYS,
        Value.KEY_FOR_BOTH,
        Value.PATHS,
        Value.INTEGERS,
        Value.JOINED,
        Value.WORDS,
        Value.PAIR,
    }
)
"""Kinds of options that may be given more than once."""


def suggested_options() -> list[Option]:
    """Those worth suggesting: neither hidden nor without any effect."""
    return [option for option in OPTIONS if not (option.hidden or option.missing) and option.scope]


def common_options() -> list[Option]:
    """Those that all actions have."""
    return [option for option in suggested_options() if option.scope == Scope.ALL]


def further_options(command: Command) -> list[Option]:
    """Those that an action has besides."""
    return [option for option in action_options() if option.scope & command.scope]


def action_options() -> list[Option]:
    """Those that some actions have: suggested all while there is no action that decides."""
    return [option for option in suggested_options() if option.scope != Scope.ALL]


def words_of(option: Option) -> list[str]:
    """All that can be written for an option, with its dashes."""
    return [*([f"-{option.short}"] if option.short else []), *(f"--{name}" for name in option.names)]


def value_of(option: Option) -> Suggestion:
    """What to suggest for an option's value."""
    if choices_of(option):
        return Suggestion.CHOICE
    if option.value is Value.PATTERN and option.metavar == "PATTERN":
        return Suggestion.FILE
    if option.value in (Value.PATH, Value.PATHS) and not option.metavar:
        return Suggestion.FILE
    return _BY_METAVAR.get(option.metavar, Suggestion.NOTHING)


def choices_of(option: Option) -> tuple[str, ...]:
    """The words among which a value is to be chosen, if it is."""
    if option.value is Value.VERBOSITY:
        return _LEVELS
    return option.choices


def word_of(word: Word) -> Suggestion:
    """What to suggest for a word of an action."""
    if word in (Word.SOURCE_URL, Word.TARGET_URL):
        return Suggestion.URL
    return Suggestion.FILE if word in _FILE_WORDS else Suggestion.NOTHING


def schemes() -> list[str]:
    """The schemes of targets that this version can reach, besides `file`."""
    return sorted(name for name, scheme in SCHEMES.items() if scheme.driver and name != "file")


def options_with_values(count: int) -> list[str]:
    """What is followed by so many values when they are not joined to it; old options, too, since people type them."""
    understood = [option for option in OPTIONS if option.status not in (Status.PLANNED, Status.REFUSED)]
    return [name for option in understood if option.values_wanted == count for name in words_of(option)]

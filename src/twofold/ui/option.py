"""What a row of the option table says: enough for the parser, the help, the manual page and shell completions."""

from __future__ import annotations

from enum import Enum

from twofold.model.value import value
from twofold.ui.commands import Scope
from twofold.ui.option_values import Rule


class Value(Enum):
    """What follows an option's name and how it is read."""

    SWITCH = "no value"
    MARK = "no value, a place among the selection conditions"
    PATTERN = "one value, a selection condition"
    TEXT = "text"
    PATH = "a local path, ~ and $VARIABLE expanded"
    PATHS = "local paths that add up"
    KEYS = "keys that add up"
    KEY_FOR_BOTH = "a key to encrypt and sign with"
    JOINED = "words for another program, joined with a blank"
    WORDS = "words for another program, split at blanks"
    INTEGER = "a whole number"
    INTEGERS = "whole numbers that add up"
    SHARE = "a percentage"
    CHOICE = "one of a few words"
    CHARACTER = "one character"
    VERBOSITY = "0 to 9 or a name"
    TIME = "a point in time"
    PAIR = "two values"
    HELP = "no value, prints a help text"
    VERSION = "no value, prints the version"

    @property
    def count(self) -> int:
        """How many words of the command line it takes besides the name."""
        if self in (Value.SWITCH, Value.MARK, Value.HELP, Value.VERSION):
            return 0
        return 2 if self is Value.PAIR else 1

    @property
    def ends_program(self) -> bool:
        return self in (Value.HELP, Value.VERSION)

    @property
    def is_for_other_program(self) -> bool:
        """Whether it may well look like one of our own options."""
        return self in (Value.JOINED, Value.WORDS)


class Group(Enum):
    """Headings of the help."""

    GENERAL = "General"
    BACKUP = "Making backups"
    SELECTION = "Choosing files"
    READING = "Reading backups"
    ENCRYPTION = "Encryption and signatures"
    CACHE = "Local metadata and file names"
    TARGET = "Talking to the target"
    SERVICES = "Particular services"
    HELP = "Help"


class Status(Enum):
    """How an option is treated that is not an ordinary one of duplicity 3.2.1."""

    CURRENT = "part of duplicity 3.2.1"
    OWN = "twofold's own"
    OLD_NAME = "accepted for old scripts"
    IGNORED = "accepted for old scripts, told and without effect"
    REFUSED = "no longer possible"
    PLANNED = "not yet available"


@value
class Option:
    """One long option without its two dashes.

    `field` names what it sets in Options, by default its own name with underscores; a SWITCH sets it to `sets`. An
    INTEGER is multiplied by `unit`, rounded up to a `multiple` and checked before that against `minimum` and `maximum`.
    `rule` is that of a MARK or PATTERN, `constant` the argument of a PATTERN that is written without one. `only_for`
    names the service for which alone it means something, `default` describes a default that Options cannot know.
    `remedy` completes what is said of an option that is IGNORED, REFUSED or PLANNED. `missing` marks one that is read
    but whose work this version does not do. `common` puts it into the short help, `hidden` keeps it out of every help.
    """

    name: str
    value: Value
    scope: Scope
    group: Group
    help: str
    field: str = ""
    short: str = ""
    aliases: tuple[str, ...] = ()
    metavar: str = ""
    sets: bool = True
    rule: Rule | None = None
    constant: str = ""
    choices: tuple[str, ...] = ()
    unit: int = 1
    multiple: int = 1
    minimum: int | None = None
    maximum: int | None = None
    only_for: str = ""
    default: str = ""
    status: Status = Status.CURRENT
    remedy: str = ""
    missing: bool = False
    common: bool = False
    hidden: bool = False

    @property
    def target_field(self) -> str:
        return self.field or self.name.replace("-", "_")

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)

    @property
    def values_wanted(self) -> int:
        return 0 if self.constant else self.value.count

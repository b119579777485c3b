"""The actions, their short names and the words that each takes: duplicity's (docs/cli.md section 1.1), then ours (13).

Names are case sensitive and never abbreviated.
"""

from __future__ import annotations

from enum import Enum, Flag, auto

from twofold.model.value import value
from twofold.ui.version import DUPLICITY


class Action(Enum):
    """What the program is asked to do; the value is the name that people type."""

    BACKUP = "backup"
    FULL = "full"
    INCREMENTAL = "incremental"
    RESTORE = "restore"
    VERIFY = "verify"
    LIST = "list-current-files"
    STATUS = "collection-status"
    CLEANUP = "cleanup"
    REMOVE_OLDER = "remove-older-than"
    REMOVE_ALL_BUT = "remove-all-but-n-full"
    REMOVE_INCREMENTALS = "remove-all-inc-of-but-n-full"
    CHECK = "check"
    REPLICATE = "replicate"
    VALIDATE = "validate-storage"

    @property
    def makes_backup(self) -> bool:
        return self in (Action.BACKUP, Action.FULL, Action.INCREMENTAL)

    @property
    def uses_cache(self) -> bool:
        return self is not Action.VALIDATE


class Word(Enum):
    """What a word on the command line stands for."""

    SOURCE_PATH = "source_path"
    TARGET_URL = "target_url"
    SOURCE_URL = "source_url"
    TARGET_PATH = "target_path"
    LOCAL_PATH = "local_path"
    COUNT = "count"
    TIME = "time"


class Scope(Flag):
    """Actions for which an option means something; elsewhere it is accepted and has no effect."""

    NONE = 0
    INCREMENTAL = auto()
    FULL = auto()
    RESTORE = auto()
    VERIFY = auto()
    LIST = auto()
    STATUS = auto()
    CLEANUP = auto()
    REMOVE = auto()
    CHECK = auto()
    REPLICATE = auto()
    VALIDATE = auto()
    BACKUP = INCREMENTAL | FULL
    READING = RESTORE | VERIFY
    SELECTING = BACKUP | VERIFY | RESTORE
    DELETING = CLEANUP | REMOVE
    OWN = CHECK | REPLICATE | VALIDATE
    ALL = BACKUP | READING | LIST | STATUS | DELETING | OWN


@value
class Command:
    """One action; `help_topic` is what follows `--help-`. duplicity has none that is `own`, nor has who calls us so."""

    action: Action
    short_names: tuple[str, ...]
    words: tuple[Word, ...]
    scope: Scope
    help: str
    help_topic: str = ""
    own: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return (self.action.value, *self.short_names)

    @property
    def topic(self) -> str:
        return self.help_topic or self.action.value


_TO_TARGET = (Word.SOURCE_PATH, Word.TARGET_URL)

COMMANDS: tuple[Command, ...] = (
    Command(Action.BACKUP, ("bu",), _TO_TARGET, Scope.BACKUP, "Add to the newest chain, or begin one"),
    Command(Action.FULL, ("fb",), _TO_TARGET, Scope.FULL, "Begin a new chain with everything"),
    Command(
        Action.INCREMENTAL,
        ("inc", "incr", "ib"),
        _TO_TARGET,
        Scope.INCREMENTAL,
        "Add to the newest chain, or fail if there is none",
        "inc",
    ),
    Command(
        Action.RESTORE, ("rb",), (Word.SOURCE_URL, Word.TARGET_PATH), Scope.RESTORE, "Write files back from a backup"
    ),
    Command(
        Action.VERIFY,
        ("vb",),
        (Word.SOURCE_URL, Word.LOCAL_PATH),
        Scope.VERIFY,
        "Check a backup and compare it with local files",
    ),
    Command(Action.LIST, ("ls",), (Word.TARGET_URL,), Scope.LIST, "Print the names of the files in a backup"),
    Command(Action.STATUS, ("st",), (Word.TARGET_URL,), Scope.STATUS, "Print which chains and sets a target holds"),
    Command(Action.CLEANUP, ("cl",), (Word.TARGET_URL,), Scope.CLEANUP, "Delete what belongs to no usable backup"),
    Command(
        Action.REMOVE_OLDER, ("ro",), (Word.TIME, Word.TARGET_URL), Scope.REMOVE, "Delete chains that ended before TIME"
    ),
    Command(
        Action.REMOVE_ALL_BUT,
        ("ra",),
        (Word.COUNT, Word.TARGET_URL),
        Scope.REMOVE,
        "Delete all but the newest COUNT chains",
    ),
    Command(
        Action.REMOVE_INCREMENTALS,
        ("ri",),
        (Word.COUNT, Word.TARGET_URL),
        Scope.REMOVE,
        "Delete the incremental sets of all but the newest COUNT chains",
    ),
    Command(
        Action.CHECK,
        (),
        (Word.TARGET_URL,),
        Scope.CHECK,
        "Prove that a target's backups are whole, without the files they were made of",
        own=True,
    ),
    Command(
        Action.REPLICATE,
        (),
        (Word.SOURCE_URL, Word.TARGET_URL),
        Scope.REPLICATE,
        "Copy the backups of one target to another one, checked and as they are",
        own=True,
    ),
    Command(
        Action.VALIDATE,
        (),
        (Word.TARGET_URL,),
        Scope.VALIDATE,
        "Try out what a target can do for backups, and how fast, before any are made",
        own=True,
    ),
)

BY_NAME: dict[str, Command] = {name: command for command in COMMANDS for name in command.names}
BY_ACTION: dict[Action, Command] = {command.action: command for command in COMMANDS}


def commands_of(program: str) -> tuple[Command, ...]:
    """The actions that there are when the program is called so."""
    return tuple(command for command in COMMANDS if not (command.own and program == DUPLICITY))

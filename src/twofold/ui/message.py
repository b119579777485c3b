"""What the program says, as values: one message is a terminal text and a stanza of the machine log at once.

Texts may hold the surrogates of undecodable file names; every sink copes with them.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, IntEnum
from typing import NamedTuple, Protocol


class Level(IntEnum):
    """How much a message matters; the value is the lowest verbosity that shows it (docs/cli.md section 7.1)."""

    ERROR = 0
    WARNING = 2
    NOTICE = 3
    INFO = 5
    DEBUG = 9


class Audience(Enum):
    """Who is told."""

    ALL = "people and programs"
    PEOPLE = "people"
    PROGRAMS = "programs"


class Message(NamedTuple):
    """One thing to say. A NamedTuple, not a dataclass: listings make one for each of a million files.

    `code` and `extra` are number and further words of the first line in the machine log, `data` the lines between it
    and the text, None for all but a collection status. `always` shows it at any verbosity.
    """

    level: Level
    text: str
    code: int = 1
    extra: str = ""
    data: tuple[str, ...] | None = None
    always: bool = False
    audience: Audience = Audience.ALL

    def is_wanted(self, verbosity: int) -> bool:
        return self.always or self.level <= verbosity


class Messages(Protocol):
    """Many messages that may also be told as one text, which is much less work."""

    def text(self) -> str:
        """The texts of all, each with its line feed."""

    def each(self) -> Iterable[Message]:
        """One by one; all are shown at any verbosity and none is an error."""


class Sink(Protocol):
    """Takes messages; may be called from any thread and does not raise when nobody listens any more."""

    def tell(self, message: Message) -> None: ...
    def tell_all(self, messages: Messages) -> None: ...


class Sinks:
    """Several sinks as one."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks

    def tell(self, message: Message) -> None:
        for sink in self._sinks:
            sink.tell(message)

    def tell_all(self, messages: Messages) -> None:
        for sink in self._sinks:
            sink.tell_all(messages)


def notice(text: str) -> Message:
    """An ordinary line."""
    return Message(Level.NOTICE, text)


def warning(text: str) -> Message:
    """Something to look into."""
    return Message(Level.WARNING, text)


def info(text: str) -> Message:
    """Only for those who want to know more."""
    return Message(Level.INFO, text)

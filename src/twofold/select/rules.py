"""The rules that a path is put to, one after the other: each says include, exclude, maybe, or nothing.

A rule is first placed into a directory (`at`), which leaves only what matters for the entries of that directory, and is
then asked about all of them at once. Directories are written as what stands before an entry's name: with a slash, or
empty.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Protocol

from twofold.model.value import value


class Answer(Enum):
    """What a rule says of one path. `MAYBE`: not this one, but perhaps something below it is to be included."""

    INCLUDE = "include"
    EXCLUDE = "exclude"
    MAYBE = "maybe"
    NOTHING = "nothing"


class Facts(Protocol):
    """What rules know of a file besides its path: `os.stat_result` will do."""

    @property
    def st_mode(self) -> int: ...

    @property
    def st_dev(self) -> int: ...

    @property
    def st_mtime_ns(self) -> int: ...


Sweep = Callable[[Sequence[str], Sequence[Facts]], Mapping[str, Answer]]


@value
class Placed:
    """A rule in one directory: `sweep` takes the names of entries and their facts, and answers for those it knows of.

    `decision` is the answer for all entries, if it is one.
    """

    sweep: Sweep
    decision: Answer | None = None


class Rule(Protocol):
    """One condition, or several alike."""

    def at(self, directory: str, root_device: int) -> Placed | None:
        """The rule for the entries of `directory`, None if it has nothing to say there."""
        ...


@value
class RegexpRule:
    """A regular expression, searched for anywhere in the path."""

    answer: Answer
    expression: re.Pattern[str]

    def at(self, directory: str, root_device: int) -> Placed:
        search, answer = self.expression.search, self.answer
        return Placed(lambda names, facts: {name: answer for name in names if search(directory + name)})


@value
class DeviceFilesRule:
    """Leaves out character and block devices."""

    def at(self, directory: str, root_device: int) -> Placed:
        return Placed(_exclude_if(lambda facts: stat.S_ISCHR(facts.st_mode) or stat.S_ISBLK(facts.st_mode)))


@value
class OtherFilesystemsRule:
    """Leaves out what lies on another device than the root."""

    def at(self, directory: str, root_device: int) -> Placed:
        return Placed(_exclude_if(lambda facts: facts.st_dev != root_device))


@value
class OlderThanRule:
    """Leaves out regular files last changed before an instant."""

    instant: int

    def at(self, directory: str, root_device: int) -> Placed:
        limit = self.instant * 1_000_000_000
        return Placed(_exclude_if(lambda facts: stat.S_ISREG(facts.st_mode) and facts.st_mtime_ns < limit))


def _exclude_if(unwanted: Callable[[Facts], bool]) -> Sweep:
    return lambda names, facts: {
        name: Answer.EXCLUDE for name, known in zip(names, facts, strict=True) if unwanted(known)
    }

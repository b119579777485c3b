"""A reader of the machine log as front ends have one, written from docs/cli.md section 7.3 and strict about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

LEVELS = ("ERROR", "WARNING", "NOTICE", "INFO", "DEBUG")
FIRST_LINE = re.compile(rf"({'|'.join(LEVELS)}) ([0-9]+)(?: (.*))?")


class Stanza(NamedTuple):
    """One message: `extra` is what follows the number, `data` the lines between the first one and the text."""

    level: str
    code: int
    extra: str
    data: tuple[str, ...]
    text: str

    @property
    def kind(self) -> tuple[str, int]:
        return self.level, self.code

    @property
    def words(self) -> list[str]:
        """The extra words, quoted ones decoded; blanks in them are not escaped, so only quotes tell where one ends."""
        found = re.findall(r"'([^']*)'|(\S+)", self.extra)
        return [plain or unquoted(quoted) for quoted, plain in found]


def read_log(raw: bytes) -> list[Stanza]:
    """All stanzas of a log; each must be whole."""
    text = raw.decode("utf-8", "strict")
    assert not text or text.endswith("\n\n"), text[-200:]
    return [_stanza(block.split("\n")) for block in text.split("\n\n")[:-1]]


def unquoted(text: str) -> str:
    """What stood between the quotes before Python's escapes were put in."""
    return text.encode("ascii").decode("unicode_escape")


def of_kind(stanzas: Iterable[Stanza], level: str, code: int) -> list[Stanza]:
    return [stanza for stanza in stanzas if stanza.kind == (level, code)]


def only(stanzas: Iterable[Stanza], level: str, code: int) -> Stanza:
    """The one stanza of its kind."""
    found = of_kind(stanzas, level, code)
    assert len(found) == 1, found
    return found[0]


def errors(stanzas: Iterable[Stanza]) -> list[tuple[int, str]]:
    """Number and extra words of each error."""
    return [(stanza.code, stanza.extra) for stanza in stanzas if stanza.level == "ERROR"]


def _stanza(lines: list[str]) -> Stanza:
    first = FIRST_LINE.fullmatch(lines[0])
    assert first is not None, lines
    text = [line[2:] for line in lines[1:] if line.startswith(". ")]
    data = [line for line in lines[1:] if not line.startswith(". ")]
    assert lines[1:] == [*data, *(f". {line}" for line in text)], lines
    return Stanza(first[1], int(first[2]), first[3] or "", tuple(data), "\n".join(text))

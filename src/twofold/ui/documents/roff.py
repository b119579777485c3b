r"""Manual pages as values, and their text in the man(7) language that groff and mandoc both read.

In all texts `a word in backticks` comes out bold, {one in braces} in italics; everything else stands for itself.
Literal words keep their ASCII quotes and dashes, so that they can be copied from the page to a shell.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

_WIDTH = 78
_PIECE = re.compile(r"`([^`]+)`|\{([^{}]+)\}|([^`{]+|.)", re.DOTALL)
_IN_LITERALS = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "~": r"\(ti", "^": r"\(ha"}
_IN_TEXT = {"\\": r"\e", "~": r"\(ti", "^": r"\(ha"}
# Blanks in a literal must not become line ends, or the roff commands for fonts would be torn apart from their words.
_BLANK = "\N{NO-BREAK SPACE}"


class Paragraph(NamedTuple):
    """Some sentences."""

    text: str


class Line(NamedTuple):
    """A line of its own."""

    text: str


class Item(NamedTuple):
    """A term, and below it, further in, what is said of it."""

    term: str
    text: str


class Example(NamedTuple):
    """Lines to be typed, shown as they are."""

    lines: tuple[str, ...]


class Heading(NamedTuple):
    """The title of a part of a section."""

    title: str


Block = Paragraph | Line | Item | Example | Heading


class Section(NamedTuple):
    """A section; its title is in capitals."""

    title: str
    blocks: tuple[Block, ...]


def page(name: str, summary: str, *, date: str, source: str, title: str, sections: tuple[Section, ...]) -> str:
    """The whole page of section 1; `date` as YYYY-MM-DD, `source` is the program with its version."""
    lines = [f'.TH {name.upper()} 1 "{date}" "{source}" "{title}"']
    lines += [".ad l", ".SH NAME", rf"{name} \- {_marked(summary)}"]
    for section in sections:
        lines += _section(section)
    return "\n".join(lines) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f".SH {section.title}"
    after_heading = True
    for block in section.blocks:
        match block:
            case Paragraph(text):
                yield from [] if after_heading else [".PP"]
                yield from _lines(text)
            case Line(text):
                yield from [] if after_heading else [".br"]
                yield _guarded(_one_line(text))
            case Item(term, text):
                yield from (".TP", _guarded(_one_line(term)), *_lines(text))
            case Example(lines):
                yield from (".PP", ".RS 4", ".EX", *(_guarded(_escaped(line, _IN_LITERALS)) for line in lines))
                yield from (".EE", ".RE")
            case Heading(title):
                yield f".SS {_escaped(title, _IN_TEXT)}"
        after_heading = isinstance(block, Heading)


def _lines(text: str) -> Iterator[str]:
    """Text lines of bearable length, none of which could be taken for a command."""
    for line in textwrap.wrap(_marked(text), _WIDTH, break_long_words=False, break_on_hyphens=False):
        yield _guarded(line.replace(_BLANK, " "))


def _one_line(text: str) -> str:
    return _marked(text).replace(_BLANK, " ")


def _marked(text: str) -> str:
    pieces = []
    for literal, placeholder, plain in _PIECE.findall(text):
        if literal:
            pieces.append(rf"\fB{_whole_words(literal)}\fR")
        elif placeholder:
            pieces.append(rf"\fI{_whole_words(placeholder)}\fR")
        else:
            pieces.append(_escaped(plain, _IN_TEXT))
    return "".join(pieces)


def _whole_words(text: str) -> str:
    """Words that are not taken apart at the end of a line, so that names of options stay whole."""
    return _BLANK.join(rf"\%{_escaped(word, _IN_LITERALS)}" for word in text.split(" "))


def _escaped(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(character, character) for character in text)


def _guarded(line: str) -> str:
    return rf"\&{line}" if line.startswith((".", "'")) else line

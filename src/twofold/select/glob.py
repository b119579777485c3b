"""Globs taken apart: what they match, what may lead to a match, and how to look for them quickly.

A glob matches a path and all below it. `matches` and `may_lead` are the definition (docs/cli.md section 6.2); the
other properties only serve to find the same answers faster (patterns.py). Paths are text without a trailing slash.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import NamedTuple

from twofold.model.value import value
from twofold.select.errors import BadExpression, BadGlob

IGNORE_CASE_PREFIX = "ignorecase:"
_SPECIAL = re.compile(r"\*\*|[*?\[]")


class _Token(NamedTuple):
    """A piece of a glob: where it begins, as regular expression, and the text if it stands for itself."""

    position: int
    expression: str
    literal: str | None = None
    may_be_slash: bool = False


@value
class Glob:
    """A pattern; `text` has no trailing slash, which `only_directories` replaces. Raises BadGlob and BadExpression."""

    text: str
    only_directories: bool = False
    ignore_case: bool = False
    literal: bool = False

    def matches(self, path: str, *, is_directory: bool) -> bool:
        """Whether the pattern matches `path` or something above it.

        A file below a directory that `P/` matches is not matched itself if it looks like `P`: so `**/` matches
        directories alone, and not what is in them.
        """
        match = self._whole.match(path)
        if match is None or not self.only_directories or is_directory:
            return match is not None
        return path[match.end() - 1 : match.end()] == "/"

    def may_lead(self, path: str, *, is_directory: bool) -> bool:
        """Whether `path` is matched by a leading part of the pattern, so that a match could lie below it.

        Files count, too, though nothing lies below them, except for one that looks like the `P` of `P/`.
        """
        if self.only_directories and not is_directory and self._whole.match(path):
            return False
        return any(lead.match(path) for lead in self._leads)

    @cached_property
    def expression(self) -> str:
        """The regular expression of a whole match, without anchors; to be compiled with DOTALL."""
        return self._cased("".join(token.expression for token in self._tokens))

    @cached_property
    def leads(self) -> tuple[Glob, ...]:
        """The leading parts, cut at each slash and after the first `**`; only a path as a whole can match one."""
        return tuple(Glob(text, ignore_case=self.ignore_case, literal=self.literal) for text in self._lead_texts)

    @property
    def is_plain(self) -> bool:
        """Whether it stands for itself alone, so that it can be looked up."""
        return not self.ignore_case and all(token.literal is not None for token in self._tokens)

    @cached_property
    def fixed(self) -> str:
        """The directory that every match lies in, with its slash: nothing can match outside of it. May be empty."""
        if self.ignore_case:
            return ""
        first = next((token.position for token in self._tokens if token.literal is None), len(self.text))
        return self.text[: self.text.rfind("/", 0, first) + 1]

    @cached_property
    def last_expression(self) -> str | None:
        """What the last component of a path must match for the whole to match; None if that cannot be told."""
        slashes = sum(token.literal.count("/") for token in self._tokens if token.literal is not None)
        last = self.text.rpartition("/")[2]
        unclear = "**" in last and not self.literal
        if unclear or slashes != self.text.count("/") or any(token.may_be_slash for token in self._tokens):
            return None
        return self._cased(_expression(last, literal=self.literal))

    @cached_property
    def name_part(self) -> str | None:
        """What follows a leading `**` or `**/` if the last component of a path alone decides about it, else None."""
        if not self._tokens or self._tokens[0].expression != ".*":
            return None
        rest = self._tokens[1:]
        if any(token.expression == ".*" or token.may_be_slash for token in rest):
            return None
        part = self.text[2:].removeprefix("/")
        return None if "/" in part else part

    @property
    def needs_slash(self) -> bool:
        """Whether `name_part` has to be a whole component with a slash before it."""
        return self.text.startswith("**/")

    @cached_property
    def _tokens(self) -> tuple[_Token, ...]:
        return _tokens(self.text, literal=self.literal)

    @cached_property
    def _lead_texts(self) -> tuple[str, ...]:
        text = self.text
        anywhere = -1 if self.literal else text.find("**")
        end = len(text) if anywhere < 0 else anywhere
        cuts = [text[:position] or "/" for position in range(end) if text[position] == "/"]
        return (*cuts, text[: anywhere + 2]) if anywhere >= 0 else tuple(cuts)

    @cached_property
    def _whole(self) -> re.Pattern[str]:
        # NB: `$` also matches before a line feed at the very end, and so does every duplicity.
        return compile_expression(f"{self.expression}(?:/|$)", self.text)

    @cached_property
    def _leads(self) -> tuple[re.Pattern[str], ...]:
        return tuple(compile_expression(f"{lead.expression}$", self.text) for lead in self.leads)

    def _cased(self, expression: str) -> str:
        return f"(?i:{expression})" if self.ignore_case else f"(?:{expression})"


def read_glob(text: str, *, ignore_case: bool) -> Glob:
    """A glob as typed, with its prefix and trailing slash; raises BadGlob."""
    if text[: len(IGNORE_CASE_PREFIX)].lower() == IGNORE_CASE_PREFIX:
        text, ignore_case = text[len(IGNORE_CASE_PREFIX) :], True
    if text == "/":
        return Glob("/**", ignore_case=ignore_case)
    body = text.removesuffix("/")
    if "" in body.partition("**")[0].split("/")[1:-1]:
        raise BadGlob(f"Consecutive '/'s found in globbing string {text}. Write one slash only")
    return Glob(body, only_directories=body != text, ignore_case=ignore_case)


def read_literal(text: str, *, ignore_case: bool) -> Glob:
    """A pattern in which no character is special."""
    return Glob(text.removesuffix("/") or text, ignore_case=ignore_case, literal=True)


def compile_expression(expression: str, text: str, *, flags: int = re.DOTALL) -> re.Pattern[str]:
    """The compiled expression; raises BadExpression, which names the `text` it was made of."""
    try:
        return re.compile(expression, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadExpression(f"Cannot understand the pattern {text!r}: {error}") from error


def _expression(text: str, *, literal: bool) -> str:
    return "".join(token.expression for token in _tokens(text, literal=literal))


def _tokens(text: str, *, literal: bool) -> tuple[_Token, ...]:
    if literal:
        return (_Token(0, re.escape(text), text),) if text else ()
    tokens: list[_Token] = []
    position = 0
    while position < len(text):
        special = _SPECIAL.search(text, position)
        start = len(text) if special is None else special.start()
        if start > position:
            tokens.append(_Token(position, re.escape(text[position:start]), text[position:start]))
        if special is None:
            break
        token, position = _special_token(text, start, special[0])
        tokens.append(token)
    return tuple(tokens)


def _special_token(text: str, start: int, sign: str) -> tuple[_Token, int]:
    """The token at `start` and where the next one begins."""
    if sign == "**":
        return _Token(start, ".*"), start + 2
    if sign == "*":
        return _Token(start, "[^/]*"), start + 1
    if sign == "?":
        return _Token(start, "[^/]"), start + 1
    negated = text[start + 1 : start + 2] in ("!", "^")
    first = start + 2 if negated else start + 1
    end = text.find("]", first + 1)
    if end < 0:
        return _Token(start, r"\[", "["), start + 1
    members = _members(text[first:end])
    expression = f"[{'^' if negated else ''}{members}]"
    may_be_slash = compile_expression(expression, text).match("/") is not None
    return _Token(start, expression, may_be_slash=may_be_slash), end + 1


def _members(characters: str) -> str:
    """The inside of a class: characters and ranges, with all that regular expressions would take for more escaped."""
    parts = []
    position = 0
    while position < len(characters):
        if characters[position + 1 : position + 2] == "-" and position + 2 < len(characters):
            parts.append(f"{re.escape(characters[position])}-{re.escape(characters[position + 2])}")
            position += 3
        else:
            parts.append(re.escape(characters[position]))
            position += 1
    return "".join(parts)

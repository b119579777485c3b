"""Directories as FTP servers show them: pure readings of the lines that MLSD, NLST and LIST give."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from twofold.storage.told_numbers import told_number

_LIST_LINE = re.compile(
    r"([-dlbcps])[-rwxsStTlL]{9}\S*\s+\d+\s+\S+\s+\S+\s+(\d+)\s+[A-Za-z]{3}\s+\d{1,2}\s+[\d:]{4,5} (.*)",
    re.DOTALL | re.ASCII,
)


class Listed(NamedTuple):
    """One name; `size` is in bytes, None where it must be asked for."""

    name: str
    size: int | None


def from_mlsd(lines: Iterable[str]) -> Iterator[Listed]:
    """Files alone (RFC 3659 section 7)."""
    for line in lines:
        facts, _, name = line.partition(" ")
        known = dict(fact.lower().partition("=")[::2] for fact in facts.split(";") if fact)
        if known.get("type", "file") == "file" and name:
            yield Listed(name, told_number(known.get("size", "")))


def from_nlst(names: Iterable[str], list_lines: Iterable[str]) -> Iterator[Listed]:
    """Names as NLST tells them, sizes as LIST does where its line is of the usual kind and ends with just that name.

    Directories are left out when LIST tells which those are.
    """
    known: dict[str, int | None] = {}
    directories = set()
    for line in list_lines:
        if match := _LIST_LINE.fullmatch(line):
            kind, size, name = match.groups()
            if kind == "d":
                directories.add(name)
            elif kind == "-":
                known[name] = told_number(size)
    for name in dict.fromkeys(name.removeprefix("./") for name in names):
        if name not in directories and name not in {"", ".", ".."} and "/" not in name:
            yield Listed(name, known.get(name))

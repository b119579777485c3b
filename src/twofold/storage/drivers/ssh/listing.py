"""What `ls -ln` prints, in the locale C or by sftp: kinds, sizes, dates and names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_LINE: Final = re.compile(r"(\S)\S* +\S+ +\S+ +\S+ +(\d+) (.{12}) (.*)", re.DOTALL)
"""A line of `ls -ln`: kind, mode, links, owner, group, size, date, name."""

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Listed(NamedTuple):
    """A file as ls shows it."""

    name: str
    size: int
    date: str


def listed(said: str) -> Iterator[Listed]:
    """The files in what `ls -ln` prints."""
    for line in said.split("\n"):
        found = _LINE.fullmatch(line)
        if found and found[1] == "-":
            yield Listed(found[4], int(found[2]), found[3])


def is_days_older(date: str, now: str) -> bool:
    """Whether a file's date, as ls shows it, is at least two days before another of the same server's clock.

    Dates of half a year ago and more have a year in the place of the time.
    """
    if ":" not in date:
        return True
    then, today = (_MONTHS.index(text[:3]) * 31 + int(text[4:6]) for text in (date, now))
    return 2 <= (today - then) % 372 < 300

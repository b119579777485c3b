"""What `ls -ln` prints, in the locale C or by sftp: kinds, sizes, dates and names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_LINE: Final = re.compile(r"(\S)\S* +\S+ +\S+ +\S+ +(\d+) (.{12}) (.*)", re.DOTALL)
"""A line of `ls -ln`: kind, mode, links, owner, group, size, date, name."""

_DATE: Final = re.compile(r"([A-Z][a-z]{2}) +(\d+),? +(\d+:\d+|\d{4}) *")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_YEAR: Final = 12 * 31


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

    Dates of half a year ago and more, and those that this machine's clock has not reached yet, have a year in the place
    of the time. A date that cannot be read is of no age.
    """
    then, today = _day(date), _day(now)
    if then is None or today is None:
        return False
    return 2 <= (today - then) % _YEAR < (300 if ":" in date else _YEAR - 2)


def _day(date: str) -> int | None:
    found = _DATE.fullmatch(date)
    return _MONTHS.index(found[1]) * 31 + int(found[2]) if found and found[1] in _MONTHS else None

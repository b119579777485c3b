"""Points in time: the clock, the time strings of file names, what people type, and how times and durations are shown.

An instant is a whole number of seconds since 1970, UTC; only `Clock.now` knows fractions. Local time is used where a
person reads or types a time without a zone, never in what is stored. The calendar is computed here, because loading
`calendar` or `datetime` would cost a noticeable part of the start-up time.
"""

from __future__ import annotations

import re
import time
from typing import NamedTuple, Protocol

from twofold.errors import UserError

_DAY = 86400
_FIRST_YEAR, _LAST_YEAR = 1901, 2099
_LATEST_INSTANT = 253402300799  # the end of the year 9999: what follows cannot be shown
_LENGTHS_OF_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_UNITS = {"s": 1, "m": 60, "h": 3600, "D": _DAY, "W": 7 * _DAY, "M": 30 * _DAY, "Y": 365 * _DAY}

_COMPACT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2}).", re.DOTALL)
# Most runs read no other times, so these are compiled by the one that does.
_ZONE = r"([+-])([0-9]{2}):([0-9]{2})"
_W3 = r"(?s)([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(.*)"
_INTERVAL = r"(?:[0-9]{1,15}[smhDWMY])+"
_INTERVAL_PART = r"([0-9]+)([smhDWMY])"
_YEAR_FIRST = r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})"
_YEAR_LAST = r"([0-9]{1,2})[-/]([0-9]{1,2})[-/]([0-9]{4})"
_DATE_IN_ONE = r"([0-9]{4})([0-9]{2})([0-9]{2})Z"

_ACCEPTED = (
    'Write an interval before now such as "3D64s" (s, m, h, D, W, M = 30 days, Y = 365 days), a time such as '
    '"2002-04-26T04:22:01-07:00", "2002-04-26T04:22:01" (local time) or "20020426T112201Z", a date such as '
    '2001-04-23, 2001/4/23, 4/23/2001 or 20010423Z (the month always before the day), seconds since 1970, or "now"'
)


class Clock(Protocol):
    """Tells the time; handed in wherever the time matters, so that tests decide what it is."""

    def now(self) -> float:
        """Seconds since 1970, UTC, with the fraction that the system knows."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()


class _Fields(NamedTuple):
    """A date and time of day as written, of which zone is not said."""

    year: int
    month: int
    day: int
    hour: int = 0
    minute: int = 0
    second: int = 0


def format_compact(instant: int) -> str:
    """The 16 characters `YYYYMMDDTHHMMSSZ` of file names (docs/format.md section 2.1)."""
    fields = time.gmtime(instant)
    return (
        f"{fields.tm_year:04}{fields.tm_mon:02}{fields.tm_mday:02}"
        f"T{fields.tm_hour:02}{fields.tm_min:02}{fields.tm_sec:02}Z"
    )


def parse_compact(text: str) -> int | None:
    """The instant of the 16 character form, or None (docs/format.md section 2.3, form 1).

    The last character is not looked at, and 31 June is 1 July: so does every duplicity.
    """
    fields = _compact_fields(text)
    return None if fields is None else _utc(fields)


def parse_w3(text: str, *, separator: str = ":") -> int | None:
    """The instant of the old form `YYYY-MM-DDTHH:MM:SS` and zone, or None (docs/format.md section 2.3, form 2).

    Without a zone, local standard time is assumed. COMPAT: duplicity <= 0.8 wrote a zone of -3:30 as `-04:30`: minutes
    always count upwards.
    """
    split = _w3_fields(text, separator)
    if split is None:
        return None
    fields, zone = split
    if not zone:
        return _utc(fields) + time.timezone
    if zone == "Z":
        return _utc(fields)
    match = re.fullmatch(_ZONE, zone)
    if match is None:
        return None
    return _utc(fields) - 3600 * int(match[1] + match[2]) - 60 * int(match[3])


def parse_time(text: str, *, now: int, separator: str = ":") -> int:
    """The instant that a person means (docs/cli.md section 4); an interval reaching back beyond 1970 gives 0.

    Times and dates without a zone are local, summer time included. Raises UserError.
    """
    if text == "now":
        return now
    if text.isascii() and text.isdigit():
        return _checked_seconds(text)
    moment = _moment(text, separator)
    if moment is not None:
        return moment
    if re.fullmatch(_INTERVAL, text):
        return max(0, now - sum(int(number) * _UNITS[unit] for number, unit in re.findall(_INTERVAL_PART, text)))
    date = _date(text)
    if date is not None:
        return _local(_checked(date, text))
    raise UserError(f"Bad time {text!r}. {_ACCEPTED}")


def format_asctime(instant: float) -> str:
    """Local time in 24 characters, as C's asctime prints it: `Sun Nov 22 03:52:13 2026`."""
    return time.asctime(time.localtime(instant))


def format_duration(seconds: float) -> str:
    """A duration in words: `0.22 seconds`, `2 hours 3 minutes 4.00 seconds` (docs/cli.md section 7.6)."""
    hundredths = max(0, round(seconds * 100))
    hours, hundredths = divmod(hundredths, 360_000)
    minutes, hundredths = divmod(hundredths, 6000)
    parts = [_counted(hours, "hour"), _counted(minutes, "minute"), f"{hundredths // 100}.{hundredths % 100:02} seconds"]
    return " ".join(part for part in parts if part)


def _counted(number: int, unit: str) -> str:
    if not number:
        return ""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _compact_fields(text: str) -> _Fields | None:
    match = _COMPACT.fullmatch(text)
    return None if match is None else _plausible(_Fields(*(int(group) for group in match.groups())))


def _w3_fields(text: str, separator: str) -> tuple[_Fields, str] | None:
    """Date and time of day, and the zone as written, with colons."""
    match = re.fullmatch(_W3, text.replace(separator, ":") if separator else text)
    if match is None:
        return None
    fields = _plausible(_Fields(*(int(group) for group in match.groups()[:6])))
    return None if fields is None else (fields, match[7])


def _plausible(fields: _Fields) -> _Fields | None:
    """`fields` unless one of them is out of its range, whatever the month's length."""
    fits = (
        _FIRST_YEAR <= fields.year <= _LAST_YEAR
        and 1 <= fields.month <= 12
        and 1 <= fields.day <= 31
        and fields.hour <= 23
        and fields.minute <= 59
        and fields.second <= 61
    )
    return fields if fits else None


def _moment(text: str, separator: str) -> int | None:
    """The instant of a date with a time of day as a person means it, None if `text` is no such thing."""
    compact = _compact_fields(text)
    if compact is not None:
        return _utc(_checked(compact, text))
    split = _w3_fields(text, separator)
    if split is None:
        return None
    fields, zone = split
    if not zone:
        return _local(_checked(fields, text))
    offset = _offset(zone)
    return None if offset is None else _utc(_checked(fields, text)) - offset


def _offset(zone: str) -> int | None:
    """Seconds east of Greenwich; the sign holds for the minutes, too."""
    if zone == "Z":
        return 0
    match = re.fullmatch(_ZONE, zone)
    if match is None or int(match[2]) > 23 or int(match[3]) > 59:
        return None
    seconds = 3600 * int(match[2]) + 60 * int(match[3])
    return -seconds if match[1] == "-" else seconds


def _date(text: str) -> _Fields | None:
    match = re.fullmatch(_YEAR_FIRST, text) or re.fullmatch(_DATE_IN_ONE, text)
    if match is not None:
        return _plausible(_Fields(int(match[1]), int(match[2]), int(match[3])))
    match = re.fullmatch(_YEAR_LAST, text)
    return None if match is None else _plausible(_Fields(int(match[3]), int(match[1]), int(match[2])))


def _checked(fields: _Fields, text: str) -> _Fields:
    """`fields` if the calendar has that day."""
    leap = fields.year % 4 == 0 and (fields.year % 100 != 0 or fields.year % 400 == 0)
    length = 29 if fields.month == 2 and leap else _LENGTHS_OF_MONTHS[fields.month - 1]
    if fields.day > length:
        raise UserError(f"Bad time {text!r}: that month has only {length} days. Name a day that exists")
    return fields


def _checked_seconds(text: str) -> int:
    if len(text.lstrip("0")) > len(str(_LATEST_INSTANT)) or int(text) > _LATEST_INSTANT:
        raise UserError(f"Bad time {text!r}: so many seconds after 1970 is beyond the year 9999. {_ACCEPTED}")
    return int(text)


def _utc(fields: _Fields) -> int:
    """Seconds since 1970; a day beyond the end of its month runs into the next one."""
    # Counting years from March puts the leap day last, so that the lengths of the months before follow one formula.
    year = fields.year - (fields.month <= 2)
    month = (fields.month + 9) % 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + fields.day - 1 - 719468
    return _DAY * days + 3600 * fields.hour + 60 * fields.minute + fields.second


def _local(fields: _Fields) -> int:
    """As `_utc`, for local time; -1 lets the system find out whether it is summer time."""
    return int(time.mktime((*fields, 0, 0, -1)))

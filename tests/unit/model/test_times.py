"""Time strings: those in file names exactly as every duplicity reads them, those of people as people mean them."""

import calendar
import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clock import FakeClock
from twofold.errors import UserError
from twofold.model.times import (
    Clock,
    SystemClock,
    format_asctime,
    format_compact,
    format_duration,
    parse_compact,
    parse_time,
    parse_w3,
)

NOW = 1_700_000_000


@pytest.fixture(autouse=True)
def berlin(monkeypatch):
    """The tables of docs/cli.md section 4 were made in Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("now", 1700000000),
        ("123456890", 123456890),
        ("3D", 1699740800),
        ("1h78m", 1699991720),
        ("1Y2M", 1663280000),
        ("3D64s", 1699740736),
        ("2W", 1698790400),
        ("5m", 1699999700),
        ("5M", 1687040000),
        ("0s", 1700000000),
        ("00012D", 1698963200),
        ("1D2h3D", 1700000000 - 4 * 86400 - 7200),
        ("2002-01-25T07:00:00", 1011938400),
        ("20020125T070000Z", 1011942000),
        ("2002-06-25T07:00:00+05:30", 1024968600),
        ("2002/3/5", 1015282800),
        ("2002-3-05", 1015282800),
        ("3/5/2002", 1015282800),
        ("03-05-2002", 1015282800),
        ("20020305Z", 1015282800),
        ("2002/3-5", 1015282800),
        ("20020305", 20020305),
        ("5", 5),
        ("0", 0),
        ("2002-01-25T07:00:00+02:00", 1011934800),
        ("2002-01-25T07:00:00Z", 1011942000),
        ("2002-01-25T23:59:61Z", 1012003201),
    ],
)
def test_times_are_read_as_duplicity_reads_them(text, instant):
    assert parse_time(text, now=NOW) == instant


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2002-06-25T07:00:00", 1024981200),  # 05:00Z
        ("2002-06-25", 1024956000),  # 22:00Z of the day before
        ("2002-06-25T07:00:00-03:30", 1025001000),  # 10:30Z
        ("2002-06-25T07:00:00-00:30", 1024990200),  # 07:30Z
    ],
)
def test_summer_time_and_negative_half_hours_are_computed_rightly_unlike_duplicity(text, instant):
    assert parse_time(text, now=NOW) == instant


@pytest.mark.parametrize(
    "text",
    ["2002-02-30", "2001-02-29", "1900-02-29", "20020231Z", "2002-04-31T00:00:00Z", "20020431T000000Z", "2/30/2002"],
)
def test_days_that_do_not_exist_are_refused(text):
    with pytest.raises(UserError, match="Bad time"):
        parse_time(text, now=NOW)


def test_leap_days_exist():
    assert parse_time("20000229T000000Z", now=NOW) == 951782400
    assert parse_time("20040229T000000Z", now=NOW) == 1078012800


@pytest.mark.parametrize(
    "text",
    [
        *("", "NOW", "yesterday", "D3", "3d", "5d", "1y", "1w", "1H", "-3D", "3.5D", "3 D", "1D12", "1D ", "3D\n"),
        *("2002-13-01", "1899-01-01", "2101-01-01", "2002-01-25T25:00:00", "2002-01-25T07:00", "2002-01-25 07:00:00"),
        *("2002-01-25T07:00:00.5", "2002-01-25T07:00:00+0200", "2002-01-25T07:00:62", "2002-01-25T07:00:00+25:00"),
        *("20020125X070000Z", "20020125t070000z", "20020132Z", "2002-01-25T07:00:00z", "0/5/2002", "\u0663", "\u0663D"),
        *("9" * 20, "9" * 5000, "9" * 5000 + "D"),
    ],
)
def test_anything_else_is_refused_with_what_would_be_accepted(text):
    with pytest.raises(UserError, match="Bad time") as caught:
        parse_time(text, now=NOW)
    assert "seconds since 1970" in str(caught.value)
    assert "2001-04-23" in str(caught.value)


def test_an_interval_cannot_reach_back_beyond_1970():
    assert parse_time("200Y", now=NOW) == 0


def test_another_separator_may_stand_for_the_colon():
    assert parse_time("2002-01-25T07_00_00+02_00", now=NOW, separator="_") == 1011934800
    assert parse_w3("2002-01-25T07_00_00+02_00", separator="_") == 1011934800
    assert parse_w3("2002-01-25T07_00_00+02_00") is None


def test_the_compact_form_of_a_known_instant():
    assert format_compact(NOW) == "20231114T221320Z"
    assert parse_compact("20231114T221320Z") == NOW


@settings(max_examples=60)
@given(st.integers(-2177452800, 4102444799))  # 1901 to 2099
def test_the_compact_form_says_the_instant_and_nothing_else(instant):
    text = format_compact(instant)
    assert len(text) == 16
    assert parse_compact(text) == instant
    assert parse_time(text, now=NOW) == instant


@settings(max_examples=60)
@given(st.integers(1901, 2099), st.integers(1, 12), st.integers(1, 31), st.integers(0, 86399))
def test_the_calendar_agrees_with_the_standard_library_even_on_the_31st_of_june(year, month, day, second):
    hour, minute, second = second // 3600, second // 60 % 60, second % 60
    text = f"{year}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z"
    assert parse_compact(text) == calendar.timegm((year, month, day, hour, minute, second))


def test_names_may_hold_a_day_beyond_the_month_and_any_last_character():
    assert parse_compact("20020631T000000Z") == parse_compact("20020701T000000Z")
    assert parse_compact("20231114T221320+") == NOW


@pytest.mark.parametrize(
    "text",
    [
        *("", "20231114T221320", "20231114T221320ZZ", "20231314T221320Z", "20231132T221320Z", "20230014T221320Z"),
        *("20231114T241320Z", "20231114T226020Z", "18991114T221320Z", "20231114X221320Z", "2O231114T221320Z"),
        *("1700000000", "3D", "2023-11-14", "20231114Z", "\u0662\u0660\u0662\u06631114T221320Z"),
    ],
)
def test_other_strings_are_no_compact_time(text):
    assert parse_compact(text) is None


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2002-01-25T07:00:00Z", 1011942000),
        ("2002-01-25T07:00:00+02:00", 1011934800),
        ("2002-06-25T07:00:00-04:30", 1025001000),  # an old writer's way to say -3:30
        ("2002-06-25T07:00:00", 1024984800),  # local standard time
        ("2002-02-30T00:00:00Z", 1015027200),
        ("2002-01-25T07:00:00+0200", None),
        ("2002-01-25T07:00:00 ", None),
        ("2002-13-25T07:00:00Z", None),
        ("2002-01-25", None),
        ("", None),
    ],
)
def test_the_old_form_in_names_is_read_as_old_writers_meant_it(text, instant):
    assert parse_w3(text) == instant


@settings(max_examples=60)
@given(st.text(max_size=24))
def test_no_text_is_too_odd_to_be_judged(text):
    for parse in (parse_compact, parse_w3):
        result = parse(text)
        assert result is None or isinstance(result, int)
    with contextlib.suppress(UserError):
        assert parse_time(text, now=NOW) >= 0


def test_asctime_is_local_and_24_characters_long():
    assert format_asctime(NOW) == "Tue Nov 14 23:13:20 2023"
    assert format_asctime(1015282800) == "Tue Mar  5 00:00:00 2002"
    assert format_asctime(1024981200.9) == "Tue Jun 25 07:00:00 2002"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.22, "0.22 seconds"),
        (0, "0.00 seconds"),
        (-0.5, "0.00 seconds"),
        (1, "1.00 seconds"),
        (59.996, "1 minute 0.00 seconds"),
        (62.5, "1 minute 2.50 seconds"),
        (3600, "1 hour 0.00 seconds"),
        (7384, "2 hours 3 minutes 4.00 seconds"),
        (90061.5, "25 hours 1 minute 1.50 seconds"),
    ],
)
def test_durations_are_told_in_words(seconds, text):
    assert format_duration(seconds) == text


def test_the_system_clock_tells_the_time_and_the_fake_one_what_it_was_told():
    system: Clock = SystemClock()
    assert abs(system.now() - time.time()) < 60
    fake: Clock = FakeClock(5.5)
    assert fake.now() == 5.5
    fake.advance(2)
    assert fake.now() == 7.5

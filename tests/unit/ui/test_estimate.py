"""Amount, speed and time left, and how they are written."""

from __future__ import annotations

import pytest

from twofold.monitor import Advance
from twofold.ui.estimate import Estimator, Progress, Work, amount_text, elapsed_text, left_text, log_words, plain_line

MB = 1_000_000


def estimator(work: Work = Work.BACKUP) -> Estimator:
    return Estimator(work, began=100.0, rate=3.0, encrypts=True)


def at_bytes(done: int, *, total: int | None = 100 * MB) -> Progress:
    return Progress(Advance(done, done, done // 2, done // 1000), total)


def test_speed_and_time_left_come_from_what_was_done_since_the_first_byte() -> None:
    running = estimator()
    running.at(110.0, at_bytes(0))
    found = running.at(112.0, at_bytes(20 * MB))
    assert (found.speed, found.percent, found.left, found.elapsed) == (10 * MB, 20, 8.0, 12.0)


def test_speed_is_that_of_the_last_half_minute() -> None:
    running = estimator()
    for second in range(101, 201):
        found = running.at(second, at_bytes(min(second - 100, 50) * MB + max(0, second - 150) * 1000, total=None))
    assert found.speed == pytest.approx(1000)


def test_a_run_is_never_further_than_99_percent_before_its_end() -> None:
    running = estimator()
    assert running.at(110.0, at_bytes(200 * MB)).percent == 99
    assert running.finished(111.0, at_bytes(200 * MB)).percent == 100


def test_what_nobody_knows_is_shown_as_unknown() -> None:
    found = estimator().at(101.0, at_bytes(5 * MB, total=None))
    assert (found.percent, found.left) == (None, None)
    assert plain_line(found) == f"5.0MB 00:00:01 [5.0MB/s] [{' ' * 41}] --% ETA unknown"
    assert log_words(found) == "5000000 1 0 -1 5000000 0"


def test_reading_goes_by_volumes_where_no_bytes_are_known() -> None:
    running = estimator(Work.RESTORE)
    found = running.at(110.0, Progress(Advance(MB), volumes=3, all_volumes=4))
    assert (found.percent, found.left) == (50, 10.0)
    assert running.at(111.0, Progress(Advance(2 * MB), volumes=1, all_volumes=1)).percent == 0


def test_lines_are_those_of_duplicity_without_terminal_codes() -> None:
    running = estimator()
    running.at(100.0, at_bytes(0, total=20 * MB))
    found = running.at(102.0, at_bytes(2 * MB, total=20 * MB))
    assert plain_line(found) == f"2.0MB 00:00:02 [1.0MB/s] [====>{' ' * 36}] 10% ETA < 30sec"
    assert log_words(found) == "2000000 2 10 18 1000000 0"
    last = running.finished(106.0, at_bytes(48_100_000))
    assert plain_line(last) == f"48.1MB 00:00:06 [8.0MB/s] [{'=' * 40}>] 100% ETA 0sec"
    assert log_words(last) == "48100000 6 100 0 8016666 0"


def test_standing_still_is_told_after_twice_the_interval() -> None:
    running = estimator()
    running.at(101.0, at_bytes(MB))
    assert not running.at(107.0, at_bytes(MB)).stalled
    found = running.at(107.5, at_bytes(MB))
    assert plain_line(found).endswith("[0.0B/s] [>" + " " * 40 + "] 1% ETA Stalled!")
    assert log_words(found).endswith(" 0 1")
    assert not running.at(108.0, at_bytes(2 * MB)).stalled


def test_a_file_on_its_way_to_the_target_is_no_standing_still() -> None:
    running = estimator()
    waiting = at_bytes(MB)._replace(storing="volume 1")
    for second in range(101, 130):
        found = running.at(second, waiting)
    assert not found.stalled
    assert found.stages == ("storing volume 1",)


def test_stages_are_what_has_moved() -> None:
    running = estimator()
    assert running.at(101.0, at_bytes(MB)).stages == ("walking", "reading", "compressing and encrypting")
    assert running.at(102.0, at_bytes(MB)).stages == ("waiting",)
    reading = estimator(Work.VERIFY)
    assert reading.at(101.0, Progress(Advance())).stages == ("fetching and decrypting",)
    assert reading.at(102.0, Progress(Advance(1), volumes=1, all_volumes=1)).stages == ("comparing",)
    assert reading.at(103.0, Progress(Advance(1), volumes=1, all_volumes=1)).stages == ("finishing",)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0sec"),
        (15, "15sec"),
        (16, "< 30sec"),
        (44, "< 45sec"),
        (59, "< 1min"),
        (61, "1min"),
        (151, "2min 30sec"),
        (365, "6min"),
        (11_100, "3h 5min"),
        (183_660, "2d 3h 1min"),
        (7200, "2h 0min"),
    ],
)
def test_the_time_left_becomes_rougher_with_its_length(seconds: int, text: str) -> None:
    assert left_text(seconds) == text


def test_amounts_and_times_are_short() -> None:
    assert [amount_text(each) for each in (0, 999, 1000, 999_960, 20_216_441, 3e13)] == [
        "0.0B",
        "999.0B",
        "1.0KB",
        "1.0MB",
        "20.2MB",
        "30.0TB",
    ]
    assert (elapsed_text(3725), elapsed_text(90_061)) == ("01:02:05", "1d,01:01:01")

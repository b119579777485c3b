"""The table of --timings."""

from twofold.monitor import Note, RecordingMonitor, StageTime
from twofold.ui.timings import Timings


def test_threads_of_one_name_are_added_up_and_the_busiest_stands_first() -> None:
    timings = Timings(RecordingMonitor())
    timings.report(StageTime("pack", 4.0, 1.5, 0.5, 1.0))
    timings.report(StageTime("fetch", 1.0, 1.0, 0.0, 0.0))
    timings.report(StageTime("fetch", 2.0, 1.0, 0.25, 0.0))
    lines = timings.message().text.splitlines()
    assert lines[3].split() == ["fetch", "3.00", "2.00", "0.25", "0.00", "0.75"]
    assert lines[4].split() == ["pack", "4.00", "1.50", "0.50", "1.00", "1.00"]
    assert lines[-1].startswith("Peak memory")


def test_every_other_event_is_handed_on() -> None:
    behind = RecordingMonitor()
    timings = Timings(behind)
    timings.report(Note("Hello"))
    timings.report(StageTime("pack", 1.0, 1.0, 0.0, 0.0))
    assert behind.events == [Note("Hello")]

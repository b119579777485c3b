"""What --progress shows and when: lines, numbers for programs, a display that messages scroll above."""

from __future__ import annotations

import io
import os

import pytest

from twofold.monitor import (
    Advance,
    Expecting,
    Finished,
    Note,
    RecordingMonitor,
    Storing,
    Underway,
    VolumeDone,
    VolumeRead,
)
from twofold.ui.estimate import Estimate, Estimator, Progress, Work
from twofold.ui.live import LiveDisplay
from twofold.ui.message import Audience, Message, Messages
from twofold.ui.progress import ProgressMonitor, estimator_for
from twofold.ui.screen import AboveScreen, CalmPrompter, Screen
from twofold.ui.terminal import OutputStream

MB = 1_000_000


class Told:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def tell(self, message: Message) -> None:
        self.messages.append(message)

    def tell_all(self, messages: Messages) -> None:
        raise AssertionError("progress tells one by one")


class Seen:
    """A view that remembers."""

    def __init__(self) -> None:
        self.estimates: list[Estimate] = []
        self.closed = False

    def show(self, estimate: Estimate) -> None:
        assert not self.closed
        self.estimates.append(estimate)

    def close(self) -> None:
        self.closed = True


class Play:
    """A run whose time passes only when its display waits: `moments` are what has been done second by second."""

    def __init__(self, moments: list[Advance], *, view: Seen | None = None, work: Work = Work.BACKUP, rate: float = 1):
        self.time = 50.0
        self._moments = moments
        self.told = Told()
        self.behind = RecordingMonitor()
        self.intervals: list[float] = []
        self.monitor = ProgressMonitor(
            self.behind,
            estimator_for(work, rate=rate, encrypts=False),
            sink=self.told,
            rate=rate,
            view=view,
            now=lambda: self.time,
            wait=self._wait,
        )

    def _wait(self, end: int, seconds: float) -> bool:
        self.intervals.append(seconds)
        self.time += seconds
        if len(self._moments) > 1:
            self._moments.pop(0)
            return False
        os.read(end, 1)  # until the work has ended
        return True

    def run(self, *events: object) -> None:
        for event in events:
            self.monitor.report(event)
        self.monitor.report(Underway(lambda: self._moments[0]))
        self.monitor.report(Finished())


def test_a_line_comes_at_every_interval_and_one_at_the_end() -> None:
    play = Play([Advance(), Advance(MB, MB, MB, 3), Advance(2 * MB, 2 * MB, 2 * MB, 5)], rate=2)
    play.run(Expecting(lambda: 4 * MB))
    assert [message.code for message in play.told.messages] == [16, 16, 16]
    assert [message.extra.split()[:3] for message in play.told.messages] == [
        ["1000000", "2", "25"],
        ["2000000", "4", "50"],
        ["2000000", "6", "100"],
    ]
    assert all(message.audience is Audience.ALL for message in play.told.messages)
    assert play.told.messages[0].text.endswith("(walking, reading, compressing)")
    assert set(play.intervals) == {2}


def test_events_go_on_to_whoever_else_wants_them() -> None:
    play = Play([Advance()])
    play.run(Note("x"), Storing("volume 1"), VolumeDone(1, "v1", 7, 0))
    assert play.behind.events[0] == Note("x")
    assert len(play.behind.events) == 5


def test_with_a_display_lines_are_for_programs_only() -> None:
    view = Seen()
    play = Play([Advance()] + [Advance(number * MB) for number in range(1, 12)], view=view)
    play.run(VolumeDone(2, "v2", 70, 0), VolumeRead(3, 4, "v3"))
    assert len(view.estimates) == 13
    assert len(play.told.messages) == 3
    assert {message.audience for message in play.told.messages} == {Audience.PROGRAMS}
    assert view.closed
    last = view.estimates[-1]
    assert (last.percent, last.progress.stored_bytes, last.progress.volumes) == (100, 70, 3)


def test_work_that_fails_is_not_shown_as_finished() -> None:
    view = Seen()
    play = Play([Advance()], view=view)
    play.monitor.report(Underway(lambda: Advance(5)))
    play.monitor.finish(complete=False)
    play.monitor.finish(complete=False)
    assert view.closed
    assert all(each.percent is None for each in view.estimates)
    assert play.told.messages == []


def test_a_display_that_fails_is_told_when_the_work_is_done() -> None:
    def fail() -> Advance:
        raise OSError("the terminal is gone")

    play = Play([Advance()], view=Seen())
    play.monitor.report(Underway(fail))
    with pytest.raises(OSError, match="gone"):
        play.monitor.report(Finished())


# ---- the display -----------------------------------------------------------------------------------------------------


class Unlocked:
    """Somebody who is asked."""

    is_person = True

    def __init__(self, during: list[str], output: io.BytesIO) -> None:
        self._during = during
        self._output = output

    def ask(self, prompt: str) -> str:
        self._during.append(self._output.getvalue().decode())
        return prompt


def estimate(done: int = 5 * MB, *, total: int | None = 10 * MB, storing: str | None = None) -> Estimate:
    running = Estimator(Work.BACKUP, began=0.0, rate=3, encrypts=True)
    running.at(1.0, Progress(Advance()))
    return running.at(2.0, Progress(Advance(done, done, done, 7), total, 1, 0, 3 * MB, storing))


def screen(variables: dict[str, str] | None = None, encoding: str = "utf-8") -> tuple[Screen, OutputStream, io.BytesIO]:
    output = io.BytesIO()
    stream = OutputStream(output, encoding=encoding)  # type: ignore[arg-type]
    return Screen(stream, {"TERM": "xterm-256color", **(variables or {})}, Work.BACKUP), stream, output


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The width of the terminal, which may change."""
    width = [100]
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((width[0], 24)))
    return width


def drawn(output: io.BytesIO) -> list[str]:
    """The lines as they were sent, without what moves and colours."""
    import re

    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue().decode()).replace("\r", "\n").split("\n")


def test_the_display_shows_amount_speed_time_left_and_stages(window: list[int]) -> None:
    shown, _, output = screen()
    shown.show(estimate(storing="volume 2"))
    shown.close()
    text = "\n".join(drawn(output))
    for part in ("Backing up", " 50 %", "4.77 MB of about 9.54 MB", "4.77 MB/s", "ETA 00:00:01", "7 files"):
        assert part in text
    assert "walking, reading, compressing and encrypting, storing volume 2" in text


def test_an_unknown_total_is_said_to_be_unknown(window: list[int]) -> None:
    shown, _, output = screen()
    shown.show(estimate(total=None))
    shown.close()
    assert "? %" in output.getvalue().decode()
    assert "time left unknown" in "\n".join(drawn(output))


def test_no_line_is_wider_than_the_terminal_whatever_becomes_of_it(window: list[int]) -> None:
    for width in (100, 60, 20, 8):
        shown, _, output = screen()
        window[0] = width
        shown.show(estimate())
        shown.close()
        assert max(map(len, drawn(output))) <= width
    shown, _, output = screen({"COLUMNS": "300"})
    shown.show(estimate())
    window[0] = 30
    before = len(output.getvalue())
    shown.show(estimate())
    later = io.BytesIO(output.getvalue()[before:])
    shown.close()
    assert max(map(len, drawn(later))) <= 30


def test_without_colour_nothing_is_coloured(window: list[int]) -> None:
    shown, _, output = screen({"NO_COLOR": "1"})
    shown.show(estimate())
    shown.close()
    assert b"\x1b[3" not in output.getvalue()
    assert b"\x1b[9" not in output.getvalue()


def test_a_terminal_of_ascii_gets_ascii(window: list[int]) -> None:
    shown, _, output = screen(encoding="ascii")
    shown.show(estimate())
    shown.close()
    assert "\\u" not in output.getvalue().decode("ascii")


def test_the_cursor_is_hidden_while_the_display_shows_and_comes_back(window: list[int]) -> None:
    shown, _, output = screen()
    shown.show(estimate())
    assert output.getvalue().startswith(b"\x1b[?25l")
    shown.close()
    shown.close()
    shown.show(estimate())
    assert output.getvalue().endswith(b"\x1b[?25h")
    assert output.getvalue().count(b"\x1b[?25h") == 1


def test_messages_scroll_above_the_display(window: list[int]) -> None:
    shown, stream, output = screen()
    above = AboveScreen(stream, shown)
    above.write("before\n", flush=True)
    assert output.getvalue() == b"before\n"
    shown.show(estimate())
    above.write(os.fsdecode(b"odd \xff [red] name\n"), flush=True)
    assert above.write_if_clean("listed\n")
    shown.close()
    data = output.getvalue()
    assert data.count(b"odd \xff [red] name\n") == data.count(b"listed\n") == 1
    assert data.rindex(b"Backing up") > data.index(b"listed")
    above.write("after\n", flush=True)
    assert output.getvalue().endswith(b"\x1b[?25hafter\n")


def test_the_display_is_away_while_somebody_is_asked(window: list[int]) -> None:
    shown, _, output = screen()
    during: list[str] = []
    prompter = CalmPrompter(Unlocked(during, output), shown)
    shown.show(estimate())
    assert prompter.is_person
    assert prompter.ask("Passphrase: ") == "Passphrase: "
    assert during[0].endswith("\x1b[?25h")
    shown.show(estimate())
    shown.close()
    assert output.getvalue().count(b"\x1b[?25l") == 2


def test_nothing_is_drawn_while_a_question_is_open(window: list[int]) -> None:
    shown, _, output = screen()
    shown.begin_question()
    shown.show(estimate())
    shown.end_question()
    assert output.getvalue() == b""


def test_a_display_is_a_terminal_for_rich_whatever_the_process_has(window: list[int]) -> None:
    output = io.BytesIO()
    display = LiveDisplay(OutputStream(output, encoding="utf-8"), {"TERM": "xterm"}, Work.VERIFY)  # type: ignore[arg-type]
    display.show(estimate())
    display.close()
    assert b"Verifying" in output.getvalue()

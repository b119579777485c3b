"""The display of --progress on a terminal, drawn by rich: two lines at the bottom, above which messages scroll.

The terminal is left as it was found. Nothing but what the estimate says and our own words is ever drawn, so no secret
can be. This module loads rich, which takes a quarter of a second: only a thread that nobody waits for may load it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Final, cast

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from twofold.ui.estimate import Estimate, Work, elapsed_text
from twofold.ui.terminal import OutputStream
from twofold.ui.text import format_size

_LARGEST_BAR: Final = 40
_SMALLEST_BAR: Final = 8
_GAP: Final = "  "
# COLUMNS and LINES are those of the start: whoever has exported them would not see the window change its size.
_HEEDED: Final = ("TERM", "COLORTERM", "NO_COLOR")


class _StreamFile:
    """One of our output streams as rich writes to files."""

    def __init__(self, stream: OutputStream) -> None:
        self._stream = stream
        self.encoding = stream.encoding

    def write(self, text: str) -> int:
        self._stream.write(text, flush=False)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return True


class LiveDisplay:
    """The two lines while they are shown. May be used by several threads."""

    def __init__(self, stream: OutputStream, variables: Mapping[str, str], work: Work) -> None:
        self._work = work
        self._console = Console(
            file=cast(IO[str], _StreamFile(stream)),
            force_terminal=True,
            no_color="NO_COLOR" in variables,
            highlight=False,
            _environ={name: variables[name] for name in _HEEDED if name in variables},
        )
        self._live = Live(
            console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False, transient=False
        )
        self._live.start()

    def show(self, estimate: Estimate) -> None:
        self._live.update(_Lines(self._work, estimate), refresh=True)

    def write_above(self, text: str) -> None:
        """Whole lines, with their ends."""
        self._console.out(text, end="", highlight=False)

    def close(self) -> None:
        self._live.stop()


class _Lines:
    """The two lines, as wide as the window is at the moment: the bar gives way first."""

    def __init__(self, work: Work, estimate: Estimate) -> None:
        self._work = work
        self._estimate = estimate

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        title, facts = Text(self._work.value, style="bold"), _facts(self._estimate)
        room = options.max_width - len(title) - len(facts) - 2 * len(_GAP)
        if room >= _SMALLEST_BAR:
            grid = Table.grid(padding=0)
            grid.add_row(title, _GAP, _bar(self._estimate, min(room, _LARGEST_BAR)), _GAP, facts)
            yield grid
        else:
            yield Text.assemble(title, _GAP, facts, no_wrap=True, overflow="crop")
        yield Text(f"{_GAP}{_second_line(self._estimate)}", style="dim", no_wrap=True, overflow="crop")


def _facts(estimate: Estimate) -> Text:
    percent, progress = estimate.percent, estimate.progress
    amount = format_size(progress.advance.done_bytes)
    if progress.total_bytes is not None and percent != 100:
        amount = f"{amount} of about {format_size(progress.total_bytes)}"
    return Text.assemble(
        ("  ? %" if percent is None else f"{percent:3} %", "green"),
        _GAP,
        (amount, "cyan"),
        f"{_GAP}{format_size(int(estimate.speed))}/s{_GAP}{_left(estimate)}",
        no_wrap=True,
    )


def _bar(estimate: Estimate, width: int) -> ProgressBar:
    percent = estimate.percent
    return ProgressBar(
        total=None if percent is None else 100,
        completed=percent or 0,
        width=width,
        pulse=percent is None,
        animation_time=estimate.elapsed,
        complete_style="green",
        finished_style="green",
    )


def _left(estimate: Estimate) -> str:
    if estimate.percent == 100:
        return f"in {elapsed_text(estimate.elapsed)}"
    if estimate.stalled:
        return "stalled"
    return "time left unknown" if estimate.left is None else f"ETA {elapsed_text(estimate.left)}"


def _second_line(estimate: Estimate) -> str:
    progress = estimate.progress
    parts = [", ".join(estimate.stages)]
    if progress.advance.entries:
        parts.append(f"{progress.advance.entries:,} files")
    if progress.all_volumes:
        parts.append(f"volume {progress.volumes} of {progress.all_volumes}")
    elif progress.volumes:
        parts.append(f"{format_size(progress.stored_bytes)} in {progress.volumes} volume(s) stored")
    if estimate.percent != 100:
        parts.append(elapsed_text(estimate.elapsed))
    return " | ".join(parts)

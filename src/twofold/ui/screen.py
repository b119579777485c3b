"""A terminal that messages and the display of --progress share: what is written goes above the display while it shows.

Holds for every stream that is this terminal, and for questions, which need the terminal for themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from twofold.concurrency import exclusion
from twofold.ui.estimate import Estimate, Work
from twofold.ui.prompt import Prompter
from twofold.ui.terminal import OutputStream

if TYPE_CHECKING:
    from twofold.ui.live import LiveDisplay


class Screen:
    """The display of one run, from the first `show` on until `close`, except while somebody is asked."""

    def __init__(self, stream: OutputStream, variables: Mapping[str, str], work: Work) -> None:
        """`stream` must be a terminal that can move its cursor."""
        self._stream = stream
        self._variables = variables
        self._work = work
        self._display: LiveDisplay | None = None
        self._is_closed = False
        self._questions = 0
        self._alone = exclusion()

    def show(self, estimate: Estimate) -> None:
        """Draws anew, unless somebody is being asked."""
        from twofold.ui.live import LiveDisplay  # which takes a while the first time, when others may want to write

        with self._alone:
            if not self._questions and not self._is_closed:
                self._display = self._display or LiveDisplay(self._stream, self._variables, self._work)
                self._display.show(estimate)

    def write_above(self, text: str) -> bool:
        """Writes whole lines if there is a display above which they have to stand; says whether there was."""
        with self._alone:
            if self._display is None:
                return False
            self._display.write_above(text)
            return True

    def close(self) -> None:
        """Leaves what was drawn last, and the terminal as it was found; may be called twice."""
        with self._alone:
            self._is_closed = True
            self._put_away()

    def begin_question(self) -> None:
        with self._alone:
            self._questions += 1
            self._put_away()

    def end_question(self) -> None:
        with self._alone:
            self._questions -= 1

    def _put_away(self) -> None:
        display, self._display = self._display, None
        if display is not None:
            display.close()


class AboveScreen(OutputStream):
    """A stream on the terminal of a screen."""

    def __init__(self, stream: OutputStream, screen: Screen) -> None:
        super().__init__(None, encoding=stream.encoding, is_terminal=stream.is_terminal)
        self._stream = stream
        self._screen = screen

    @property
    def is_lost(self) -> bool:
        return self._stream.is_lost

    def write(self, text: str, *, flush: bool) -> None:
        if not text or not self._screen.write_above(text):
            self._stream.write(text, flush=flush)

    def write_if_clean(self, text: str) -> bool:
        return self._screen.write_above(text) or self._stream.write_if_clean(text)


class CalmPrompter:
    """Asks while the display is put away."""

    def __init__(self, inner: Prompter, screen: Screen) -> None:
        self._inner = inner
        self._screen = screen

    @property
    def is_person(self) -> bool:
        return self._inner.is_person

    def ask(self, prompt: str) -> str:
        self._screen.begin_question()
        try:
            return self._inner.ask(prompt)
        finally:
            self._screen.end_question()

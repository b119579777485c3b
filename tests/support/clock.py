"""A clock that stands still until it is told to move."""


class FakeClock:
    """Satisfies `twofold.model.times.Clock`."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds

"""The asyncio loop in a thread: results, errors, progress in the caller's thread, interruptions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from twofold.storage.event_loop import EventLoop, room
from twofold.storage.store import ByteCounter, ignore_bytes


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    made = EventLoop("test")
    yield made
    made.stop()


def test_results_and_errors_come_back(loop: EventLoop) -> None:
    async def work(_: ByteCounter) -> int:
        await asyncio.sleep(0)
        return 7

    async def fail(_: ByteCounter) -> int:
        raise ValueError("no")

    assert loop.run(work) == 7
    with pytest.raises(ValueError, match="no"):
        loop.run(fail)


def test_bytes_are_told_in_the_thread_that_waits(loop: EventLoop) -> None:
    told: list[tuple[int, int]] = []

    async def work(moved: ByteCounter) -> int:
        moved(1)
        moved(2)
        return threading.get_ident()

    other = loop.run(work, told=lambda count: told.append((count, threading.get_ident())))
    assert told == [(1, threading.get_ident()), (2, threading.get_ident())]
    assert other != threading.get_ident()


def test_what_the_counter_raises_cancels_the_work_and_waits_for_its_cleaning_up(loop: EventLoop) -> None:
    steps: list[str] = []

    async def work(moved: ByteCounter) -> None:
        moved(1)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.run(work, told=interrupt)
    assert steps == ["cleaned up"]


def test_stopping_twice_is_fine_and_another_run_starts_again() -> None:
    async def work(_: ByteCounter) -> int:
        return 1

    loop = EventLoop("test")
    loop.stop()
    assert loop.run(work) == 1
    loop.stop()
    loop.stop()
    assert loop.run(work) == 1
    loop.stop()


def test_work_waits_while_the_thread_that_is_told_lags_behind(loop: EventLoop) -> None:
    """Else a limit would hold back only what is told of the bytes, and not the bytes."""
    moved_so_far = 0
    ahead: list[int] = []
    taken = 0

    async def work(moved: ByteCounter) -> None:
        nonlocal moved_so_far

        async def one() -> None:
            nonlocal moved_so_far
            for _ in range(20):
                moved_so_far += 100 << 10
                moved(100 << 10)
                await room(moved)

        await asyncio.gather(*(one() for _ in range(4)))

    def told(count: int) -> None:
        nonlocal taken
        ahead.append(moved_so_far - taken)
        taken += count

    loop.run(work, told=told)
    assert taken == moved_so_far == 80 * (100 << 10)
    assert max(ahead) <= (256 << 10) + 4 * (100 << 10)


def test_a_counter_of_nobodys_has_room(loop: EventLoop) -> None:
    loop.run(lambda _: room(ignore_bytes))

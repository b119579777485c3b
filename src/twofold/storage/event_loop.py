"""An asyncio loop in a thread of its own, for libraries that know no other way; its callers stay plain threads.

Several threads may run coroutines at once; whoever waits for one may be interrupted, and then the coroutine is
cancelled and has cleaned up before the interruption goes on.
"""

from __future__ import annotations

import asyncio
import asyncio.log
import logging
from collections.abc import Callable, Coroutine
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar

from twofold.concurrency import Task, exclusion, heed, spawn
from twofold.storage.store import ByteCounter, ignore_bytes

T = TypeVar("T")

_MOST_BEHIND: Final = 256 << 10
_HEEDED_EVERY: Final = 0.2

Work = Callable[[ByteCounter], Coroutine[object, None, T]]
"""Makes a coroutine that tells the ByteCounter, in the loop's thread, what it has moved, and then waits for `room`."""


class EventLoop:
    """The loop and its thread, which begin with the first `run`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._starting = exclusion()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: Task[None] | None = None

    def run(self, work: Work[T], *, told: ByteCounter = ignore_bytes) -> T:
        """Carries out `work` and gives its result or raises its error; `told` is called in the calling thread.

        What `told` raises, and any interruption of the waiting thread, cancels the work.
        """
        loop = self._running_loop()
        errand = _Errand(work)
        loop.call_soon_threadsafe(errand.begin)
        try:
            errand.wait(told, heeding=True)
        except BaseException:
            loop.call_soon_threadsafe(errand.cancel)
            errand.wait(ignore_bytes)
            raise
        return errand.result()

    def stop(self) -> None:
        """Ends the thread; what still runs is cancelled first. May be called twice, and `run` starts another."""
        with self._starting:
            loop, task, self._loop, self._task = self._loop, self._task, None, None
        if loop is not None and task is not None:
            loop.call_soon_threadsafe(loop.stop)
            task.join()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                # Its warnings, of a connection that is written to though it has ended, are for nobody.
                asyncio.log.logger.setLevel(logging.ERROR)
                loop = self._loop = asyncio.new_event_loop()
                self._task = spawn(lambda: _serve(loop), name=self._name)
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(_cancel_the_rest())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


async def _cancel_the_rest() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class _Told:
    """The counter of one errand. Each number has one thread that changes it."""

    def __init__(self, events: SimpleQueue[int | None]) -> None:
        self._events = events
        self._loop: asyncio.AbstractEventLoop | None = None
        self._room = asyncio.Event()
        self._said = self._heard = 0

    def __call__(self, count: int) -> None:
        self._said += count
        self._events.put(count)

    async def room(self) -> None:
        self._loop = asyncio.get_running_loop()
        while self._is_behind:
            self._room.clear()
            if self._is_behind:  # nobody wakes us if the last was heard before this line
                await self._room.wait()

    def catch_up(self, count: int) -> None:
        """In the thread that is told."""
        self._heard += count
        if self._loop is not None and not self._room.is_set() and not self._is_behind:
            self._loop.call_soon_threadsafe(self._room.set)

    @property
    def _is_behind(self) -> bool:
        return self._said - self._heard > _MOST_BEHIND


async def room(moved: ByteCounter) -> None:
    """Waits while the thread that is told lags behind, as when it has to keep to a rate. Any other counter has room."""
    if isinstance(moved, _Told):
        await moved.room()


class _Errand(Generic[T]):
    """One piece of work between the thread that waits and the loop that does it."""

    def __init__(self, work: Work[T]) -> None:
        self._work = work
        self._events: SimpleQueue[int | None] = SimpleQueue()
        self._told = _Told(self._events)
        self._task: asyncio.Task[None] | None = None
        self._results: list[T] = []
        self._error: BaseException | None = None

    def begin(self) -> None:
        """In the loop's thread, as cancel()."""
        self._task = asyncio.get_running_loop().create_task(self._carry_out())
        # Not a `finally` in the coroutine: that never runs when it is cancelled before its first step.
        self._task.add_done_callback(lambda _: self._events.put(None))

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def wait(self, told: ByteCounter, *, heeding: bool = False) -> None:
        """Until the end, whatever it is; or, if `heeding`, until the work is given up."""
        while (count := self._next(heeding=heeding)) is not None:
            told(count)
            self._told.catch_up(count)

    def _next(self, *, heeding: bool) -> int | None:
        while True:
            try:
                return self._events.get(timeout=_HEEDED_EVERY if heeding else None)
            except Empty:
                heed()

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._results[0]

    async def _carry_out(self) -> None:
        try:
            self._results.append(await self._work(self._told))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._error = error

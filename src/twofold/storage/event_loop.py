"""An asyncio loop in a thread of its own, for libraries that know no other way; its callers stay plain threads.

Several threads may run coroutines at once; whoever waits for one may be interrupted, and then the coroutine is
cancelled and has cleaned up before the interruption goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from typing import Generic, TypeVar

from twofold.concurrency import Task, exclusion, spawn
from twofold.storage.store import ByteCounter, ignore_bytes

T = TypeVar("T")

Work = Callable[[ByteCounter], Coroutine[object, None, T]]
"""Makes a coroutine that tells the ByteCounter, in the loop's thread, what it has moved."""


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
            errand.wait(told)
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


class _Errand(Generic[T]):
    """One piece of work between the thread that waits and the loop that does it."""

    def __init__(self, work: Work[T]) -> None:
        self._work = work
        self._events: SimpleQueue[int | None] = SimpleQueue()
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

    def wait(self, told: ByteCounter) -> None:
        """Until the end, whatever it is."""
        while (count := self._events.get()) is not None:
            told(count)

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._results[0]

    async def _carry_out(self) -> None:
        try:
            self._results.append(await self._work(self._events.put))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._error = error

"""Threads, and nothing else starts any: stages that run ahead of their reader, ordered parallel maps, buffers in turn.

Everything here is bounded, hands exceptions to whoever waits for the result, and can be abandoned: a Crew ends all
that it started.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from time import perf_counter, thread_time
from typing import Generic, Self, TypeVar

from twofold.monitor import Monitor, NullMonitor, StageTime

T = TypeVar("T")
R = TypeVar("R")


class Cancelled(Exception):
    """The other side has gone; whoever meets this just ends."""


class _Waited(threading.local):
    """Seconds that this thread has waited: for something to work on, for room to put what it has made."""

    def __init__(self) -> None:
        self.for_input = 0.0
        self.for_room = 0.0


_waited = _Waited()


class Task(Generic[T]):
    """A call that runs in a thread of its own."""

    def __init__(self, function: Callable[[], T], name: str, monitor: Monitor) -> None:
        self._function = function
        self._monitor = monitor
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        began = perf_counter()
        try:
            self._result.append(self._function())
        except BaseException as error:  # noqa: BLE001 - handed to join()
            self._error = error
        self._monitor.report(
            StageTime(self._thread.name, perf_counter() - began, thread_time(), _waited.for_input, _waited.for_room)
        )

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def wait(self) -> None:
        """Waits for the end, whatever it is."""
        self._thread.join()

    def join(self) -> T:
        """Waits for the end; gives the result or raises what the call raised. May be called again."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result[0]


def spawn(function: Callable[[], T], *, name: str, monitor: Monitor | None = None) -> Task[T]:
    """Starts `function` in a thread; `name` shows up in debuggers. At the end `monitor` gets a StageTime."""
    return Task(function, name, monitor or NullMonitor())


def exclusion() -> AbstractContextManager[bool]:
    """What only one thread can be in at a time; whoever is in may enter again."""
    return threading.RLock()


class Channel(Generic[T]):
    """A bounded queue with an end: items in order, then either a normal end or the error that ended the sender."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._cancelled = False
        self._error: BaseException | None = None

    def put(self, item: T) -> None:
        """Waits for room. Raises Cancelled when the reader has gone."""
        with self._changed:
            if len(self._items) >= self._depth and not self._cancelled:
                began = perf_counter()
                while len(self._items) >= self._depth and not self._cancelled:
                    self._changed.wait()
                _waited.for_room += perf_counter() - began
            if self._cancelled:
                raise Cancelled
            self._items.append(item)
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """No more items; with `error`, the reader gets it after the items already sent."""
        with self._changed:
            self._ended = True
            self._error = error
            self._changed.notify_all()

    def cancel(self) -> None:
        """The reader goes: senders get Cancelled."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        """Waits for the next item; the end, or the error that ended the sender, comes again however often asked."""
        with self._changed:
            if not self._items and not self._ended and not self._cancelled:
                began = perf_counter()
                while not self._items and not self._ended and not self._cancelled:
                    self._changed.wait()
                _waited.for_input += perf_counter() - began
            if self._cancelled:
                raise Cancelled
            if not self._items:
                if self._error is not None:
                    raise self._error
                raise StopIteration
            item = self._items.popleft()
            self._changed.notify_all()
            return item


class _Promise(Generic[T, R]):
    """One item on its way through a worker."""

    __slots__ = ("_done", "_error", "_result", "item")

    def __init__(self, item: T) -> None:
        self.item = item
        self._done = threading.Event()
        self._result: list[R] = []
        self._error: BaseException | None = None

    def work(self, function: Callable[[T], R]) -> None:
        try:
            self._result.append(function(self.item))
        except BaseException as error:  # noqa: BLE001 - handed to the reader
            self._error = error
        self._done.set()

    def result(self, cancelled: threading.Event) -> R:
        began = perf_counter()
        while not self._done.wait(0.1):
            if cancelled.is_set():
                raise Cancelled
        _waited.for_input += perf_counter() - began
        if self._error is not None:
            raise self._error
        return self._result[0]


class Pool(Generic[T]):
    """A fixed number of things that go round, such as buffers; what bounds a pipeline's memory.

    Each is drawn from `things` when none of those before it is free.
    """

    def __init__(self, things: Iterable[T]) -> None:
        self._fresh = iter(things)
        self._things: deque[T] = deque()
        self._changed = threading.Condition()
        self._cancelled = False

    def take(self) -> T:
        """Waits until one is free. Raises Cancelled after cancel()."""
        with self._changed:
            if not self._things and not self._cancelled:
                self._things.extend(islice(self._fresh, 1))
                began = perf_counter()
                while not self._things and not self._cancelled:
                    self._changed.wait()
                _waited.for_room += perf_counter() - began
            if self._cancelled:
                raise Cancelled
            return self._things.pop()

    def give(self, thing: T) -> None:
        with self._changed:
            self._things.append(thing)
            self._changed.notify()

    def cancel(self) -> None:
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()


class Ledger:
    """Amounts reported under numbers by one side and waited for by the other; `cancel()` wakes the waiting side."""

    def __init__(self) -> None:
        self._amounts: dict[int, int] = {}
        self._changed = threading.Condition()
        self._cancelled = False

    def report(self, number: int, amount: int) -> None:
        with self._changed:
            self._amounts[number] = amount
            self._changed.notify_all()

    def known(self, number: int) -> int | None:
        """The amount, if it has been reported."""
        with self._changed:
            return self._amounts.get(number)

    def wait(self, number: int) -> int:
        """The amount, once it is reported. Raises Cancelled after cancel()."""
        with self._changed:
            began = perf_counter()
            while number not in self._amounts:
                if self._cancelled:
                    raise Cancelled
                self._changed.wait()
            _waited.for_input += perf_counter() - began
            return self._amounts[number]

    def forget(self, number: int) -> None:
        with self._changed:
            self._amounts.pop(number, None)

    def cancel(self) -> None:
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()


class Sink(Generic[T, R]):
    """The sending side of a consumer that runs in a thread of its own."""

    def __init__(self, channel: Channel[T], task: Task[R]) -> None:
        self._channel = channel
        self._task = task

    def put(self, item: T) -> None:
        """Waits for room. Raises what the consumer has raised, Cancelled when all has been given up."""
        try:
            self._channel.put(item)
        except Cancelled:
            self._task.join()  # either it has failed, or it meets the same end
            raise

    def finish(self) -> R:
        """No more items: waits for the consumer and gives its result, or raises what it raises."""
        self._channel.end()
        return self._task.join()

    def wait(self) -> None:
        """Waits until the consumer has ended, however it did."""
        self._task.wait()


class Crew:
    """The threads and buffers of one piece of work; leaving its `with` block ends them all, whatever happened.

    An error in a stage travels to the reader of that stage and so down to the main thread, which leaves the block;
    only then are the stages above it woken and ended. So nobody waits for somebody who is gone.
    """

    def __init__(self, *, monitor: Monitor | None = None) -> None:
        """`monitor` gets a StageTime of each thread that ends, and one of the block itself at the end."""
        self._monitor = monitor or NullMonitor()
        self._began = (0.0, 0.0)
        self._cancels: list[Callable[[], None]] = []
        self._tasks: list[Task[None]] = []
        self._waits: list[Callable[[], None]] = []
        self._last: list[Callable[[], None]] = []
        self._cancelled = threading.Event()

    def __enter__(self) -> Self:
        self._began = (perf_counter(), thread_time())
        _waited.for_input = _waited.for_room = 0.0
        return self

    def __exit__(self, *_: object) -> None:
        wall, cpu = perf_counter() - self._began[0], thread_time() - self._began[1]
        self._monitor.report(StageTime("main thread", wall, cpu, _waited.for_input, _waited.for_room))
        self._cancelled.set()
        for cancel in self._cancels:
            cancel()
        for task in self._tasks:
            task.join()
        for wait in self._waits:
            wait()
        for call in self._last:
            call()

    def pool(self, things: Iterable[T]) -> Pool[T]:
        """A pool that is cancelled when the block is left."""
        pool = Pool(things)
        self._cancels.append(pool.cancel)
        return pool

    def ledger(self) -> Ledger:
        """A ledger that is cancelled when the block is left."""
        ledger = Ledger()
        self._cancels.append(ledger.cancel)
        return ledger

    def channel(self, depth: int) -> Channel[T]:
        """A channel that is cancelled when the block is left."""
        channel: Channel[T] = Channel(depth)
        self._cancels.append(channel.cancel)
        return channel

    def sink(self, consumer: Callable[[Iterable[T]], R], *, depth: int, name: str) -> Sink[T, R]:
        """A consumer of items in a thread of its own."""
        channel: Channel[T] = self.channel(depth)

        def consume() -> R:
            try:
                return consumer(channel)
            except BaseException:
                channel.cancel()
                raise

        sink = Sink(channel, spawn(consume, name=name, monitor=self._monitor))
        self._waits.append(sink.wait)
        return sink

    def background(self, function: Callable[[], R], *, name: str) -> Task[R]:
        """A call in a thread of its own that is waited for, whatever it raises, when the block is left."""
        task = spawn(function, name=name, monitor=self._monitor)
        self._waits.append(task.wait)
        return task

    def afterwards(self, call: Callable[[], None]) -> None:
        """Has something done when the block is left and all threads have ended."""
        self._last.append(call)

    def ahead(self, items: Iterable[T], *, depth: int, name: str) -> Iterator[T]:
        """The same items, produced in a thread of its own up to `depth` ahead of the reader."""
        channel: Channel[T] = self.channel(depth)
        self._tasks.append(spawn(lambda: _pump(items, channel), name=name, monitor=self._monitor))
        return iter(channel)

    def ordered_map(self, function: Callable[[T], R], items: Iterable[T], *, workers: int, name: str) -> Iterator[R]:
        """`map` by several threads, results in the order of the items, a few items a worker under way.

        Items are drawn in a thread of their own, so a finished result never waits for the next item.
        """
        work: Channel[_Promise[T, R]] = self.channel(workers)

        def labour() -> None:
            try:
                for promise in work:
                    promise.work(function)
            except Cancelled:
                pass

        def promises() -> Iterator[_Promise[T, R]]:
            for item in items:
                promise: _Promise[T, R] = _Promise(item)
                work.put(promise)
                yield promise
            work.end()

        for number in range(workers):
            self._tasks.append(spawn(labour, name=f"{name} {number}", monitor=self._monitor))
        drawn = self.ahead(promises(), depth=workers, name=f"{name} feed")
        return (promise.result(self._cancelled) for promise in drawn)


def _pump(items: Iterable[T], channel: Channel[T]) -> None:
    iterator = iter(items)
    try:
        for item in iterator:
            channel.put(item)
    except BaseException as error:  # noqa: BLE001 - handed to the reader; Cancelled too, so that no end looks normal
        channel.end(error)
    else:
        channel.end()
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()

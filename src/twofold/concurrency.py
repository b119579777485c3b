"""Threads, and nothing else starts any: stages that run ahead of their reader, ordered parallel maps, buffers in turn.

Everything here is bounded, hands exceptions to whoever waits for the result, and can be abandoned: a Crew ends all
that it started.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from itertools import islice
from time import perf_counter, sleep, thread_time
from typing import Generic, Self, TypeVar

from twofold import system
from twofold.monitor import Monitor, NullMonitor, StageTime

T = TypeVar("T")
R = TypeVar("R")


class Cancelled(Exception):
    """The other side has gone; whoever meets this just ends."""


class _Waited(threading.local):
    """Seconds that this thread has waited, for work and for room; `given_up` is set when its crew has been left."""

    for_input = 0.0
    for_room = 0.0
    given_up: threading.Event | None = None


_waited = _Waited()


def heed(_count: int = 0) -> None:
    """Raises Cancelled in a thread of a crew that has been left; a ByteCounter for what may take long (storage/)."""
    if _waited.given_up is not None and _waited.given_up.is_set():
        raise Cancelled


def pause(seconds: float) -> None:
    """Sleeps, but in a thread of a crew only until that is left, and then raises Cancelled."""
    if _waited.given_up is None:
        sleep(seconds)
    elif _waited.given_up.wait(seconds):
        raise Cancelled


class Task(Generic[T]):
    """A call that runs in a thread of its own."""

    def __init__(self, function: Callable[[], T], name: str, monitor: Monitor, end: threading.Event | None) -> None:
        self._function, self._monitor, self._end = function, monitor, end
        self._result: list[T] = []
        self._error: BaseException | None = None
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        began, _waited.given_up = perf_counter(), self._end
        try:
            self._result.append(self._function())
        except BaseException as error:  # noqa: BLE001 - handed to join()
            self._error = error
        try:
            self._monitor.report(
                StageTime(self._thread.name, perf_counter() - began, thread_time(), _waited.for_input, _waited.for_room)
            )
        finally:
            self.ended.set()

    @property
    def running(self) -> bool:
        return not self.ended.is_set()

    def wait(self) -> None:
        """Waits for the end, whatever it is."""
        # Not by Thread.join alone: when a signal's exception ends that, Python 3.11 takes the thread for ended.
        self.ended.wait()
        self._thread.join()

    def join(self) -> T:
        """Waits for the end; gives the result or raises what the call raised. May be called again."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._result[0]


def spawn(function: Callable[[], T], *, name: str, monitor: Monitor | None = None) -> Task[T]:
    """Starts `function` in a thread; `name` shows up in debuggers. At the end `monitor` gets a StageTime."""
    return Task(function, name, monitor or NullMonitor(), None)


def exclusion() -> AbstractContextManager[bool]:
    """What only one thread can be in at a time; whoever is in may enter again."""
    return threading.RLock()


class _Meeting:
    """Where threads wait for each other."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._cancelled = False

    def cancel(self) -> None:
        """Whoever waits here, now or later, gets Cancelled."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    def _wait_for(self, done: Callable[[], object]) -> float:
        """Seconds until `done`, asked whenever something has changed. Raises Cancelled."""
        began = perf_counter()
        self._changed.wait_for(lambda: self._cancelled or done())
        if self._cancelled:
            raise Cancelled
        return perf_counter() - began


class Channel(_Meeting, Generic[T]):
    """A bounded queue with an end: items in order, then either a normal end or the error that ended the sender."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self._depth = depth
        self._items: deque[T] = deque()
        self._ended = False
        self._error: BaseException | None = None

    def put(self, item: T) -> None:
        """Waits for room. Raises Cancelled when the reader has gone."""
        with self._changed:
            if self._cancelled or len(self._items) >= self._depth:
                _waited.for_room += self._wait_for(lambda: len(self._items) < self._depth)
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
        super().cancel()
        with self._changed:
            self._items.clear()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        """Waits for the next item; the end, or the error that ended the sender, comes again however often asked."""
        with self._changed:
            if self._cancelled or not (self._items or self._ended):
                _waited.for_input += self._wait_for(lambda: self._items or self._ended)
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
            heed()  # the crew around a crew may have been left
            if cancelled.is_set():
                raise Cancelled
        _waited.for_input += perf_counter() - began
        if self._error is not None:
            raise self._error
        return self._result[0]


class Pool(_Meeting, Generic[T]):
    """A fixed number of things that go round, such as buffers; what bounds a pipeline's memory.

    Each is drawn from `things` when none of those before it is free.
    """

    def __init__(self, things: Iterable[T]) -> None:
        super().__init__()
        self._fresh = iter(things)
        self._things: deque[T] = deque()

    def take(self) -> T:
        """Waits until one is free. Raises Cancelled after cancel()."""
        with self._changed:
            if not self._things and not self._cancelled:
                self._things.extend(islice(self._fresh, 1))
            if self._cancelled or not self._things:
                _waited.for_room += self._wait_for(lambda: self._things)
            return self._things.pop()

    def give(self, thing: T) -> None:
        with self._changed:
            self._things.append(thing)
            self._changed.notify()


class Ledger(_Meeting):
    """Amounts reported under numbers by one side and waited for by the other; `cancel()` wakes the waiting side."""

    def __init__(self) -> None:
        super().__init__()
        self._amounts: dict[int, int] = {}

    def report(self, number: int, amount: int) -> None:
        with self._changed:
            self._amounts[number] = amount
            self._changed.notify_all()

    def wait(self, number: int) -> int:
        """The amount, once it is reported. Raises Cancelled after cancel()."""
        with self._changed:
            if number not in self._amounts:
                _waited.for_input += self._wait_for(lambda: number in self._amounts)
            return self._amounts[number]

    def forget(self, number: int) -> None:
        with self._changed:
            self._amounts.pop(number, None)


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
        self._ends: list[threading.Event] = []
        self._cancelled = threading.Event()

    def __enter__(self) -> Self:
        self._began = (perf_counter(), thread_time())
        _waited.for_input = _waited.for_room = 0.0
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        wall, cpu = perf_counter() - self._began[0], thread_time() - self._began[1]
        self._monitor.report(StageTime("main thread", wall, cpu, _waited.for_input, _waited.for_room))
        self._cancelled.set()
        for cancel in self._cancels:
            cancel()
        while kind is KeyboardInterrupt and (running := [end for end in self._ends if not end.is_set()]):
            running[0].wait(0.5)
            system.shut_connections()  # somebody wants to go: a server that does not answer is not waited for
        for task in self._tasks:
            task.join()
        for call in (*self._waits, *self._last):
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

        return Sink(channel, self.background(consume, name=name))

    def background(self, function: Callable[[], R], *, name: str) -> Task[R]:
        """A call in a thread of its own that is waited for, whatever it raises, when the block is left."""
        task = self._spawn(function, name)
        self._waits.append(task.wait)
        return task

    def afterwards(self, call: Callable[[], None]) -> None:
        """Has something done when the block is left and all threads have ended."""
        self._last.append(call)

    def ahead(self, items: Iterable[T], *, depth: int, name: str) -> Iterator[T]:
        """The same items, produced in a thread of its own up to `depth` ahead of the reader."""
        channel: Channel[T] = self.channel(depth)
        self._tasks.append(self._spawn(lambda: _pump(items, channel), name))
        return iter(channel)

    def ordered_map(self, function: Callable[[T], R], items: Iterable[T], *, workers: int, name: str) -> Iterator[R]:
        """`map` by several threads, results in the order of the items, a few items a worker under way.

        Items are drawn in a thread of their own, so a finished result never waits for the next item.
        """
        work: Channel[_Promise[T, R]] = self.channel(workers)

        def labour() -> None:
            with suppress(Cancelled):
                for promise in work:
                    promise.work(function)

        def promises() -> Iterator[_Promise[T, R]]:
            for item in items:
                promise: _Promise[T, R] = _Promise(item)
                work.put(promise)
                yield promise
            work.end()

        for number in range(workers):
            self._tasks.append(self._spawn(labour, f"{name} {number}"))
        return (each.result(self._cancelled) for each in self.ahead(promises(), depth=workers, name=f"{name} feed"))

    def _spawn(self, function: Callable[[], R], name: str) -> Task[R]:
        task = Task(function, name, self._monitor, self._cancelled)
        self._ends.append(task.ended)
        return task


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
        getattr(iterator, "close", lambda: None)()

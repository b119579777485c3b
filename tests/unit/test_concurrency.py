"""Stages, maps and pools: order, bounds, errors and abandonment."""

import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from twofold.concurrency import Cancelled, Crew, Sink, heed, pause, spawn
from twofold.monitor import RecordingMonitor, StageTime


def test_a_task_gives_its_result_and_raises_its_error() -> None:
    assert spawn(lambda: 7, name="seven").join() == 7

    def fail() -> None:
        raise ValueError("no")

    task = spawn(fail, name="fail")
    with pytest.raises(ValueError, match="no"):
        task.join()


def test_a_stage_keeps_order_and_stays_within_its_depth() -> None:
    produced: list[int] = []

    def source():
        for number in range(50):
            produced.append(number)
            yield number

    with Crew() as crew:
        for expected, number in enumerate(crew.ahead(source(), depth=3, name="numbers")):
            assert number == expected
            assert len(produced) <= number + 6
    assert produced == list(range(50))


def test_an_error_in_a_stage_reaches_the_reader_after_the_items_before_it() -> None:
    def source():
        yield 1
        raise OSError("disk")

    with Crew() as crew:
        numbers = crew.ahead(source(), depth=2, name="broken")
        assert next(numbers) == 1
        with pytest.raises(OSError, match="disk"):
            next(numbers)


def test_a_map_keeps_order_whatever_worker_is_faster() -> None:
    with Crew() as crew:
        assert list(crew.ordered_map(lambda n: n * n, range(200), workers=4, name="squares")) == [
            n * n for n in range(200)
        ]


def test_a_finished_result_does_not_wait_for_the_next_item() -> None:
    gate = threading.Event()

    def source():
        yield 1
        assert gate.wait(10)
        yield 2

    with Crew() as crew:
        results = crew.ordered_map(lambda n: n, source(), workers=2, name="slow source")
        assert next(results) == 1
        gate.set()
        assert next(results) == 2


def test_leaving_the_crew_early_ends_every_thread() -> None:
    before = set(threading.enumerate())
    closed = threading.Event()
    with Crew() as crew:
        pool = crew.pool([bytearray(1)])
        ledger = crew.ledger()

        def source():
            try:
                while True:
                    yield pool.take()
            finally:
                closed.set()

        stage = crew.ahead(crew.ordered_map(len, source(), workers=2, name="map"), depth=1, name="outer")
        assert next(stage) == 1
        waiting = crew.ahead(iter(lambda: ledger.wait(3), None), depth=1, name="ledger")
        del waiting
    assert closed.is_set()
    assert set(threading.enumerate()) <= before


def test_an_error_in_a_worker_reaches_the_reader_and_nobody_hangs() -> None:
    def fail_at_three(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    with Crew() as crew:
        results = crew.ordered_map(fail_at_three, range(10**9), workers=2, name="map")
        assert [next(results), next(results), next(results)] == [0, 1, 2]
        with pytest.raises(ValueError, match="three"):
            next(results)


def test_cancelled_is_never_taken_for_a_normal_end() -> None:
    crew = Crew()
    with crew:
        pool = crew.pool([])

        def source():
            yield 1
            pool.take()

        stage = crew.ahead(source(), depth=1, name="stage")
        assert next(stage) == 1
        pool.cancel()
        with pytest.raises(Cancelled):
            next(stage)


def put_many(sink: Sink[int, None]) -> None:
    for number in range(10):
        sink.put(number)


def test_a_sink_gives_the_error_of_its_consumer_not_the_news_that_it_has_gone() -> None:
    def consume(items: object) -> None:
        raise ValueError("full disk")

    for _ in range(50):
        with Crew() as crew:
            sink = crew.sink(consume, depth=1, name="sink")
            with pytest.raises(ValueError, match="full disk"):
                put_many(sink)


def test_what_comes_afterwards_finds_no_thread_running() -> None:
    ended: list[str] = []
    gate = threading.Event()

    def background() -> None:
        gate.wait(10)
        ended.append("thread")
        raise ValueError("of no interest any more")

    with Crew() as crew:
        crew.afterwards(lambda: ended.append("afterwards"))
        crew.background(background, name="background")
        gate.set()
    assert ended == ["thread", "afterwards"]


def test_each_thread_and_the_block_itself_tell_how_long_they_lived_and_waited() -> None:
    monitor = RecordingMonitor()
    gate = threading.Event()

    def slow_source():
        gate.wait(10)
        yield 1

    with Crew(monitor=monitor) as crew:
        numbers = crew.ahead(slow_source(), depth=1, name="source")
        task = crew.background(lambda: threading.Event().wait(0.02), name="opener")
        task.join()
        gate.set()
        assert list(numbers) == [1]
    stages = {event.name: event for event in monitor.events if isinstance(event, StageTime)}
    assert set(stages) == {"source", "opener", "main thread"}
    assert all(stage.wall >= stage.waited_for_input + stage.waited_for_room for stage in stages.values())


def test_waiting_for_room_and_for_input_are_told_apart() -> None:
    monitor = RecordingMonitor()
    taken = threading.Event()

    def source():
        yield from range(3)
        taken.set()

    with Crew(monitor=monitor) as crew:
        numbers = crew.ahead(source(), depth=1, name="source")
        assert not taken.wait(0.02)  # nobody reads, so the source has had to wait for room
        assert list(numbers) == [0, 1, 2]
    [stage] = [event for event in monitor.events if isinstance(event, StageTime) and event.name == "source"]
    assert stage.waited_for_room > 0
    assert stage.waited_for_input == 0


def test_a_pool_draws_a_thing_only_when_none_of_those_before_is_free() -> None:
    drawn: list[int] = []

    def things() -> Iterator[int]:
        for number in range(2):
            drawn.append(number)
            yield number

    with Crew() as crew:
        pool = crew.pool(things())
        assert drawn == []
        first = pool.take()
        pool.give(first)
        assert pool.take() == first
        assert drawn == [0]
        pool.give(pool.take())
        assert drawn == [0, 1]
        pool.give(first)
        assert {pool.take(), pool.take()} == {0, 1}


def test_whoever_works_for_a_crew_that_was_left_hears_of_it() -> None:
    ended: list[str] = []
    at_work = threading.Barrier(3)

    def sleep_on() -> None:
        at_work.wait(10)
        try:
            pause(10_000)
        except Cancelled:
            ended.append("sleeper")

    def move_on() -> None:
        at_work.wait(10)
        try:
            while True:
                heed(1)
        except Cancelled:
            ended.append("mover")

    with Crew() as crew:
        crew.background(sleep_on, name="sleeper")
        crew.background(move_on, name="mover")
        at_work.wait(10)
        assert ended == []
    assert sorted(ended) == ["mover", "sleeper"]


def test_who_works_for_no_crew_is_left_alone() -> None:
    with Crew():
        heed()
    heed()
    pause(0)
    spawn(heed, name="on its own").join()


def test_the_crew_of_a_crew_ends_with_it() -> None:
    """Files sent in parts are: an upload has threads of its own."""
    at_work = threading.Event()

    def inner() -> None:
        def part(_: int) -> None:
            at_work.set()
            while True:
                heed()

        with Crew() as parts:
            list(parts.ordered_map(part, range(3), workers=2, name="part"))

    before = set(threading.enumerate())
    with Crew() as crew:
        task = crew.background(inner, name="upload")
        assert at_work.wait(10)
    with pytest.raises(Cancelled):
        task.join()
    assert set(threading.enumerate()) <= before


def test_whoever_is_interrupted_while_waiting_can_wait_again() -> None:
    """When a signal's exception ends Thread.join, Python 3.11 takes the thread for ended though it runs."""
    release = threading.Event()
    main = threading.main_thread().ident
    assert main is not None

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def interrupt_once_it_waits() -> None:
        while sys._current_frames()[main].f_code.co_filename != threading.__file__:
            pass
        signal.pthread_kill(main, signal.SIGUSR1)

    def wait() -> None:
        spawn(interrupt_once_it_waits, name="interrupts")
        task.wait()

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        task = spawn(release.wait, name="waits")
        with pytest.raises(KeyboardInterrupt):
            wait()
        assert task.running
        release.set()
        assert task.join()
        assert not task.running
    finally:
        signal.signal(signal.SIGUSR1, before)

"""When tasks run: not before their time, and the higher priority first."""

from __future__ import annotations

import time

import pytest

from liteq import TaskException

from .consumer import get, started, wait_until

CLOCKS = """
@huey.task()
def clock_now():
    return time.time()


@huey.task(retries=2, retry_delay=0.2)
def fails_twice():
    note(f"{time.time()}")
    if len(notes()) < 3:
        raise ValueError("not yet")
    return "at last"
"""


def test_a_scheduled_task_runs_at_its_time(declare, consume):
    app = declare(CLOCKS)
    consume()
    enqueued = time.time()
    result = app.clock_now.schedule(delay=0.3)
    assert app.huey.scheduled_count() == 1
    assert enqueued + 0.3 <= get(result) < enqueued + 5


def test_a_scheduled_task_that_was_due_while_nobody_was_there(declare, consume):
    app = declare(CLOCKS)
    result = app.clock_now.schedule(delay=0.05)
    wait_until(lambda: app.huey.storage.next_due() < time.time() * 1_000_000)
    consume()
    assert get(result)


def test_an_earlier_one_is_not_held_up_by_a_later_one(declare, consume):
    app = declare(CLOCKS)
    consume()
    app.clock_now.schedule(delay=3600)
    assert get(app.clock_now.schedule(delay=0.1))
    assert app.huey.scheduled_count() == 1


def test_many_that_are_due_together(declare, consume):
    app = declare(CLOCKS)
    consume("-w", "2")
    results = [app.clock_now.schedule(delay=0.3 + number / 1000) for number in range(100)]
    assert len([get(result) for result in results]) == 100


def test_retries_wait_for_their_delay(declare, consume):
    app = declare(CLOCKS)
    consume()
    result = app.fails_twice()
    # The error of an attempt that is retried can be read meanwhile.
    wait_until(lambda: len(app.notes()) == 3)
    wait_until(lambda: app.huey.running_count() == 0)
    assert app.huey.result(result.id) == "at last"
    first, second, third = map(float, app.notes())
    assert second - first >= 0.2
    assert third - second >= 0.2


def test_a_failure_without_retries(app, consume):
    consume()
    with pytest.raises(TaskException, match="it went wrong") as caught:
        get(app.fail())
    assert "ValueError" in caught.value.metadata["traceback"]
    assert app.huey.dead() == []


def test_strict_priorities(app, consume):
    for number in range(60):
        app.work(number, priority=number % 3)
    last = app.add(1, 2, priority=-1)
    consume()
    assert get(last) == 3
    expected = sorted(range(60), key=lambda number: (-(number % 3), number))
    assert [int(note) for note in app.notes()] == expected


def test_a_higher_priority_overtakes_what_waits(app, consume):
    consume()
    held = app.hold("a")
    started(app, "a")
    waiting = app.work.map([("low",)] * 20)
    urgent = app.work("high", priority=10)
    app.open_gate("a")
    get(held), get(urgent), get(waiting)
    assert app.notes() == ["a", "high"] + ["low"] * 20


def test_a_higher_priority_overtakes_what_is_prefetched(app, consume):
    """Short tasks are prefetched by dozens; still, only a few of them may go first."""
    consume()
    low = app.work.map([("low", 0.001)] * 600)
    wait_until(lambda: len(app.notes()) > 200)
    urgent = app.work("high", priority=10)
    behind = len(app.notes())
    get(urgent)
    get(low)
    assert app.notes().index("high") < behind + 30


def test_a_long_task_does_not_hold_back_those_behind_it(app, consume):
    """Claimed behind it by a worker whose tasks had been short, they go to the other worker."""
    consume("-w", "2")
    get(app.work.map([("short",)] * 200))
    held = app.hold("a")
    others = app.work.map([("behind",)] * 50)
    assert len(get(others)) == 50
    assert not held.is_ready()
    app.open_gate("a")
    assert get(held)


def test_pipelines_and_error_handlers(declare, consume):
    app = declare("""
@huey.task()
def handle(error):
    note(type(error).__name__)
""")
    consume("-w", "2")
    pipeline = app.huey.enqueue(app.add.s(1, 2).then(app.add, 10).then(app.add, 100))
    assert get(pipeline) == [3, 13, 113]
    failed = app.huey.enqueue(app.fail.s().then(app.add, 1).error(app.handle))
    for result in failed:
        with pytest.raises(TaskException, match="it went wrong"):
            get(result)
    wait_until(lambda: app.notes() == ["ValueError"])

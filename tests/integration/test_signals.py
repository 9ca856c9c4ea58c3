"""The signals of each kind of end, in their order, from a real worker."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

import pytest

from liteq import signals as s

from .consumer import every_kind, started, wait_until, wait_until_settled

APPLICATION = """
import time
from liteq.exceptions import *

def first(name):
    path = HERE / f"first-{name}"
    found = path.exists()
    path.touch()
    return not found

@huey.signal()
def heard(signal, task, error=None):
    note(f"{signal} {error!r}" if error else signal)

@huey.pre_execute()
def before(task):
    if task.name == "refused":
        raise CancelExecution

@huey.task()
def fine(value=None): return value
@huey.task()
def refused(): note("it ran")
@huey.task()
def failing(): raise ValueError("no")
@huey.task(retries=1)
def failing_twice(): raise ValueError("no")
@huey.task(retries=1, retry_delay=0.05)
def failing_later(): raise ValueError("no")
@huey.task(timeout=0.05)
def slow():
    for _ in range(6000):
        time.sleep(0.01)  # in steps: a thread is stopped between two
@huey.task(retries=1)
def locked(): raise TaskLockedException("lock")
@huey.task()
def limited():
    if first("limited"): raise RateLimitExceeded("key", 0.01)
@huey.task()
def limited_for_good(): raise RateLimitExceeded("key", 5, retry=False)
@huey.task()
def cancelled(): raise CancelExecution
@huey.task(retries=5)
def cancelled_for_good(): raise CancelExecution(retry=False)
@huey.task()
def cancelled_once():
    if first("cancelled"): raise CancelExecution(retry=True)
@huey.task(retries=1)
def again():
    if first("again"): raise RetryTask(delay=0.02)
"""

RAN = ["executing"]
ERROR = [*RAN, "error ValueError('no')"]

ENDS = {
    "fine": [*RAN, "complete"],
    "refused": [*RAN, "canceled"],
    "failing": ERROR,
    "failing_twice": [*ERROR, "retrying", "enqueued", *ERROR],
    "failing_later": [*ERROR, "retrying", "scheduled", *ERROR],
    "slow": [*RAN, "timeout"],
    "locked": [*RAN, "locked", "retrying", "enqueued", *RAN, "locked"],
    "limited": [*RAN, "rate-limited", "retrying", "scheduled", *RAN, "complete"],
    "limited_for_good": [*RAN, "rate-limited"],
    "cancelled": [*RAN, "canceled"],
    "cancelled_once": [*RAN, "canceled", "retrying", "enqueued", *RAN, "complete"],
    "cancelled_for_good": [*RAN, "canceled"],
    "again": [*RAN, "retrying", "scheduled", *RAN, "complete"],
}


@pytest.fixture
def app(declare):
    return declare(APPLICATION)


@every_kind
def test_the_signals_of_each_end(app, consume):
    consumer = consume()
    for name, expected in ENDS.items():
        before = len(app.workers_notes())
        getattr(app, name)()
        wait_until_settled(app)
        wait_until(lambda count=before + len(expected): len(app.workers_notes()) >= count, name)
        assert app.workers_notes()[before:] == expected, name
    assert consumer.stop() == 0


@every_kind
def test_a_pipeline(app, consume):
    consume()
    app.huey.enqueue(app.fine.s(1).then(app.fine))
    wait_until_settled(app)
    assert app.workers_notes() == [*RAN, "complete", "enqueued", *RAN, "complete"]


def test_what_does_not_start(app, consume):
    app.fine(1).revoke()
    app.fine(1, expires=datetime.now() - timedelta(seconds=1))  # noqa: DTZ005 -- applications write it so
    consume()
    wait_until_settled(app)
    assert app.workers_notes() == ["revoked", "expired"]


def test_an_error_handler(app, consume):
    consume()
    app.huey.enqueue(app.failing.s().error(app.fine))
    wait_until_settled(app)
    assert app.workers_notes() == [*ERROR, "enqueued", *RAN, "complete"]


def test_the_signals_of_the_producer(app):
    app.fine(1)
    app.fine.schedule((1,), delay=60)
    assert app.pids("enqueued") == [os.getpid()] * 2
    assert app.pids("scheduled") == [os.getpid()]


@every_kind
def test_an_interrupted_task(declare, consume):
    app = declare("""
@huey.signal("interrupted")
def heard(signal, task):
    note(f"{signal} {task.name}")
""")
    consumer = consume("-t", "0")
    app.hold("a")
    started(app, "a")
    assert consumer.stop() == 5
    assert app.workers_notes() == ["a", "interrupted hold"]


def test_a_receiver_of_one_signal_comes_before_those_of_any_and_one_that_raises_stops_none(declare, consume):
    app = declare("""
@huey.signal()
def of_any(signal, task):
    note(f"any {signal}")

@huey.signal("complete")
def broken(signal, task):
    raise RuntimeError("broken receiver")

@huey.signal("complete", "error")
def of_one(signal, task):
    note(f"one {signal}")

@huey.signal("complete")
def gone(signal, task):
    note("gone")

huey.disconnect_signal(gone, "complete")
""")
    consumer = consume()
    app.add(1, 2)
    wait_until_settled(app)
    assert app.workers_notes() == ["any executing", "one complete", "any complete"]
    consumer.wait_log("broken receiver")


def test_every_signal_of_tasks_is_among_these():
    shown = {note.split()[0] for notes in ENDS.values() for note in notes}
    shown |= {s.SIGNAL_REVOKED, s.SIGNAL_EXPIRED, s.SIGNAL_INTERRUPTED}
    elsewhere = {s.SIGNAL_WORKER_DIED, s.SIGNAL_CRASHED, s.SIGNAL_DEAD}
    assert shown == {value for name, value in vars(s).items() if name.startswith("SIGNAL_")} - elsewhere

"""Processes that stand still (SIGSTOP), and go on: what they hold, and what the others do meanwhile."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from liteq import TaskException

from .consumer import get, is_alive, started, wait_until


def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    # Until then it may still read a task that comes meanwhile.
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)


def go_on(pid):
    os.kill(pid, signal.SIGCONT)


def test_an_idle_worker_that_stands_still_holds_no_task_up(app, consume):
    consumer = consume("-w", "2")
    frozen, other = consumer.workers(app, 2)
    stop(frozen)
    results = [app.pid() for _ in range(30)]
    assert {get(result) for result in results} == {other}
    # Both of them meet: each is given a task.
    go_on(frozen)
    assert consumer.workers(app, 2) == {frozen, other}


def test_what_must_not_repeat_is_not_lost_to_one_that_stands_still(app, consume):
    consumer = consume("-w", "2")
    frozen, other = consumer.workers(app, 2)
    stop(frozen)
    result = app.hold_once("a")
    assert started(app, "a") == other
    app.open_gate("a")
    assert get(result) == other


def test_tasks_wait_for_a_pool_that_stands_still(app, consume):
    consumer = consume()
    (frozen,) = consumer.workers(app, 1)
    stop(frozen)
    results = [app.pid() for _ in range(3)]
    wait_until(lambda: app.huey.storage.version() and app.huey.pending_count() == 3)
    go_on(frozen)
    assert {get(result) for result in results} == {frozen}


def test_a_task_whose_worker_stands_still_ends_by_its_timeout(declare, consume):
    app = declare("""
@huey.task(timeout=0.2)
def slow():
    note("start")
    time.sleep(600)
""")
    consumer = consume("-w", "2", "--timeout-grace", "0.2", "--kill-after", "0.2")
    result = app.slow()
    frozen = started(app, "start")
    stop(frozen)
    assert get(app.add(1, 2)) == 3
    with pytest.raises(TaskException, match="timeout"):
        get(result)
    assert not is_alive(frozen)
    assert frozen not in consumer.workers(app, 2)

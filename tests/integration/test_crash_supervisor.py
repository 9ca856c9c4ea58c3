"""The supervisor, the template or everything dies: no orphan is left, and the next consumer loses nothing."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from .consumer import every_kind, get, is_settled, kill, started, wait_until, wait_until_settled


def numbers(app):
    return sorted(map(int, app.notes()))


@every_kind
def test_its_children_finish_what_runs_and_end(app, consume):
    consumer = consume("-w", "2")
    result = app.hold("a")
    worker = started(app, "a")
    kill(consumer.pid)
    consumer.wait_log("supervisor is gone")
    left = app.add(1, 2)  # nobody claims any more
    app.open_gate("a")
    assert get(result) == worker
    consumer.wait_all_dead()
    assert app.huey.pending_count() == 1
    assert app.huey.storage.consumers() == {}
    consume()
    assert get(left) == 3
    assert app.notes() == ["a"]


@every_kind
def test_after_the_grace_running_tasks_are_interrupted(app, consume):
    consumer = consume("-t", "0.3")
    result = app.hold("a")
    started(app, "a")
    kill(consumer.pid)
    consumer.wait_all_dead()
    assert app.huey.pending_count() == 1
    assert app.huey.storage.consumers() == {}
    consume()
    second = started(app, "a", times=2)
    app.open_gate("a")
    assert get(result) == second
    assert app.huey.dead() == []


def test_a_process_that_a_task_left_behind_is_not_waited_for(declare, consume):
    """It has inherited the worker's end of its line, which therefore never closes."""
    app = declare("""
@huey.task()
def leave_behind():
    pid = os.fork()
    if not pid:
        time.sleep(300)
    return pid
""")
    consumer = consume("-t", "0.3")
    left = get(app.leave_behind())
    kill(consumer.pid)
    wait_until(lambda: consumer.members() == [left], "the end of all but the one left behind")


@every_kind
def test_under_load(app, consume):
    consumer = consume("-w", "2")
    results = app.work.map([(number, 0.0005) for number in range(2000)])
    wait_until(lambda: len(app.notes()) > 300)
    kill(consumer.pid)
    consumer.wait_all_dead()
    assert not is_settled(app)
    consume("-w", "2")
    assert get(results) == list(range(2000))
    wait_until_settled(app)
    assert numbers(app) == list(range(2000))


def test_together_with_the_dispatcher_under_load(app, consume):
    """The workers notice by themselves; each finishes its task and takes no other."""
    consumer = consume("-w", "2")
    results = app.work.map([(number, 0.002) for number in range(400)])
    wait_until(lambda: len(app.notes()) > 50)
    kill(consumer.pid, consumer.dispatcher)
    consumer.wait_all_dead()
    assert not is_settled(app)
    consume("-w", "2")
    assert get(results) == list(range(400))
    wait_until_settled(app)
    assert set(numbers(app)) == set(range(400))


@every_kind
def test_everything_dies_under_load(app, consume):
    """Recovery does not wait for leases, which are a minute."""
    consumer = consume("-w", "2")
    results = app.work.map([(number, 0.001) for number in range(500)])
    wait_until(lambda: len(app.notes()) > 100)
    kill(*consumer.members())
    consume("-w", "2")
    assert get(results) == list(range(500))
    wait_until_settled(app)
    assert set(numbers(app)) == set(range(500))
    assert app.huey.dead() == []


def test_everything_dies_and_what_must_not_repeat_is_dead(app, consume):
    consumer = consume("-w", "2")
    once, again = app.hold_once("a"), app.hold("b")
    started(app, "a")
    started(app, "b")
    kill(*consumer.members())
    consume("-w", "2")
    with pytest.raises(Exception, match="at most once"):
        get(once)
    app.open_gate("b")
    assert get(again) == started(app, "b", times=2)
    assert sorted(app.notes()) == ["a", "b", "b"]
    assert [dead.id for dead in app.huey.dead()] == [once.id]
    assert len(app.huey.storage.consumers()) == 1


def test_the_template_dies(app, consume):
    consumer = consume("-w", "2")
    template = consumer.template(app, 2)
    result = app.hold("a")
    worker = started(app, "a")
    kill(template)
    assert get(app.add(1, 2)) == 3
    kill(worker)
    second = started(app, "a", times=2)
    app.open_gate("a")
    assert get(result) == second
    assert len(consumer.workers(app, 2)) == 2
    kill(consumer.dispatcher)
    assert get(app.add(2, 3)) == 5
    assert consumer.template(app, 2) != template
    assert consumer.stop() == 0


def test_the_template_and_a_worker_die_together(app, consume):
    consumer = consume("-w", "2")
    template = consumer.template(app, 2)
    for pid in (template, get(app.pid())):
        os.kill(pid, signal.SIGKILL)
    assert len(consumer.workers(app, 2)) == 2
    assert consumer.stop() == 0


def test_all_children_die_together(app, consume):
    consumer = consume("-w", "2")
    result = app.hold("a")
    started(app, "a")
    kill(*(set(consumer.members()) - {consumer.pid}))
    second = started(app, "a", times=2)
    app.open_gate("a")
    assert get(result) == second
    assert consumer.stop() == 0


def test_no_child_is_left_unburied(app, consume):
    consumer = consume("-w", "2")
    for _ in range(3):
        kill(get(app.pid()))
    assert len(consumer.workers(app, 2)) == 2
    children = psutil.Process(consumer.pid).children(recursive=True)
    assert [child.status() for child in children if child.status() == psutil.STATUS_ZOMBIE] == []
    assert len(children) == 4

"""Stopping: drain first, interrupt when asked or when the time is up, kill what does not obey."""

from __future__ import annotations

import os
import signal
import time

import pytest

from .consumer import every_kind, get, is_alive, kill, started, wait_until

TERM, INT = signal.SIGTERM, signal.SIGINT


def stop(consumer, number=TERM):
    """Send a signal and wait until it is heard."""
    consumer.send(number)
    consumer.wait_log("stopping")


@every_kind
def test_it_drains(app, consume):
    consumer = consume()
    result = app.hold("a")
    started(app, "a")
    others = [app.work(number) for number in range(20)]
    stop(consumer)
    app.open_gate("a")
    assert consumer.wait() == 0
    assert get(result) == app.pids("a")[0]
    assert app.huey.pending_count() == len(others)
    assert app.huey.running_count() == 0
    assert app.notes() == ["a"]


@every_kind
def test_what_is_prefetched_goes_back(app, consume):
    consumer = consume()
    results = app.work.map([(number, 0.001) for number in range(300)])
    wait_until(lambda: len(app.notes()) > 50)
    assert consumer.stop() == 0
    done = len(app.notes())
    assert done + app.huey.pending_count() == 300
    assert app.huey.running_count() == 0
    assert app.huey.result_count() == done
    consume()
    assert get(results) == list(range(300))
    assert sorted(map(int, app.notes())) == list(range(300))


@every_kind
def test_a_second_signal_interrupts(app, consume):
    consumer = consume("-w", "2")
    app.hold("a")
    app.hold("b")
    started(app, "a")
    started(app, "b")
    stop(consumer)
    assert consumer.stop() == 5
    assert app.huey.pending_count() == 2
    assert app.huey.running_count() == 0
    assert app.huey.dead() == []


def test_a_second_signal_of_the_other_kind_interrupts(app, consume):
    consumer = consume()
    app.hold("a")
    started(app, "a")
    stop(consumer, INT)
    assert consumer.stop(TERM) == 5
    assert app.huey.pending_count() == 1


@every_kind
def test_an_interrupted_task_that_must_not_repeat_is_dead(app, consume):
    consumer = consume()
    result = app.hold_once("a")
    started(app, "a")
    stop(consumer)
    assert consumer.stop() == 5
    assert [dead.id for dead in app.huey.dead()] == [result.id]
    with pytest.raises(Exception, match="at most once"):
        get(result)


@every_kind
@pytest.mark.parametrize("grace", ["0.3", "0"])
def test_the_time_is_up(app, consume, grace):
    consumer = consume("-t", grace)
    result = app.hold("a")
    started(app, "a")
    assert consumer.stop() == 5
    assert app.huey.pending_count() == 1
    consume()
    second = started(app, "a", times=2)
    app.open_gate("a")
    assert get(result) == second


@every_kind
def test_a_task_that_ends_in_time(app, consume):
    consumer = consume("-t", "20")
    result = app.hold("a")
    worker = started(app, "a")
    stop(consumer)
    app.open_gate("a")
    assert consumer.wait() == 0
    assert get(result) == worker


def test_tasks_that_do_not_obey_are_killed(declare, consume):
    app = declare("""
@huey.task()
def stubborn():
    note("start")
    while True:
        try:
            pass_gate("never")
        except BaseException:
            note("refused")
""")
    consumer = consume("-t", "0", "-w", "2")
    app.stubborn()
    app.hold("a")
    workers = started(app, "start"), started(app, "a")
    os.kill(workers[1], signal.SIGSTOP)
    assert consumer.stop() == 5
    assert not any(map(is_alive, workers))
    assert "refused" in app.notes()
    assert app.huey.pending_count() == 2
    assert app.huey.dead() == []


@pytest.mark.parametrize(("graceful", "other"), [(INT, TERM), (TERM, INT)])
def test_the_graceful_signal_by_option(app, consume, graceful, other):
    option = graceful.name.removeprefix("SIG")
    draining = consume("-g", option)
    result = app.hold("a")
    worker = started(app, "a")
    stop(draining, graceful)
    app.open_gate("a")
    assert draining.wait() == 0
    assert get(result) == worker
    interrupting = consume("-g", option)
    app.hold("b")
    started(app, "b")
    assert interrupting.stop(other) == 5
    assert app.huey.pending_count() == 1


def test_the_graceful_signal_twice_goes_on_draining(app, consume):
    consumer = consume("-g", "INT")
    result = app.hold("a")
    worker = started(app, "a")
    stop(consumer, INT)
    consumer.send(INT)
    app.open_gate("a")
    assert consumer.wait() == 0
    assert get(result) == worker


@pytest.mark.parametrize("options", [["-g", "INT"], ["-t", "0"]])
def test_interrupting_nothing_is_a_clean_end(app, consume, options):
    consumer = consume("-w", "2", *options)
    assert get(app.add(1, 2)) == 3
    assert consumer.stop(TERM) == 0


@every_kind
def test_the_dispatcher_dies_while_it_drains(app, consume):
    consumer = consume()
    result = app.hold("a")
    worker = started(app, "a")
    dispatcher = consumer.dispatcher
    stop(consumer)
    kill(dispatcher)
    app.open_gate("a")
    assert consumer.wait() == 0
    assert get(result) == worker
    assert app.notes() == ["a"]


def test_the_dispatcher_died_just_before(app, consume):
    consumer = consume()
    result = app.hold("a")
    worker = started(app, "a")
    kill(consumer.dispatcher)
    stop(consumer)
    app.open_gate("a")
    assert consumer.wait() == 0
    assert get(result) == worker


@every_kind
def test_a_worker_dies_while_it_drains(app, consume):
    """Nobody interrupted the task: that its worker is gone is a crash, as at any other time."""
    consumer = consume()
    result = app.hold("a")
    worker = started(app, "a")
    stop(consumer)
    kill(worker)
    assert consumer.wait() == 0
    assert app.huey.pending_count() == 1
    assert app.huey.running_count() == 0
    assert [attempt.status for attempt in app.huey.history(id=result.id)] == ["crashed"]
    assert "was killed by SIGKILL" in consumer.log


def test_a_task_that_ends_its_worker_at_each_stop_is_given_up(app, consume):
    result = app.hold("a")
    for times in (1, 2):
        consumer = consume("--max-crashes", "2")
        worker = started(app, "a", times=times)
        stop(consumer)
        kill(worker)
        assert consumer.wait() == 0
    assert [dead.id for dead in app.huey.dead()] == [result.id]


def test_a_task_that_leaves_by_the_back_door_while_it_drains(declare, consume):
    app = declare("""
@huey.task()
def leave():
    note("leave")
    pass_gate("leave")
    os._exit(0)
""")
    consumer = consume()
    result = app.leave()
    started(app, "leave")
    stop(consumer)
    app.open_gate("leave")
    assert consumer.wait() == 0
    assert [attempt.status for attempt in app.huey.history(id=result.id)] == ["crashed"]


@every_kind
def test_the_supervisor_dies_while_it_drains(app, consume):
    consumer = consume()
    result = app.hold("a")
    worker = started(app, "a")
    stop(consumer)
    kill(consumer.pid)
    app.open_gate("a")
    consumer.wait_all_dead()
    assert get(result) == worker


def test_signals_to_the_very_end_change_nothing(app, consume):
    """Not even those that arrive while Python itself ends."""
    consumer = consume()
    while consumer.process.poll() is None:
        consumer.process.send_signal(signal.SIGTERM)
        time.sleep(0.0005)
    assert consumer.wait() == 0


def test_start_and_stop_at_any_moment(app, launch):
    """However early the signal comes: it ends soon, and nothing is left."""
    consumers = []
    for step in range(8):
        consumer = launch("-w", "2")
        wait_until(lambda consumer=consumer, step=step: len(consumer.members()) > min(step, 3))
        consumer.send(TERM)
        consumers.append(consumer)
    for consumer in consumers:
        assert consumer.wait() in {0, -TERM}
        consumer.wait_all_dead()
    assert app.huey.storage.consumers() == {}

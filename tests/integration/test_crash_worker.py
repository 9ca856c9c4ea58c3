"""A worker dies: its task runs again at once on another, or ends in a state that names why."""

from __future__ import annotations

import os
import signal

import pytest

from liteq import TaskException

from .consumer import (
    every_kind,
    get,
    is_alive,
    kill,
    started,
    wait_until,
    wait_until_dead,
    wait_until_settled,
)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_task_runs_again_elsewhere(app, consume, workers):
    consumer = consume("-w", workers)
    result = app.hold("a")
    victim = started(app, "a")
    kill(victim)
    second = started(app, "a", times=2)
    app.open_gate("a")
    assert get(result) == second != victim
    assert app.notes() == ["a", "a"]
    assert app.huey.result_count() == 0
    assert len(consumer.workers(app, int(workers))) == int(workers)
    assert consumer.stop() == 0


@every_kind
def test_only_the_running_task_is_charged(app, consume):
    consume()
    held = app.hold("a")
    waiting = app.work.map([(number,) for number in range(50)])
    for times in (1, 2):
        kill(started(app, "a", times))
    started(app, "a", times=3)
    app.open_gate("a")
    get(held)
    assert sorted(get(waiting)) == list(range(50))
    assert sorted(app.notes()) == sorted(["a"] * 3 + [str(number) for number in range(50)])
    assert app.huey.dead() == []


@every_kind
def test_a_task_that_must_not_repeat_is_dead(app, consume):
    consume()
    result = app.hold_once("a")
    kill(started(app, "a"))
    with pytest.raises(TaskException, match="SIGKILL"):
        get(result)
    app.open_gate("a")
    get(app.pid())
    assert app.notes() == ["a"]
    (dead,) = app.huey.dead()
    assert (dead.id, dead.attempts, dead.crashes) == (result.id, 1, 1) or dead.crashes == 0
    assert "SIGKILL" in dead.reason


@every_kind
def test_a_task_that_kills_each_worker_is_given_up_and_can_be_revived(app, consume):
    consumer = consume("-w", "2")
    result = app.hold("a")
    for times in (1, 2, 3):
        kill(started(app, "a", times))
    with pytest.raises(TaskException, match="SIGKILL"):
        get(result)
    (dead,) = app.huey.dead()
    assert dead.id == result.id
    assert dead.name == "app.hold"
    assert dead.attempts == 3
    assert "SIGKILL" in dead.reason
    assert result.id in consumer.log
    assert app.huey.running_count() == 0
    app.open_gate("a")
    assert app.huey.revive(result.id) == 1
    result.reset()
    assert get(result) == started(app, "a", times=4)
    assert app.huey.dead() == []


def test_max_crashes(app, consume):
    consume("--max-crashes", "1")
    result = app.hold("a")
    kill(started(app, "a"))
    with pytest.raises(TaskException):
        get(result)
    assert app.notes() == ["a"]


@pytest.mark.parametrize(
    ("end", "reason"),
    [("os._exit(7)", "exited with code 7"), ("os._exit(0)", "exited"), ("os.abort()", "SIGABRT")],
)
def test_a_task_that_ends_its_worker(declare, consume, end, reason):
    app = declare(f"""
@huey.task()
def leave():
    note("leave")
    {end}
""")
    consume()
    with pytest.raises(TaskException, match=reason):
        get(app.leave())
    assert app.notes() == ["leave"] * 3
    assert get(app.add(1, 2)) == 3


@every_kind
def test_the_stages_after_a_dead_task_end_with_it(app, consume):
    consume("--max-crashes", "1")
    results = app.huey.enqueue(app.hold.s("a").then(app.add, 1))
    kill(started(app, "a"))
    for result in results:
        with pytest.raises(TaskException, match="SIGKILL"):
            get(result)


@every_kind
def test_a_worker_told_to_end_gives_its_task_back(app, consume):
    consumer = consume()
    result = app.hold("a")
    victim = started(app, "a")
    os.kill(victim, signal.SIGTERM)
    wait_until_dead(victim)
    second = started(app, "a", times=2)
    app.open_gate("a")
    assert get(result) == second
    assert app.huey.dead() == []
    assert consumer.stop() == 0


def test_idle_workers_are_replaced(app, consume):
    consumer = consume("-w", "3")
    before = consumer.workers(app, 3)
    kill(*before)
    after = consumer.workers(app, 3)
    assert before.isdisjoint(after)
    assert consumer.stop() == 0


@every_kind
def test_workers_die_all_the_time(app, consume):
    """Whatever is killed whenever: every task ends, each at least once."""
    consumer = consume("-w", "2", "--max-crashes", "100")
    results = app.work.map([(number, 0.002) for number in range(600)])
    dispatcher = consumer.dispatcher
    for kills in range(1, 9):
        wait_until(lambda kills=kills: len(set(app.notes())) > 50 * kills)
        workers = set(consumer.members()) - {consumer.pid, dispatcher}
        kill(app.pids(app.notes()[-1])[-1])
        assert workers
    assert get(results) == list(range(600))
    wait_until_settled(app)
    assert set(app.notes()) == {str(number) for number in range(600)}
    assert is_alive(dispatcher)
    assert consumer.stop() == 0

"""A consumer of a queue in a folder: what one on SQLite promises, it promises too."""

from __future__ import annotations

import os
import signal

import pytest

from liteq import TaskException

from .consumer import IN_FOLDER, get, is_alive, kill, started, wait_until, wait_until_settled, write_app

MORE = """
from liteq import crontab

@huey.task(retries=2)
def stumble(name):
    note(name)
    if notes().count(name) < 3:
        raise ValueError(name)
    return notes().count(name)


@huey.task(timeout=0.1)
def oversleep():
    time.sleep(60)


@huey.task(timeout=0.05)
def write_for_ever():
    while True:
        huey.put("key", time.time())


@huey.task()
def large():
    return "x" * 3_000_000


@huey.task()
def follow():
    with huey.lock_task("follow"):
        huey.incr("followed")
        return work(7).id


@huey.task()
def collect(values):
    return sum(values)
"""


@pytest.fixture
def app(tmp_path):
    module = write_app(tmp_path, MORE, IN_FOLDER)
    yield module
    module.huey.storage.close()


def test_tasks_run_and_what_they_cause_is_stored(app, consume):
    consumer = consume("-w", "2")
    assert "queues/huey" in consumer.log
    assert get(app.add(1, 2)) == 3
    assert get(app.stumble("a")) == 3
    assert get(app.huey.enqueue(app.add.s(1, 2).then(app.add, 3))) == [3, 6]
    assert get(app.add.schedule((1, 2), delay=0.05)) == 3
    assert get(app.large()) == "x" * 3_000_000
    assert app.huey.result(get(app.follow()), blocking=True, timeout=60) == 7
    assert app.huey.counter("followed") == 1
    with pytest.raises(TaskException, match="it went wrong"):
        get(app.fail())
    with pytest.raises(TaskException, match="TaskTimeout"):
        get(app.oversleep())
    wait_until_settled(app)
    assert app.huey.result_count() == 0
    assert consumer.stop() == 0


def test_a_chord(app, consume):
    from liteq import chord

    consume("-w", "2")
    handle = app.huey.enqueue(chord([app.echo.s(number) for number in range(30)], app.collect.s()))
    assert get(handle) == sum(range(30))


def test_an_idle_consumer_is_woken_at_once(app, consume):
    consume("-d", "30", "-m", "30")
    assert all(get(app.echo(number)) == number for number in range(20))


def test_a_task_whose_worker_is_killed_runs_again(app, consume):
    consumer = consume()
    result = app.hold("a")
    victim = started(app, "a")
    kill(victim)
    second = started(app, "a", times=2)
    app.open_gate("a")
    assert get(result) == second != victim
    assert consumer.stop() == 0


def test_a_task_that_must_not_repeat_is_dead(app, consume):
    consume()
    result = app.hold_once("a")
    kill(started(app, "a"))
    with pytest.raises(TaskException, match="SIGKILL"):
        get(result)
    (dead,) = app.huey.dead()
    assert dead.id == result.id


def test_dispatchers_and_workers_are_killed_all_the_time(app, consume):
    """Whatever is killed whenever: every task ends, each at least once."""
    consumer = consume("-w", "2", "--max-crashes", "100")
    results = app.work.map([(number, 0.002) for number in range(300)])
    for kills in range(1, 7):
        wait_until(lambda kills=kills: len(set(app.notes())) > 35 * kills)
        kill(consumer.dispatcher if kills % 2 else app.pids(app.notes()[-1])[-1])
    assert get(results) == list(range(300))
    wait_until_settled(app)
    assert set(app.notes()) == {str(number) for number in range(300)}
    assert consumer.stop() == 0


def test_a_running_task_outlives_its_dispatcher(app, consume):
    consumer = consume()
    result = app.hold("a")
    worker, dispatcher = started(app, "a"), consumer.dispatcher
    kill(dispatcher)
    wait_until(lambda: consumer.find_dispatcher() not in {None, dispatcher}, "another dispatcher")
    app.open_gate("a")
    assert get(result) == worker
    assert app.notes() == ["a"]
    assert consumer.stop() == 0


def test_two_consumers_share_the_work_and_one_recovers_the_other(app, consume):
    first, second = consume("-w", "2"), consume("-w", "2")
    results = app.work.map([(number, 0.002) for number in range(300)])
    wait_until(lambda: len(app.notes()) > 60)
    kill(*first.members())
    assert get(results) == list(range(300))
    wait_until_settled(app)
    assert second.stop() == 0


def test_each_task_runs_once(app, consume):
    consumers = consume("-w", "2"), consume("-w", "2")
    results = app.work.map([(number, 0.001) for number in range(300)])
    assert get(results) == list(range(300))
    wait_until_settled(app)
    assert sorted(map(int, app.notes())) == list(range(300))
    assert [consumer.stop() for consumer in consumers] == [0, 0]


def test_a_consumer_that_was_killed_leaves_its_tasks_to_the_next(app, consume):
    first = consume()
    result = app.hold("a")
    started(app, "a")
    app.work(1)
    kill(*first.members())
    consume()
    app.open_gate("a")
    assert is_alive(get(result))
    wait_until_settled(app)
    assert sorted(app.notes()) == ["1", "a", "a"]


def test_a_stop_gives_back_what_is_interrupted(app, consume):
    consumer = consume()
    app.hold("a")
    started(app, "a")
    consumer.send(signal.SIGTERM)
    consumer.wait_log("stopping after")
    os.kill(consumer.pid, signal.SIGTERM)
    assert consumer.wait() == 5
    assert [task.name for task in app.huey.pending()] == ["hold"]


def test_a_task_that_is_stopped_in_the_middle_of_a_verb_leaves_no_lock(app, consume):
    consumer = consume("-w", "2")
    for stopped in [app.write_for_ever() for _ in range(20)]:
        with pytest.raises(TaskException, match="TaskTimeout"):
            get(stopped)
    assert get(app.add(1, 2)) == 3
    assert consumer.stop() == 0

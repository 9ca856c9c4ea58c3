"""The dispatcher dies: the workers go on, and no finished work is thrown away."""

from __future__ import annotations

import os
import signal
import time

import apsw

from .consumer import every_kind, get, kill, started, wait_until, wait_until_dead, wait_until_settled


@every_kind
def test_a_running_task_goes_on_and_its_result_arrives(app, consume):
    consumer = consume()
    result = app.hold("a")
    worker = started(app, "a")
    first = consumer.dispatcher
    kill(first)
    assert wait_until(consumer.find_dispatcher) != first
    app.open_gate("a")
    assert get(result) == worker
    assert app.notes() == ["a"]
    assert consumer.stop() == 0


def test_a_task_longer_than_any_patience_is_not_run_again(app, consume):
    consumer = consume("-w", "2")
    result = app.hold("a")
    worker = started(app, "a")
    kill(consumer.dispatcher)
    assert get(app.add(1, 2)) == 3
    time.sleep(1.5)  # a task that was taken to be lost would run again meanwhile
    assert get(app.add(1, 2)) == 3
    app.open_gate("a")
    assert get(result) == worker
    assert app.notes() == ["a"]


@every_kind
def test_a_task_that_ends_while_there_is_no_dispatcher(app, consume):
    consumer = consume()
    result = app.hold("a")
    worker = started(app, "a")
    dispatcher = consumer.dispatcher
    os.kill(consumer.pid, signal.SIGSTOP)  # nobody starts another one now
    os.kill(dispatcher, signal.SIGKILL)
    wait_until_dead(dispatcher)
    app.open_gate("a")
    time.sleep(0.1)
    assert app.huey.result_count() == 0
    os.kill(consumer.pid, signal.SIGCONT)
    assert get(result) == worker
    assert app.notes() == ["a"]


def test_work_that_must_not_repeat_survives_it(app, consume):
    consumer = consume()
    result = app.hold_once("a")
    worker = started(app, "a")
    kill(consumer.dispatcher)
    app.open_gate("a")
    assert get(result) == worker
    assert app.notes() == ["a"]
    assert app.huey.dead() == []


@every_kind
def test_under_load(app, consume):
    consumer = consume("-w", "2")
    results = app.work.map([(number, 0.0005) for number in range(2000)])
    for kills in (1, 2, 3):
        wait_until(lambda kills=kills: len(app.notes()) > 400 * kills)
        kill(consumer.dispatcher)
    assert get(results) == list(range(2000))
    wait_until_settled(app)
    assert sorted(map(int, app.notes())) == list(range(2000))
    assert app.huey.dead() == []
    assert consumer.stop() == 0


@every_kind
def test_it_dies_again_and_again(app, consume):
    consumer = consume("-w", "2")
    result = app.hold("a")
    worker = started(app, "a")
    for number in range(8):
        kill(consumer.dispatcher)
        # The next one works: those that are killed before they are ready have only a few lives together.
        assert get(app.add(number, 2)) == number + 2
    app.open_gate("a")
    assert get(result) == worker
    assert consumer.stop() == 0


@every_kind
def test_together_with_the_worker(app, consume):
    """Nobody is left who knows what ran where."""
    consumer = consume()
    result = app.hold("a")
    worker = started(app, "a")
    kill(consumer.dispatcher, worker)
    second = started(app, "a", times=2)
    app.open_gate("a")
    assert get(result) == second
    assert app.notes() == ["a", "a"]
    assert consumer.stop() == 0


def test_together_with_all_workers_under_load(app, consume):
    consumer = consume("-w", "2")
    results = app.work.map([(number, 0.001) for number in range(600)])
    for kills in (1, 2, 3):
        wait_until(lambda kills=kills: len(set(app.notes())) > 100 * kills)
        kill(consumer.dispatcher, *consumer_workers(consumer, app))
    assert get(results) == list(range(600))
    wait_until_settled(app)
    assert consumer.stop() == 0


def consumer_workers(consumer, app):
    """The workers that live, known by their notes."""
    alive = set(consumer.members())
    return {pid for number in set(app.notes()) for pid in app.pids(number) if pid in alive}


def test_while_the_file_is_locked_for_too_long(declare, consume):
    """The next one can't open the file; that passes, and must not end the consumer."""
    app = declare("huey.storage = SqliteHuey(filename=HERE / 'queue.db', timeout=0.2).storage")
    consumer = consume()
    result = app.hold("a")
    worker = started(app, "a")
    dispatcher = consumer.dispatcher
    connection = apsw.Connection(str(consumer.folder / "queue.db"))
    connection.set_busy_timeout(10_000)
    connection.execute("BEGIN IMMEDIATE")
    kill(dispatcher)
    time.sleep(1.5)  # several times its timeout
    connection.execute("COMMIT")
    connection.close()
    app.open_gate("a")
    assert get(result) == worker
    assert consumer.process.poll() is None


def test_storage_that_fails_for_a_while(declare, consume):
    """Outcomes wait in the dispatcher until they can be stored."""
    app = declare("huey.storage = SqliteHuey(filename=HERE / 'queue.db', timeout=0.2).storage")
    consumer = consume("-w", "2")
    results = [app.hold("a"), app.hold("b")]
    expected = [started(app, "a"), started(app, "b")]
    connection = apsw.Connection(str(consumer.folder / "queue.db"))
    connection.set_busy_timeout(10_000)
    connection.execute("BEGIN IMMEDIATE")
    app.open_gate("a")
    app.open_gate("b")
    consumer.wait_log("trying again")
    connection.execute("COMMIT")
    connection.close()
    assert [get(result) for result in results] == expected
    assert sorted(app.notes()) == ["a", "b"]
    consumer.wait_log("Storage works again")
    assert consumer.stop() == 0

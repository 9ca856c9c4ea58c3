"""SIGHUP: new code without a pause, and without harm to what runs."""

from __future__ import annotations

import os
import signal
import time

import pytest

from .consumer import every_kind, get, is_alive, kill, processor_time, started, wait_until

VERSION = """
@huey.task()
def version():
    return {number}
"""

SLOW = (
    VERSION
    + """
time.sleep(0.5)
"""
)


def reload(consumer):
    """Send SIGHUP and wait until new code is in force everywhere."""
    times = consumer.log.count("is loaded anew") + 1
    consumer.send(signal.SIGHUP)
    consumer.wait_log("is loaded anew", times)


def wait_for_version(app, number):
    wait_until(lambda: get(app.version()) == number, f"version {number}")


def test_new_code(declare, consume):
    app = declare(VERSION.format(number=1))
    consumer = consume("-w", "2")
    before = consumer.workers(app, 2) | {consumer.dispatcher}
    assert get(app.version()) == 1
    declare(VERSION.format(number=2))
    reload(consumer)
    wait_for_version(app, 2)
    wait_until(lambda: not any(map(is_alive, before)), "the end of the old processes")
    assert {get(app.version()) for _ in range(20)} == {2}
    assert is_alive(consumer.pid)
    assert len(consumer.workers(app, 2)) == 2
    assert consumer.stop() == 0


def test_many_times(declare, consume):
    app = declare(VERSION.format(number=0))
    consumer = consume("-w", "2")
    for number in range(1, 6):
        declare(VERSION.format(number=number))
        reload(consumer)
        wait_for_version(app, number)
    assert len(consumer.workers(app, 2)) == 2
    assert consumer.stop() == 0


@every_kind
def test_no_task_is_lost_or_repeated_by_it(declare, consume):
    app = declare(VERSION.format(number=1))
    consumer = consume("-w", "2")
    results = app.work.map([(number, 0.001) for number in range(1500)])
    wait_until(lambda: len(app.notes()) > 100)
    reload(consumer)
    wait_until(lambda: len(app.notes()) > 800)
    reload(consumer)
    assert get(results) == list(range(1500))
    assert sorted(map(int, app.notes())) == list(range(1500))
    assert consumer.stop() == 0


def test_a_running_task_survives(declare, consume):
    app = declare(VERSION.format(number=1))
    consumer = consume("-w", "2")
    result = app.hold("a")
    worker = started(app, "a")
    declare(VERSION.format(number=2))
    reload(consumer)
    wait_for_version(app, 2)
    assert is_alive(worker)
    app.open_gate("a")
    assert get(result) == worker
    assert app.notes() == ["a"]
    wait_until(lambda: not is_alive(worker))
    assert len(consumer.workers(app, 2)) == 2


def test_a_running_task_survives_two_of_them(declare, consume):
    app = declare(VERSION.format(number=1))
    consumer = consume("-w", "2")
    result = app.hold_once("a")
    worker = started(app, "a")
    for number in (2, 3):
        declare(VERSION.format(number=number))
        reload(consumer)
        wait_for_version(app, number)
    app.open_gate("a")
    assert get(result) == worker
    assert app.notes() == ["a"]


def test_new_tasks_are_known(declare, consume):
    app = declare("")
    consumer = consume()
    worker = get(app.pid())
    app = declare(VERSION.format(number=1))
    reload(consumer)
    wait_until(lambda: not is_alive(worker))
    assert get(app.version()) == 1


def test_broken_code_changes_nothing(declare, consume, tmp_path):
    app = declare(VERSION.format(number=1))
    consumer = consume("-w", "2")
    workers = consumer.workers(app, 2)
    source = (tmp_path / "app.py").read_text()
    (tmp_path / "app.py").write_text(source + "\n1 / 0\n")
    consumer.send(signal.SIGHUP)
    consumer.wait_log("ZeroDivisionError")
    assert "old code stays" in consumer.log
    assert get(app.version()) == 1
    assert consumer.workers(app, 2) == workers
    declare(VERSION.format(number=2))
    reload(consumer)
    wait_for_version(app, 2)
    assert consumer.stop() == 0


def test_after_broken_code_a_killed_worker_is_still_replaced(declare, consume, tmp_path):
    app = declare(VERSION.format(number=1))
    consumer = consume()
    (tmp_path / "app.py").write_text("1 / 0\n")
    consumer.send(signal.SIGHUP)
    consumer.wait_log("old code stays")
    kill(get(app.pid()))
    assert get(app.version()) == 1
    kill(consumer.dispatcher)
    assert get(app.version()) == 1
    assert consumer.stop() == 0


def test_a_second_one_during_the_first(declare, consume):
    """What is on disk when the last signal comes is what counts."""
    app = declare(SLOW.format(number=1))
    consumer = consume()
    declare(SLOW.format(number=2))
    consumer.send(signal.SIGHUP)
    consumer.wait_log("SIGHUP")
    wait_until(lambda: len(consumer.members()) == 5)  # the new template has started to import
    declare(SLOW.format(number=3))
    consumer.send(signal.SIGHUP)
    wait_for_version(app, 3)
    assert consumer.stop() == 0


def test_one_while_it_starts(declare, launch):
    app = declare(SLOW.format(number=1))
    consumer = launch()
    wait_until(lambda: len(consumer.members()) == 2)
    declare(SLOW.format(number=2))
    consumer.send(signal.SIGHUP)
    consumer.wait_ready()
    wait_for_version(app, 2)


def test_stopping_in_the_middle_of_it(declare, consume):
    app = declare(VERSION.format(number=1))
    consumer = consume("-w", "2")
    assert get(app.version()) == 1
    reload(consumer)
    assert consumer.stop() == 0
    consumer.wait_all_dead()


@pytest.mark.parametrize("then", [signal.SIGCONT, signal.SIGKILL])
def test_stopping_while_the_dispatcher_leaves(app, consume, then):
    """It leaves what there is to settle to the next one, which has to come although the consumer stops."""
    consumer = consume("-w", "2", "-t", "0.1", "--kill-after", "0.1")
    workers = consumer.workers(app, 2)
    results = [app.work(number, 30) for number in range(2)]
    started(app, "0")
    started(app, "1")
    dispatcher = consumer.dispatcher
    os.kill(dispatcher, signal.SIGSTOP)
    consumer.send(signal.SIGHUP)
    consumer.wait_log("is loaded anew")
    consumer.send(signal.SIGTERM)
    wait_until(lambda: not any(map(is_alive, workers)), "the end of the workers")
    os.kill(dispatcher, then)
    assert consumer.wait() == 5
    assert app.huey.storage.consumers() == {}
    assert sorted(task.id for task in app.huey.pending()) == sorted(result.id for result in results)


def test_stopping_while_the_new_code_is_imported(declare, consume):
    app = declare(VERSION.format(number=1))
    consumer = consume("-w", "2")
    result = app.hold("a")
    worker = started(app, "a")
    declare(SLOW.format(number=2))
    consumer.send(signal.SIGHUP)
    consumer.wait_log("SIGHUP")
    consumer.send(signal.SIGTERM)
    consumer.wait_log("stopping")
    app.open_gate("a")
    assert consumer.wait() == 0
    assert get(result) == worker
    consumer.wait_all_dead()


def test_the_dispatcher_dies_in_the_middle_of_it(declare, consume):
    app = declare(VERSION.format(number=1))
    consumer = consume("-w", "2")
    result = app.hold("a")
    worker = started(app, "a")
    declare(VERSION.format(number=2))
    reload(consumer)
    kill(consumer.dispatcher)
    wait_for_version(app, 2)
    app.open_gate("a")
    assert get(result) == worker
    assert app.notes() == ["a"]
    assert len(consumer.workers(app, 2)) == 2
    assert consumer.stop() == 0


def test_the_supervisor_dies_in_the_middle_of_it(declare, consume):
    app = declare(VERSION.format(number=1))
    consumer = consume("-w", "2")
    results = app.work.map([(number, 0.002) for number in range(300)])
    declare(VERSION.format(number=2))
    reload(consumer)
    kill(consumer.pid)
    consumer.wait_all_dead()
    consume("-w", "2")
    assert get(results) == list(range(300))
    assert set(map(int, app.notes())) == set(range(300))
    assert get(app.version()) == 2


def test_after_the_death_of_the_template(declare, consume):
    app = declare(VERSION.format(number=1))
    consumer = consume("-w", "2")
    kill(consumer.template(app, 2))
    declare(VERSION.format(number=2))
    consumer.send(signal.SIGHUP)
    wait_for_version(app, 2)
    assert len(consumer.workers(app, 2)) == 2
    assert consumer.stop() == 0


def test_workers_die_in_the_middle_of_it(declare, consume):
    app = declare(VERSION.format(number=1))
    consumer = consume("-w", "2")
    results = app.work.map([(number, 0.001) for number in range(500)])
    for number in (2, 3, 4):
        declare(VERSION.format(number=number))
        reload(consumer)
        kill(get(app.pid(priority=1)))
        wait_until(lambda number=number: get(app.version(priority=1)) == number)
    assert get(results) == list(range(500))
    assert consumer.stop() == 0


def test_a_worker_that_is_to_be_replaced_dies_over_its_task(declare, consume):
    app = declare(VERSION.format(number=1))
    consumer = consume("--max-crashes", "1")
    result = app.hold("a")
    worker = started(app, "a")
    declare(VERSION.format(number=2))
    reload(consumer)
    consumer.wait_log("replacing the workers")
    time.sleep(0.5)  # the worker is told to end after the dispatcher has been replaced
    kill(worker)
    wait_until(app.huey.dead, "the end of its only chance")
    assert [dead.id for dead in app.huey.dead()] == [result.id]
    wait_for_version(app, 2)


def test_waiting_for_a_long_task_costs_no_processor_time(declare, consume):
    app = declare(VERSION.format(number=1))
    consumer = consume("-w", "2")
    results = [app.hold("a"), app.hold("b")]
    started(app, "b")
    reload(consumer)
    before = processor_time(consumer.pid)
    time.sleep(1)
    assert processor_time(consumer.pid) - before < 0.3
    app.open_gate("a")
    app.open_gate("b")
    assert len([get(result) for result in results]) == 2


def test_an_application_with_threads(declare, consume):
    threads = "\nimport threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    app = declare(VERSION.format(number=1) + threads)
    consumer = consume("-w", "2")
    result = app.hold("a")
    worker = started(app, "a")
    declare(VERSION.format(number=2) + threads)
    consumer.send(signal.SIGHUP)
    wait_for_version(app, 2)
    app.open_gate("a")
    assert get(result) == worker
    assert app.notes() == ["a"]
    assert consumer.stop() == 0


def test_an_application_that_gains_threads(declare, consume):
    app = declare(VERSION.format(number=1))
    consumer = consume("-w", "2")
    declare(
        VERSION.format(number=2)
        + "\nimport threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    reload(consumer)
    wait_for_version(app, 2)
    consumer.wait_log("imports the application for itself")
    kill(get(app.pid()))
    assert get(app.version()) == 2
    assert consumer.stop() == 0

"""A consumer starts, says what it is, runs tasks and stops."""

from __future__ import annotations

import os
import re
import signal

import pytest

from .consumer import get, is_alive, kill, wait_until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_tasks_run_and_a_signal_stops_it(app, consume, number):
    consumer = consume()
    assert get(app.add(1, 2)) == 3
    assert get(app.add.map([(i, i) for i in range(100)])) == [2 * i for i in range(100)]
    assert consumer.stop(number) == 0
    assert consumer.members() == []
    assert app.huey.storage.consumers() == {}
    assert "Traceback" not in consumer.log


def test_tasks_enqueued_before_the_start_run(app, consume):
    results = app.add.map([(i, 1) for i in range(50)])
    consume()
    assert get(results) == list(range(1, 51))


def test_each_worker_is_a_process(app, consume):
    consumer = consume("-w", "3")
    workers = consumer.workers(app, 3)
    assert len(workers) == 3
    assert consumer.pid not in workers
    assert consumer.dispatcher not in workers


def test_many_workers(app, consume):
    consumer = consume("-w", "20")
    assert len(consumer.workers(app, 20)) == 20
    assert consumer.stop() == 0


def test_it_introduces_itself(app, consume, tmp_path):
    log = consume("-w", "2").log
    assert "2 process workers" in log
    assert str(tmp_path / "queue.db") in log
    assert re.search(r"SQLite [\d.]+, full", log)
    assert re.search(rf"\b{len(app.huey.registry)} tasks", log)


def test_ctrl_c_reaches_all_processes_and_still_drains(app, consume):
    consumer = consume("-w", "2")
    result = app.hold("a")
    wait_until(lambda: app.notes() == ["a"])
    os.killpg(consumer.pid, signal.SIGINT)
    consumer.wait_log("stopping")
    app.open_gate("a")
    assert consumer.wait() == 0
    assert get(result) == app.pids("a")[0]


def test_stop_before_it_is_ready(declare, launch):
    declare("time.sleep(0.4)")
    consumer = launch()
    wait_until(lambda: len(consumer.members()) > 1, "the template")
    assert consumer.stop() == 0
    consumer.wait_all_dead()


def test_an_application_in_a_package(launch, tmp_path, app):
    package = tmp_path / "shop" / "queue"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from app import huey as tasks\n")
    launch(application="shop.queue.tasks").wait_ready()
    assert get(app.add(1, 1)) == 2


def test_an_application_that_enqueues_at_import(declare, consume):
    app = declare("add(1, 2, id='at-import') if __name__ == 'app' and not huey.pending() else None\n")
    consumer = consume("-w", "2")
    assert get(app.add(2, 3)) == 5
    kill(get(app.pid()))
    assert get(app.add(3, 4)) == 7
    assert consumer.stop() == 0


def test_queues_that_share_a_file(declare, launch):
    app = declare("""
second = SqliteHuey("second", filename=HERE / "queue.db")

@second.task()
def other():
    return os.getpid()
""")
    first, second = launch(), launch(application="app.second")
    assert get(app.pid()) in first.members()
    assert get(app.other()) in second.members()
    assert (first.stop(), second.stop()) == (0, 0)


def test_tasks_enqueue_and_wait_for_others(declare, consume):
    app = declare("""
@huey.task()
def parent(number):
    return sum(add(i, 1).get(blocking=True, timeout=60) for i in range(number))
""")
    consumer = consume("-w", "2")
    assert get(app.parent(5)) == 15
    assert consumer.stop() == 0


def test_an_application_with_thousands_of_tasks(declare, consume):
    app = declare("""
for number in range(3000):
    huey.task(name=f"task_number_{number}_of_a_very_large_application")(lambda: 1)
""")
    consumer = consume("-v")
    assert get(app.add(1, 2)) == 3
    assert f"{len(app.huey.registry)} tasks" in consumer.log


def test_an_application_that_starts_a_thread_at_import(declare, consume):
    app = declare("""
import threading
threading.Thread(target=threading.Event().wait, name="ticker", daemon=True).start()
""")
    consumer = consume("-w", "2")
    assert re.search(r"WARNING.*ticker", consumer.log)
    workers = consumer.workers(app, 2)
    victim = app.hold("a")
    wait_until(lambda: app.notes().count("a") == 1)
    kill(app.pids("a")[0])
    app.open_gate("a")
    assert get(victim) not in {app.pids("a")[0], consumer.pid}
    assert len(consumer.workers(app, 2) | workers) == 3
    assert consumer.stop() == 0


def test_the_supervisor_of_an_application_with_threads_is_missed(declare, consume):
    app = declare("""
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
""")
    consumer = consume("-w", "2")
    assert get(app.add(1, 2)) == 3
    kill(consumer.pid)
    consumer.wait_all_dead()


def test_a_task_that_ends_its_own_process_is_no_end_of_the_consumer(declare, consume):
    app = declare("""
@huey.task()
def leave(code):
    sys.exit(code)
import sys
""")
    consumer = consume()
    worker = get(app.pid())
    result = app.leave(3)
    with pytest.raises(Exception, match="SystemExit"):
        get(result)
    assert get(app.pid()) == worker
    assert is_alive(consumer.pid)

"""Producers of all kinds: what a call acknowledged runs, whatever becomes of the caller."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from .consumer import PATIENCE, ROOT, get, wait_until, wait_until_settled

ENDLESS = """
import app, itertools
for number in itertools.count():
    app.work(number)
    app.note(f"acknowledged-{number}")
"""

FORKING = """
import app, os
app.work("parent")
children = []
for child in range(4):
    pid = os.fork()
    if not pid:
        for number in range(50):
            app.work(f"{child}-{number}")
        os._exit(0)
    children.append(pid)
    app.work(f"parent-{child}")
assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
"""

POOL = """
import app, multiprocessing

def produce(number):
    return app.work(number).get(blocking=True, timeout=60)

if __name__ == "__main__":
    app.work("first").get(blocking=True, timeout=60)
    with multiprocessing.get_context("METHOD").Pool(3) as pool:
        assert pool.map(produce, range(60)) == list(range(60))
"""

THREADS = """
import app, concurrent.futures
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    results = list(pool.map(lambda n: app.work(n).get(blocking=True, timeout=60), range(200)))
assert results == list(range(200))
"""


@pytest.fixture
def produce(tmp_path):
    """Runs a script beside the application in a process of its own."""
    processes = []

    def start(script):
        (tmp_path / "producer.py").write_text(script)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        process = subprocess.Popen([sys.executable, "producer.py"], cwd=tmp_path, env=environment)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def acknowledged(app):
    return {note.removeprefix("acknowledged-") for note in app.notes() if note.startswith("ack")}


def test_a_producer_is_killed(app, consume, produce):
    consume("-w", "2")
    for more in (1, 2, 3):
        before = len(acknowledged(app))
        producer = produce(ENDLESS)
        wait_until(lambda before=before: len(acknowledged(app)) > before)
        wait_until(lambda more=more: len(app.notes()) > 200 * more)
        producer.kill()
        producer.wait()
    wait_until_settled(app)
    assert acknowledged(app) <= set(app.notes())


def test_producers_that_fork(app, consume, produce):
    consume("-w", "2")
    assert produce(FORKING).wait(PATIENCE) == 0
    wait_until_settled(app)
    expected = [f"{child}-{number}" for child in range(4) for number in range(50)]
    assert sorted(app.notes()) == sorted([*expected, "parent", *(f"parent-{child}" for child in range(4))])


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_producers_in_a_pool_of_processes(app, consume, produce, method):
    consume("-w", "2")
    assert produce(POOL.replace("METHOD", method)).wait(PATIENCE) == 0
    assert sorted(app.notes()) == sorted(["first", *map(str, range(60))])


def test_producers_in_threads(app, consume, produce):
    consume("-w", "2")
    assert produce(THREADS).wait(PATIENCE) == 0
    assert sorted(map(int, app.notes())) == list(range(200))


def test_tasks_that_fork(declare, consume):
    """multiprocessing inside a task, also when the task has used the queue before."""
    app = declare("""
import subprocess

def child():
    add(1, 2)

@huey.task()
def forking():
    add(0, 0)
    pid = os.fork()
    if not pid:
        child()
        os._exit(0)
    return os.waitpid(pid, 0)[1], subprocess.run(["echo", "hello"], capture_output=True).stdout
""")
    consumer = consume("-w", "2")
    assert get(app.forking()) == (0, b"hello\n")
    wait_until_settled(app)
    assert app.huey.result_count() == 2
    assert consumer.stop() == 0


def test_a_process_that_a_task_leaves_behind_does_not_hold_the_consumer(declare, consume):
    app = declare("""
import subprocess

@huey.task()
def leave_behind():
    return subprocess.Popen(["sleep", "300"]).pid
""")
    consumer = consume()
    left = get(app.leave_behind())
    assert consumer.stop() == 0
    wait_until(lambda: consumer.members() == [left])

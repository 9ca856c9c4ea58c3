"""`liteq status` beside consumers at work: what it shows, and that they do not notice."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from .consumer import PATIENCE, ROOT, get, kill, started, wait_until


@pytest.fixture
def status(tmp_path):
    """Runs the command in the folder of the application; its exit code, and all that it wrote."""

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "liteq", "status", *arguments],
            check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=PATIENCE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        return done.returncode, done.stdout

    return run


@pytest.fixture
def views(status):
    """The queues that it shows as JSON, with the exit code that is expected."""

    def run(argument, code=0):
        got, text = status(argument, "--json")
        assert got == code, text
        return json.loads(text)

    return run


def processes(view):
    """Those of the only consumer, by role."""
    (consumer,) = view["consumers"]
    return {process["role"]: process for process in consumer["processes"]}


@pytest.mark.parametrize("argument", ["app.huey", "queue.db"])
def test_who_runs_what(app, consume, views, argument):
    consumer = consume("-w", "2")
    held = app.hold("a")
    busy = started(app, "a")
    wait_until(lambda: app.huey.running()[0].worker == busy, "the note of its start")
    app.add.schedule((1, 2), delay=1000)
    (view,) = views(argument)
    assert view["name"] == "huey"
    assert view["counts"] == {"ready": 0, "scheduled": 1, "claimed": 1, "dead": 0, "waiting": 0}
    (seen,) = view["consumers"]
    assert (seen["pid"], seen["state"], seen["unplaced"]) == (consumer.pid, "running", [])
    found = processes(view)
    assert list(found) == ["supervisor", "template", "dispatcher", "worker 1", "worker 2"]
    assert found["dispatcher"]["pid"] == consumer.dispatcher
    assert {process["pid"] for process in found.values()} == set(consumer.members())
    (worker,) = [process for process in found.values() if process["pid"] == busy]
    assert worker["state"] == "busy"
    (task,) = worker["tasks"]
    assert (task["id"], task["name"], task["attempt"]) == (held.id, "app.hold", 1)
    assert 0 < task["seconds"] < PATIENCE
    assert all(0 < p["private"] <= p["resident"] for p in found.values())
    assert [p["state"] for p in found.values()].count("idle") == 4
    app.open_gate("a")
    assert get(held) == busy
    assert consumer.stop() == 0


def test_for_people(app, consume, status):
    consumer = consume("-w", "2")
    held = app.hold("a")
    busy = started(app, "a")
    wait_until(lambda: app.huey.running()[0].worker == busy, "the note of its start")
    code, text = status("app.huey")
    assert code == 0, text
    assert re.search(r"^ready 0  scheduled 0  running 1  waiting 0  dead 0$", text, re.MULTILINE)
    assert re.search(
        rf"^consumer \d+ \(pid {consumer.pid}\) runs since \d{{4}}-.*, for [\d.]+ s$", text, re.MULTILINE
    )
    assert re.search(rf"^  worker [12] +{busy} +busy .* app.hold {held.id} for [\d.]+ s$", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) < 200


def test_a_worker_that_uses_the_processor(declare, consume, views):
    app = declare("""
@huey.task()
def spin(name):
    note(name)
    while not (HERE / f"gate-{name}").exists():
        sum(range(1000))
""")
    consume("-w", "2")
    app.spin("a")
    busy = started(app, "a")
    wait_until(
        lambda: any(p["pid"] == busy and p["cpu"] > 0.05 for p in processes(views("queue.db")[0]).values())
    )
    app.open_gate("a")


def test_a_worker_that_stands_still(app, consume, views):
    consume()
    worker = get(app.pid())
    os.kill(worker, signal.SIGSTOP)
    assert processes(views("queue.db")[0])["worker 1"]["state"] == "stopped"
    os.kill(worker, signal.SIGCONT)


def test_what_is_paused(app, consume, status):
    consume()
    app.huey.pause()
    assert "paused: the whole queue" in status("app.huey")[1]
    app.huey.resume()


def test_no_consumer(app, status, views):
    app.add(1, 2)
    code, text = status("queue.db")
    assert (code, text.splitlines()[1:]) == (
        3,
        ["ready 1  scheduled 0  running 0  waiting 0  dead 0", "no consumer runs"],
    )
    assert views("app.huey", 3)[0]["consumers"] == []


def test_a_consumer_that_was_killed(app, consume, status, views):
    consumer = consume()
    get(app.add(1, 2))
    os.kill(consumer.dispatcher, signal.SIGSTOP)  # or it could still take note of the supervisor's end
    kill(*consumer.members())
    code, text = status("queue.db")
    assert code == 3
    assert f"(pid {consumer.pid}) is gone; the next consumer puts back what it had" in text
    (view,) = views("queue.db", 3)
    assert [one["state"] for one in view["consumers"]] == ["gone"]
    assert app.huey.storage.consumers(), "nothing is changed by looking"


def test_a_consumer_whose_supervisor_was_killed(app, consume, status):
    consumer = consume("-t", "60")
    app.hold("a")
    started(app, "a")
    dispatcher = consumer.dispatcher
    kill(consumer.pid)
    code, text = status("queue.db")
    assert code == 3
    assert "was killed; its processes end after the running tasks" in text
    assert re.search(rf"dispatcher +{dispatcher} ", text)
    app.open_gate("a")
    consumer.wait_all_dead()


def test_two_consumers_and_two_queues(declare, launch, views):
    app = declare("""
second = SqliteHuey("second", filename=HERE / "queue.db")

@second.task()
def other():
    return os.getpid()
""")
    one, two = launch().wait_ready(), launch().wait_ready()
    app.other()
    first, second = views("queue.db", 3)
    assert {consumer["pid"] for consumer in first["consumers"]} == {one.pid, two.pid}
    assert (second["name"], second["counts"]["ready"], second["consumers"]) == ("second", 1, [])
    assert [view["name"] for view in views("app.second", 3)] == ["second"]


def test_an_application_with_threads_has_no_template(declare, consume, views):
    app = declare("""
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
""")
    consume("-w", "2")
    get(app.add(1, 2))
    wait_until(
        lambda: list(processes(views("queue.db")[0])) == ["supervisor", "dispatcher", "worker 1", "worker 2"]
    )


def files_in(folder):
    return sorted(path for path in folder.iterdir() if path.name != "__pycache__")


@pytest.mark.parametrize(
    ("argument", "code", "told"),
    [
        ("none.db", 1, "there is no such file"),
        ("app.none", 2, "has no 'none'"),
        ("none.huey", 2, "none"),
        ("app.py", 1, "not a SQLite database"),
        (".", 1, "there is no queue in this folder"),
        ("app.huey", 1, "there is no such file"),
    ],
)
def test_what_is_no_queue(app, status, tmp_path, argument, code, told):
    before = files_in(tmp_path)
    got, text = status(argument)
    assert (got, told in text, text.count("\n")) == (code, True, 1), text
    assert files_in(tmp_path) == before, "none is made"


def test_an_application_that_raises(declare, status, tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    code, text = status("broken.huey")
    assert code == 2
    assert "ZeroDivisionError" in text


def test_a_queue_in_memory(status, tmp_path):
    (tmp_path / "small.py").write_text("from liteq import MemoryHuey\nhuey = MemoryHuey()\n")
    code, text = status("small.huey")
    assert code == 2, text
    assert text.count("\n") == 1

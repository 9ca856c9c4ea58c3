"""Live events of a real consumer: each end, whatever dies; and listeners that stand still or are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import psutil
import pytest

from .consumer import (
    PATIENCE,
    ROOT,
    every_kind,
    get,
    is_settled,
    kill,
    started,
    wait_until,
    wait_until_settled,
)

APPLICATION = """
import os, signal, time
from liteq import crontab, every
from liteq.exceptions import TaskLockedException

@huey.task(retries=1)
def flaky():
    if len(pids("flaky")) < 1:
        note("flaky")
        raise ValueError("not yet")
@huey.task(retries=1, retry_delay=0.05)
def later(): raise ValueError("no")
@huey.task()
def kill_itself():
    note("killing")
    os.kill(os.getpid(), signal.SIGKILL)
@huey.task(timeout=0.05)
def slow():
    for _ in range(6000):
        time.sleep(0.01)
@huey.task()
def locked(): raise TaskLockedException("lock")
@huey.task()
def nothing(): pass
@huey.task(at_most_once=True)
def killed_once(): os.kill(os.getpid(), signal.SIGKILL)
"""

RUN = ["started", "finished"]
LATER = ["started", "error", "retrying", "scheduled"]

ENDS = {
    "nothing": ["enqueued", *RUN],
    "fail": ["enqueued", "started", "error"],
    "flaky": ["enqueued", "started", "error", "retrying", "enqueued", *RUN],
    "later": ["enqueued", *LATER, "started", "error"],
    "slow": ["enqueued", "started", "timeout"],
    "locked": ["enqueued", "started", "locked"],
}


class Listener:
    """`liteq events`, in a process of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.path = folder / f"events-{time.monotonic_ns()}"
        self.log = self.path.with_suffix(".log")
        with self.path.open("wb") as out, self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "liteq", "events", *(arguments or ("app.huey",))],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
            )

    def wait_ready(self) -> Listener:
        wait_until(
            lambda: "listening" in self.log.read_text() or self.process.poll() is not None, "listening"
        )
        assert self.process.poll() is None, self.log.read_text()
        return self

    def events(self) -> list[dict]:
        """What it has printed so far."""
        return [
            json.loads(line) for line in self.path.read_text().splitlines(keepends=True) if line[-1:] == "\n"
        ]

    def of(self, id: str | None) -> list[str]:
        return [event["status"] for event in self.events() if event.get("id", "") == id]

    def wait_for(self, id: str | None, expected: list[str]) -> None:
        wait_until(lambda: len(self.of(id)) >= len(expected), f"{expected}, not {self.of(id)}")
        assert self.of(id) == expected

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@pytest.fixture
def app(declare):
    return declare(APPLICATION)


@pytest.fixture
def listen(app, tmp_path):  # noqa: ARG001 -- the application must be there
    """Starts listeners, and waits until they listen."""
    listeners = []

    def start(*arguments: str) -> Listener:
        listeners.append(Listener(tmp_path, *arguments))
        return listeners[-1].wait_ready()

    yield start
    for listener in listeners:
        listener.process.kill()
        listener.process.wait()


def folder_of(app) -> Path:
    return Path(f"{app.HERE / 'queue.db'}-events")


def pipes_of(app) -> list[Path]:
    return [path for path in folder_of(app).iterdir() if path.is_fifo()]


@every_kind
def test_the_events_of_each_end_for_two_listeners(app, consume, listen):
    consume("-w", "2")
    listeners = listen(), listen()
    ids = {name: getattr(app, name)().id for name in ENDS}
    for listener in listeners:
        for name, expected in ENDS.items():
            listener.wait_for(ids[name], expected)
    wait_until_settled(app)
    (error,) = [e for e in listeners[0].events() if e["id"] == ids["fail"] and e["error"]]
    assert error["message"] == "ValueError('it went wrong')"
    assert 'raise ValueError("it went wrong")' in error["traceback"]
    attempts = [e["attempt"] for e in listeners[0].events() if e["id"] == ids["flaky"]]
    assert attempts == [None, 1, 1, 1, 1, 2, 2]


def test_what_is_told_of_is_stored(app, consume):
    """When an event says so, it can be read."""
    consume("-w", "2")
    with app.huey.events(timeout=PATIENCE) as events:
        results = {result.id: result for result in app.echo.map(range(1, 300))}
        finished = 0
        for event in events:
            if event["status"] == "enqueued":
                assert app.huey.status(event["id"]) != "unknown"
            if event["status"] == "finished":
                assert results[event["id"]].get(preserve=True) is not None
                finished += 1
                if finished == len(results):
                    break


def test_a_crash_and_what_ends_by_it(app, consume, listen):
    consume("--max-crashes", "2")
    listener = listen()
    died = ["started", "worker-died", "crashed"]
    listener.wait_for(app.kill_itself().id, ["enqueued", *died, *died, "dead"])
    listener.wait_for(app.killed_once().id, ["enqueued", *died, "dead"])
    dead = listener.events()[-1]
    assert (dead["task"], dead["name"], dead["error"]) == ("killed_once", "app.killed_once", True)
    assert "SIGKILL" in dead["message"] or "signal" in dead["message"]


def test_a_worker_that_dies_idle(app, consume, listen):
    consumer = consume()
    (pid,) = consumer.workers(app, 1)
    listener = listen()
    kill(pid)
    listener.wait_for(None, ["worker-died"])


def test_revocation_and_expiry(app, consume, listen):
    listener = listen()
    revoked, expired = app.nothing(), app.nothing(expires=0.001)
    revoked.revoke()
    time.sleep(0.01)
    consume()
    listener.wait_for(revoked.id, ["enqueued", "revoked"])
    listener.wait_for(expired.id, ["enqueued", "expired"])
    running = app.hold("a")
    started(app, "a")
    running.revoke(terminate=True)
    listener.wait_for(running.id, ["enqueued", "started", "revoked"])


def test_an_interrupted_task(app, consume, listen):
    consumer = consume("-t", "0")
    listener = listen()
    result = app.hold("a")
    started(app, "a")
    assert consumer.stop() == 5
    listener.wait_for(result.id, ["enqueued", "started", "interrupted"])


def test_a_consumer_that_dies_as_a_whole(app, consume, listen):
    consumer = consume()
    listener = listen()
    result = app.hold("a")
    started(app, "a")
    kill(*consumer.members())
    app.open_gate("a")
    consume()
    listener.wait_for(result.id, ["enqueued", "started", "interrupted", *RUN])


def test_a_periodic_task(declare, launch, listen):
    declare(APPLICATION + "\n@huey.periodic_task(every(seconds=1))\ndef tick(): pass\n")
    listener = listen()
    launch().wait_ready()
    ticks = wait_until(lambda: [e for e in listener.events() if e["task"] == "tick"][:3][2:], "a tick")
    (id,) = {event["id"] for event in ticks}
    assert listener.of(id)[:3] == ["enqueued", *RUN]
    assert all(event["periodic"] for event in listener.events())


def test_a_message_that_can_t_be_decoded(app, consume, listen):
    from liteq import clock
    from liteq.messages import Message

    consume()
    listener = listen()
    app.huey.storage.put([Message("rubbish", "app.nothing", b"rubbish")], clock.now())
    listener.wait_for("rubbish", ["dead"])


def test_the_order_of_each_task_is_kept(app, consume, listen):
    """Two consumers, several producers, retries: nothing is told before what led to it."""
    consume("-w", "2")
    consume("-w", "2")
    with app.huey.events(timeout=PATIENCE) as events:
        code = "import app\nfor number in range(200): app.later() if number % 4 == 0 else app.echo(number)"
        producers = [
            subprocess.Popen(
                [sys.executable, "-c", code],
                cwd=app.HERE,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            for _ in range(3)
        ]
        told = defaultdict(list)
        ended = 0
        for event in events:
            told[event["id"]].append(event["status"])
            ended += event["status"] == "finished" or (event["error"] and event["retries"] == 0)
            if ended == 600:
                break
        assert [producer.wait(PATIENCE) for producer in producers] == [0] * 3
    assert ended == 600
    assert {tuple(statuses) for statuses in told.values()} == {
        tuple(ENDS["nothing"]), tuple(ENDS["later"]),
    }  # fmt: skip
    assert events.dropped == 0


# Listeners that are no good


def drain_time(app, number: int) -> float:
    """The seconds in which a consumer runs so many tasks."""
    began = time.monotonic()
    app.nothing.map([()] * number)
    wait_until(lambda: is_settled(app), "all to be settled")
    return time.monotonic() - began


def test_a_listener_that_stands_still_holds_nobody_up(app, consume, listen):
    consumer = consume("-w", "2")
    before = drain_time(app, 10_000)
    still, fine = listen(), listen()
    still.process.send_signal(signal.SIGSTOP)
    private = {pid: psutil.Process(pid).memory_info().rss for pid in consumer.members()}
    took = drain_time(app, 20_000)
    assert took < 20 * before + 10, (before, took)  # it does tell the other one of 60,000 events meanwhile
    grown = {pid: psutil.Process(pid).memory_info().rss - size for pid, size in private.items()}
    assert max(grown.values()) < 64 << 20
    still.process.send_signal(signal.SIGCONT)
    results = []

    def is_heard():  # until it has made room, it misses more
        results.append(app.echo(1))
        get(results[-1])
        return any(still.of(result.id) == ["enqueued", *RUN] for result in results)

    wait_until(is_heard, "what happens after it has gone on")
    dropped = sum(event["count"] for event in still.events() if event["status"] == "dropped")
    assert dropped > 1_000
    fine.wait_for(results[-1].id, ["enqueued", *RUN])
    assert consumer.stop() == 0


def test_a_killed_listener_is_forgotten(app, consume, listen):
    consume()
    listener = listen()
    listener.wait_for(app.nothing().id, ["enqueued", *RUN])
    kill(listener.process.pid)
    listener.process.wait()
    assert len(pipes_of(app)) == 1
    app.nothing()
    wait_until_settled(app)
    assert not folder_of(app).exists()
    with app.huey.events(timeout=PATIENCE) as events:
        app.nothing()
        assert next(events)["status"] == "enqueued"


def test_who_listens_next_forgets_the_killed_ones(app, listen):
    listener = listen()
    kill(listener.process.pid)
    listener.process.wait()
    with app.huey.events():
        assert len(pipes_of(app)) == 1


# The command


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_by_a_signal(app, listen, number):
    listener = listen()
    result = app.nothing()
    listener.wait_for(result.id, ["enqueued"])
    assert listener.stop(number) == 0
    assert "Traceback" not in listener.log.read_text()
    assert not folder_of(app).exists()


def test_the_command_on_a_file(app, listen, tmp_path):
    assert len(app.huey) == 0
    listener = listen("queue.db")
    result = app.nothing()
    listener.wait_for(result.id, ["enqueued"])
    other = listen("queue.db", "--name", "other", "--timeout", "0.2")
    assert other.process.wait(PATIENCE) == 0
    refused = subprocess.run(
        [sys.executable, "-m", "liteq", "events", "absent.db"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (refused.returncode, "absent.db" in refused.stderr, (tmp_path / "absent.db").exists()) == (
        1,
        True,
        False,
    )


def test_the_command_whose_reader_is_gone(app, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "liteq", "events", "app.huey"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "listening" in process.stderr.readline()
    process.stdout.close()  # it does not wait for an event that could not be written
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == ""
    process.stderr.close()

"""Hooks and signals: in the worker, in their order."""

from __future__ import annotations

import os

from .consumer import every_kind, get, started, wait_until_settled

RECORDED = """
from liteq import CancelExecution

@huey.on_startup()
def starting():
    note("startup")

@huey.on_shutdown()
def stopping():
    note("shutdown")

@huey.pre_execute()
def before(task):
    note(f"pre {task.name}")
    if task.name == "echo":
        raise CancelExecution

@huey.post_execute()
def after(task, value, error):
    note(f"post {value} {error!r}")

@huey.signal()
def heard(signal, task, error=None):
    note(f"signal {signal} {error!r}")

@huey.task()
def body():
    note("body")
    return 1

@huey.task(retries=1)
def failing():
    raise ValueError("no")
"""


@every_kind
def test_success(declare, consume):
    app = declare(RECORDED)
    consumer = consume()
    assert get(app.body()) == 1
    assert consumer.stop() == 0
    assert app.pids("signal enqueued None") == [os.getpid()]
    notes = app.workers_notes()
    assert notes == [
        "startup",
        "signal executing None",
        "pre body",
        "body",
        "post 1 None",
        "signal complete None",
        "shutdown",
    ]
    (worker,) = set(app.pids("startup"))
    assert {pid for note in notes for pid in app.pids(note)} == {worker}
    assert worker != consumer.pid


@every_kind
def test_failure_and_retry(declare, consume):
    app = declare(RECORDED)
    consumer = consume()
    app.failing()
    wait_until_settled(app)
    assert consumer.stop() == 0
    attempt = [
        "signal executing None",
        "pre failing",
        "signal error ValueError('no')",
        "post None ValueError('no')",
    ]
    assert app.workers_notes() == [
        "startup",
        *attempt,
        "signal retrying None",
        "signal enqueued None",
        *attempt,
        "shutdown",
    ]


def test_cancelled_by_a_hook(declare, consume):
    app = declare(RECORDED)
    consumer = consume()
    assert get(app.echo(1)) is None
    assert consumer.stop() == 0
    assert [note for note in app.notes() if "echo" in note or "cancel" in note] == [
        "pre echo",
        "signal canceled None",
    ]


def test_revoked_and_expired(declare, consume):
    app = declare(RECORDED)
    app.body().revoke()
    app.body.schedule(delay=0, expires=0.000_001)
    consume()
    wait_until_settled(app)
    assert "body" not in app.notes()
    assert "signal revoked None" in app.notes()
    assert "signal expired None" in app.notes()


def test_interrupted(declare, consume):
    app = declare(RECORDED)
    consumer = consume("-t", "0")
    app.hold("a")
    started(app, "a")
    assert consumer.stop() == 5
    assert app.notes()[-2:] == ["signal interrupted None", "shutdown"]


def test_each_worker_starts_and_ends_once(declare, consume):
    app = declare(RECORDED)
    consumer = consume("-w", "3")
    workers = consumer.workers(app, 3)
    assert consumer.stop() == 0
    assert set(app.pids("startup")) == set(app.pids("shutdown")) == workers
    assert app.notes().count("startup") == app.notes().count("shutdown") == 3


def test_hooks_that_raise_do_no_harm(declare, consume):
    app = declare("""
@huey.on_startup()
@huey.on_shutdown()
@huey.pre_execute()
@huey.post_execute()
@huey.signal()
def broken(*arguments):
    raise RuntimeError("broken hook")
""")
    consumer = consume()
    assert get(app.add(1, 2)) == 3
    assert consumer.stop() == 0
    assert "broken hook" in consumer.log

"""Coroutine functions as tasks of a real consumer, and what stops them."""

from __future__ import annotations

import os
import signal

import pytest

from liteq import TaskException

from .consumer import get, kill, started, wait_until, wait_until_settled

TASKS = """
import asyncio

@huey.task()
async def add_later(a, b):
    await asyncio.sleep(0.001)
    return a + b

@huey.task()
async def fail_later():
    await asyncio.sleep(0.001)
    raise ValueError("it went wrong, later")

@huey.task()
async def gather(number):
    return sum(await asyncio.gather(*(add_later.call_local(each, 1) for each in range(number))))

async def gate(name):
    while not (HERE / f"gate-{name}").exists():
        await asyncio.sleep(0.005)

@huey.task(context=True)
async def wait_for(name, task):
    note(name)
    try:
        await gate(name)
        return task.id
    except asyncio.CancelledError:
        note("cancelled")
        raise
    finally:
        await asyncio.sleep(0.01)
        note("cleaned up")

@huey.task()
async def sleep():
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        note("cancelled")
        raise
    finally:
        await asyncio.sleep(0.01)
        note("cleaned up")

@huey.task()
async def with_subtasks(name):
    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(gate(name))
        tasks.create_task(wait_for.call_local(name, task=None))

@huey.task()
async def block(name):
    note(name)
    try:
        time.sleep(3600)
    finally:
        note("cleaned up")

@huey.task()
async def in_a_thread(name):
    note(name)
    await asyncio.to_thread(pass_gate, name)

@huey.task()
async def shell(text):
    process = await asyncio.create_subprocess_exec("echo", text, stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0].decode().strip()

@huey.task(at_most_once=True)
async def once(name):
    note(name)
    await gate(name)
"""


@pytest.fixture
def app(declare):
    return declare(TASKS)


def test_values_and_failures(app, consume):
    consume("-w", "2")
    assert get(app.add_later(1, 2)) == 3
    assert get(app.gather(100)) == sum(range(1, 101))
    assert get(app.shell("hello")) == "hello"
    with pytest.raises(TaskException, match="later"):
        get(app.fail_later())
    assert [get(each) for each in app.add_later.map([(n, n) for n in range(200)])] == [
        2 * n for n in range(200)
    ]


@pytest.mark.parametrize("name", ["wait_for", "with_subtasks", "block", "in_a_thread"])
def test_a_timeout_ends_it(app, consume, name):
    consumer = consume("-w", "1")
    task = getattr(app, name)
    worker = get(app.pid())
    result = task("a", timeout=1)
    with pytest.raises(TaskException, match=r"TaskTimeout\('timeout 1s"):
        get(result)
    wait_until_settled(app)
    if name != "in_a_thread":
        assert app.notes()[-1] == "cleaned up"
        assert get(app.pid()) == worker
    app.open_gate("a")
    assert consumer.stop() == 0


def test_a_coroutine_that_waits_sees_the_timeout_as_its_cancellation(app, consume):
    consume("-w", "1")
    with pytest.raises(TaskException):
        get(app.sleep(timeout=0.3))
    assert app.notes() == ["cancelled", "cleaned up"]


@pytest.mark.parametrize("name", ["wait_for", "with_subtasks", "block", "in_a_thread"])
def test_interrupted_by_a_stop_it_goes_back(app, consume, name):
    consumer = consume("-w", "1")
    getattr(app, name)("a")
    started(app, "a")
    consumer.send(signal.SIGTERM)
    consumer.wait_log("SIGTERM received")
    consumer.send(signal.SIGTERM)
    assert consumer.wait() == 5
    assert app.huey.pending_count() == 1
    assert app.huey.dead() == []
    if name != "in_a_thread":
        assert app.notes()[-1] == "cleaned up"


def test_what_went_back_runs_to_its_end_next_time(app, consume):
    consumer = consume("-w", "1")
    result = app.wait_for("a")
    worker = started(app, "a")
    os.kill(worker, signal.SIGTERM)
    wait_until(lambda: app.notes().count("a") == 2, "the second start")
    app.open_gate("a")
    assert get(result) == result.id
    assert [note for note in app.notes() if note != "cancelled"] == ["a", "cleaned up", "a", "cleaned up"]
    assert consumer.stop() == 0


def test_a_stop_waits_for_it(app, consume):
    consumer = consume("-w", "1")
    result = app.wait_for("a")
    started(app, "a")
    consumer.send(signal.SIGTERM)
    consumer.wait_log("SIGTERM received")
    app.open_gate("a")
    assert consumer.wait() == 0
    assert result.get() == result.id


def test_at_most_once_it_is_dead_when_it_is_interrupted(app, consume):
    consume("-w", "1")
    app.once("a")
    os.kill(started(app, "a"), signal.SIGTERM)
    [dead] = wait_until(app.huey.dead, "its death")
    assert "interrupted" in dead.reason


def test_a_worker_that_is_killed_in_a_loop_runs_the_task_again(app, consume):
    consume("-w", "1")
    result = app.wait_for("a")
    kill(started(app, "a"))
    started(app, "a", times=2)
    app.open_gate("a")
    assert get(result) == result.id

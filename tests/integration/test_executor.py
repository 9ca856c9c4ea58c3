"""Functions that were never declared, through a real consumer: submitted, as futures, awaited."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import as_completed, wait

import pytest

from liteq import Executor, SqliteHuey, TaskException
from liteq.contrib.asyncio import aget_result_group

from .consumer import PATIENCE, get, kill, started, wait_until, wait_until_settled

AWAITED = """
import asyncio

@huey.task()
async def later(number, seconds=0.0):
    await asyncio.sleep(seconds)
    return number
"""


@pytest.fixture
def executor(app):
    executor = Executor(app.huey)
    yield executor
    executor.shutdown(wait=False, cancel_futures=True)


def hold_by_pid(folder, name):
    """A function that notes its process and lasts until the gate is open; it travels by value."""

    def hold():
        (folder / f"{name}-{os.getpid()}").touch()
        while not (folder / f"gate-{name}").exists():
            time.sleep(0.002)
        return os.getpid()

    return hold


def holders(folder, name):
    """The processes in which it has started."""
    return [int(path.name.rpartition("-")[2]) for path in folder.glob(f"{name}-*") if "gate" not in path.name]


def test_submitted_functions_run_in_the_workers(app, consume):
    consume("-w", "2")
    factor = 3
    assert get(app.huey.submit(os.getpid)) != os.getpid()
    assert get(app.huey.submit(lambda number: factor * number, 4)) == 12
    with pytest.raises(TaskException, match="ZeroDivisionError"):
        get(app.huey.submit(lambda: 1 / 0))


def test_a_submitted_function_may_call_tasks_of_the_application(app, consume, tmp_path, monkeypatch):
    consume()
    monkeypatch.syspath_prepend(str(tmp_path))

    def call():
        from app import add

        return add(1, 2).id

    id = get(app.huey.submit(call))
    assert app.huey.result(id, blocking=True, timeout=PATIENCE) == 3


def test_two_thousand_futures_at_once(app, consume, executor):
    consume("-w", "2")
    futures = {executor.submit(pow, number, 2): number for number in range(2000)}
    seen = {futures[future]: future.result() for future in as_completed(futures, 3 * PATIENCE)}
    assert seen == {number: number**2 for number in range(2000)}
    wait_until_settled(app)
    assert app.huey.result_count() == 0


def test_map_through_several_workers(app, consume, executor):
    consume("-w", "3")
    assert list(executor.map(pow, range(500), [2] * 500, timeout=PATIENCE)) == [n**2 for n in range(500)]
    assert len(set(executor.map(lambda _: (time.sleep(0.02), os.getpid())[1], range(30), chunksize=2))) > 1


def test_a_future_ends_soon_after_its_task(app, consume, executor):
    consume()
    executor.submit(abs, 1).result(PATIENCE)
    delays = []
    for _ in range(20):
        future = executor.submit(time.monotonic)
        ended = future.result(PATIENCE)
        delays.append(time.monotonic() - ended)
        time.sleep(0.02)
    assert sorted(delays)[5] < 0.1, delays


def test_cancelling_while_a_consumer_is_busy(app, consume, executor, tmp_path):
    consume("-w", "1")
    running = executor.submit(hold_by_pid(tmp_path, "first"))
    wait_until(lambda: holders(tmp_path, "first"), "the start")
    waiting = [executor.submit((tmp_path / f"ran-{number}").touch) for number in range(50)]
    assert running.running()
    assert not running.cancel()
    told = [future.cancel() for future in waiting]
    assert any(told)
    (tmp_path / "gate-first").touch()
    assert running.result(PATIENCE)
    wait(waiting, PATIENCE)
    ran = [(tmp_path / f"ran-{number}").exists() for number in range(50)]
    assert told == [not each for each in ran]


def test_a_call_whose_worker_is_killed_runs_again(app, consume, executor, tmp_path):
    consume("-w", "1")
    future = executor.submit(hold_by_pid(tmp_path, "victim"))
    [first] = wait_until(lambda: holders(tmp_path, "victim"), "the start")
    kill(first)
    wait_until(lambda: len(holders(tmp_path, "victim")) == 2, "the second start")
    (tmp_path / "gate-victim").touch()
    assert future.result(PATIENCE) in set(holders(tmp_path, "victim")) - {first}


def test_a_call_that_ends_worker_after_worker_fails(app, consume, executor):
    consume("-w", "1", "--max-crashes", "2")
    future = executor.submit(lambda: os.kill(os.getpid(), 9))
    with pytest.raises(TaskException, match="dead: .*SIGKILL"):
        future.result(PATIENCE)
    assert executor.submit(abs, -2).result(PATIENCE) == 2


def test_a_call_that_takes_too_long_fails(app, consume):
    consume("-w", "1")
    with Executor(app.huey, timeout=0.3) as limited, pytest.raises(Exception, match="timeout"):
        limited.submit(time.sleep, 3600).result(PATIENCE)


def test_futures_outlive_a_consumer(app, consume, executor, tmp_path):
    first = consume("-w", "2")
    held = [executor.submit(hold_by_pid(tmp_path, f"over-{number}")) for number in range(2)]
    futures = [executor.submit(pow, number, 2) for number in range(200)]
    wait_until(lambda: holders(tmp_path, "over-0") and holders(tmp_path, "over-1"), "the start")
    kill(*first.members())
    assert not any(future.done() for future in held)
    consume("-w", "2")
    for number in range(2):
        (tmp_path / f"gate-over-{number}").touch()
    wait([*held, *futures], PATIENCE)
    assert [future.result(0) for future in futures] == [number**2 for number in range(200)]
    assert all(future.result(0) for future in held)


def test_an_executor_inside_a_worker(app, consume, executor, tmp_path):
    consume("-w", "2")
    path = app.huey.storage.database.path

    def fan_out(number):
        huey = SqliteHuey(filename=path)
        with Executor(huey) as inner:
            total = sum(inner.map(abs, range(-number, 0)))
        huey.storage.close()
        return total

    assert executor.submit(fan_out, 10).result(PATIENCE) == 55


def test_a_thousand_results_are_awaited(declare, consume):
    app = declare(AWAITED)
    consume("-w", "2")

    async def main():
        return await aget_result_group(app.later.map(range(1000)), timeout=PATIENCE)

    assert asyncio.run(main()) == list(range(1000))
    assert app.huey.result_count() == 0


def test_what_a_killed_consumer_leaves_is_awaited(app, consume):
    first = consume("-w", "1")

    async def main():
        waiting = asyncio.ensure_future(asyncio.wait_for(app.hold("a"), PATIENCE))
        await asyncio.to_thread(started, app, "a")
        await asyncio.to_thread(kill, *first.members())
        await asyncio.to_thread(consume, "-w", "1")
        app.open_gate("a")
        return await waiting

    assert asyncio.run(main())

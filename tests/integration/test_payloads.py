"""Arguments and results of any size, and many of them at once."""

from __future__ import annotations

import time

import apsw
import pytest

from liteq import TaskException
from liteq.exceptions import PayloadTooLarge

from .consumer import get, kill, started, wait_until

MAKE = """
@huey.task()
def make(size):
    return os.urandom(size)


@huey.task()
def measure(data):
    return len(data)


@huey.task()
def hold_large(name, data):
    note(name)
    pass_gate(name)
    return data
"""

# Around what fits a packet, and far above.
SIZES = [59_000, 60_000, 65_400, 65_536, 70_000, 220_000, 1_000_000, 10_000_000]


@pytest.mark.parametrize("size", SIZES)
def test_one(app, consume, size):
    consumer = consume()
    data = bytes(size)
    assert get(app.echo(data)) == data
    assert get(app.add(1, 2)) == 3
    assert consumer.stop() == 0


@pytest.mark.parametrize(("number", "size"), [(20, 1_000_000), (300, 59_000), (300, 61_000)])
def test_many_at_once(declare, consume, number, size):
    app = declare(MAKE)
    consumer = consume("-w", "2")
    arguments = app.measure.map([bytes(size)] * number)
    results = app.make.map([size] * number)
    assert get(arguments) == [size] * number
    assert [len(result) for result in get(results)] == [size] * number
    assert consumer.stop() == 0


def test_more_results_than_are_settled_at_once(declare, consume):
    """Tasks of no duration are prefetched deeply, so many large reports come in with one turn."""
    app = declare(MAKE)
    consumer = consume("-w", "6")
    get(app.make.map([10] * 2000))
    results = app.make.map([55_000] * 1500)
    assert {len(result) for result in get(results)} == {55_000}
    assert "exited" not in consumer.log
    assert "killed" not in consumer.log
    assert consumer.stop() == 0


def test_the_worker_of_a_large_task_is_killed(declare, consume):
    app = declare(MAKE)
    consume()
    data = bytes(1_000_000)
    result = app.hold_large("a", data)
    kill(started(app, "a"))
    started(app, "a", times=2)
    app.open_gate("a")
    assert get(result) == data


def test_the_dispatcher_is_killed_under_large_payloads(declare, consume):
    app = declare(MAKE)
    consumer = consume("-w", "2")
    results = app.echo.map([bytes([number]) * 200_000 for number in range(100)])
    wait_until(lambda: app.huey.result_count() > 20)
    kill(consumer.dispatcher)
    assert get(results) == [bytes([number]) * 200_000 for number in range(100)]
    assert consumer.stop() == 0


def test_a_large_outcome_while_the_file_is_locked_for_too_long(declare, consume):
    """The worker stores it by itself, and has to be as patient as the dispatcher is."""
    app = declare(MAKE + "\nhuey.storage = SqliteHuey(filename=HERE / 'queue.db', timeout=0.2).storage\n")
    consumer = consume()
    data = bytes(100_000)
    result = app.hold_large("a", data)
    worker = started(app, "a")
    connection = apsw.Connection(str(consumer.folder / "queue.db"))
    connection.set_busy_timeout(10_000)
    connection.execute("BEGIN IMMEDIATE")
    app.open_gate("a")
    time.sleep(1.5)  # several times its timeout
    connection.execute("COMMIT")
    connection.close()
    assert get(result) == data
    assert app.notes() == ["a"]
    assert get(app.pid()) == worker


def test_a_large_next_stage(app, consume):
    consume()
    pipeline = app.huey.enqueue(app.echo.s(bytes(300_000)).then(app.echo).then(app.echo))
    assert get(pipeline)[2] == bytes(300_000)


def test_a_hundred_megabytes(declare, consume):
    """There and back: nothing has to be set for it."""
    app = declare(MAKE)
    consumer = consume()
    data = bytes(100_000_000)
    assert get(app.measure(data)) == len(data)
    assert len(get(app.make(len(data)))) == len(data)
    assert consumer.stop() == 0


def test_beyond_the_limit(declare, consume):
    app = declare(MAKE + "\nhuey.max_payload = 1_000_000\n")
    consumer = consume()
    with pytest.raises(
        PayloadTooLarge, match=r"app\.measure .* 1,000,\d\d\d bytes.* max_payload is 1,000,000"
    ):
        app.measure(bytes(1_000_000))
    with pytest.raises(TaskException, match=r"the return value of app\.make .* max_payload is 1,000,000"):
        get(app.make(1_000_000))
    with pytest.raises(TaskException, match=r"the return value of app\.make"):
        get(app.huey.enqueue(app.make.s(1_000_000).then(app.measure)))
    assert get(app.make(999_000)) is not None
    assert app.huey.dead() == []
    assert consumer.stop() == 0

"""What can't be run is never dropped: it is kept as dead with the reason, and runs once that is mended."""

from __future__ import annotations

import signal

import pytest

from liteq import TaskException, clock
from liteq.messages import Message

from .consumer import get, wait_until, wait_until_dead

LATER = """
@huey.task()
def later(number):
    return number
"""


def wait_for_the_dead(app):
    return wait_until(app.huey.dead, "a dead task")


def test_a_task_that_is_unknown_until_the_code_is_there(declare, consume):
    app = declare(LATER)
    declare("")
    consumer = consume()
    result = app.later(7)
    (dead,) = wait_for_the_dead(app)
    assert (dead.id, dead.name) == (result.id, "app.later")
    assert "app.later" in dead.reason
    assert "app.later" in consumer.log
    with pytest.raises(TaskException, match=r"app\.later"):
        get(result)
    worker = get(app.pid())
    declare(LATER)
    consumer.send(signal.SIGHUP)
    wait_until_dead(worker)
    result.reset()
    assert app.huey.revive(result.id) == 1
    assert get(result) == 7
    assert app.huey.dead() == []


def test_a_message_that_cannot_be_decoded(app, consume):
    consumer = consume()
    app.huey.storage.put([Message(id="odd", name="nope", data=b"garbage")], clock.now())
    (dead,) = wait_for_the_dead(app)
    assert (dead.id, dead.name, dead.data) == ("odd", "nope", b"garbage")
    assert "decoded" in dead.reason
    assert get(app.add(1, 2)) == 3
    assert app.huey.revive("odd") == 1
    wait_until(lambda: any(dead.attempts == 2 for dead in app.huey.dead()), "its second death")
    assert consumer.stop() == 0


@pytest.mark.parametrize("size", [20, 100_000])
def test_many_of_them(app, consume, size):
    consume("-w", "2")
    garbage = [Message(id=f"odd-{number}", name="nope", data=b"x" * size) for number in range(50)]
    app.huey.storage.put(garbage, clock.now())
    wait_until(lambda: len(app.huey.dead()) == 50)
    assert get(app.add(1, 2)) == 3


def test_a_task_whose_arguments_need_a_class_that_is_not_there(declare, consume):
    """Pickled by reference: the consumer can't import what the producer could."""
    app = declare("")
    consume()
    data = app.huey.serialize_task(app.echo.s(1)).replace(b"app.echo", b"app.ohce")
    app.huey.storage.put([Message(id="unknown", name="app.ohce", data=data)], clock.now())
    (dead,) = wait_for_the_dead(app)
    assert "app.ohce" in dead.reason

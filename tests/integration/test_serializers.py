"""Every serializer from the producer through a consumer and back, and what happens when they do not fit."""

from __future__ import annotations

import subprocess
import sys

import pytest

from liteq import SKIPPED, Error, Result, TaskException
from liteq.exceptions import BadSignature, SerializationError

from .consumer import PATIENCE, ROOT, get, wait_until

TASKS = """
from liteq import RetryTask
from liteq.serializer import JSONSerializer, PickleSerializer, Serializer, SignedSerializer


class SignedJSON(SignedSerializer, JSONSerializer):
    pass


class Own(Serializer):
    def _serialize(self, data):
        import json
        return json.dumps(data).encode()

    def _deserialize(self, data):
        import json
        return json.loads(data)


huey.serializer = {serializer}


@huey.task()
def pair(a):
    return (a, a + 1)


@huey.task(retries=1, context=True)
def second_time(value, task):
    if task.retries:
        raise ValueError("not yet")
    return value


@huey.task()
def handle(first, exception):
    huey.put("handled", [first, type(exception).__name__, str(exception)])


@huey.task()
def shapes(values):
    return [type(value).__name__ for value in values]


@huey.task()
def lock():
    import threading
    return threading.Lock()
"""

SERIALIZERS = {
    "cloudpickle": "Serializer()",
    "cloudpickle-gzip": "Serializer(compression=True)",
    "pickle-zlib": "PickleSerializer(compression=True, use_zlib=True)",
    "json": "JSONSerializer()",
    "json-gzip": "JSONSerializer(compression=True)",
    "signed": "SignedSerializer(secret='s3cret', compression=True)",
    "signed-json": "SignedJSON(secret='s3cret')",
    "own": "Own(compression=True, use_zlib=True)",
}

RIGHT, WRONG = "SignedSerializer(secret='right')", "SignedSerializer(secret='wrong')"


@pytest.fixture
def write(declare):
    """Writes the application with a serializer."""
    return lambda serializer: declare(TASKS.format(serializer=serializer))


@pytest.mark.parametrize("serializer", SERIALIZERS.values(), ids=SERIALIZERS)
def test_a_working_day(write, consume, serializer):
    app = write(serializer)
    consumer = consume("-w", "2")
    value = {"text": "é", "numbers": [1, 2.5, None, True]}
    assert get(app.echo(value)) == value
    assert get(app.echo("a" * 200_000)) == "a" * 200_000
    with pytest.raises(TaskException, match="it went wrong") as caught:
        get(app.fail())
    assert caught.value.metadata["error"] == "ValueError('it went wrong')"
    first, total = get(app.huey.enqueue(app.pair.s(1).then(app.add)))
    assert (tuple(first), total) == ((1, 2), 3)
    result = app.second_time("now")
    wait_until(lambda: not app.huey.storage.is_live(result.id))
    assert get(result) == "now"
    assert get(app.shapes([Error({"error": "no"}), SKIPPED, 1])) == ["Error", "_Skipped", "int"]
    app.huey.enqueue(app.fail.s().error(app.handle, "first"))
    first, kind, text = wait_until(lambda: app.huey.get("handled"))
    assert (first, kind in {"ValueError", "TaskException"}, "it went wrong" in text) == ("first", True, True)
    assert consumer.stop() == 0


@pytest.mark.parametrize("serializer", ["Serializer()", "JSONSerializer()"])
def test_a_value_that_does_not_serialize_is_named_as_the_return_value(write, consume, serializer):
    app = write(serializer)
    consume()
    with pytest.raises(
        TaskException, match=r"the return value of app\.lock, of type lock, does not serialize"
    ):
        get(app.lock())
    with pytest.raises(TaskException, match="the return value of"):
        get(app.huey.enqueue(app.lock.s().then(app.echo)))
    assert get(app.add(1, 2)) == 3


def test_an_argument_that_does_not_serialize_reaches_no_consumer(write, consume):
    app = write("JSONSerializer()")
    consume()
    for call in (lambda: app.echo(b"bytes"), lambda: app.echo.map([1, b"bytes"])):
        with pytest.raises(
            SerializationError, match=r"app\.echo can't be enqueued: argument 1, of type bytes"
        ):
            call()
    assert get(app.echo(1)) == 1
    assert app.huey.result_count() == 0


SCRIPT = """
from app import call, huey

class Point:
    def __init__(self, x):
        self.x = x

def moved(point, by=1):
    return Point(point.x + by)

def counter(start):
    return lambda step: start + step

step = 20
print(call(lambda: step + 1).get(blocking=True, timeout={patience}))
print(call(moved, Point(2)).get(blocking=True, timeout={patience}).x)
print(call(counter, 30).get(blocking=True, timeout={patience})(5))
huey.storage.close()
"""

CALL = """
@huey.task()
def call(function, *args):
    return function(*args)
"""


def test_what_belongs_to_the_main_module_of_a_program(declare, consume, tmp_path):
    """Lambdas, closures and classes, as arguments and as results."""
    declare(CALL)
    consume()
    script = tmp_path / "program.py"
    script.write_text(SCRIPT.format(patience=PATIENCE))
    done = subprocess.run(
        [sys.executable, str(script)],
        check=False, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=2 * PATIENCE,
    )  # fmt: skip
    assert (done.stdout.split(), done.stderr) == (["21", "3", "35"], "")


# Producer and consumer that do not agree


@pytest.mark.parametrize(
    ("producers", "consumers", "reason"),
    [
        (RIGHT, WRONG, "its signature is wrong"),
        ("Serializer()", RIGHT, "it is not signed"),
        (RIGHT, "Serializer()", "can't be decoded"),
        ("Serializer()", "JSONSerializer()", "can't be decoded"),
        ("JSONSerializer()", "PickleSerializer()", "can't be decoded"),
    ],
)
@pytest.mark.parametrize("size", [10, 100_000], ids=["small", "large"])
def test_what_is_not_read_is_kept_and_runs_once_it_is(write, consume, producers, consumers, reason, size):
    app = write(producers)
    result = app.echo("a" * size)
    write(consumers)
    consumer = consume()
    (dead,) = wait_until(app.huey.dead)
    assert (dead.id, dead.name) == (result.id, "app.echo")
    assert reason in dead.reason
    assert consumer.stop() == 0
    write(producers)
    consume()
    assert app.huey.revive(result.id) == 1
    wait_until(lambda: not app.huey.storage.is_live(result.id))
    assert get(result) == "a" * size
    assert app.huey.dead() == []


def test_the_error_of_such_a_task_is_not_taken_for_its_result(write, consume):
    """It is written by the consumer, with the wrong secret."""
    app = write(RIGHT)
    result = app.echo(1)
    write(WRONG)
    consume()
    with pytest.raises(BadSignature):
        get(result)


def test_others_run_meanwhile(write, consume):
    app, stranger = write(RIGHT), write(WRONG)
    results = []
    for number in range(20):
        results.append(app.echo(number))
        stranger.echo(number)
    write(RIGHT)
    consume("-w", "2")
    assert [get(result) for result in results] == list(range(20))
    wait_until(lambda: len(app.huey.dead()) == 20)


def test_a_secret_is_replaced_while_tasks_wait(write, consume):
    old = write("SignedSerializer(secret='one')")
    waiting = old.echo("old")
    new = write("SignedSerializer(secret='two', fallback_secrets=['one'])")
    consume()
    assert get(Result(new.huey, waiting.task)) == "old"
    assert get(new.echo("new")) == "new"
    with pytest.raises(BadSignature):
        get(old.echo("unread"))


def test_compression_is_switched_on_while_tasks_wait(write, consume):
    before = write("Serializer()")
    results = before.echo.map(["a" * 1000] * 10)
    after = write("Serializer(compression=True)")
    consume()
    assert get(results) == ["a" * 1000] * 10  # which a process without compression reads
    assert get(after.echo("b")) == "b"

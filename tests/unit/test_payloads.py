"""Tasks and values as bytes: what is refused, in which words, and that nothing of it is stored."""
# ruff: noqa: DTZ001 -- naive datetimes are those of the API

import json
import threading
from datetime import datetime, timedelta

import pytest

from liteq import Error, MemoryHuey, Result, SqliteHuey, TaskException
from liteq.exceptions import (
    BadSignature,
    ConfigurationError,
    HueyException,
    PayloadTooLarge,
    SerializationError,
    TaskInterrupted,
    TaskStopped,
    TaskTimeout,
)
from liteq.messages import SKIPPED
from liteq.serializer import JSONSerializer, Serializer, SignedSerializer

LOCK = threading.Lock()
MODULE = __name__


@pytest.fixture
def add(sqlite):
    @sqlite.task()
    def add(a, b=1, c=2):
        return a

    return add


@pytest.fixture
def handler(sqlite):
    @sqlite.task()
    def handler(*args):
        return None

    return handler


def is_empty(huey):
    return not (huey.pending_count() or huey.scheduled_count() or huey.result_count())


def refused(huey, call, error=SerializationError):
    """What the error of the call says; nothing of it was stored, or announced."""
    names = []
    huey.signals.connect(lambda signal, *_: names.append(signal))
    with pytest.raises(error) as caught:
        call()
    assert is_empty(huey)
    assert names == []
    return str(caught.value)


# Arguments that do not serialize

WHY = "does not serialize: TypeError: cannot pickle '_thread.lock' object"


def test_the_argument_is_named_by_its_position(sqlite, add):
    text = refused(sqlite, lambda: add(1, LOCK, 3))
    assert text == f"{MODULE}.add can't be enqueued: argument 2, of type lock, {WHY}"


def test_the_argument_is_named_by_its_keyword(sqlite, add):
    text = refused(sqlite, lambda: add(1, c=[LOCK]))
    assert text == f"{MODULE}.add can't be enqueued: keyword argument 'c', of type list, {WHY}"


@pytest.mark.parametrize("way", ["schedule", "map", "enqueue_many", "add_schedule", "reschedule"])
def test_every_way_in(sqlite, add, way):
    task = add.s(LOCK)
    calls = {
        "schedule": lambda: add.schedule((LOCK,), delay=60),
        "map": lambda: add.map([1, LOCK, 3]),
        "enqueue_many": lambda: sqlite.enqueue_many([add.s(1), task]),
        "add_schedule": lambda: sqlite.add_schedule(task),
        "reschedule": lambda: Result(sqlite, task).reschedule(delay=5),
    }
    assert f"{MODULE}.add can't be enqueued: argument 1, of type lock" in refused(sqlite, calls[way])


def test_the_stage_is_named(sqlite, add, handler):
    text = refused(sqlite, lambda: sqlite.enqueue(handler.s(1).then(handler).then(add, b=LOCK)))
    assert text.startswith(
        f"{MODULE}.handler can't be enqueued: keyword argument 'b' of stage 3 of its pipeline ({MODULE}.add), "
    )


def test_the_error_handler_is_named(sqlite, add, handler):
    text = refused(sqlite, lambda: sqlite.enqueue(add.s(1).error(handler, LOCK)))
    assert f"add can't be enqueued: argument 1 of the error handler ({MODULE}.handler), of type lock" in text
    later = add.s(1).then(add.s(2).error(handler.s(1).then(handler, LOCK)))
    assert (
        f"argument 1 of stage 2 of its pipeline ({MODULE}.handler) of the error handler ({MODULE}.handler)"
        f" of stage 2 of its pipeline ({MODULE}.add), of type lock"
    ) in refused(sqlite, lambda: sqlite.enqueue(later))


def test_the_first_of_several_is_named(sqlite, add):
    assert "argument 2," in refused(sqlite, lambda: add(1, LOCK, LOCK))


def test_the_first_error_is_the_cause(sqlite, add):
    with pytest.raises(TypeError) as caught:  # what applications catch with huey
        add(LOCK)
    assert isinstance(caught.value, HueyException)
    assert type(caught.value.__cause__) is TypeError


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"bytes", "argument 1, of type bytes, does not serialize: TypeError"),
        ({1, 2}, "argument 1, of type set, does not serialize: TypeError"),
        ({(1, 2): 3}, "argument 1, of type dict, does not serialize: TypeError: keys must be"),
        (object(), "argument 1, of type object, does not serialize: TypeError"),
    ],
)
def test_what_json_does_not_have(filename, value, why):
    huey = SqliteHuey(filename=filename, serializer=JSONSerializer())
    task = huey.task(name="task")(lambda value: value)
    assert why in refused(huey, lambda: task(value))
    huey.storage.close()


@pytest.mark.parametrize("serializer", [Serializer(), JSONSerializer()])
def test_what_has_no_end(filename, serializer):
    deep = []
    for _ in range(100_000):
        deep = [deep]
    huey = SqliteHuey(filename=filename, serializer=serializer)
    task = huey.task(name="task")(lambda value: value)
    assert "argument 1, of type list, does not serialize: " in refused(huey, lambda: task(deep))
    huey.storage.close()
    while deep:  # taken apart by hand: freed at once it would be too deep as well
        deep = deep[0]


class Odd(Serializer):
    """Refuses the task as a whole, and none of its arguments."""

    def _serialize(self, data):
        if isinstance(data, tuple):
            raise ValueError("not today")
        return super()._serialize(data)


def test_when_no_argument_is_to_blame(filename):
    huey = SqliteHuey(filename=filename, serializer=Odd())
    task = huey.task(name="task")(lambda value: value)
    assert refused(huey, lambda: task(1)) == (
        f"{MODULE}.task can't be enqueued, it does not serialize: ValueError: not today"
    )
    huey.storage.close()


def test_nothing_is_looked_for_unless_it_is_refused(sqlite, add):
    calls = []

    class Counting(Serializer):
        def _serialize(self, data):
            calls.append(data)
            return super()._serialize(data)

    sqlite.serializer = Counting()
    sqlite.enqueue(add.s(1, 2).then(add, 3))
    assert len(calls) == 1


@pytest.mark.parametrize(
    "stop", [TaskStopped(TaskTimeout("5 seconds")), TaskInterrupted(), KeyboardInterrupt()]
)
def test_what_stops_a_task_while_it_serializes_is_not_an_error_of_the_value(sqlite, add, stop):
    class Slow:
        def __reduce__(self):
            raise stop

    for call in (lambda: add(Slow()), lambda: sqlite.put("key", Slow())):
        with pytest.raises(type(stop)) as caught:
            call()
        assert caught.value is stop
    assert is_empty(sqlite)


# Results and other values that do not serialize


def test_a_return_value_is_named_as_such(app):
    def lock():
        return LOCK

    result = app.huey.task()(lock)()
    app.run()
    with pytest.raises(TaskException) as caught:
        result.get()
    assert f"the return value of {MODULE}.lock, of type lock, {WHY}" in str(caught.value)
    assert "SerializationError" in caught.value.metadata["error"]


def test_a_return_value_that_is_too_large_is_named_as_such(app):
    app.make(max_payload=10_000)
    result = app.huey.task(name="large")(lambda: bytes(20_000))()
    app.run()
    with pytest.raises(TaskException, match=rf"the return value of {MODULE}\.large .* 10,000"):
        result.get()


def test_a_retry_may_return_another_value(app):
    values = [LOCK, bytes(20_000), 7]
    app.make(max_payload=10_000)
    result = app.huey.task(name="task", retries=2)(lambda: values.pop(0))()
    app.run()
    result.reset()
    assert result.get() == 7


def test_a_value_for_a_key(sqlite):
    assert f"the value of 'key', of type lock, {WHY}" == refused(sqlite, lambda: sqlite.put("key", LOCK))
    assert "the value of 'key'" in refused(sqlite, lambda: sqlite.put_if_empty("key", LOCK))


# Sizes


def test_a_task_that_is_too_large(filename):
    huey = SqliteHuey(filename=filename, max_payload=10_000)
    measure = huey.task(name="measure")(lambda *args, **kwargs: 1)
    text = refused(huey, lambda: measure(bytes(100), bytes(20_000)), PayloadTooLarge)
    assert text.startswith(f"{MODULE}.measure can't be enqueued: it has 20,")
    assert " bytes, and the limit of max_payload is 10,000; argument 2 has 20,0" in text
    pipeline = measure.s().then(measure, data=bytes(20_000))
    text = refused(huey, lambda: huey.enqueue(pipeline), PayloadTooLarge)
    assert "; keyword argument 'data' of stage 2 of its pipeline" in text
    many = measure.s()
    for _ in range(400):
        many.then(measure)
    assert "; " not in refused(huey, lambda: huey.enqueue(many), PayloadTooLarge)
    refused(huey, lambda: measure.map([b"", bytes(20_000)]), PayloadTooLarge)
    measure(bytes(9_000))
    assert len(huey) == 1
    huey.storage.close()


def test_a_value_that_is_too_large(filename):
    huey = SqliteHuey(filename=filename, max_payload=1_000)
    text = refused(huey, lambda: huey.put("key", bytes(1_001)), PayloadTooLarge)
    assert "the value of 'key' can't be stored: it has 1,0" in text
    refused(huey, lambda: huey.put_if_empty("key", bytes(1_001)), PayloadTooLarge)
    huey.put("key", bytes(900))
    assert huey.get("key") == bytes(900)
    huey.storage.close()


def test_what_counts_is_what_is_stored():
    huey = MemoryHuey(max_payload=1_000, compression=True)
    huey.put("key", bytes(100_000))
    size = len(huey.get_raw("key", peek=True))
    huey.max_payload = size
    huey.put("key", bytes(100_000))
    huey.max_payload = size - 1
    with pytest.raises(
        PayloadTooLarge, match=f"{size:,} bytes, and the limit of max_payload is {size - 1:,}"
    ):
        huey.put("key", bytes(100_000))


def test_errors_are_stored_whatever_their_size(app):
    app.make(max_payload=500)

    def fail():
        raise ValueError("x" * 1_000)

    result = app.huey.task()(fail)()
    app.run()
    with pytest.raises(TaskException, match="xxx"):
        result.get()


def test_an_error_handler_of_a_large_exception_is_dead_or_gets_it(app):
    """Nothing hangs: the result says what happened."""
    app.make(max_payload=5_000)
    given = []
    handler = app.huey.task(name="handler")(given.append)

    class Large(Exception):
        def __init__(self):
            super().__init__("large")
            self.data = bytes(6_000)

    def fail():
        raise Large

    app.huey.enqueue(app.huey.task()(fail).s().error(handler))
    app.run()
    assert "large" in str(given[0])


def test_the_storage_s_own_limit_holds_by_default(sqlite):
    assert sqlite.max_payload is None
    assert sqlite._payload_limit() == sqlite.storage.capabilities.max_payload == 999_000_000
    assert MemoryHuey()._payload_limit() == float("inf")


@pytest.mark.parametrize("max_payload", [0, -1, "1000", 1e6])
def test_a_limit_that_is_none(filename, max_payload):
    with pytest.raises(ConfigurationError, match="max_payload must be a number of bytes"):
        SqliteHuey(filename=filename, max_payload=max_payload)


def test_a_limit_beyond_the_storage_s(filename):
    SqliteHuey(filename=filename, max_payload=999_000_000)
    with pytest.raises(ConfigurationError, match=r"999,000,001.* 999,000,000 at most"):
        SqliteHuey(filename=filename, max_payload=999_000_001)
    MemoryHuey(max_payload=10**12)


# What can't be read


@pytest.mark.parametrize("read", ["get", "result", "is_ready"])
def test_a_value_that_cannot_be_decoded_stays_where_it_is(filename, read):
    writer = SqliteHuey(filename=filename, serializer=SignedSerializer(secret="right"))
    reader = SqliteHuey(filename=filename, serializer=SignedSerializer(secret="wrong"))
    writer.put("key", 7)
    task = reader.task(name="task")(lambda: 1)
    calls = {
        "get": lambda: reader.get("key"),
        "result": lambda: reader.result("key"),
        "is_ready": lambda: Result(reader, task.s(id="key")).is_ready(),
    }
    for _ in range(2):
        with pytest.raises(BadSignature):
            calls[read]()
    assert writer.get("key") == 7
    for huey in (writer, reader):
        huey.storage.close()


def test_a_value_that_is_stored_meanwhile_is_not_replaced(sqlite):
    class Late(Serializer):
        def _deserialize(self, data):
            sqlite.storage.put_result("key", b"new")
            raise ValueError("no")

    sqlite.put("key", "old")
    sqlite.serializer = Late()
    with pytest.raises(ValueError):
        sqlite.get("key")
    assert sqlite.storage.peek_result("key") == b"new"


@pytest.mark.parametrize("serializer", [JSONSerializer, "json", 7, JSONSerializer.serialize])
def test_a_serializer_that_is_none(filename, serializer):
    with pytest.raises(ConfigurationError, match=r"such as JSONSerializer\(\)"):
        SqliteHuey(filename=filename, serializer=serializer)


# A whole life as JSON


@pytest.fixture
def json_app(app):
    app.make(serializer=JSONSerializer(), store_none=True)
    return app


def test_an_error_is_an_error_in_json(json_app):
    def fail():
        raise KeyError("no")

    result = json_app.huey.task()(fail)()
    json_app.run()
    assert isinstance(result.get_raw_result(preserve=True), Error)
    with pytest.raises(TaskException) as caught:
        result.get()
    assert caught.value.metadata["error"] == "KeyError('no')"
    assert caught.value.metadata["task_id"] == result.id


def test_a_tuple_extends_the_arguments_of_the_next_stage_in_json(json_app):
    pair = json_app.huey.task(name="pair")(lambda a: (a, a + 1))
    add = json_app.huey.task(name="add")(lambda a, b, c=0: a + b + c)
    results = json_app.huey.enqueue(pair.s(1).then(add, c=4))
    json_app.run()
    pair_value, total = results.get()
    assert tuple(pair_value) == (1, 2)
    assert total == 7


def test_an_error_handler_in_json_gets_a_description(json_app):
    given = []
    handler = json_app.huey.task(name="handler")(lambda *args: given.append(args))

    def fail():
        raise KeyError("no")

    json_app.huey.enqueue(json_app.huey.task()(fail).s().error(handler, "first"))
    json_app.run()
    ((first, exception),) = given
    assert first == "first"
    assert isinstance(exception, TaskException)
    assert exception.metadata["error"] == "KeyError('no')"


def test_an_error_handler_is_never_given_something_that_is_no_exception(stored):
    """A serializer that makes texts of what it does not know."""

    class Sloppy(JSONSerializer):
        def _serialize(self, data):
            return json.dumps(data, default=str).encode()

    stored.make(serializer=Sloppy())
    given = []
    handler = stored.huey.task(name="handler")(given.append)

    def fail():
        raise KeyError("no")

    stored.huey.enqueue(stored.huey.task()(fail).s().error(handler))
    stored.run()
    assert isinstance(given[0], TaskException)
    assert "KeyError" in str(given[0])


def test_what_a_chord_hands_over_arrives_in_json(stored):
    """The values of its members, in one list."""
    stored.make(serializer=JSONSerializer())
    given = []
    callback = stored.huey.task(name="callback")(given.append)
    values = [1, Error({"error": "no", "retries": 0}), SKIPPED, [SKIPPED], {"a": Error({})}]
    callback(values)
    stored.run()
    assert given == [values]
    assert given[0][2] is SKIPPED


def test_every_option_of_a_task_survives_json(sqlite, add, handler):
    sqlite.serializer = JSONSerializer()
    task = add.s(
        1, c="é", eta=datetime(2030, 1, 2, 3, 4, 5, 678901), retries=3, retry_delay=0.5, retry_backoff=2,
        priority=7, expires=timedelta(hours=1.5), timeout=9.5, id="id",
    )  # fmt: skip
    task.then(add, 2).error(handler, 3)
    task.resolve_expires()
    back = sqlite.deserialize_task(sqlite.serialize_task(task))
    for name in (
        "args",
        "kwargs",
        "eta",
        "retries",
        "retry_delay",
        "retry_backoff",
        "priority",
        "timeout",
        "id",
    ):
        assert getattr(back, name) == getattr(task, name), name
        assert type(getattr(back, name)) is type(getattr(task, name)), name
    assert back.expires_resolved == task.expires_resolved
    assert back.on_complete.args == (2,)
    assert back.on_error.args == (3,)
    assert type(back.on_error) is handler.task_class

"""Functions that were never declared: sent with the call, and run as any task."""

import functools
import pickle
import sys
import textwrap
import threading
import types
from pathlib import Path

import pytest

from liteq import ConfigurationError, MemoryHuey, SqliteHuey, TaskException
from liteq.exceptions import SerializationError
from liteq.serializer import JSONSerializer, PickleSerializer, Serializer
from liteq.submission import PickledCall, Submitted, name_of

from .running import python


class Counter:
    """A callable object."""

    def __init__(self, start):
        self.start = start

    def __call__(self, number):
        return self.start + number

    def method(self, number):
        return self.start * number


def double(number):
    return 2 * number


@pytest.mark.parametrize(
    "function",
    [double, lambda n: 2 * n, functools.partial(pow, exp=2), Counter(2), Counter(2).method, (2).__mul__, "ab".index],
    ids=["function", "lambda", "partial", "callable", "method", "slot", "built-in method"],
)  # fmt: skip
def test_any_function_may_be_sent(app, function):
    argument = "b" if function == "ab".index else 2
    result = app.huey.submit(function, argument)
    app.run()
    assert result() == function(argument)


def test_a_closure_brings_what_it_closes_over(app):
    base = [1, 2]

    def add(number, *, factor=1):
        return [(each + number) * factor for each in base]

    result = app.huey.submit(add, 1, factor=10)
    app.run()
    assert result() == [20, 30]


def test_coroutine_functions(app):
    async def add(a, b):
        return a + b

    result = app.huey.submit(add, 1, 2)
    app.run()
    assert result() == 3


def test_what_it_raises_is_its_failure(app):
    def fail():
        raise ValueError("no")

    result = app.huey.submit(fail)
    app.run()
    with pytest.raises(TaskException, match="no"):
        result()


def test_the_reserved_keywords_are_those_of_a_call(stored):
    result = stored.huey.submit(double, number=4, delay=100, priority=3, retries=2, id="mine", timeout=5)
    [task] = stored.huey.scheduled()
    assert (result.id, task.id, task.priority, task.retries, task.timeout) == ("mine", "mine", 3, 2, 5)
    with pytest.raises(ValueError, match="retries"):
        stored.huey.submit(double, 1, retries=-1)


def test_retries(app, tmp_path):
    def fail_once(path):
        if not path.exists():
            path.touch()
            raise ValueError("the first time")
        return "done"

    result = app.huey.submit(fail_once, tmp_path / "tried", retries=1)
    app.run()
    result.reset()
    assert result() == "done"


def test_the_function_is_named_for_people(stored):
    stored.huey.submit(double, 1)
    [task] = stored.huey.pending()
    assert "test_submission.double" in repr(task)
    assert repr(Submitted(id="x")).startswith("liteq.submission.Submitted: x")


def test_a_queue_without_results_returns_none(app):
    huey = app.make(results=False)
    assert huey.submit(double, 1) is None


def test_nothing_of_it_is_counted_among_the_declared_tasks(sqlite):
    assert (len(sqlite.registry), sqlite.registry.names(), sqlite.registry.periodic_tasks) == (0, [], [])


def test_a_declared_task_can_not_take_its_place(sqlite):
    fake = types.FunctionType(double.__code__, {}, "Submitted")
    fake.__module__ = "liteq.submission"
    with pytest.raises(ValueError, match="Submitted"):
        sqlite.task()(fake)
    assert len(sqlite.registry) == 0


def test_a_declared_task_is_enqueued_as_a_call_of_it(app):
    add = app.huey.task(retries=3)(lambda a, b: a + b)
    result = app.huey.submit(add, 1, b=2)
    app.run()
    assert result() == 3
    assert result.task.retries == 3


# What can't be sent


@pytest.mark.parametrize("nothing", [None, 5, "double"])
def test_what_is_no_function_is_refused(sqlite, nothing):
    with pytest.raises(TypeError, match="function"):
        sqlite.submit(nothing)


def test_a_function_that_does_not_pickle_is_refused_by_name(sqlite):
    lock = threading.Lock()

    def locked():
        return lock

    with pytest.raises(
        SerializationError, match=r"test_a_function.*locked can't be pickled.*lock.*in the function"
    ):
        sqlite.submit(locked)
    assert sqlite.pending_count() == 0


def test_an_argument_that_does_not_pickle_is_refused(sqlite):
    with pytest.raises(SerializationError, match=r"an argument of .*double can't be pickled"):
        sqlite.submit(double, threading.Lock())
    assert sqlite.pending_count() == 0


class Strings(Serializer):
    """Carries everything, in its way."""

    def _serialize(self, data):
        import json

        return json.dumps(data, default=repr).encode()

    def _deserialize(self, data):
        import json

        return json.loads(data)


@pytest.mark.parametrize("serializer", [JSONSerializer(), Strings()])
@pytest.mark.parametrize("immediate", [True, False])
def test_a_serializer_that_can_not_carry_functions_is_named(filename, serializer, immediate):
    huey = SqliteHuey(filename=filename, serializer=serializer, immediate=immediate)
    with pytest.raises(ConfigurationError, match=f"{type(serializer).__name__} can't carry functions"):
        huey.submit(double, 1)
    assert huey.pending_count() == 0
    huey.storage.close()


@pytest.mark.parametrize("serializer", [Serializer(compression=True), PickleSerializer()])
def test_serializers_that_can(filename, serializer):
    huey = MemoryHuey(serializer=serializer)
    result = huey.submit(lambda: 5)
    huey.execute(huey.dequeue())
    assert result() == 5


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("name",),
        ("name", [pickle.dumps(print).decode("latin1"), ""]),
        ("name", b"x"),
        ("name", ("a", "b")),
    ],
)
def test_a_payload_that_submit_did_not_make_is_not_unpickled(sqlite, args):
    result = sqlite.enqueue(Submitted(args))
    sqlite.execute(sqlite.dequeue())
    with pytest.raises(TaskException, match="pickled by submit"):
        result()


def test_a_payload_that_can_not_be_read_is_the_task_s_failure(sqlite):
    result = sqlite.enqueue(Submitted(("name", PickledCall(b"rubbish", b""))))
    sqlite.execute(sqlite.dequeue())
    with pytest.raises(TaskException, match="Unpickling"):
        result()


# Functions that use tasks, and functions of scripts


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An application that can be imported, in the folder of the test."""
    (tmp_path / "submission_app.py").write_text(
        textwrap.dedent("""
        from liteq import SqliteHuey

        huey = SqliteHuey(filename="queue.db")
        state = []

        @huey.task()
        def add(a, b):
            state.append(a)
            return a + b

        @huey.task(context=True)
        def name(task):
            return task.name

        class Space:
            inner = huey.task(name="inner")(lambda: 1)

        Space.inner.func.__qualname__ = "Space.inner"
        """)
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import submission_app

    yield submission_app
    submission_app.huey.storage.close()
    del sys.modules["submission_app"]


def test_a_declared_task_is_pickled_by_reference(project):
    assert pickle.loads(pickle.dumps(project.add)) is project.add
    assert pickle.loads(pickle.dumps(project.Space.inner)) is project.Space.inner


def test_one_that_can_not_be_imported_is_not_pickled(sqlite):
    local = sqlite.task()(lambda: 1)
    with pytest.raises(pickle.PicklingError, match="can't be imported"):
        pickle.dumps(local)


def test_a_function_may_call_tasks(project):
    add = project.add
    project.huey.submit(lambda: add(1, 2))
    project.huey.execute(project.huey.dequeue())
    [task] = project.huey.pending()
    assert (task.name, task.args) == ("add", (1, 2))


def test_a_function_of_a_script_runs_where_the_script_is_not(project):
    script = """
import submission_app as app

FACTOR = 7

class Number:
    def __init__(self, value):
        self.value = value

def times(number):
    return Number(FACTOR * number.value).value

app.huey.submit(times, Number(6), id="answer")
"""
    Path("script.py").write_text(script)
    python("script.py")
    project.huey.execute(project.huey.dequeue())
    assert project.huey.result("answer") == 42


def test_the_name_of_a_partial_does_not_tell_its_arguments():
    assert (
        name_of(functools.partial(functools.partial(len, "hunter2"), key="hunter2"))
        == "builtins.len in a partial"
    )

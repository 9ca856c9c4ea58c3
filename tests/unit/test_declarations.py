"""Declaring tasks, periodic tasks, hooks and receivers."""
# ruff: noqa: DTZ001 -- naive datetimes are a part of what is tested

from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from liteq import ConfigurationError, PeriodicTask, Task, crontab


def names(huey):
    return [name.removeprefix(f"{__name__}.") for name in huey.registry.names()]


def test_the_defaults_of_a_declaration(sqlite):
    @sqlite.task()
    def add(a, b):
        return a + b

    task = add.s()
    assert (task.retries, task.retry_delay, task.retry_backoff) == (0, 0, 0)
    assert (task.priority, task.expires, task.timeout) == (None, None, None)
    assert task.at_most_once is False
    assert names(sqlite) == ["add"]


def test_the_options_become_the_defaults_of_its_tasks(sqlite):
    when = datetime(2099, 1, 1)
    options = {
        "retries": 1,
        "retry_delay": 2,
        "retry_backoff": 3,
        "priority": 4,
        "expires": when,
        "timeout": 5,
    }

    @sqlite.task(**options)
    def add(a, b):
        return a + b

    for name, value in options.items():
        assert getattr(add.s(), name) == value
        assert getattr(add.task_class, f"default_{name}") == value


def test_none_leaves_the_defaults_of_the_class(sqlite):
    class Base(Task):
        default_priority = 7

    add = sqlite.task(retries=None, retry_delay=None, retry_backoff=None, task_base=Base)(max)
    task = add.s()
    assert (task.retries, task.retry_delay, task.retry_backoff, task.priority) == (0, 0, 0, 7)


def test_the_order_of_the_arguments_is_that_of_huey(sqlite):
    add = sqlite.task(1, 2, 3, 4, True, "plus", 5, 6)(max)
    task = add.s()
    assert (task.retries, task.retry_delay, task.retry_backoff, task.priority) == (1, 2, 3, 4)
    assert (add.context, task.name, task.expires, task.timeout) == (True, "plus", 5, 6)


def test_a_name_replaces_the_functions_and_not_the_module(sqlite):
    @sqlite.task(name="plus")
    def add(a, b):
        return a + b

    assert sqlite.registry.names() == [f"{__name__}.plus"]
    assert add.s().name == "plus"


def test_a_name_is_taken_once(sqlite):
    def add(a, b):
        return a + b

    first = sqlite.task()(add)
    with pytest.raises(ValueError, match=r"add.*name="):
        sqlite.task()(add)
    sqlite.periodic_task(crontab(), name="tick")(max)
    with pytest.raises(ValueError, match="tick"):
        sqlite.periodic_task(crontab(), name="tick")(min)
    assert sqlite.registry.string_to_task(f"{__name__}.add") is first.task_class
    sqlite.task(name="plus")(add)


def test_other_keywords_become_attributes_of_the_class(sqlite):
    @sqlite.task(context=True, queue_hint="fast", limit=3)
    def add(task):
        return (task.queue_hint, task.limit)

    assert add.task_class.queue_hint == "fast"
    assert add.s().execute() == ("fast", 3)


def test_at_most_once_is_one_of_them(sqlite):
    @sqlite.task(at_most_once=True)
    def pay():
        pass

    assert pay.s().at_most_once is True
    assert sqlite.message_of(pay.s()).at_most_once is True


def test_a_base_class_of_ones_own(sqlite):
    class Base(Task):
        default_retries = 99

        def hello(self):
            return "hello"

    declare = sqlite.task(task_base=Base, context=True)

    @declare
    def first(task):
        return task.hello()

    @declare
    def second(task):
        return task.hello()

    for task in (first, second):
        assert isinstance(task.s(), Base)
        assert task.s().execute() == "hello"


def test_one_decorator_declares_any_number(sqlite):
    declare = sqlite.task(retries=3)
    first, second = declare(min), declare(max)
    assert (first.retries, second.retries) == (3, 3)
    assert first.s(1, 2).execute() == 1
    assert second.s(1, 2).execute() == 2


def test_a_declared_task_is_declared_again_under_another_name(sqlite):
    @sqlite.task(retries=1, name="twice")
    @sqlite.task(retries=5)
    def add(a, b):
        return a + b

    assert names(sqlite) == ["add", "twice"]
    assert add.retries == 1
    assert add.s(1, 2).execute() == 3


def test_an_asynchronous_generator_is_refused(sqlite):
    async def later():
        yield 1

    with pytest.raises(ConfigurationError, match=r"later.*return a list"):
        sqlite.task()(later)
    with pytest.raises(ConfigurationError, match="later"):
        sqlite.periodic_task(crontab())(later)
    assert names(sqlite) == []


# Periodic tasks


def test_a_periodic_task(sqlite):
    @sqlite.periodic_task(
        crontab(minute="0"), retries=1, retry_delay=2, priority=3, expires=4, timeout=5, hint="x"
    )
    def hourly():
        return "done"

    (task,) = sqlite.registry.periodic_tasks
    assert isinstance(task, PeriodicTask)
    assert task.validate_datetime(datetime(2026, 1, 1, 10, 0))
    assert not task.validate_datetime(datetime(2026, 1, 1, 10, 1))
    assert (task.retries, task.retry_delay, task.priority, task.expires, task.timeout) == (1, 2, 3, 4, 5)
    assert hourly.task_class.hint == "x"
    assert hourly.call_local() == "done"
    assert task.execute() == "done"


def test_any_function_of_a_datetime_says_when(sqlite):
    seen = []

    @sqlite.periodic_task(lambda moment: seen.append(moment) or moment.minute == 7)
    def odd():
        pass

    assert [task.name for task in sqlite.read_periodic(datetime(2026, 1, 1, 0, 7))] == ["odd"]
    assert sqlite.read_periodic(datetime(2026, 1, 1, 0, 8)) == []
    assert seen[-1] == datetime(2026, 1, 1, 0, 8)


@pytest.mark.parametrize("validate", [None, "* * * * *", 60, timedelta(minutes=1)])
def test_what_says_when_is_a_function(sqlite, validate):
    with pytest.raises((TypeError, ValueError), match="validate_datetime"):
        sqlite.periodic_task(validate)


def test_a_periodic_task_may_be_called_like_any_other(sqlite):
    @sqlite.periodic_task(crontab())
    def tick():
        pass

    tick()
    assert [task.name for task in sqlite.pending()] == ["tick"]


# context_task


@pytest.mark.parametrize("as_argument", [False, True])
def test_a_task_inside_a_context(sqlite, as_argument):
    steps = []

    class Resource:
        def __enter__(self):
            steps.append("open")
            return "resource"

        def __exit__(self, *_):
            steps.append("close")

    @sqlite.context_task(Resource(), as_argument=as_argument, retries=3)
    def use(*args, **kwargs):
        """Use it."""
        steps.append((args, kwargs))
        return "used"

    for _ in range(2):
        assert use.s(1, a=2).execute() == "used"
    arguments = ("resource", 1) if as_argument else (1,)
    assert steps == ["open", (arguments, {"a": 2}), "close"] * 2
    assert use.retries == 3
    assert use.__doc__ == "Use it."
    assert names(sqlite) == ["use"]


def test_a_context_is_left_when_the_task_fails(sqlite):
    steps = []

    @contextmanager
    def resource():
        try:
            yield
        finally:
            steps.append("closed")

    @sqlite.context_task(resource())
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail.s().execute()
    assert steps == ["closed"]


# Hooks and receivers

KINDS = {
    "pre_execute": "pre_execute",
    "post_execute": "post_execute",
    "on_startup": "startup",
    "on_shutdown": "shutdown",
}


@pytest.mark.parametrize("kind", KINDS)
def test_hooks(sqlite, kind):
    calls = []
    register, unregister = getattr(sqlite, kind), getattr(sqlite, f"unregister_{kind}")
    hooks = getattr(sqlite.hooks, KINDS[kind])

    @register()
    def first(*args):
        calls.append(("first", args))

    @register(name="named")
    def second(*args):
        calls.append(("second", args))

    assert first.__name__ == "first"
    hooks.run("task")
    assert calls == [("first", ("task",)), ("second", ("task",))]
    assert unregister("named") is True
    assert unregister("named") is False
    assert unregister(first) is True
    hooks.run("task")
    assert len(calls) == 2


def test_receivers(sqlite):
    calls = []

    @sqlite.signal("error", "complete")
    def some(signal, task, exc=None):
        calls.append(("some", signal))

    @sqlite.signal()
    def every(signal, task, exc=None):
        calls.append(("every", signal))

    sqlite.signals.send("error", None)
    sqlite.signals.send("executing", None)
    assert calls == [("some", "error"), ("every", "error"), ("every", "executing")]
    sqlite.disconnect_signal(some, "error")
    sqlite.disconnect_signal(every)
    sqlite.signals.send("error", None)
    sqlite.signals.send("complete", None)
    assert calls[3:] == [("some", "complete")]

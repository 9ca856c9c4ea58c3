"""Tasks, what they hand on, and the registry that makes plain values of them."""
# ruff: noqa: DTZ001 -- naive datetimes are a part of what is tested

import copy
from datetime import UTC, datetime, timedelta, timezone

import pytest

from liteq.exceptions import TaskTimeout, UnknownTask
from liteq.registry import Registry
from liteq.tasks import PeriodicTask, Task, signature_of


class Add(Task):
    default_retries = 3
    default_retry_delay = 10
    default_retry_backoff = 2
    default_priority = 5
    default_expires = 60
    default_timeout = 7

    def execute(self):
        return sum(self.args)


class Other(Task):
    pass


class Declared:
    """What stands in a pipeline for a declared task."""

    def s(self, *args, **kwargs):
        return Other(args, kwargs)


# One task


def test_a_task_of_nothing():
    task = Task()
    assert (task.args, task.kwargs, task.data) == ((), {}, ((), {}))
    assert (task.retries, task.retry_delay, task.retry_backoff) == (0, 0, 0)
    assert (task.eta, task.priority, task.expires, task.expires_resolved, task.timeout) == (None,) * 5
    assert (task.on_complete, task.on_error, task.chord_config) == (None,) * 3


def test_the_defaults_of_its_class():
    task = Add()
    assert (task.retries, task.retry_delay, task.retry_backoff) == (3, 10, 2)
    assert (task.priority, task.expires, task.timeout) == (5, 60, 7)


def test_what_the_call_says_goes_before_the_defaults_even_if_it_is_zero():
    task = Add(retries=0, retry_delay=0, retry_backoff=0, priority=0, expires=0, timeout=0)
    assert (task.retries, task.retry_delay, task.retry_backoff) == (0, 0, 0)
    assert (task.priority, task.expires, task.timeout) == (0, 0, 0)


def test_the_order_of_the_arguments_is_that_of_huey():
    eta, resolved = datetime(2026, 1, 1), datetime(2026, 1, 2)
    follow, handler = Other(), Other()
    task = Add((1,), {"a": 2}, "id", eta, 1, 2, 3, 4, follow, handler, resolved, 5, None, 6)
    assert (task.args, task.kwargs, task.id, task.eta) == ((1,), {"a": 2}, "id", eta)
    assert (task.retries, task.retry_delay, task.priority, task.expires) == (1, 2, 3, 4)
    assert task.on_complete is follow
    assert task.on_error is handler
    assert (task.expires_resolved, task.timeout, task.retry_backoff) == (resolved, 5, 6)


def test_each_has_an_id_of_its_own():
    assert Task().id != Task().id
    assert Task(id="mine").id == "mine"
    assert Task(id="mine").revoke_id == "r:mine"


def test_a_class_may_choose_its_ids():
    class Counted(Task):
        def create_id(self):
            return "42"

    assert Counted().id == "42"


def test_equality_is_that_of_id_eta_and_class():
    eta = datetime(2026, 1, 1)
    assert Add(id="a") == Add((1,), id="a")
    assert Add(id="a", eta=eta) == Add(id="a", eta=eta)
    assert Add(id="a") != Add(id="b")
    assert Add(id="a") != Add(id="a", eta=eta)
    assert Add(id="a") != Other(id="a")
    assert Add(id="a") != "a"
    assert hash(Add(id="a")) == hash(Other(id="a"))


def test_its_text_says_what_it_is():
    task = Add(id="a", eta=datetime(2026, 1, 1)).then(Other(id="b")).error(Other(id="c"))
    text = repr(task)
    for part in (
        "Add: a",
        "2026-01-01",
        "exp=60",
        "p=5",
        "3 retries",
        "timeout=7",
        "-> ",
        "Other: b",
        "on error",
        "Other: c",
    ):
        assert part in text
    assert repr(Task(id="a")) == "liteq.tasks.Task: a"


def test_a_task_that_was_not_declared_cannot_run():
    with pytest.raises(TypeError, match="not declared"):
        Task().execute()


# The value of the stage before


@pytest.mark.parametrize("nothing", [None, ()])
def test_nothing_adds_nothing(nothing):
    task = Task((1,), {"a": 2})
    task.extend_data(nothing)
    assert task.data == ((1,), {"a": 2})


def test_a_tuple_extends_the_arguments():
    task = Task((1,))
    task.extend_data((2, 3))
    assert task.args == (1, 2, 3)


def test_a_dict_fills_in_missing_keywords():
    task = Task((1,), {"a": 1})
    task.extend_data({"a": 9, "b": 2})
    assert task.data == ((1,), {"a": 1, "b": 2})


@pytest.mark.parametrize("value", [0, False, "", [], [1, 2], "text", 1.5, {1}, b"x"], ids=repr)
def test_anything_else_is_one_argument(value):
    task = Task((1,))
    task.extend_data(value)
    assert task.args == (1, value)


def test_an_empty_dict_adds_nothing():
    task = Task((1,), {"a": 1})
    task.extend_data({})
    assert task.data == ((1,), {"a": 1})


def test_the_value_is_not_asked_whether_it_is_equal_to_something():
    """An array answers that question with an array, which is neither true nor false."""

    class Array:
        def __eq__(self, other):
            raise ValueError("the truth value of an array is ambiguous")

        __hash__ = None

    task, value = Task(), Array()
    task.extend_data(value)
    assert task.args[0] is value


def test_keywords_of_another_task_are_not_touched():
    shared = {"a": 1}
    first, second = Task(kwargs=shared), Task(kwargs=shared)
    first.extend_data({"b": 2})
    assert second.kwargs == {"a": 1}


# Pipelines


def test_then_adds_stages_at_the_end_and_returns_the_first():
    first, second, third = Other(), Other(), Other()
    assert first.then(second).then(third) is first
    assert list(first.stages()) == [first, second, third]


def test_then_with_a_declared_task_makes_a_task_of_it():
    task = Task().then(Declared(), 1, 2, key=3)
    assert isinstance(task.on_complete, Other)
    assert task.on_complete.data == ((1, 2), {"key": 3})


def test_then_with_a_task_adds_to_its_arguments():
    follow = Other((1,), {"a": 1})
    Task().then(follow, 2, a=8, b=9)
    assert follow.data == ((1, 2), {"a": 1, "b": 9})


def test_error_adds_handlers_of_handlers():
    task, handler, of_handler = Task(), Other(), Other()
    assert task.error(handler).error(of_handler, 1) is task
    assert task.on_error is handler
    assert handler.on_error is of_handler
    assert of_handler.args == (1,)


def test_a_pipeline_of_a_pipeline():
    inner = Other(id="b").then(Other(id="c"))
    outer = Other(id="a").then(inner).then(Other(id="d"))
    assert [stage.id for stage in outer.stages()] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("callback", [print, "task", None, 1, object()])
@pytest.mark.parametrize("way", ["then", "error"])
def test_only_a_task_can_follow(way, callback):
    task = Task()
    with pytest.raises(TypeError, match="not a task"):
        getattr(task, way)(callback)
    assert (task.on_complete, task.on_error) == (None, None)


def testsignature_of():
    task = Other()
    assert signature_of(task) is task
    assert signature_of(Declared(), (1,), {"a": 2}).data == ((1,), {"a": 2})
    assert signature_of(Declared()).data == ((), {})


# Time


def test_expiry_in_seconds_counts_from_when_it_is_resolved(clock):
    task = Task(expires=90)
    resolved = task.resolve_expires()
    assert resolved == task.expires_resolved
    assert abs(resolved.replace(tzinfo=UTC).timestamp() * 1e6 - clock.now - 90e6) < 1


def test_expiry_as_a_timedelta(clock):
    assert Task(expires=timedelta(minutes=1)).resolve_expires() == Task(expires=60).resolve_expires()


def test_expiry_as_a_time():
    aware = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert Task(expires=aware).resolve_expires() == datetime(2026, 1, 1, 10)


def test_no_expiry():
    assert Task().resolve_expires() is None
    assert Task().expires_resolved is None


def test_a_timeout_that_has_not_started_has_not_passed():
    task = Task(timeout=1)
    assert task.time_remaining == float("inf")
    assert not task.is_timed_out
    task.check_timeout()


def test_a_timeout_that_runs():
    task = Task(timeout=1000)
    task.start_timer()
    assert 990 < task.time_remaining <= 1000
    assert not task.is_timed_out
    task.check_timeout()


def test_a_timeout_that_has_passed():
    task = Task(timeout=1e-9)
    task.start_timer()
    assert task.time_remaining == 0
    assert task.is_timed_out
    with pytest.raises(TaskTimeout, match="timeout 1e-09s"):
        task.check_timeout()


def test_no_timeout():
    task = Task()
    task.start_timer()
    assert task.time_remaining == float("inf")
    assert not task.is_timed_out


def test_a_periodic_task_is_never_due_by_itself():
    assert PeriodicTask().validate_datetime(datetime(2026, 1, 1)) is False


# The registry


@pytest.fixture
def registry():
    registry = Registry()
    registry.register(Add)
    registry.register(Other)
    return registry


def there_and_back(registry, task, utc=True):
    return registry.decode(registry.encode(task, utc), utc)


def test_the_key_is_the_module_and_the_name(registry):
    assert registry.task_to_string(Add) == f"{__name__}.Add"
    assert registry.string_to_task(f"{__name__}.Add") is Add
    assert registry.names() == [f"{__name__}.Add", f"{__name__}.Other"]
    assert len(registry) == 2


def test_each_class_has_a_key_of_its_own():
    assert type("Less", (Add,), {"__module__": "app"}).registry_key == "app.Less"
    assert Add.registry_key == f"{__name__}.Add"
    assert Task.registry_key == "liteq.tasks.Task"


def test_a_key_is_taken_once(registry):
    with pytest.raises(ValueError, match=r"Add.*name="):
        registry.register(type("Add", (Task,), {"__module__": __name__}))
    assert registry.string_to_task(f"{__name__}.Add") is Add


def test_a_task_may_leave(registry):
    assert registry.unregister(Add)
    assert not registry.unregister(Add)
    registry.register(Add)


def test_an_unknown_task_cannot_be_written_or_read(registry):
    encoded = registry.encode(Add(), utc=True)
    registry.unregister(Add)
    with pytest.raises(UnknownTask, match="Add"):
        registry.encode(Add(), utc=True)
    with pytest.raises(UnknownTask, match="Add"):
        registry.decode(encoded, utc=True)
    with pytest.raises(UnknownTask, match="nobody"):
        registry.string_to_task("nobody")


def test_an_unknown_stage_cannot_be_written_either(registry):
    with pytest.raises(UnknownTask):
        registry.encode(Add().then(Task()), utc=True)
    with pytest.raises(UnknownTask):
        registry.encode(Add().error(Task()), utc=True)


def test_periodic_tasks(registry):
    class Tick(PeriodicTask):
        pass

    assert registry.periodic_tasks == []
    registry.register(Tick)
    (task,) = registry.periodic_tasks
    assert isinstance(task, Tick)
    registry.unregister(Tick)
    assert registry.periodic_tasks == []


@pytest.mark.parametrize("utc", [True, False])
def test_everything_of_a_task_is_kept(registry, utc):
    task = Add(
        (1, "a"),
        {"k": [1]},
        id="me",
        eta=datetime(2026, 1, 1, 2, 3, 4, 567_890),
        retries=1,
        retry_delay=2.5,
        priority=-3,
        expires=4,
        expires_resolved=datetime(2027, 1, 1, 2, 3, 4, 5),
        timeout=6,
        retry_backoff=1.5,
    )
    back = there_and_back(registry, task, utc)
    assert type(back) is Add
    for name in (
        "id", "args", "kwargs", "eta", "retries", "retry_delay", "priority", "expires", "expires_resolved", "timeout",
        "retry_backoff",
    ):  # fmt: skip
        assert getattr(back, name) == getattr(task, name), name


def test_a_pipeline_is_kept_with_its_handlers(registry):
    task = Add((1,), id="a").then(Other((2,), id="b").error(Other(id="e"))).then(Other(id="c"))
    back = there_and_back(registry, task.error(Other(id="d")))
    assert [stage.id for stage in back.stages()] == ["a", "b", "c"]
    assert back.on_complete.args == (2,)
    assert back.on_complete.on_error.id == "e"
    assert back.on_error.id == "d"


def test_zero_is_kept_where_the_class_has_another_default(registry):
    back = there_and_back(registry, Add(retries=0, retry_delay=0, retry_backoff=0, priority=0, timeout=0))
    assert (back.retries, back.retry_delay, back.retry_backoff, back.priority, back.timeout) == (0,) * 5


def test_no_expiry_is_kept_where_the_class_has_one(registry):
    assert there_and_back(registry, Add(expires=0)).expires_resolved is None


def test_times_are_told_in_utc_between_processes(registry):
    """A consumer with utc=False and one with utc=True agree on the moment."""
    encoded = registry.encode(Other(eta=datetime(2026, 1, 1, 12)), utc=True)
    local = registry.decode(encoded, utc=False)
    assert local.eta.astimezone(UTC).replace(tzinfo=None) == datetime(2026, 1, 1, 12)


@pytest.mark.parametrize("expires", [timedelta(seconds=90), 90])
def test_a_relative_expiry_stays_relative(registry, expires):
    back = there_and_back(registry, Other(expires=expires))
    assert back.expires_resolved is None
    assert back.expires == 90


def test_an_absolute_expiry_is_resolved_at_once(registry):
    when = datetime(2030, 1, 1, tzinfo=UTC)
    assert there_and_back(registry, Other(expires=when)).expires_resolved == datetime(2030, 1, 1)


def test_the_task_in_its_own_keywords_is_left_out(registry):
    """Older decorators put it there, for the function to find."""
    task = Other(kwargs={"a": 1})
    task.kwargs["task"] = task
    assert there_and_back(registry, task).kwargs == {"a": 1}
    assert task.kwargs["task"] is task


def test_a_keyword_task_of_another_kind_stays(registry):
    assert there_and_back(registry, Other(kwargs={"task": "wash"})).kwargs == {"task": "wash"}


@pytest.mark.parametrize("values", [(), (1,), ("a",) * 20])
def test_values_that_are_not_a_task(registry, values):
    with pytest.raises(ValueError):
        registry.decode(values, utc=True)


def test_the_values_are_plain():
    """So that any serializer can store them."""
    registry = Registry()
    registry.register(Add)
    values = registry.encode(
        Add((1,), eta=datetime(2026, 1, 1), expires=datetime(2026, 1, 1)).then(Add()), utc=True
    )
    pending = list(values)
    while pending:
        value = pending.pop()
        assert value is None or type(value) in {int, float, str, tuple, dict}, value
        if isinstance(value, tuple):
            pending.extend(value)


def test_a_copy_is_the_same_task():
    task = Add((1,), id="a")
    assert copy.copy(task) == task

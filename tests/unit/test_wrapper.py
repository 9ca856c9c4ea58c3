"""A declared task as applications use it: how a call becomes a stored task."""
# ruff: noqa: DTZ001 -- naive datetimes are a part of what is tested

from datetime import UTC, datetime, timedelta, timezone
from platform import python_version

import pytest

from liteq import SqliteHuey
from liteq.clock import from_us, to_us
from liteq.result_groups import ResultGroup
from liteq.results import Result
from liteq.tasks import Task
from liteq.wrapper import TaskWrapper, check_options

from .running import python

KOLKATA = timezone(timedelta(hours=5, minutes=30))


@pytest.fixture
def add(sqlite):
    @sqlite.task(retries=2, retry_delay=3, retry_backoff=4, priority=5, expires=600, timeout=7)
    def add(a, b=0):
        """Add two numbers."""
        return a + b

    return add


def stored(huey):
    """The one task that is stored."""
    (task,) = [*huey.pending(), *huey.scheduled()]
    return task


# What it is


def test_it_looks_like_the_function(sqlite, add):
    assert isinstance(add, TaskWrapper)
    assert add.__doc__ == "Add two numbers."
    assert add.__name__ == "add"
    assert add.func(1, 2) == 3
    assert add.__wrapped__ is add.func
    assert repr(add) == f"<TaskWrapper {__name__}.add>"
    assert (add.retries, add.retry_delay) == (2, 3)
    assert add.huey is sqlite


def test_its_class(add):
    assert issubclass(add.task_class, Task)
    assert add.task_class.__name__ == "add"
    assert add.task_class.__module__ == __name__
    assert add.task_class.__doc__ == "Add two numbers."


def test_called_locally_it_is_just_the_function(sqlite, add):
    assert add.call_local(1, b=2) == 3
    assert len(sqlite) == 0


def test_unregistered_it_cannot_be_called_but_its_name_is_free(sqlite, add):
    assert add.unregister()
    assert not add.unregister()
    with pytest.raises(Exception, match="no task"):
        add(1)
    assert len(sqlite) == 0
    sqlite.task(name="add")(add.func)(1)
    assert len(sqlite) == 1


# A call


def test_a_call_stores_the_task_and_returns_its_result(sqlite, add):
    result = add(1, b=2)
    task = stored(sqlite)
    assert isinstance(result, Result)
    assert result.id == task.id
    assert task.data == ((1,), {"b": 2})
    assert sqlite.pending_count() == 1


def test_the_defaults_of_the_declaration(sqlite, add, clock):
    add(1)
    task = stored(sqlite)
    assert (task.retries, task.retry_delay, task.retry_backoff, task.priority, task.timeout) == (
        2,
        3,
        4,
        5,
        7,
    )
    assert to_us(task.expires_resolved) == clock.now + 600_000_000
    assert task.eta is None


def test_the_reserved_keywords_are_not_the_functions(sqlite, add, clock):
    add(
        1, b=2, id="me", eta=datetime(2099, 1, 1, tzinfo=UTC), retries=9, retry_delay=8, retry_backoff=7,
        priority=6, expires=60, timeout=5,
    )  # fmt: skip
    task = stored(sqlite)
    assert task.data == ((1,), {"b": 2})
    assert task.id == "me"
    assert task.eta == datetime(2099, 1, 1)
    assert (task.retries, task.retry_delay, task.retry_backoff, task.priority, task.timeout) == (
        9,
        8,
        7,
        6,
        5,
    )
    assert task.expires == 60


def test_zero_overrides_the_declaration(sqlite, add):
    add(1, retries=0, retry_delay=0, retry_backoff=0, priority=0, timeout=0)
    task = stored(sqlite)
    assert (task.retries, task.retry_delay, task.retry_backoff, task.priority, task.timeout) == (0,) * 5


def test_none_leaves_the_declaration(sqlite, add):
    add(
        1,
        id=None,
        eta=None,
        delay=None,
        retries=None,
        retry_delay=None,
        priority=None,
        expires=None,
        timeout=None,
    )
    task = stored(sqlite)
    assert (task.retries, task.retry_delay, task.priority, task.expires, task.timeout) == (2, 3, 5, 600, 7)
    assert task.eta is None
    assert len(task.id) == 36


@pytest.mark.parametrize("delay", [60, 60.0, timedelta(minutes=1)])
def test_a_call_with_a_delay(sqlite, add, clock, delay):
    add(1, delay=delay)
    assert sqlite.scheduled_count() == 1
    assert to_us(stored(sqlite).eta) == clock.now + 60_000_000


def test_a_call_with_no_delay_is_ready(sqlite, add):
    add(1, delay=0)
    assert (sqlite.pending_count(), sqlite.scheduled_count()) == (1, 0)


def test_a_call_for_a_time_that_has_passed_is_ready(sqlite, add):
    add(1, eta=datetime(2001, 1, 1))
    assert (sqlite.pending_count(), sqlite.scheduled_count()) == (1, 0)


def test_s_stores_nothing(sqlite, add):
    task = add.s(1, b=2, id="me", priority=3, delay=60)
    assert isinstance(task, add.task_class)
    assert task.data == ((1,), {"b": 2})
    assert (task.id, task.priority) == ("me", 3)
    assert task.eta is not None
    assert (sqlite.pending_count(), sqlite.scheduled_count()) == (0, 0)
    assert sqlite.enqueue(task).id == "me"
    assert sqlite.scheduled_count() == 1


WRONG = {
    "delay": (-1, "soon", float("nan"), True, timedelta(seconds=-1)),
    "eta": (60, "12:00", timedelta(1)),
    "retries": (-1, 1.5, "1", True),
    "retry_delay": (-1, "1", float("inf")),
    "retry_backoff": (-1, "2"),
    "priority": (1.5, "high", True),
    "expires": (-1, "soon", timedelta(seconds=-1)),
    "timeout": (-1, "1", float("nan")),
    "id": ("", 7, b"x"),
}
WRONG_OPTIONS = [(name, value) for name, values in WRONG.items() for value in values]


@pytest.mark.parametrize(("name", "value"), WRONG_OPTIONS)
def test_a_value_that_cannot_work_is_refused_in_the_call(sqlite, add, name, value):
    for call in (add, add.s):
        with pytest.raises(ValueError, match=name):
            call(1, **{name: value})
    assert (sqlite.pending_count(), sqlite.scheduled_count()) == (0, 0)


@pytest.mark.parametrize(("name", "value"), WRONG_OPTIONS)
def test_a_value_that_cannot_work_is_refused_by_schedule(sqlite, add, name, value):
    options = {"delay": 60, name: value} if name != "eta" else {name: value}
    with pytest.raises(ValueError, match=name):
        add.schedule((1,), **options)
    assert (sqlite.pending_count(), sqlite.scheduled_count()) == (0, 0)


@pytest.mark.parametrize(
    ("name", "value"), [pair for pair in WRONG_OPTIONS if pair[0] not in {"id", "delay", "eta"}]
)
def test_a_value_that_cannot_work_is_refused_in_the_declaration(sqlite, name, value):
    with pytest.raises(ValueError, match=name):
        sqlite.task(**{name: value})
    with pytest.raises(ValueError, match=name):
        sqlite.periodic_task(lambda _: True, **{name: value})
    assert len(sqlite.registry) == 0


@pytest.mark.parametrize("option", [{"eta": datetime(2099, 1, 1), "delay": 1}])
def test_eta_and_delay_exclude_each_other(sqlite, add, option):
    with pytest.raises(ValueError, match="either eta= .* or delay="):
        add(1, **option)
    with pytest.raises(ValueError, match="either eta= .* or delay="):
        add.schedule((1,), **option)
    assert sqlite.scheduled_count() == 0


def test_options_that_work():
    check_options(
        retries=0, retry_delay=0.5, retry_backoff=1.5, priority=-1, expires=timedelta(1), timeout=1, id="x",
    )  # fmt: skip
    check_options(expires=datetime(2026, 1, 1))
    check_options(**dict.fromkeys(WRONG))


# schedule()


def test_schedule_at_a_naive_time_which_is_local(sqlite, add, new_york):
    add.schedule((1, 2), eta=datetime(2099, 7, 1, 12))
    assert stored(sqlite).eta == datetime(2099, 7, 1, 16)


def test_schedule_at_a_time_as_it_is(sqlite, add, new_york):
    add.schedule((1, 2), eta=datetime(2099, 7, 1, 12), convert_utc=False)
    assert stored(sqlite).eta == datetime(2099, 7, 1, 12)


@pytest.mark.parametrize("convert_utc", [True, False])
def test_schedule_at_an_aware_time(sqlite, add, new_york, convert_utc):
    add.schedule((1, 2), eta=datetime(2099, 7, 1, 12, tzinfo=KOLKATA), convert_utc=convert_utc)
    assert stored(sqlite).eta == datetime(2099, 7, 1, 6, 30)


def test_schedule_in_a_queue_of_local_times(filename, new_york, clock):
    huey = SqliteHuey(filename=filename, utc=False)

    @huey.task()
    def add(a, b):
        return a + b

    noon, utc_noon = datetime(2099, 7, 1, 12), datetime(2099, 7, 1, 12, tzinfo=UTC)
    for eta, expected in ((noon, noon), (utc_noon, datetime(2099, 7, 1, 8))):
        add.schedule((1, 2), eta=eta)
        assert stored(huey).eta == expected
        huey.flush()
    add.schedule((1, 2), delay=60)
    assert stored(huey).eta == from_us(clock.now + 60_000_000, utc=False)
    huey.storage.close()


@pytest.mark.parametrize("delay", [60, 60.0, timedelta(minutes=1)])
def test_schedule_after_a_delay(sqlite, add, clock, delay):
    add.schedule((1, 2), delay=delay)
    assert to_us(stored(sqlite).eta) == clock.now + 60_000_000


def test_schedule_keeps_the_fraction_of_a_second(sqlite, add):
    eta = datetime(2099, 1, 1, 0, 0, 0, 123_000)
    add.schedule((1, 2), eta=eta, convert_utc=False)
    assert stored(sqlite).eta == eta
    assert sqlite.scheduled()[0].eta.microsecond == 123_000


def test_what_is_due_is_due_to_the_millisecond(sqlite, add, clock):
    add.schedule((1, 2), delay=0.250)
    clock.advance(0.249)
    assert sqlite.dequeue() is None
    clock.advance(0.001)
    assert sqlite.dequeue() is not None


@pytest.mark.parametrize("lone", [60, 60.0, timedelta(minutes=1)])
def test_schedule_of_a_lone_delay(sqlite, clock, lone):
    sqlite.task()(python_version).schedule(lone)
    task = stored(sqlite)
    assert task.data == ((), {})
    assert to_us(task.eta) == clock.now + 60_000_000


def test_schedule_of_a_lone_time(sqlite):
    sqlite.task()(python_version).schedule(datetime(2099, 1, 1, tzinfo=UTC))
    task = stored(sqlite)
    assert (task.data, task.eta) == (((), {}), datetime(2099, 1, 1))


def test_schedule_passes_arguments_and_options(sqlite, add):
    result = add.schedule(
        (1,),
        {"b": 2},
        delay=60,
        priority=9,
        retries=8,
        retry_delay=7,
        retry_backoff=6,
        expires=5,
        timeout=4,
        id="me",
    )
    task = stored(sqlite)
    assert task.data == ((1,), {"b": 2})
    assert (task.priority, task.retries, task.retry_delay, task.retry_backoff) == (9, 8, 7, 6)
    assert (task.expires, task.timeout, task.id) == (5, 4, "me")
    assert result.id == "me"


def test_schedule_takes_any_sequence_of_arguments(sqlite, add):
    add.schedule([1, 2], delay=60)
    assert stored(sqlite).args == (1, 2)


def test_schedule_without_a_time(sqlite, add):
    for arguments in ((), ((1, 2),), (None,), ("text",)):
        with pytest.raises(ValueError, match="needs eta= .* or delay="):
            add.schedule(*arguments)
    assert sqlite.scheduled_count() == 0


@pytest.mark.parametrize("kwargs", [[("b", 2)], "b", (1,)])
def test_schedule_takes_keywords_as_a_dict(sqlite, add, kwargs):
    with pytest.raises(ValueError, match="dict"):
        add.schedule((1,), kwargs, delay=60)


def test_schedule_with_the_defaults_of_the_declaration(sqlite, add):
    add.schedule((1,), delay=60)
    task = stored(sqlite)
    assert (task.retries, task.retry_delay, task.retry_backoff, task.priority, task.timeout) == (
        2,
        3,
        4,
        5,
        7,
    )


# map()


def test_map_is_a_call_for_each(sqlite, add):
    group = add.map([(1, 2), (3, 4), 5])
    assert isinstance(group, ResultGroup)
    tasks = sqlite.pending()
    assert [task.args for task in tasks] == [(1, 2), (3, 4), (5,)]
    assert [result.id for result in group] == [task.id for task in tasks]


def test_map_takes_any_iterable_and_only_tuples_are_spread(sqlite, add):
    add.map(item for item in ([1, 2], "ab"))
    assert [task.args for task in sqlite.pending()] == [([1, 2],), ("ab",)]


def test_map_of_nothing(sqlite, add):
    assert len(add.map([])) == 0
    assert len(sqlite) == 0


def test_map_is_all_or_nothing(sqlite, add):
    with pytest.raises(TypeError, match="pickle"):
        add.map([1, 2, (x for x in ())])
    assert len(sqlite) == 0


def test_map_in_a_queue_without_results(filename):
    huey = SqliteHuey(filename=filename, results=False)
    assert huey.task()(test_schedule_without_a_time).map([(1, 2)]) is None
    assert len(huey) == 1
    huey.storage.close()


# A pipeline and the task's own class


def test_a_declared_task_in_a_pipeline(sqlite, add):
    group = sqlite.enqueue(add.s(1, 2).then(add, 3).then(add.s(4)))
    assert len(group) == 3
    assert [stage.args for stage in stored(sqlite).stages()] == [(1, 2), (3,), (4,)]


def test_context_passes_the_task(sqlite):
    @sqlite.task(context=True)
    def who(a, task=None):
        return (a, task)

    task = who.s(1)
    value, given = task.execute()
    assert (value, given) == (1, task)
    assert "task" not in task.kwargs
    assert who.context is True
    assert who.task_class.context is True


def test_the_wrapper_of_an_application_of_its_own(filename):
    class Loud(TaskWrapper):
        def __call__(self, *args, **kwargs):
            return "called", super().__call__(*args, **kwargs)

    class Queue(SqliteHuey):
        def get_task_wrapper_class(self):
            return Loud

    huey = Queue(filename=filename)
    assert huey.task()(python_version)()[0] == "called"
    huey.storage.close()


def test_a_class_with_call_and_a_name_can_be_a_task(sqlite):
    class Adder:
        """Adds."""

        __name__ = "adder"

        def __call__(self, a, b):
            return a + b

    adder = sqlite.task()(Adder())
    assert adder.s(1, 2).execute() == 3
    assert sqlite.registry.names() == [f"{__name__}.adder"]


def test_a_callable_without_a_name_needs_one(sqlite):
    class Adder:
        def __call__(self, a, b):
            return a + b

    adder = sqlite.task(name="plus")(Adder())
    assert adder.s(1, 2).execute() == 3
    assert sqlite.registry.names() == [f"{__name__}.plus"]


def test_a_task_of_the_main_module_is_the_same_in_its_next_run(tmp_path):
    script = tmp_path / "app.py"
    script.write_text(
        "import sys\n"
        "from liteq import SqliteHuey\n"
        "huey = SqliteHuey(filename=sys.argv[1])\n"
        "@huey.task()\n"
        "def add(a, b): return a + b\n"
        "if len(sys.argv) > 2: print(huey.execute(huey.dequeue()))\n"
        "else: print(add(1, 2).id)\n"
    )
    assert len(python(script, tmp_path / "queue.db").strip()) == 36
    assert python(script, tmp_path / "queue.db", "run") == "3\n"

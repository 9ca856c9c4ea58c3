"""Mistakes that Python lets pass: they raise where they are made, and nothing is declared or stored."""
# ruff: noqa: DTZ001 -- naive datetimes are a part of what is tested

import logging
import re
from datetime import UTC, date, datetime, timedelta
from functools import partial

import pytest

from liteq import ConfigurationError, Huey, MemoryHuey, SqliteHuey, crontab
from liteq import signals as s
from liteq.tasks import Task
from liteq.wrapper import TaskWrapper


@pytest.fixture
def add(sqlite):
    @sqlite.task()
    def add(a, b=0):
        return a + b

    return add


def is_empty(huey):
    return (huey.pending_count(), huey.scheduled_count(), huey.result_count()) == (0, 0, 0)


# Without parentheses

BARE = ("task", "pre_execute", "post_execute", "on_startup", "on_shutdown", "signal")


@pytest.mark.parametrize("decorator", BARE)
def test_a_decorator_without_parentheses(sqlite, decorator):
    def work(): ...

    with pytest.raises(TypeError, match=re.escape(f"write @huey.{decorator}() above work")):
        getattr(sqlite, decorator)(work)
    assert len(sqlite.registry) == 0
    assert not any(
        vars(sqlite.hooks)[kind] for kind in ("startup", "shutdown", "pre_execute", "post_execute")
    )


def test_a_periodic_task_without_parentheses(sqlite):
    def work(): ...

    with pytest.raises(TypeError, match=r"work takes no datetime: write @huey.periodic_task\("):
        sqlite.periodic_task(work)
    for validate in (lambda moment: True, lambda *args: True, crontab(), datetime.isoweekday):
        sqlite.periodic_task(validate)


def test_a_crontab_for_a_task(sqlite):
    with pytest.raises(TypeError, match=re.escape("write @huey.periodic_task(crontab(minute='5'))")):
        sqlite.task(crontab(minute="5"))


# What is no task


@pytest.mark.parametrize("thing", [None, 5, "name", [print]], ids=repr)
def test_a_task_is_made_of_a_function(sqlite, thing):
    for decorator in (sqlite.task(), sqlite.task(name="x"), sqlite.periodic_task(crontab())):
        with pytest.raises(TypeError, match="a task is made of a function"):
            decorator(thing)
    assert len(sqlite.registry) == 0


def test_what_has_no_name_needs_one(sqlite):
    with pytest.raises(TypeError, match="declare it with name="):
        sqlite.task()(partial(print, 1))
    assert sqlite.task(name="one")(partial(max, 1)).s(2).execute() == 2


@pytest.mark.parametrize("name", ["", 5, b"x", ["x"]])
def test_a_name_is_a_text(sqlite, name):
    with pytest.raises(ValueError, match="name must be a text"):
        sqlite.task(name=name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retry_max_delay", -1), ("retry_max_delay", "1"), ("retry_jitter", 1.5), ("retry_jitter", -0.1),
        ("retry_jitter", True), ("retry_jitter", "a lot"),
    ],
)  # fmt: skip
def test_attributes_that_liteq_knows_are_checked(sqlite, name, value):
    with pytest.raises(ValueError, match=name):
        sqlite.task(**{name: value})


def test_a_function_that_does_not_take_the_task(sqlite):
    with pytest.raises(TypeError, match="must have a parameter 'task'"):
        sqlite.task(context=True)(lambda a: a)
    with pytest.raises(TypeError, match="must have a parameter 'retries'"):
        sqlite.task(retries_as_argument=True)(lambda a: a)
    assert len(sqlite.registry) == 0


# Signals


def test_a_signal_that_does_not_exist(sqlite):
    with pytest.raises(ValueError, match="no signal 'compelte'; there are canceled, complete, "):
        sqlite.signal(s.SIGNAL_ERROR, "compelte")
    assert not sqlite.signals.has_receivers(s.SIGNAL_ERROR)


def test_all_signals_exist(sqlite):
    names = [value for name, value in vars(s).items() if name.startswith("SIGNAL_")]
    assert len(names) >= 13
    sqlite.signal(*names)(print)


# Calls


CALLS = {"missing": ((), {}), "many": ((1, 2, 3), {}), "unknown": ((1,), {"c": 1}), "twice": ((1,), {"a": 1})}


@pytest.mark.parametrize("call", CALLS)
def test_arguments_that_the_function_does_not_take(sqlite, add, call):
    args, kwargs = CALLS[call]
    with pytest.raises(TypeError, match=r"add\(\): "):
        add(*args, **kwargs)
    with pytest.raises(TypeError, match=r"add\(\): "):
        add.schedule(args, kwargs, delay=5)
    assert is_empty(sqlite)
    sqlite.immediate = True
    with pytest.raises(TypeError, match=r"add\(\): "):
        add(*args, **kwargs)


def test_map_refuses_all_if_one_does_not_fit(sqlite, add):
    with pytest.raises(TypeError, match="too many"):
        add.map([1, (2, 3), (4, 5, 6)])
    assert is_empty(sqlite)


def test_a_stage_may_lack_what_the_stage_before_gives(sqlite, add):
    sqlite.enqueue(add.s(1).then(add))
    assert sqlite.pending_count() == 1


def test_a_wrapper_that_passes_arguments_of_its_own_is_not_checked(filename):
    class WithSession(TaskWrapper):
        def create_task(self, func, context=False, name=None, **settings):
            return super().create_task(partial(func, "session"), context, func.__name__, **settings)

    class Queue(SqliteHuey):
        def get_task_wrapper_class(self):
            return WithSession

    huey = Queue(filename=filename, immediate=True)

    @huey.task()
    def work(session, a):
        return session, a

    assert work(1)() == ("session", 1)


def test_a_context_as_argument(immediate):
    class Session:
        def __enter__(self):
            return "session"

        def __exit__(self, *_): ...

    @immediate.context_task(Session(), as_argument=True)
    def work(session, a):
        return session, a

    assert work(1)() == ("session", 1)


@pytest.mark.parametrize("args", [1, "ab", b"ab", {"a": 1}, 1.5], ids=repr)
def test_schedule_takes_the_arguments_in_a_tuple(sqlite, add, args):
    with pytest.raises(TypeError, match="in a tuple"):
        add.schedule(args, delay=5)
    assert is_empty(sqlite)


@pytest.mark.parametrize("eta", [5, "12:00", date(2026, 1, 1), timedelta(1)], ids=repr)
@pytest.mark.parametrize("convert_utc", [True, False])
def test_an_eta_is_a_datetime(sqlite, add, eta, convert_utc):
    with pytest.raises(ValueError, match="eta must be a datetime"):
        add.schedule((1,), eta=eta, convert_utc=convert_utc)
    assert is_empty(sqlite)


@pytest.mark.parametrize("convert_utc", [True, False])
def test_a_time_and_a_delay(sqlite, add, convert_utc):
    with pytest.raises(ValueError, match="either eta= .* or delay="):
        add.schedule((1,), eta=datetime(2099, 1, 1), delay=5, convert_utc=convert_utc)
    assert is_empty(sqlite)


@pytest.mark.parametrize("seconds", [1e11, 1e300, 10**400, timedelta(days=400_000)])
@pytest.mark.parametrize("name", ["delay", "expires", "retry_delay", "timeout"])
def test_no_duration_ends_after_the_calendar(sqlite, add, name, seconds):
    with pytest.raises(ValueError, match=rf"{name} .* thousand years"):
        add(1, **{name: seconds})
    assert is_empty(sqlite)


def test_an_eta_in_the_past_is_now(sqlite, add):
    for eta in (datetime(2001, 1, 1), datetime(2001, 1, 1, tzinfo=UTC), datetime(1, 1, 2)):
        add.schedule((1,), eta=eta)
    assert (sqlite.pending_count(), sqlite.scheduled_count()) == (3, 0)


# Results and revocations


@pytest.mark.parametrize("thing", [None, "id", 5, print], ids=repr)
def test_only_a_task_or_its_result_is_revoked(sqlite, thing):
    for act in (sqlite.revoke, sqlite.restore):
        with pytest.raises(TypeError, match="neither a task nor a result.*revoke_by_id"):
            act(thing)


def test_a_declared_task_has_its_own_revoke(sqlite, add):
    with pytest.raises(TypeError, match=r"revoke\(\) of its own"):
        sqlite.revoke(add)
    assert not add.is_revoked()


@pytest.mark.parametrize("id", ["", 5, None.__class__, b"x"])
def test_an_id_is_a_text(sqlite, id):
    for act in (sqlite.revoke_by_id, sqlite.restore_by_id, sqlite.result):
        with pytest.raises(ValueError, match="id must be a text"):
            act(id)


def test_revoking_what_nobody_knows_is_harmless(sqlite):
    sqlite.revoke_by_id("nobody")
    assert sqlite.is_revoked("nobody")
    assert sqlite.restore_by_id("nobody") is True
    assert sqlite.restore_by_id("nobody") is False


@pytest.mark.parametrize("until", [5, "tomorrow", date(2026, 1, 1)], ids=repr)
def test_revoked_until_a_datetime(sqlite, add, until):
    for revoke in (add.revoke, partial(sqlite.revoke, add.s(1)), partial(sqlite.revoke_by_id, "x")):
        with pytest.raises(ValueError, match="revoke_until must be a datetime"):
            revoke(revoke_until=until)
    assert not add.is_revoked()


def test_a_task_is_rescheduled_or_left_alone(sqlite, add):
    result = add.schedule((1,), delay=60)
    for wrong in ({"priority": "high"}, {"expires": "soon"}, {"delay": -1}, {"eta": 5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            result.reschedule(**wrong)
    assert not result.is_revoked()
    assert sqlite.scheduled_count() == 1


@pytest.mark.parametrize("timeout", ["5", [5], timedelta(5)], ids=repr)
def test_the_timeout_of_a_get_is_a_number(sqlite, add, timeout):
    with pytest.raises(TypeError, match="timeout must be seconds"):
        add(1).get(blocking=True, timeout=timeout)


# A queue


def test_options_of_huey_1(filename):
    huey = SqliteHuey(filename=filename, result_store=False, always_eager=True)
    assert (huey.results, huey.immediate, huey.always_eager) == (False, True, True)
    huey.always_eager = False
    assert not huey.immediate
    with pytest.raises(ConfigurationError, match="store_errors"):
        SqliteHuey(filename=filename, store_errors=False)
    with pytest.raises(ConfigurationError, match="name"):
        Huey(object(), result_store=object())


def test_arguments_of_huey_0_4():
    huey = MemoryHuey(immediate=True)
    seen = []

    @huey.task(retries=2, retries_as_argument=True, include_task=True)
    def count(a, retries, task):
        seen.append((a, retries, isinstance(task, Task)))
        raise ValueError("again")

    logging.getLogger("huey").setLevel(logging.CRITICAL)
    try:
        count(1)
    finally:
        logging.getLogger("huey").setLevel(logging.NOTSET)
    assert seen == [(1, 2, True), (1, 1, True), (1, 0, True)]


def test_what_is_refused_is_not_told(sqlite, add):
    """An argument in the wrong place may be a secret, and exceptions are logged."""
    for call in (lambda: add.schedule("hunter2", delay=1), lambda: add.schedule((1,), "hunter2", delay=1)):
        with pytest.raises((TypeError, ValueError), match=r"schedule\(\) takes") as caught:
            call()
        assert "hunter2" not in str(caught.value)
    assert is_empty(sqlite)

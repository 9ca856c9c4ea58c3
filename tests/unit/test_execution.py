"""What an attempt at a task does, in which order, and what it causes: the same in every way of running tasks."""
# ruff: noqa: DTZ001 -- naive datetimes are a part of what is tested

import logging
from datetime import UTC, datetime, timedelta

import pytest

from liteq import (
    CancelExecution,
    Error,
    RateLimitExceeded,
    RetryTask,
    TaskException,
    TaskLockedException,
    TaskTimeout,
    crontab,
)
from liteq.clock import naive_now, to_us
from liteq.exceptions import TaskInterrupted
from liteq.execution import run
from liteq.messages import Disposition

from .running import Immediate


class Failing:
    """The body of a task that raises these in turn, and then returns how often it was called."""

    def __init__(self, *exceptions):
        self.exceptions = list(exceptions)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.exceptions:
            raise self.exceptions.pop(0)
        return self.calls


def failing(app, *exceptions, **options):
    """A declared task, and its body."""
    body = Failing(*exceptions)
    return app.huey.task(name="failing", **options)(body), body


def error_of(result):
    """The error that the task ended with, so far."""
    raw = result.get_raw_result()
    return raw.metadata["error"] if isinstance(raw, Error) else None


def follow(app):
    """Log every hook and signal from here on, with what they were given beside the task."""
    huey, log = app.huey, app.log
    huey.pre_execute("note")(lambda task: log.append(("pre", task.name)))
    huey.post_execute("note")(
        lambda task, value, exception: log.append(("post", task.name, value, exception))
    )
    huey.signal()(lambda signal, task, *rest: log.append((signal, task.name, *rest)))
    return log


# Order


def test_the_order_on_success(app):
    log = follow(app)

    @app.huey.task()
    def add(a, b):
        log.append("run")
        return a + b

    result = add(1, 2)
    app.run()
    assert log == [
        ("enqueued", "add"),
        ("executing", "add"),
        ("pre", "add"),
        "run",
        ("post", "add", 3, None),
        ("complete", "add"),
    ]
    assert result() == 3


def test_the_order_in_a_pipeline(app):
    log = follow(app)

    @app.huey.task()
    def add(a, b):
        return a + b

    @app.huey.task()
    def double(a):
        return 2 * a

    group = app.huey.enqueue(add.s(1, 2).then(double))
    app.run()
    assert [entry[:2] for entry in log] == [
        ("enqueued", "add"), ("executing", "add"), ("pre", "add"), ("post", "add"), ("complete", "add"),
        ("enqueued", "double"), ("executing", "double"), ("pre", "double"), ("post", "double"), ("complete", "double"),
    ]  # fmt: skip
    assert group() == [3, 6]


def test_the_order_on_failure(app):
    error = ValueError("no")
    task, _ = failing(app, error)
    log = follow(app)
    result = task()
    app.run()
    assert log == [
        ("enqueued", "failing"),
        ("executing", "failing"),
        ("pre", "failing"),
        ("error", "failing", error),
        ("post", "failing", None, error),
    ]
    assert error_of(result) == "ValueError('no')"


def test_the_order_of_a_retry(app):
    error = ValueError("no")
    task, _ = failing(app, error, retries=1)
    log = follow(app)
    result = task()
    app.run()
    assert log[2:] == [
        ("pre", "failing"),
        ("error", "failing", error),
        ("post", "failing", None, error),
        ("retrying", "failing"),
        ("enqueued", "failing"),
        ("executing", "failing"),
        ("pre", "failing"),
        ("post", "failing", 2, None),
        ("complete", "failing"),
    ]
    assert result() == 2


def test_the_order_of_a_retry_that_waits(app, clock):
    task, _ = failing(app, ValueError("no"), retries=1, retry_delay=60)
    log = follow(app)
    task()
    app.run()
    assert [entry[0] for entry in log] == [
        "enqueued",
        "executing",
        "pre",
        "error",
        "post",
        "retrying",
        "scheduled",
    ]


def test_the_error_handler_is_enqueued_before_the_retry_is_announced(app):
    task, _ = failing(app, ValueError("no"), retries=1, retry_delay=60)
    handler = app.huey.task(name="handler")(repr)
    log = follow(app)
    app.huey.enqueue(task.s().error(handler))
    app.run()
    signals = [
        entry[:2] for entry in log if entry[0] in {"error", "post", "enqueued", "retrying", "scheduled"}
    ]
    signals.remove(("enqueued", "failing"))
    signals = [entry for entry in signals if entry != ("post", "handler")]
    assert signals == [
        ("error", "failing"),
        ("post", "failing"),
        ("enqueued", "handler"),
        ("retrying", "failing"),
        ("scheduled", "failing"),
    ]


KINDS = {
    "error": lambda: ValueError("no"),
    "timeout": lambda: TaskTimeout("too long"),
    "locked": lambda: TaskLockedException("taken"),
    "rate-limited": lambda: RateLimitExceeded("key", 5, retry=False),
    "canceled": lambda: CancelExecution("no"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_failure_has_its_signal_and_only_error_carries_the_exception(app, kind):
    exception = KINDS[kind]()
    task, body = failing(app, exception)
    log = follow(app)
    result = task()
    app.run()
    carried = (exception,) if kind == "error" else ()
    assert log[3:] == [(kind, "failing", *carried), ("post", "failing", None, exception)]
    assert error_of(result) == repr(exception)
    assert body.calls == 1


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_failure_is_retried_while_there_are_retries(app, kind):
    task, body = failing(app, KINDS[kind](), retries=1)
    names = app.listen()
    result = task(retry_delay=0)
    app.run()
    if kind == "rate-limited":
        assert names == ["enqueued", "executing", kind, "retrying", "scheduled"]
    else:
        assert names == ["enqueued", "executing", kind, "retrying", "enqueued", "executing", "complete"]
        result.reset()
        assert result() == 2


@pytest.mark.parametrize("kind", KINDS)
def test_which_failures_show_while_they_are_retried(app, kind):
    """A lock or a rate limit says "not now" rather than "it went wrong"."""
    task, _ = failing(app, KINDS[kind](), retries=1, retry_delay=60)
    result = task()
    app.run()
    shown = error_of(result) is not None
    assert shown is (kind not in {"locked", "rate-limited"})
    assert app.huey.scheduled_count() == 1


@pytest.mark.parametrize("kind", KINDS)
def test_errors_may_be_withheld_until_the_retries_are_used_up(app, kind):
    app.make(store_intermediate_errors=False)
    task, _ = failing(app, KINDS[kind](), ValueError("last"), retries=1)
    result = app.huey.enqueue(task.s(retry_delay=0))
    if kind == "rate-limited":
        app.run()
        assert app.huey.result_count() == 0
        return
    if not isinstance(app, Immediate):
        app.run_one()
        assert app.huey.result_count() == 0
    app.run()
    assert error_of(result) == "ValueError('last')"


# Pipelines


@pytest.fixture
def last(app):
    """A declared task that returns its arguments."""

    @app.huey.task()
    def last(*args, **kwargs):
        return [list(args), kwargs]

    return last


@pytest.mark.parametrize(
    ("value", "args", "kwargs"),
    [
        (None, ["x"], {"k": 1}),
        ((), ["x"], {"k": 1}),
        ((1, 2), ["x", 1, 2], {"k": 1}),
        ({"k": 9, "l": 2}, ["x"], {"k": 1, "l": 2}),
        ({}, ["x"], {"k": 1}),
        ([1, 2], ["x", [1, 2]], {"k": 1}),
        (0, ["x", 0], {"k": 1}),
        (False, ["x", False], {"k": 1}),
        ("ab", ["x", "ab"], {"k": 1}),
    ],
)
def test_the_value_that_is_handed_down(app, last, value, args, kwargs):
    first = app.huey.task(name="first")(lambda: value)
    group = app.huey.enqueue(first.s().then(last, "x", k=1))
    app.run()
    assert group[1] == [args, kwargs]


def test_none_and_an_empty_tuple_start_the_next_stage_too(app, last):
    nothing = app.huey.task(name="nothing")(lambda: None)
    group = app.huey.enqueue(nothing.s().then(nothing).then(last))
    app.run()
    assert group[2] == [[], {}]


def test_a_pipeline_of_many_stages(app):
    @app.huey.task()
    def add(a, b):
        return a + b

    group = app.huey.enqueue(add.s(1, 2).then(add, 3).then(add, 4).then(add, 5))
    app.run()
    assert group() == [3, 6, 10, 15]


def test_a_stage_may_wait(stored, clock):
    first = stored.huey.task(name="first")(lambda: 1)
    last = stored.huey.task(name="last")(lambda value: [value])
    group = stored.huey.enqueue(first.s().then(last.s(delay=60)))
    names = stored.listen()
    stored.run()
    assert stored.huey.scheduled_count() == 1
    assert names[:3] == ["executing", "complete", "enqueued"]
    clock.advance(60)
    stored.run()
    assert group[1] == [1]


def test_later_stages_of_a_failed_one_do_not_run_and_get_its_error(app, last):
    task, _ = failing(app, ValueError("no"))
    first, second, third = app.huey.enqueue(task.s().then(last).then(last))
    app.run()
    for result in (first, second, third):
        assert error_of(result) == "ValueError('no')"
        assert result.get_raw_result().metadata["task_id"] == first.id
    assert app.huey.pending_count() == 0


def test_later_stages_get_no_error_while_the_first_is_retried(app, last):
    task, _ = failing(app, ValueError("no"), retries=1, retry_delay=60)
    first, second = app.huey.enqueue(task.s().then(last))
    app.run()
    assert error_of(first) == "ValueError('no')"
    assert second() is None
    assert app.huey.result_count() == 0


def test_a_retried_stage_hands_down_its_value_once_it_succeeds(app, last):
    task, _ = failing(app, ValueError("no"), retries=1)
    _, second = app.huey.enqueue(task.s().then(last))
    app.run()
    assert second() == [[2], {}]


def test_a_revoked_stage_ends_the_pipeline(app, last):
    first = app.huey.task(name="first")(lambda: 1)
    task = first.s().then(last).then(last)
    app.huey.revoke(task.on_complete)
    one, two, three = app.huey.enqueue(task)
    app.run()
    assert (one(), two(), three()) == (1, None, None)
    assert app.huey.pending_count() == 0


# Error handlers


@pytest.fixture
def handled(app):
    """What the error handler `handler` was given; and itself."""
    given = []

    @app.huey.task()
    def handler(*args):
        given.append(args)

    return given, handler


def test_an_error_handler_gets_the_exception(app, handled):
    given, handler = handled
    task, _ = failing(app, ValueError("no", 7))
    app.huey.enqueue(task.s().error(handler, "x"))
    app.run()
    ((x, exception),) = given
    assert x == "x"
    assert type(exception) is ValueError
    assert exception.args == ("no", 7)


def test_an_error_handler_does_not_run_on_success(app, handled):
    given, handler = handled
    task, _ = failing(app)
    result = app.huey.enqueue(task.s().error(handler))
    app.run()
    assert given == []
    assert result() == 1


@pytest.mark.parametrize(("shown", "times"), [(True, 3), (False, 1)])
def test_an_error_handler_and_retries(app, shown, times):
    app.make(store_intermediate_errors=shown)
    given = []
    handler = app.huey.task(name="handler")(lambda exception: given.append(str(exception)))
    task, _ = failing(app, ValueError("1"), ValueError("2"), ValueError("3"), retries=2)
    app.huey.enqueue(task.s().error(handler))
    app.run()
    assert given == ["1", "2", "3"][-times:]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_handler_and_each_kind_of_failure(app, handled, kind):
    given, handler = handled
    task, _ = failing(app, KINDS[kind](), KINDS[kind](), retries=1)
    app.huey.enqueue(task.s().error(handler))
    if kind == "rate-limited":
        app.run()
        assert given == []
        return
    app.run()
    assert len(given) == (1 if kind == "locked" else 2)


def test_error_handlers_of_error_handlers(app, handled):
    given, handler = handled
    task, _ = failing(app, ValueError("task"))
    broken = app.huey.task(name="broken")(lambda exception: 1 // 0)
    app.huey.enqueue(task.s().error(broken).error(handler))
    app.run()
    ((exception,),) = given
    assert isinstance(exception, ZeroDivisionError)


def test_an_exception_that_cannot_be_serialized_is_described_to_the_handler(app, handled):
    given, handler = handled
    error = ValueError("no")
    error.resource = (x for x in ())
    task, _ = failing(app, error)
    result = app.huey.enqueue(task.s().error(handler))
    app.run()
    ((exception,),) = given
    if not isinstance(app, Immediate):
        assert isinstance(exception, TaskException)
    assert "no" in str(exception)
    assert error_of(result) == "ValueError('no')"


class Fussy(Exception):
    """It can be pickled, but not unpickled: an everyday sight."""

    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")


def test_an_exception_that_cannot_be_read_back_is_described_to_the_handler(app, handled):
    given, handler = handled
    task, _ = failing(app, Fussy(7, "no"))
    app.huey.enqueue(task.s().error(handler))
    app.run()
    assert app.huey.dead() == []
    assert len(given) == 1
    assert "7: no" in str(given[0][0])


def test_the_result_of_an_error_handler_is_a_result(app):
    task, _ = failing(app, ValueError("no"))
    handler = app.huey.task(name="handler")(lambda exception: f"handled {exception}")
    pipeline = task.s().error(handler.s(id="handler"))
    app.huey.enqueue(pipeline)
    app.run()
    assert app.huey.result("handler") == "handled no"


# Retries


def test_retries_are_used_up_one_by_one(app):
    task, body = failing(app, *(ValueError(str(n)) for n in range(4)), retries=3)
    names = app.listen()
    result = task()
    app.run()
    assert body.calls == 4
    assert names.count("retrying") == 3
    assert error_of(result) == "ValueError('3')"
    assert result.get_raw_result().metadata["retries"] == 0


def test_no_retries(app):
    task, body = failing(app, ValueError("no"))
    result = task()
    app.run()
    assert body.calls == 1
    assert error_of(result) == "ValueError('no')"


def test_a_call_may_have_retries_of_its_own(app):
    task, body = failing(app, ValueError("no"), ValueError("no"), retries=5)
    task(retries=1)
    app.run()
    assert body.calls == 2


def test_the_error_of_a_retried_task_is_replaced_by_its_value(app):
    task, _ = failing(app, ValueError("no"), retries=1)
    result = task()
    if not isinstance(app, Immediate):
        app.run_one()
        assert error_of(result) == "ValueError('no')"
        result.reset()
    app.run()
    assert result() == 2


def test_the_error_says_how_many_retries_were_left(app):
    task, _ = failing(app, ValueError("no"), retries=2, retry_delay=60)
    result = task()
    app.run()
    assert result.get_raw_result().metadata["retries"] == 2


def waits_of(app, clock, attempts):
    """Run the one task so many times, each when it is due; the waits between, in seconds."""
    waits = []
    for _ in range(attempts):
        app.run()
        if not app.huey.scheduled_count():
            break
        (task,) = app.huey.scheduled()
        waits.append(round((to_us(task.eta) - clock.now) / 1e6, 6))
        clock.advance(waits[-1])
    return waits


def test_the_delay_before_retry_n(stored, clock):
    errors = [ValueError("no")] * 4
    task, body = failing(stored, *errors, retries=4, retry_delay=10, retry_backoff=3)
    result = task()
    assert waits_of(stored, clock, 9) == [10, 30, 90, 270]
    assert body.calls == 5
    result.reset()
    assert result() == 5


def test_the_delay_without_a_backoff(stored, clock):
    task, _ = failing(stored, *[ValueError("no")] * 3, retries=3, retry_delay=10)
    task()
    assert waits_of(stored, clock, 9) == [10, 10, 10]


def test_a_task_may_change_its_own_delay(stored, clock):
    """The recipe of the guide for a backoff."""

    @stored.huey.task(retries=3, retry_delay=1, context=True)
    def growing(task):
        task.retry_delay *= 2
        raise ValueError("no")

    growing()
    assert waits_of(stored, clock, 9) == [2, 4, 8]


def test_a_retry_keeps_its_arguments_priority_and_id(stored, clock):
    @stored.huey.task(retries=1, retry_delay=60, context=True)
    def fail(a, b, task=None):
        raise ValueError("no")

    result = fail(1, b=2, priority=7, timeout=8)
    stored.run()
    (task,) = stored.huey.scheduled()
    assert task.id == result.id
    assert task.data == ((1,), {"b": 2})
    assert (task.priority, task.timeout, task.retries) == (7, 8, 0)


# RetryTask


def test_retry_task_uses_up_no_retry(app):
    task, body = failing(
        app, RetryTask("again"), RetryTask("again"), ValueError("no"), ValueError("no"), retries=1
    )
    names = app.listen()
    result = task()
    app.run()
    assert body.calls == 4
    assert names.count("retrying") == 3
    assert names.count("error") == 2
    assert error_of(result) == "ValueError('no')"


def test_retry_task_without_retries(app):
    task, _ = failing(app, RetryTask(), RetryTask())
    log = follow(app)
    result = task()
    app.run()
    assert [entry[0] for entry in log] == [
        "enqueued",
        *["executing", "pre", "post", "retrying", "enqueued"] * 2,
        *["executing", "pre", "post", "complete"],
    ]
    assert result() == 3


def test_retry_task_stores_no_error_and_calls_no_handler(app, handled):
    given, handler = handled
    task, _ = failing(app, RetryTask("again", delay=60))
    app.huey.enqueue(task.s().error(handler))
    app.run()
    assert app.huey.result_count() == 0
    assert given == []
    assert app.huey.scheduled_count() == 1


def test_post_execute_sees_the_exception_of_retry_task(app):
    exception = RetryTask("again", delay=60)
    task, _ = failing(app, exception)
    log = follow(app)
    task()
    app.run()
    assert ("post", "failing", None, exception) in log


@pytest.mark.parametrize("delay", [60, timedelta(minutes=1)])
def test_retry_task_after_a_delay(stored, clock, delay):
    task, _ = failing(stored, RetryTask(delay=delay))
    result = task()
    assert waits_of(stored, clock, 9) == [60]
    assert result() == 2


def test_retry_task_at_a_time(stored, clock):
    eta = datetime(2099, 1, 1, tzinfo=UTC)
    task, _ = failing(stored, RetryTask(eta=eta))
    task()
    stored.run()
    assert stored.huey.scheduled()[0].eta == datetime(2099, 1, 1)


def test_retry_task_at_a_time_that_has_passed(app):
    task, _ = failing(app, RetryTask(eta=datetime(2001, 1, 1)))
    result = task()
    app.run()
    assert result() == 2


def test_an_explicit_delay_does_not_advance_the_backoff(stored, clock):
    errors = [ValueError("no"), RetryTask(delay=500), ValueError("no"), RetryTask(delay=0), ValueError("no")]
    task, _ = failing(stored, *errors, retries=3, retry_delay=10, retry_backoff=2)
    task()
    assert waits_of(stored, clock, 9) == [10, 500, 20, 40]


def test_retry_task_without_a_delay_takes_that_of_the_task(stored, clock):
    task, _ = failing(stored, RetryTask(), RetryTask(), retry_delay=10, retry_backoff=2)
    task()
    assert waits_of(stored, clock, 9) == [10, 20]


def test_retry_task_with_a_delay_below_zero_is_at_once(app):
    task, _ = failing(app, RetryTask(delay=-5))
    result = task()
    app.run()
    assert result() == 2


@pytest.mark.parametrize(
    "wrong", [{"eta": "soon"}, {"delay": "soon"}, {"eta": datetime(2099, 1, 1), "delay": 1}]
)
def test_retry_task_with_a_time_that_is_none_is_an_error_of_the_task(app, wrong):
    task, _ = failing(app, RetryTask(**wrong))
    names = app.listen()
    result = task()
    app.run()
    assert isinstance(result.get_raw_result(), Error)
    assert "error" in names
    assert app.huey.scheduled_count() == 0


# CancelExecution


@pytest.mark.parametrize(
    ("retry", "retries", "calls"),
    [(None, 0, 1), (None, 1, 2), (True, 0, 2), (True, 1, 2), (False, 0, 1), (False, 3, 1)],
)
def test_cancel_execution(app, retry, retries, calls):
    task, body = failing(app, CancelExecution("no", retry=retry), retries=retries)
    names = app.listen()
    result = task()
    app.run()
    assert body.calls == calls
    assert names.count("canceled") == 1
    assert names.count("retrying") == calls - 1
    assert "error" not in names
    if calls == 1:
        assert error_of(result) == "CancelExecution('no')"
    else:
        result.reset()
        assert result() == 2


def test_a_forced_retry_leaves_none(app):
    task, body = failing(app, CancelExecution(retry=True), CancelExecution(), retries=0)
    task()
    app.run()
    assert body.calls == 2


def test_cancel_execution_uses_up_retries(app):
    task, body = failing(app, *[CancelExecution()] * 9, retries=2)
    task()
    app.run()
    assert body.calls == 3


def test_a_hook_cancels_the_execution(app, last, handled):
    given, handler = handled
    task, body = failing(app, retries=3)

    @app.huey.pre_execute()
    def cancel(task):
        if task.name == "failing":
            raise CancelExecution

    log = follow(app)
    group = app.huey.enqueue(task.s().then(last).error(handler))
    app.run()
    assert log == [("enqueued", "failing"), ("executing", "failing"), ("canceled", "failing")]
    assert body.calls == 0
    assert app.huey.result_count() == 0
    assert given == []
    assert (app.huey.pending_count(), app.huey.scheduled_count()) == (0, 0)
    assert group.get() == [None, None]


# Locks and rate limits


def test_a_locked_task_without_retries_fails(app):
    task, _ = failing(app, TaskLockedException("taken"))
    result = task()
    app.run()
    assert error_of(result) == "TaskLockedException('taken')"


def test_a_rate_limit_uses_up_no_retry_and_waits(stored, clock):
    task, body = failing(stored, RateLimitExceeded("k", 7), RateLimitExceeded("k", 3))
    result = task()
    assert waits_of(stored, clock, 9) == [7, 3]
    assert body.calls == 3
    assert result() == 3


def test_a_rate_limit_waits_for_the_delay_of_the_task_if_it_has_one(stored, clock):
    task, _ = failing(
        stored, RateLimitExceeded("k", 7), ValueError("no"), retries=1, retry_delay=20, retry_backoff=2
    )
    task()
    assert waits_of(stored, clock, 9) == [20, 20]


def test_a_rate_limit_without_retry_follows_the_retries(stored, clock):
    task, body = failing(stored, *[RateLimitExceeded("k", 7, retry=False)] * 9, retries=1)
    result = task()
    assert waits_of(stored, clock, 9) == [7]
    assert body.calls == 2
    assert "k" in error_of(result)


# Timeouts


def test_a_task_can_see_its_timeout(app):
    @app.huey.task(timeout=1e-9, context=True)
    def slow(task):
        assert task.is_timed_out
        assert task.time_remaining == 0
        task.check_timeout()

    names = app.listen()
    result = slow()
    app.run()
    assert names == ["enqueued", "executing", "timeout"]
    assert error_of(result) == "TaskTimeout('timeout 1e-09s')"


def test_each_attempt_has_the_whole_time(stored):
    seen = []

    @stored.huey.task(timeout=1000, context=True, retries=1)
    def slow(task):
        seen.append(task.time_remaining)
        raise ValueError("no")

    slow()
    stored.run()
    assert all(990 < left <= 1000 for left in seen)
    assert len(seen) == 2


# What is stored


@pytest.mark.parametrize(("store_none", "count"), [(False, 0), (True, 1)])
def test_none_is_stored_only_if_wanted(app, store_none, count):
    app.make(store_none=store_none)
    task = app.huey.task(name="nothing")(lambda: None)
    result = task()
    app.run()
    assert app.huey.result_count() == count
    assert result.is_ready() is store_none
    assert result.get(blocking=True) is None


@pytest.mark.parametrize("value", [0, False, "", [], {}, 0.0, b""], ids=repr)
def test_what_is_like_nothing_is_stored(app, value):
    task = app.huey.task(name="value")(lambda: value)
    result = task()
    app.run()
    assert app.huey.result_count() == 1
    assert result() == value


def test_without_results_nothing_is_stored(app):
    app.make(results=False)
    good, _ = failing(app)
    bad = app.huey.task(name="bad")(lambda: 1 // 0)
    assert good() is None
    assert bad() is None
    assert app.huey.enqueue(good.s().then(good)) is None
    assert good.map([()]) is None
    assert good.schedule(delay=60) is None
    names = app.listen()
    app.run()
    assert app.huey.result_count() == 0
    assert isinstance(app, Immediate) or "error" in names


def test_without_results_pipelines_and_handlers_run(app):
    app.make(results=False)
    given = []
    note = app.huey.task(name="note")(given.append)
    one = app.huey.task(name="one")(lambda: 1)
    bad = app.huey.task(name="bad")(lambda: 1 // 0)
    app.huey.enqueue(one.s().then(note))
    app.huey.enqueue(bad.s().error(note))
    app.run()
    assert given[0] == 1
    assert isinstance(given[1], ZeroDivisionError)
    assert app.huey.result_count() == 0


def test_results_of_periodic_tasks_are_never_stored(app):
    app.make(store_none=True)
    good = app.huey.periodic_task(crontab(), name="good")(lambda: 42)
    bad = app.huey.periodic_task(crontab(), name="bad")(lambda: 1 // 0)
    good()
    bad()
    app.run()
    assert app.huey.result_count() == 0


def test_a_periodic_task_hands_down_its_value(app, last):
    good = app.huey.periodic_task(crontab(), name="good")(lambda: 42)
    group = app.huey.enqueue(good.s().then(last))
    app.run()
    assert group[1] == [[42], {}]


def test_a_periodic_task_is_retried(app):
    body = Failing(ValueError("no"))
    task = app.huey.periodic_task(crontab(), name="periodic", retries=1)(body)
    task()
    app.run()
    assert body.calls == 2


def test_a_value_that_cannot_be_serialized_is_an_error_of_the_task(app, handled):
    given, handler = handled
    task = app.huey.task(name="generator")(lambda: (x for x in ()))
    names = app.listen()
    result = app.huey.enqueue(task.s().error(handler))
    app.run()
    assert "pickle" in error_of(result)
    assert names[:3] == ["enqueued", "executing", "error"]
    assert "complete" not in names[: names.index("error")]
    assert len(given) == 1


def test_a_value_that_cannot_be_serialized_for_the_next_stage_is_an_error_too(app, last):
    app.make(results=False)
    last = app.huey.task(name="last")(lambda value: None)
    task = app.huey.task(name="generator")(lambda: (x for x in ()))
    names = app.listen()
    app.huey.enqueue(task.s().then(last))
    app.run()
    assert names == ["enqueued", "executing", "error"]


def test_a_retry_after_such_a_value_starts_from_the_same_arguments(app):
    values = [(x for x in ()), 5]
    task = app.huey.task(name="generator", retries=1)(lambda: values.pop(0))
    add = app.huey.task(name="add")(lambda a, b: a + b)
    _, second = app.huey.enqueue(task.s().then(add, 1))
    app.run()
    assert second() == 6


class Unspeakable(Exception):
    def __repr__(self):
        raise RuntimeError("no words")

    __str__ = __repr__


def test_an_exception_that_cannot_be_shown_is_an_error_of_the_task(app, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    task, _ = failing(app, Unspeakable())
    names = app.listen()
    result = task()
    app.run()
    assert isinstance(result.get_raw_result(), Error)
    assert "Unspeakable" in result.get_raw_result().metadata["error"]
    assert names == ["enqueued", "executing", "error"]


def test_the_error_of_a_task_that_read_another_ones_error(app):
    inner = TaskException({"error": "ValueError('inner')"})
    task, _ = failing(app, inner)
    result = task()
    app.run()
    assert error_of(result) == "ValueError('inner')"


# What must not run


def test_a_revoked_task_does_not_run(app):
    task, body = failing(app)
    instance = task.s()
    app.huey.revoke(instance)
    log = follow(app)
    result = app.huey.enqueue(instance)
    app.run()
    assert [entry[0] for entry in log] == ["enqueued", "revoked"]
    assert body.calls == 0
    assert result() is None
    assert app.huey.result_count() == 0
    assert app.huey.pending_count() == 0


def test_a_revocation_for_once_is_used_up_by_one_task(app):
    task, body = failing(app)
    task.revoke(revoke_once=True)
    names = app.listen()
    for _ in range(3):
        task()
        app.run()
    assert body.calls == 2
    assert names.count("revoked") == 1
    assert not task.is_revoked()


def test_a_revocation_of_a_kind_stays(app):
    task, body = failing(app)
    task.revoke()
    for _ in range(3):
        task()
        app.run()
    assert body.calls == 0
    task.restore()
    task()
    app.run()
    assert body.calls == 1


def test_a_revocation_until_a_time(app, clock):
    task, body = failing(app)
    task.revoke(revoke_until=naive_now(utc=False) + timedelta(hours=1))
    task()
    app.run()
    assert body.calls == 0
    clock.advance(3601)
    assert not task.is_revoked()
    task()
    app.run()
    assert body.calls == 1


def test_the_revocation_of_one_task_is_cleared_when_it_has_run(app):
    """One that was revoked while it ran: too late, and of no use any more."""

    @app.huey.task(context=True)
    def late(task):
        app.huey.revoke(task)
        return 1

    result = late()
    app.run()
    assert result() == 1
    assert not result.is_revoked()


def test_an_expired_task_does_not_run(stored, clock):
    task, body = failing(stored)
    result = task(expires=10)
    clock.advance(10.000001)
    log = follow(stored)
    stored.run()
    assert log == [("expired", "failing")]
    assert body.calls == 0
    assert result() is None


def test_a_task_runs_until_the_moment_of_its_expiry(stored, clock):
    task, _ = failing(stored)
    result = task(expires=10)
    clock.advance(10)
    stored.run()
    assert result() == 1


@pytest.mark.parametrize("expires", [60, timedelta(minutes=1), "datetime", "aware"])
def test_every_form_of_expiry(stored, clock, expires):
    if expires == "datetime":
        expires = naive_now(utc=False) + timedelta(seconds=60)
    elif expires == "aware":
        expires = datetime.fromtimestamp(clock.now / 1e6, UTC) + timedelta(seconds=60)
    task, body = failing(stored)
    task(expires=expires)
    clock.advance(59)
    task(expires=expires)
    stored.run()
    assert body.calls == 2
    task(expires=expires)
    clock.advance(61)
    stored.run()
    assert body.calls == 2


def test_expiry_counts_from_when_a_task_is_enqueued_and_not_from_its_declaration(stored, clock):
    task, body = failing(stored, expires=10)
    instance = task.s()
    clock.advance(100)
    stored.huey.enqueue(instance)
    clock.advance(9)
    stored.run()
    assert body.calls == 1


def test_the_expiry_of_a_scheduled_task_counts_from_when_it_is_due(stored, clock):
    """The guide: scheduled to run in 1 hour, and once enqueued for execution, must be run within 60 seconds."""
    task, body = failing(stored)
    task.schedule(delay=timedelta(seconds=3600), expires=timedelta(seconds=60))
    clock.advance(3600)
    stored.run()
    assert body.calls == 1
    task.schedule(delay=timedelta(seconds=3600), expires=timedelta(seconds=60))
    clock.advance(3661)
    stored.run()
    assert body.calls == 1


def test_the_expiry_of_a_later_stage_counts_from_when_it_is_enqueued(stored, clock):
    first = stored.huey.task(name="first")(lambda: None)
    task, body = failing(stored)
    stored.huey.enqueue(first.s().then(task.s(expires=10)))
    clock.advance(100)
    stored.run_one()
    clock.advance(9)
    stored.run()
    assert body.calls == 1


def test_a_relative_expiry_counts_from_the_first_enqueue(stored, clock):
    task, body = failing(stored, ValueError("no"), retries=1, retry_delay=100, expires=10)
    task()
    stored.run()
    clock.advance(100)
    stored.run()
    assert body.calls == 1


def test_an_absolute_expiry_holds_for_retries_too(stored, clock):
    task, body = failing(stored, ValueError("no"), retries=1, retry_delay=100)
    task(expires=naive_now(utc=False) + timedelta(seconds=50))
    stored.run()
    clock.advance(100)
    stored.run()
    assert body.calls == 1


# Hooks


def test_hooks_that_raise_change_nothing(app, caplog):
    task, _ = failing(app)

    @app.huey.pre_execute()
    def before(task):
        raise RuntimeError("before")

    @app.huey.post_execute()
    def after(task, value, exception):
        raise RuntimeError("after")

    with caplog.at_level(logging.ERROR, "huey"):
        result = task()
        app.run()
    assert result() == 1
    assert {"before", "after"} <= set(caplog.text.split())


def test_cancel_execution_after_the_task_changes_nothing(app):
    task, _ = failing(app)

    @app.huey.post_execute()
    def after(task, value, exception):
        raise CancelExecution

    names = app.listen()
    result = task()
    app.run()
    assert result() == 1
    assert names == ["enqueued", "executing", "complete"]


def test_receivers_that_raise_change_nothing(app):
    task, _ = failing(app, ValueError("no"), retries=1)

    @app.huey.signal()
    def broken(signal, task, *_):
        raise RuntimeError(signal)

    result = task()
    app.run()
    result.reset()
    assert result() == 2


def test_a_hook_gets_the_value(app):
    task, _ = failing(app)
    log = follow(app)
    task()
    app.run()
    assert ("post", "failing", 1, None) in log


# Interruption


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
def test_in_the_caller_an_interrupt_is_the_callers(app, exception):
    task, _ = failing(app, exception())
    names = app.listen()
    if type(app).__name__ == "ByWorker":
        result = task()
        app.run()
        assert error_of(result) == f"{exception.__name__}()"
        assert names == ["enqueued", "executing", "error"]
        return

    def call():
        task()
        app.run()

    with pytest.raises(exception):
        call()
    assert names == ["enqueued", "executing", "interrupted"]
    assert app.huey.in_flight == set()


def test_an_interrupted_task_goes_back(sqlite):
    body = Failing(TaskInterrupted())
    task = sqlite.task(name="failing")(body)
    names = []
    sqlite.signal()(lambda signal, *_: names.append(signal))
    ended = run(sqlite, task.s(), revoked=False, now=naive_now(), isolated=True)
    assert ended.disposition is Disposition.BACK
    assert (ended.results, ended.followups) == ([], [])
    assert names == ["executing", "interrupted"]


def test_the_tasks_in_flight(app):
    names = app.listen()
    seen = []

    @app.huey.task(context=True)
    def look(task):
        seen.append(set(app.huey.in_flight))
        app.huey.notify_interrupted_tasks()
        return task.id

    result = look()
    app.run()
    assert [task.id for task in seen[0]] == [result.id]
    assert app.huey.in_flight == set()
    assert names == ["enqueued", "executing", "interrupted", "complete"]


# Other things


def test_context_is_given_at_each_attempt(app):
    seen = []

    @app.huey.task(context=True, retries=1)
    def fail(a, task=None):
        seen.append((a, task.id, task.retries))
        raise ValueError("no")

    result = fail(1)
    app.run()
    assert seen == [(1, result.id, 1), (1, result.id, 0)]


def test_a_task_may_enqueue_others(app):
    given = []
    note = app.huey.task(name="note")(given.append)

    @app.huey.task()
    def parent():
        note(1)
        note(2)
        return "done"

    result = parent()
    app.run()
    assert result() == "done"
    assert given == [1, 2]


def test_a_task_that_recurses(app):
    @app.huey.task()
    def countdown(n):
        if n:
            countdown(n - 1)
        given.append(n)

    given = []
    countdown(5)
    app.run()
    assert sorted(given) == [0, 1, 2, 3, 4, 5]


def test_a_failure_is_logged_with_its_traceback(app, caplog):
    task, _ = failing(app, ValueError("no"))
    with caplog.at_level(logging.DEBUG, "huey"):
        result = task()
        app.run()
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert result.id in record.getMessage()
    assert record.exc_info[1].args == ("no",)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"error"}))
def test_what_is_not_an_error_is_not_logged_as_one(app, caplog, kind):
    task, _ = failing(app, KINDS[kind]())
    with caplog.at_level(logging.DEBUG, "huey"):
        task()
        app.run()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_an_attempt_that_ends_stores_nothing_by_itself(sqlite):
    """`run` decides; its caller stores."""
    task = sqlite.task(name="failing", retries=1)(Failing(ValueError("no")))
    ended = run(sqlite, task.s(id="me"), revoked=False, now=naive_now(), isolated=True)
    assert (sqlite.result_count(), sqlite.pending_count()) == (0, 0)
    outcome = ended.outcome()
    assert outcome.disposition is Disposition.DONE
    assert outcome.status == "retrying"
    assert [key for key, _ in outcome.results] == ["me"]
    assert [message.id for message in outcome.messages] == ["me"]

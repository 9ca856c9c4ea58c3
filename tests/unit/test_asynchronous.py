"""Coroutines run to their end, whatever is raised into them and wherever."""

# ruff: noqa: ASYNC110, ASYNC251, PT012 -- coroutines that behave badly are what is tested

import asyncio
import contextvars
import gc
import random
import signal
import sys
import threading
import time
import traceback
import warnings

import pytest

from liteq import MemoryHuey, TaskException, asynchronous, crontab, signals
from liteq.asynchronous import run
from liteq.current import current_task
from liteq.exceptions import CancelExecution, TaskInterrupted

from .running import PATIENCE, Background, python

variable = contextvars.ContextVar("variable", default="nothing")


class Stop(BaseException):
    """What a signal handler raises."""


@pytest.fixture
def alarm():
    """Lets a signal handler raise `Stop` after so many seconds; `calls` is how often it did."""
    calls = []

    def handler(_number, _frame):
        calls.append(time.monotonic())
        raise Stop

    def after(seconds, *, again=0.0):
        signal.setitimer(signal.ITIMER_REAL, seconds, again)

    before = signal.signal(signal.SIGALRM, handler)
    after.calls = calls
    yield after
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert signal.getsignal(signal.SIGALRM) is handler
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def nothing_is_left(caplog):
    """No thread, no task that was destroyed while pending, no exception that nobody saw."""
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name == "liteq-async"] == []
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def value_of(value, seconds=0.0):
    await asyncio.sleep(seconds)
    return value


# Running


def test_the_value_and_the_exception_are_those_of_the_coroutine():
    async def fail():
        await asyncio.sleep(0)
        raise ValueError("no")

    assert run(value_of(5)) == 5
    with pytest.raises(ValueError, match="no"):
        run(fail())


def test_system_exit_is_raised_as_it_is():
    async def leave():
        await asyncio.sleep(0)
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        run(leave())


def test_a_coroutine_that_cancels_itself_has_canceled_its_task():
    async def cancel():
        asyncio.current_task().cancel()
        await asyncio.sleep(PATIENCE)

    with pytest.raises(CancelExecution, match="coroutine"):
        run(cancel())


def test_a_loop_that_is_stopped_is_an_error():
    async def stop():
        asyncio.get_running_loop().stop()
        await asyncio.sleep(PATIENCE)

    with pytest.raises(RuntimeError, match="stopped"):
        run(stop())


def test_what_the_coroutine_started_is_cancelled_and_awaited():
    ended = []

    async def background(number):
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            await asyncio.sleep(0.001)
            ended.append(number)

    async def generate():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            ended.append("generator")

    async def start():
        tasks.extend(asyncio.ensure_future(background(number)) for number in range(3))
        tasks.append(generate())
        return await anext(tasks[-1])

    tasks = []
    assert run(start()) == 1
    assert sorted(ended, key=str) == [0, 1, 2, "generator"]


def test_threads_of_the_coroutine_are_waited_for():
    done = []

    async def start():
        asyncio.get_running_loop().run_in_executor(None, lambda: (time.sleep(0.05), done.append(1)))

    run(start())
    assert done == [1]


def test_what_goes_wrong_in_the_clean_up_is_logged(caplog):
    async def stubborn():
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            raise ValueError("not now")

    async def start():
        asyncio.current_task().other = asyncio.ensure_future(stubborn())
        await asyncio.sleep(0)
        return 1

    assert run(start()) == 1
    assert "left behind" in caplog.text
    caplog.clear()


def test_a_run_leaves_no_event_loop_behind():
    loops = []

    async def note():
        loops.append(asyncio.get_running_loop())

    run(note())
    run(note())
    assert loops[0] is not loops[1]
    assert all(loop.is_closed() for loop in loops)


# Context


def test_it_sees_the_context_of_its_caller_and_changes_none_of_it():
    async def change():
        before = variable.get()
        variable.set("changed")
        return before, variable.get()

    token = variable.set("set")
    try:
        assert run(change()) == ("set", "changed")
        assert variable.get() == "set"
    finally:
        variable.reset(token)


# Inside a running loop


def test_inside_a_running_loop_it_runs_beside_it():
    async def inside():
        variable.set("of the outer loop")

        async def inner():
            await asyncio.sleep(0.001)
            return threading.get_ident(), variable.get()

        return run(inner())

    thread, value = asyncio.run(inside())
    assert thread != threading.get_ident()
    assert value == "of the outer loop"


def test_inside_a_running_loop_exceptions_reach_the_caller():
    async def inside():
        async def fail():
            raise KeyError("x")

        with pytest.raises(KeyError):
            run(fail())
        return run(value_of(run(value_of(7))))

    assert asyncio.run(inside()) == 7


def test_beside_a_loop_it_is_cancelled_by_what_interrupts_the_wait_for_it(alarm):
    log = []

    async def inner():
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    async def outer():
        alarm(0.05)
        try:
            run(inner())
        except Stop:
            log.append("stopped")

    asyncio.run(outer())
    assert log == ["cancelled", "stopped"]


# In other threads


def test_in_another_thread():
    assert Background(run, value_of(3, 0.001)).result() == 3


def test_many_threads_at_once():
    calls = [Background(run, value_of(number, 0.01)) for number in range(20)]
    assert [call.result() for call in calls] == list(range(20))


# Exceptions of signal handlers


async def sleeps(log):
    try:
        await asyncio.sleep(PATIENCE)
    except asyncio.CancelledError:
        log.append("cancelled")
        raise
    finally:
        await asyncio.sleep(0.001)
        log.append("cleaned up")


async def loops_for_ever(log):
    try:
        while True:
            log.clear()
    finally:
        await asyncio.sleep(0.001)
        log.append("cleaned up")


async def blocks(log):
    try:
        time.sleep(PATIENCE)
    finally:
        log.append("cleaned up")


async def spins(log):
    try:
        while True:
            await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0.001)
        log.append("cleaned up")


async def calls_back(log):
    loop = asyncio.get_running_loop()

    def again():
        sum(range(1000))
        loop.call_soon(again)

    again()
    await sleeps(log)


async def waits_for_a_thread(log):
    try:
        await asyncio.to_thread(time.sleep, 1.5)
    finally:
        log.append("cleaned up")


async def in_a_task(log, inner=sleeps):
    try:
        await asyncio.gather(inner(log), asyncio.sleep(PATIENCE))
    finally:
        log.append("outer")


async def in_a_forgotten_task(log):
    tasks = [asyncio.ensure_future(loops_for_ever(log))]
    try:
        await asyncio.sleep(PATIENCE)
    finally:
        log.append("outer")
        del tasks


async def in_a_task_group(log):
    async with asyncio.TaskGroup() as tasks:
        for _ in range(20):
            tasks.create_task(spins(log))
        tasks.create_task(blocks(log))


ALL = [
    sleeps, loops_for_ever, blocks, spins, calls_back, waits_for_a_thread, in_a_task, in_a_forgotten_task,
    in_a_task_group,
]  # fmt: skip


@pytest.mark.parametrize("coroutine", ALL)
def test_it_ends_with_what_a_handler_raised_after_its_clean_up(alarm, coroutine):
    log = []
    alarm(0.05)
    started = time.monotonic()
    with pytest.raises(Stop):
        run(coroutine(log))
    assert time.monotonic() - started < 1.2
    assert log[-1] in {"cleaned up", "outer"}


def test_a_coroutine_that_waits_is_cancelled(alarm):
    log = []
    alarm(0.02)
    with pytest.raises(Stop):
        run(sleeps(log))
    assert log == ["cancelled", "cleaned up"]


def test_a_coroutine_that_catches_it_and_returns_has_succeeded(alarm):
    async def catch():
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            return 5

    alarm(0.02)
    assert run(catch()) == 5


def test_its_traceback_says_where(alarm):
    alarm(0.02)
    with pytest.raises(Stop) as caught:
        run(sleeps([]))
    cause = caught.value.__cause__
    assert isinstance(cause, asyncio.CancelledError)
    assert "in sleeps" in "".join(traceback.format_exception(caught.value))


def test_a_handler_that_raises_nothing_disturbs_nothing():
    calls = []
    before = signal.signal(signal.SIGALRM, lambda *_: calls.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    try:
        assert run(value_of(3, 0.05)) == 3
        assert calls
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_interrupted_from_the_keyboard():
    async def press():
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(PATIENCE)

    with pytest.raises(KeyboardInterrupt):
        run(press())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_loop_s_own_is_gone_afterwards(alarm):
    async def own():
        asyncio.get_running_loop().add_signal_handler(signal.SIGALRM, lambda: None)

    run(own())
    alarm(0.01)
    with pytest.raises(Stop):
        time.sleep(PATIENCE)


def test_a_clean_up_that_does_not_end_is_given_up(alarm, monkeypatch, caplog):
    monkeypatch.setattr(asynchronous, "GRACE", 0.05)
    released = []

    async def stubborn():
        while not released:
            try:
                await asyncio.sleep(PATIENCE)
            except asyncio.CancelledError:
                continue

    async def start():
        await asyncio.gather(asyncio.sleep(PATIENCE), asyncio.ensure_future(stubborn()))

    alarm(0.02)
    started = time.monotonic()
    with pytest.raises(Stop):
        run(start())
    assert time.monotonic() - started < PATIENCE / 3
    released.append(True)
    gc.collect()
    assert "pending" in caplog.text
    caplog.clear()


def test_a_second_one_ends_the_clean_up(alarm, caplog):
    async def slow_end():
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            await asyncio.sleep(PATIENCE)

    alarm(0.02, again=0.02)
    started = time.monotonic()
    with pytest.raises(Stop):
        run(slow_end())
    assert time.monotonic() - started < PATIENCE / 3
    caplog.clear()


def test_a_handler_that_is_installed_by_the_coroutine_may_raise_inside_the_loop(caplog):
    """Nothing guards against it, so it may hit the loop itself: that ends, and cleans up, all the same."""

    def handler(_number, _frame):
        raise Stop

    async def start():
        before.append(signal.signal(signal.SIGUSR1, handler))
        signal.setitimer(signal.ITIMER_REAL, 0)
        timer = threading.Timer(0.02, lambda: signal.pthread_kill(main, signal.SIGUSR1))
        timer.start()
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            timer.join()
            log.append("cleaned up")

    before, log, main = [], [], threading.get_ident()
    try:
        with pytest.raises(Stop):
            run(start())
    finally:
        signal.signal(signal.SIGUSR1, before[0])
    assert log == ["cleaned up"]


def test_what_is_raised_in_a_callback_of_the_loop_ends_the_run():
    async def start():
        def callback():
            raise Stop

        asyncio.get_running_loop().call_soon(callback)
        await asyncio.sleep(PATIENCE)

    with pytest.raises(Stop):
        run(start())


def test_an_ordinary_exception_in_a_callback_of_the_loop_is_logged(caplog):
    async def start():
        def callback():
            raise ValueError("just so")

        asyncio.get_running_loop().call_soon(callback)
        await asyncio.sleep(0.001)
        return 1

    assert run(start()) == 1
    assert "just so" in caplog.text
    caplog.clear()


def test_at_any_moment(alarm, monkeypatch, caplog):
    """Wherever it hits, before, within and after the loop, it comes out, and nothing hangs."""
    # What hits a destructor is lost there, and comes out after the grace.
    monkeypatch.setattr(asynchronous, "GRACE", 0.1)
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    random.seed(5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a coroutine may be hit before it is in our hands
        for _ in range(400):
            coroutine = random.choice([sleeps, spins, in_a_task, calls_back])
            started = time.monotonic()
            with pytest.raises(Stop):
                alarm(random.random() ** 3 * 0.01 + 0.00001)
                run(coroutine([]))
            assert time.monotonic() - started < PATIENCE / 3
        gc.collect()
    caplog.clear()  # a task may be hit before it has begun, and is forgotten


# Tasks


@pytest.fixture
def huey():
    return MemoryHuey(immediate=True)


def test_a_task_may_be_a_coroutine_function(app):
    @app.huey.task()
    async def add(a, b):
        await asyncio.sleep(0)
        return a + b

    result = add(1, 2)
    app.run()
    assert result() == 3


def test_its_failure_is_that_of_any_task(app):
    @app.huey.task(retries=1)
    async def fail():
        await asyncio.sleep(0)
        raise ValueError("no")

    heard = app.listen()
    result = fail()
    app.run()
    with pytest.raises(TaskException, match="no"):
        result()
    assert heard.count(signals.SIGNAL_ERROR) == 2
    assert heard.count(signals.SIGNAL_RETRYING) == 1


def test_a_task_that_cancels_itself_is_canceled(app):
    @app.huey.task()
    async def cancel():
        raise asyncio.CancelledError

    heard = app.listen()
    result = cancel()
    app.run()
    assert heard[-1] == signals.SIGNAL_CANCELED
    with pytest.raises(TaskException, match="CancelExecution"):
        result()


def test_its_stages_hooks_and_context(app):
    seen = []

    @app.huey.task(context=True)
    async def first(number, task):
        await asyncio.sleep(0)
        seen.append(current_task() is task)
        return number + 1

    @app.huey.task()
    async def second(number):
        return number * 10

    @app.huey.post_execute()
    def after(task, value, exception):
        seen.append(value)

    group = app.huey.enqueue(first.s(1).then(second))
    app.run()
    assert group() == [2, 20]
    assert seen == [True, 2, 20]


def test_a_periodic_task_may_be_one(huey):
    ran = []

    @huey.periodic_task(crontab())
    async def tick():
        ran.append(asyncio.get_running_loop().is_running())

    tick()
    assert ran == [True]


def test_a_context_task_holds_its_context_until_the_coroutine_has_ended(huey):
    events = []

    class Manager:
        def __enter__(self):
            events.append("enter")
            return "entered"

        def __exit__(self, *_):
            events.append("exit")

    @huey.context_task(Manager(), as_argument=True)
    async def work(value, number):
        await asyncio.sleep(0)
        events.append((value, number))
        return number

    @huey.context_task(Manager())
    async def plain(number):
        return number

    assert work(5)() == 5
    assert events == ["enter", ("entered", 5), "exit"]
    assert plain(6)() == 6


def test_call_local_gives_the_coroutine(huey):
    @huey.task()
    async def add(a, b):
        return a + b

    async def use():
        return await add.call_local(1, 2)

    assert asyncio.run(use()) == 3


def test_a_plain_function_may_return_a_coroutine(huey):
    assert huey.task(name="later")(lambda: value_of(4))()() == 4


def test_immediate_mode_inside_a_running_loop(huey):
    @huey.task()
    async def add(a, b):
        await asyncio.sleep(0)
        return a + b

    @huey.task()
    async def outer(a):
        return add(a, 1)()

    async def handler():
        return add(1, 2)(), outer(5)()

    assert asyncio.run(handler()) == (3, 6)


def test_a_task_that_is_interrupted_goes_back(app):
    @app.huey.task()
    async def wait():
        raise TaskInterrupted

    if app.options.get("immediate"):
        pytest.skip("nothing interrupts a caller")
    heard = app.listen()
    wait()
    app.run_one()
    assert heard[-1] == signals.SIGNAL_INTERRUPTED
    assert app.huey.pending_count() == 1


def test_asyncio_is_loaded_only_for_a_coroutine():
    code = (
        "import sys, liteq; huey = liteq.MemoryHuey(immediate=True); huey.task()(max)(1, 2);"
        "before = 'asyncio' in sys.modules\n"
        "async def f(): pass\n"
        "huey.task()(f); declared = 'asyncio' in sys.modules; huey.task(name='g')(f)();"
        "print(before, declared, 'asyncio' in sys.modules)"
    )
    assert python("-c", code) == "False False True\n"

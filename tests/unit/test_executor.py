"""The executor: what `concurrent.futures` promises of any, and what the queue adds."""

import asyncio
import gc
import os
import signal
import threading
import time
import weakref
from concurrent.futures import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    CancelledError,
    Future,
    as_completed,
    wait,
)
from concurrent.futures import Executor as BaseExecutor

import pytest

import liteq
from liteq import ConfigurationError, Executor, MemoryHuey, SqliteHuey, TaskException
from liteq.clock import monotonic
from liteq.exceptions import SerializationError, StorageError
from liteq.identity import identify
from liteq.storage.sqlite.results import ResultVerbs

from .running import PATIENCE, Background, python, wait_for
from .serving import served, wait_for_file

# From Python 3.12 on a fork beside threads warns; what comes of it is what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


class Odd(Exception):
    """An exception with arguments and attributes of its own."""

    def __init__(self, first, second):
        super().__init__(first, second)
        self.second = second


class Unpicklable(Exception):
    def __init__(self, message):
        super().__init__(message)
        self.lock = threading.Lock()


class Unreadable(Exception):
    """It can be pickled, and then not be read back."""

    def __init__(self, first, second):
        super().__init__(first)


def fail(kind=ValueError, *args):
    raise kind(*(args or ("no",)))


def waiters():
    return [thread for thread in threading.enumerate() if thread.name == "liteq-waiter"]


@pytest.fixture
def idle(sqlite):
    """An executor of a queue that nobody serves."""
    executor = Executor(sqlite)
    yield executor
    sqlite.storage.flush()
    executor.shutdown()


@pytest.fixture
def executor(sqlite):
    """An executor whose tasks run."""
    with served(sqlite), Executor(sqlite) as executor:
        yield executor


@pytest.fixture
def held(executor, tmp_path):
    """Calls that occupy both workers until the test is over, and a third that waits for them."""
    gate = tmp_path / "gate"
    running = [executor.submit(wait_for_file, gate) for _ in range(2)]
    wait_for(lambda: all(future.running() for future in running))
    waiting = executor.submit(abs, -1)
    yield [*running, waiting]
    gate.touch()


# Calls


def test_it_is_an_executor_and_its_futures_are_futures(executor):
    assert isinstance(executor, BaseExecutor)
    assert isinstance(executor.submit(pow, 2, 3), Future)


def test_submit(executor):
    assert executor.submit(pow, 2, 8).result(PATIENCE) == 256
    assert executor.submit(pow, base=2, exp=3).result(PATIENCE) == 8
    assert executor.submit(lambda *args, **kwargs: (args, kwargs), 1, id=2, retries=3, fn=4).result(
        PATIENCE
    ) == (
        (1,),
        {"id": 2, "retries": 3, "fn": 4},
    )


def test_keywords_are_the_function_s_even_those_that_calls_of_tasks_reserve(executor):
    def function(self, fn, delay, priority):
        return self, fn, delay, priority

    assert executor.submit(function, 1, fn=2, delay=3, priority=4).result(PATIENCE) == (1, 2, 3, 4)


@pytest.mark.parametrize("value", [None, False, 0, (), "", [None], TaskException({"error": "a value"})])
def test_any_value_comes_back(executor, value):
    result = executor.submit(lambda: value).result(PATIENCE)
    assert type(result) is type(value)
    assert repr(result) == repr(value)


def test_nothing_is_left_in_storage(sqlite, executor):
    wait([executor.submit(pow, 2, number) for number in range(20)] + [executor.submit(fail)], PATIENCE)
    assert (sqlite.result_count(), sqlite.pending_count(), sqlite.running_count()) == (0, 0, 0)


def test_a_function_that_can_not_be_sent(idle, sqlite):
    lock = threading.Lock()
    with pytest.raises(SerializationError, match="can't be pickled"):
        idle.submit(lambda: lock)
    with pytest.raises(TypeError, match="function"):
        idle.submit(5)
    assert sqlite.pending_count() == 0


def test_coroutine_functions(executor):
    async def add(a, b):
        await asyncio.sleep(0)
        return a + b

    assert executor.submit(add, 1, 2).result(PATIENCE) == 3
    assert list(executor.map(add, [1, 2, 3], [4, 5, 6], chunksize=2)) == [5, 7, 9]


def test_a_declared_task_runs_as_a_plain_function(sqlite, executor):
    add = sqlite.task(context=False)(lambda a, b: a + b)
    name = sqlite.task(context=True, name="named")(lambda task: task.name)
    assert executor.submit(add, 1, b=2).result(PATIENCE) == 3
    assert executor.submit(add.func, 1, 2).result(PATIENCE) == 3
    with pytest.raises(TypeError):
        executor.submit(name).result(PATIENCE)  # it can't be imported, so that only its function is sent


def test_options_are_those_of_all_calls(sqlite):
    executor = Executor(sqlite, priority=7, retries=2, timeout=30, expires=60)
    executor.submit(pow, 1, 2)
    list(executor.map(pow, [], []))
    [task] = sqlite.pending()
    assert (task.priority, task.retries, task.timeout) == (7, 2, 30)
    assert task.expires_resolved is not None
    sqlite.flush()
    executor.shutdown()


def test_wrong_options(sqlite, tmp_path):
    with pytest.raises(TypeError, match="max_workers"):
        Executor(sqlite, max_workers=3)
    with pytest.raises(ValueError, match="retries"):
        Executor(sqlite, retries=-1)
    with pytest.raises(ConfigurationError, match="results"):
        Executor(SqliteHuey(filename=tmp_path / "other.db", results=False))


# Exceptions


def test_the_exception_is_the_one_that_was_raised(executor):
    future = executor.submit(fail, Odd, 1, 2)
    error = future.exception(PATIENCE)
    assert type(error) is Odd
    assert (error.args, error.second) == ((1, 2), 2)
    with pytest.raises(Odd):
        future.result()


def test_its_cause_shows_the_traceback_of_the_worker(executor):
    cause = executor.submit(fail).exception(PATIENCE).__cause__
    assert isinstance(cause, TaskException)
    assert "in fail" in str(cause)
    assert "exception" not in cause.metadata
    assert cause.metadata["error"] == "ValueError('no')"


@pytest.mark.parametrize("kind", [Unpicklable, Unreadable])
def test_one_that_can_not_be_sent_is_described(executor, kind):
    args = ("no", 1) if kind is Unreadable else ("no",)
    error = executor.submit(fail, kind, *args).exception(PATIENCE)
    assert type(error) is TaskException
    assert f"{kind.__name__}('no'" in str(error)


def test_a_class_of_the_caller_s_own_is_that_class(executor):
    class Local(Exception):
        pass

    def work():
        raise Local("here")

    with pytest.raises(Local, match="here"):
        executor.submit(work).result(PATIENCE)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_what_is_no_exception_is_that_of_the_task(executor, kind):
    assert type(executor.submit(fail, kind, 3).exception(PATIENCE)) is kind


def test_a_value_that_can_not_be_sent_back_is_an_error(executor):
    with pytest.raises(SerializationError, match="Executed"):
        executor.submit(threading.Lock).result(PATIENCE)


def test_other_tasks_do_not_store_their_exception(app):
    failing = app.huey.task()(fail)
    result = failing()
    submitted = app.huey.submit(fail)
    app.run()
    for each in (result, submitted):
        with pytest.raises(TaskException) as caught:
            each()
        assert caught.value.metadata.keys() == {"error", "retries", "traceback", "task_id"}


def test_retries_come_before_the_exception(sqlite, tmp_path):
    def work(until):
        tries = len(list(tmp_path.glob("try-*")))
        (tmp_path / f"try-{tries}").touch()
        if tries < until:
            raise ValueError(tries)
        return tries

    with served(sqlite), Executor(sqlite, retries=2) as executor:
        assert executor.submit(work, 2).result(PATIENCE) == 2
        assert executor.submit(work, 99).exception(PATIENCE).args == (5,)


# Waiting


def test_result_and_exception_time_out(idle):
    future = idle.submit(pow, 2, 3)
    with pytest.raises(TimeoutError):
        future.result(0.01)
    with pytest.raises(TimeoutError):
        future.exception(0)
    assert not future.done()


def test_wait_for_the_first(executor, held, tmp_path):
    *running, waiting = held
    done, not_done = wait(held, timeout=0)
    assert (done, not_done) == (set(), set(held))
    (tmp_path / "gate").touch()
    done, _ = wait(held, timeout=PATIENCE, return_when=FIRST_COMPLETED)
    assert done
    done, not_done = wait(held, timeout=PATIENCE, return_when=ALL_COMPLETED)
    assert (done, not_done) == (set(held), set())


def test_wait_for_the_first_exception(executor, tmp_path):
    slow = executor.submit(wait_for_file, tmp_path / "gate")
    failing = executor.submit(fail)
    done, not_done = wait([slow, failing], PATIENCE, FIRST_EXCEPTION)
    assert (done, not_done) == ({failing}, {slow})
    (tmp_path / "gate").touch()


def test_wait_counts_what_is_cancelled_as_done(idle):
    futures = [idle.submit(pow, 2, 3) for _ in range(3)]
    assert all(future.cancel() for future in futures[:2])
    done, not_done = wait(futures, timeout=0)
    assert (done, not_done) == (set(futures[:2]), {futures[2]})


def test_as_completed(executor):
    futures = {executor.submit(pow, number, 2): number for number in range(30)}
    seen = {future: future.result() for future in as_completed(futures, PATIENCE)}
    assert seen == {future: number**2 for future, number in futures.items()}


def test_as_completed_times_out(idle):
    with pytest.raises(TimeoutError):
        list(as_completed([idle.submit(pow, 2, 3)], timeout=0.01))


def test_callbacks_are_called_once_in_order_with_the_future(executor, held):
    *_, waiting = held
    called = []
    waiting.add_done_callback(lambda future: called.append((1, future)))
    waiting.add_done_callback(lambda future: called.append((2, future)))
    waiting.cancel()
    assert called == [(1, waiting), (2, waiting)]
    waiting.add_done_callback(lambda future: called.append((3, future)))
    assert called[-1] == (3, waiting)


def test_a_callback_that_raises_does_not_stop_the_others(executor, held, tmp_path, caplog):
    called = []
    for future in held:
        future.add_done_callback(lambda _: fail(ValueError))
        future.add_done_callback(called.append)
        future.add_done_callback(lambda _: fail(SystemExit))
    (tmp_path / "gate").touch()
    executor.shutdown()
    assert set(called) == set(held)
    caplog.clear()


def test_a_callback_may_submit(executor):
    results = []
    first = executor.submit(pow, 2, 3)
    first.add_done_callback(lambda future: results.append(executor.submit(pow, future.result(), 2)))
    assert wait_for(lambda: results and results[0].result(PATIENCE)) == 64


def test_callbacks_have_run_when_shutdown_returns(sqlite):
    called = []

    def slow(future):
        time.sleep(0.002)
        called.append(future)

    with served(sqlite):
        with Executor(sqlite) as executor:
            futures = [executor.submit(pow, 2, number) for number in range(20)]
            for future in futures:
                future.add_done_callback(slow)
        assert len(called) == 20


# Cancelling


def test_a_call_that_waits_is_taken_out_of_the_queue(idle, sqlite):
    future = idle.submit(pow, 2, 3)
    assert not future.running()
    assert future.cancel()
    assert (future.cancelled(), future.done(), future.running()) == (True, True, False)
    assert future.cancel()
    assert sqlite.pending_count() == 0
    with pytest.raises(CancelledError):
        future.result()
    with pytest.raises(CancelledError):
        future.exception()


def test_it_never_runs(executor, held, tmp_path):
    future = executor.submit((tmp_path / "ran").touch)
    assert future.cancel()
    (tmp_path / "gate").touch()
    executor.shutdown()
    assert not (tmp_path / "ran").exists()


def test_a_call_that_runs_is_not_cancelled(held, tmp_path):
    running = held[0]
    assert running.running()
    assert not running.cancel()
    assert not running.cancelled()
    (tmp_path / "gate").touch()
    assert running.result(PATIENCE) is None


def test_a_call_that_has_ended_is_not_cancelled(executor):
    future = executor.submit(pow, 2, 3)
    assert future.result(PATIENCE) == 8
    assert not future.cancel()
    assert not future.running()
    assert future.result() == 8


def test_of_many_threads_that_cancel_each_is_told_so(idle):
    called = []
    for _ in range(20):
        future = idle.submit(pow, 2, 3)
        future.add_done_callback(called.append)
        calls = [Background(future.cancel) for _ in range(4)]
        assert [call.result() for call in calls] == [True] * 4
        assert future.cancelled()
    assert len(called) == 20


def test_a_call_is_either_cancelled_or_run(executor, tmp_path):
    def work(number):
        (tmp_path / str(number)).touch()

    futures = [executor.submit(work, number) for number in range(100)]
    told = [future.cancel() for future in reversed(futures)][::-1]
    wait(futures, PATIENCE)
    ran = [(tmp_path / str(number)).exists() for number in range(100)]
    assert told == [not each for each in ran]
    assert [future.cancelled() for future in futures] == told


# Other ends


def end_by_revoking(huey, future):
    huey.revoke_by_id(future.task_id)


def end_by_flushing(huey, future):
    huey.flush()


def end_by_taking_the_result(huey, future):
    """Somebody else reads it."""


@pytest.mark.parametrize("end", [end_by_revoking, end_by_flushing])
def test_a_task_that_ends_without_a_value_is_cancelled(sqlite, idle, end):
    future = idle.submit(pow, 2, 3)
    end(sqlite, future)
    with served(sqlite):
        assert wait([future], PATIENCE).done
    assert future.cancelled()


def test_a_task_that_expires_is_cancelled(sqlite):
    executor = Executor(sqlite, expires=0.001)
    future = executor.submit(pow, 2, 3)
    time.sleep(0.005)
    with served(sqlite):
        assert wait([future], PATIENCE).done
    assert future.cancelled()
    executor.shutdown()


def test_a_task_that_dies_has_failed(sqlite, idle):
    from liteq.messages import Settlement
    from liteq.outcomes import dead_outcome

    future = idle.submit(pow, 2, 3)
    owner = sqlite.storage.register(identify())
    [claim] = sqlite.storage.claim(owner, 1, now=liteq.clock.now(), lease=monotonic() + 10**9)
    settlement = Settlement(claim.key, dead_outcome(sqlite, claim, "its worker was killed"))
    sqlite.storage.settle([settlement], liteq.clock.now())
    with pytest.raises(TaskException, match="dead: its worker was killed"):
        future.result(PATIENCE)


def test_a_call_that_is_canceled_from_within(executor):
    with pytest.raises(liteq.CancelExecution):
        executor.submit(fail, liteq.CancelExecution).result(PATIENCE)


def test_storage_that_can_not_be_read_fails_the_futures(sqlite, idle, monkeypatch):
    future = idle.submit(pow, 2, 3)

    def broken(self, ids):
        raise StorageError("the disk is gone")

    monkeypatch.setattr(ResultVerbs, "ended", broken)
    sqlite.put("something", "that wakes")
    with pytest.raises(StorageError, match="gone"):
        future.result(PATIENCE)
    assert idle.submit(pow, 2, 3).exception(PATIENCE)


# Map


def test_map_is_ordered(executor):
    assert list(executor.map(pow, range(50), [2] * 50)) == [number**2 for number in range(50)]


def test_map_ends_with_the_shortest(executor):
    assert list(executor.map(lambda *each: each, [1, 2, 3], "ab")) == [(1, "a"), (2, "b")]
    assert list(executor.map(pow, [], [])) == []
    assert list(executor.map(pow)) == []


@pytest.mark.parametrize("chunksize", [1, 3, 10, 100])
def test_map_in_chunks(executor, chunksize):
    assert list(executor.map(pow, range(10), [2] * 10, chunksize=chunksize)) == [n**2 for n in range(10)]


def test_a_chunk_is_a_task(idle, sqlite):
    idle.map(pow, range(10), [2] * 10, chunksize=4)
    assert sqlite.pending_count() == 3


@pytest.mark.parametrize("chunksize", [0, -1])
def test_wrong_chunks(idle, chunksize):
    with pytest.raises(ValueError, match="chunksize"):
        idle.map(pow, [1], [2], chunksize=chunksize)


def test_map_enqueues_at_once_all_or_nothing(idle, sqlite):
    idle.map(pow, range(10), range(10))
    assert sqlite.pending_count() == 10

    def broken():
        yield 1
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        idle.map(pow, broken(), [1, 2])
    with pytest.raises(SerializationError):
        idle.map(repr, [1, 2, threading.Lock()])
    assert sqlite.pending_count() == 10


def test_map_yields_what_is_there_before_all_is(executor, held, tmp_path):
    (tmp_path / "gate").touch()
    wait(held, PATIENCE)
    values = executor.map(lambda path: path and wait_for_file(path), [None, tmp_path / "second gate"])
    assert next(values) is None
    (tmp_path / "second gate").touch()
    assert next(values) is None


def test_an_exception_in_map_takes_back_the_rest(sqlite, tmp_path):
    def work(number):
        if number == 2:
            raise Odd(number, number)
        if number == 3:
            wait_for_file(tmp_path / "gate")
        return number

    with served(sqlite, workers=1), Executor(sqlite) as executor:
        values = executor.map(work, range(50))
        assert [next(values), next(values)] == [0, 1]
        with pytest.raises(Odd):
            next(values)
        assert sqlite.pending_count() == 0
        with pytest.raises(StopIteration):
            next(values)
        (tmp_path / "gate").touch()


def test_map_times_out_and_takes_back_the_rest(idle, sqlite):
    started = time.monotonic()
    values = idle.map(pow, range(5), range(5), timeout=0.05)
    with pytest.raises(TimeoutError):
        next(values)
    assert 0.04 < time.monotonic() - started < PATIENCE / 3
    assert sqlite.pending_count() == 0


def test_an_iteration_that_is_left_takes_back_the_rest(sqlite, tmp_path):
    with Executor(sqlite) as executor, served(sqlite, workers=1):
        values = executor.map(lambda n: n and wait_for_file(tmp_path / "gate"), range(20))
        assert next(values) == 0
        values.close()
        assert sqlite.pending_count() == 0
        (tmp_path / "gate").touch()


# Shutdown


def test_nothing_is_taken_after_shutdown(sqlite):
    executor = Executor(sqlite)
    executor.shutdown()
    executor.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(pow, 2, 3)
    with pytest.raises(RuntimeError, match="shutdown"):
        executor.map(pow, [2], [3])
    assert sqlite.pending_count() == 0


def test_shutdown_waits(sqlite):
    with served(sqlite):
        with Executor(sqlite) as executor:
            futures = [executor.submit(time.sleep, 0.01) for _ in range(10)]
        assert all(future.done() for future in futures)


def test_shutdown_without_waiting_leaves_the_futures_to_end(sqlite):
    executor = Executor(sqlite)
    future = executor.submit(pow, 2, 3)
    executor.shutdown(wait=False)
    assert not future.done()
    with served(sqlite):
        assert future.result(PATIENCE) == 8


def test_shutdown_takes_back_what_waits(executor, held, tmp_path):
    *running, waiting = held
    shutdown = Background(executor.shutdown, True)
    executor.shutdown(wait=False, cancel_futures=True)
    assert waiting.cancelled()
    assert shutdown.is_waiting()
    assert not any(future.done() for future in running)
    (tmp_path / "gate").touch()
    shutdown.result()
    assert all(future.done() and not future.cancelled() for future in running)


def test_shutdown_in_a_callback_does_not_wait_for_itself(executor):
    done = threading.Event()
    future = executor.submit(pow, 2, 3)
    future.add_done_callback(lambda _: (executor.shutdown(), done.set()))
    assert done.wait(PATIENCE)
    executor.shutdown()


def test_an_executor_that_was_never_used_has_no_thread(sqlite):
    before = waiters()
    Executor(sqlite).shutdown()
    assert waiters() == before


# Threads and processes


def test_one_thread_waits_for_all_and_ends_when_there_is_nothing_left(sqlite):
    wait_for(lambda: not waiters())
    executor = Executor(sqlite)
    futures = [executor.submit(pow, 2, number) for number in range(50)]
    assert len(waiters()) == 1
    with served(sqlite):
        wait(futures, PATIENCE)
    executor.shutdown()
    wait_for(lambda: not waiters())


def test_the_thread_is_there_again_when_it_is_needed(executor):
    assert executor.submit(pow, 2, 3).result(PATIENCE) == 8
    wait_for(lambda: not waiters())
    assert executor.submit(pow, 2, 4).result(PATIENCE) == 16


def test_submit_from_many_threads(executor):
    def work(base):
        return [executor.submit(pow, base, exponent) for exponent in range(25)]

    calls = [Background(work, base) for base in range(8)]
    futures = [call.result() for call in calls]
    values = [[future.result(PATIENCE) for future in each] for each in futures]
    assert values == [[base**exponent for exponent in range(25)] for base in range(8)]


def test_two_thousand_at_once(sqlite):
    called = []
    with served(sqlite, workers=1), Executor(sqlite) as executor:
        futures = [executor.submit(pow, number, 2) for number in range(1000)]
        for future in futures:
            future.add_done_callback(called.append)
        mapped = executor.map(pow, range(1000), [2] * 1000)
        expected = [number**2 for number in range(1000)]
        assert [future.result(4 * PATIENCE) for future in futures] == expected
        assert list(mapped) == expected
    assert len(called) == 1000


def test_where_storage_can_not_be_watched(sqlite, monkeypatch):
    from liteq.storage import bell as bell_module

    def refuse(_path):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(bell_module, "FileWatch", refuse)
    with served(sqlite), Executor(sqlite) as executor:
        assert list(executor.map(pow, range(20), [2] * 20)) == [number**2 for number in range(20)]


def test_two_executors_of_one_queue(sqlite):
    with served(sqlite), Executor(sqlite) as first, Executor(sqlite) as second:
        assert [first.submit(pow, 2, 3).result(PATIENCE), second.submit(pow, 2, 4).result(PATIENCE)] == [
            8,
            16,
        ]


def test_an_executor_inside_a_task(sqlite):
    def outer(number):
        huey = SqliteHuey(filename=path, durability="off")
        with Executor(huey) as executor:
            value = sum(executor.map(abs, range(-number, 0)))
        huey.storage.close()
        return value

    path = sqlite.storage.database.path
    with served(sqlite), Executor(sqlite) as executor:
        assert executor.submit(outer, 4).result(PATIENCE) == 10


def test_a_forked_child_has_an_executor_of_its_own(sqlite):
    with served(sqlite):
        executor = Executor(sqlite)
        executor.submit(pow, 2, 3).result(PATIENCE)
    pending = executor.submit(pow, 2, 3)
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        signal.alarm(PATIENCE)
        try:
            executor.shutdown()  # which has nothing of the parent's to wait for
            os.write(write, b"1")
        finally:
            os._exit(0)
    os.close(write)
    assert os.read(read, 1) == b"1"
    os.close(read)
    os.waitpid(pid, 0)
    assert pending.cancel()
    executor.shutdown()


def test_a_future_that_is_done_is_freed_at_once(executor):
    gc.collect()
    gc.disable()
    try:
        future = executor.submit(pow, 2, 3)
        reference = weakref.ref(future)
        future.result(PATIENCE)
        del future
        wait_for(lambda: reference() is None)
    finally:
        gc.enable()


def test_a_program_that_ends_does_not_wait(filename):
    code = (
        f"import liteq; huey = liteq.SqliteHuey(filename={str(filename)!r});"
        "executor = liteq.Executor(huey); [executor.submit(pow, 2, 3) for _ in range(5)]; print('done')"
    )
    for _ in range(5):
        assert python("-c", code) == "done\n"
    huey = SqliteHuey(filename=filename)
    assert huey.pending_count() == 25
    huey.storage.close()


# Immediate mode, memory, asyncio


def test_immediate_mode():
    with Executor(MemoryHuey(immediate=True)) as executor:
        assert executor.submit(pow, 2, 3).result(0) == 8
        assert type(executor.submit(fail, Odd, 1, 2).exception(0)) is Odd
        assert list(executor.map(pow, range(5), [2] * 5, timeout=0)) == [0, 1, 4, 9, 16]


def test_immediate_mode_may_be_switched(sqlite):
    executor = Executor(sqlite)
    sqlite.immediate = True
    assert executor.submit(pow, 2, 3).result(0) == 8
    sqlite.immediate = False
    future = executor.submit(pow, 2, 4)
    assert not future.done()
    with served(sqlite):
        assert future.result(PATIENCE) == 16
    executor.shutdown()


def test_a_queue_in_memory():
    huey = MemoryHuey()
    with served(huey), Executor(huey) as executor:
        assert list(executor.map(pow, range(20), [2] * 20)) == [number**2 for number in range(20)]
        assert executor.submit(lambda: None).result(PATIENCE) is None


def test_as_the_executor_of_an_event_loop(executor):
    async def main():
        loop = asyncio.get_running_loop()
        values = await asyncio.gather(
            *(loop.run_in_executor(executor, pow, number, 2) for number in range(20))
        )
        with pytest.raises(Odd):
            await asyncio.wrap_future(executor.submit(fail, Odd, 1, 2))
        return values

    assert asyncio.run(main()) == [number**2 for number in range(20)]


# The name


def test_concurrent_futures_is_loaded_only_for_it():
    code = (
        "import sys, liteq; before = 'concurrent.futures' in sys.modules; liteq.Executor;"
        "print(before, 'concurrent.futures' in sys.modules)"
    )
    assert python("-c", code) == "False True\n"


def test_other_names_are_missed_as_ever():
    with pytest.raises(AttributeError, match="Executioner"):
        _ = liteq.Executioner

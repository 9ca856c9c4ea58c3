"""Locks and semaphores as applications have them, in one process."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from liteq import MemoryHuey, SqliteHuey, TaskException, TaskLockedException, clock
from liteq import signals as s
from liteq.contrib import helpers
from liteq.exceptions import StorageFull
from liteq.identity import own_identity
from liteq.locks import TaskLock, TaskSemaphore
from liteq.messages import BACK, Disposition, Outcome, Settlement

from .running import PATIENCE, python


@pytest.fixture(params=["memory", "sqlite"])
def huey(request, tmp_path):
    queue = (
        MemoryHuey()
        if request.param == "memory"
        else SqliteHuey(filename=tmp_path / "queue.db", durability="off")
    )
    yield queue
    queue.storage.close()


def held(huey):
    return sorted(holder.name for holder in huey.storage.locks(now=clock.monotonic()))


def elsewhere(call):
    """What a call returns in another thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(PATIENCE)


@pytest.fixture
def pass_time(monkeypatch):
    """A clock that stands still but for the seconds that it is told to pass."""
    now = [clock.monotonic()]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])

    def advance(seconds):
        now[0] += int(seconds * clock.SECOND)

    return advance


# A lock


def test_a_lock_is_had_once(huey):
    lock = huey.lock_task("a")
    assert isinstance(lock, TaskLock)
    assert lock.acquire() is True
    for again in (lock, huey.lock_task("a")):
        with pytest.raises(TaskLockedException, match=rf"'a' is locked by process {os.getpid()}"):
            again.acquire()
    assert lock.is_locked() is lock.locked() is huey.is_locked("a") is True
    assert huey.is_locked("b") is False
    assert lock.release() is True
    assert lock.release() is False
    assert huey.is_locked("a") is False


def test_another_object_of_the_same_process_releases_it(huey):
    huey.lock_task("a").acquire()
    assert huey.lock_task("a").release() is True
    assert held(huey) == []


def test_a_lock_holds_while_the_block_runs(huey):
    with huey.lock_task("a") as lock:
        assert lock.is_locked()
        with pytest.raises(TaskLockedException), huey.lock_task("a"):
            raise AssertionError
        assert lock.is_locked()
    assert not lock.is_locked()
    with pytest.raises(ZeroDivisionError), lock:
        raise ZeroDivisionError
    assert not lock.is_locked()


def test_a_block_releases_nothing_but_its_own(huey):
    lock = huey.lock_task("a")
    with lock:
        assert lock.release()
        elsewhere(huey.lock_task("a").acquire)
    assert held(huey) == ["a"]


def test_a_lock_holds_while_the_function_runs(huey):
    @huey.lock_task("a")
    def function(value, *, more):
        """What it does."""
        assert held(huey) == ["a"]
        return value + more

    assert (function(1, more=2), function.__name__, function.__doc__) == (3, "function", "What it does.")
    assert held(huey) == []
    with huey.lock_task("a"), pytest.raises(TaskLockedException):
        function(1, more=2)


def test_a_lock_holds_while_a_coroutine_is_awaited(huey):
    import asyncio

    @huey.lock_task("a")
    async def function():
        await asyncio.sleep(0)
        return held(huey)

    assert asyncio.run(function()) == ["a"]
    assert held(huey) == []


def test_clear_frees_what_another_holds(huey):
    elsewhere(huey.lock_task("a").acquire)
    lock = huey.lock_task("a")
    assert (lock.clear(), lock.clear(), lock.is_locked()) == (True, False, False)


def test_a_lock_ends_after_its_ttl(huey, pass_time):
    lock = huey.lock_task("a", ttl=10)
    lock.acquire()
    pass_time(9.9)
    assert lock.is_locked()
    pass_time(0.2)
    assert not lock.is_locked()
    assert not lock.release()
    huey.lock_task("a", ttl=timedelta(minutes=1)).acquire()


def test_who_comes_back_after_its_ttl_does_not_release_the_next_one(huey, pass_time):
    lock = huey.lock_task("a", ttl=10)
    with lock:
        pass_time(11)
        elsewhere(lock.acquire)
    assert lock.is_locked()


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), "5", True, 1e300])
def test_a_ttl_that_cannot_work_is_refused(huey, ttl):
    with pytest.raises(ValueError, match="ttl must be"):
        huey.lock_task("a", ttl=ttl)


@pytest.mark.parametrize("name", [None, 1, b"a", ["a"]])
def test_a_name_that_is_no_text_is_refused(huey, name):
    for call in (huey.lock_task, huey.is_locked, huey.flush_locks, lambda name: TaskSemaphore(huey, name)):
        with pytest.raises(TypeError, match="the name of a lock is a text, not"):
            call(name)


@pytest.mark.parametrize("name", ["", "\ud800"])
def test_a_name_that_cannot_be_stored_is_refused(huey, name):
    with pytest.raises(ValueError):
        huey.lock_task(name)


def test_flush_frees_all_or_those_named(huey):
    for name in "abc":
        huey.lock_task(name).acquire()
    assert huey.flush_locks("a", "x") == {"a"}
    assert held(huey) == ["b", "c"]
    assert huey.flush_locks() == {"b", "c"}
    assert huey.flush_locks() == set()


def test_the_lock_of_a_process_that_is_gone_is_taken_over(tmp_path):
    huey = SqliteHuey(filename=tmp_path / "queue.db", durability="off")
    code = (
        "import os, liteq; huey = liteq.SqliteHuey(filename={!r}, durability='off');"
        "huey.lock_task('a').acquire(); os._exit(0)"
    )
    try:
        python("-c", code.format(str(tmp_path / "queue.db")))
        assert held(huey) == ["a"]
        assert not huey.is_locked("a")
        assert huey.lock_task("a").acquire()
        assert [it.process for it in huey.storage.locks(now=clock.monotonic())] == [own_identity()]
    finally:
        huey.storage.close()


def test_a_forked_child_has_an_identity_of_its_own(tmp_path):
    huey = SqliteHuey(filename=tmp_path / "queue.db", durability="off")
    lock, block = huey.lock_task("parent"), huey.lock_task("block")
    lock.acquire()
    block.__enter__()
    pid = os.fork()
    if not pid:
        try:
            huey.lock_task("child").acquire()
            code = 3 if huey.lock_task("parent").release() or lock.release() else 0
            block.__exit__(None, None, None)
        except BaseException:
            code = 4
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert held(huey) == ["block", "child", "parent"]
    assert [huey.is_locked(name) for name in held(huey)] == [True, False, True]
    huey.storage.close()


def test_a_lock_that_is_often_left_to_its_ttl_takes_no_room(huey, pass_time):
    lock = huey.lock_task("a", ttl=1)
    for _ in range(3):
        pass_time(2)
        lock.acquire()
    assert len(lock._held) == 1
    assert lock.release()


# Tasks


def test_a_lock_in_a_task_is_the_attempt_s(huey):
    @huey.task()
    def work():
        huey.lock_task("a").acquire()

    work()
    task = huey.dequeue()
    claims = []
    original = huey.storage.acquire_lock
    huey.storage.acquire_lock = lambda holder, **kw: claims.append(holder.claim) or original(holder, **kw)
    huey.execute(task)
    assert claims == [task.claim]
    assert held(huey) == []  # it ended with its attempt


def test_a_lock_in_a_task_without_claim_is_the_process_s(huey):
    @huey.task()
    def work():
        huey.lock_task("a").acquire()

    huey.immediate_use_memory = False
    huey.immediate = True
    work()
    assert held(huey) == ["a"]
    assert huey.lock_task("a").release()


def test_a_lock_of_another_queue_is_the_process_s(huey):
    other = MemoryHuey("other")

    @huey.task()
    def work():
        other.lock_task("a").acquire()

    work()
    huey.execute(huey.dequeue())
    assert held(other) == ["a"]


def test_an_attempt_that_lost_its_claim_gets_and_releases_nothing(huey):
    seen = []

    @huey.task()
    def work():
        mine = huey.lock_task("a")
        mine.acquire()
        huey.storage.settle([Settlement(task.claim, BACK)], clock.now())  # as one who thinks that it is dead
        elsewhere(huey.lock_task("a").acquire)
        seen.append(mine.release())
        with pytest.raises(TaskLockedException, match="lost its claim"):
            huey.lock_task("b").acquire()

    work()
    task = huey.dequeue()
    huey.execute(task)
    assert (seen, held(huey)) == ([False], ["a"])


def test_a_release_that_storage_refuses_does_not_fail_the_task(huey, caplog):
    def refuse(*_, **__):
        raise StorageFull("the disk is full")

    @huey.task()
    @huey.lock_task("a")
    def work():
        huey.storage.release_lock = refuse
        return "done"

    result = work()
    huey.execute(huey.dequeue())
    assert (result.get(), held(huey)) == ("done", [])
    assert "could not be released before the end of the task: the disk is full" in caplog.text
    huey.lock_task("a").acquire()
    with pytest.raises(StorageFull):
        huey.lock_task("a").release()


def locked_task(huey, **options):
    told = []
    huey.signal()(lambda signal, *_: told.append(signal))

    @huey.task(**options)
    @huey.lock_task("a")
    def work():
        return "done"

    return work, told


def test_a_locked_task_without_retries_fails(huey):
    work, told = locked_task(huey)
    result = work()
    with huey.lock_task("a"):
        huey.execute(huey.dequeue())
    assert told == [s.SIGNAL_ENQUEUED, s.SIGNAL_EXECUTING, s.SIGNAL_LOCKED]
    with pytest.raises(TaskException, match="TaskLockedException"):
        result.get()


def test_a_locked_task_with_retries_is_retried_and_stores_no_error(huey):
    work, told = locked_task(huey, retries=1)
    result = work()
    with huey.lock_task("a"):
        huey.execute(huey.dequeue())
    assert told[2:] == [s.SIGNAL_LOCKED, s.SIGNAL_RETRYING, s.SIGNAL_ENQUEUED]
    assert huey.result_count() == 0
    huey.execute(huey.dequeue())
    assert result.get() == "done"


def test_a_lock_that_is_not_released_is_free_for_the_retry(huey):
    @huey.task(retries=1)
    def work():
        huey.lock_task("a").acquire()
        raise ValueError

    work()
    for _ in range(2):
        huey.execute(huey.dequeue())
    assert (len(huey), held(huey)) == (0, [])


def test_locks_end_with_attempts_that_end_without_code(huey):
    work, _ = locked_task(huey)
    for disposition in Disposition:
        work()
        task = huey.dequeue()
        holder = huey.lock_task("x")._hold()
        huey.storage.release_lock(holder, now=clock.monotonic())
        assert huey.storage.acquire_lock(holder._replace(claim=task.claim), limit=1, now=clock.monotonic())
        huey.storage.settle([Settlement(task.claim, Outcome(disposition, "x"))], clock.now())
        assert held(huey) == []
        huey.flush()


# Semaphores


def test_a_semaphore_has_slots(huey):
    semaphore = helpers.RedisSemaphore(huey, "s", 2)
    assert isinstance(semaphore, TaskSemaphore)
    first, second = semaphore.acquire(), semaphore.acquire("mine")
    assert (second, semaphore.acquire(), TaskSemaphore(huey, "s", 2).acquire()) == ("mine", None, None)
    assert sorted(semaphore.holders()) == sorted([first, "mine"])
    assert semaphore.release(first) is True
    assert semaphore.release(first) is False
    assert semaphore.acquire("mine") == "mine"
    assert semaphore.holders() == ["mine"]


def test_a_slot_is_released_by_its_name_from_anywhere(huey):
    elsewhere(lambda: TaskSemaphore(huey, "s").acquire("mine"))
    assert TaskSemaphore(huey, "s").release("mine")


def test_a_slot_ends_after_its_timeout_unless_it_is_renewed(huey, pass_time):
    semaphore = TaskSemaphore(huey, "s", 1, timeout=10)
    slot = semaphore.acquire()
    pass_time(9)
    assert semaphore.renew(slot)
    pass_time(9)
    assert semaphore.holders() == [slot]
    pass_time(2)
    assert semaphore.holders() == []
    assert not semaphore.renew(slot)
    assert semaphore.acquire()


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True, None])
def test_a_value_that_cannot_work_is_refused(huey, value):
    with pytest.raises(ValueError, match="value must be a whole number, 1 or more"):
        TaskSemaphore(huey, "s", value)
    with pytest.raises(ValueError, match="value must be a whole number, 1 or more"):
        helpers.lock_task_semaphore(huey, "s", value)


def test_a_function_with_a_semaphore(huey):
    inside = threading.Barrier(3)
    leave = threading.Event()

    @helpers.lock_task_semaphore(huey, "s", 2, timeout=1)
    def function():
        inside.wait(PATIENCE)
        leave.wait(PATIENCE)
        return True

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(function) for _ in range(2)]
        inside.wait(PATIENCE)
        with pytest.raises(TaskLockedException, match="'s' is locked by process"):
            function()
        leave.set()
        assert [one.result(PATIENCE) for one in running] == [True, True]
    assert held(huey) == []


def test_blocks_of_several_attempts_in_one_thread_give_back_their_own(huey):
    """As coroutines do it: they begin and end in any order."""
    semaphore = TaskSemaphore(huey, "s", 2)

    @huey.task()
    def work():
        semaphore.__enter__()

    work()
    semaphore.__enter__()  # the process's
    task = huey.dequeue()
    huey.in_flight.add(task)
    from liteq.current import current

    token = current.set(task)
    semaphore.__enter__()  # the attempt's
    current.reset(token)
    semaphore.__exit__(None, None, None)
    (left,) = huey.storage.locks(now=clock.monotonic())
    assert left.claim == task.claim

"""Immediate mode on every backend: in memory, and with the real storage."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from liteq import (
    CancelExecution,
    ConfigurationError,
    Error,
    FileHuey,
    Huey,
    MemoryHuey,
    PriorityRedisHuey,
    RedisHuey,
    RetryTask,
    SqliteHuey,
    StorageError,
    TaskException,
    chord,
    crontab,
    group,
)
from liteq.storage.file import FileStorage
from tests.servers import redis_server

from .running import PATIENCE, Background

BACKENDS = {
    "sqlite": lambda folder, **options: SqliteHuey(filename=folder / "q.db", durability="off", **options),
    "file": lambda folder, **options: FileHuey(path=folder / "queues", fsync=False, **options),
    "memory": lambda _, **options: MemoryHuey(**options),
    "redis": lambda folder, **options: _on_redis(RedisHuey, folder, **options),
    "redis with priorities": lambda folder, **options: _on_redis(PriorityRedisHuey, folder, **options),
    "one's own": lambda folder, **options: Huey("own", storage_class=_Own, path=folder / "own", **options),
}
_databases: dict[Path, int] = {}


def _on_redis(kind, folder, **options):
    database = _databases.setdefault(folder, 10_000 + len(_databases))
    return kind(url=redis_server().url, db=database, **options)


class _Own(FileStorage):
    """What an application has written itself, as far as immediate mode can know."""


@pytest.fixture(params=BACKENDS)
def make(request, tmp_path):
    """Makes queues of one backend, all in the same place."""
    made = []

    def make(**options):
        made.append(BACKENDS[request.param](tmp_path, **options))
        return made[-1]

    yield make
    for huey in made:
        huey.storage.close()


@pytest.fixture(params=[True, False], ids=["in memory", "in the real storage"])
def huey(request, make) -> Huey:
    """A queue in immediate mode."""
    return make(immediate=True, immediate_use_memory=request.param)


@pytest.fixture
def add(huey):
    return declare_add(huey)


def declare_add(huey):
    @huey.task()
    def add(a, b):
        return a + b

    return add


def need_priorities(huey):
    if not huey.storage.capabilities.priorities:
        pytest.skip("it has no priorities")


def is_empty(huey):
    return not any(huey.counts()) and huey.result_count() == 0


# The guide


def test_the_mode_of_the_guide(huey, add):
    assert add(1, 2)() == 3
    add.revoke(revoke_once=True)
    assert add(2, 3)() is None
    assert add(3, 4)() == 7
    result = add.schedule((4, 5), delay=60)
    assert result() is None
    assert [task.id for task in huey.scheduled()] == [result.id]
    assert (len(huey), huey.scheduled_count(), huey.result_count()) == (0, 1, 0)


def test_a_result_can_be_waited_for(huey, add):
    assert add(1, 2).get(blocking=True) == 3
    assert huey.enqueue(group([add.s(1, number) for number in range(3)])).get(blocking=True) == [1, 2, 3]


def test_exceptions_are_logged_and_not_raised(huey, add, caplog):
    with caplog.at_level(logging.ERROR, "huey"):
        result = add(1, None)
    assert "TypeError" in caplog.text
    with pytest.raises(TaskException, match="TypeError"):
        result.get()
    assert is_empty(huey)


def test_pipelines_chords_retries_and_handlers(huey, add):
    seen = []

    @huey.task(retries=2)
    def stumble(value):
        seen.append(value)
        if len(seen) == 1:
            raise RetryTask
        if len(seen) == 2:
            raise ValueError("no")
        return value, 1

    @huey.task()
    def note(error):
        seen.append(str(error))

    @huey.task()
    def total(values):
        return sum(values)

    assert huey.enqueue(stumble.s(5).then(add))() == [(5, 1), 6]
    huey.enqueue(add.s(1, None).error(note))
    assert seen[:3] == [5, 5, 5]
    assert "unsupported operand" in seen[-1]
    assert huey.enqueue(chord([add.s(1, 1), add.s(2, 2).then(add, 3)], total.s())).get() == 9


def test_what_is_canceled_expired_or_revoked_does_not_run(huey, clock):
    ran = []

    @huey.task(retries=3)
    def cancel():
        ran.append("cancel")
        raise CancelExecution(retry=False)

    @huey.task(expires=10)
    def perish():
        ran.append("perish")

    cancel()
    later = perish.schedule(delay=20)
    clock.advance(31)
    (task,) = huey.read_schedule()
    huey.execute(task)
    revoked = perish.s()
    huey.revoke(revoked)
    huey.enqueue(revoked)
    assert ran == ["cancel"]
    assert later() is None
    perish()
    assert ran == ["cancel", "perish"]


def test_periodic_tasks_run_when_they_are_called(huey):
    ran = []

    @huey.periodic_task(crontab(minute="0"))
    def tick():
        ran.append(1)
        return len(ran)

    assert tick().get() is None
    assert (ran, huey.result_count()) == ([1], 0)
    assert tick.call_local() == 2


def test_locks_limits_and_counters(huey):
    @huey.task()
    @huey.lock_task("one")
    def locked():
        assert huey.is_locked("one")
        return huey.incr("runs")

    @huey.task()
    @huey.rate_limit("limit", limit=1, per=60, retry=True)
    def limited():
        return "ran"

    assert [locked()(), locked()()] == [1, 2]
    assert not huey.is_locked("one")
    with huey.lock_task("one"):
        assert isinstance(locked().get_raw_result(), Error)
    assert limited()() == "ran"
    again = limited()
    assert again() is None
    assert [task.id for task in huey.scheduled()] == [again.id], "it waits for its turn"


def test_values_and_flush(huey, add):
    huey.put("key", "value")
    add.schedule((1, 2), delay=60)
    assert huey.get("key", peek=True) == "value"
    huey.flush()
    assert is_empty(huey)


# Pauses


def test_what_is_paused_waits_until_it_is_resumed(huey, add):
    need_priorities(huey)

    @huey.task()
    def other(value=""):
        return "other"

    huey.pause(add)
    single = add(1, 2)
    pipeline = huey.enqueue(add.s(3, 4, priority=5).then(other))
    assert other()() == "other"
    assert not any(result.is_ready() for result in (single, *pipeline))
    assert [task.args for task in huey.pending()] == [(3, 4), (1, 2)]
    assert huey.resume(add)
    assert (single(), pipeline()) == (3, [7, "other"])
    assert is_empty(huey)


def test_the_queue_and_the_task_are_paused_apart(huey, add):
    huey.pause()
    huey.pause(add)
    result = add(1, 2)
    huey.resume()
    assert result() is None
    assert huey.is_paused(add)
    huey.resume(add)
    assert result() == 3


def test_what_tasks_cause_is_held_back_too(huey, add):
    @huey.task()
    def total(values):
        return sum(values)

    @huey.task(retries=1)
    def stumble():
        huey.pause()
        raise ValueError("once")

    huey.pause(total)
    pipeline = huey.enqueue(add.s(1, 2).then(total))
    gathered = huey.enqueue(chord([add.s(1, 1), add.s(2, 2)], total.s()))
    assert [one() for one in pipeline] == [3, None]
    assert gathered() is None
    assert huey.pending_count() == 2
    huey.flush()
    huey.resume(total)
    assert gathered() is None, "it is gone"

    huey.pause(total)
    gathered = huey.enqueue(chord([add.s(1, 1), add.s(2, 2)], total.s()))
    huey.resume(total)
    assert gathered() == 6
    stumble()
    assert [task.retries for task in huey.pending()] == [0]


def test_they_run_in_the_order_of_a_consumer(huey):
    need_priorities(huey)
    ran = []

    @huey.task()
    def note(number):
        ran.append(number)

    huey.pause()
    for number, priority in enumerate([0, 5, None, 5, -1]):
        note(number, priority=priority)
    assert ran == []
    huey.resume()
    assert ran == [1, 3, 0, 2, 4]


def test_what_was_revoked_while_it_was_held_back_does_not_run(huey, add):
    huey.pause()
    result = add(1, 2)
    result.revoke()
    huey.resume()
    assert result() is None
    assert is_empty(huey)


def test_somebody_waits_for_what_is_held_back(huey, add):
    huey.pause()
    result = add(1, 2)
    waiting = Background(lambda: result.get(blocking=True, timeout=PATIENCE))
    huey.resume()
    assert waiting.result() == 3


def test_what_is_for_later_is_on_the_schedule_though_it_is_paused(huey, add):
    signals = []
    huey.signal()(lambda signal, task, *_: signals.append(signal))
    huey.pause()
    add.schedule((1, 2), delay=60)
    assert (huey.scheduled_count(), huey.pending_count()) == (1, 0)
    assert signals == ["enqueued", "scheduled"]


# Options of the storage


def test_results_expire(make, clock):
    for in_memory in (True, False):
        huey = make(immediate=True, immediate_use_memory=in_memory, expire_time=10)
        result = declare_add(huey)(1, 2)
        assert result.get(preserve=True) == 3
        result.reset()
        clock.advance(11)
        assert result() is None


@pytest.mark.parametrize("option", [{"expire_time": -1}, {"history": "x"}, {"history_age": 0}])
def test_wrong_values_are_refused(make, option):
    with pytest.raises(ConfigurationError, match=next(iter(option))):
        make(immediate=True, **option)


# Switching


def test_a_switch_leaves_the_real_storage_alone(make, tmp_path):
    huey = make()
    add = declare_add(huey)
    huey.immediate = True
    assert add(1, 2)() == 3
    add.schedule((1, 2), delay=60)
    huey.put("key", "value")
    assert list(tmp_path.iterdir()) == []
    huey.immediate = False
    assert is_empty(huey)
    result = add(1, 2)
    assert (len(huey), result()) == (1, None)


@pytest.mark.parametrize("kind", [RedisHuey, PriorityRedisHuey])
def test_no_server_is_needed(kind):
    """Nor is it looked for: nothing listens there."""
    huey = kind(url="unix:///nowhere/at/all")
    add = declare_add(huey)
    for _ in range(2):
        huey.immediate = True
        assert add(1, 2)() == 3
        huey.immediate = False
        with pytest.raises(StorageError):
            add(1, 2)


def test_the_memory_refuses_nothing_that_the_server_does():
    huey = RedisHuey(url="unix:///nowhere/at/all", immediate=True)
    add = declare_add(huey)
    assert add(1, 2, priority=5)() == 3
    huey.immediate = False
    with pytest.raises(ConfigurationError, match="has no priorities"):
        add(1, 2, priority=5)


def test_with_the_real_storage_a_switch_keeps_what_is_there(make):
    huey = make(immediate_use_memory=False)
    add = declare_add(huey)
    waiting = add(1, 2)
    huey.immediate = True
    assert add(3, 4)() == 7
    assert len(huey) == 1, "what was enqueued is for a consumer"
    huey.pause()
    huey.resume()
    assert len(huey) == 1, "even after a pause"
    huey.immediate = False
    assert huey.execute(huey.dequeue()) == 3
    assert waiting() == 3


def test_another_process_sees_the_results_in_the_real_storage(make):
    huey = make(immediate=True, immediate_use_memory=False)
    if not huey.storage.capabilities.shared:
        pytest.skip("nobody else sees it")
    result = declare_add(huey)(1, 2)
    assert make().result(result.id) == 3


def test_what_was_held_back_before_a_switch_is_forgotten_with_the_memory(make):
    huey = make()
    add = declare_add(huey)
    huey.immediate = True
    huey.pause()
    add(1, 2)
    huey.immediate = False
    huey.immediate = True
    assert not huey.is_paused()
    huey.resume()
    assert is_empty(huey)


def test_anything_that_is_true_switches(make):
    huey = make(immediate=1)
    assert huey.immediate is True
    huey.immediate = None
    assert huey.immediate is False


def test_a_failed_switch_changes_nothing(make):
    huey = make(immediate=True)
    huey.storage_kwargs["nonsense"] = 1
    with pytest.raises(ConfigurationError, match="nonsense"):
        huey.immediate = False
    assert huey.immediate is True
    assert declare_add(huey)(1, 2)() == 3


def test_a_switch_gives_the_files_back(make, tmp_path):
    huey = make()
    declare_add(huey)(1, 2)
    huey.immediate = True
    held = [link for link in Path("/proc/self/fd").iterdir() if str(tmp_path) in str(_target(link))]
    assert held == []


def _target(link):
    try:
        return link.readlink()
    except OSError:
        return ""

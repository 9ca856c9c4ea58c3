"""Rate limits, counters and expiry as applications have them, in one process."""

from datetime import timedelta

import pytest

from liteq import ConfigurationError, MemoryHuey, RateLimitExceeded, SqliteHuey, TaskException, clock, limits
from liteq import signals as s
from liteq.storage.base import Instant
from liteq.storage.memory import MemoryStorage


@pytest.fixture(params=["memory", "sqlite"])
def make(request, tmp_path):
    made = []

    def make(**options):
        if request.param == "memory":
            made.append(MemoryHuey(**options))
        else:
            made.append(SqliteHuey(filename=tmp_path / "queue.db", durability="off", **options))
        return made[-1]

    yield make
    for queue in made:
        queue.storage.close()


@pytest.fixture
def huey(make):
    return make()


@pytest.fixture
def time(monkeypatch):
    """A clock that stands still until it is told to go on."""
    moment = [limits.instant()]
    monkeypatch.setattr(limits, "instant", lambda: moment[0])

    def advance(seconds):
        us = round(seconds * clock.SECOND)
        moment[0] = Instant(moment[0].boot, moment[0].ticks + us, moment[0].wall + us)

    return advance


def test_so_often_and_no_more(huey, time):
    limit = huey.rate_limit("r", 2, 10)
    assert [limit.acquire(), limit.current_usage(), limit.acquire(), limit.current_usage()] == [
        None,
        1,
        None,
        2,
    ]
    time(4)
    with pytest.raises(RateLimitExceeded) as caught:
        limit.acquire()
    assert (caught.value.key, caught.value.delay, caught.value.retry) == ("r", 6, True)
    assert limit.current_usage() == 2
    time(6)
    limit.acquire()
    assert limit.current_usage() == 1


def test_the_names_of_limits_are_shared(huey, time):
    huey.rate_limit("r", 1, 10).acquire()
    with pytest.raises(RateLimitExceeded) as caught:
        huey.rate_limit("r", 1, timedelta(seconds=10), retry=False).acquire()
    assert caught.value.retry is False
    huey.rate_limit("q", 1, 10).acquire()


def test_reset_begins_anew(huey, time):
    limit = huey.rate_limit("r", 1, 10)
    limit.acquire()
    limit.reset()
    assert limit.current_usage() == 0
    limit.acquire()


def test_blocks_and_functions_count(huey, time):
    limit = huey.rate_limit("r", 3, 10)

    @limit
    def function(value):
        """What it does."""
        return value

    with limit:
        pass
    assert (function(1), function(value=2), function.__doc__) == (1, 2, "What it does.")
    with pytest.raises(RateLimitExceeded):
        function(3)
    with pytest.raises(RateLimitExceeded), limit:
        raise AssertionError


def test_coroutines_count_when_they_are_awaited(huey, time):
    import asyncio

    @huey.rate_limit("r", 1, 10)
    async def function():
        return True

    waiting = function()
    assert huey.rate_limit("r", 1, 10).current_usage() == 0
    assert asyncio.run(waiting) is True
    with pytest.raises(RateLimitExceeded):
        asyncio.run(function())


@pytest.mark.parametrize("limit", [0, -1, 1.5, "1", True, None])
def test_a_limit_that_cannot_work_is_refused(huey, limit):
    with pytest.raises(ValueError, match="limit must be a whole number, 1 or more"):
        huey.rate_limit("r", limit, 1)


@pytest.mark.parametrize("per", [0, -1, "1", None, float("nan"), True, timedelta(0)])
def test_a_span_that_cannot_work_is_refused(huey, per):
    with pytest.raises(ValueError, match="per must be"):
        huey.rate_limit("r", 1, per)


@pytest.mark.parametrize("name", [None, 1, b"r"])
def test_names_are_texts(huey, name):
    with pytest.raises(TypeError, match="the name of a rate limit is a text"):
        huey.rate_limit(name, 1, 1)
    with pytest.raises(TypeError, match="the name of a counter is a text"):
        huey.incr(name)


def limited(huey, retry=True, **options):
    told = []
    huey.signal()(lambda signal, *_: told.append(signal))

    @huey.task(**options)
    @huey.rate_limit("r", 1, 10, retry=retry)
    def work():
        return "done"

    return work, told


def run_all(huey):
    while (task := huey.dequeue()) is not None:
        huey.execute(task)


def test_a_refused_task_comes_again_when_there_is_room(huey, time):
    work, told = limited(huey)
    work(), work()
    before = clock.naive_now()
    run_all(huey)
    assert told[-3:] == [s.SIGNAL_RATE_LIMITED, s.SIGNAL_RETRYING, s.SIGNAL_SCHEDULED]
    (waiting,) = huey.scheduled()
    assert waiting.retries == 0
    assert 10 <= (waiting.eta - before).total_seconds() < 60
    assert huey.result_count() == 1


def test_it_uses_up_no_retry_and_follows_its_own_delay(huey, time):
    work, _ = limited(huey, retries=3, retry_delay=300)
    work(), work()
    before = clock.naive_now()
    run_all(huey)
    (waiting,) = huey.scheduled()
    assert waiting.retries == 3
    assert 300 <= (waiting.eta - before).total_seconds() < 360


def test_without_retry_it_needs_retries_of_its_own(huey, time):
    work, told = limited(huey, retry=False)
    _, result = work(), work()
    run_all(huey)
    assert told[-1] == s.SIGNAL_RATE_LIMITED
    assert huey.scheduled_count() == 0
    with pytest.raises(TaskException, match="RateLimitExceeded"):
        result.get()


# Instants


def test_time_between_instants():
    at = Instant("a", 1000, 5_000_000)
    assert Instant("a", 1600, 0).since(at) == 600
    assert Instant("b", 7, 5_000_300).since(at) == 300
    assert Instant("b", 7, 4_000_000).since(at) == 7


def test_now_is_an_instant():
    first, second = limits.instant(), limits.instant()
    assert first.boot == second.boot != ""
    assert 0 <= second.since(first) < 60 * clock.SECOND


# Counters


def test_counters(huey):
    assert (huey.incr("k"), huey.incr("k", 5), huey.incr("k", -2)) == (1, 6, 4)
    assert (huey.counter("k"), huey.counter("other")) == (4, 0)
    assert huey.get("k") is None
    assert (huey.delete_counter("k"), huey.delete_counter("k"), huey.counter("k")) == (True, False, 0)


@pytest.mark.parametrize("amount", [1.5, "1", None, True, 2**63])
def test_an_amount_that_cannot_work_is_refused(huey, amount):
    with pytest.raises(ValueError, match="amount must be a whole number"):
        huey.incr("k", amount)


# Expiry


def test_results_expire(make, monkeypatch):
    huey = make(expire_time=60)

    @huey.task()
    def work():
        return 1

    read, unread = work(), work()
    run_all(huey)
    huey.put("mine", 1)
    huey.put_result("as a result", 1)
    assert read.get() == 1
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + 61 * clock.SECOND)
    assert unread.get() is None
    assert not unread.is_ready()
    assert set(huey.all_results()) == {"mine"}


@pytest.mark.parametrize("expire_time", [0, -1, "60", float("nan"), True])
def test_an_expire_time_that_cannot_work_is_refused(make, expire_time):
    with pytest.raises(ConfigurationError, match="expire_time must be"):
        make(expire_time=expire_time)


def test_the_contents_of_memory_that_are_over_are_pruned():
    storage = MemoryStorage(expire_time=1)
    assert storage.expire_time == clock.SECOND
    storage.put_result("key", b"", expires=1)
    assert storage.prune(10, now=limits.instant(), monotonic=0) == 1

"""Results in asyncio: awaited without polling, by one thread for all."""

import asyncio
import gc
import threading
import time

import pytest

import liteq
from liteq import MemoryHuey, ResultTimeout, TaskException
from liteq.contrib.asyncio import aget_result, aget_result_group
from liteq.storage.sqlite.results import ResultVerbs
from liteq.waiting import Waiter, waiter_of

from .running import PATIENCE, Background, wait_for
from .serving import served, wait_for_file


@pytest.fixture(autouse=True)
def nothing_is_left(caplog):
    yield
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


@pytest.fixture
def add(sqlite):
    @sqlite.task()
    def add(a, b=0):
        if b is None:
            raise ValueError("b is missing")
        return a + b

    return add


def waiters():
    return [thread for thread in threading.enumerate() if thread.name == "liteq-waiter"]


def waited_for(huey):
    """How many are waited for."""
    return sum(map(len, waiter_of(huey.storage)._waiting.values()))


def test_a_value(sqlite, add):
    async def main():
        return (
            await aget_result(add(1, 2)),
            await add(3, 4),
            await aget_result(add(5, 6), 1.5, 0.1, False, PATIENCE),
        )

    with served(sqlite):
        assert asyncio.run(main()) == (3, 7, 11)
    assert sqlite.result_count() == 0


def test_a_value_that_is_there_needs_no_thread(sqlite, add):
    wait_for(lambda: not waiters())
    result = add(1, 2)
    with served(sqlite):
        wait_for(lambda: sqlite.result_count() == 1)
    assert asyncio.run(aget_result(result)) == 3
    assert asyncio.run(aget_result(result)) == 3  # kept in the handle
    assert waiters() == []


def test_a_failure(sqlite, add):
    with served(sqlite), pytest.raises(TaskException, match="b is missing"):
        asyncio.run(aget_result(add(1, None)))


def test_no_value(sqlite):
    with served(sqlite):
        assert asyncio.run(aget_result(sqlite.task()(lambda: None)())) is None


def test_a_revoked_task_has_no_value(sqlite, add):
    result = add(1, 2)
    result.revoke()
    with served(sqlite):
        assert asyncio.run(aget_result(result)) is None


def test_preserve(sqlite, add):
    result = add(1, 2)
    with served(sqlite):
        assert asyncio.run(aget_result(result, preserve=True)) == 3
    assert sqlite.result(result.id) == 3


def test_a_timeout(sqlite, add):
    result = add(1, 2)
    started = time.monotonic()
    with pytest.raises(ResultTimeout, match=rf"{result.id} within 0.05"):
        asyncio.run(aget_result(result, timeout=0.05))
    assert 0.04 < time.monotonic() - started < PATIENCE / 3
    with pytest.raises(ResultTimeout):
        asyncio.run(aget_result(result, timeout=0))
    assert waited_for(sqlite) == 0
    with served(sqlite):
        assert asyncio.run(aget_result(result)) == 3


def test_a_value_is_not_lost_to_a_timeout_of_nothing(sqlite, add):
    result = add(1, 2)
    with served(sqlite):
        wait_for(lambda: sqlite.result_count() == 1)
    assert asyncio.run(aget_result(result, timeout=0)) == 3


@pytest.mark.parametrize("nothing", [None, 5])
def test_what_is_no_result(nothing):
    with pytest.raises(TypeError, match="not the result of a task"):
        asyncio.run(aget_result(nothing))


def test_groups(sqlite, add):
    async def main():
        return (
            await aget_result_group(add.map([(1, 2), (3, 4)])),
            await add.map([(5, 6), (7, 8)]),
            await sqlite.enqueue(add.s(1, 2).then(add, 10)),
            await aget_result_group([], timeout=1),
        )

    with served(sqlite):
        assert asyncio.run(main()) == ([3, 7], [11, 15], [3, 13], [])


def test_chords_and_groups(sqlite, add):
    total = sqlite.task(name="total")(sum)

    async def main():
        chord = liteq.chord([add.s(1, 2), add.s(3, 4)], total.s())
        group = liteq.group([add.s(1, 1), add.s(2, 2).then(add, 10)])
        return (
            await sqlite.enqueue(chord),
            await aget_result(sqlite.enqueue(liteq.chord([add.s(5)], total.s())), timeout=PATIENCE),
            await sqlite.enqueue(group),
            await aget_result(add.map([(1, 2)])),
        )

    with served(sqlite):
        chord, another, group, mapped = asyncio.run(main())
    assert (chord, another, mapped) == (10, 5, [3])
    assert group == [2, [4, 14]]  # as `get` has it


def test_a_failure_in_a_group_ends_the_wait_for_the_others(sqlite, add):
    async def main():
        with pytest.raises(TaskException, match="missing"):
            await aget_result_group([add(1, None), later])
        await asyncio.sleep(0)
        return asyncio.all_tasks() - {asyncio.current_task()}

    later = add.schedule((1, 2), delay=1000)
    with served(sqlite):
        assert asyncio.run(main()) == set()
    assert waited_for(sqlite) == 0


def test_the_loop_goes_on_meanwhile(sqlite, tmp_path):
    hold = sqlite.task()(lambda: wait_for_file(tmp_path / "gate"))

    async def main():
        waiting = asyncio.ensure_future(aget_result(hold()))
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not waiting.done()
        (tmp_path / "gate").touch()
        await waiting

    with served(sqlite):
        asyncio.run(main())


def test_a_thousand_at_once_in_one_thread(sqlite, add):
    async def main():
        waiting = [asyncio.ensure_future(aget_result(each)) for each in results]
        await asyncio.sleep(0)
        threads.append(len(waiters()))
        with served(sqlite):
            return await asyncio.gather(*waiting)

    wait_for(lambda: not waiters())
    threads = []
    results = list(add.map([(number, 1) for number in range(1000)]))
    assert asyncio.run(main()) == list(range(1, 1001))
    assert threads == [1]
    wait_for(lambda: not waiters())
    assert sqlite.result_count() == 0


def test_loops_share_the_thread(sqlite, add):
    async def main():
        return await aget_result(add(1, 2))

    loops = [Background(lambda: asyncio.run(main())) for _ in range(5)]
    wait_for(lambda: waited_for(sqlite) == 5)
    assert len(waiters()) == 1
    with served(sqlite):
        assert [loop.result() for loop in loops] == [3] * 5


def test_many_that_await_the_same_handle(sqlite, add):
    async def main():
        return await asyncio.gather(*(aget_result(result) for _ in range(10)))

    result = add(1, 2)
    with served(sqlite):
        assert asyncio.run(main()) == [3] * 10


def test_cancelling_leaves_nothing(sqlite, add):
    async def main():
        waiting = [asyncio.ensure_future(aget_result(each)) for each in results]
        await asyncio.sleep(0.01)
        assert waited_for(sqlite) == 100
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return [each.cancelled() for each in waiting]

    results = list(add.map([(number, 1) for number in range(100)]))
    assert asyncio.run(main()) == [True] * 100
    assert waited_for(sqlite) == 0
    wait_for(lambda: not waiters())
    with served(sqlite):
        assert [each.get(blocking=True, timeout=PATIENCE) for each in results] == list(range(1, 101))


def test_cancelling_at_any_moment_loses_no_value(sqlite, add):
    async def main():
        for number in range(150):
            result = add(number)
            waiting = asyncio.ensure_future(aget_result(result))
            await asyncio.sleep(0.0002 * (number % 20))
            waiting.cancel()
            try:
                assert await waiting == number
            except asyncio.CancelledError:
                assert await aget_result(result, timeout=PATIENCE) == number

    with served(sqlite):
        asyncio.run(main())
    assert waited_for(sqlite) == 0


def test_a_loop_that_is_closed_disturbs_nobody(sqlite, add):
    async def leave():
        asyncio.ensure_future(aget_result(result)).add_done_callback(lambda _: None)
        await asyncio.sleep(0.005)

    result = add(1, 2)
    asyncio.run(leave())
    with served(sqlite):
        assert asyncio.run(aget_result(result)) == 3


def test_storage_that_can_not_be_read(sqlite, add, monkeypatch):
    def broken(self, ids):
        raise ValueError("the disk is gone")

    monkeypatch.setattr(ResultVerbs, "ended", broken)
    with pytest.raises(ValueError, match="gone"):
        asyncio.run(aget_result(add(1, 2)))


def test_a_value_that_can_not_be_read_stays_where_it_is(sqlite, add):
    result = add(1, 2)
    sqlite.storage.put_result(result.id, b"rubbish")
    with pytest.raises(Exception, match="pickl"):
        asyncio.run(aget_result(result))

    async def later():
        other = add(3, 4)
        waiting = asyncio.ensure_future(aget_result(other))
        await asyncio.sleep(0.01)
        sqlite.storage.put_result(other.id, b"rubbish")
        await waiting

    with pytest.raises(Exception, match="pickl"):
        asyncio.run(later())
    assert sqlite.result_count() == 2


def test_results_in_memory():
    huey = MemoryHuey()
    add = huey.task()(lambda a, b: a + b)

    async def main():
        return await aget_result(add(1, 2)), await add.map([(3, 4)])

    with served(huey):
        assert asyncio.run(main()) == (3, [7])


def test_immediate_mode():
    huey = MemoryHuey(immediate=True)
    add = huey.task()(lambda a, b: a + b)

    async def main():
        return await add(1, 2)

    assert asyncio.run(main()) == 3


def test_where_storage_can_not_be_watched(sqlite, add, monkeypatch):
    from liteq.storage import bell as bell_module

    def refuse(_path):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(bell_module, "FileWatch", refuse)
    with served(sqlite):
        assert asyncio.run(aget_result_group(add.map([(1, 2), (3, 4)]))) == [3, 7]


def test_the_waiter_of_a_storage_ends_with_it():
    huey = MemoryHuey()
    waiter = waiter_of(huey.storage)
    assert waiter_of(huey.storage) is waiter
    assert waiter_of(MemoryHuey().storage) is not waiter
    assert isinstance(waiter, Waiter)
    del huey
    gc.collect()
    assert not waiter.look(["anything"])

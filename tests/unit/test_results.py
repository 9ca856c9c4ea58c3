"""Handles of results: what they read, keep, wait for and do to their tasks."""
# ruff: noqa: DTZ001 -- naive datetimes are a part of what is tested

import threading
from datetime import UTC, datetime

import pytest

from liteq import EmptyData, Error, MemoryHuey, ResultTimeout, SqliteHuey, TaskException
from liteq import clock as liteq_clock
from liteq.clock import to_us
from liteq.result_groups import ResultGroup
from liteq.results import Result
from liteq.storage.bell import BellWakeup
from liteq.storage.sqlite import SqliteStorage

from .running import PATIENCE, Background


@pytest.fixture
def add(sqlite):
    @sqlite.task()
    def add(a, b=0):
        if b is None:
            raise ValueError("b is missing")
        return a + b

    return add


@pytest.fixture
def nothing(sqlite):
    @sqlite.task()
    def nothing():
        return None

    return nothing


def run_all(huey):
    while (task := huey.dequeue()) is not None:
        huey.execute(task)


@pytest.fixture
def waits(monkeypatch):
    """Set as soon as somebody is about to wait for a change."""
    reached = threading.Event()
    original = BellWakeup.wait

    def wait(self, ticket, timeout):
        reached.set()
        return original(self, ticket, timeout)

    monkeypatch.setattr(BellWakeup, "wait", wait)
    return reached


# Reading


def test_there_is_nothing_before_the_task_has_run(sqlite, add):
    result = add(1, 2)
    assert result() is None
    assert result.get() is None
    assert result.get_raw_result() is None
    assert not result.is_ready()
    assert sqlite.pending_count() == 1


def test_the_value_once_it_has(sqlite, add):
    result = add(1, 2)
    run_all(sqlite)
    assert result.is_ready()
    assert result() == 3
    assert result.get() == 3
    assert result(True) == 3


def test_reading_takes_the_value_out_and_keeps_it_in_the_handle(sqlite, add):
    result = add(1, 2)
    run_all(sqlite)
    assert sqlite.result_count() == 1
    assert result.get() == 3
    assert sqlite.result_count() == 0
    assert result.get() == 3
    assert sqlite.result(result.id) is None


def test_to_be_ready_is_to_be_taken_out(sqlite, add):
    result = add(1, 2)
    run_all(sqlite)
    assert result.is_ready()
    assert sqlite.result_count() == 0
    assert result.get() == 3


def test_preserve_leaves_it_for_others(sqlite, add):
    result = add(1, 2)
    run_all(sqlite)
    assert result.get(preserve=True) == 3
    assert sqlite.result_count() == 1
    assert sqlite.result(result.id, preserve=True) == 3
    assert sqlite.result(result.id) == 3
    assert sqlite.result(result.id) is None
    assert result.get() == 3


def test_preserve_while_waiting(sqlite, add):
    result = add(1, 2)
    run_all(sqlite)
    assert result.get(blocking=True, preserve=True) == 3
    assert sqlite.result_count() == 1


def test_reset_forgets_the_value_in_the_handle(sqlite, add):
    result = add(1, 2)
    run_all(sqlite)
    assert result() == 3
    result.reset()
    assert result() is None
    sqlite.put(result.id, 9)
    assert result() == 9


def test_reset_of_a_preserved_value_reads_it_again(sqlite, add):
    result = add(1, 2)
    run_all(sqlite)
    assert result(preserve=True) == 3
    result.reset()
    assert result() == 3


def test_a_failed_task(sqlite, add):
    result = add(1, None)
    run_all(sqlite)
    for _ in range(2):
        with pytest.raises(TaskException) as caught:
            result.get()
        assert str(caught.value) == "ValueError('b is missing')"
        metadata = caught.value.metadata
        assert metadata["error"] == "ValueError('b is missing')"
        assert metadata["task_id"] == result.id
        assert metadata["retries"] == 0
        assert "in add\n" in metadata["traceback"]
        assert metadata["traceback"].endswith("ValueError: b is missing\n")
    raw = result.get_raw_result()
    assert isinstance(raw, Error)
    assert raw.metadata == metadata


def test_by_id(sqlite, add):
    result = add(1, 2)
    assert sqlite.result(result.id) is None
    run_all(sqlite)
    assert sqlite.result(result.id) == 3
    failed = add(1, None)
    run_all(sqlite)
    with pytest.raises(TaskException):
        sqlite.result(failed.id)
    assert sqlite.result("no such task") is None
    assert sqlite.result("no such task", blocking=True) is None


def test_its_text(add):
    assert repr(add(1, id="me")) == "<Result: task me>"
    assert repr(EmptyData) == "EmptyData"


# Waiting


def test_waiting_ends_with_the_result(sqlite, add, waits):
    result = add(1, 2)
    waiting = Background(result.get, True)
    assert waits.wait(PATIENCE)
    run_all(sqlite)
    assert waiting.result() == 3


def test_waiting_with_a_timeout_ends_with_the_result_if_it_comes_in_time(sqlite, add, waits):
    waiting = Background(add(1, 2).get, True, PATIENCE)
    assert waits.wait(PATIENCE)
    assert waiting.is_waiting()
    run_all(sqlite)
    assert waiting.result() == 3


def test_where_it_is_woken_it_hardly_looks_and_elsewhere_it_looks_often(sqlite, add, monkeypatch):
    class Enough(Exception):
        pass

    def waits(number):
        """For how long it waits between its looks, at most."""
        seen = []

        def wait(_self, _ticket, timeout):
            seen.append(timeout)
            if len(seen) == number:
                raise Enough
            return False

        monkeypatch.setattr(BellWakeup, "wait", wait)
        with pytest.raises(Enough):
            add(1, 2).get(True, backoff=2, max_delay=0.005)
        return seen

    assert waits(3) == [1.0, 1.0, 1.0]
    sqlite.storage.close()
    monkeypatch.setattr(BellWakeup, "watching", False)
    assert waits(5) == pytest.approx([0.001, 0.002, 0.004, 0.005, 0.005])


def test_waiting_ends_with_the_error(sqlite, add, waits):
    waiting = Background(add(1, None).get, True)
    assert waits.wait(PATIENCE)
    run_all(sqlite)
    with pytest.raises(TaskException, match="b is missing"):
        waiting.result()


def test_waiting_for_a_task_that_returns_nothing_ends_with_it(sqlite, nothing, waits):
    waiting = Background(nothing().get, True)
    assert waits.wait(PATIENCE)
    assert waiting.is_waiting()
    run_all(sqlite)
    assert waiting.result() is None


def test_the_result_of_a_task_that_has_returned_nothing_is_not_waited_for(sqlite, nothing):
    result = nothing()
    run_all(sqlite)
    assert Background(result.get, True).result() is None


def test_a_result_that_was_read_by_somebody_else_is_not_waited_for(sqlite, add):
    result = add(1, 2)
    run_all(sqlite)
    assert sqlite.result(result.id) == 3
    assert Background(result.get, True).result() is None


def test_a_revoked_task_is_not_waited_for_once_it_was_discarded(sqlite, add, waits):
    result = add(1, 2)
    result.revoke()
    waiting = Background(result.get, True)
    assert waits.wait(PATIENCE)
    run_all(sqlite)
    assert waiting.result() is None


def test_an_expired_task_is_not_waited_for_once_it_was_discarded(sqlite, add, clock, waits):
    result = add(1, 2, expires=5)
    clock.advance(6)
    waiting = Background(result.get, True)
    assert waits.wait(PATIENCE)
    run_all(sqlite)
    assert waiting.result() is None


def test_a_flushed_task_is_not_waited_for(sqlite, add, waits):
    waiting = Background(add(1, 2).get, True)
    assert waits.wait(PATIENCE)
    sqlite.flush()
    assert waiting.result() is None


def test_a_task_that_is_retried_is_waited_for(sqlite, clock, waits):
    @sqlite.task(retries=1, retry_delay=60)
    def fail():
        raise ValueError("no")

    sqlite.store_intermediate_errors = False
    waiting = Background(fail().get, True)
    assert waits.wait(PATIENCE)
    run_all(sqlite)
    assert sqlite.scheduled_count() == 1
    assert waiting.is_waiting()
    clock.advance(60)
    run_all(sqlite)
    with pytest.raises(TaskException):
        waiting.result()


def test_the_time_runs_out(sqlite, add):
    result = add(1, 2)
    with pytest.raises(ResultTimeout, match=result.id):
        result.get(blocking=True, timeout=0.01)
    with pytest.raises(ResultTimeout):
        result.get(True, 0)
    assert not result.is_revoked()
    run_all(sqlite)
    assert result.get(True, 0) == 3


class LookedAt(SqliteStorage):
    """Counts the looks for a result."""

    looks = 0

    def pop_result(self, key):
        self.looks += 1
        return super().pop_result(key)


def test_where_nothing_has_ended_since_there_is_nothing_to_look_for(tmp_path):
    huey = SqliteHuey(filename=str(tmp_path / "queue.db"), storage_class=LookedAt)
    add = huey.task()(max)

    def looks_until_the_time_runs_out(result):
        before = huey.storage.looks
        with pytest.raises(ResultTimeout):
            result.get(True, 0.01)
        return huey.storage.looks - before

    assert looks_until_the_time_runs_out(add(1, 2)) == 2  # it does not watch yet
    result = add(1, 2)
    assert looks_until_the_time_runs_out(result) == 1
    assert looks_until_the_time_runs_out(result) == 2
    run_all(huey)
    assert result.get(True, 0) == 2
    result = add(3, 4)
    run_all(huey)
    assert result.get(True, 0) == 4
    huey.storage.close()


def test_revoke_on_timeout(sqlite, add):
    result = add(1, 2)
    with pytest.raises(ResultTimeout):
        result.get(blocking=True, timeout=0.01, revoke_on_timeout=True)
    assert result.is_revoked()
    run_all(sqlite)
    assert result() is None
    assert sqlite.result_count() == 0
    assert not result.is_revoked()


def test_a_later_stage_is_waited_for(sqlite, add, waits):
    first, last = sqlite.enqueue(add.s(1, 2).then(add, 3))
    waiting = Background(last.get, True)
    assert waits.wait(PATIENCE)
    assert waiting.is_waiting()
    run_all(sqlite)
    assert waiting.result() == 6
    assert first() == 3


def test_the_stages_of_a_pipeline_that_stopped_are_not_waited_for(sqlite, add, waits):
    first, last = sqlite.enqueue(add.s(1, 2).then(add, 3))
    first.revoke()
    waiting = Background(last.get, True)
    assert waits.wait(PATIENCE)
    run_all(sqlite)
    assert waiting.result() is None


def test_an_id_that_begins_like_another_is_not_taken_for_it(sqlite, add):
    """Ids may be an application's own: job-1 has ended, and job-10 is a later stage of a pipeline that waits."""
    result = add(1, 2, id="job-1")
    run_all(sqlite)
    sqlite.enqueue(add.s(1, 2).then(add.s(id="job-10")))
    assert sqlite.result(result.id) == 3
    assert Background(result.get, True, 0.05).result() is None


def test_many_wait_for_one_result_and_one_gets_it(sqlite, add, waits):
    result = add(1, 2)
    waiting = [Background(Result(sqlite, result.task).get, True) for _ in range(8)]
    assert waits.wait(PATIENCE)
    run_all(sqlite)
    values = [one.result() for one in waiting]
    assert values.count(3) == 1
    assert values.count(None) == 7


def test_many_wait_and_preserve_and_all_get_it(sqlite, add, waits):
    result = add(1, 2)
    waiting = [Background(lambda: Result(sqlite, result.task).get(True, preserve=True)) for _ in range(8)]
    assert waits.wait(PATIENCE)
    run_all(sqlite)
    assert [one.result() for one in waiting] == [3] * 8


def test_waiting_in_memory():
    huey = MemoryHuey()

    @huey.task()
    def add(a, b):
        return a + b

    result = add(1, 2)
    waiting = Background(result.get, True)
    run_all(huey)
    assert waiting.result() == 3
    with pytest.raises(ResultTimeout):
        add(1, 2).get(True, 0.01)


def test_waiting_where_files_cannot_be_watched(sqlite, add, monkeypatch):
    def refuse(_path):
        raise OSError("no more watches")

    monkeypatch.setattr("liteq.storage.bell.FileWatch", refuse)
    result = add(1, 2)
    waiting = Background(lambda: result.get(True, max_delay=0.01))
    run_all(sqlite)
    assert waiting.result() == 3
    with pytest.raises(ResultTimeout):
        add(1).get(True, 0.01)


def test_results_of_another_queue_in_the_file_are_another(sqlite, add, filename):
    neighbour = SqliteHuey("neighbour", filename=filename)
    result = add(1, 2, id="me")
    run_all(sqlite)
    assert neighbour.result("me") is None
    assert result() == 3
    neighbour.storage.close()


# Revoking and rescheduling


def test_revoke_holds_once_by_default(sqlite, add):
    result = add(1, 2)
    result.revoke()
    assert result.is_revoked()
    assert sqlite.is_revoked(result)
    assert sqlite.is_revoked(result.id)
    assert not add.is_revoked()
    (revocation,) = sqlite.storage.revocations([result.revoke_id]).values()
    assert revocation.once is True
    result.revoke(revoke_once=False)
    (revocation,) = sqlite.storage.revocations([result.revoke_id]).values()
    assert revocation.once is False


def test_restore(sqlite, add):
    result = add(1, 2)
    assert result.restore() is False
    result.revoke()
    assert result.restore() is True
    assert not result.is_revoked()
    run_all(sqlite)
    assert result() == 3


def test_a_result_is_revoked_when_its_kind_is(sqlite, add):
    result = add(1, 2)
    add.revoke()
    assert result.is_revoked()
    add.restore()
    assert not result.is_revoked()


def test_reschedule_revokes_the_old_call_and_makes_a_new_one(sqlite, add, clock):
    old = add(1, b=2, priority=3, retries=4, retry_delay=5, retry_backoff=6, timeout=7)
    new = old.reschedule(delay=60)
    assert new.id != old.id
    assert old.is_revoked()
    assert not new.is_revoked()
    (task,) = sqlite.scheduled()
    assert task.id == new.id
    assert task.data == ((1,), {"b": 2})
    assert to_us(task.eta) == clock.now + 60_000_000
    assert (task.priority, task.retries, task.retry_delay, task.retry_backoff, task.timeout) == (
        3,
        4,
        5,
        6,
        7,
    )
    run_all(sqlite)
    assert old() is None
    clock.advance(60)
    run_all(sqlite)
    assert new() == 3
    assert sqlite.result_count() == 0


def test_reschedule_for_a_time(sqlite, add):
    add.schedule((1, 2), delay=60).reschedule(eta=datetime(2099, 1, 1, tzinfo=UTC))
    assert [task.eta for task in sqlite.scheduled()][-1] == datetime(2099, 1, 1)


def test_reschedule_for_now(sqlite, add):
    new = add.schedule((1, 2), delay=60).reschedule()
    assert [task.id for task in sqlite.pending()] == [new.id]
    run_all(sqlite)
    assert new() == 3


def test_reschedule_with_another_priority_and_expiry(sqlite, add, clock):
    add(1, 2, priority=3, expires=100).reschedule(delay=1, priority=0, expires=50)
    (task,) = sqlite.scheduled()
    assert (task.priority, task.expires) == (0, 50)


def test_reschedule_counts_a_relative_expiry_anew(sqlite, add, clock):
    old = add(1, 2, expires=100)
    clock.advance(90)
    new = old.reschedule()
    clock.advance(90)
    run_all(sqlite)
    assert new() == 3


def test_reschedule_keeps_the_pipeline(sqlite, add):
    first, last = sqlite.enqueue(add.s(1, 2).then(add, 3).error(add))
    new = first.reschedule()
    assert [result.id for result in new][1] == last.id
    task = sqlite.pending()[-1]
    assert task.on_error is not None
    run_all(sqlite)
    assert last() == 6


def test_reschedule_may_drop_the_pipeline(sqlite, add):
    first, _ = sqlite.enqueue(add.s(1, 2).then(add, 3).error(add))
    new = first.reschedule(preserve_pipeline=False)
    assert isinstance(new, Result)
    task = sqlite.pending()[-1]
    assert (task.on_complete, task.on_error) == (None, None)


def test_reschedule_refuses_what_cannot_work_and_leaves_the_task(sqlite, add):
    result = add(1, 2)
    for options in ({"delay": -1}, {"eta": "soon"}, {"eta": datetime(2099, 1, 1), "delay": 1}):
        with pytest.raises(ValueError):
            result.reschedule(**options)
    assert not result.is_revoked()
    run_all(sqlite)
    assert result() == 3


# Several results


@pytest.fixture
def group(sqlite, add):
    group = add.map([(1, 2), (3, 4), (5, 6)])
    run_all(sqlite)
    return group


def test_a_group_is_read_at_once(group):
    assert group.get() == [3, 7, 11]
    assert group() == [3, 7, 11]
    assert group(True) == [3, 7, 11]
    assert group.get(blocking=True, timeout=1) == [3, 7, 11]


def test_a_group_is_a_sequence_of_results(group):
    assert len(group) == 3
    assert [result.get() for result in group] == [3, 7, 11]
    assert group[0] == 3
    assert group[-1] == 11
    with pytest.raises(IndexError):
        group[3]


def test_an_index_waits(sqlite, add, waits):
    group = add.map([(1, 2), (3, 4)])
    waiting = Background(lambda: group[1])
    assert waits.wait(PATIENCE)
    run_all(sqlite)
    assert waiting.result() == 7


def test_a_group_that_has_not_run(sqlite, add):
    group = add.map([(1, 2), (3, 4)])
    assert group.get() == [None, None]
    with pytest.raises(ResultTimeout):
        group.get(True, timeout=0.01)


def test_a_group_with_a_failure_raises(sqlite, add):
    group = add.map([(1, 2), (3, None)])
    run_all(sqlite)
    with pytest.raises(TaskException):
        group.get()


def test_as_completed_is_in_the_order_of_the_ends(sqlite, add, waits):
    results = [add(1, priority=1), add(2, priority=3), add(3, priority=2)]
    values = ResultGroup(results).as_completed()
    ended = []
    for expected in (2, 3, 1):
        waiting = Background(next, values)
        sqlite.execute(sqlite.dequeue())
        ended.append(waiting.result())
        assert ended[-1] == expected
    with pytest.raises(StopIteration):
        next(values)


def test_as_completed_of_what_has_ended_already(group):
    assert list(group.as_completed()) == [3, 7, 11]


def test_as_completed_passes_what_returned_nothing(sqlite, add, nothing):
    group = ResultGroup([nothing(), add(1, 2)])
    run_all(sqlite)
    assert Background(list, group.as_completed()).result() == [None, 3]


def test_as_completed_of_a_failure_raises_in_its_place(sqlite, add):
    group = add.map([(1, 2), (3, None)])
    run_all(sqlite)
    values = group.as_completed()
    assert next(values) == 3
    with pytest.raises(TaskException):
        next(values)


def test_as_completed_of_nothing():
    assert list(ResultGroup([]).as_completed()) == []
    assert ResultGroup([]).get() == []


def test_the_results_of_a_pipeline(sqlite):
    @sqlite.task()
    def fib(a, b=1):
        return (a + b, a)

    group = sqlite.enqueue(fib.s(1).then(fib).then(fib).then(fib))
    run_all(sqlite)
    assert group(True) == [(2, 1), (3, 2), (5, 3), (8, 5)]


def test_a_wait_begins_even_with_the_wall_clock_set_back(sqlite, add, monkeypatch):
    """Waits are durations: they do not read the wall clock."""
    monkeypatch.setattr(liteq_clock, "now", lambda: 0)
    result = add(1, 2)
    with pytest.raises(ResultTimeout):
        result.get(True, 0.01)


def test_a_waiter_sees_a_result_that_is_stored_between_its_look_and_its_wait(sqlite, add, monkeypatch):
    result = add(1, 2)
    original = BellWakeup.wait

    def wait(self, ticket, timeout):
        run_all(sqlite)  # everything happens before it really waits
        return original(self, ticket, PATIENCE)

    monkeypatch.setattr(BellWakeup, "wait", wait)
    assert Background(result.get, True).result(PATIENCE / 2) == 3

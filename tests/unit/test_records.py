"""The queue's surface for states, history, progress and pauses, without a consumer."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from liteq import CancelExecution, ConfigurationError, MemoryHuey, RetryTask, SqliteHuey, TaskStatus
from liteq import clock as liteq_clock
from liteq.exceptions import StorageBusy, UnknownTask
from liteq.identity import identify
from liteq.messages import BACK, Attempted, Disposition, Message, Outcome, Settlement
from liteq.workers.notes import Notes
from liteq.workers.pool import Pool, Worker
from liteq.workers.shared import Board
from liteq.workers.wire import packet_pair


@pytest.fixture(params=["memory", "sqlite"])
def huey(request, filename):
    huey = MemoryHuey() if request.param == "memory" else SqliteHuey(filename=filename, durability="off")
    yield huey
    huey.storage.close()


def run(huey):
    """Run the next task as a worker would, without letting its errors out."""
    return huey.execute(huey.dequeue())


# States


def test_a_status_is_its_name():
    assert TaskStatus.QUEUED == "queued"
    assert f"{TaskStatus.DEAD}" == "dead"
    final = {status for status in TaskStatus if status.is_final}
    assert final == {"complete", "failed", "canceled", "revoked", "expired", "dead"}


@pytest.mark.parametrize("results", [True, False])
def test_how_a_task_ended(huey, results):
    huey.results = results

    @huey.task(context=True)
    def end(how, task):
        if how is not None:
            raise how

    ends = {
        "complete": None, "failed": ValueError("no"), "canceled": CancelExecution(),
        "retrying": RetryTask(delay=60),
    }  # fmt: skip
    for status, how in ends.items():
        task = end.s(how)
        huey.enqueue(task)
        run(huey)
        assert huey.status(task) == huey.status(task.id) == status
    assert len(huey.history()) == 4
    assert [attempt.reason for attempt in huey.history(name=end)] == [
        "RetryTask(None)", "CancelExecution()", "ValueError('no')", "",
    ]  # fmt: skip
    assert huey.history(name="nothing") == []


def test_a_reason_is_bounded(huey):
    @huey.task()
    def fail():
        raise ValueError("x" * 10_000)

    fail()
    run(huey)
    assert len(huey.history()[0].reason) == 500


def test_expired_and_revoked_tasks(huey):
    @huey.task()
    def never():
        raise AssertionError

    long_ago = datetime(2000, 1, 1)  # noqa: DTZ001 -- naive, as the API has it
    expired, revoked = never.s(expires=long_ago), never.s()
    huey.enqueue_many([expired, revoked])
    huey.revoke(revoked)
    run(huey)
    run(huey)
    assert (huey.status(expired), huey.status(revoked)) == ("expired", "revoked")
    assert [attempt.status for attempt in huey.history()] == ["revoked", "expired"]


def test_immediate_mode_tells_by_the_result(immediate):
    @immediate.task()
    def half(number):
        return 1 / number

    assert (half(1).status(), half(0).status()) == ("complete", "failed")


def test_a_result_without_history_tells_too(filename):
    huey = SqliteHuey(filename=filename, history=0)

    @huey.task()
    def half(number):
        return 1 / number

    results = [half(number) for number in (1, 0)]
    run(huey)
    run(huey)
    assert [result.status() for result in results] == ["complete", "failed"]
    assert results[0].get() == 1
    assert results[0].status() == "unknown"
    huey.storage.close()


def test_the_status_of_something_else(huey):
    with pytest.raises(TypeError, match="neither a task nor a result nor an id"):
        huey.status(7)


# Times


def test_times_are_naive_datetimes(huey, new_york):
    @huey.task()
    def fail():
        raise ValueError

    for huey.utc in (True, False):
        fail()
        before = liteq_clock.naive_now(huey.utc)
        run(huey)
        attempt = huey.history(1)[0]
        assert before - timedelta(seconds=1) < attempt.started <= attempt.ended
        assert attempt.ended < before + timedelta(seconds=60)


def test_running_and_dead_tasks(huey):
    @huey.task()
    def nothing():
        pass

    result = nothing()
    task = huey.dequeue()
    (row,) = huey.running()
    assert (row.id, row.attempt, row.started, row.worker, row.progress) == (result.id, 1, None, None, None)
    assert huey.counts() == (0, 0, 1, 0, 0)
    assert huey.running(0) == []
    huey.execute(task)
    nothing()
    nothing.unregister()
    with pytest.raises(UnknownTask):
        huey.dequeue()
    (dead,) = huey.dead()
    assert isinstance(dead.died, datetime)
    assert (dead.exit_code, dead.peak_memory) == (None, None)
    assert huey.delete_dead(older_than=timedelta(hours=1)) == 0
    assert huey.delete_dead(older_than=0) == 1


@pytest.mark.parametrize("ids", [(), ("a",)])
def test_deleting_dead_tasks_needs_ids_or_an_age(huey, ids):
    with pytest.raises(ValueError, match="either ids or older_than"):
        huey.delete_dead(*ids, older_than=None if not ids else 5)


# Progress


@pytest.fixture
def telling(huey):
    """A task that tells its progress in several steps, and what others read between them."""
    seen = []

    @huey.task()
    def tell(steps):
        for step in steps:
            huey.set_progress(*step)
            told = huey.progress_of(tell.id)
            seen.append(told and told[:3])

    def run_with(*steps):
        tell.id = tell(steps).id
        run(huey)
        return seen

    return run_with


def test_progress_is_told(telling):
    assert telling((1,), (2, 3), (2.5, 3, "on"), (3, 3, "x" * 600)) == [
        (1, None, ""), (2, 3, ""), (2.5, 3, "on"), (3, 3, "x" * 500),
    ]  # fmt: skip


def test_a_tight_loop_writes_little_and_its_end(huey, telling, monkeypatch):
    writes = []
    write = huey.storage.set_progress
    monkeypatch.setattr(huey.storage, "set_progress", lambda *row: writes.append(row) or write(*row))
    seen = telling(*((number, 5_000) for number in range(5_001)), *((5_000, 5_000),) * 100)
    assert seen[9][:2] == (9, 5_000)
    assert seen[-1][:2] == (5_000, 5_000)
    assert len(writes) < 2_000


def test_outside_of_a_task_nothing_happens(huey):
    huey.set_progress(1, 2)
    assert huey.progress_of("anything") is None


def test_in_immediate_mode_nothing_happens(immediate):
    @immediate.task()
    def tell():
        immediate.set_progress(1, 2)
        return "done"

    assert tell().get() == "done"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [(("1",), TypeError), ((True,), TypeError), ((1, "2"), TypeError), ((float("nan"),), ValueError)],
)
def test_progress_is_a_number(huey, arguments, error):
    with pytest.raises(error, match="must be"):
        huey.set_progress(*arguments)


def test_a_storage_that_cannot_be_written_is_no_reason_to_fail(huey, monkeypatch, caplog):
    @huey.task()
    def tell():
        huey.set_progress(1, 2)
        return "done"

    def busy(*_):
        raise StorageBusy("busy")

    monkeypatch.setattr(huey.storage, "set_progress", busy)
    tell()
    assert run(huey) == "done"
    assert "can't be stored" in caplog.text


# Retention


@pytest.mark.parametrize("make", [MemoryHuey, SqliteHuey])
@pytest.mark.parametrize(
    "options",
    [{"history": -1}, {"history": 1.5}, {"history": True}, {"history_age": 0}, {"history_age": "1"}],
)
def test_a_retention_that_cannot_be(make, options):
    with pytest.raises(ConfigurationError, match="must be"):
        make(**options)


def test_the_memory_keeps_no_more_than_it_should():
    huey = MemoryHuey(history=3)

    @huey.task()
    def nothing():
        pass

    ids = [nothing().id for _ in range(5)]
    for _ in ids:
        run(huey)
    assert [attempt.id for attempt in huey.history()] == ids[:1:-1]


def test_a_flood_of_successes_leaves_room_for_failures(filename):
    huey = SqliteHuey(filename=filename, durability="off", history=1_000)

    @huey.task()
    def half(number):
        return 1 / number

    for _ in range(20):
        half.map([1] * 100)
        half(0)
    owner = huey.storage.register(identify())
    settle_all(huey, owner)
    entries = huey.history(None)
    assert sum(entry.status == "error" for entry in entries) == 20
    assert 400 <= sum(entry.status == "complete" for entry in entries) < 1_500
    huey.storage.close()


def settle_all(huey, owner):
    tasks = huey.pending()
    failing = {task.id for task in tasks if task.args == (0,)}
    while claims := huey.storage.claim(owner, 100, now=liteq_clock.now(), lease=1):
        ends = [
            Settlement(
                claim.key,
                Outcome(Disposition.DONE, "error" if claim.id in failing else "complete"),
                Attempted(),
            )
            for claim in claims
        ]
        for status in ("complete", "error"):
            huey.storage.settle([end for end in ends if end.outcome.status == status], liteq_clock.now())


# Pauses


def test_what_can_be_paused(huey):
    @huey.task()
    def nothing():
        pass

    @huey.task()
    def other():
        pass

    assert huey.pause(nothing)
    assert not huey.pause(nothing.task_class)
    assert (huey.is_paused(nothing), huey.is_paused(other), huey.is_paused()) == (True, False, False)
    nothing()
    other()
    assert len(huey) == 2
    assert huey.dequeue().name == "other"
    assert huey.dequeue() is None
    assert huey.resume(huey.registry.task_to_string(nothing.task_class))
    assert huey.dequeue().name == "nothing"
    assert huey.pause()
    assert huey.is_paused(other)
    assert huey.resume()
    assert not huey.resume()


@pytest.mark.parametrize("what", ["unknown", 7, len])
def test_what_cannot_be_paused(huey, what):
    for verb in (huey.pause, huey.resume, huey.is_paused):
        with pytest.raises(UnknownTask):
            verb(what)
    assert huey.storage.paused() == frozenset()


# What a dispatcher notes


def test_each_long_attempt_is_noted_once():
    storage = MemoryHuey().storage
    storage.put([Message("a", "app.task", b"")], 0)
    (first,) = storage.claim(1, 1, now=0, lease=1)
    line, far_end = packet_pair()
    pool, board = Pool(None), Board(1)
    worker = Worker(1, 0, 100, line, far_end, board)
    pool.add(worker)
    notes = Notes(storage, board)
    assert notes.next_look(pool) is None
    worker.hand_out([first], 1_000)
    assert notes.next_look(pool) == 101_000
    notes.take(50_000, pool)
    assert noted(storage) == [(1, None, None)], "it may be over at once"
    notes.take(101_000, pool)
    assert noted(storage) == [(1, None, None)], "the worker has not begun"
    assert notes.next_look(pool) == 201_000, "and is not looked at without end"
    board.write(0, first.seq, 1, started=5)
    notes.take(201_000, pool)
    assert noted(storage) == [(1, 5, 100)]
    assert notes.next_look(pool) is None
    storage.settle([Settlement(first.key, BACK)], 0)
    (second,) = storage.claim(1, 1, now=0, lease=1)
    worker.in_hand.clear()
    worker.hand_out([second], 1_000_000)
    board.write(0, second.seq, 2, started=6)
    notes.take(notes.next_look(pool), pool)
    assert noted(storage) == [(2, 6, 100)]
    pool.remove(worker)


def noted(storage):
    return [(row.attempt, row.started, row.worker) for row in storage.running()]

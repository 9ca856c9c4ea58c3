"""The queue as an application sees it: enqueueing, taking tasks out by hand, immediate mode."""
# ruff: noqa: DTZ001 -- naive datetimes are a part of what is tested

import logging
import threading
from datetime import UTC, datetime, timedelta

import pytest

from liteq import (
    ConfigurationError,
    Error,
    Huey,
    MemoryHuey,
    Result,
    ResultGroup,
    SqliteHuey,
    StorageError,
    Task,
    TaskException,
    crontab,
)
from liteq.api import MemoryStorage
from liteq.clock import to_us
from liteq.exceptions import UnknownTask
from liteq.serializer import Serializer


def declare_add(huey):
    @huey.task()
    def add(a, b):
        return a + b

    return add


@pytest.fixture
def add(sqlite):
    return declare_add(sqlite)


def counts(huey):
    """How many tasks are ready, scheduled, taken out and dead."""
    return (huey.pending_count(), huey.scheduled_count(), huey.running_count(), len(huey.dead()))


def listen(huey):
    names = []
    huey.signals.connect(lambda signal, *_: names.append(signal))
    return names


# Making one


def test_the_defaults(filename):
    huey = SqliteHuey(filename=filename)
    assert huey.name == "huey"
    assert (huey.results, huey.store_none, huey.utc, huey.immediate) == (True, False, True, False)
    assert huey.store_intermediate_errors is True
    assert huey.immediate_use_memory is True
    assert isinstance(huey.serializer, Serializer)


def test_the_order_of_the_arguments_is_that_of_huey(filename):
    serializer = Serializer()
    huey = Huey(
        "q", False, True, False, False, serializer, False, False, False, None, False, filename=filename
    )
    assert (huey.name, huey.results, huey.store_none, huey.utc, huey.immediate) == (
        "q",
        False,
        True,
        False,
        False,
    )
    assert huey.serializer is serializer
    assert (huey.immediate_use_memory, huey.store_intermediate_errors) == (False, False)


@pytest.mark.parametrize("name", ["", None, 7, b"x"])
def test_a_name_is_a_text(name, filename):
    with pytest.raises(ConfigurationError, match="name"):
        SqliteHuey(name, filename=filename)


def test_compression(filename):
    huey = SqliteHuey(filename=filename, compression=True, use_zlib=True)
    assert huey.serializer.comp
    assert huey.serializer.use_zlib
    add = declare_add(huey)
    result = add("a", "b" * 10_000)
    assert len(huey.storage.pending()[0]) < 1000
    huey.execute(huey.dequeue())
    assert result() == "a" + "b" * 10_000
    huey.storage.close()


def test_a_storage_class(filename):
    made = []

    class Storage(MemoryStorage):
        def __init__(self, name, **options):
            made.append((name, options))
            super().__init__(name)

    Huey("q", storage_class=Storage, answer=42)
    assert made == [("q", {"answer": 42})]

    class Queue(Huey):
        storage_class = Storage

    Queue("r")
    assert made[1:] == [("r", {})]


@pytest.mark.parametrize("make", [SqliteHuey, MemoryHuey, Huey])
def test_an_unknown_option_is_refused(make):
    with pytest.raises(ConfigurationError, match="colour"):
        make(colour="red")


def test_a_queue_is_true_and_its_length_is_what_is_ready(sqlite, add):
    assert bool(sqlite)
    assert len(sqlite) == 0
    add(1, 2)
    add(3, 4)
    add.schedule((5, 6), delay=60)
    assert len(sqlite) == 2
    assert bool(sqlite)


# Enqueueing


def test_enqueue_returns_a_handle(sqlite, add):
    task = add.s(1, 2)
    result = sqlite.enqueue(task)
    assert isinstance(result, Result)
    assert result.id == task.id
    group = sqlite.enqueue(add.s(1, 2).then(add, 3))
    assert isinstance(group, ResultGroup)
    assert len(group) == 2


@pytest.mark.parametrize(
    "thing", [None, print, "add", 1, (1, 2), pytest.param(object(), id="an object")], ids=repr
)
def test_only_a_task_can_be_enqueued(sqlite, immediate, thing):
    for huey in (sqlite, immediate):
        with pytest.raises(TypeError, match="not a task"):
            huey.enqueue(thing)


def test_a_declared_task_is_not_a_call_of_it(sqlite, add):
    with pytest.raises(TypeError, match=r"\.s\(\)"):
        sqlite.enqueue(add)


def test_a_task_of_another_application_cannot_be_enqueued(sqlite):
    foreign = declare_add(MemoryHuey())
    with pytest.raises(UnknownTask):
        sqlite.enqueue(foreign.s(1, 2))
    with pytest.raises(UnknownTask):
        sqlite.enqueue(Task())
    assert counts(sqlite) == (0, 0, 0, 0)


def test_an_argument_that_cannot_be_serialized_raises_in_the_caller(sqlite, add):
    names = listen(sqlite)
    for call in (
        lambda: add(1, (x for x in ())),
        lambda: add.schedule((1, threading.Lock()), delay=60),
        lambda: add.map([(1, 2), (3, threading.Lock())]),
        lambda: sqlite.enqueue(add.s(1, 2).then(add, threading.Lock())),
        lambda: sqlite.enqueue(add.s(1, 2).error(add, threading.Lock())),
        lambda: sqlite.enqueue_many([add.s(1, 2), add.s(1, threading.Lock())]),
    ):
        with pytest.raises(TypeError, match="pickle"):
            call()
    assert counts(sqlite) == (0, 0, 0, 0)
    assert names == []
    add(1, 2)
    assert counts(sqlite) == (1, 0, 0, 0)


@pytest.mark.parametrize("priority", [2**63, -(2**63)])
def test_a_priority_that_the_file_cannot_hold_stores_nothing(sqlite, add, priority):
    with pytest.raises((ValueError, OverflowError, StorageError)):
        add(1, 2, priority=priority)
    assert counts(sqlite) == (0, 0, 0, 0)
    add(1, 2)
    assert counts(sqlite) == (1, 0, 0, 0)


def test_a_delay_beyond_the_end_of_time_stores_nothing(sqlite, add):
    for delay in (1e30, 10**400):
        with pytest.raises((ValueError, OverflowError)):
            add.schedule((1, 2), delay=delay)
    assert counts(sqlite) == (0, 0, 0, 0)


def test_enqueue_many_is_all_or_nothing(sqlite, add):
    results = sqlite.enqueue_many([add.s(1, 2), add.s(3, 4)])
    assert [result.id for result in results] == [task.id for task in sqlite.pending()]
    with pytest.raises(TypeError):
        sqlite.enqueue_many([add.s(1, 2), "no"])
    assert len(sqlite) == 2
    assert sqlite.enqueue_many([]) == []


def test_without_results_enqueueing_returns_none(filename):
    huey = SqliteHuey(filename=filename, results=False)
    add = declare_add(huey)
    assert add(1, 2) is None
    assert huey.enqueue(add.s(1, 2).then(add, 3)) is None
    assert huey.enqueue_many([add.s(1, 2)]) == [None]
    assert len(huey) == 3
    huey.storage.close()


def test_the_signals_of_enqueueing(sqlite, add):
    names = listen(sqlite)
    add(1, 2)
    assert names == ["enqueued"]
    add.schedule((1, 2), delay=60)
    assert names == ["enqueued", "enqueued", "scheduled"]


def test_a_task_is_stored_when_its_signal_is_sent(sqlite, add):
    seen = []
    sqlite.signal("enqueued")(lambda *_: seen.append(sqlite.pending_count()))
    add(1, 2)
    assert seen == [1]


def test_a_receiver_that_raises_does_not_undo_the_call(sqlite, add):
    @sqlite.signal("enqueued")
    def broken(*_):
        raise RuntimeError("no")

    add(1, 2)
    assert len(sqlite) == 1


def test_several_queues_share_a_file(sqlite, add, filename):
    neighbour = SqliteHuey("neighbour", filename=filename)
    other = declare_add(neighbour)
    add(1, 2)
    result = other(3, 4)
    assert (len(sqlite), len(neighbour)) == (1, 1)
    neighbour.execute(neighbour.dequeue())
    assert result() == 7
    sqlite.flush()
    other(1, 2)
    assert (len(sqlite), len(neighbour)) == (0, 1)
    neighbour.storage.close()


# Bytes


def test_a_task_to_bytes_and_back(sqlite, add):
    task = add.s(1, b=2, priority=3)
    data = sqlite.serialize_task(task)
    assert isinstance(data, bytes)
    back = sqlite.deserialize_task(data)
    assert back == task
    assert back.data == ((1,), {"b": 2})
    assert back.priority == 3


def test_the_message_of_a_task(sqlite, add, clock):
    task = add.s(1, 2, priority=3, id="a").then(add.s(3, id="b")).then(add.s(4, id="c"))
    message = sqlite.message_of(task)
    assert (message.id, message.name, message.priority) == ("a", f"{__name__}.add", 3)
    assert message.due is None
    assert message.chain == ("b", "c")
    assert sqlite.message_of(add.s(1, 2)).priority == 0
    assert sqlite.message_of(add.s(1, 2, delay=60)).due == clock.now + 60_000_000


# Taking out by hand


def test_the_order_of_work(sqlite, add):
    for number, priority in enumerate([None, 5, 0, 5, -1, 10]):
        add(number, 0, priority=priority)
    taken = [sqlite.dequeue().args[0] for _ in range(6)]
    assert taken == [5, 1, 3, 0, 2, 4]
    assert sqlite.dequeue() is None


def test_priorities_are_those_of_the_task_unless_the_call_has_its_own(sqlite):
    @sqlite.task(priority=10)
    def send(to):
        return to

    send("user")
    send("boss", priority=90)
    send.schedule(("later",), delay=0, priority=50)
    assert [sqlite.dequeue().args[0] for _ in range(3)] == ["boss", "later", "user"]


def test_what_is_taken_out_is_nobody_elses_until_it_is_executed(sqlite, add):
    result = add(1, 2)
    task = sqlite.dequeue()
    assert task.id == result.id
    assert counts(sqlite) == (0, 0, 1, 0)
    assert sqlite.dequeue() is None
    assert sqlite.execute(task) == 3
    assert counts(sqlite) == (0, 0, 0, 0)
    assert result() == 3


def test_executing_a_task_that_was_never_enqueued(sqlite, add):
    task = add.s(1, 2)
    assert sqlite.execute(task) == 3
    assert sqlite.result(task.id) == 3
    assert counts(sqlite) == (0, 0, 0, 0)


def test_executing_returns_the_value_even_if_it_is_not_stored(filename):
    huey = SqliteHuey(filename=filename, results=False)
    add = declare_add(huey)
    add(1, 2)
    assert huey.execute(huey.dequeue()) == 3
    huey.storage.close()


def test_executing_a_failure_returns_none_and_logs(sqlite, add, caplog):
    result = add(1, None)
    with caplog.at_level(logging.ERROR, "huey"):
        assert sqlite.execute(sqlite.dequeue()) is None
    assert "TypeError" in caplog.text
    with pytest.raises(TaskException, match="TypeError"):
        result()


def test_a_task_that_was_revoked_after_it_was_taken_out_does_not_run(sqlite, add):
    result = add(1, 2)
    task = sqlite.dequeue()
    result.revoke()
    names = listen(sqlite)
    assert sqlite.execute(task) is None
    assert names == ["revoked"]
    assert result() is None
    assert not result.is_revoked()


def test_a_task_whose_time_has_not_come_goes_to_the_schedule(sqlite, add, clock):
    names = listen(sqlite)
    task = add.s(1, 2, delay=60)
    assert sqlite.execute(task) is None
    assert names == ["scheduled"]
    assert counts(sqlite) == (0, 1, 0, 0)
    clock.advance(60)
    assert sqlite.execute(sqlite.dequeue()) == 3


def test_a_task_that_was_taken_out_and_has_still_to_wait_is_there_once(sqlite, add, clock):
    """With a timestamp of the caller's own, a task can be taken out and yet be too early."""
    add.schedule((1, 2), delay=60)
    clock.advance(60)
    task = sqlite.dequeue()
    early = task.eta - timedelta(seconds=1)
    assert sqlite.execute(task, early) is None
    assert counts(sqlite) in {(0, 1, 0, 0), (1, 0, 0, 0)}
    assert sqlite.execute(sqlite.dequeue()) == 3
    assert counts(sqlite) == (0, 0, 0, 0)


def test_the_timestamp_decides_about_the_time(sqlite, add):
    late = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=2)
    assert sqlite.execute(add.s(1, 2, delay=3600), late) == 3
    expired = add.s(1, 2, expires=60)
    sqlite.message_of(expired)
    names = listen(sqlite)
    assert sqlite.execute(expired, late) is None
    assert names == ["expired"]


def test_a_message_that_cannot_be_decoded_is_kept_with_the_reason(sqlite, add):
    add(1, 2)
    good = sqlite.task(name="good")(lambda: 1)
    good()
    add.unregister()
    with pytest.raises(UnknownTask, match="add"):
        sqlite.dequeue()
    assert counts(sqlite) == (1, 0, 0, 1)
    (dead,) = sqlite.dead()
    assert dead.name == f"{__name__}.add"
    assert "add" in dead.reason
    assert sqlite.execute(sqlite.dequeue()) == 1


def test_a_dead_task_can_be_revived_once_the_code_is_there(sqlite, add):
    result = add(1, 2)
    add.unregister()
    with pytest.raises(UnknownTask):
        sqlite.dequeue()
    sqlite.registry.register(add.task_class)
    assert sqlite.revive("nobody") == 0
    assert sqlite.revive(result.id) == 1
    assert sqlite.execute(sqlite.dequeue()) == 3
    assert result() == 3


def test_whoever_waits_for_a_message_that_cannot_be_decoded_is_told(sqlite, add):
    result = add(1, 2)
    add.unregister()
    with pytest.raises(UnknownTask):
        sqlite.dequeue()
    assert isinstance(result.get_raw_result(blocking=True, timeout=1), Error)


def test_flush(sqlite, add):
    add(1, 2)
    add(1, 2)
    add.schedule((1, 2), delay=60)
    add.revoke()
    sqlite.put("key", 1)
    sqlite.dequeue()
    sqlite.flush()
    assert counts(sqlite) == (0, 0, 0, 0)
    assert sqlite.result_count() == 0
    assert not add.is_revoked()
    assert add(1, 2).id
    assert sqlite.execute(sqlite.dequeue()) == 3


def test_a_task_that_was_flushed_while_it_ran_has_no_effect(sqlite, add, caplog):
    result = add(1, 2)
    task = sqlite.dequeue()
    sqlite.flush()
    assert sqlite.execute(task) == 3
    assert result() is None
    assert "another" in caplog.text


def test_ready_to_run(sqlite, add):
    now = datetime.now(UTC).replace(tzinfo=None)
    assert sqlite.ready_to_run(add.s(1, 2))
    assert not sqlite.ready_to_run(add.s(1, 2, delay=60))
    assert sqlite.ready_to_run(add.s(1, 2, delay=60), now + timedelta(hours=1))
    assert not sqlite.ready_to_run(add.s(1, 2, delay=60), now)
    task = add.s(1, 2, delay=60)
    assert sqlite.ready_to_run(task, task.eta)
    assert not sqlite.ready_to_run(task, task.eta - timedelta(microseconds=1))


def test_add_schedule(sqlite, add, clock):
    names = listen(sqlite)
    assert sqlite.add_schedule(add.s(1, 2, delay=60)) is None
    assert counts(sqlite) == (0, 1, 0, 0)
    assert names == ["scheduled"]


def test_read_schedule_takes_out_what_is_due(sqlite, add, clock):
    first = add.schedule((1, 2), delay=10)
    second = add.schedule((3, 4), delay=20)
    add.schedule((5, 6), delay=30)
    assert sqlite.read_schedule() == []
    clock.advance(20)
    assert [task.id for task in sqlite.read_schedule()] == [first.id, second.id]
    assert sqlite.read_schedule() == []
    assert counts(sqlite) == (0, 1, 0, 0)


def test_read_schedule_at_a_time(sqlite, add):
    add.schedule((1, 2), eta=datetime(2099, 1, 1, tzinfo=UTC))
    assert sqlite.read_schedule(datetime(2098, 12, 31)) == []
    (task,) = sqlite.read_schedule(datetime(2099, 1, 1))
    assert task.eta == datetime(2099, 1, 1)
    assert sqlite.enqueue(task).id == task.id
    assert counts(sqlite) == (0, 1, 0, 0)


def test_read_schedule_loses_nothing_for_a_message_that_cannot_be_decoded(sqlite, add, clock):
    unknown = add.schedule((1, 2), delay=10)
    known = sqlite.task(name="other")(max).schedule((1, 2), delay=20)
    add.unregister()
    clock.advance(30)
    with pytest.raises(UnknownTask, match="add"):
        sqlite.read_schedule()
    assert counts(sqlite) == (0, 2, 0, 0)
    sqlite.registry.register(add.task_class)
    assert [task.id for task in sqlite.read_schedule()] == [unknown.id, known.id]


def test_an_unknown_task_that_is_not_due_does_not_hold_up_those_that_are(sqlite, add, clock):
    add.schedule((1, 2), delay=1000)
    known = sqlite.task(name="other")(max).schedule((1, 2), delay=20)
    add.unregister()
    clock.advance(30)
    assert [task.id for task in sqlite.read_schedule()] == [known.id]
    assert sqlite.scheduled_count() == 1


def test_read_periodic(sqlite):
    @sqlite.periodic_task(crontab(minute="*/15"))
    def quarterly():
        pass

    @sqlite.periodic_task(crontab(minute="0"))
    def hourly():
        pass

    declare_add(sqlite)

    def due(minute):
        return [task.name for task in sqlite.read_periodic(datetime(2026, 1, 1, 10, minute))]

    assert due(0) == ["quarterly", "hourly"]
    assert due(15) == ["quarterly"]
    assert due(1) == []
    assert isinstance(sqlite.read_periodic(None), list)


def test_the_error_that_is_stored(sqlite, add):
    task = add.s(1, 2, retries=3)
    try:
        raise ValueError("no")
    except ValueError as error:
        stored = sqlite.build_error_result(task, error)
    assert set(stored) == {"error", "retries", "traceback", "task_id"}
    assert stored["error"] == "ValueError('no')"
    assert (stored["retries"], stored["task_id"]) == (3, task.id)
    assert stored["traceback"].startswith("Traceback (most recent call last)")


# Local times


def test_a_queue_of_local_times(filename, clock, monkeypatch):
    huey = SqliteHuey(filename=filename, utc=False)
    add = declare_add(huey)
    result = add.schedule((1, 2), delay=60)
    assert to_us(huey.scheduled()[0].eta, utc=False) == clock.now + 60_000_000
    assert huey.dequeue() is None
    clock.advance(60)
    assert huey.execute(huey.dequeue()) == 3
    assert result() == 3
    add(1, 2, expires=10)
    clock.advance(11)
    assert huey.execute(huey.dequeue()) is None
    huey.storage.close()


def test_naive_and_aware_times_mixed(sqlite, add, clock):
    aware = datetime.fromtimestamp(clock.now / 1e6, UTC) + timedelta(seconds=30)
    local = datetime.fromtimestamp(clock.now / 1e6) + timedelta(seconds=30)  # noqa: DTZ006 -- that is the point
    one = add.schedule((1, 2), eta=aware, expires=local + timedelta(hours=1))
    two = add.schedule((3, 4), eta=local, expires=aware + timedelta(hours=1))
    add.revoke(revoke_until=aware)
    assert add.is_revoked()
    assert add.is_revoked(aware - timedelta(seconds=1))
    assert not add.is_revoked(aware)
    clock.advance(30)
    for _ in range(2):
        sqlite.execute(sqlite.dequeue())
    assert (one(), two()) == (3, 7)


def test_a_task_with_an_aware_eta_of_its_own_making(sqlite, add, clock):
    eta = datetime.fromtimestamp(clock.now / 1e6, UTC) + timedelta(seconds=30)
    sqlite.enqueue(add.task_class((1, 2), eta=eta))
    assert counts(sqlite) == (0, 1, 0, 0)
    assert sqlite.scheduled()[0].eta == eta.replace(tzinfo=None)


# Immediate mode


def test_immediate_mode_runs_a_call_at_once(immediate):
    add = declare_add(immediate)
    assert immediate.immediate
    assert add(1, 2)() == 3
    assert add.s(1, 2).args == (1, 2)
    assert immediate.enqueue(add.s(3, 4)).get(blocking=True) == 7
    assert len(immediate) == 0


def test_immediate_mode_logs_exceptions_and_does_not_raise_them(immediate, caplog):
    add = declare_add(immediate)
    with caplog.at_level(logging.ERROR, "huey"):
        result = add(1, None)
    assert "TypeError" in caplog.text
    with pytest.raises(TaskException):
        result.get()
    with pytest.raises(TypeError):
        add.call_local(1, None)


def test_immediate_mode_schedules_what_is_for_later_and_leaves_it(immediate, clock):
    add = declare_add(immediate)
    names = listen(immediate)
    result = add.schedule((4, 5), delay=60)
    assert result() is None
    assert names == ["enqueued", "scheduled"]
    assert [task.id for task in immediate.scheduled()] == [result.id]
    clock.advance(61)
    add(1, 2)
    assert immediate.scheduled_count() == 1
    (task,) = immediate.read_schedule()
    assert immediate.execute(task) == 9
    assert result() == 9


def test_immediate_mode_and_revocations(immediate):
    add = declare_add(immediate)
    add.revoke(revoke_once=True)
    assert add(2, 3)() is None
    assert add(3, 4)() == 7
    add.revoke()
    assert add(1, 2)() is None
    assert add(1, 2)() is None
    add.restore()
    assert add(1, 2)() == 3
    later = add.schedule((1, 2), delay=60)
    later.revoke()
    assert later.is_revoked()


def test_immediate_mode_runs_pipelines_and_retries(immediate):
    add = declare_add(immediate)
    assert immediate.enqueue(add.s(1, 2).then(add, 3).then(add, 4))() == [3, 6, 10]
    calls = []

    @immediate.task(retries=2)
    def flaky():
        calls.append(1)
        if len(calls) < 3:
            raise ValueError("no")
        return "OK"

    assert flaky()() == "OK"
    assert len(calls) == 3


def test_immediate_mode_does_not_run_one_retry_inside_the_other(immediate, caplog):
    caplog.set_level(logging.CRITICAL, "huey")
    calls = []

    @immediate.task(retries=1100)
    def flaky():
        calls.append(1)
        if len(calls) <= 1100:
            raise ValueError("no")
        return "OK"

    assert flaky()() == "OK"


def test_immediate_mode_puts_a_retry_that_waits_on_the_schedule(immediate):
    @immediate.task(retries=1, retry_delay=60)
    def fail():
        raise ValueError("no")

    result = fail()
    assert isinstance(result.get_raw_result(), Error)
    (task,) = immediate.scheduled()
    assert (task.id, task.retries) == (result.id, 0)


def test_immediate_mode_keeps_to_memory(filename):
    huey = SqliteHuey(filename=filename, immediate=True)
    add = declare_add(huey)
    assert add(1, 2)() == 3
    assert not filename.exists()


def test_immediate_mode_may_use_the_real_storage(filename):
    huey = SqliteHuey(filename=filename, immediate=True, immediate_use_memory=False)
    add = declare_add(huey)
    result = add(1, 2)
    assert filename.exists()
    assert SqliteHuey(filename=filename).result(result.id) == 3
    assert add.schedule((1, 2), delay=60)() is None
    assert huey.scheduled_count() == 1
    huey.storage.close()


def test_immediate_mode_is_switched_at_any_time(sqlite, add, filename):
    waiting = add(1, 2)
    assert len(sqlite) == 1
    sqlite.immediate = True
    assert sqlite.immediate is True
    assert len(sqlite) == 0
    assert add(3, 4)() == 7
    later = add.schedule((3, 4), delay=60)
    assert sqlite.scheduled_count() == 1
    sqlite.immediate = False
    assert (len(sqlite), sqlite.scheduled_count()) == (1, 0)
    assert sqlite.execute(sqlite.dequeue()) == 3
    assert waiting() == 3
    assert later() is None
    sqlite.immediate = True
    assert sqlite.scheduled_count() == 0  # the memory of the first time is gone


def test_switching_to_the_mode_that_it_is_in_changes_nothing(immediate, sqlite, add):
    declare_add(immediate).schedule((1, 2), delay=60)
    immediate.immediate = True
    assert immediate.scheduled_count() == 1
    storage = sqlite.storage
    sqlite.immediate = False
    assert sqlite.storage is storage


def test_with_the_real_storage_a_switch_keeps_it(filename):
    huey = SqliteHuey(filename=filename, immediate_use_memory=False)
    add = declare_add(huey)
    add(1, 2)
    huey.immediate = True
    assert len(huey) == 1
    assert add(3, 4)() == 7
    huey.immediate = False
    assert huey.execute(huey.dequeue()) == 3
    huey.storage.close()


def test_a_task_taken_out_before_a_switch_is_not_anothers(sqlite, add):
    add(1, 2)
    task = sqlite.dequeue()
    sqlite.immediate = True
    sqlite.immediate = False
    assert sqlite.dequeue() is None
    assert sqlite.execute(task) == 3
    assert counts(sqlite) == (0, 0, 0, 0)


def test_immediate_mode_without_results(caplog):
    huey = MemoryHuey(immediate=True, results=False)
    add = declare_add(huey)
    assert add(1, 2) is None
    assert huey.result_count() == 0


def test_immediate_mode_from_several_threads(immediate):
    add = declare_add(immediate)
    results = {}

    def call(number):
        for i in range(50):
            results[number, i] = add(number, i)()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(value == sum(key) for key, value in results.items())
    assert len(results) == 200


def test_a_task_that_runs_in_immediate_mode_may_call_others(immediate):
    add = declare_add(immediate)

    @immediate.task()
    def parent():
        return add(1, 2).get(blocking=True) + 1

    assert parent()() == 4


def test_memory_without_immediate_mode():
    huey = MemoryHuey()
    add = declare_add(huey)
    result = add(1, 2)
    assert result() is None
    assert huey.execute(huey.dequeue()) == 3
    assert result() == 3

"""Values of an application's own, revocations, and what the queue holds; on a file and in memory."""
# ruff: noqa: DTZ001 -- naive datetimes are a part of what is tested

from datetime import UTC, datetime, timedelta

import pytest

from liteq import EmptyData, MemoryHuey, SqliteHuey, Task, crontab
from liteq.clock import naive_now
from liteq.exceptions import UnknownTask

from .running import PATIENCE, Background


@pytest.fixture(params=["sqlite", "memory"])
def huey(request, filename):
    huey = SqliteHuey(filename=filename, durability="off") if request.param == "sqlite" else MemoryHuey()
    yield huey
    huey.storage.close()


@pytest.fixture
def add(huey):
    @huey.task()
    def add(a=0, b=0):
        return a + b

    return add


# Values


def test_put_and_get(huey):
    huey.put("k", {"a": [1, None]})
    assert huey.get("k", peek=True) == {"a": [1, None]}
    assert huey.get("k") == {"a": [1, None]}
    assert huey.get("k") is None


def test_get_of_nothing(huey):
    assert huey.get("k") is None
    assert huey.get("k", peek=True) is None
    assert huey.get_raw("k") is EmptyData
    assert huey.get_raw("k", peek=True) is EmptyData


def test_a_stored_none_is_something(huey):
    huey.put("k", None)
    assert huey.get_raw("k", peek=True) is not EmptyData
    assert huey.get("k") is None
    assert huey.get_raw("k") is EmptyData


def test_put_replaces(huey):
    huey.put("k", 1)
    huey.put_result("k", 2)
    assert huey.get("k") == 2


def test_reading_the_raw_value_takes_it_out_unless_it_peeks(huey):
    huey.put("k", 1)
    data = huey.get_raw("k", peek=True)
    assert huey.get_raw("k") == data
    assert huey.get_raw("k") is EmptyData


def test_raw_is_what_the_serializer_made(huey):
    huey.put("k", 1)
    assert huey.serializer.deserialize(huey.get_raw("k", peek=True)) == 1
    assert huey.all_results() == {"k": huey.get_raw("k")}


def test_delete(huey):
    huey.put("k", 1)
    assert huey.delete("k") is True
    assert huey.delete("k") is False
    assert huey.get("k") is None


def test_put_if_empty(huey):
    assert huey.put_if_empty("k", 1) is True
    assert huey.put_if_empty("k", 2) is False
    assert huey.get("k") == 1
    assert huey.put_if_empty("k", 3) is True


def test_put_if_empty_for_a_time(huey, clock):
    assert huey.put_if_empty("k", 1, ttl=10) is True
    clock.advance(9.999)
    assert huey.put_if_empty("k", 2, ttl=10) is False
    assert huey.get("k", peek=True) == 1
    clock.advance(0.001)
    assert huey.get("k", peek=True) is None
    assert huey.result_count() == 0
    assert huey.all_results() == {}
    assert huey.put_if_empty("k", 2, ttl=0.5) is True
    assert huey.get("k") == 2


def test_an_expired_value_cannot_be_taken_or_deleted(huey, clock):
    for name in ("a", "b"):
        huey.put_if_empty(name, 1, ttl=10)
    clock.advance(10)
    assert huey.get("a") is None
    assert huey.delete("b") is False


def test_put_over_one_that_was_for_a_time_stays(huey, clock):
    huey.put_if_empty("k", 1, ttl=10)
    huey.put("k", 2)
    clock.advance(100)
    assert huey.get("k") == 2


@pytest.mark.parametrize("ttl", [-1, "10", float("nan")])
def test_a_ttl_is_a_duration(huey, ttl):
    with pytest.raises(ValueError, match="ttl"):
        huey.put_if_empty("k", 1, ttl)
    assert huey.result_count() == 0


def test_only_one_of_many_puts_if_empty(huey):
    calls = [Background(huey.put_if_empty, "k", number) for number in range(8)]
    assert sum(call.result() for call in calls) == 1


def test_only_one_of_many_takes_a_value(huey):
    huey.put("k", 1)
    calls = [Background(huey.get, "k") for _ in range(8)]
    assert sorted(call.result() or 0 for call in calls) == [0] * 7 + [1]


def test_values_that_cannot_be_serialized_leave_what_was_there(huey):
    huey.put("k", 1)
    with pytest.raises(TypeError, match="pickle"):
        huey.put("k", (x for x in ()))
    assert huey.get("k") == 1


def test_the_number_of_results(huey):
    for number in range(3):
        huey.put(str(number), number)
    assert huey.result_count() == 3
    assert sorted(huey.all_results()) == ["0", "1", "2"]


def test_a_large_value(huey):
    value = b"x" * 5_000_000
    huey.put("k", value)
    assert huey.get("k") == value


# Revocations


def test_revoke_and_restore_a_task(huey, add):
    task = add.s()
    assert not huey.is_revoked(task)
    huey.revoke(task)
    assert huey.is_revoked(task)
    assert huey.is_revoked(task.id)
    assert not huey.is_revoked(add)
    assert not huey.is_revoked(add.s())
    assert huey.restore(task) is True
    assert huey.restore(task) is False
    assert not huey.is_revoked(task)


def test_revoke_by_id(huey, add):
    result = add()
    huey.revoke_by_id(result.id)
    assert result.is_revoked()
    assert huey.is_revoked(result)
    assert huey.restore_by_id(result.id) is True
    assert huey.restore_by_id(result.id) is False
    assert not result.is_revoked()


def test_a_result_can_be_revoked_like_its_task(huey, add):
    result = add()
    huey.revoke(result)
    assert huey.is_revoked(result.id)
    assert huey.restore(result)


def test_revoke_all(huey, add):
    other = huey.task(name="other")(max)
    huey.revoke_all(add)
    for thing in (add, add.task_class, add.s(), add()):
        assert huey.is_revoked(thing)
    assert add.is_revoked()
    assert not other.is_revoked()
    assert huey.restore_all(add.task_class) is True
    assert huey.restore_all(add) is False
    assert not add.is_revoked()


def test_revoking_a_kind_is_not_for_once_by_default(huey, add):
    add.revoke()
    assert huey.is_revoked(add, peek=False)
    assert huey.is_revoked(add, peek=False)
    assert add.restore() is True
    assert add.restore() is False


def test_a_revocation_for_once_is_used_up_by_a_look_that_does_not_peek(huey, add):
    add.revoke(revoke_once=True)
    assert add.is_revoked()
    assert add.is_revoked()
    assert add.is_revoked(peek=False)
    assert not add.is_revoked()


@pytest.mark.parametrize("form", ["local", "aware"])
def test_a_revocation_until_a_time(huey, add, clock, form):
    until = naive_now(utc=False) + timedelta(hours=3)
    if form == "aware":
        until = until.astimezone(UTC)
    add.revoke(revoke_until=until)
    assert add.is_revoked()
    clock.advance(3 * 3600 - 1)
    assert add.is_revoked()
    clock.advance(1)
    assert not add.is_revoked()
    assert add.restore() is True  # nobody has removed it yet


def test_a_revocation_that_has_ended_is_removed_by_a_look_that_does_not_peek(huey, add, clock):
    add.revoke(revoke_until=naive_now(utc=False) + timedelta(seconds=1))
    clock.advance(2)
    assert not add.is_revoked(peek=False)
    assert add.restore() is False


@pytest.mark.parametrize("utc", [True, False])
def test_until_a_time_of_the_place_where_one_is(filename, new_york, clock, utc):
    huey = SqliteHuey(filename=filename, utc=utc)
    add = huey.task(name="add")(max)
    add.revoke(revoke_until=naive_now(utc=False) + timedelta(seconds=10))
    clock.advance(9)
    assert add.is_revoked()
    assert add.is_revoked(naive_now(utc))
    clock.advance(1)
    assert not add.is_revoked()
    assert not add.is_revoked(naive_now(utc))
    huey.storage.close()


def test_by_default_a_revocation_of_one_task_stays_and_a_look_peeks(huey, add):
    task, other = add.s(), add.s()
    huey.revoke(task)
    huey.revoke_by_id(other.id)
    huey.revoke_all(add)
    for one in (task, other, add):
        assert huey.is_revoked(one, peek=False)
        assert huey.is_revoked(one, peek=False)
    huey.revoke(task, revoke_once=True)
    huey.restore_all(add)
    assert huey.is_revoked(task)
    assert huey.is_revoked(task)
    assert huey.is_revoked(task, None, False)
    assert not huey.is_revoked(task)


def test_is_revoked_at_a_time(huey, add, clock):
    add.revoke(revoke_until=naive_now(utc=False) + timedelta(seconds=10))
    assert add.is_revoked(naive_now() + timedelta(seconds=9))
    assert not add.is_revoked(naive_now() + timedelta(seconds=10))


def test_both_once_and_until_holds_until_it_is_used(huey, add, clock):
    add.revoke(revoke_until=naive_now(utc=False) + timedelta(seconds=10), revoke_once=True)
    clock.advance(20)
    assert add.is_revoked(peek=False)
    assert not add.is_revoked()


def test_a_later_revocation_replaces_the_earlier(huey, add):
    add.revoke()
    add.revoke(revoke_once=True)
    assert add.is_revoked(peek=False)
    assert not add.is_revoked()


@pytest.mark.parametrize("thing", [print, 7, object, dict])
def test_what_is_no_task_cannot_be_revoked(huey, thing):
    with pytest.raises(UnknownTask, match="not a declared task"):
        huey.revoke_all(thing)
    with pytest.raises(UnknownTask):
        huey.restore_all(thing)
    with pytest.raises(UnknownTask):
        huey.is_revoked(thing)


@pytest.mark.parametrize("until", [60, "tomorrow"])
def test_until_is_a_datetime(huey, add, until):
    with pytest.raises(ValueError, match="datetime"):
        add.revoke(revoke_until=until)
    assert not add.is_revoked()


def test_periodic_tasks_can_be_revoked(huey):
    tick = huey.periodic_task(crontab(), name="tick")(max)
    tick.revoke(revoke_once=True)
    assert tick.is_revoked()
    tick.restore()
    assert not tick.is_revoked()


def test_a_plain_task_is_known_by_its_id_alone(huey):
    huey.revoke_by_id("x")
    assert huey.is_revoked(Task(id="x"))


# Contents


def test_pending_in_the_order_of_work(huey, add):
    ids = [add(priority=priority).id for priority in (0, 5, None)]
    assert [task.id for task in huey.pending()] == [ids[1], ids[0], ids[2]]
    assert [task.id for task in huey.pending(1)] == [ids[1]]
    assert huey.pending(0) == []
    assert huey.pending_count() == 3


def test_scheduled_in_the_order_of_time(huey, add):
    ids = [add(delay=delay).id for delay in (30, 10, 20)]
    assert [task.id for task in huey.scheduled()] == [ids[1], ids[2], ids[0]]
    assert [task.id for task in huey.scheduled(2)] == [ids[1], ids[2]]
    assert huey.scheduled_count() == 3
    assert huey.pending_count() == 0


def test_looking_takes_nothing_out(huey, add):
    add()
    add(delay=60)
    for _ in range(2):
        assert (len(huey.pending()), len(huey.scheduled())) == (1, 1)


def test_what_cannot_be_decoded_is_left_out_of_the_lists(huey, add, caplog):
    other = huey.task(name="other")(max)
    for task in (add, other):
        task()
        task(delay=60)
    add.unregister()
    assert [task.name for task in huey.pending()] == ["other"]
    assert [task.name for task in huey.scheduled()] == ["other"]
    assert "add" in caplog.text
    assert (huey.pending_count(), huey.scheduled_count()) == (2, 2)


def test_the_dead(huey, add):
    result = add()
    add.unregister()
    with pytest.raises(UnknownTask):
        huey.dequeue()
    (dead,) = huey.dead()
    assert dead.id == result.id
    assert dead.attempts == 1
    assert huey.dead(0) == []
    huey.registry.register(add.task_class)
    assert huey.revive(result.id) == 1
    assert huey.dead() == []
    assert [task.id for task in huey.pending()] == [result.id]


def test_running(huey, add):
    add()
    assert huey.running_count() == 0
    task = huey.dequeue()
    assert huey.running_count() == 1
    huey.execute(task)
    assert huey.running_count() == 0


def test_flush_ends_the_waits(huey, add):
    waiting = Background(add().get, True)
    huey.flush()
    assert waiting.result(PATIENCE) is None


def test_dates_before_the_epoch_and_after_our_time(huey, add):
    add.revoke(revoke_until=datetime(1960, 1, 1))
    assert not add.is_revoked()
    add.revoke(revoke_until=datetime(9000, 1, 1))
    assert add.is_revoked()


def test_a_result_of_a_task_that_has_ended_leaves_no_revocation(huey, add):
    """Nothing would ever remove it: with one for each call, the file would grow without end."""
    result = add(1, 2)
    huey.execute(huey.dequeue())
    result.revoke()
    assert not result.is_revoked()
    assert huey.storage.revocations([result.revoke_id]) == {}

"""The beat of periodic tasks: each slot once, at its start, whatever happens to clocks and consumers."""

import logging

import pytest

from liteq import MemoryHuey, SqliteHuey, crontab
from liteq.clock import DAY, MINUTE, SECOND, from_us
from liteq.workers.beat import Beat

START = 30_000_000 * MINUTE
"""The start of some slot, which is also that of an hour."""


@pytest.fixture(params=["sqlite", "memory"])
def huey(request, filename):
    huey = SqliteHuey(filename=filename, durability="off") if request.param == "sqlite" else MemoryHuey()
    yield huey
    huey.storage.close()


@pytest.fixture
def tick(huey):
    """A task that is due in every minute, and the moments that it was asked about."""
    asked = []

    @huey.periodic_task(lambda moment: asked.append(moment) or True, priority=3)
    def tick():
        pass

    tick.asked = asked
    return tick


def started(huey, now=START, *, enabled=True):
    beat = Beat(huey, enabled)
    beat.start(now)
    return beat


def fire(beat, huey, now):
    """Fire as the dispatcher does that the bell has woken; how many tasks there were."""
    beat.storage_changed()
    with huey.storage.batch():
        messages = beat.fire(now)
    beat.fired(now)
    return len(messages)


def known(huey, now=START - MINUTE):
    """A consumer ran before, so that the tasks are no strangers."""
    started(huey, now)


def test_a_slot_fires_at_its_start(huey, tick):
    beat = started(huey, START - 1)
    fire(beat, huey, START - 1)
    assert beat.next_due() == START
    assert not beat.is_due(START - 1)
    assert fire(beat, huey, START - 1) == 0
    assert beat.is_due(START)
    assert fire(beat, huey, START) == 1
    assert [task.name for task in huey.pending()] == ["tick"]
    assert huey.pending()[0].priority == 3
    assert beat.next_due() == START + MINUTE


def test_a_slot_fires_once(huey, tick):
    known(huey)
    beat = started(huey)
    assert [fire(beat, huey, START + second * SECOND) for second in range(60)] == [1] + [0] * 59
    assert fire(beat, huey, START + MINUTE) == 1
    assert len(huey) == 2


def test_the_task_is_asked_about_the_start_of_the_slot(huey, tick):
    known(huey)
    beat = started(huey)
    fire(beat, huey, START + 17 * SECOND)
    assert tick.asked == [from_us(START)]
    assert tick.asked[0].second == 0


def test_in_a_queue_of_local_times_it_is_asked_in_local_time(filename):
    huey = SqliteHuey(filename=filename, utc=False)
    asked = []
    huey.periodic_task(asked.append, name="tick")(max)
    known(huey)
    fire(started(huey), huey, START)
    assert asked == [from_us(START, utc=False)]
    huey.storage.close()


def test_only_those_that_are_due(huey):
    huey.periodic_task(crontab(minute="0"), name="hourly")(max)
    huey.periodic_task(crontab(minute="*/2"), name="even")(max)
    known(huey)
    beat = started(huey)
    names = []
    for minute in range(4):
        before = len(huey)
        fire(beat, huey, START + minute * MINUTE)
        names.append([task.name for task in huey.pending()][before:])
    assert names == [["hourly", "even"], [], ["even"], []]


def test_without_periodic_tasks_there_is_nothing_to_wait_for(huey):
    huey.task()(max)
    beat = started(huey)
    assert beat.next_due() is None
    assert not beat.is_due(START + MINUTE)
    assert fire(beat, huey, START + MINUTE) == 0


def test_switched_off(huey, tick):
    beat = started(huey, enabled=False)
    assert beat.next_due() is None
    assert fire(beat, huey, START + MINUTE) == 0
    assert tick.asked == []


def test_before_it_was_started(huey, tick):
    beat = Beat(huey, enabled=True)
    assert beat.next_due() is None
    assert fire(beat, huey, START) == 0


# Restarts and neighbours


def test_a_task_that_was_never_seen_before_has_missed_nothing(huey, tick):
    beat = started(huey, START + 30 * SECOND)
    assert fire(beat, huey, START + 30 * SECOND) == 0
    assert fire(beat, huey, START + MINUTE) == 1


def test_a_restart_inside_a_slot_does_not_repeat_it(huey, tick):
    known(huey)
    assert fire(started(huey), huey, START) == 1
    assert fire(started(huey, START + 30 * SECOND), huey, START + 30 * SECOND) == 0
    assert fire(started(huey, START + MINUTE), huey, START + MINUTE) == 1


def test_a_slot_in_which_no_consumer_was_there_at_its_start_fires_late(huey, tick):
    known(huey)
    assert fire(started(huey, START + 30 * SECOND), huey, START + 30 * SECOND) == 1


def test_several_consumers_fire_a_slot_once(huey, tick):
    known(huey)
    beats = [started(huey) for _ in range(3)]
    assert sorted(fire(beat, huey, START) for beat in beats) == [0, 0, 1]
    assert sorted(fire(beat, huey, START + MINUTE) for beat in reversed(beats)) == [0, 0, 1]
    assert len(huey) == 2


def test_tasks_of_one_slot_are_fired_by_whoever_comes_first_each_for_itself(huey, tick):
    known(huey)
    assert fire(started(huey), huey, START) == 1
    huey.periodic_task(crontab(), name="new")(max)
    beat = started(huey, START + SECOND)
    assert fire(beat, huey, START + SECOND) == 0
    assert fire(beat, huey, START + MINUTE) == 2


def test_what_was_not_committed_is_fired_again(filename):
    huey = SqliteHuey(filename=filename)
    huey.periodic_task(crontab(), name="tick")(max)
    known(huey)
    beat = started(huey)

    class Crash(Exception):
        pass

    def crash():
        with huey.storage.batch():
            assert len(beat.fire(START)) == 1
            raise Crash

    with pytest.raises(Crash):
        crash()
    assert len(huey) == 0
    assert beat.next_due() == START
    assert fire(beat, huey, START + SECOND) == 1
    assert len(huey) == 1
    huey.storage.close()


# Clocks


def test_after_a_long_sleep_the_present_slot_fires_once(huey, tick):
    known(huey)
    beat = started(huey)
    fire(beat, huey, START)
    assert fire(beat, huey, START + 10 * MINUTE + 5 * SECOND) == 1
    assert beat.next_due() == START + 11 * MINUTE
    assert tick.asked[-1] == from_us(START + 10 * MINUTE)


def test_a_clock_that_is_set_back_a_little_repeats_nothing(huey, tick):
    known(huey)
    beat = started(huey)
    fire(beat, huey, START)
    for back in (SECOND, 30 * SECOND, MINUTE, 5 * MINUTE):
        assert fire(beat, huey, START - back) == 0
    assert fire(beat, huey, START + 10 * SECOND) == 0
    assert fire(beat, huey, START + MINUTE) == 1


def test_a_clock_that_is_set_back_does_not_stop_the_beat(huey, tick):
    known(huey)
    beat = started(huey)
    fire(beat, huey, START)
    fire(beat, huey, START - 5 * MINUTE)
    assert beat.next_due() == START + MINUTE
    fire(beat, huey, START - 5 * DAY)
    assert beat.next_due() == START - 5 * DAY + MINUTE
    assert fire(beat, huey, START - 5 * DAY + MINUTE) == 1


# Tasks that raise


def test_a_task_that_cannot_say_whether_it_is_due_holds_up_no_other(huey, tick, caplog):
    huey.periodic_task(lambda moment: 1 // 0, name="broken")(max)
    known(huey)
    with caplog.at_level(logging.ERROR, "huey"):
        assert fire(started(huey), huey, START) == 1
    assert "broken" in caplog.text
    assert "ZeroDivisionError" in caplog.text

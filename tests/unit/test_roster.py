"""What the beat sees to: schedules of seconds, missed slots, entries of the timetable, and their changes."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from liteq import MemoryHuey, PeriodicTask, Schedule, SqliteHuey, crontab, every
from liteq.clock import DAY, MINUTE, SECOND, from_us
from liteq.entries import Entry
from liteq.schedules.missed import MOST, Missed

from .test_beat import START, fire, started


@pytest.fixture(params=["sqlite", "memory"])
def huey(request, filename):
    huey = SqliteHuey(filename=filename, durability="off") if request.param == "sqlite" else MemoryHuey()
    yield huey
    huey.storage.close()


@pytest.fixture
def report(huey):
    return huey.task(name="report")(lambda *args: None)


def slots(huey):
    """The slots of what is enqueued, in seconds from the start; what is enqueued is taken out."""
    found = []
    while (task := huey.dequeue()) is not None:
        found.append((task.slot - from_us(START)).total_seconds())
    return found


def at(seconds):
    return START + round(seconds * SECOND)


def store(huey, task, schedule, since=START, missed="skip", **columns):
    """Add an entry as of a time of the test's choice."""
    key = huey.registry.task_to_string(task.task_class)
    entry = Entry(columns.pop("name", "a"), key, schedule, since=since, missed=Missed.of(missed), **columns)
    assert huey.storage.replace_entry(entry.name, huey.storage.entry(entry.name), entry.to_text())
    return entry


# Schedules of seconds


def test_the_beat_sleeps_until_the_very_slot(huey):
    huey.periodic_task(every(seconds=7), name="tick")(max)
    huey.periodic_task(crontab(minute=30, hour=14), name="daily")(max)
    beat = started(huey, START)
    first = (START // (7 * SECOND) + 1) * 7 * SECOND
    assert beat.next_due() == first
    assert not beat.is_due(first - 1)
    assert fire(beat, huey, first - 1) == 0
    assert fire(beat, huey, first) == 1
    assert beat.next_due() == first + 7 * SECOND


def test_a_crontab_alone_wakes_nobody_in_between(huey):
    huey.periodic_task(crontab(minute=0), name="hourly")(max)
    beat = started(huey, START)
    assert beat.next_due() == START + 60 * MINUTE


def test_a_schedule_without_an_end_of_its_own(huey):
    huey.periodic_task(crontab(day=30, month=2), name="never")(max)
    beat = started(huey, START)
    assert beat.next_due() is None
    assert not beat.is_due(START + 1000 * DAY)


def test_each_slot_of_an_interval_fires_once_between_consumers(huey):
    huey.periodic_task(every(seconds=1), name="tick")(max)
    beats = [started(huey, START) for _ in range(3)]
    for second in range(1, 11):
        assert sorted(fire(beat, huey, at(second)) for beat in beats) == [0, 0, 1]
    assert slots(huey) == list(range(1, 11))


def test_the_task_knows_its_slot(huey):
    huey.periodic_task(every(seconds=5), name="tick")(max)
    beat = started(huey, START)
    fire(beat, huey, at(7.5))
    task = huey.dequeue()
    assert task.slot == from_us(at(5))
    assert huey.deserialize_task(huey.serialize_task(task)).slot == task.slot


def test_slots_are_in_local_time_where_the_queue_is(filename):
    huey = SqliteHuey(filename=filename, utc=False)
    huey.periodic_task(every(seconds=5), name="tick")(max)
    fire(started(huey, START), huey, at(5))
    assert huey.dequeue().slot == from_us(at(5), utc=False)
    huey.storage.close()


def test_a_retry_is_for_the_same_slot(huey):
    attempts = []

    @huey.periodic_task(every(seconds=5), context=True, retries=2)
    def failing(task):
        attempts.append(task.slot)
        raise ValueError

    fire(started(huey, START), huey, at(5))
    while (task := huey.dequeue()) is not None:
        huey.execute(task)
    assert attempts == [from_us(at(5))] * 3


def test_results_of_what_a_schedule_enqueued_are_not_stored(huey):
    value = huey.task(name="value")(lambda: 42)
    failing = huey.task(name="failing", retries=1)(lambda: 1 / 0)
    periodic = huey.periodic_task(every(seconds=1), name="tick")(lambda: 42)
    store(huey, value, every(seconds=1))
    store(huey, failing, every(seconds=1), name="b")
    assert fire(started(huey), huey, at(1)) == 3
    periodic()
    while (task := huey.dequeue()) is not None:
        try:
            huey.execute(task)
        except ZeroDivisionError:
            pytest.fail("it was stored, and not raised")
    assert huey.result_count() == 0
    huey.execute(value.s())
    assert huey.result_count() == 1


def test_a_class_without_a_schedule_is_asked(huey):
    class Odd(PeriodicTask):
        def validate_datetime(self, timestamp):
            return timestamp.minute % 2 == 1

    huey.registry.register(Odd)
    beat = started(huey, START)
    assert [fire(beat, huey, START + minute * MINUTE) for minute in range(1, 5)] == [1, 0, 1, 0]


# Missed slots


def resumed(huey, away, **options):
    """The slots that fire after a pause of so many seconds after the first slot."""
    huey.periodic_task(every(seconds=10), name="tick", **options)(max)
    beat = started(huey, START)
    fire(beat, huey, at(10))
    assert slots(huey) == [10]
    beat = started(huey, at(10 + away))
    fire(beat, huey, at(10 + away))
    return slots(huey)


def test_by_default_what_was_missed_is_left_out(huey):
    assert resumed(huey, 3600 + 3) == [3610]


def test_skip_runs_no_slot_that_is_late_by_a_minute(huey, caplog):
    huey.periodic_task(crontab(minute=0), name="hourly")(max)
    started(huey, START + MINUTE)
    with caplog.at_level(logging.WARNING, "huey"):
        assert fire(started(huey, START + 61 * MINUTE), huey, START + 61 * MINUTE) == 0
    assert "hourly" in caplog.text
    assert "were missed" in caplog.text
    assert fire(started(huey, START + 120 * MINUTE), huey, START + 121 * MINUTE - 1) == 1


def test_once_runs_the_latest(huey):
    assert resumed(huey, 3600 + 3, missed="once") == [3610]


def test_once_runs_it_however_late(huey):
    huey.periodic_task(crontab(minute=0), name="hourly", missed="once")(max)
    started(huey, START + MINUTE)
    beat = started(huey, START + 30 * 60 * MINUTE + 45 * MINUTE)
    assert fire(beat, huey, START + 30 * 60 * MINUTE + 45 * MINUTE) == 1
    assert slots(huey) == [30 * 3600]
    assert beat.next_due() == START + 31 * 60 * MINUTE


def test_all_runs_each(huey):
    assert resumed(huey, 63, missed="all") == [20, 30, 40, 50, 60, 70]


def test_all_has_a_bound(huey):
    late = 10 * MOST + 100
    assert resumed(huey, late, missed="all") == list(range(late + 10 - 10 * (MOST - 1), late + 11, 10))


@pytest.mark.parametrize("missed", ["once", "all"])
def test_what_ran_late_does_not_run_again(huey, missed):
    huey.periodic_task(every(seconds=10), name="tick", missed=missed)(max)
    fire(started(huey, START), huey, at(10))
    beats = [started(huey, at(100)) for _ in range(2)]
    assert fire(beats[0], huey, at(100)) == {"once": 1, "all": 9}[missed]
    assert fire(beats[1], huey, at(100)) == 0
    assert fire(started(huey, at(105)), huey, at(105)) == 0


def test_a_machine_that_slept_is_like_one_that_was_off(huey):
    huey.periodic_task(every(hours=1), name="skipped")(max)
    huey.periodic_task(every(hours=1), name="one", missed="once")(max)
    huey.periodic_task(every(hours=1), name="each", missed="all")(max)
    beat = started(huey, START)
    assert fire(beat, huey, at(10 * 3600 + 120)) == 11
    assert [task.name for task in huey.pending()].count("each") == 10


def test_a_function_is_asked_about_the_last_day_at_most(huey):
    asked = []
    huey.periodic_task(asked.append, name="tick", missed="once")(max)
    started(huey, START)
    assert fire(started(huey, START + 30 * DAY), huey, START + 30 * DAY) == 0
    assert min(asked) > from_us(START + 29 * DAY)
    assert len(set(asked)) == DAY // MINUTE


# The timetable


def test_an_entry_fires_with_its_arguments_and_options(huey, report):
    store(huey, report, every(seconds=5), args=("x", 1), kwargs={"y": [2]}, options={"priority": 3})
    beat = started(huey)
    assert fire(beat, huey, at(5)) == 1
    task = huey.dequeue()
    assert (task.args, task.kwargs, task.priority) == (("x", 1), {"y": [2]}, 3)
    assert task.slot == from_us(at(5))


def test_an_entry_that_is_added_is_noticed_in_the_next_batch(huey, report):
    beat = started(huey)
    assert beat.next_due() is None
    assert not beat.is_stale(START)
    store(huey, report, every(seconds=5), since=at(2))
    beat.storage_changed()
    assert beat.is_stale(at(3))
    assert fire(beat, huey, at(3)) == 0
    assert not beat.is_stale(at(3))
    assert beat.next_due() == at(5)


def test_a_change_that_nobody_told_of_is_noticed_within_a_second(huey, report):
    beat = started(huey)
    store(huey, report, every(seconds=5))
    assert not beat.is_stale(at(0.9))
    assert beat.is_stale(at(1))
    fire(beat, huey, at(1))
    assert beat.next_due() == at(5)


def test_a_removal_that_nobody_told_of_is_noticed_before_it_would_fire(huey, report):
    store(huey, report, every(seconds=0.5))
    beat = started(huey)
    huey.schedules.remove("a")
    assert fire(beat, huey, at(0.5)) == 0


def test_an_entry_whose_slot_has_come_fires_in_the_batch_that_notices_it(huey, report):
    beat = started(huey)
    store(huey, report, every(seconds=5), since=at(2))
    assert fire(beat, huey, at(5)) == 1


def test_an_entry_that_is_removed_does_not_fire_any_more(huey, report):
    store(huey, report, every(seconds=5))
    store(huey, report, every(seconds=7), name="b")
    beat = started(huey)
    huey.schedules.remove("a")
    assert fire(beat, huey, at(5)) == 0
    assert beat.next_due() > at(5)
    huey.schedules.remove("b")
    fire(beat, huey, at(6))
    assert beat.next_due() is None


def test_an_entry_that_is_changed_goes_by_what_it_is_now(huey, report):
    store(huey, report, every(seconds=5), args=(1,))
    beat = started(huey)
    fire(beat, huey, at(5))
    store(huey, report, every(seconds=3), since=at(6), args=(2,))
    assert fire(beat, huey, at(6)) == 0
    assert beat.next_due() == at(9)
    assert fire(beat, huey, at(9)) == 1
    assert [task.args for task in huey.pending()] == [(1,), (2,)]
    assert fire(beat, huey, at(10)) == 0


def test_other_entries_go_on_when_one_is_changed(huey, report):
    store(huey, report, every(seconds=5), missed="all")
    store(huey, report, every(seconds=5), name="b")
    beat = started(huey)
    fire(beat, huey, at(5))
    store(huey, report, every(seconds=5), since=at(7), name="b")
    assert [fire(beat, huey, at(second)) for second in (8, 10, 12)] == [0, 2, 0]


def test_a_paused_entry(huey, report):
    store(huey, report, every(seconds=5), paused=True, missed="all")
    beat = started(huey)
    assert fire(beat, huey, at(5)) == 0
    assert beat.next_due() is None
    store(huey, report, every(seconds=5), since=at(12), missed="all")
    assert fire(beat, huey, at(13)) == 0
    assert fire(beat, huey, at(15)) == 1
    assert slots(huey) == [15]


def test_slots_from_before_an_entry_was_added_were_not_missed(huey, report):
    store(huey, report, every(seconds=5), since=at(8), missed="all")
    assert fire(started(huey, at(16)), huey, at(16)) == 2
    assert slots(huey) == [10, 15]


def test_an_entry_that_was_removed_and_added_again_has_missed_nothing(huey, report):
    store(huey, report, every(seconds=5), missed="all")
    beat = started(huey)
    fire(beat, huey, at(5))
    huey.schedules.remove("a")
    store(huey, report, every(seconds=5), since=at(51), missed="all")
    assert fire(started(huey, at(55)), huey, at(55)) == 1
    assert slots(huey) == [5, 55]


def test_entries_fire_once_between_consumers_and_across_restarts(huey, report):
    store(huey, report, every(seconds=5))
    beats = [started(huey) for _ in range(3)]
    assert sorted(fire(beat, huey, at(5)) for beat in beats) == [0, 0, 1]
    assert fire(started(huey, at(6)), huey, at(6)) == 0


def test_an_entry_of_an_unknown_task_disturbs_nobody(huey, report, caplog):
    store(huey, report, every(seconds=5))
    store(huey, report, every(seconds=5), name="b")
    report.unregister()
    other = huey.task(name="other")(max)
    store(huey, other, every(seconds=5), name="c")
    with caplog.at_level(logging.WARNING, "huey"):
        beat = started(huey)
        assert fire(beat, huey, at(5)) == 1
        fire(beat, huey, at(6))
    assert [record.args[0] for record in caplog.records] == ["a", "b"]
    assert set(huey.storage.entries()) == {"a", "b", "c"}
    huey.registry.register(report.task_class)
    assert fire(beat, huey, at(10)) == 3


def test_an_entry_that_cannot_be_read_disturbs_nobody(huey, report, caplog):
    store(huey, report, every(seconds=5), name="z")
    for name, text in {"a": "", "b": "{}", "c": "null"}.items():
        huey.storage.replace_entry(name, None, text)
    with caplog.at_level(logging.WARNING, "huey"):
        assert fire(started(huey), huey, at(5)) == 1
    assert caplog.text.count("is kept, and does not run") == 3


def test_a_call_that_cannot_be_enqueued_disturbs_nobody(huey, report, caplog):
    class Picky:
        def __init__(self, serialize):
            self.serialize = serialize

        def __call__(self, data):
            if data[2] == ("bad",):
                raise TypeError("not this one")
            return self.serialize(data)

    store(huey, report, every(seconds=5), args=("bad",))
    store(huey, report, every(seconds=5), name="b", args=("good",))
    huey.serializer.serialize = Picky(huey.serializer.serialize)
    with caplog.at_level(logging.ERROR, "huey"):
        beat = started(huey)
        assert fire(beat, huey, at(5)) == 1
    assert "can't be enqueued" in caplog.text
    assert beat.next_due() == at(10)


def test_switched_off_there_are_no_entries_either(huey, report):
    store(huey, report, every(seconds=5))
    beat = started(huey, enabled=False)
    assert beat.next_due() is None
    assert not beat.is_stale(at(5))
    assert fire(beat, huey, at(5)) == 0


def test_revoked_tasks_of_entries_are_enqueued_and_do_not_run(huey, report):
    store(huey, report, every(seconds=5))
    beat = started(huey)
    report.revoke(revoke_once=True)
    fire(beat, huey, at(5))
    fire(beat, huey, at(10))
    revoked = []
    huey.signal("revoked")(lambda signal, task: revoked.append(task.slot))
    while (task := huey.dequeue()) is not None:
        huey.execute(task)
    assert revoked == [from_us(at(5))]


# Declarations at run time


def test_a_task_that_is_declared_later_is_noticed(huey):
    beat = started(huey)
    huey.periodic_task(every(seconds=5), name="late")(max)
    assert beat.is_stale(START)
    fire(beat, huey, at(1))
    assert beat.next_due() == at(5)
    assert fire(beat, huey, at(5)) == 1


def test_one_that_is_taken_back_is_noticed(huey):
    late = huey.periodic_task(every(seconds=5), name="late")(max)
    beat = started(huey)
    late.unregister()
    assert fire(beat, huey, at(5)) == 0
    assert beat.next_due() is None


def test_the_others_go_on(huey, report):
    store(huey, report, every(seconds=5))
    huey.periodic_task(every(seconds=5), name="tick", missed="all")(max)
    beat = started(huey)
    fire(beat, huey, at(5))
    huey.periodic_task(every(seconds=5), name="late")(max)
    assert fire(beat, huey, at(9)) == 0
    assert fire(beat, huey, at(10)) == 3


# Trouble


class Moody(Schedule):
    """It raises when it is told to, or goes nowhere."""

    def __init__(self):
        self.mood = "fine"

    def next_after(self, moment, utc=True):
        if self.mood == "raise":
            raise RuntimeError("not today")
        return moment if self.mood == "stuck" else (moment // SECOND + 1) * SECOND


@pytest.mark.parametrize("mood", ["raise", "stuck"])
@pytest.mark.parametrize("when", ["at the start", "later"])
def test_a_schedule_that_raises_disturbs_nobody(huey, mood, when, caplog):
    moody = Moody()
    huey.periodic_task(moody, name="moody")(max)
    huey.periodic_task(every(seconds=5), name="tick")(max)
    moody.mood = mood if when == "at the start" else "fine"
    with caplog.at_level(logging.ERROR, "huey"):
        beat = started(huey)
        moody.mood = mood
        assert fire(beat, huey, at(5)) == 1
        assert fire(beat, huey, at(10)) == 1
        fire(beat, huey, at(11))
        assert beat.next_due() == at(15)
    assert len(caplog.records) in (1, 2)


@pytest.mark.parametrize("back", [1, 2 * SECOND, 30 * MINUTE, DAY - 10 * SECOND])
def test_a_clock_that_is_set_back_by_less_than_a_day_repeats_nothing(huey, report, back):
    store(huey, report, every(seconds=1))
    beat = started(huey)
    for second in range(1, 4):
        fire(beat, huey, at(second))
    for moment in range(at(3) - back, at(3), max(back // 5, 1)):
        assert fire(beat, huey, moment) == 0
    assert fire(beat, huey, at(3)) == 0
    assert fire(beat, huey, at(4)) == 1


def test_a_clock_that_was_wrong_by_more_than_a_day_stops_nothing(huey, report):
    store(huey, report, every(seconds=1))
    huey.periodic_task(every(seconds=1), name="tick")(max)
    beat = started(huey)
    assert fire(beat, huey, START + 400 * DAY) == 2
    assert beat.is_due(at(5))
    fire(beat, huey, at(5))
    assert beat.next_due() == at(6)
    assert fire(beat, huey, at(6)) == 2
    assert fire(started(huey, at(6)), huey, at(7)) == 2


def test_a_consumer_that_starts_after_a_clock_was_wrong(huey, report):
    store(huey, report, every(seconds=1), since=START + 300 * DAY)
    huey.periodic_task(every(seconds=1), name="tick")(max)
    fire(started(huey, START + 400 * DAY), huey, START + 400 * DAY + SECOND)
    huey.flush()
    assert fire(started(huey), huey, at(1)) == 2


class Crash(Exception):
    pass


def test_what_was_not_committed_fires_in_the_next_batch(filename):
    huey = SqliteHuey(filename=filename)
    report = huey.task(name="report")(lambda *args: None)
    store(huey, report, every(seconds=5), missed="all")
    huey.periodic_task(every(seconds=5), name="tick")(max)
    beat = started(huey)

    def crash():
        with huey.storage.batch():
            assert len(beat.fire(at(5))) == 2
            raise Crash

    for _ in range(2):
        with pytest.raises(Crash):
            crash()
        assert beat.is_due(at(5))
    huey.schedules.remove("a")
    assert fire(beat, huey, at(6)) == 1
    assert slots(huey) == [5]
    assert beat.next_due() == at(10)
    huey.storage.close()


def test_many_entries_are_cheap_while_nothing_is_due(huey, report):
    for number in range(300):
        store(huey, report, every(days=1 + number), name=str(number))
    beat = started(huey)
    asked = []
    version = huey.storage.timetable_version
    huey.storage.timetable_version = lambda: asked.append(version()) or asked[-1]
    huey.storage.entries = None
    for millisecond in range(10_000):
        assert not beat.is_due(at(millisecond / 1000))
        assert not beat.is_stale(at(millisecond / 1000))
    assert len(asked) <= 10


# As applications ask


def test_read_periodic_knows_every_kind_of_schedule():
    huey = MemoryHuey()
    huey.periodic_task(crontab(minute=0), name="hourly")(max)
    huey.periodic_task(crontab(minute=0, hour=14, tz="Europe/Berlin"), name="berlin")(max)
    huey.periodic_task(every(seconds=7), name="tick")(max)
    huey.periodic_task(every(hours=2), name="even")(max)
    huey.periodic_task(lambda moment: moment.hour == 12, name="noon")(max)

    def names(*fields):
        moment = datetime(2024, 7, 1, *fields, tzinfo=UTC).replace(tzinfo=None)
        return [task.name for task in huey.read_periodic(moment)]

    assert names(12, 0, 59) == ["hourly", "berlin", "tick", "even", "noon"]
    assert names(12, 1) == ["tick", "noon"]
    assert names(13) == ["hourly", "tick"]


def test_a_policy_that_there_is_not_is_refused_where_it_is_declared(huey):
    with pytest.raises(ValueError, match=r"^missed must be 'skip', 'once' or 'all', not 'none'$"):
        huey.periodic_task(crontab(), missed="none")


def test_what_is_neither_schedule_nor_function_is_refused(huey):
    with pytest.raises(
        TypeError, match=r"^validate_datetime must be crontab\(\), every\(\) or a function, not 60$"
    ):
        huey.periodic_task(60)

"""Which of the slots that nobody was there for are made up for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liteq.clock import DAY, MINUTE, SECOND
from liteq.schedules import Missed, Schedule, crontab, every
from liteq.schedules.missed import GRACE, MOST, to_run

START = 20_000 * DAY
SCHEDULES = st.sampled_from([
    every(seconds=1), every(seconds=17), every(minutes=7), every(days=3), crontab(), crontab("*/10", "3-5"),
    crontab(0, 3), crontab(0, 0, 1), crontab(0, 0, 30, 2),
])  # fmt: skip


def all_slots(schedule, after, now):
    slots = []
    while (after := schedule.next_after(after)) is not None and after <= now:
        slots.append(after)
    return slots


@settings(deadline=None, database=None)
@given(schedule=SCHEDULES, gap=st.integers(0, 3 * DAY // 10) | st.integers(0, 70 * SECOND), data=st.data())
def test_each_policy_takes_its_part_of_what_was_missed(schedule, gap, data):
    after = START + data.draw(st.integers(0, DAY))
    now = after + gap
    slots = all_slots(schedule, after, now)
    fresh = [slot for slot in slots if slot > now - GRACE]
    assert to_run(schedule, Missed.ALL, after, now) == slots[-MOST:]
    assert to_run(schedule, Missed.ONCE, after, now) == slots[-1:]
    assert to_run(schedule, Missed.SKIP, after, now) == fresh[-1:]


def test_what_is_late_by_a_minute_is_skipped():
    slot = START + DAY
    hourly = every(hours=1)
    assert to_run(hourly, Missed.SKIP, START, slot + MINUTE - 1) == [slot]
    assert to_run(hourly, Missed.SKIP, START, slot + MINUTE) == []
    assert to_run(hourly, Missed.ONCE, START, slot + MINUTE) == [slot]


def test_what_is_dealt_with_is_not_run_again():
    assert to_run(every(hours=1), Missed.SKIP, START, START + 1) == []
    assert to_run(every(hours=1), Missed.ALL, START, START + 1) == []
    assert to_run(every(hours=1), Missed.ALL, START + 1, START) == []


def test_years_are_not_counted_slot_by_slot():
    asked = []

    class Counted(Schedule):
        def next_after(self, moment, utc=True):
            asked.append(moment)
            return (moment // SECOND + 1) * SECOND

    now = START + 3650 * DAY
    assert to_run(Counted(), Missed.ONCE, START, now) == [now]
    assert to_run(Counted(), Missed.ALL, START, now) == list(
        range(now - (MOST - 1) * SECOND, now + 1, SECOND)
    )
    assert len(asked) < 10 * MOST


def test_slots_that_are_not_wanted_do_not_count():
    def third(slot):
        return slot % (3 * MINUTE) == 0

    now = START + DAY
    slots = [slot for slot in all_slots(every(minutes=1), START, now) if third(slot)]
    assert to_run(every(minutes=1), Missed.ALL, START, now, wanted=third) == slots
    assert to_run(every(minutes=1), Missed.ONCE, START, now, wanted=third) == slots[-1:]


def test_a_schedule_that_does_not_go_forward_is_refused():
    class Stuck(Schedule):
        def next_after(self, moment, utc=True):
            return min(moment + 1, START)

    with pytest.raises(ValueError, match="says that"):
        to_run(Stuck(), Missed.ALL, START - 10, START + 10)


@pytest.mark.parametrize("name", ["skip", "once", "all", Missed.ALL])
def test_policies_by_name(name):
    assert Missed.of(name).value == str(name)


@pytest.mark.parametrize("name", ["", "none", None, 1, "SKIP"])
def test_no_such_policy(name):
    with pytest.raises(ValueError, match=r"^missed must be 'skip', 'once' or 'all', not "):
        Missed.of(name)

"""The next slot of a schedule, against a reference that looks at a wall clock minute by minute."""

from __future__ import annotations

import functools
import pickle
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from liteq.clock import DAY, MINUTE, SECOND, from_us, to_us
from liteq.schedules import Schedule, crontab, every

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=1)
NEVER = crontab(day=30, month="feb")

# Clocks that change by an hour, by half of one, at midnight, a minute after it, in winter, and by a whole day.
ZONES = [
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "America/St_Johns",
    "Africa/Casablanca", "Africa/Cairo", "Europe/Dublin", "Antarctica/Troll", "Asia/Beirut", "Pacific/Apia",
    "America/Sao_Paulo", "UTC",
]  # fmt: skip


def naive(*fields):
    return datetime(*fields, tzinfo=UTC).replace(tzinfo=None)


def utc(*fields):
    """A moment, as microseconds."""
    return to_us(datetime(*fields, tzinfo=UTC))


def wall(tz, moment):
    return (EPOCH + timedelta(microseconds=moment)).astimezone(tz).replace(tzinfo=None, fold=0)


@functools.cache
def changes(name, first=2000, last=2037):
    """The days (as moments) within which a clock is changed."""
    tz = ZoneInfo(name)
    start, end = utc(first, 1, 1), utc(last, 1, 1)
    return [day for day in range(start, end, DAY) if wall(tz, day + DAY) - wall(tz, day) != timedelta(days=1)]


@functools.lru_cache(maxsize=2)
def walk(tz, start, end):
    """The moments of each minute, with what the clock shows."""
    return [(moment, wall(tz, moment)) for moment in range(start, end + 1, MINUTE)]


def reference(predicate, tz, start, end):
    """The slots later than `start` and not later than `end`.

    An expression of certain hours fires once for each wall time: at the first of two, and at the change for
    all that the change leaves out. An expression of every hour fires whenever it is true.
    """
    each_hour = len(predicate.hours) == 24
    slots, seen = set(), set()
    first = start // MINUTE * MINUTE - 2 * DAY
    before = wall(tz, first - MINUTE)
    for moment, shown in walk(tz, first, end):
        if not each_hour:
            left_out = before + STEP
            while left_out < shown:
                if predicate(left_out):
                    slots.add(moment)
                left_out += STEP
        if predicate(shown) and (each_hour or shown not in seen):
            slots.add(moment)
        seen.add(shown)
        before = shown
    return [slot for slot in sorted(slots) if start < slot <= end]


def between(schedule, start, end, **options):
    slots = []
    while (start := schedule.next_after(start, **options)) is not None and start <= end:
        slots.append(start)
    return slots


def field(first, last):
    number = st.integers(first, last)
    return st.one_of(
        st.just("*"),
        number,
        st.builds("{}-{}".format, number, number),
        st.builds("{},{}".format, number, number),
        st.builds("*/{}".format, st.integers(2, 12)),
    )


WEEKDAYS = st.sampled_from(["*", "*", "*", "0", "1-5", "sat,sun"])
DAYS = st.sampled_from(["*", "*", "*", "1-15", "16-31", "*/2"])


@settings(deadline=None, database=None, max_examples=100)
@given(data=st.data())
def test_crontab_around_a_change_of_the_clock(data):
    name = data.draw(st.sampled_from(ZONES))
    near = data.draw(st.sampled_from(changes(name) or [utc(2024, 3, 31)]))
    hours = data.draw(field(0, 4) | field(0, 23))
    schedule = crontab(data.draw(field(0, 59)), hours, data.draw(DAYS), "*", data.draw(WEEKDAYS), tz=name)
    start = near + data.draw(st.integers(-DAY, DAY))
    expected = reference(schedule, ZoneInfo(name), start, start + DAY + DAY // 2)
    assert between(schedule, start, start + DAY + DAY // 2) == expected


@pytest.mark.parametrize("name", ["Europe/Berlin", "Australia/Lord_Howe"])
def test_crontab_over_a_year(name):
    expressions = [
        {"minute": "30", "hour": "2"}, {"minute": "*/7", "hour": "0-3"}, {"minute": "15"},
        {"minute": "0", "hour": "12", "day_of_week": "mon"}, {"minute": "59", "hour": "23", "day": "28-31"},
    ]  # fmt: skip
    start = utc(2024, 2, 28, 3)
    for expression in expressions:
        schedule = crontab(**expression, tz=name)
        assert between(schedule, start, start + 380 * DAY) == reference(
            schedule, ZoneInfo(name), start, start + 380 * DAY
        )


@settings(deadline=None, database=None, max_examples=100)
@given(data=st.data(), start=st.integers(utc(1980, 1, 1), utc(2090, 1, 1)))
def test_crontab_in_utc(data, start):
    fields = [data.draw(field(*limits)) for limits in ((0, 59), (0, 23), (1, 31), (1, 12))]
    schedule = crontab(*fields, data.draw(WEEKDAYS))
    slot = schedule.next_after(start)
    assume(slot is not None)
    assert slot > start
    assert slot % MINUTE == 0
    assert schedule(from_us(slot))
    nearby = [slot, start + 10 * DAY]
    for moment in range((start // MINUTE + 1) * MINUTE, min(nearby), MINUTE):
        assert not schedule(from_us(moment))


@pytest.fixture
def local_time(monkeypatch):
    """Makes a zone this machine's."""

    def set_to(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_to
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/St_Johns"])
def test_without_a_zone_a_queue_of_local_times_goes_by_the_machine(name, local_time):
    local_time(name)
    for day in changes(name, 2023, 2026):
        for hours in ("*", "0-3"):
            slots = between(crontab("*/30", hours), day - DAY, day + 2 * DAY, utc=False)
            assert slots == between(crontab("*/30", hours, tz=name), day - DAY, day + 2 * DAY)


def test_without_a_zone_it_is_utc(local_time):
    local_time("Asia/Tokyo")
    assert from_us(crontab(0, 3).next_after(utc(2024, 1, 1))) == naive(2024, 1, 1, 3)


def berlin(*fields):
    """A moment that the documentation speaks of."""
    return to_us(datetime(*fields, tzinfo=ZoneInfo("Europe/Berlin")))


def test_a_time_that_never_comes_is_when_the_clock_is_set_past_it():
    schedule = crontab("*/20", "2", tz="Europe/Berlin")
    eve, day = berlin(2024, 3, 31), berlin(2024, 4, 1)
    assert between(schedule, eve, day) == [berlin(2024, 3, 31, 3)]


def test_a_time_that_comes_twice_fires_at_the_first():
    schedule = crontab("30", "2", tz="Europe/Berlin")
    eve, day = berlin(2024, 10, 27), berlin(2024, 10, 28)
    assert between(schedule, eve, day) == [utc(2024, 10, 27, 0, 30)]


@pytest.mark.parametrize(("day", "hours"), [((2024, 3, 31), 23), ((2024, 10, 27), 25)])
def test_what_is_due_in_every_hour_goes_on_as_time_does(day, hours):
    start = berlin(*day)
    slots = between(crontab("30", tz="Europe/Berlin"), start, start + hours * 60 * MINUTE)
    assert [slot - start for slot in slots] == [(60 * hour + 30) * MINUTE for hour in range(hours)]


# What a schedule is besides


@pytest.mark.parametrize(
    ("schedule", "after", "slot"),
    [
        (crontab(0, 0, 29, 2), (2023, 3, 1), (2024, 2, 29)),
        (crontab(0, 0, 29, 2), (2096, 3, 1), (2104, 2, 29)),
        (crontab(0, 0, 29, 2, "mon"), (2072, 3, 1), (2112, 2, 29)),
        (crontab(0, 0, 31), (2024, 1, 31), (2024, 3, 31)),
        (crontab(59, 23, 31, 12), (2024, 12, 31, 23, 58, 59, 999999), (2024, 12, 31, 23, 59)),
    ],
)
def test_rare_dates(schedule, after, slot):
    assert from_us(schedule.next_after(utc(*after))) == naive(*slot)


def test_a_date_that_never_comes():
    assert NEVER.next_after(utc(2024, 1, 1)) is None
    assert not NEVER.in_minute(utc(2024, 2, 29))


@pytest.mark.parametrize("tz", [None, "Europe/Berlin"])
def test_the_end_of_all_years(tz):
    assert crontab(0, 0, 1, 1, tz=tz).next_after(utc(9999, 6, 1)) is None
    assert crontab(tz=tz).next_after(utc(9999, 12, 31, 23, 59, 30)) is None


@pytest.mark.parametrize("tz", ["Europe/Berlin", ZoneInfo("Europe/Berlin")])
def test_a_zone_by_its_name_or_itself(tz):
    schedule = crontab(0, 3, tz=tz)
    assert schedule.tz == "Europe/Berlin"
    assert repr(schedule) == "crontab(minute='0', hour='3', tz='Europe/Berlin')"
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert schedule != crontab(0, 3)


@pytest.mark.parametrize(
    "tz", ["Mars/Phobos", "", "../etc/passwd", "/etc/passwd", "Europe", "a" * 1000, "\0"]
)
def test_no_such_zone(tz):
    with pytest.raises(ValueError, match="^tz: there is no time zone "):
        crontab(tz=tz)


@pytest.mark.parametrize("tz", [UTC, 1, b"Europe/Berlin"])
def test_not_a_zone(tz):
    with pytest.raises(TypeError, match="^tz must be a ZoneInfo or a name such as 'Europe/Berlin', not "):
        crontab(tz=tz)


def test_as_a_predicate_it_goes_by_its_own_clock():
    schedule = crontab(0, 3, tz="Europe/Berlin")
    assert schedule(naive(2024, 7, 1, 3))
    assert schedule(datetime(2024, 7, 1, 1, tzinfo=UTC))
    assert not schedule(datetime(2024, 7, 1, 3, tzinfo=UTC))


# Intervals


@pytest.mark.parametrize(
    ("schedule", "interval"),
    [
        (every(seconds=1), SECOND),
        (every(seconds=0.1), SECOND // 10),
        (every(timedelta(minutes=1.5)), 90 * SECOND),
        (every(minutes=1, seconds=30), 90 * SECOND),
        (every(hours=24), DAY),
        (every(days=7), 7 * DAY),
    ],
)
def test_intervals(schedule, interval):
    assert schedule.interval == interval
    assert eval(repr(schedule), {"every": every}) == schedule
    assert pickle.loads(pickle.dumps(schedule)) == schedule


@given(interval=st.integers(SECOND // 10, 380 * DAY), moment=st.integers(0, utc(2100, 1, 1)))
def test_slots_of_an_interval_are_its_multiples(interval, moment):
    schedule = every(timedelta(microseconds=interval))
    slot = schedule.next_after(moment)
    assert slot % interval == 0
    assert moment < slot <= moment + interval
    assert schedule.next_after(slot - 1) == slot
    assert schedule.next_after(slot) == slot + interval


@pytest.mark.parametrize(
    "parts",
    [
        {}, {"seconds": 0}, {"seconds": 0.09}, {"seconds": -1}, {"minutes": 1, "hours": -1}, {"days": 36526},
        {"days": 1e300}, {"seconds": float("nan")}, {"seconds": float("inf")}, {"interval": timedelta(0)},
    ],
)  # fmt: skip
def test_no_such_interval(parts):
    with pytest.raises(ValueError, match=r"^an interval is 0\.1 seconds at least and 100 years at most$"):
        every(**parts)


def test_an_interval_is_given_once():
    with pytest.raises(ValueError, match="^give the interval either "):
        every(timedelta(seconds=1), seconds=1)


@pytest.mark.parametrize("parts", [{"seconds": "1"}, {"minutes": None}, {"hours": True}, {"interval": 5}])
def test_not_an_interval(parts):
    with pytest.raises(TypeError):
        every(**parts)


def test_an_interval_as_a_predicate_says_whether_a_slot_starts_in_the_minute():
    assert every(seconds=1)(naive(2024, 1, 1, 12, 34, 56))
    assert every(hours=1)(naive(2024, 1, 1, 12, 0, 59))
    assert not every(hours=1)(naive(2024, 1, 1, 12, 1))
    assert every(hours=1)(datetime(2024, 1, 1, 12, tzinfo=ZoneInfo("Europe/Berlin")))


class Twice(Schedule):
    """A schedule of an application's own."""

    def next_after(self, moment, utc=True):
        return next((slot for slot in (100 * MINUTE, 200 * MINUTE + 1) if slot > moment), None)


def test_a_schedule_of_ones_own():
    assert between(Twice(), 0, DAY) == [100 * MINUTE, 200 * MINUTE + 1]
    assert Twice().in_minute(200 * MINUTE + 59 * SECOND)
    assert not Twice().in_minute(201 * MINUTE)

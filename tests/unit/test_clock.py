"""Points in time and durations, whatever the time zone of the machine."""
# ruff: noqa: DTZ001 -- naive datetimes are a part of what is tested

import math
import time
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liteq import clock
from liteq.clock import SECOND, from_us, naive_now, normalize_time, seconds_of, to_us

KOLKATA = timezone(timedelta(hours=5, minutes=30))
NOON = datetime(2026, 7, 1, 12, 0, 0, 123456)


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"])
def zone(request, monkeypatch):
    """The machine stands in some time zone."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


def test_now_is_the_wall_clock_in_microseconds():
    before = time.time()
    now = clock.now()
    after = time.time()
    assert isinstance(now, int)
    assert before - 0.001 <= now / SECOND <= after + 0.001


def test_monotonic_counts_microseconds_and_never_goes_back():
    first, second = clock.monotonic(), clock.monotonic()
    assert isinstance(first, int)
    assert first <= second <= time.monotonic() * SECOND + 1
    assert time.monotonic() * SECOND - first < SECOND


def test_the_units():
    assert (clock.SECOND, clock.MINUTE) == (1_000_000, 60_000_000)


def test_utc_is_the_default(new_york, monkeypatch):
    assert from_us(0) == datetime(1970, 1, 1)
    assert to_us(datetime(1970, 1, 1)) == 0
    monkeypatch.setattr(clock, "now", lambda: 0)
    assert naive_now() == datetime(1970, 1, 1)
    assert normalize_time(delay=1) == datetime(1970, 1, 1, 0, 0, 1)


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(9000, 1, 1)))
def test_naive_utc_goes_there_and_back_without_loss(moment):
    assert from_us(to_us(moment)) == moment


def test_the_epoch_is_zero():
    assert to_us(datetime(1970, 1, 1)) == 0
    assert from_us(0) == datetime(1970, 1, 1)
    assert to_us(datetime(1970, 1, 1, 0, 0, 0, 1)) == 1
    assert to_us(datetime(1969, 12, 31, 23, 59, 59, 999_999)) == -1


def test_an_aware_datetime_means_what_it_says_in_every_zone_and_mode(zone):
    aware = NOON.replace(tzinfo=KOLKATA)
    utc = datetime(2026, 7, 1, 6, 30, 0, 123456)
    assert to_us(aware) == to_us(aware, utc=False) == to_us(utc)
    assert normalize_time(eta=aware, utc=True) == utc
    assert normalize_time(eta=aware, utc=False) == utc.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)


def test_a_naive_eta_is_local_time(zone):
    assert normalize_time(eta=NOON, utc=True) == NOON.astimezone(UTC).replace(tzinfo=None)
    assert normalize_time(eta=NOON, utc=False) == NOON


def test_local_times_go_there_and_back(zone):
    assert from_us(to_us(NOON, utc=False), utc=False) == NOON


def test_an_hour_that_comes_twice_is_told_apart_by_fold(new_york):
    early = datetime(2026, 11, 1, 1, 30)  # clocks go back from 2:00 to 1:00
    late = early.replace(fold=1)
    assert to_us(late, utc=False) - to_us(early, utc=False) == 3600 * SECOND
    assert normalize_time(eta=early) == datetime(2026, 11, 1, 5, 30)
    assert normalize_time(eta=late) == datetime(2026, 11, 1, 6, 30)


def test_naive_now_follows_the_mode(zone):
    now = clock.now()
    assert abs(to_us(naive_now(utc=True), utc=True) - now) < 10 * SECOND
    assert abs(to_us(naive_now(utc=False), utc=False) - now) < 10 * SECOND
    assert naive_now().tzinfo is None


def test_naive_now_reads_the_one_clock(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: to_us(NOON))
    assert naive_now() == NOON


@pytest.mark.parametrize("delay", [90, 90.0, timedelta(seconds=90)])
def test_a_delay_counts_from_now(monkeypatch, delay):
    monkeypatch.setattr(clock, "now", lambda: to_us(NOON))
    assert normalize_time(delay=delay) == NOON + timedelta(seconds=90)


def test_a_delay_keeps_its_fraction(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: to_us(NOON))
    assert normalize_time(delay=0.0015) == NOON + timedelta(microseconds=1500)


@pytest.mark.parametrize("arguments", [{}, {"eta": NOON, "delay": 1}], ids=["neither", "both"])
def test_just_one_of_eta_and_delay_is_given(arguments):
    with pytest.raises(ValueError, match=r"eta= .*delay="):
        normalize_time(**arguments)


@pytest.mark.parametrize("eta", [1, 1.5, "12:00", date(2026, 7, 1), timedelta(1)])
def test_an_eta_is_a_datetime(eta):
    with pytest.raises(ValueError, match="eta must be a datetime"):
        normalize_time(eta=eta)


@pytest.mark.parametrize("delay", ["1", b"1", None, [1], True, NOON])
def test_a_duration_is_a_number_or_a_timedelta(delay):
    with pytest.raises(ValueError, match="delay must be seconds"):
        seconds_of(delay)


@pytest.mark.parametrize("delay", [-1, -0.001, timedelta(seconds=-1), math.inf, -math.inf, math.nan])
def test_a_duration_is_finite_and_not_negative(delay):
    with pytest.raises(ValueError, match="wait must be a finite number"):
        seconds_of(delay, "wait")


@pytest.mark.parametrize(("duration", "seconds"), [(0, 0), (2, 2), (0.5, 0.5), (timedelta(minutes=1), 60)])
def test_the_seconds_of_a_duration(duration, seconds):
    assert seconds_of(duration) == seconds

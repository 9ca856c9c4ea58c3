"""The delays between the attempts at a task."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liteq.retry import Retry, next_retry


def delays(retry_delay, backoff, retries):
    """The delays of so many retries in a row."""
    for _ in range(retries):
        delay, retry_delay = next_retry(retry_delay, backoff)
        yield delay


def test_without_a_delay_retries_follow_at_once():
    assert list(delays(0, 0, 3)) == [0, 0, 0]
    assert list(delays(0, 2, 3)) == [0, 0, 0]


def test_without_a_backoff_the_delay_stays():
    assert list(delays(10, 0, 4)) == [10, 10, 10, 10]


@given(st.integers(1, 1000), st.integers(1, 5), st.integers(1, 10))
def test_the_delay_before_retry_n(retry_delay, backoff, retries):
    expected = [retry_delay * backoff ** (n - 1) for n in range(1, retries + 1)]
    assert list(delays(retry_delay, backoff, retries)) == expected


def test_a_fractional_backoff():
    assert list(delays(1, 1.5, 3)) == pytest.approx([1, 1.5, 2.25])


def test_a_backoff_below_one_shortens_the_delays():
    assert list(delays(8, 0.5, 4)) == [8, 4, 2, 1]


def test_an_explicit_delay_does_not_advance_the_series():
    assert next_retry(10, 2, explicit=99) == Retry(99, 10)
    assert next_retry(10, 2, explicit=0) == Retry(0, 10)


def test_an_explicit_time_that_has_passed_is_now():
    assert next_retry(10, 2, explicit=-5) == Retry(0, 10)


def test_a_bound():
    delays = []
    delay = 1.0
    for _ in range(6):
        wait, delay = next_retry(delay, 2, longest=10)
        delays.append(wait)
    assert delays == [1, 2, 4, 8, 10, 10]
    assert next_retry(60, 0, longest=10) == Retry(10, 60)
    assert next_retry(1, 2, explicit=99, longest=10, jitter=1, draw=1) == Retry(99, 1)


def test_there_is_always_a_bound():
    delay = 1.0
    for _ in range(3000):
        wait, delay = next_retry(delay, 1e9)
    assert timedelta(days=36_000) < timedelta(seconds=wait) < timedelta(days=37_000)


@given(st.floats(0, 1000), st.floats(0, 1), st.floats(0, 1))
def test_jitter_takes_a_part_away(retry_delay, jitter, draw):
    plain = next_retry(retry_delay, 2)
    delay, next_delay = next_retry(retry_delay, 2, jitter=jitter, draw=draw)
    assert plain.delay * (1 - jitter) <= delay * 1.000_001
    assert delay <= plain.delay
    assert next_delay == plain.next_delay


def test_the_whole_delay_may_be_chance():
    assert next_retry(10, 2, jitter=1, draw=1).delay == 0
    assert next_retry(10, 2, jitter=1, draw=0).delay == 10
    assert next_retry(10, 2, jitter=0.5, draw=0.5).delay == 7.5

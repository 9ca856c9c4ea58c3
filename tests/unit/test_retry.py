"""The delays between the attempts at a task."""

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

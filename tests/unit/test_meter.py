"""Bursts, and a rate in the long run."""

from __future__ import annotations

import time

from liteq.meter import Meter


def test_a_burst_is_allowed_and_no_more():
    meter = Meter(3, 0.0001)
    assert [meter.allows() for _ in range(5)] == [True, True, True, False, False]


def test_several_are_allowed_all_or_none():
    meter = Meter(10, 0.0001)
    assert [meter.allows(6), meter.allows(6), meter.allows(4), meter.allows()] == [True, False, True, False]


def test_more_than_the_burst_is_allowed_when_the_burst_is():
    meter = Meter(10, 0.0001)
    assert [meter.allows(11), meter.allows()] == [True, False]


def test_time_allows_more():
    meter = Meter(1, 100)
    assert meter.allows()
    deadline = time.monotonic() + 30
    while not meter.allows():
        assert time.monotonic() < deadline
        time.sleep(0.001)

"""Clocks that are set, for a few seconds; and that the check would see what it looks for."""

from __future__ import annotations

import pytest

from liteq import limits
from stress.hazards.clock import run


def test_setting_the_clock_breaks_no_promise():
    report = run(1, 4, 2)
    assert report.broken == []
    assert report.faults
    assert report.settled == report.acknowledged > 100


def test_leases_by_the_wall_clock_are_found_out():
    found = (run(seed, 2, 2, bug="wall-leases").broken for seed in range(10))
    assert any("leases end because the clock is set" in broken for broken in found)


def test_slots_that_are_repeated_are_found_out():
    assert any("a slot fires once" in broken for broken in run(1, 2, 2, bug="slot-twice").broken)


def test_rate_limits_by_the_wall_clock_are_found_out(monkeypatch: pytest.MonkeyPatch):
    instant = limits.instant
    monkeypatch.setattr(limits, "instant", lambda: instant()._replace(ticks=instant().wall))
    assert any("a rate limit" in broken for broken in run(1, 4, 2).broken)

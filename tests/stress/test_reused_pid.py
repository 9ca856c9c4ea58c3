"""Pids of the dead that others have, for a few seconds; and that the check would see what it looks for."""

from __future__ import annotations

import pytest

from stress.hazards.reused_pid import may_choose_pids, run_ways

WAYS = ["strangers", "heirs", "strangers by the file"]


@pytest.mark.parametrize("way", WAYS)
def test_a_reused_pid_confuses_nobody(way: str):
    if way != WAYS[-1] and not may_choose_pids():
        pytest.skip("pids can't be chosen here")
    report = run_ways(1, 1, 2, [way])
    assert report.broken == []
    assert report.faults


def test_who_goes_by_the_pid_alone_is_found_out():
    broken = run_ways(1, 1, 2, WAYS[-1:], bug="pid-only").broken
    assert "a dead consumer is taken to live because its pid does" in broken

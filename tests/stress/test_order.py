"""The order of one worker, for a few seconds; and that the check would see a wrong one."""

from __future__ import annotations

from stress.hazards import order


def test_one_worker_keeps_the_order_whoever_is_killed():
    report = order.run(1, 3, 1)
    assert report.broken == []
    assert report.faults
    assert report.figures["kills_during_backlog"]
    assert report.settled == report.acknowledged > 900


def test_a_wrong_order_is_found_out():
    broken = order.run(1, 1, 1, bug="disorder").broken
    assert any("one worker keeps the order" in one for one in broken), broken
    assert any("one worker keeps the priorities" in one for one in broken), broken

"""Killed producers, for a few seconds; and that the check would see what it looks for."""

from __future__ import annotations

from typing import Any

import pytest

from stress import history as h
from stress.hazards import producers
from stress.history import Event


def test_a_killed_producer_leaves_whole_bulks_and_no_lock():
    cut = 0.0
    for seed in range(1, 10):
        report = producers.run(seed, 4, 2)
        assert report.broken == []
        assert report.faults
        assert report.settled == report.acknowledged > 50
        cut += report.figures["cut"]
        if cut:
            return
    pytest.fail("no bulk was cut off")


def test_a_bulk_in_several_transactions_is_found_out():
    broken = producers.run(1, 2, 2, bug="torn-bulk").broken
    assert any("a bulk is whole" in one for one in broken), broken


def event(kind: str, seconds: float, **detail: Any) -> Event:
    return Event(int(seconds * 1e9), 1, kind, "a", 1, 1, detail)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([event(h.ACKNOWLEDGED, 90, wait=80)], "a call took"),
        ([event(h.SETTLED, 1), event(h.SETTLED, 90), event(h.ACKNOWLEDGED, 100, wait=0)], "stood still"),
    ],
)
def test_who_is_held_up_is_found_out(events: list[Event], words: str):
    assert words in next(producers.held_up(events))

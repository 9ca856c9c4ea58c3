"""Restarts under load, for a few seconds; and that the checks would see what they look for."""

from __future__ import annotations

import pytest

from stress import history as h
from stress.hazards import restart
from stress.patched import PATCH


def test_nothing_is_lost_and_nothing_runs_twice():
    report = restart.run(1, 5, 2)
    assert report.broken == []
    assert report.figures["rolls"]
    assert report.figures["stops"]
    assert report.figures["pause_at_a_roll"]


def test_what_is_given_back_and_run_all_the_same_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(PATCH, "given back and run")
    assert any("started 2 times" in one for one in restart.run(1, 4, 2).broken)


def event(kind, seq=0, at=0, **detail):
    return h.Event(at, 1, kind, f"task {seq}", seq, 1, detail)


def test_the_longest_pause_is_measured_while_something_is_ready():
    second = 1_000_000_000
    called = [event(h.ACKNOWLEDGED, seq, ordered=True) for seq in (1, 2, 3)]
    history = [
        *called,
        event(h.STARTED, 1, second),
        event(h.RESTARTING, at=2 * second, how="roll"),
        event(h.RESTARTED, at=3 * second),
        event(h.STARTED, 2, 5 * second),
        event(h.STARTED, 3, 6 * second),
        event(h.RESTARTING, at=7 * second, how="stop"),  # nothing is ready
        event(h.ACKNOWLEDGED, 4, 9 * second, ordered=True),
        event(h.STARTED, 4, 10 * second),
    ]
    assert restart.longest_pauses(history) == {"roll": 4, "stop": 1}

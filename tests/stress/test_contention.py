"""Processes that write without pause, for a few seconds; and that the check would see what it looks for."""

from __future__ import annotations

from typing import Any

import pytest

from stress import history as h
from stress.hazards.contention import Measured, judge, lost, measure, run
from stress.history import Event

SECOND = 1_000_000_000


def test_many_writers_wait_in_line():
    report = run(1, 4, 2, processes=16)
    assert report.broken == []
    assert report.settled == report.acknowledged > 100


def test_a_lock_whose_waiters_back_off_is_found_out():
    figures = run(1, 4, 2, processes=32, bug="backing-off").figures
    measured = Measured(**{name: figures[f"full_{name}"] for name in Measured._fields})
    assert list(judge(measured, 1.0))


def call(pid: int, second: float, wait: float = 0.01) -> Event:
    return Event(int(second * SECOND), pid, h.ACKNOWLEDGED, "a", 0, 0, {"wait": wait})


FAIR = [call(pid, n / 10) for n in range(50) for pid in range(4)]


def test_a_fair_history_passes():
    assert list(judge(measure(FAIR), 1.0)) == []


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([*FAIR, call(1, 4, wait=0.3)], "a call took 300 ms"),
        ([*FAIR, *[call(1, 4)] * 50], "unfair"),
        ([event for event in FAIR if event.pid or not 1 < event.at / SECOND < 3], "starved"),
    ],
)
def test_who_gets_too_little_is_found_out(events: list[Event], words: str):
    assert any(words in one for one in judge(measure(events), 1.0))


def started(**detail: Any) -> Event:
    return Event(0, 3, h.STARTED, "a", 1, 1, detail)


@pytest.mark.parametrize("starts", [0, 2])
def test_a_task_that_does_not_start_once_is_found_out(starts: int):
    assert list(lost([call(1, 0), *[started()] * starts]))
    assert not list(lost([call(1, 0), started()]))

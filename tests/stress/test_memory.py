"""Tasks that leak and grow under a real consumer, for a few seconds."""

from __future__ import annotations

from stress.hazards.memory import run


def test_the_memory_of_workers_is_bounded_and_no_task_runs_twice():
    report = run(1, 4, 2)
    assert report.broken == []
    assert report.faults
    assert report.acknowledged

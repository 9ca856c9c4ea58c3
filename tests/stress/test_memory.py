"""Tasks that leak and grow under a real consumer, for a few seconds."""

from __future__ import annotations

import pytest

from stress.hazards import memory


def test_the_memory_of_workers_is_bounded_and_no_task_runs_twice():
    report = memory.run(1, 4, 2)
    assert report.broken == []
    assert report.faults
    assert report.acknowledged


def test_workers_that_grow_beyond_the_limit_are_found_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "_GIVEN", 5 * memory._LIMIT)
    assert any("a worker had" in line for line in memory.run(1, 4, 2).broken)

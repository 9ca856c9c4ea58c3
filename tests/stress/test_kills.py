"""Killed processes, for a few seconds each."""

from __future__ import annotations

import pytest

from stress.hazards import load


@pytest.mark.parametrize("hazard", ["workers", "dispatcher", "supervisor", "everything"])
def test_kills_break_no_promise(hazard: str):
    report = load(hazard)(1, 3, 2)
    assert report.broken == []
    assert report.faults
    assert report.settled == report.acknowledged > 50

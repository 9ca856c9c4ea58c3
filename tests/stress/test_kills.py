"""Killed processes, for a few seconds each."""

from __future__ import annotations

import pytest

from stress.hazards import load
from stress.settings import KIND


@pytest.mark.parametrize("hazard", ["workers", "dispatcher", "supervisor", "everything"])
def test_kills_break_no_promise(hazard: str):
    report = load(hazard)(1, 3, 2)
    assert report.broken == []
    assert report.faults
    assert report.settled == report.acknowledged > 50


@pytest.mark.parametrize("kind", ["thread", "greenlet"])
def test_nor_do_they_where_workers_share_a_process(kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(KIND, kind)
    report = load("everything")(1, 3, 2)
    assert report.broken == []
    assert report.faults
    assert report.settled == report.acknowledged > 50

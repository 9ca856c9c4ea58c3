"""Damaged files, for a few seconds; and that the check would see what it looks for."""

from __future__ import annotations

import pytest

from liteq.storage.sqlite import database
from stress.hazards import damage


def test_a_damaged_file_works_or_is_refused_with_a_clear_error():
    report = damage.run(1, 5, 2)
    assert report.broken == []
    assert report.faults > 20
    assert "page: found" in report.note
    assert "cut: found" in report.note


def test_an_error_of_sqlite_s_own_is_found_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "translate", lambda error, _path: error)
    assert damage.run(1, 4, 2).broken

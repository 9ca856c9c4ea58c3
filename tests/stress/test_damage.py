"""Damaged files, for a few seconds; and that the check would see what it looks for."""

from __future__ import annotations

import pytest

from liteq.storage.sqlite import database
from stress.hazards import damage


def has_tried_much(report):
    return report.faults > 20 and "page: found" in report.note and "cut: found" in report.note


def test_a_damaged_file_works_or_is_refused_with_a_clear_error(run_until):
    report = run_until(has_tried_much, damage.run, 5)
    assert report.broken == []
    assert has_tried_much(report), report.note


def test_an_error_of_sqlite_s_own_is_found_out(run_until, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "translate", lambda error, _path: error)
    assert run_until(lambda report: report.broken, damage.run, 1).broken

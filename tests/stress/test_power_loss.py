"""Power failures, for a few seconds; and that the check would see what it looks for."""

from __future__ import annotations

import time

import pytest

from liteq.storage.sqlite.database import Database
from stress.hazards.power_loss import Tally, run, try_one

PATIENCE = 180


def fail_until_broken(level="full", **options) -> Tally:
    """Try states until one is found that breaks a promise."""
    tally = Tally()
    deadline = time.monotonic() + PATIENCE
    seconds = 1.0
    while not tally.report.broken and time.monotonic() < deadline:
        try_one(f"{seconds}", level, time.monotonic() + seconds, tally, **options)
        seconds *= 2  # on a busy machine, the recording alone takes more than a second
    return tally


def test_no_state_that_a_power_failure_leaves_breaks_a_promise(run_until):
    report = run_until(lambda report: report.faults > 50, run, 8)
    assert report.broken == []
    assert report.faults > 50
    assert report.acknowledged


def test_a_disk_that_lies_about_syncs_is_found_out():
    tally = fail_until_broken(deaf=True)
    assert tally.report.broken


def test_durability_off_is_found_out():
    assert fail_until_broken("off").report.broken


def test_a_dispatcher_that_does_not_wait_for_the_disk_is_found_out(monkeypatch: pytest.MonkeyPatch):
    """Its claims of at-most-once tasks would be undone after they started, and outcomes that it told of."""
    monkeypatch.setattr(Database, "sync", lambda _: None)
    assert fail_until_broken().report.broken

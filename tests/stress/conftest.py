"""Running a hazard for long enough, however busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from stress.report import Report

PATIENCE = 60

Hazard = Callable[[int, float, int], Report]


@pytest.fixture
def run_until() -> Callable[..., Report]:
    """Runs a hazard for so many seconds, and with the next seeds until that was enough; all in one report."""

    def run(enough: Callable[[Report], object], hazard: Hazard, seconds: float) -> Report:
        deadline = time.monotonic() + PATIENCE
        report = hazard(1, seconds, 2)
        seed = 1
        while not enough(report) and time.monotonic() < deadline:
            seed += 1
            more = hazard(seed, seconds, 2)
            more.note = f"{report.note}; {more.note}"
            report = report.joined(more)
        return report

    return run

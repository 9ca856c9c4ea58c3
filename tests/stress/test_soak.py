"""A soak of a few seconds; and that leaks are found."""

from __future__ import annotations

import pytest

from stress.hazards import soak
from stress.patched import PATCH

SECONDS = 5
LONGER = (SECONDS, 15, 60)
"""Should the machine be busy with other things."""


def test_nothing_grows():
    report = soak.run(1, SECONDS, 2)
    assert report.broken == []
    assert report.faults
    for name in ("memory of dispatcher", "descriptors of worker", "wal of the file", "rows of history"):
        assert report.figures[name]


@pytest.mark.parametrize(
    ("bug", "found"),
    [
        ("memory", "memory of dispatcher"),
        ("descriptors", "descriptors of dispatcher"),
        ("history", "rows of history"),
    ],
)
def test_a_leak_is_found(bug, found, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(PATCH, bug)
    assert any(found in one for seconds in LONGER for one in soak.run(1, seconds, 2).broken)


def test_growth_is_what_a_line_through_the_points_says():
    filling = [(float(time), min(time, 20) * 10.0) for time in range(101)]
    assert soak.growth(filling)[0] == 0
    leak = [(time, level + time) for time, level in filling]
    assert soak.growth(leak)[0] == pytest.approx(70)
    peaks = [(time, level + 500 * (time % 10 == 0)) for time, level in filling]
    assert soak.growth(peaks)[0] == 0


def test_what_follows_the_load_may_grow_with_it():
    assert soak.allowed("rows", 1000) == 300
    assert soak.allowed("memory", 1000) == 3

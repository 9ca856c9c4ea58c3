"""A full disk under a real consumer, for a few seconds."""

from __future__ import annotations

import pytest

from stress.hazards.disk_full import may_mount, run_on


@pytest.mark.parametrize("mounted", [True, False], ids=["a small disk", "limited files"])
def test_a_full_disk_loses_nothing_and_is_told_of_once(mounted: bool):
    if mounted and not may_mount():
        pytest.skip("no file system may be mounted here")
    report = run_on(1, 3, 2, mounted=mounted)
    assert report.broken == []
    assert report.faults
    assert report.acknowledged

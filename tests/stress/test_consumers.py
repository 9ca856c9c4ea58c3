"""Several consumers of which some are killed, for a few seconds; and that starving ones would be seen."""

from __future__ import annotations

from stress.hazards.consumers import Killer, run
from stress.trial import Trial


def test_several_consumers_share_the_work_and_take_over_each_others():
    report = run(1, 4, 2)
    assert report.broken == []
    assert report.faults >= 2
    assert report.settled == report.acknowledged > 200


def test_a_consumer_that_starves_is_found_out():
    with Trial("consumers", 1, 1, kinds=["plain"], consumers=2, bug="shy") as trial:
        assert Killer(trial).least_share() == 0
        assert trial.report.broken == ["a consumer starves beside 1 others"]

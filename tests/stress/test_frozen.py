"""Processes that stand still, for a few seconds; and that the check would see what it looks for."""

from __future__ import annotations

from liteq.workers.options import ConsumerOptions
from stress import launch
from stress.hazards.frozen import run


def test_who_stands_still_breaks_no_promise():
    report = run(1, 4, 2)
    assert report.broken == []
    assert report.faults
    assert report.settled == report.acknowledged > 200


def test_claims_that_are_taken_over_too_early_are_found_out():
    (first, *_) = run(1, 1, 2, bug="taken-early").broken
    assert "no claim is taken before its lease ends" in first


def test_outcomes_of_lost_claims_that_take_effect_are_found_out():
    broken = (line for seed in range(1, 10) for line in run(seed, 2, 2, bug="no-fence").broken)
    assert any("a claim ends once" in line for line in broken)


def test_the_launcher_gives_the_lease(monkeypatch):
    given = []

    def main(arguments):
        given.append((launch.options.ConsumerOptions(workers=2), arguments))
        return 0

    monkeypatch.setattr(launch, "main", main)
    monkeypatch.setattr(launch.options, "ConsumerOptions", ConsumerOptions)
    monkeypatch.setattr(launch.sys, "argv", ["launch", "0.5", "app.huey", "-w", "2"])
    assert launch.launch() == 0
    assert given == [(ConsumerOptions(workers=2, lease=0.5), ["consume", "app.huey", "-w", "2"])]

"""Poison among other tasks, for a few seconds; and that the check would see what it looks for."""

from __future__ import annotations

import psutil
import pytest

from stress import history as h
from stress.hazards import poison
from stress.hazards.poison import harmed, loss
from stress.history import Event
from stress.lapses import LAPSE, LAPSES
from stress.poisons import ALL


def test_poison_harms_its_own_attempt_and_no_other_task():
    report = poison.run(1, 4, 4)
    assert report.broken == []
    assert report.faults >= len(ALL)
    assert report.acknowledged > 400
    assert report.figures["pairs"]


@pytest.mark.parametrize("lapse", sorted(LAPSES))
def test_what_is_done_against_it_is_missed_when_it_is_not(monkeypatch: pytest.MonkeyPatch, lapse: str):
    monkeypatch.setenv(LAPSE, lapse)
    try:
        broken = poison.run(1, 1, 1).broken
    except (TimeoutError, psutil.NoSuchProcess) as error:  # the consumer is not there any more
        broken = [repr(error)]
    assert broken


def event(at: int, kind: str, id: str, seq: int = 0, attempt: int = 1) -> Event:
    return Event(at, 1, kind, id, seq, attempt, {})


def test_a_task_that_ran_again_is_found():
    events = [event(1, h.STARTED, "a", 1), event(2, h.STARTED, "b", 2), event(3, h.STARTED, "a", 1, 2)]
    assert harmed(events, set()) == ["1 tasks beside the poison ran again, such as ['a']"]
    assert harmed(events, {"a"}) == []


def test_the_loss_of_throughput():
    events = []
    for seq, (id, took) in enumerate({"a": 100, "b": 125, "c": 100, "d": 125}.items(), 1):
        events += [event(1000, h.CLAIMED, id, seq), event(1000 + took, h.SETTLED, "", seq)]
    assert loss(events, [(["a"], ["b"]), (["c"], ["d"])]) == pytest.approx(0.2)
    assert loss(events, [(["a"], ["c"])]) == 0

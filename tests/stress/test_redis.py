"""Queues on a real server, for a few seconds each; and that a bug would be seen there, too."""

from __future__ import annotations

import pytest

from stress.hazards import load, of_storage
from stress.hazards.dispatcher import kill_dispatcher
from stress.planted_redis import ON_REDIS
from stress.settings import STORAGE
from stress.trial import Trial
from tests.servers import need_redis


@pytest.mark.parametrize("hazard", of_storage("redis"))
def test_a_hazard_breaks_no_promise_on_a_server(hazard: str, monkeypatch: pytest.MonkeyPatch):
    need_redis()
    monkeypatch.setenv(STORAGE, "redis")
    report = load(hazard)(1, 3, 2)
    assert report.broken == []
    assert report.faults
    assert report.settled == report.acknowledged > 10


@pytest.mark.parametrize(
    ("bug", "rule"),
    [
        ("lost-call", "everything acknowledged has an end"),
        ("always-unheard", "an attempt"),
        ("slot-twice", "a slot fires once"),
    ],
)
def test_a_planted_bug_is_found_on_a_server(bug: str, rule: str):
    need_redis()
    with Trial("planted", 1, 2, kinds=["plain"], bug=bug, storage="redis") as trial:
        trial.break_things(3, lambda: kill_dispatcher(trial), 0.3)
        broken = trial.finish(patience=5).broken
    assert any(rule in one for one in broken), broken


def test_each_bug_is_tried():
    assert set(ON_REDIS) == {"", "lost-call", "always-unheard", "slot-twice"}

"""Queues on a real server, for a few seconds each; and that a bug would be seen there, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from stress.backends import RedisBackend
from stress.hazards import load, of_storage
from stress.hazards.dispatcher import kill_dispatcher
from stress.planted_redis import ON_REDIS
from stress.settings import STORAGE, Settings
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


FOUND_BY = [
    ("lost-call", "everything acknowledged has an end"),
    ("always-unheard", "an attempt"),
    ("slot-twice", "a slot fires once"),
]


@pytest.mark.parametrize(("bug", "rule"), FOUND_BY)
def test_a_planted_bug_is_found_on_a_server(bug: str, rule: str):
    need_redis()
    with Trial("planted", 1, 2, kinds=["plain"], bug=bug, storage="redis") as trial:
        trial.break_things(3, lambda: kill_dispatcher(trial), 0.3)
        broken = trial.finish(patience=5).broken
    assert any(rule in one for one in broken), broken


def test_each_bug_is_tried():
    assert {bug for bug, _ in FOUND_BY} == set(ON_REDIS) - {""}


def test_what_is_left_on_a_server_is_told(tmp_path: Path):
    need_redis()
    backend = RedisBackend(Settings(str(tmp_path)))
    try:
        huey = backend.open()
        assert backend.problems() == []
        huey.enqueue(huey.task()(max).s(1, 2))
        assert backend.problems() == ["1 entries are left in inbox"]
        huey.storage.close()
    finally:
        backend.end()

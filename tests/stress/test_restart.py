"""Restarts under load, for a few seconds; and that the checks would see what they look for."""

from __future__ import annotations

import pytest

from stress import history as h
from stress.checker import Run, check
from stress.hazards import restart
from stress.settings import BUG


def test_nothing_is_lost_and_nothing_runs_twice():
    report = restart.run(1, 5, 2)
    assert report.broken == []
    assert report.figures["rolls"]
    assert report.figures["stops"]
    assert report.figures["pause_at_a_roll"]


def test_what_is_given_back_and_run_all_the_same_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(BUG, "given back and run")
    assert any("started 2 times" in one for one in restart.run(1, 4, 2).broken)


def event(kind, seq=0, at=0, pid=1, **detail):
    return h.Event(at, pid, kind, f"task {seq}", seq, 1, detail)


def broken(*events, may_repeat=True):
    claims = [event(h.CLAIMED, e.seq) for e in events if e.kind == h.STARTED]
    return check(Run([*claims, *events], {}, may_repeat=may_repeat))


def test_a_message_that_starts_twice():
    twice = event(h.STARTED, 7), event(h.STARTED, 7)._replace(attempt=2)
    claimed = event(h.CLAIMED, 7)._replace(attempt=2)
    assert broken(claimed, *twice) == []
    assert "message 7 started 2 times" in broken(claimed, *twice, may_repeat=False)[0]


def test_old_code_after_the_new_is_in_force():
    old, new = event(h.BORN, pid=1, code=1, liteq=""), event(h.BORN, pid=2, code=2, liteq="")
    in_force = event(h.IN_FORCE, code=2)
    assert broken(old, new, event(h.STARTED, 7), in_force, event(h.STARTED, 8, pid=2)) == []
    assert "run by code 1" in broken(old, new, in_force, event(h.STARTED, 7))[0]


@pytest.mark.parametrize(("status", "code"), [("interrupted", 0), ("complete", 5), ("complete", 1)])
def test_an_exit_code_that_does_not_tell(status, code):
    right = 5 if status == "interrupted" else 0
    settled = event(h.SETTLED, 7, held=True, ends=False, status=status)
    assert broken(settled, event(h.STOPPED, code=right), event(h.STOPPED, code=0)) == []
    assert "exit code" in broken(settled, event(h.STOPPED, code=code))[0]


def test_the_longest_pause_is_measured_while_something_is_ready():
    second = 1_000_000_000
    called = [event(h.ACKNOWLEDGED, seq, ordered=True) for seq in (1, 2, 3)]
    history = [
        *called,
        event(h.STARTED, 1, second),
        event(h.RESTARTING, at=2 * second, how="roll"),
        event(h.RESTARTED, at=3 * second),
        event(h.STARTED, 2, 5 * second),
        event(h.STARTED, 3, 6 * second),
        event(h.RESTARTING, at=7 * second, how="stop"),  # nothing is ready
        event(h.ACKNOWLEDGED, 4, 9 * second, ordered=True),
        event(h.STARTED, 4, 10 * second),
    ]
    assert restart.longest_pauses(history) == {"roll": 4, "stop": 1}

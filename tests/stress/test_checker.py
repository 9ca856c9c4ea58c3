"""Each rule finds a history that breaks it, and lets one pass that does not."""

from __future__ import annotations

from typing import Any

import pytest

from stress import checker as c
from stress import history as h
from stress.checker import DEAD, Run
from stress.history import Event


def called(id: str = "a", **detail: Any) -> Event:
    settings = {"kind": "plain", "expected": 1, "once": False, "priority": 0, "wait": 0.0, "ordered": True}
    return Event(0, 1, h.ACKNOWLEDGED, id, 0, 0, {**settings, **detail})


def claimed(id: str = "a", seq: int = 1, attempt: int = 1) -> Event:
    return Event(0, 2, h.CLAIMED, id, seq, attempt, {})


def started(id: str = "a", seq: int = 1, attempt: int = 1, **detail: Any) -> Event:
    return Event(0, 3, h.STARTED, id, seq, attempt, detail)


def settled(
    seq: int = 1, attempt: int = 1, status: str = "complete", *, held: bool = True, ends: bool = True
) -> Event:
    return Event(0, 2, h.SETTLED, "", seq, attempt, {"held": held, "ends": ends, "status": status})


def expired(seq: int = 1, at: int = 0) -> Event:
    return Event(at, 2, h.EXPIRED, "a", seq, 1, {})


def frozen(pid: int) -> Event:
    return Event(0, 1, h.FROZEN, "", 0, 0, {"victim": pid})


def entered(seq: int, pid: int = 3) -> Event:
    return Event(0, pid, h.ENTERED, "a", seq, 1, {"name": "lock", "room": 1})


def left(seq: int) -> Event:
    return Event(0, 3, h.LEFT, "a", seq, 1, {"name": "lock"})


def bulk(kind: str, **detail: Any) -> Event:
    return Event(0, 1, kind, "", 0, 0, {"bulk": "bulk", **detail})


def killing(pid: int) -> Event:
    return Event(0, 1, h.KILLING, "", 0, 0, {"victim": pid})


def killed(pid: int) -> Event:
    return Event(0, 1, h.KILLED, "", 0, 0, {"victim": pid})


def born(pid: int, code: int) -> Event:
    return Event(0, pid, h.BORN, "", 0, 0, {"code": code, "liteq": ""})


def in_force(code: int) -> Event:
    return Event(0, 1, h.IN_FORCE, "", 0, 0, {"code": code})


def stopped(code: int) -> Event:
    return Event(0, 1, h.STOPPED, "", 0, 0, {"code": code})


def hit(before: float, after: float) -> Event:
    times = {"before": int(before * 1e9), "after": int(after * 1e9)}
    return Event(0, 3, h.HIT, "a", 1, 1, {"name": "rate", "limit": 1, "per": 1.0, **times})


def gathered(seq: int = 1, values: tuple[int, ...] = (1, 2)) -> Event:
    return Event(0, 3, h.GATHERED, "a", seq, 1, {"values": list(values), "expected": [1, 2]})


def run(*events: Event, ends: dict[str, Any] | None = None, **options: Any) -> Run:
    return Run(list(events), {"a": 1} if ends is None else ends, **options)


WHOLE = [called(), claimed(), started(), settled()]

BROKEN: list[tuple[c.Rule, Run]] = [
    (c.everything_acknowledged_has_an_end, run(called(), ends={})),
    (c.it_ended_as_it_had_to, run(called(), ends={"a": 2})),
    (c.it_ended_as_it_had_to, run(called(), ends={"a": DEAD})),
    (c.no_result_is_there_twice, run(twice=["a"])),
    (c.a_message_is_settled_once, run(settled(), settled(attempt=2))),
    (c.a_task_ends_once, run(claimed(), claimed(seq=2), settled(), settled(seq=2))),
    (c.a_claim_ends_once, run(settled(ends=False), settled())),
    (c.an_attempt_starts_once, run(started(), started())),
    (c.nothing_runs_twice, run(started(), started(attempt=2), may_repeat=False)),
    (c.new_code_is_in_force, run(born(3, 1), in_force(2), started())),
    (c.an_exit_code_tells_of_interruptions, run(settled(status="interrupted"), stopped(0))),
    (c.an_exit_code_tells_of_interruptions, run(settled(status="interrupted"), stopped(5), stopped(5))),
    (c.an_exit_code_tells_of_interruptions, run(settled(), stopped(1))),
    (c.an_attempt_is_claimed_before_it_starts, run(claimed(attempt=2), started())),
    (c.nothing_runs_after_its_end, run(settled(), started(attempt=2))),
    (c.nothing_runs_after_its_end, run(settled(attempt=2), started())),
    (c.at_most_once_is_at_most_once, run(called(once=True), started(), started(attempt=2))),
    (c.what_ended_well_has_started, run(called())),
    (c.one_worker_keeps_the_order, run(called("a"), called("b"), started("b"), started("a"), workers=1)),
    (
        c.one_worker_keeps_the_order,
        run(
            called("a"), called("b"), claimed("a"), settled(status="released"),
            started("b", seq=2), started("a"), workers=1,
        ),
    ),
    (c.a_bulk_is_whole_or_not_there, run(bulk(h.ANNOUNCED, size=2), started(bulk="bulk"))),
    (c.a_bulk_is_whole_or_not_there, run(bulk(h.ANNOUNCED, size=2), bulk(h.ENQUEUED))),
    (
        c.one_worker_keeps_the_priorities,
        run(
            called("a", backlog=True), called("b", backlog=True, priority=1),
            started("a"), started("b"), workers=1,
        ),
    ),
    (c.locks_hold, run(entered(1), entered(2))),
    (c.locks_hold, run(entered(1), left(1), entered(2), entered(3))),
    (c.locks_hold, run(entered(1), killing(4), entered(2))),
    (c.locks_hold, run(killing(3), killed(3), entered(1), entered(2))),
    (c.locks_hold, run(entered(1), expired(seq=2), entered(3))),
    (c.no_claim_is_taken_before_its_lease_ends, run(claimed(), expired(at=400_000_000), lease=1)),
    (c.what_is_lost_is_not_begun, run(expired(), expired(seq=2), started(), started(seq=2))),
    (c.rate_limits_hold, run(hit(0, 0.1), hit(0.8, 0.9))),
    (c.a_slot_fires_once, run(started(slot=1.0), started(seq=2, slot=1.0))),
    (c.a_slot_fires_once, run(started(slot=1.0), started(seq=2, slot=3.0), interval=1)),
    (c.a_chord_calls_back_once, run(gathered(), gathered(seq=2))),
    (c.a_chord_calls_back_once, run(gathered(values=(1,)))),
]  # fmt: skip

SOUND: list[tuple[c.Rule, Run]] = [
    *[(rule, run(*WHOLE)) for rule in c.RULES],
    (c.it_ended_as_it_had_to, run(called(once=True), ends={"a": DEAD})),
    (c.a_message_is_settled_once, run(settled(), settled(attempt=2, held=False))),
    (c.a_task_ends_once, run(claimed(), claimed(seq=2), settled(status="retrying"), settled(seq=2))),
    (c.an_attempt_starts_once, run(started(), started(attempt=2))),
    (c.nothing_runs_twice, run(started(), started(attempt=2))),
    (c.nothing_runs_twice, run(started(), started(seq=2), may_repeat=False)),
    (c.new_code_is_in_force, run(born(3, 1), started(), in_force(2), born(3, 2), started())),
    (c.an_exit_code_tells_of_interruptions, run(settled(status="interrupted"), stopped(5), stopped(0))),
    (c.a_message_is_settled_once, run(settled(attempt=2), settled(ends=False))),
    (c.nothing_runs_after_its_end, run(expired(), settled(attempt=2), started())),
    (c.one_worker_keeps_the_order, run(called("a"), called("b"), started("a"), started("b"), workers=1)),
    (c.one_worker_keeps_the_order, run(called("a"), called("b"), started("b"), started("a"), workers=2)),
    (c.a_bulk_is_whole_or_not_there, run(bulk(h.ANNOUNCED, size=2))),
    (
        c.a_bulk_is_whole_or_not_there,
        run(bulk(h.ANNOUNCED, size=2), started("a", bulk="bulk"), started("b", bulk="bulk")),
    ),
    (c.locks_hold, run(entered(1), left(1), entered(2))),
    (c.locks_hold, run(entered(1), killing(3), killed(3), entered(2))),
    (c.locks_hold, run(killing(3), entered(1), killed(3), entered(2))),
    (c.locks_hold, run(entered(1), expired(), entered(2))),
    (c.locks_hold, run(expired(), entered(2), entered(1))),
    (c.no_claim_is_taken_before_its_lease_ends, run(claimed(), expired(at=1_000_000_000), lease=1)),
    (c.what_is_lost_is_not_begun, run(expired(), expired(seq=2), started(), frozen(3), started(seq=2))),
    (c.rate_limits_hold, run(hit(0, 0.1), hit(0.8, 1.1))),
    (c.a_slot_fires_once, run(started(slot=1.0), started(attempt=2, slot=1.0))),
    (c.a_slot_fires_once, run(started(slot=1.0), started(seq=2, slot=2.0), interval=1)),
    (c.a_chord_calls_back_once, run(gathered(), gathered())),
]  # fmt: skip


def test_each_rule_is_tried():
    assert {rule for rule, _ in BROKEN} == set(c.RULES)


@pytest.mark.parametrize(("rule", "history"), BROKEN, ids=[rule.__name__ for rule, _ in BROKEN])
def test_a_broken_history_is_found(rule: c.Rule, history: Run):
    assert len(list(rule(history))) == 1
    assert any(rule.__name__.replace("_", " ") in line for line in c.check(history))


@pytest.mark.parametrize(("rule", "history"), SOUND, ids=[rule.__name__ for rule, _ in SOUND])
def test_a_sound_history_passes(rule: c.Rule, history: Run):
    assert list(rule(history)) == []

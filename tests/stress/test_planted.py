"""Each bug that is planted in the storage under stress is found by the rule that stands against it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from stress.hazards.dispatcher import kill_dispatcher
from stress.hazards.everything import kill_and_recover
from stress.hazards.workers import kill_one
from stress.planted import BUGS
from stress.trial import Trial

PATIENCE = 60


def nothing(_trial: Trial) -> bool:
    return True


FOUND_BY: list[tuple[str, Callable[[Trial], bool], list[str], str]] = [
    ("split-transaction", kill_dispatcher, ["plain"], "everything acknowledged has an end"),
    ("no-recovery", kill_and_recover, ["bulk"], "still"),
    ("forgotten-crash", kill_one, ["plain"], "still"),
    ("at-least-once", kill_one, ["once"], "at most once"),
    ("claimed-twice", nothing, ["plain"], "an attempt starts once"),
    ("resurrected", nothing, ["plain"], "nothing runs after its end"),
    ("lost-call", nothing, ["plain"], "everything acknowledged has an end"),
    ("shared-lock", nothing, ["locked"], "locks hold"),
    ("lax-limit", nothing, ["limited"], "rate limits hold"),
    ("slot-twice", kill_dispatcher, ["plain"], "a slot fires once"),
    ("early-callback", nothing, ["chord"], "a chord calls back once"),
]


FOUND_ELSEWHERE = {
    "no-fence",
    "pid-only",
    "taken-early",
    "wall-leases",
    "shy",
    "backing-off",
    "disorder",
    "torn-bulk",
}
"""By the tests of the hazards that it takes."""


def test_each_bug_is_tried():
    assert {bug for bug, *_ in FOUND_BY} | FOUND_ELSEWHERE == set(BUGS)


@pytest.mark.parametrize(("bug", "fault", "kinds", "rule"), FOUND_BY, ids=[bug for bug, *_ in FOUND_BY])
def test_a_planted_bug_is_found(bug: str, fault: Callable[[Trial], bool], kinds: list[str], rule: str):
    deadline = time.monotonic() + PATIENCE
    seconds = 1.5
    broken = broken_by(bug, fault, kinds, seconds)
    while not any(rule in one for one in broken) and time.monotonic() < deadline:
        seconds *= 2  # on a busy machine little happens in a second
        broken = broken_by(bug, fault, kinds, seconds)
    assert any(rule in one for one in broken), broken


def broken_by(bug: str, fault: Callable[[Trial], bool], kinds: list[str], seconds: float) -> list[str]:
    """What is found after so long with the bug."""
    with Trial("planted", 1, 2, kinds=kinds, bug=bug) as trial:
        try:
            trial.break_things(seconds, lambda: fault(trial), 0.1)
        except TimeoutError as error:
            return [f"still: {error}"]
        return trial.finish(patience=3).broken

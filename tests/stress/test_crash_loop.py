"""Applications that break and are mended, for a few seconds; and that the check would see what it looks for."""

from __future__ import annotations

import pytest

from stress.hazards import crash_loop
from stress.hazards.crash_loop import HANGS, LOOPS, MOST_PROCESSOR_TIME, Loop, judge


def test_a_broken_application_ends_its_consumer_clearly_and_a_mended_one_runs_all():
    report = crash_loop.run(1, 3, 2)
    assert report.broken == []
    assert report.faults > len(LOOPS) + len(HANGS)
    assert report.acknowledged


@pytest.mark.parametrize(
    ("code", "used", "log", "says"),
    [
        (0, 1, "it was killed", "exit code 0, not 4"),
        (4, 1, "it was killed\none\ntwo\nthree", "its last words are"),
        (4, MOST_PROCESSOR_TIME + 1, "it was killed", "of the processor"),
    ],
)
def test_another_end_is_found_out(code: int, used: float, log: str, says: str):
    loop = Loop("start crashes", 4, "it was killed")
    assert judge(loop, 4, 1, "one\nit was killed") == []
    (broken,) = judge(loop, code, used, log)
    assert says in broken

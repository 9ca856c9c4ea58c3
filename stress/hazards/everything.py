"""All processes of the consumer are killed at any moment; the next one recovers at its start.

It waits for no lease: it knows the dead ones by their identity, boot, pid and start time.
"""

from __future__ import annotations

import time

from stress.report import Report
from stress.trial import Trial
from stress.waiting import wait_until

_PAUSE = 0.5
_RECOVERED_WITHIN = 1.0
"""Seconds from the start of the next consumer until all that the dead one had claimed is free again."""


def run(seed: int, seconds: float, workers: int) -> Report:
    """Kill one consumer after the other."""
    longest = 0.0
    with Trial("everything", seed, workers) as trial:

        def kill() -> bool:
            nonlocal longest
            trial.consumer.kill_everything()
            dead = set(trial.huey.storage.consumers())
            began = time.monotonic()
            trial.consumer.start()
            wait_until(lambda: dead.isdisjoint(trial.huey.storage.consumers()))
            longest = max(longest, time.monotonic() - began)
            return True

        trial.break_things(seconds, kill, _PAUSE)
        report = trial.finish()
    report.figures["recovered_within"] = longest
    report.note = f"recovered within {longest:.2f} s of the start"
    if longest > _RECOVERED_WITHIN:
        report.broken.append(f"it took {longest:.2f} s to recover")
    return report

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
"""Seconds after the next consumer is ready until nothing is claimed by the dead one any more."""
_PATIENCE = 5.0


def run(seed: int, seconds: float, workers: int) -> Report:
    """Kill one consumer after the other."""
    with Trial("everything", seed, workers) as trial:
        trial.break_things(seconds, lambda: kill_and_recover(trial), _PAUSE)
        report = trial.finish()
    longest = report.figures["recovered_within"]
    report.note = f"recovered {longest * 1000:.0f} ms after the start at the most"
    if longest > _RECOVERED_WITHIN:
        report.broken.append(f"it took {longest:.2f} s to recover")
    return report


def kill_and_recover(trial: Trial) -> bool:
    """Kill a consumer, start another, and measure how long it takes to recover.

    Raises:
        TimeoutError: if it does not.
    """
    trial.consumer.kill_everything()
    dead = set(trial.huey.storage.consumers())
    trial.consumer.start()
    began = time.monotonic()
    wait_until(lambda: dead.isdisjoint(task.consumer for task in trial.huey.running()), _PATIENCE)
    longest = max(trial.report.figures.get("recovered_within", 0), time.monotonic() - began)
    trial.report.figures["recovered_within"] = longest
    return True

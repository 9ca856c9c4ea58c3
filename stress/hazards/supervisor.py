"""The supervisor is killed at any moment: its orphans end within their grace, then another one starts."""

from __future__ import annotations

from stress.report import Report
from stress.trial import Trial

_PAUSE = 0.5


def run(seed: int, seconds: float, workers: int) -> Report:
    """Kill one supervisor after the other."""
    with Trial("supervisor", seed, workers) as trial:

        def kill() -> bool:
            trial.consumer.kill_supervisor()
            trial.consumer.start()
            return True

        trial.break_things(seconds, kill, _PAUSE)
        return trial.finish()

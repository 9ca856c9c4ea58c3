"""The dispatcher is killed at any moment; another takes over, and no running task notices."""

from __future__ import annotations

from stress.report import Report
from stress.trial import Trial

_PAUSE = 0.3


def run(seed: int, seconds: float, workers: int) -> Report:
    """Kill one dispatcher after the other."""
    with Trial("dispatcher", seed, workers) as trial:

        def kill() -> bool:
            pid = trial.consumer.dispatcher(trial.huey)
            if pid is not None:
                trial.consumer.kill(pid)
            return pid is not None

        trial.break_things(seconds, kill, _PAUSE)
        return trial.finish()

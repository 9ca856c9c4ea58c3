"""The dispatcher is killed at any moment; another takes over, and no running task notices."""

from __future__ import annotations

from stress.report import Report
from stress.trial import Trial

_PAUSE = 0.3


def run(seed: int, seconds: float, workers: int) -> Report:
    """Kill one dispatcher after the other."""
    with Trial("dispatcher", seed, workers) as trial:
        trial.break_things(seconds, lambda: kill_dispatcher(trial), _PAUSE)
        return trial.finish()


def kill_dispatcher(trial: Trial) -> bool:
    """Kill the one that works at the moment, if there is one."""
    pid = trial.consumer.dispatcher(trial.huey)
    if pid is not None:
        trial.consumer.kill(pid)
    return pid is not None

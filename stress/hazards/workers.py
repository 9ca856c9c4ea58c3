"""Workers are killed at any moment; each one's death is the end of an attempt, and of no task."""

from __future__ import annotations

from stress.report import Report
from stress.trial import Trial

_PAUSE = 0.05


def run(seed: int, seconds: float, workers: int) -> Report:
    """Kill one worker after the other."""
    with Trial("workers", seed, workers) as trial:
        trial.break_things(seconds, lambda: kill_one(trial), _PAUSE)
        return trial.finish()


def kill_one(trial: Trial) -> bool:
    """Kill a child of the consumer that is neither its dispatcher nor its template."""
    dispatcher = trial.consumer.dispatcher(trial.huey)
    template, *others = sorted(trial.consumer.children(), key=lambda child: child.create_time())
    del template  # the eldest: all others are forked from it
    victims = [child.pid for child in others if child.pid != dispatcher]
    if dispatcher is None or not victims:
        return False
    trial.consumer.kill(trial.chance.choice(victims))
    return True

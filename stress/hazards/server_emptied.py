"""An empty server comes in the place of the one there was. Consumers say so, and run what comes from then on.

What was acknowledged before is lost; nothing else may be, and nothing may be taken for what is lost.
"""

from __future__ import annotations

from stress import history as h
from stress.backends import RedisBackend
from stress.hazards.server_killed import KINDS
from stress.report import Report
from stress.trial import Trial
from stress.waiting import wait_until

_PAUSE = 1.0
_SAID = "has forgotten what it had confirmed"


def run(seed: int, seconds: float, workers: int) -> Report:
    """Put one empty server in the place of the other."""
    with Trial("server_emptied", seed, workers, kinds=KINDS, storage="redis") as trial:
        trial.break_things(seconds, lambda: replace(trial), _PAUSE)
        return trial.finish()


def replace(trial: Trial) -> bool:
    """Replace the server, and wait until the consumer has noticed.

    Raises:
        TimeoutError: if it does not.
    """
    assert isinstance(trial.backend, RedisBackend)
    said = trial.consumer.said(_SAID)
    trial.backend.server.forget()
    trial.recorder.note(h.FORGOTTEN)
    wait_until(lambda: trial.consumer.said(_SAID) > said)
    return True

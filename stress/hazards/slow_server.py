"""The server stands still again and again: replies come late, and many at once."""

from __future__ import annotations

import signal
import time

from stress.backends import RedisBackend
from stress.report import Report
from stress.trial import Trial

_PAUSE = 0.1
_LONGEST = 0.4


def run(seed: int, seconds: float, workers: int) -> Report:
    """Stop the server, and let it go on."""
    with Trial("slow_server", seed, workers, storage="redis") as trial:
        assert isinstance(trial.backend, RedisBackend)
        server = trial.backend.server

        def stop() -> bool:
            server.send(signal.SIGSTOP)
            time.sleep(trial.chance.uniform(0.01, _LONGEST))
            server.send(signal.SIGCONT)
            return True

        trial.break_things(seconds, stop, _PAUSE)
        return trial.finish()

"""The server is killed at any moment, and started again with what it had; it syncs each write."""

from __future__ import annotations

import time

from stress.backends import RedisBackend
from stress.report import Report
from stress.trial import Trial

_PAUSE = 0.7
_LONGEST_AWAY = 0.5
KINDS = ("plain", "once", "failing", "flaky", "delayed", "pipeline", "bulk", "chord")
"""Those whose tasks need no storage while they run: else they would end with its errors."""


def run(seed: int, seconds: float, workers: int) -> Report:
    """Kill the server again and again."""
    with Trial("server_killed", seed, workers, kinds=KINDS, storage="redis") as trial:
        assert isinstance(trial.backend, RedisBackend)
        server = trial.backend.server

        def kill() -> bool:
            server.end()
            time.sleep(trial.chance.uniform(0, _LONGEST_AWAY))
            server.start()
            return True

        trial.break_things(seconds, kill, _PAUSE)
        return trial.finish()

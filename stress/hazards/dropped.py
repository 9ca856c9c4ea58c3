"""The server drops connections many times a second: whoever waits for a reply never hears it."""

from __future__ import annotations

from stress.backends import RedisBackend
from stress.hazards.server_killed import KINDS
from stress.report import Report
from stress.trial import Trial

_PAUSE = 0.03


def run(seed: int, seconds: float, workers: int) -> Report:
    """Drop the connections of calls, or those of subscriptions."""
    with Trial("dropped", seed, workers, kinds=KINDS, storage="redis") as trial:
        assert isinstance(trial.backend, RedisBackend)
        with trial.backend.server.client() as client:

            def drop() -> bool:
                kind = trial.chance.choice(["normal", "normal", "pubsub"])
                return bool(client.client_kill_filter(_type=kind, skipme=True))

            trial.break_things(seconds, drop, _PAUSE)
        return trial.finish()

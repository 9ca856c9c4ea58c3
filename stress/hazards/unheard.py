"""Connections are cut in the middle of replies: what was asked is done, and nobody hears of it."""

from __future__ import annotations

from stress.backends import RedisBackend
from stress.hazards.server_killed import KINDS
from stress.report import Report
from stress.trial import Trial
from stress.waiting import wait_until

_PAUSE = 0.03


def run(seed: int, seconds: float, workers: int) -> Report:
    """Cut one connection after the other, through a proxy."""
    with Trial("unheard", seed, workers, kinds=KINDS, storage="redis", prepare=interpose) as trial:
        trial.break_things(seconds, lambda: cut(trial), _PAUSE)
        return trial.finish()


def interpose(trial: Trial) -> None:
    """Put a proxy between the server and all who are to come."""
    assert isinstance(trial.backend, RedisBackend)
    trial.backend.interpose()


def cut(trial: Trial) -> bool:
    """Cut the connection on which the next reply comes."""
    assert isinstance(trial.backend, RedisBackend)
    proxy = trial.backend.proxy
    assert proxy is not None
    proxy.cut()
    wait_until(lambda: proxy.is_done)
    return True

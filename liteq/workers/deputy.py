"""What the dispatcher does when the supervisor was killed: see the workers to their end."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from typing import NamedTuple

from liteq import clock
from liteq.workers.options import ConsumerOptions
from liteq.workers.pool import Pool, Worker

logger = logging.getLogger("huey.consumer")

_DEFAULT_GRACE = 10.0


class Deputy:
    """The supervisor's part in a stop: a grace for running tasks, then TERM, then KILL."""

    def __init__(self, options: ConsumerOptions) -> None:
        grace = _DEFAULT_GRACE if options.shutdown_timeout is None else options.shutdown_timeout
        self._grace = int(grace * clock.SECOND)
        self._kill_after = int(options.kill_after * clock.SECOND)
        self._next_signal = signal.SIGTERM
        self._orphans: list[Orphan] = []
        self.deadline: int | None = None
        """When the patience with the workers ends next (monotonic microseconds); None while not in charge."""

    def take_over(self, pool: Pool, now: int) -> list[Orphan]:
        """The supervisor is gone: what the workers run may end, and then they do."""
        logger.error("The supervisor is gone: ending after the running tasks")
        self.deadline = now + self._grace
        processes: dict[int, list[Worker]] = {}
        for worker in pool:
            processes.setdefault(worker.pid, []).append(worker)
        self._orphans = [Orphan(pid, workers, _open(pid)) for pid, workers in processes.items()]
        return self._orphans

    def has_ended(self, orphan: Orphan) -> None:
        """A process is gone."""
        self._orphans.remove(orphan)
        if orphan.pidfd is not None:
            os.close(orphan.pidfd)

    def enforce(self, now: int) -> None:
        """End those who do not end by themselves."""
        if self.deadline is None or now < self.deadline:
            return
        for pid, workers, pidfd in self._orphans:
            numbers = ", ".join(str(worker.index + 1) for worker in workers)
            logger.warning("Worker %s (pid %d) gets %s", numbers, pid, self._next_signal.name)
            if pidfd is not None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, self._next_signal)
        self._next_signal = signal.SIGKILL
        self.deadline = now + self._kill_after


class Orphan(NamedTuple):
    """A process of workers whose supervisor is gone."""

    pid: int
    workers: list[Worker]
    pidfd: int | None
    """Can be read once the process has ended, and never means another one; None if it has ended already."""


def _open(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None

"""What the dispatcher does when the supervisor was killed: see the workers to their end."""

from __future__ import annotations

import contextlib
import logging
import os
import signal

from liteq import clock
from liteq.workers.options import ConsumerOptions
from liteq.workers.pool import Pool

logger = logging.getLogger("huey.consumer")

_DEFAULT_GRACE = 10.0


class Deputy:
    """The supervisor's part in a stop: a grace for running tasks, then TERM, then KILL."""

    def __init__(self, options: ConsumerOptions) -> None:
        grace = _DEFAULT_GRACE if options.shutdown_timeout is None else options.shutdown_timeout
        self._grace = int(grace * clock.SECOND)
        self._kill_after = int(options.kill_after * clock.SECOND)
        self._next_signal = signal.SIGTERM
        self.deadline: int | None = None
        """When the patience with the workers ends next (monotonic microseconds); None while not in charge."""

    @property
    def in_charge(self) -> bool:
        """Whether the supervisor is gone."""
        return self.deadline is not None

    def take_over(self, pool: Pool, now: int) -> None:
        """The supervisor is gone: what the workers run may end, and then they do."""
        logger.error("The supervisor is gone: ending after the running tasks")
        self.deadline = now + self._grace
        for worker in pool:
            worker.let_go()

    def enforce(self, pool: Pool, now: int) -> None:
        """End those who do not end by themselves."""
        if self.deadline is None or now < self.deadline:
            return
        for worker in pool:
            logger.warning("Worker %d (pid %d) gets %s", worker.index + 1, worker.pid, self._next_signal.name)
            # The pid can't have been reused: its line is still open, so the process has not ended.
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, self._next_signal)
        self._next_signal = signal.SIGKILL
        self.deadline = now + self._kill_after

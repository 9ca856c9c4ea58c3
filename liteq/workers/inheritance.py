"""The claims that a new dispatcher finds under its own name: those of the one before it, which died."""

from __future__ import annotations

from collections.abc import Iterable

from liteq import clock
from liteq.api import Huey
from liteq.identity import is_stopped
from liteq.messages import BACK, Claim, Settlement
from liteq.workers.pool import Attempt, Pool
from liteq.workers.recovery import returned

_PATIENCE = 1 * clock.SECOND


class Inheritance:
    """Claims whose fate is not known yet.

    Each is found in a worker's line (not started), on the board (running) or in a report (done). What is in
    none of these places after a while never left the dead dispatcher.
    """

    def __init__(self, claims: Iterable[Claim]) -> None:
        self._claims = {(claim.seq, claim.attempt): claim for claim in claims}
        self.deadline: int | None = None
        """When the patience ends (monotonic microseconds); None until the workers are known."""

    @property
    def is_open(self) -> bool:
        """Whether there are claims left."""
        return bool(self._claims)

    def take(self, attempt: Attempt) -> Claim | None:
        """The claim of an attempt, whose fate is known now."""
        return self._claims.pop(attempt, None)

    def workers_known(self, monotonic: int) -> None:
        """All workers have been attached, or no more will be."""
        if self._claims and self.deadline is None:
            self.deadline = monotonic + _PATIENCE

    def unaccounted(self, monotonic: int, huey: Huey, pool: Pool) -> list[Settlement]:
        """The ends of the claims that nobody has, once the patience is over."""
        if self.deadline is None or (self._claims and monotonic < self.deadline):
            return []
        claims = list(self._claims.values())
        self._claims.clear()
        self.deadline = None
        if any(is_stopped(worker.pid) for worker in pool):
            # One that was stopped in the instant between taking a task and saying so may have it.
            return [returned(huey, claim, "its dispatcher died") for claim in claims]
        return [Settlement(claim.key, BACK) for claim in claims]  # they never left the dead dispatcher

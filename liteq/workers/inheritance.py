"""The claims that a new dispatcher finds under its own name: those of the one before it, which died."""

from __future__ import annotations

from collections.abc import Iterable

from liteq import clock
from liteq.messages import Claim
from liteq.workers.pool import Attempt

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

    def unaccounted(self, monotonic: int) -> list[Claim]:
        """The claims that nobody has, once the patience is over."""
        if self.deadline is None or (self._claims and monotonic < self.deadline):
            return []
        claims = list(self._claims.values())
        self._claims.clear()
        self.deadline = None
        return claims

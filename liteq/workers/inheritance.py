"""The claims that a new dispatcher finds under its own name: those of the one before it, which died."""

from __future__ import annotations

from collections.abc import Iterable

from liteq.messages import BACK, Claim, Settlement
from liteq.workers.pool import Attempt


class Inheritance:
    """Claims whose fate is not known yet.

    Each is found in a worker's line (not started), on the board (running) or in a report (done). What is in
    none of these places once all workers have been looked at never left the dead dispatcher, or is given back
    by a worker: an epoch is over that can't begin any more.
    """

    def __init__(self, claims: Iterable[Claim]) -> None:
        self._claims = {(claim.seq, claim.attempt): claim for claim in claims}

    @property
    def is_open(self) -> bool:
        """Whether there are claims left; nothing that comes behind them should be claimed yet."""
        return bool(self._claims)

    def take(self, attempt: Attempt) -> Claim | None:
        """The claim of an attempt, whose fate is known now."""
        return self._claims.pop(attempt, None)

    def close(self) -> list[Settlement]:
        """All workers have been looked at: the ends of the claims that nobody has."""
        claims = list(self._claims.values())
        self._claims.clear()
        return [Settlement(claim.key, BACK) for claim in claims]

"""What a dispatcher does now and then, besides its tasks."""

from __future__ import annotations

from liteq import clock
from liteq.api import Huey
from liteq.workers.recovery import recover

_NEIGHBOURS_EVERY = 1 * clock.SECOND
_PRUNE_EVERY = clock.SECOND // 5
_PRUNED_AT_ONCE = 1_000


class Chores:
    """Extends the leases of its own claims, looks after those of consumers that died, prunes the history.

    Args:
        huey: the application's queue.
        owner: the consumer's id in storage.
        lease: microseconds that a claim lasts without being extended.
    """

    def __init__(self, huey: Huey, owner: int, lease: int) -> None:
        self._huey = huey
        self._owner = owner
        self._lease = lease
        self._next_extension = 0
        self._next_visit = 0
        self._next_pruning = 0

    def extend(self, monotonic: int, *, claims_held: bool) -> None:
        """Extend the leases, four times in the time that they last.

        Raises:
            StorageError: if storage fails.
        """
        if monotonic >= self._next_extension:
            if claims_held:
                self._huey.storage.extend(self._owner, monotonic + self._lease)
            self._next_extension = monotonic + self._lease // 4

    def prune(self, monotonic: int) -> None:
        """Delete the oldest entries of a history that is too long: a few, and again while there are more.

        Raises:
            StorageError: if storage fails.
        """
        if monotonic >= self._next_pruning:
            pruned = self._huey.storage.prune(clock.now(), _PRUNED_AT_ONCE)
            self._next_pruning = 0 if pruned == _PRUNED_AT_ONCE else monotonic + _PRUNE_EVERY

    def visit_neighbours(self, monotonic: int) -> bool:
        """Recover the tasks of dead consumers; whether there were any.

        Raises:
            StorageError: if storage fails.
        """
        if monotonic < self._next_visit:
            return False
        self._next_visit = monotonic + _NEIGHBOURS_EVERY
        return recover(self._huey, self._owner) > 0

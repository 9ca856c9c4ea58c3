"""What a dispatcher does now and then, besides its tasks."""

from __future__ import annotations

import logging

from liteq import clock
from liteq.api import Huey
from liteq.limits import instant
from liteq.slots import look
from liteq.workers.options import ConsumerOptions
from liteq.workers.recovery import recover

logger = logging.getLogger("huey.consumer")

_NEIGHBOURS_EVERY = 1 * clock.SECOND
_NEIGHBOURS_AFTER_OUTAGE = 5 * clock.SECOND
_PRUNE_EVERY = 1 * clock.SECOND
_LOOK_AT_LOCKS_EVERY = 60 * clock.SECOND
_LEASES_OF_SILENCE = 10
"""So long may a consumer that can't be looked at be silent before it counts as dead."""

# Small steps, so that no task waits for the write lock, and quick ones while there is more to do.
_PRUNED_AT_ONCE = 500
_PAUSE_BETWEEN_STEPS = 10_000


class Chores:
    """Extends the leases of its own claims, looks after those of consumers that died, deletes what is over.

    Args:
        huey: the application's queue.
        owner: the consumer's id in storage.
        lease: microseconds that a claim lasts without being extended.
    """

    def __init__(self, huey: Huey, owner: int, lease: int) -> None:
        self._huey = huey
        self._owner = owner
        self._lease = lease
        self.next_extension = 0
        """When `extend` has something to do (monotonic microseconds)."""
        self._next_visit = 0
        self._next_look_at_locks = 0
        self.next_pruning = 0
        """When `prune` has something to do, as far as is known (monotonic microseconds)."""

    def extend(self, monotonic: int, *, claims_held: bool) -> None:
        """Extend the leases, four times in the time that they last, and tell that this consumer works.

        Raises:
            StorageError: if storage fails.
        """
        if monotonic >= self.next_extension:
            if claims_held:
                # From now on: the turn may have begun long ago.
                self._huey.storage.extend(self._owner, clock.monotonic() + self._lease)
            self._huey.storage.renew(self._owner, _LEASES_OF_SILENCE * self._lease)
            self.next_extension = monotonic + self._lease // 4

    def visit_neighbours(self, monotonic: int) -> bool:
        """Recover the tasks of dead consumers; whether there were any.

        Raises:
            StorageError: if storage fails.
        """
        if monotonic < self._next_visit:
            return False
        recovered = recover(self._huey, self._owner)
        self._next_visit = monotonic + _NEIGHBOURS_EVERY
        return recovered > 0

    def storage_failed(self, monotonic: int) -> None:
        """Others could not extend their leases either: give them the time to, once it works again."""
        self._next_visit = monotonic + _NEIGHBOURS_AFTER_OUTAGE

    def prune(self, monotonic: int) -> None:
        """Delete what is over: expired results and locks, hits of rate limits, locks of the dead, history.

        Raises:
            StorageError: if storage fails.
        """
        if monotonic < self.next_pruning:
            return
        storage = self._huey.storage
        now = instant()
        pruned = max(
            storage.prune(_PRUNED_AT_ONCE, now=now, monotonic=monotonic),
            storage.prune_history(now.wall, _PRUNED_AT_ONCE),
        )
        self.next_pruning = monotonic + (_PAUSE_BETWEEN_STEPS if pruned >= _PRUNED_AT_ONCE else _PRUNE_EVERY)
        if monotonic >= self._next_look_at_locks:
            self._next_look_at_locks = monotonic + _LOOK_AT_LOCKS_EVERY
            for holder in look(storage).gone:
                storage.release_lock(holder, now=monotonic)


def flush_locks(huey: Huey, options: ConsumerOptions) -> None:
    """Free the locks that the options name, or all.

    Raises:
        StorageError: if storage fails.
    """
    if options.flush_locks or options.extra_locks:
        flushed = huey.flush_locks(*(() if options.flush_locks else options.extra_locks))
        logger.info("Locks flushed: %s", ", ".join(map(repr, sorted(flushed))) or "none was held")

"""The dispatcher towards storage: in each turn, one transaction settles and claims."""

from __future__ import annotations

import logging

from liteq.api import Huey
from liteq.messages import BACK, Claim, Settlement
from liteq.storage.base import ClaimOrder
from liteq.workers.beat import Beat
from liteq.workers.pool import Pool
from liteq.workers.shared import Journal
from liteq.workers.wire import MAX_PAYLOAD

logger = logging.getLogger("huey.consumer")


class Ledger:
    """What is settled but not committed, and what is known of the queue.

    Args:
        huey: the application's queue.
        owner: the consumer's id in storage.
        lease: microseconds that a claim lasts.
        beat: the periodic tasks.
        journal: holds the reports of what is not committed yet.
    """

    def __init__(self, huey: Huey, owner: int, lease: int, beat: Beat, journal: Journal) -> None:
        self._storage = huey.storage
        self._owner = owner
        self._lease = lease
        self._beat = beat
        self._journal = journal
        self._settlements: list[Settlement] = []
        self._claimed: list[Claim] = []
        self._to_sync = False
        self._due: int | None = None
        self.look = True
        """There may be something ready in storage."""

    @property
    def is_clear(self) -> bool:
        """Whether everything that was settled is committed."""
        return not self._settlements

    def settle(self, *settlements: Settlement) -> None:
        """End claims with the next transaction."""
        self._settlements.extend(settlements)

    def next_due(self) -> int | None:
        """When something is due (microseconds of UTC): a scheduled task, a periodic one."""
        return min((due for due in (self._due, self._beat.next_due()) if due is not None), default=None)

    def turn(self, now: int, monotonic: int, pool: Pool, *, claiming: bool) -> None:
        """Commit what is settled, claim as much as the pool has room for, and hand it out.

        Raises:
            StorageError: if storage fails; nothing is lost then, and the next turn tries again.
        """
        room = pool.room()
        if self._settlements or (claiming and self._has_reason(now, room)):
            self._commit(now, room, pool.idle(), claiming)
        if self._to_sync:
            self._storage.sync()  # a task that runs at most once may start now, even if the power fails then
            self._to_sync = False
        claims, self._claimed = self._claimed, []
        for claim in pool.hand_out(claims, monotonic):
            self.settle(Settlement(claim.key, BACK))  # it found no room after all
        if claiming and self._beat.is_stale(now):  # last, because it may take a look at storage
            self._fire(now)

    def _has_reason(self, now: int, room: int) -> bool:
        is_due = self._due is not None and self._due <= now
        return (self.look and room > 0) or is_due or self._beat.is_due(now)

    def _commit(self, now: int, room: int, idle: int, claiming: bool) -> None:
        settlements = self._settlements
        order = ClaimOrder(room, self._lease, idle, MAX_PAYLOAD) if claiming else None
        if claiming and self._beat.is_due(now):
            self._fire(now)
        # A claim that a power failure undoes is a task that is ready again: it needs no wait for the disk.
        durable = bool(settlements)
        held, claims, self._due = self._storage.turn(self._owner, settlements, order, now, durable=durable)
        self._settlements = []
        self._claimed.extend(claims)
        # What is still to be handed out from before, because the disk failed then, is still to be synced.
        self._to_sync = not durable and (self._to_sync or any(claim.at_most_once for claim in claims))
        self._journal.clear()
        # With no room, what these outcomes made ready waits for a look; with room left, nothing is ready.
        self.look = room <= len(claims) if claiming and room else self.look or bool(settlements)
        _warn_of_lost(settlements, held)

    def _fire(self, now: int) -> None:
        """Enqueue the periodic tasks that are due, before anything is claimed."""
        with self._storage.batch():
            self._beat.fire(now)
        self._beat.fired(now)

    def outranks(self, pool: Pool) -> bool:
        """Whether a ready task has a higher priority than the lowest of those that wait inside workers."""
        lowest = pool.lowest_waiting() if self.look else None
        if lowest is None:
            return False
        top = self._storage.top_priority()
        return top is not None and top > lowest

    def holds_back(self, pool: Pool) -> bool:
        """Whether a task that waits inside a worker has been paused meanwhile."""
        names: set[str | None] = {claim.name for claim in pool.waiting()} if self.look else set()
        return bool(names) and not self._storage.paused().isdisjoint({None, *names})


def _warn_of_lost(settlements: list[Settlement], held: list[bool]) -> None:
    for settlement, holds in zip(settlements, held, strict=True):
        if not holds:
            logger.warning("Message %d was taken by another; an outcome has no effect", settlement.key.seq)

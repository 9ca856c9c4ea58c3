"""The dispatcher towards storage: in each turn, one transaction settles and claims."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain, compress

from liteq import clock
from liteq.api import Huey
from liteq.messages import BACK, Claim, Disposition, Settlement
from liteq.storage.base import ClaimOrder
from liteq.workers.beat import Beat
from liteq.workers.pool import Pool
from liteq.workers.rings import Rings
from liteq.workers.wire import MAX_PAYLOAD

logger = logging.getLogger("huey.consumer")

_LONGEST_UNSYNCED = 2_000
"""Microseconds that a commit may have to wait for the disk: so much later is told of a result under load."""
_UNHEARD = nullcontext()


class Ledger:
    """What is settled but not committed, and what is known of the queue.

    Args:
        huey: the application's queue.
        owner: the consumer's id in storage.
        lease: microseconds that a claim lasts.
        beat: the periodic tasks.
        rings: hold the reports of what is not committed yet.
    """

    def __init__(self, huey: Huey, owner: int, lease: int, beat: Beat, rings: Rings) -> None:
        self._storage = huey.storage
        self._emitter = huey.emitter
        self._owner = owner
        self._lease = lease
        self._beat = beat
        self._rings = rings
        self._settlements: list[Settlement] = []
        self._claimed: list[Claim] = []
        self._unsynced_since: int | None = None
        """When the first commit was made that is not on the disk yet (monotonic microseconds)."""
        self._due: int | None = None
        self.look = True
        """There may be something ready in storage."""
        self._news = True
        """There may be something ready that was not when the tasks were claimed that wait inside workers."""

    @property
    def is_clear(self) -> bool:
        """Whether everything that was settled is committed, as durably as it should be."""
        return not self._settlements and self._unsynced_since is None

    def settle(self, *settlements: Settlement) -> None:
        """End claims with the next transaction."""
        self._settlements.extend(settlements)

    def look_anew(self) -> None:
        """Others have changed something in storage, or what was claimed goes back to it."""
        self.look = self._news = True

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
        self._rings.commit()
        if any(claim.at_most_once for claim in self._claimed):
            self._sync()  # it may start now, even if the power fails then
        claims, self._claimed = self._claimed, []
        for claim in pool.hand_out(claims, monotonic):
            self.settle(Settlement(claim.key, BACK))  # it found no room after all
        self._sync_in_time()  # the workers go on meanwhile
        if claiming and self._beat.is_stale(now):  # last, because it may take a look at storage
            self._fire(now)

    def _sync_in_time(self) -> None:
        """Have what was committed on the disk. What waits already may come first, and go along with it."""
        since = self._unsynced_since
        if since is None:
            return
        if clock.monotonic() - since >= _LONGEST_UNSYNCED or not self._rings.have_news():
            self._sync()

    def _sync(self) -> None:
        if self._unsynced_since is not None:
            self._storage.sync()
            self._unsynced_since = None

    def _is_due(self, now: int) -> bool:
        return self._due is not None and self._due <= now

    def _has_reason(self, now: int, room: int) -> bool:
        return (self.look and room > 0) or self._is_due(now) or self._beat.is_due(now)

    def _commit(self, now: int, room: int, idle: int, claiming: bool) -> None:
        settlements = self._settlements
        fires = claiming and self._beat.is_due(now)
        if fires:
            self._fire(now)
        arrives = fires or any(map(_makes_ready, settlements)) or self._is_due(now)
        self._news = self._news or arrives
        claims_too = claiming and (arrives or self._has_reason(now, room))
        order = ClaimOrder(room, self._lease, idle, MAX_PAYLOAD) if claims_too else None
        held: list[bool] = []
        with self._announced(settlements, held):
            asked = clock.monotonic()
            held[:], claims, self._due, listened = self._storage.turn(
                self._owner, settlements, order, now, durable=False
            )
        if listened is not None:
            self._emitter.learn(listened, asked)
        self._settlements = []
        self._claimed.extend(claims)
        # A claim that a power failure undoes is a task that is ready again: it needs no wait for the disk.
        if self._unsynced_since is None and (settlements or any(claim.at_most_once for claim in claims)):
            self._unsynced_since = clock.monotonic()
        # With no room, what has become ready in this turn waits for a look; else it is known what is left.
        self.look = self.look or arrives
        if claims_too and room:
            self.look = self._leaves(claims, room, idle)
        _warn_of_lost(settlements, held)

    def _announced(self, settlements: list[Settlement], held: list[bool]) -> AbstractContextManager[None]:
        """Tell those who listen of what is settled within the block."""
        if not any(settlement.outcome.events for settlement in settlements):
            return _UNHEARD
        return self._announcing([settlement.outcome.events for settlement in settlements], held)

    @contextmanager
    def _announcing(self, events: list[tuple[bytes, ...]], held: list[bool]) -> Iterator[None]:
        announcement = self._emitter.announce([*chain.from_iterable(events)])
        try:
            yield
        except BaseException:
            announcement.withdraw()
            raise
        announcement.confirm([*chain.from_iterable(compress(events, held))])

    def _leaves(self, claims: list[Claim], room: int, idle: int) -> bool:
        """Whether there may be something ready that was not claimed.

        One that runs at most once waits for a worker that is idle, and all behind it wait, too.
        """
        return room <= len(claims) or (idle <= len(claims) and self._storage.top_priority() is not None)

    def _fire(self, now: int) -> None:
        """Enqueue the periodic tasks that are due, before anything is claimed."""
        with self._storage.batch():
            self._beat.fire(now)
        self._beat.fired(now)

    def overtakes(self, pool: Pool) -> bool:
        """Whether tasks that wait inside workers should not: others come first by now, or they are paused."""
        if not self._news:
            return False
        overtakes = self._outranks(pool) or self._holds_back(pool)
        self._news = False
        return overtakes

    def _outranks(self, pool: Pool) -> bool:
        """Whether a ready task has a higher priority than the lowest of those that wait inside workers."""
        lowest = pool.lowest_waiting()
        if lowest is None or not self._storage.capabilities.priorities:
            return False
        top = self._storage.top_priority()
        return top is not None and top > lowest

    def _holds_back(self, pool: Pool) -> bool:
        """Whether a task that waits inside a worker has been paused meanwhile."""
        names: set[str | None] = {claim.name for claim in pool.waiting()}
        return bool(names) and not self._storage.paused().isdisjoint({None, *names})


def _makes_ready(settlement: Settlement) -> bool:
    """Whether there may be something to claim because of it, or something scheduled."""
    outcome = settlement.outcome
    return bool(outcome.messages or outcome.joins) or outcome.disposition is not Disposition.DONE


def _warn_of_lost(settlements: list[Settlement], held: list[bool]) -> None:
    for settlement, holds in zip(settlements, held, strict=True):
        if not holds:
            logger.warning("Message %d was taken by another; an outcome has no effect", settlement.key.seq)

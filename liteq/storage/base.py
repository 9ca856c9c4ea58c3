"""The storage contract: what every backend does, as conditions and effects.

A backend serves one named queue. A message is in exactly one state: *ready*, *scheduled*, *waiting* (the
callback of a chord whose members have not all ended), *claimed* or *dead*; each verb moves messages between
these states atomically. To be paused is no state: such a message is ready, and is not claimed. Verbs called
inside `batch()` are committed together where the backend can, so that any number of them cost one commit.

All times are integer microseconds: of the wall clock (UTC), except leases and the ends of locks, which are of
the monotonic clock, and the hits of rate limits, which have an `Instant`. A time that has been reached is
over: at `now == due` a message is due, at `now == until` a revocation has ended. A value that has expired is
not there, for any verb.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from liteq import clock
from liteq.bounds import LARGEST
from liteq.messages import Settlement
from liteq.storage.contract.chords import ChordContract
from liteq.storage.contract.consumers import ConsumerContract
from liteq.storage.contract.events import EventContract, Packet, Subscription
from liteq.storage.contract.inspection import DeadTask, InspectionContract, Taken
from liteq.storage.contract.limits import Instant, LimitContract
from liteq.storage.contract.locks import Holder, LockContract
from liteq.storage.contract.messages import ClaimOrder, MessageContract, Turn
from liteq.storage.contract.pauses import PauseContract
from liteq.storage.contract.periodic import PeriodicContract
from liteq.storage.contract.records import RecordContract
from liteq.storage.contract.results import ResultContract, WakeSource, Wakeup
from liteq.storage.contract.revocations import RevocationContract

__all__ = [
    "Capabilities",
    "ClaimOrder",
    "DeadTask",
    "Holder",
    "Instant",
    "Packet",
    "Storage",
    "Subscription",
    "Taken",
    "Turn",
    "WakeSource",
    "Wakeup",
]


class Capabilities(NamedTuple):
    """What a backend can do; what it cannot is refused with a clear error, never ignored."""

    durable: bool
    """Messages outlive the process."""
    shared: bool
    """Other processes see the same queue, so a consumer can serve it."""
    priorities: bool = True
    """Messages have priorities; if not, one with a priority is refused."""
    max_payload: int | None = None
    """The most bytes that the data of a message, or a result, may have; None if there is no such limit."""
    events: bool = False
    """Other processes can listen to live events, or other threads if it is not shared."""
    highest_priority: int = LARGEST
    """The lowest is its negative; beyond, one would not be told from another."""


class Storage(
    MessageContract,
    ChordContract,
    ResultContract,
    RevocationContract,
    PauseContract,
    PeriodicContract,
    LockContract,
    LimitContract,
    ConsumerContract,
    InspectionContract,
    RecordContract,
    EventContract,
):
    """One named queue in some medium; the verbs stand in `liteq.storage.contract`, by concern."""

    name: str
    capabilities: Capabilities

    @abstractmethod
    def describe(self) -> str:
        """Where the queue lives and how durable it is, for the consumer's log."""

    @abstractmethod
    def close(self) -> None:
        """Give back every connection; the next verb opens a new one."""

    @contextmanager
    def batch(self, *, durable: bool = True) -> Iterator[None]:
        """Verbs of this thread within the block are committed together, or not at all if it raises.

        With `durable` False, a power failure may undo the batch as a whole until the next `sync` or durable
        batch; the death of a process never does. That is enough for claims: undone, they are ready again. Who
        waits for results may be told of those in the batch only by that `sync`.
        """
        del durable
        yield

    def abandon(self) -> None:
        """Undo what was stopped just when it began or ended: no batch or verb of this thread is under way."""

    def turn(
        self,
        owner: int,
        settlements: Sequence[Settlement],
        order: ClaimOrder | None,
        now: int,
        *,
        durable: bool = True,
    ) -> Turn:
        """Settle, then claim for `owner` (nothing without an order), committed together as a batch is.

        It is what a consumer does all the time; a backend may have a shorter way to do it.
        """
        with self.batch(durable=durable):
            held = self.settle(settlements, now) if settlements else []
            claims = []
            if order is not None:
                claims = self.claim(
                    owner,
                    order.limit,
                    now=now,
                    # From now on: it may have waited long for its turn.
                    lease=clock.monotonic() + order.lasts,
                    startable=order.startable,
                    inline=order.inline,
                )
            return Turn(held, claims, self.next_due())

    def sync(self) -> None:
        """Make what has been committed survive a power failure, if the backend promises that at all."""

    def maintain(self, *, full: bool = False) -> None:
        """Do what storage needs now and then; consumers call it after each batch, so it is cheap.

        With `full`, there is no room left: give back as much as can be.
        """

    def prune(self, limit: int, *, now: Instant, monotonic: int) -> int:
        """Delete up to `limit` each of the results, locks and hits that are over and that no verb sees.

        How many it deleted. A backend where they go by themselves has nothing to do.
        """
        del limit, now, monotonic
        return 0

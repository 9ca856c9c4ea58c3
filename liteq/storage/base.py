"""The storage contract: what every backend does, as conditions and effects.

A backend serves one named queue. A message is in exactly one state: *ready*, *scheduled*, *claimed* or
*dead*; each verb below moves messages between these states atomically. Verbs called inside `batch()` are
committed together where the backend can, so that any number of them cost one commit.

All times are integer microseconds: `now` and `due` of the wall clock (UTC), `lease` of the monotonic clock.
A time that has been reached is over: at `now == due` a message is due, at `now == until` a revocation has
ended. A value that has expired is not there, for any verb.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from liteq.identity import Identity
from liteq.messages import Claim, ClaimKey, Message, Revocation, Settlement


class Capabilities(NamedTuple):
    """What a backend can do; what it cannot is refused with a clear error, never ignored."""

    durable: bool
    """Messages outlive the process."""
    shared: bool
    """Other processes see the same queue, so a consumer can serve it."""


class Wakeup(Protocol):
    """A wait for something to change in storage. Take `ticket`, look at the storage, then wait."""

    @property
    def watching(self) -> bool:
        """Whether every change ends a wait; if not, the waiter has to look for itself now and then."""

    def ticket(self) -> int:
        """A mark of what has been seen so far; a change after it ends a `wait` at once."""

    def wait(self, ticket: int, timeout: float) -> bool:
        """Wait until something changed since the ticket; False when `timeout` seconds passed first."""


class WakeSource(Protocol):
    """A file descriptor that becomes readable when there may be new work."""

    def fileno(self) -> int:
        """The descriptor, for a selector."""

    def drain(self) -> None:
        """Take what is pending, so that the descriptor is quiet until the next change."""

    def close(self) -> None:
        """Stop watching."""


class DeadTask(NamedTuple):
    """A message that will not run again by itself."""

    id: str
    name: str
    data: bytes
    attempts: int
    crashes: int
    died: int
    """When, in microseconds of UTC."""
    reason: str


class Storage(ABC):
    """One named queue in some medium."""

    name: str
    capabilities: Capabilities

    # Lifecycle

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
        batch; the death of a process never does. That is enough for claims: undone, they are ready again.
        """
        del durable
        yield

    def sync(self) -> None:  # noqa: B027 -- most backends need none
        """Make what has been committed survive a power failure, if the backend promises that at all."""

    # Messages

    @abstractmethod
    def put(self, messages: Sequence[Message], now: int) -> None:
        """Store all of `messages` or none: those due after `now` as scheduled, the others as ready.

        When it returns, they are as durable as the backend promises, and consumers have been woken.
        """

    @abstractmethod
    def claim(
        self, owner: int, limit: int, *, now: int, lease: int, startable: int | None = None
    ) -> list[Claim]:
        """Claim up to `limit` ready messages for `owner`, the highest priority first, oldest first within it.

        Scheduled messages that are due at `now` become ready first. Each claim has `attempt` one higher than
        the last and expires at `lease`. A message that is revoked at `now` is claimed with `revoked` set; a
        revocation of a whole task that holds once is then used up by this message alone. An at-most-once
        message is claimed only among the first `startable` of the batch (None: anywhere), because being
        claimed means for it that it may have started.
        """

    @abstractmethod
    def settle(self, settlements: Sequence[Settlement], now: int) -> list[bool]:
        """End claims with their outcomes; for each, whether the claim still held.

        If it held, the effects of the outcome (results, new messages, and with DONE the end of the message's
        own revocation, unless its status is "retrying") and the end of the claim are one transaction. If not,
        nothing of that outcome is stored. The status "crashed" adds one to the crashes of the message.
        """

    @abstractmethod
    def apply(self, settlement: Settlement, now: int) -> None:
        """Store the effects of an outcome of a task that was never claimed; its key is not looked at."""

    @abstractmethod
    def extend(self, owner: int, lease: int) -> int:
        """Move the end of all leases of `owner` to `lease`; how many claims it holds."""

    @abstractmethod
    def held(self, owner: int) -> list[Claim]:
        """The claims of `owner`, in the order in which it would have run them."""

    @abstractmethod
    def data_of(self, key: ClaimKey) -> bytes | None:
        """The data of a claimed message; None if the claim does not hold."""

    @abstractmethod
    def top_priority(self) -> int | None:
        """The priority of the ready message that would be claimed next; None if there is none."""

    @abstractmethod
    def expired(self, now_monotonic: int) -> list[Claim]:
        """Claims whose lease has ended, whoever holds them."""

    @abstractmethod
    def next_due(self) -> int | None:
        """When the earliest scheduled message is due; None if nothing is scheduled."""

    @abstractmethod
    def revive(self, ids: Sequence[str]) -> int:
        """Make dead messages ready again, in their old place and with no crash on their account; how many.

        A revocation of such a message still holds.
        """

    # Consumers

    @abstractmethod
    def register(self, consumer: Identity) -> int:
        """Enter a consumer; its id as an owner of claims, never used again."""

    @abstractmethod
    def attend(self, owner: int, dispatcher: Identity) -> None:
        """Note which process now claims and settles for `owner`."""

    @abstractmethod
    def unregister(self, owner: int) -> None:
        """Strike a consumer off. Its claims, if any, stay for whoever recovers them."""

    @abstractmethod
    def consumers(self) -> dict[int, tuple[Identity, Identity | None]]:
        """The registered consumers, by id: the process that was registered and the one that attends to it."""

    # Periodic slots

    @abstractmethod
    def take_slot(self, name: str, slot: int) -> bool:
        """Note that `name` fired for `slot`, a minute; False if it already had, or for a later one.

        A later one by more than a day was noted by a clock that was wrong, and does not count.
        """

    @abstractmethod
    def know_slot(self, name: str, slot: int) -> None:
        """Note `slot` as if `name` had fired for it, if nothing is noted of `name` yet."""

    # Results

    @abstractmethod
    def put_result(self, key: str, value: bytes) -> None:
        """Store a value, replacing what was there."""

    @abstractmethod
    def put_if_empty(self, key: str, value: bytes, *, now: int, expires: int | None = None) -> bool:
        """Store a value unless there is one that has not expired at `now`; whether it was stored."""

    @abstractmethod
    def peek_result(self, key: str) -> bytes | None:
        """The value, left where it is."""

    @abstractmethod
    def pop_result(self, key: str) -> bytes | None:
        """The value, removed: of several callers at once exactly one gets it."""

    @abstractmethod
    def delete_result(self, key: str) -> bool:
        """Remove a value; whether there was one."""

    @abstractmethod
    def results(self) -> dict[str, bytes]:
        """All stored values."""

    @abstractmethod
    def result_count(self) -> int:
        """How many values are stored."""

    @abstractmethod
    def is_live(self, id: str) -> bool:
        """Whether a message with this id, or a pipeline that contains it, is still ahead of its end.

        Dead messages are at their end. A task that is not live and has no result will not get one.
        """

    @abstractmethod
    def results_wakeup(self) -> Wakeup:
        """Wakes when results may have been stored or tasks may have ended."""

    @abstractmethod
    def work_source(self) -> WakeSource | None:
        """A descriptor for consumers; None where it can't be had, and the consumer has to poll."""

    @abstractmethod
    def version(self) -> int:
        """A number that differs from the last one if another connection has changed the storage since."""

    # Revocations

    @abstractmethod
    def revoke(self, key: str, revocation: Revocation) -> None:
        """Revoke: `key` is `r:` and a task's id, or `rt:` and the name of a task."""

    @abstractmethod
    def restore(self, key: str) -> bool:
        """Undo a revocation; whether there was one."""

    @abstractmethod
    def revocations(self, keys: Sequence[str]) -> dict[str, Revocation]:
        """The revocations that there are of `keys`."""

    # Housekeeping

    def maintain(self) -> None:  # noqa: B027 -- most backends need none
        """Do what storage needs now and then; consumers call it after each batch, so it is cheap."""

    # Inspection

    @abstractmethod
    def pending(self, limit: int | None = None) -> list[bytes]:
        """The data of ready messages, in the order in which they would be claimed."""

    @abstractmethod
    def pending_count(self) -> int:
        """How many messages are ready."""

    @abstractmethod
    def scheduled(self, limit: int | None = None) -> list[bytes]:
        """The data of scheduled messages, the earliest first."""

    @abstractmethod
    def scheduled_count(self) -> int:
        """How many messages are scheduled."""

    @abstractmethod
    def take_due(self, now: int) -> list[bytes]:
        """Remove the scheduled messages that are due, and return their data (for applications' own tests)."""

    @abstractmethod
    def running_count(self) -> int:
        """How many messages are claimed."""

    @abstractmethod
    def dead(self, limit: int | None = None) -> list[DeadTask]:
        """Dead messages, the latest first."""

    @abstractmethod
    def flush(self) -> None:
        """Delete everything that belongs to this queue, results and revocations included.

        Claims go too: a task that is running meanwhile loses its claim, and its outcome has no effect.
        Registered consumers and the slots for which periodic tasks have fired stay.
        """

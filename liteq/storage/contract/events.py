"""The verbs of live events: bytes that whoever listens at the moment gets, and that are kept nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Packet(NamedTuple):
    """What is published at once; it arrives whole, or not at all."""

    data: bytes
    events: int
    """How many events are lost with it."""


class Subscription(Protocol):
    """One listener. It belongs to the process that made it, and to one thread at a time."""

    @property
    def dropped(self) -> int:
        """How many events it is known to have missed so far, because it was too slow."""

    def receive(self, timeout: float | None) -> list[bytes]:
        """The packets that have arrived, in their order; waits for the first up to `timeout` seconds.

        None waits for ever. The list is empty if none has come, or if there is news of `dropped` alone.
        """

    def close(self) -> None:
        """Listen no more; what has not been received is gone."""


class EventContract:
    """Live events, for backends that have the capability `events`; the others have nobody who listens.

    What one process publishes before another does, because the other acts upon it, arrives before it.
    """

    look_again_after: float = 0.05
    """Seconds for which an answer of `has_subscribers` may be kept."""

    def has_subscribers(self) -> bool:
        """Whether anybody listens to the queue's events; it looks anew, as cheaply as it can."""
        return False

    def publish(self, packets: Sequence[Packet]) -> None:
        """Give packets to those whom `has_subscribers` has found.

        It never waits, and raises nothing: who does not keep up misses packets, and is told how many events.
        """
        del packets

    def subscribe(self) -> Subscription:
        """Begin to listen.

        Raises:
            StorageError: if it can't be done here.
        """
        raise NotImplementedError(f"{type(self).__name__} has no live events")

"""The verbs of live events, between the threads of one process."""
# ruff: noqa: D102 -- the verbs are documented by the contract, and stand in its order

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from threading import Condition
from weakref import WeakSet

from liteq.storage.base import Packet, Subscription
from liteq.storage.memory.tables import Tables

_MOST_WAITING = 10_000
"""Packets that a listener may leave waiting."""


class MemorySubscription:
    """One listener; what is published waits in it."""

    def __init__(self) -> None:
        self._dropped = 0
        self.is_closed = False
        self._waiting: deque[bytes] = deque()
        self._changed = Condition()

    @property
    def dropped(self) -> int:
        return self._dropped

    def add(self, packet: Packet) -> None:
        """Take a packet in, if there is room."""
        with self._changed:
            if len(self._waiting) < _MOST_WAITING:
                self._waiting.append(packet.data)
            else:
                self._dropped += packet.events
            self._changed.notify()

    def receive(self, timeout: float | None) -> list[bytes]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self.is_closed, timeout)
            packets = list(self._waiting)
            self._waiting.clear()
            return packets

    def close(self) -> None:
        with self._changed:
            self.is_closed = True
            self._waiting.clear()
            self._changed.notify()


class EventVerbs(Tables):
    """Live events of one queue in memory."""

    look_again_after = 0.0

    def __init__(self) -> None:
        super().__init__()
        self._subscriptions: WeakSet[MemorySubscription] = WeakSet()

    def has_subscribers(self) -> bool:
        return bool(self._open())

    def publish(self, packets: Sequence[Packet]) -> None:
        for subscription in self._open():
            for packet in packets:
                subscription.add(packet)

    def subscribe(self) -> Subscription:
        subscription = MemorySubscription()
        with self._lock:
            self._subscriptions.add(subscription)
        return subscription

    def _open(self) -> list[MemorySubscription]:
        with self._lock:
            return [one for one in self._subscriptions if not one.is_closed]

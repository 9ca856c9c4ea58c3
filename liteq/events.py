"""Live events, for those who listen to them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from liteq import clock
from liteq.emitter import DROP, HOLD, RELEASE
from liteq.exceptions import ConfigurationError
from liteq.storage.base import Storage
from liteq.storage.contract.events import Subscription

Event = dict[str, Any]
"""What happened, as values that can be written as JSON."""

_HELD_FOR_AT_MOST = 60 * clock.SECOND
"""A process that has told nothing of a commit for so long has died in it."""
_MOST_HELD = 20_000


class Events:
    """The part of the queue's surface that listens."""

    name: str
    storage: Storage

    def events(self, timeout: float | None = None) -> EventStream:
        """Listen to what happens to the queue's tasks from now on, in any process.

        Args:
            timeout: seconds without an event after which the iteration ends; None: it does not.

        Raises:
            ConfigurationError: if the backend has no live events.
            StorageError: if nobody can listen there; so does the iteration, if that is so later on.
            ValueError: if the timeout is no number of seconds.
        """
        if not self.storage.capabilities.events:
            raise ConfigurationError(
                f"{type(self.storage).__name__} has no live events: use signals, or a backend that has them, "
                "like SQLite or Redis"
            )
        seconds = None if timeout is None else clock.seconds_of(timeout, "timeout")
        stream = EventStream(self.name, self.storage.subscribe(), seconds)
        time.sleep(self.storage.look_again_after)  # until then, some may still think that nobody listens
        return stream


class EventStream:
    """An iterator of events, each a dict that can be written as JSON; it is for one thread.

    It listens from the beginning, and until it is closed: as a context manager, by `close`, or when nobody
    refers to it any more.
    """

    def __init__(self, queue: str, subscription: Subscription, timeout: float | None) -> None:
        self._queue = queue
        self._subscription = subscription
        self._timeout = timeout
        self._held = Held()
        self._ready: deque[Event] = deque()
        self._told = 0
        self._closed = False

    @property
    def dropped(self) -> int:
        """How many events are known to have been missed, because they came faster than they were taken."""
        return self._subscription.dropped + self._held.dropped

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Listen no more; the iteration is over."""
        self._closed = True
        self._ready.clear()
        self._subscription.close()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        deadline = None if self._timeout is None else clock.monotonic() + int(self._timeout * clock.SECOND)
        while not self._ready:
            left = clock.seconds_until(deadline, clock.monotonic())
            over = left is not None and left <= 0
            if not self._closed:
                self._receive(0 if over else left)  # at least once: with timeout=0, what has come is shown
            if not self._ready and (self._closed or over):
                raise StopIteration
        return self._ready.popleft()

    def _receive(self, timeout: float | None) -> None:
        for packet in self._subscription.receive(timeout):
            self._ready.extend(self._held.take(packet, clock.monotonic()))
        missed = self.dropped - self._told
        if missed:
            self._told += missed
            self._ready.append({"status": "dropped", "count": missed, "queue": self._queue})


class Held:
    """Decides when events are shown: those of a transaction once it is committed, and never out of order."""

    def __init__(self) -> None:
        self.dropped = 0
        """Events of transactions of which it was never known whether they were committed."""
        self._transactions: dict[bytes, tuple[int, list[Event]]] = {}
        """Since when they are held, and their events, by token."""
        self._tokens: dict[str, bytes] = {}
        """Of the transactions, by the ids of the tasks that their events tell of."""
        self._number = 0

    def take(self, packet: bytes, now: int) -> Iterator[Event]:
        """The events that are to be shown now that a packet has come, at `now` (monotonic microseconds)."""
        import json  # loaded only where somebody listens

        head, *lines = packet.split(b"\n")
        what, _, token = head.partition(b" ")
        events: list[Event] = [json.loads(line) for line in lines]
        for event in events if self._tokens else ():
            # Something has happened to the task after that transaction: so it was committed.
            earlier = self._tokens.get(event["id"])
            if earlier is not None and earlier != token:
                yield from self._release(earlier)
        if what == HOLD:
            self._hold(token, events, now)
        elif what == RELEASE:
            yield from self._release(token)
        elif what == DROP:
            self._release(token)
        else:
            yield from events

    def _hold(self, token: bytes, events: list[Event], now: int) -> None:
        _, held = self._transactions.setdefault(token, (now, []))
        held += events
        self._number += len(events)
        self._tokens.update((event["id"], token) for event in events if event["id"] is not None)
        while (oldest := self._too_old(now)) is not None:
            self.dropped += len(self._release(oldest))

    def _too_old(self, now: int) -> bytes | None:
        token, (since, _) = next(iter(self._transactions.items()), (None, (now, [])))
        return token if now - since > _HELD_FOR_AT_MOST or self._number > _MOST_HELD else None

    def _release(self, token: bytes) -> list[Event]:
        _, events = self._transactions.pop(token, (0, []))
        self._number -= len(events)
        for event in events:
            if self._tokens.get(event["id"]) == token:
                del self._tokens[event["id"]]
        return events

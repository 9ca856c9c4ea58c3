"""What tells live events to whoever listens, from the processes in which they happen.

Nobody listens most of the time, so each process asks storage for that a few times a second at the most, and
only while something happens; or one that has come to know it tells others. Who begins to listen waits until
all have to ask again.
"""

from __future__ import annotations

import logging
import os
import threading
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol

from liteq import clock
from liteq import signals as s
from liteq.messages import Claim, Message
from liteq.registry import Registry
from liteq.storage.base import Packet, Storage
from liteq.tasks import PeriodicTask, Task

logger = logging.getLogger("huey")

STATUSES = {s.SIGNAL_EXECUTING: "started", s.SIGNAL_COMPLETE: "finished"}
"""The words of huey 0.4 for signals that have other names today."""
_ERRORS = {s.SIGNAL_ERROR, s.SIGNAL_TIMEOUT, s.SIGNAL_CRASHED, s.SIGNAL_DEAD}
_LONGEST_TRACEBACK = 20_000
"""Characters, of which the last ones say most."""
_EVENTS_IN_PACKET = 50

PLAIN, HOLD, RELEASE, DROP = b"", b"hold", b"release", b"drop"
"""What a packet asks of a listener: to show its events, to hold them, or what becomes of those it holds."""


class EventHost(Protocol):
    """What is needed of the application's queue."""

    name: str
    utc: bool
    storage: Storage
    registry: Registry


class Silence(Protocol):
    """What several processes know together."""

    silent_until: int
    """Until when it is known that nobody listens (monotonic microseconds)."""


class Announcement:
    """Events of a transaction, which listeners hold until it is known whether it has been committed."""

    def __init__(self, emitter: Emitter, events: Sequence[bytes]) -> None:
        self._emitter = emitter
        self._events = events
        self._token = os.urandom(8).hex().encode() if events else b""
        self._emitter.send(events, HOLD, self._token)

    def confirm(self, held: Sequence[bytes] | None = None) -> None:
        """It has been; with `held`, these are the events that came true."""
        if held is None or len(held) == len(self._events):
            self._tell(RELEASE)
        else:
            self._tell(DROP)
            self._emitter.send(held)

    def withdraw(self) -> None:
        """It has not been."""
        self._tell(DROP)

    def _tell(self, what: bytes) -> None:
        if self._token:
            self._emitter.tell(what, self._token)
            self._token = b""


class Emitter:
    """The events of one queue, as a process tells them."""

    def __init__(self, host: EventHost) -> None:
        self._host = host
        self._listened = False
        self._look_at = 0
        self.silence: Silence | None = None
        """What the processes of a consumer share."""
        self.kept: dict[int, list[bytes]] = {}
        """Events that are told once what they tell of is stored, by thread (or greenlet)."""

    def is_listened(self) -> bool:
        """Whether anybody listens, or did a moment ago: a look at the clock, most of the time."""
        now = clock.monotonic()
        if now >= self._look_at:
            if self.silence is not None and now < self.silence.silent_until:
                return False
            self._learn(self._host.storage.has_subscribers(), now)
        return self._listened

    def learn(self, listened: bool, asked: int) -> None:
        """Take note of what storage has said, having been asked at that moment, and let others know."""
        self._learn(listened, asked)
        if self.silence is not None:
            self.silence.silent_until = 0 if listened else self._look_at

    def _learn(self, listened: bool, asked: int) -> None:
        self._listened = listened
        self._look_at = asked + int(self._host.storage.look_again_after * clock.SECOND)

    # What has happened

    def note(self, signal: str, task: Task | None, exception: BaseException | None = None) -> None:
        """A signal was sent: tell of the start of an attempt, keep the rest until `take` or `flush`."""
        self.kept.setdefault(threading.get_ident(), []).append(self.event(signal, task, exception))
        if signal == s.SIGNAL_EXECUTING:
            self.flush()

    def take(self) -> tuple[bytes, ...]:
        """What is kept of this thread; whoever takes it has it told once it is stored."""
        return tuple(self.kept.pop(threading.get_ident(), ())) if self.kept else ()

    def flush(self) -> None:
        """Tell what is kept: it is stored, or has happened in any case."""
        if self.kept:
            self.send(self.take())

    @contextmanager
    def announced(self, events: Sequence[bytes]) -> Iterator[Announcement]:
        """Commit what the events tell of within the block: they are shown after it, before later ones.

        They are not if it raises, or withdraws them.
        """
        announcement = self.announce(events)
        try:
            yield announcement
        except BaseException:
            announcement.withdraw()
            raise
        announcement.confirm()

    def announce(self, events: Sequence[bytes]) -> Announcement:
        """The same in two steps."""
        return Announcement(self, events)

    # Events

    def event(self, signal: str, task: Task | None, exception: BaseException | None = None) -> bytes:
        """The event of a signal, as JSON."""
        if task is None:
            return self._event(signal)
        periodic = isinstance(task, PeriodicTask) or task.slot is not None
        return self._event(
            signal,
            id=task.id,
            task=task.name,
            name=task.registry_key,
            retries=task.retries,
            retry_delay=task.retry_delay,
            execute_time=self._seconds(task.eta),
            attempt=None if task.claim is None else task.claim.attempt,
            periodic=periodic,
            **({} if exception is None else _described(exception)),
        )

    def of_enqueued(self, calls: Iterable[tuple[Task, Message]], now: int) -> list[bytes]:
        """The events of tasks that are about to be enqueued."""
        events = []
        for task, message in calls:
            events.append(self.event(s.SIGNAL_ENQUEUED, task))
            if message.due is not None and message.due > now:
                events.append(self.event(s.SIGNAL_SCHEDULED, task))
        return events

    def of_claim(self, claim: Claim | None, *signals: str, message: str | None = None) -> tuple[bytes, ...]:
        """The events of an attempt, or a worker, that ended in a way that only the consumer knows of."""
        if not self.is_listened():
            return ()
        known: dict[str, Any] = {"message": message}
        if claim is not None:
            periodic = claim.name in self._host.registry.periodic_classes()
            known |= {"id": claim.id, "task": claim.name.rpartition(".")[2], "name": claim.name}
            known |= {"attempt": claim.attempt, "periodic": periodic}
        return tuple(self._event(signal, **known) for signal in signals)

    def _event(self, signal: str, **known: Any) -> bytes:
        import json  # loaded only where somebody listens

        event: dict[str, Any] = {
            "status": STATUSES.get(signal, signal),
            "id": None,
            "task": None,
            "retries": None,
            "retry_delay": None,
            "execute_time": None,
            "error": signal in _ERRORS,
            "traceback": None,
            "message": None,
            "time": clock.now() / clock.SECOND,
            "name": None,
            "attempt": None,
            "periodic": False,
            "queue": self._host.name,
            "pid": os.getpid(),
        }
        return json.dumps(event | known, default=str).encode()

    def _seconds(self, eta: datetime | None) -> float | None:
        return None if eta is None else clock.to_us(eta, self._host.utc) / clock.SECOND

    # Packets

    def send(self, events: Sequence[bytes], what: bytes = PLAIN, token: bytes = b"") -> None:
        """Tell events, to be shown at once or to be held."""
        if not (events and self.is_listened()):  # another process may have seen somebody who listens
            return
        parts = [events[at : at + _EVENTS_IN_PACKET] for at in range(0, len(events), _EVENTS_IN_PACKET)]
        head = b" ".join((what, token))
        self._host.storage.publish([Packet(b"\n".join((head, *part)), len(part)) for part in parts])

    def tell(self, what: bytes, token: bytes) -> None:
        """Tell what has become of events that are held."""
        self._host.storage.publish([Packet(b" ".join((what, token)), 0)])


def _described(exception: BaseException) -> dict[str, str]:
    try:
        message = repr(exception)
        lines = "".join(traceback.format_exception(exception))
    except Exception:  # noqa: BLE001 -- of an exception that can't even be shown, its kind is
        message = lines = type(exception).__name__
    return {"message": message, "traceback": lines[-_LONGEST_TRACEBACK:]}

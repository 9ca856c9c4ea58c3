"""Signals of tasks: what happened to one, told to receivers in the process where it happened."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

SIGNAL_CANCELED = "canceled"
SIGNAL_COMPLETE = "complete"
SIGNAL_ERROR = "error"
SIGNAL_EXECUTING = "executing"
SIGNAL_EXPIRED = "expired"
SIGNAL_LOCKED = "locked"
SIGNAL_RETRYING = "retrying"
SIGNAL_REVOKED = "revoked"
SIGNAL_SCHEDULED = "scheduled"
SIGNAL_INTERRUPTED = "interrupted"
SIGNAL_ENQUEUED = "enqueued"
SIGNAL_TIMEOUT = "timeout"
SIGNAL_RATE_LIMITED = "rate-limited"
SIGNAL_WORKER_DIED = "worker-died"
SIGNAL_CRASHED = "crashed"
SIGNAL_DEAD = "dead"

Receiver = Callable[..., Any]

_ANY = "any"

logger = logging.getLogger("huey")


class Tap(Protocol):
    """What is told of every signal, while it wants to be."""

    def is_listened(self) -> bool:
        """Whether it wants to be told; it is asked for each signal."""

    def note(self, signal: str, task: Any, *args: Any) -> None:
        """A signal was sent."""


class Signal:
    """Receivers by signal. A receiver is called as `receiver(signal, task, *args)`."""

    __slots__ = ("receivers", "tap")

    def __init__(self, tap: Tap | None = None) -> None:
        self.receivers: dict[str, list[Receiver]] = {_ANY: []}
        self.tap = tap
        """Told before the receivers; `has_receivers` does not count it."""

    def connect(self, receiver: Receiver, *signals: str) -> None:
        """Call the receiver for these signals, or for all if none is named."""
        for signal in signals or (_ANY,):
            registered = self.receivers.setdefault(signal, [])
            if receiver not in registered:
                registered.append(receiver)

    def disconnect(self, receiver: Receiver, *signals: str) -> None:
        """Stop calling the receiver for these signals, or for any if none is named."""
        for signal in signals or tuple(self.receivers):
            registered = self.receivers.get(signal, [])
            if receiver in registered:
                registered.remove(receiver)

    def has_receivers(self, signal: str) -> bool:
        """Whether anybody wants to be told of the signal."""
        return bool(self.receivers.get(signal) or self.receivers[_ANY])

    def send(self, signal: str, task: Any, *args: Any, **kwargs: Any) -> None:
        """Call the receivers of the signal, then those of any; one that raises does not stop the others."""
        if self.tap is not None and self.tap.is_listened():
            try:
                self.tap.note(signal, task, *args)
            except Exception:
                logger.exception("Signal %s of task %s can't be told to who listens", signal, task)
        if self.has_receivers(signal):
            self.call(signal, task, *args, **kwargs)

    def call(self, signal: str, task: Any, *args: Any, **kwargs: Any) -> None:
        """The same for the receivers alone, where the tap has no part in it."""
        if not self.has_receivers(signal):
            return
        for receiver in (*self.receivers.get(signal, ()), *self.receivers[_ANY]):
            try:
                receiver(signal, task, *args, **kwargs)
            except Exception:
                logger.exception("Receiver %r of signal %s raised for task %s", receiver, signal, task)

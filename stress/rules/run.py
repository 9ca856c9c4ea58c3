"""What a rule is about, and is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from stress import history as h
from stress.history import Event

DEAD = "dead"
"""The end of a task that is kept as dead."""
ERROR = "error"
"""The end of a task whose result is an error."""


@dataclass
class Run:
    """A history, and what is left in the queue after it."""

    events: list[Event]
    ends: dict[str, Any]
    """Of each acknowledged task that has an end: its value, ERROR or DEAD."""
    twice: list[str] = field(default_factory=list)
    """Tasks whose result was there again after it had been read."""
    workers: int = 2
    may_repeat: bool = True
    """Tasks may start more than once: something is killed or interrupted."""
    lease: float = 0
    """Seconds for which a claim holds, where that is to be looked at."""
    interval: float = 0
    """Seconds between the slots of the periodic task, each of which must have fired; 0: there is none."""

    def of(self, kind: str) -> Iterator[Event]:
        """The events of a kind, in order."""
        return (event for event in self.events if event.kind == kind)

    def lost(self) -> dict[tuple[int, int], Event]:
        """The attempts whose claim was found expired, and when first: they may go on nevertheless."""
        lost: dict[tuple[int, int], Event] = {}
        for event in self.of(h.EXPIRED):
            lost.setdefault((event.seq, event.attempt), event)
        return lost

    def ids(self) -> dict[int, str]:
        """The task of each message, as far as it is known."""
        return {event.seq: event.id for event in self.events if event.seq and event.id}


Rule = Callable[[Run], Iterator[str]]
"""Yields what it found broken, a line for each task."""

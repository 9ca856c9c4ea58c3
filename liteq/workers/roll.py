"""A rolling restart: the dispatcher first, then the workers one by one, each with the new code."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from liteq.workers.child import State
from liteq.workers.place import Place

_PATIENCE = 1.0
"""Seconds that one replacement may take before the next one begins: a long task must not hold up the rest."""


class Roll:
    """Which child is replaced next, and when."""

    def __init__(self) -> None:
        self._waiting: deque[Place] = deque()
        self._current: Place | None = None
        self._deadline = 0.0

    def begin(self, places: Iterable[Place]) -> None:
        """Replace these, in this order."""
        self._waiting.extend(places)

    def has_ended(self) -> bool:
        """Whether the last of them is back; says so once."""
        current = self._current
        if self._waiting or current is None or current.child.state is not State.READY:
            return False
        self._current = None
        return True

    def cancel(self) -> None:
        """Leave the rest as they are."""
        self._waiting.clear()
        self._current = None

    def next_deadline(self, dispatcher: Place) -> float | None:
        """When `step` has something to say, if nothing else happens before."""
        if not self._waiting or self._is_held or dispatcher.child.state is not State.READY:
            return None
        return self._deadline

    @property
    def _is_held(self) -> bool:
        """Whether the new code can't be started: the rest stays with the old one until it can."""
        current = self._current
        return current is not None and current.child.failed_starts > 0

    def step(self, now: float, dispatcher: Place) -> Place | None:
        """The place whose process is to be replaced now, if it is time for one."""
        if not self._waiting or self._is_held or dispatcher.child.state is not State.READY:
            return None
        in_work = self._current is not None and self._current.child.state is not State.READY
        if in_work and now < self._deadline:
            return None
        self._deadline = now + _PATIENCE
        self._current = self._waiting.popleft()
        if self._current.child.state is State.STARTING:
            self._waiting.append(self._current)  # it may have been forked from the old code
            return None
        self._current.child.replace(now)
        return self._current if self._current.child.state is State.STOPPING else None

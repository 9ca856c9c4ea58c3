"""The beat: periodic tasks, each slot of which fires once, at its start, however many consumers there are."""

from __future__ import annotations

import logging
from datetime import datetime

from liteq import clock
from liteq.api import Huey
from liteq.messages import Message
from liteq.tasks import PeriodicTask

logger = logging.getLogger("huey.scheduler")


class Beat:
    """Fires the periodic tasks of an application. A slot is a minute of UTC since 1970."""

    def __init__(self, huey: Huey, enabled: bool) -> None:
        self._huey = huey
        self._enabled = enabled and bool(huey.registry.periodic_tasks)
        self._next: int | None = None

    def start(self, now: int) -> None:
        """Begin with the slot of `now`, unless a task already fired for it.

        A task that was never seen before has missed nothing: it waits for its next slot.
        """
        if self._enabled:
            self._next = now // clock.MINUTE
            for task in self._huey.registry.periodic_tasks:
                self._huey.storage.know_slot(_name(task), self._next)

    def next_due(self) -> int | None:
        """When the next slot starts, in microseconds of UTC; None if there are no periodic tasks."""
        return None if self._next is None else self._next * clock.MINUTE

    def is_due(self, now: int) -> bool:
        """Whether a slot has started that has not been looked at."""
        slot = now // clock.MINUTE
        # A clock set back by more than a minute is followed: slots are not repeated anyway.
        return self._next is not None and (slot >= self._next or self._next - slot > 1)

    def fire(self, now: int) -> list[Message]:
        """The tasks of the slot of `now`, if it has not been looked at; call it within a batch.

        Raises:
            StorageError: if storage fails; the slot is then still to be fired.
        """
        if not self.is_due(now):
            return []
        slot = now // clock.MINUTE
        moment = clock.from_us(slot * clock.MINUTE, self._huey.utc)
        due = [task for task in self._huey.registry.periodic_tasks if self._is_due(task, moment)]
        due = [task for task in due if self._huey.storage.take_slot(_name(task), slot)]
        # The slots of paused tasks are taken all the same: they pass by, and do not pile up.
        paused = self._huey.storage.paused() if due else frozenset()
        messages = [self._huey.message_of(task) for task in due if paused.isdisjoint({None, _name(task)})]
        if messages:
            self._huey.storage.put(messages, now)
        return messages

    def fired(self, now: int) -> None:
        """The batch of `fire` is committed."""
        if self._next is not None:
            self._next = now // clock.MINUTE + 1

    def _is_due(self, task: PeriodicTask, moment: datetime) -> bool:
        try:
            return bool(task.validate_datetime(moment))
        except Exception:
            logger.exception("validate_datetime of %s raised; it does not run in this slot", _name(task))
            return False


def _name(task: PeriodicTask) -> str:
    return f"{type(task).__module__}.{task.name}"

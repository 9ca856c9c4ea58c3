"""The beat: periodic tasks, each slot of which fires once, at its start, however many consumers there are."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterator

from liteq import clock
from liteq.api import Huey
from liteq.emitter import Announcement
from liteq.messages import Message
from liteq.tasks import Task
from liteq.workers.roster import Job, Roster

logger = logging.getLogger("huey.scheduler")

_ASK_EVERY = clock.SECOND


class Beat:
    """Fires the periodic tasks of an application and the entries of its timetable.

    The jobs are in a heap by their next slots, so that a turn in which nothing is due costs a comparison. For
    the version of the timetable it asks when storage has changed or something is due, and once a second.
    """

    def __init__(self, huey: Huey, enabled: bool) -> None:
        self._huey = huey
        self._enabled = enabled
        self._roster: Roster | None = None
        self._heap: list[tuple[int, int, Job]] = []
        self._pushed = 0
        self._firing: list[Job] = []
        """Those that are taken from the heap, until their batch is committed."""
        self._announcement: Announcement | None = None
        """Of what is enqueued, until its batch is committed."""
        self._looked = 0
        """The heap is right for this moment and later ones."""
        self._ask_at = 0
        """When to ask for the version of the timetable."""

    def start(self, now: int) -> None:
        """Begin with the slots after the last that have fired.

        Raises:
            StorageError: if storage fails.
        """
        if self._enabled:
            self._roster = Roster(self._huey)
            self._looked = now
            with self._huey.storage.batch():
                self._note_changes(self._roster, now)

    def next_due(self) -> int | None:
        """When something is due next, in microseconds of UTC; None if there are no periodic tasks."""
        if self._firing:
            return self._looked
        while self._heap and self._roster is not None and self._heap[0][2] not in self._roster:
            heapq.heappop(self._heap)  # it was removed, or has changed
        return self._heap[0][0] if self._heap else None

    def is_due(self, now: int) -> bool:
        """Whether there are slots to fire, or the clock was set back."""
        due = self.next_due()
        return due is not None and (due <= now or now < self._looked)

    def storage_changed(self) -> None:
        """The timetable may be another."""
        self._ask_at = 0

    def is_stale(self, now: int) -> bool:
        """Whether periodic tasks have changed, as far as is to be asked for now.

        Raises:
            StorageError: if storage fails.
        """
        if self._roster is None or not self._is_to_ask(self._roster, now):
            return False
        stale = self._roster.is_stale()
        if not stale:
            self._ask_at = now + _ASK_EVERY
        return stale

    def fire(self, now: int) -> list[Message]:
        """Enqueue the tasks of all slots that have started, and take note of changes; call it within a batch.

        Raises:
            StorageError: if storage fails; the slots are then still to be fired.
        """
        if self._roster is None:
            return []
        if now < self._looked:
            self._rewind(self._roster, now)
        if self.is_due(now) or self._is_to_ask(self._roster, now):
            self._note_changes(self._roster, now)
        while self._heap and self._heap[0][0] <= now:
            self._firing.append(heapq.heappop(self._heap)[2])
        self._firing = [job for job in self._firing if job in self._roster]
        calls = [call for job in self._firing for call in self._calls_of(job, now)]
        # The slots of paused tasks are taken all the same: they pass by, and do not pile up.
        paused = self._huey.storage.paused() if calls else frozenset()
        calls = [call for call in calls if paused.isdisjoint({None, call[1].name})]
        messages = [message for _, message in calls]
        if messages:
            self._announce(calls, now)
            self._huey.storage.put(messages, now)
        return messages

    def fired(self, now: int) -> None:
        """The batch of `fire` is committed."""
        if self._announcement is not None:
            self._announcement.confirm()
            self._announcement = None
        for job in self._firing:
            job.mark = max(job.mark, now)
            self._push(job)
        self._firing.clear()
        self._looked = now

    def _is_to_ask(self, roster: Roster, now: int) -> bool:
        return not self._ask_at - _ASK_EVERY <= now < self._ask_at or roster.declarations_changed

    def _note_changes(self, roster: Roster, now: int) -> None:
        for job in roster.update(now):
            self._push(job)
        self._ask_at = now + _ASK_EVERY

    def _announce(self, calls: list[tuple[Task, Message]], now: int) -> None:
        emitter = self._huey.emitter
        if self._announcement is not None:
            self._announcement.withdraw()  # of a batch that failed
            self._announcement = None
        if emitter.is_listened():
            self._announcement = emitter.announce(emitter.of_enqueued(calls, now))

    def _calls_of(self, job: Job, now: int) -> Iterator[tuple[Task, Message]]:
        try:
            tasks = [(slot, job.task(slot)) for slot in job.slots(now)]
            slots = [(slot, task, self._huey.message_of(task)) for slot, task in tasks]
        except Exception:
            logger.exception("%s can't be enqueued; its slot is left out", job.name)
            return
        for slot, task, message in slots:
            if self._huey.storage.take_slot(job.name, slot):
                yield task, message

    def _rewind(self, roster: Roster, now: int) -> None:
        """The clock was set back. Slots are not repeated, unless it had been wrong by more than a day."""
        self._looked = now
        self._heap.clear()
        self._firing.clear()
        for job in roster:
            job.forget_future(now)
            self._push(job)

    def _push(self, job: Job) -> None:
        slot = job.plan()
        if slot is not None:
            self._pushed += 1
            heapq.heappush(self._heap, (slot, self._pushed, job))

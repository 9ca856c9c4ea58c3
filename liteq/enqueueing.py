"""The part of the queue's surface that takes tasks in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from liteq import clock, signals
from liteq.canvas import Canvas, handle_of, plan
from liteq.emitter import Emitter
from liteq.exceptions import ConfigurationError
from liteq.messages import Message
from liteq.results import ResultHost
from liteq.storage.base import Capabilities, Storage
from liteq.tasks import Task


class Enqueueing:
    """Enqueue tasks, groups and chords."""

    utc: bool
    results: bool
    storage: Storage
    signals: signals.Signal
    emitter: Emitter
    message_of: Callable[[Task], Message]
    execute: Callable[..., Any]
    hold_back: Callable[[Task], bool]
    immediate: bool

    def enqueue(self, task: Canvas) -> Any:
        """Store a task, a group or a chord, to be run by a consumer; when this returns, it is committed.

        Returns:
            Its `Result`, the `ResultGroup` of a pipeline's stages or a group, the `ChordResult` of a chord;
            None in a queue without results.

        Raises:
            TypeError: for something that is not a task.
            ValueError: for a chord that has a task twice, or that waits for its members already.
            SerializationError: if an argument does not serialize; it says which.
            PayloadTooLarge: if a task has more bytes than `max_payload`.
            StorageError: if it could not be stored.
        """
        return self.enqueue_many([task])[0]

    def enqueue_many(self, tasks: Iterable[Canvas]) -> list[Any]:
        """Store tasks in one transaction, all or none; what `enqueue` returns for each."""
        canvases = list(tasks)
        tasks = plan(canvases)
        since = None
        if self.immediate:
            self._run_here(tasks)
        elif tasks:
            now = clock.now()
            messages = [self.message_of(task) for task in tasks]
            since = self._ticket()
            self._put(tasks, messages, now)
            told = self.signals.has_receivers
            if told(signals.SIGNAL_ENQUEUED) or told(signals.SIGNAL_SCHEDULED):
                self._tell(tasks, messages, now)
        if not self.results:
            return [None] * len(canvases)
        host = cast("ResultHost", self)
        return [handle_of(host, canvas, since) for canvas in canvases]

    def _ticket(self) -> int | None:
        """A ticket for whoever waits for what ends from now on, if this process watches for that already."""
        wakeup = self.storage.results_wakeup()
        return wakeup.ticket() if wakeup.watching else None

    def _put(self, tasks: list[Task], messages: list[Message], now: int) -> None:
        if self.emitter.is_listened():
            with self.emitter.announced(self.emitter.of_enqueued(zip(tasks, messages, strict=True), now)):
                self.storage.put(messages, now)
        else:
            self.storage.put(messages, now)

    def _tell(self, tasks: list[Task], messages: list[Message], now: int) -> None:
        for task, message in zip(tasks, messages, strict=True):
            self.signals.call(signals.SIGNAL_ENQUEUED, task)
            if message.due is not None and message.due > now:
                self.signals.call(signals.SIGNAL_SCHEDULED, task)

    def _run_here(self, tasks: list[Task]) -> None:
        callbacks = [self.message_of(task) for task in tasks if task.gathers]
        if callbacks:
            self.storage.put(callbacks, clock.now())
        for task in tasks:
            if not task.gathers:  # a callback runs with the end of its last member
                task.resolve_expires(self.utc)
                self.signals.send(signals.SIGNAL_ENQUEUED, task)
                self.emitter.flush()
                if not self.hold_back(task):
                    self.execute(task)

    def add_schedule(self, task: Task) -> None:
        """Store a task with its eta, without the handle that `enqueue` returns."""
        self._put([task], [self.message_of(task)], clock.now())
        self.signals.call(signals.SIGNAL_SCHEDULED, task)


def check_priority(task: Task, can: Capabilities) -> None:
    """Refuse a priority that a storage can't keep.

    Raises:
        ConfigurationError: if it has none at all.
        ValueError: if it would not tell this one from others.
    """
    if task.priority and not can.priorities:
        raise ConfigurationError(
            f"{task!r} has priority {task.priority}, and this queue has no priorities:"
            " use PriorityRedisHuey or PriorityRedisExpireHuey, or leave the priority out"
        )
    most = can.highest_priority
    if abs(task.priority or 0) > most:
        raise ValueError(
            f"priority must be from -{most} to {most} in this storage, not {task.priority}: {task!r}"
        )

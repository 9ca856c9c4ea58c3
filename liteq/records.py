"""The part of the queue's surface that shows what became of tasks: their state, history and progress."""

from __future__ import annotations

import logging
import math
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from liteq import clock
from liteq.bounds import checked_limit
from liteq.current import current_task
from liteq.exceptions import StorageBusy, StorageFull
from liteq.messages import Error
from liteq.meter import Meter
from liteq.registry import Registry
from liteq.results import Result
from liteq.serializer import Serializer
from liteq.status import TaskStatus
from liteq.storage.base import Storage
from liteq.storage.contract import records as stored
from liteq.tasks import Task
from liteq.wrapper import TaskWrapper

logger = logging.getLogger("huey")

_DELETED_AT_ONCE = 1_000
_LONGEST_NOTE = 500
_REPORTS_AT_ONCE, _REPORTS_A_SECOND = 10, 10

_OF_STATE: Final = {
    "ready": TaskStatus.QUEUED,
    "scheduled": TaskStatus.SCHEDULED,
    "claimed": TaskStatus.RUNNING,
    "dead": TaskStatus.DEAD,
    "waiting": TaskStatus.WAITING,
    "chained": TaskStatus.WAITING,
}
"""What a task is by the state that its message is in."""

_ANOTHER_FOLLOWS: Final = frozenset({"retrying", "crashed", "interrupted"})
"""The ends of attempts after which a task that waits is one that is tried again."""

_OF_LAST_ATTEMPT: Final = {
    "complete": TaskStatus.COMPLETE,
    "error": TaskStatus.FAILED,
    "timeout": TaskStatus.FAILED,
    "locked": TaskStatus.FAILED,
    "rate-limited": TaskStatus.FAILED,
    "canceled": TaskStatus.CANCELED,
    "revoked": TaskStatus.REVOKED,
    "expired": TaskStatus.EXPIRED,
    "crashed": TaskStatus.DEAD,
    "dead": TaskStatus.DEAD,
}
"""What a task without a message is by the end of its last attempt."""


class Progress(NamedTuple):
    """How far a task has got, in its own words."""

    done: float
    total: float | None
    """None: it has not said how much there is to do."""
    note: str
    at: datetime
    """When it said so."""


class RunningTask(NamedTuple):
    """A task that a consumer has."""

    id: str
    name: str
    attempt: int
    """1 for the first."""
    started: datetime | None
    """When the attempt began; None if it was claimed only just now, and may not have begun."""
    worker: int | None
    """The process that it runs in; None together with `started`."""
    consumer: int
    """The number of the consumer."""
    progress: Progress | None


class Attempt(NamedTuple):
    """An attempt to run a task that has ended."""

    id: str
    name: str
    attempt: int
    """1 for the first."""
    status: str
    """How it ended, in the words of the signals, or "crashed" or "dead"."""
    started: datetime | None
    """None if it never began, or that is not known."""
    ended: datetime
    duration: float | None
    """Seconds; None together with `started`."""
    worker: int | None
    """The process that it ran in."""
    consumer: int
    """The number of the consumer."""
    reason: str
    """Why it failed, in words; empty if it did not."""
    exit_code: int | None
    """Of its worker, if that ended with the attempt; the negative number of the signal that killed it."""
    peak_memory: int | None
    """Bytes of memory that its worker had at the most, if that ended with the attempt."""


class DeadTask(NamedTuple):
    """A task that will not run again by itself."""

    id: str
    name: str
    data: bytes
    """The serialized task, see `Huey.deserialize_task`."""
    attempts: int
    crashes: int
    """How many attempts ended with the death of their worker."""
    died: datetime
    reason: str
    exit_code: int | None
    """Of its last worker, if that was the cause; the negative number of the signal that killed it."""
    peak_memory: int | None
    """Bytes of memory that its last worker had at the most, if that ended."""


class Counts(NamedTuple):
    """How many tasks there are, all as of one moment."""

    pending: int
    """Ready to run, or paused."""
    scheduled: int
    running: int
    dead: int
    waiting: int
    """Callbacks of chords whose members have not all ended."""


class Records:
    """What became of tasks. Datetimes are naive, in UTC, or local in a queue with `utc=False`."""

    storage: Storage
    serializer: Serializer
    registry: Registry
    utc: bool

    def status(self, task: Task | Result | str) -> TaskStatus:
        """Where a task, or that of a result or an id, is in its life.

        Of a task that has ended it can be told as long as its last attempt is in the history or its result
        is stored; after that its status is unknown.
        """
        standing = self.storage.standing(_id_of(task))
        status = _OF_STATE.get(standing.state)
        if status in {TaskStatus.QUEUED, TaskStatus.SCHEDULED}:
            return TaskStatus.RETRYING if standing.last in _ANOTHER_FOLLOWS else status
        if status is not None:
            return status
        if standing.result is None:
            return _OF_LAST_ATTEMPT.get(standing.last, TaskStatus.UNKNOWN)
        value = self.serializer.deserialize(standing.result)
        return TaskStatus.FAILED if isinstance(value, Error) else TaskStatus.COMPLETE

    def counts(self) -> Counts:
        """How many tasks there are."""
        return Counts(*self.storage.counts())

    def running(self, limit: int | None = None) -> list[RunningTask]:
        """The tasks that consumers have, the one that has run for longest first.

        A consumer says when and where an attempt began as soon as it has run for a tenth of a second.
        """
        return [
            RunningTask(
                row.id,
                row.name,
                row.attempt,
                self._moment(row.started),
                row.worker,
                row.owner,
                self._progress(row.progress),
            )
            for row in self.storage.running(checked_limit(limit))
        ]

    def history(
        self,
        limit: int | None = 100,
        *,
        id: str | None = None,
        name: str | TaskWrapper[..., Any] | None = None,
    ) -> list[Attempt]:
        """The attempts that have ended, the latest first.

        Args:
            limit: how many at the most; None is all that are kept.
            id: only those of the task of this id.
            name: only those of this task: declared, or by its name in the registry.
        """
        if isinstance(name, TaskWrapper):
            name = self.registry.task_to_string(name.task_class)
        return [
            self._attempt_of(entry) for entry in self.storage.history(checked_limit(limit), id=id, name=name)
        ]

    def dead(self, limit: int | None = None) -> list[DeadTask]:
        """The tasks that will not run again by themselves, the latest first."""
        return [
            DeadTask(*row[:5], clock.from_us(row.died, self.utc), *row[6:])
            for row in self.storage.dead(checked_limit(limit))
        ]

    def revive(self, *ids: str) -> int:
        """Put dead tasks back into the queue; how many there were."""
        return self.storage.revive(ids)

    def delete_dead(self, *ids: str, older_than: float | timedelta | None = None) -> int:
        """Delete dead tasks for good: those of these ids, or all that died `older_than` seconds ago.

        Returns:
            How many there were.

        Raises:
            ValueError: if neither or both are given.
        """
        if bool(ids) == (older_than is not None):
            raise ValueError("delete_dead() needs either ids or older_than= (seconds; 0 is all)")
        if older_than is None:
            return self.storage.delete_dead(ids)
        died = clock.now() - int(clock.seconds_of(older_than, "older_than") * clock.SECOND)
        deleted = 0
        while True:  # in steps, so that no other writer has to wait for long
            step = self.storage.delete_dead_before(died, _DELETED_AT_ONCE)
            deleted += step
            if step < _DELETED_AT_ONCE:
                return deleted

    def set_progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Say how far the task has got that is being run; others read it by `progress_of` until it ends.

        It may be called as often as is convenient: what comes more often than ten times a second is not
        stored, but the first ten are, and what says that all is done. A storage that can't be written at the
        moment is no reason for a task to fail: the progress is then not stored. Outside of a task that was
        claimed (in a test that calls the function, in immediate mode) this does nothing.

        Args:
            done: how much is done, in any unit.
            total: how much there is to do.
            note: what is being done, in words; the first 500 characters are kept.

        Raises:
            TypeError: if `done` or `total` is not a number.
            ValueError: if one is not finite.
        """
        for what, value in (("done", done), ("total", total)):
            _check(what, value)
        task = current_task()
        if task is None or task.claim is None:
            return
        if task.meter is None:
            task.meter = Meter(_REPORTS_AT_ONCE, _REPORTS_A_SECOND)
        if not task.meter.allows() and (done != total or task.is_done):
            return
        task.is_done = done == total
        try:
            row = stored.Progress(done, total, str(note)[:_LONGEST_NOTE], clock.now())
            self.storage.set_progress(task.claim, row)
        except (StorageBusy, StorageFull) as error:
            logger.warning("The progress of task %s can't be stored: %s", task.id, error)

    def progress_of(self, task: Task | Result | str) -> Progress | None:
        """The progress of a task, or that of a result or an id; None if it does not run or told none."""
        return self._progress(self.storage.progress(_id_of(task)))

    def _progress(self, row: stored.Progress | None) -> Progress | None:
        return None if row is None else Progress(*row[:3], clock.from_us(row.at, self.utc))

    def _moment(self, moment: int | None) -> datetime | None:
        return None if moment is None else clock.from_us(moment, self.utc)

    def _attempt_of(self, entry: stored.Entry) -> Attempt:
        return Attempt(
            entry.id,
            entry.name,
            entry.attempt,
            entry.status,
            None if entry.duration is None else self._moment(entry.ended - entry.duration),
            clock.from_us(entry.ended, self.utc),
            None if entry.duration is None else entry.duration / clock.SECOND,
            entry.worker,
            entry.owner,
            entry.reason,
            entry.exit_code,
            entry.peak_memory,
        )


def _id_of(task: Task | Result | str) -> str:
    if isinstance(task, str):
        return task
    if isinstance(task, Task | Result):
        return task.id
    raise TypeError(f"{task!r} is neither a task nor a result nor an id")


def _check(what: str, value: object) -> None:
    if value is None and what == "total":
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} must be a number, not {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{what} must be finite, not {value!r}")

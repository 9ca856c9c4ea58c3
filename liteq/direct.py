"""Tasks that are run by hand, here and now: as tests of applications do, and as immediate mode does."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, cast

from liteq import clock, signals
from liteq.canvas import give_list
from liteq.emitter import Emitter
from liteq.execution import run
from liteq.identity import identify
from liteq.messages import BACK, Attempted, ClaimKey, Disposition, MemberEnd, Message, Outcome, Settlement
from liteq.outcomes import Ended, Runtime, dead_outcome, undecodable
from liteq.registry import Registry
from liteq.serializer import Serializer
from liteq.storage.base import Storage
from liteq.tasks import PeriodicTask, Task

logger = logging.getLogger("huey")

# What an application takes out by hand with `dequeue` stays its own for this long.
_DIRECT_LEASE = 3600 * clock.SECOND
_NO_CLAIM = ClaimKey(0, 0, 0)


class HeldBack(NamedTuple):
    """A task of immediate mode that was paused when it was its turn."""

    name: str
    id: str
    priority: int


class DirectExecution:
    """The part of the queue that runs tasks in this process."""

    storage: Storage
    serializer: Serializer
    registry: Registry
    signals: signals.Signal
    emitter: Emitter
    utc: bool
    deserialize_task: Callable[[bytes], Task]
    message_of: Callable[[Task], Message]
    is_revoked: Callable[..., bool]
    _immediate: bool
    _direct_owner: tuple[int, int] | None
    _held_back: list[HeldBack]

    def dequeue(self) -> Task | None:
        """Take the next ready task; it is this process's until it is given to `execute`."""
        return self._take()

    def _take(self, only: str | None = None) -> Task | None:
        if self._direct_owner is None or self._direct_owner[0] != os.getpid():
            self._direct_owner = os.getpid(), self.storage.register(identify())
        now, lease = clock.now(), clock.monotonic() + _DIRECT_LEASE
        claims = self.storage.claim(self._direct_owner[1], 1, now=now, lease=lease, only=only)
        if not claims:
            return None
        claim = claims[0]
        try:
            task = self.deserialize_task(claim.data or b"")
            if claim.gathers is not None:
                give_list(task, self.storage.ends_of(claim.key) or [], self.serializer, self.utc)
        except Exception as error:
            dead = dead_outcome(cast("Runtime", self), claim, undecodable(error))
            self.storage.settle([Settlement(claim.key, dead)], now)
            raise
        task.claim, task.was_revoked = claim.key, claim.revoked
        return task

    def execute(self, task: Task, timestamp: datetime | None = None) -> Any:
        """Run a task here and now, and store what comes of it; its value.

        A task whose time has not come goes to the schedule. In immediate mode, whatever the task causes (the
        next stage, a retry, a chord's callback) is run as well.
        """
        ended = self._attempt(task, timestamp)
        waiting = deque(self._caused(ended))
        while waiting:
            following = waiting.popleft()
            if self.hold_back(following):
                continue
            if self.ready_to_run(following):
                waiting.extend(self._caused(self._attempt(following, None)))
            else:
                self.storage.put([self.message_of(following)], clock.now())
        return ended.value

    def hold_back(self, task: Task) -> bool:
        """Store a task that could run but is paused, until `run_held_back`; whether it is."""
        if not self.ready_to_run(task):
            return False
        name = self.registry.task_to_string(type(task))
        if self.storage.paused().isdisjoint({None, name}):
            return False
        if task.claim is None:
            self.storage.put([self.message_of(task)], clock.now())
        else:
            self.storage.settle([Settlement(task.claim, BACK)], clock.now())
        self._held_back.append(HeldBack(name, task.id, task.priority or 0))
        return True

    def run_held_back(self) -> None:
        """Run what immediate mode has held back and is paused no more, as a consumer would."""
        while True:
            paused = self.storage.paused()
            free = [held for held in self._held_back if paused.isdisjoint({None, held.name})]
            if not free:
                return
            first = max(free, key=lambda held: held.priority)  # of equals, the first one
            self._held_back.remove(first)
            if (task := self._take(only=first.id)) is not None:  # or somebody else has it
                self.execute(task)

    def _caused(self, ended: Ended) -> list[Task]:
        """The tasks that immediate mode runs next."""
        if not self._immediate:
            return []
        callbacks = [task for join in ended.joins if (task := self._take(only=join.chord)) is not None]
        for task in callbacks:
            self.signals.send(signals.SIGNAL_ENQUEUED, task)
        self.emitter.flush()
        following = [followup.task for followup in ended.followups]
        for task in following:
            task.claim, task.was_revoked = None, False  # of the attempt before, if it is a retry
        return following + callbacks

    def _attempt(self, task: Task, timestamp: datetime | None) -> Ended:
        now = timestamp or self._get_timestamp()
        claim = task.claim
        if not self.ready_to_run(task, now):
            message = self.message_of(task)
            self._store(claim, Outcome(Disposition.DONE, signals.SIGNAL_SCHEDULED, messages=(message,)))
            self.signals.send(signals.SIGNAL_SCHEDULED, task)
            self.emitter.flush()
            return Ended(signals.SIGNAL_SCHEDULED)
        revoked = task.was_revoked or self.is_revoked(task, now, peek=False)
        began, started = clock.now(), clock.monotonic()
        try:
            ended = run(cast("Runtime", self), task, revoked=revoked, now=now, isolated=False)
        except BaseException:
            self.emitter.flush()  # that it was interrupted
            raise
        outcome = ended.outcome()
        attempted = Attempted(began, clock.monotonic() - started, os.getpid())
        with self.emitter.announced(self.emitter.take()) as announcement:
            stored = outcome._replace(messages=()) if self._immediate else outcome
            if not self._store(claim, stored, attempted):
                announcement.withdraw()
        if claim is None and ended.status not in {signals.SIGNAL_REVOKED, signals.SIGNAL_RETRYING}:
            self.storage.restore(task.revoke_id)  # it was revoked while it ran
        return ended

    def _store(self, claim: ClaimKey | None, outcome: Outcome, attempted: Attempted | None = None) -> bool:
        """Store what an attempt caused, unless its claim was lost; whether it is stored."""
        if claim is None:
            self.storage.apply(Settlement(_NO_CLAIM, outcome), clock.now())
        elif not self.storage.settle([Settlement(claim, outcome, attempted)], clock.now())[0]:
            logger.warning("Message %d was taken by another meanwhile; its outcome has no effect", claim.seq)
            return False
        return True

    def ready_to_run(self, task: Task, timestamp: datetime | None = None) -> bool:
        """Whether the task's time has come at `timestamp` (now by default)."""
        return task.eta is None or task.eta <= (timestamp or self._get_timestamp())

    def read_schedule(self, timestamp: datetime | None = None) -> list[Task]:
        """Take the tasks out of the schedule whose time has come; enqueue or execute them yourself.

        Raises:
            Exception: if one of them can't be decoded; a durable storage then keeps them all.
        """
        moment = clock.to_us(timestamp or self._get_timestamp(), self.utc)
        with self.storage.batch():
            return [self._taken(*taken) for taken in self.storage.take_due(moment)]

    def _taken(self, data: bytes, ends: list[MemberEnd] | None) -> Task:
        task = self.deserialize_task(data)
        if ends is not None:
            give_list(task, ends, self.serializer, self.utc)
        return task

    def read_periodic(self, timestamp: datetime | None) -> list[PeriodicTask]:
        """The periodic tasks that are due in the minute of `timestamp`."""
        moment = timestamp or self._get_timestamp()
        return [task for task in self.registry.periodic_tasks if task.validate_datetime(moment)]

    def _get_timestamp(self) -> datetime:
        return clock.naive_now(self.utc)

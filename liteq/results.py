"""Handles of results: read one now, wait for it, revoke or reschedule its task."""

from __future__ import annotations

import time
from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from liteq import clock
from liteq.exceptions import ResultTimeout, TaskException
from liteq.messages import Error
from liteq.options import check_options
from liteq.status import TaskStatus
from liteq.storage.base import Storage
from liteq.storage.contract.results import FIRST_LOOK, LONGEST_WATCH
from liteq.tasks import Expires, Task


class _Empty:
    def __repr__(self) -> str:
        return "EmptyData"


EmptyData: Final = _Empty()
"""Nothing is stored under a key, which differs from a stored None."""


class ResultHost(Protocol):
    """What a handle needs of the queue that it belongs to."""

    utc: bool
    storage: Storage

    def get_raw(self, key: str, peek: bool = False) -> Any:
        """The stored bytes of a key, or EmptyData."""

    def decode_value(self, key: str, data: Any, peek: bool = False) -> Any:
        """The value of stored bytes, or EmptyData."""

    def enqueue(self, task: Task) -> Any:
        """Enqueue a task."""

    def is_revoked(self, task: Any, timestamp: datetime | None = None, peek: bool = True) -> bool:
        """Whether a task is revoked."""

    def revoke(
        self,
        task: Task,
        revoke_until: datetime | None = None,
        revoke_once: bool = False,
        terminate: bool = False,
    ) -> None:
        """Revoke a task."""

    def restore(self, task: Task) -> bool:
        """Undo a revocation."""

    def status(self, task: Any) -> TaskStatus:
        """Where a task is in its life."""


class Result:
    """The result of one task, whether it is there yet or not.

    Args:
        huey: the queue of the task.
        task: the task.
        since: a ticket of the storage's `results_wakeup` from before the task was enqueued, if there is one:
            until something has ended since, there is no result to look for.
    """

    def __init__(self, huey: ResultHost, task: Task, since: int | None = None) -> None:
        self.huey = huey
        self.task = task
        self._since = since
        self._result: Any = EmptyData

    def __repr__(self) -> str:
        return f"<Result: task {self.id}>"

    @property
    def id(self) -> str:
        """The task's id."""
        return self.task.id

    @property
    def revoke_id(self) -> str:
        """The key under which the task is revoked."""
        return self.task.revoke_id

    def status(self) -> TaskStatus:
        """Where the task is in its life; see `Huey.status`."""
        return self.huey.status(self.id)

    def is_ready(self) -> bool:
        """Whether a result is stored; it is then kept in this handle."""
        return self._read(preserve=False) is not EmptyData

    def get(
        self,
        blocking: bool = False,
        timeout: float | None = None,
        backoff: float = 1.15,
        max_delay: float = 1.0,
        revoke_on_timeout: bool = False,
        preserve: bool = False,
    ) -> Any:
        """The value that the task returned, or None if there is none (yet).

        Args:
            blocking: wait until the task has ended. None is then the value of a task that stored none:
                it returned None, was revoked, expired, or its value has been read by somebody else.
            timeout: seconds to wait at the most.
            backoff: how the interval grows at which storage is looked at, where it can't wake the waiter.
            max_delay: the longest such interval, in seconds.
            revoke_on_timeout: revoke the task if the time is up.
            preserve: leave the value in storage; otherwise it is taken out and kept in this handle.

        Raises:
            TaskException: if the task failed.
            ResultTimeout: if the time is up.
        """
        value = self.get_raw_result(blocking, timeout, backoff, max_delay, revoke_on_timeout, preserve)
        if isinstance(value, Error):
            raise TaskException(value.metadata)
        return value

    __call__ = get

    def get_raw_result(
        self,
        blocking: bool = False,
        timeout: float | None = None,
        backoff: float = 1.15,
        max_delay: float = 1.0,
        revoke_on_timeout: bool = False,
        preserve: bool = False,
    ) -> Any:
        """As `get`, but an `Error` of a failed task is returned as it is stored."""
        try:
            value = self._wait(timeout, backoff, max_delay, preserve) if blocking else self._read(preserve)
        except ResultTimeout:
            if revoke_on_timeout:
                self.revoke()
            raise
        return None if value is EmptyData else value

    def _read(self, preserve: bool) -> Any:
        if self._result is EmptyData:
            self.accept(self.huey.get_raw(self.id, peek=preserve), preserve)
        return self._result

    @property
    def is_kept(self) -> bool:
        """Whether the value is in this handle, so that `get` need not look elsewhere."""
        return self._result is not EmptyData

    def accept(self, data: Any, preserve: bool = False) -> None:
        """Keep what `get_raw` gave for this handle; what can't be decoded is put back, unless it is there."""
        if data is not EmptyData:  # or it would forget what another thread has read for it meanwhile
            self._result = self.huey.decode_value(self.id, data, peek=preserve)

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait as `get(blocking=True)` does, but let the event loop go on; see `liteq.contrib.asyncio`."""
        from liteq.awaiting import aget_result  # asyncio is loaded only where it is used

        return aget_result(self).__await__()

    def _wait(self, timeout: float | None, backoff: float, max_delay: float, preserve: bool) -> Any:
        """Look, then wait for a change, until there is a result, there can't be one, or the time is up."""
        wakeup = self.huey.storage.results_wakeup()
        if timeout is not None and not isinstance(timeout, int | float):
            raise TypeError(f"timeout must be seconds (a number), not {timeout!r}")
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        look = FIRST_LOOK
        since, self._since = self._since, None
        if since is not None and wakeup.watching:
            wakeup.wait(since, max(0, min(deadline - time.monotonic(), LONGEST_WATCH)))
        while True:
            ticket = wakeup.ticket()
            value = self._read(preserve)
            if value is not EmptyData:
                return value
            if not self.huey.storage.is_live(self.id):
                return self._read(preserve)  # it may have ended between the two looks
            left = deadline - time.monotonic()
            if left <= 0:
                raise ResultTimeout(f"no result of task {self.id} within {timeout} seconds")
            wakeup.wait(ticket, min(left, LONGEST_WATCH if wakeup.watching else look))
            look = min(look * max(backoff, 1.0), max_delay)

    def is_over(self) -> bool:
        """Whether a result is stored, or none will come."""
        return self.is_ready() or not self.huey.storage.is_live(self.id)

    def is_revoked(self) -> bool:
        """Whether the task, or all tasks of its kind, are revoked."""
        return self.huey.is_revoked(self.task, peek=True)

    def revoke(self, revoke_once: bool = True, terminate: bool = False) -> None:
        """Keep the task from running; one that has started goes on, unless `terminate` ends it.

        If the task has ended already, nothing is stored, because nothing would ever remove it again.
        """
        with self.huey.storage.batch():
            if self.huey.storage.is_live(self.id):
                self.huey.revoke(self.task, revoke_once=revoke_once, terminate=terminate)

    def restore(self) -> bool:
        """Undo `revoke`; whether the task was revoked."""
        return self.huey.restore(self.task)

    def reset(self) -> None:
        """Forget the value in this handle, so that the next `get` reads storage: after a retry, say."""
        self._result = EmptyData

    def reschedule(
        self,
        eta: datetime | None = None,
        delay: float | timedelta | None = None,
        expires: Expires = None,
        priority: int | None = None,
        preserve_pipeline: bool = True,
    ) -> Any:
        """Revoke this task and enqueue the same call anew, at another time; the new task's handle.

        Raises:
            ValueError: for a task of a chord, which would go on without the new one; if an option has no such
                value. The task is then as it was.
        """
        if self.task.joins is not None or self.task.gathers:
            raise ValueError(f"{self.task!r} is part of a chord and can't be rescheduled; revoke the chord")
        check_options(expires=expires, priority=priority)
        due = clock.normalize_time(eta, delay, self.huey.utc) if (eta, delay) != (None, None) else None
        old = self.task
        task = type(old)(
            old.args,
            old.kwargs,
            eta=due,
            retries=old.retries,
            retry_delay=old.retry_delay,
            priority=old.priority if priority is None else priority,
            expires=old.expires if expires is None else expires,
            on_complete=old.on_complete if preserve_pipeline else None,
            on_error=old.on_error if preserve_pipeline else None,
            timeout=old.timeout,
            retry_backoff=old.retry_backoff,
        )
        with self.huey.storage.batch():
            self.revoke()
            return self.huey.enqueue(task)

"""Run one task: a sequence of small steps that decide what the attempt causes; storing it is for the caller.

The order is the one that applications rely on. On success: pre-execute hooks, run, post-execute hooks, signal
complete. On failure: the signal of its kind, post-execute hooks, signal retrying. The result, the next stage
and the retry are returned as effects, to be stored together with the end of the attempt.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from types import CoroutineType
from typing import Any

from liteq import signals as s
from liteq.current import current
from liteq.exceptions import CancelExecution, TaskInterrupted, TaskStopped
from liteq.failure import conclude
from liteq.messages import Disposition, EndKind
from liteq.outcomes import Ended, Runtime, follow_up, join
from liteq.tasks import Task

logger = logging.getLogger("huey")

ARGUMENTS_LOGGER = "huey.arguments"
"""Logs the arguments of tasks. It is silent, whatever the levels above it, until it is given a level."""
_arguments = logging.getLogger(ARGUMENTS_LOGGER)
if _arguments.level == logging.NOTSET:
    _arguments.setLevel(logging.CRITICAL + 1)

_UNGUARDED = nullcontext()


Guard = Callable[[Task], AbstractContextManager[Any]]
"""What a task with a timeout runs in: something that raises TaskStopped in it when the time is over."""


def run(
    runtime: Runtime,
    task: Task,
    *,
    revoked: bool,
    now: datetime | None,
    isolated: bool,
    guard: Guard = nullcontext,
) -> Ended:
    """Run a task, unless it must not be.

    Args:
        runtime: the application's queue.
        task: the task; its retries and times are changed if it is to be retried.
        revoked: it was revoked: report that.
        now: the naive datetime that decides about its expiry; None if it has none.
        isolated: in a worker, KeyboardInterrupt and SystemExit are a task's own errors; else they are raised.
        guard: enforces the timeout of a task that has one; by default nothing does but the task itself.
    """
    if (refused := _refuse(runtime, task, revoked, now)) is not None:
        return _skipped(task, refused)
    runtime.signals.send(s.SIGNAL_EXECUTING, task)
    _log_start(task)
    try:
        runtime.hooks.pre_execute.run(task)
    except CancelExecution:
        runtime.signals.send(s.SIGNAL_CANCELED, task)
        return _skipped(task, s.SIGNAL_CANCELED)
    ended = Ended(s.SIGNAL_COMPLETE)
    started = time.monotonic()
    try:
        _call(runtime, task, ended, guard)
    except TaskInterrupted:
        logger.warning("Task %s was interrupted and goes back to the queue.", task.id)
        runtime.signals.send(s.SIGNAL_INTERRUPTED, task)
        return Ended(s.SIGNAL_INTERRUPTED, Disposition.BACK)
    except TaskStopped as stopped:
        stopped.reason.__cause__ = stopped  # whose traceback says where
        return conclude(runtime, task, stopped.reason)
    except BaseException as exception:  # everything that a task raises is its outcome
        if not isolated and not isinstance(exception, Exception):
            runtime.signals.send(s.SIGNAL_INTERRUPTED, task)
            raise
        return conclude(runtime, task, exception)
    logger.debug("%s executed in %0.3fs", task, time.monotonic() - started)
    runtime.hooks.post_execute.run(task, ended.value, None)
    runtime.signals.send(s.SIGNAL_COMPLETE, task)
    for followup in ended.followups:
        runtime.signals.send(followup.signal, followup.task)
    return ended


def _log_start(task: Task) -> None:
    logger.debug("Executing %s", task)
    if _arguments.isEnabledFor(logging.INFO):
        _arguments.info("Arguments of task %s: %s", task.id, _shown(task.data))


def _shown(arguments: tuple[tuple[Any, ...], dict[str, Any]]) -> str:
    """Arguments in words, shortened; whatever their own `__repr__` raises."""
    import reprlib  # most consumers do without

    words = reprlib.Repr()
    words.maxother = words.maxstring = words.maxlong = 200
    return words.repr(arguments)


def _refuse(runtime: Runtime, task: Task, revoked: bool, now: datetime | None) -> str | None:
    if revoked:
        logger.warning("Task %s was revoked, not executing", task)
        status = s.SIGNAL_REVOKED
    elif now is not None and task.expires_resolved is not None and task.expires_resolved < now:
        logger.info("Task %s expired, not executing", task)
        status = s.SIGNAL_EXPIRED
    else:
        return None
    runtime.signals.send(status, task)
    return status


def _skipped(task: Task, status: str) -> Ended:
    """The end of a task that never started, and of the stages after it."""
    return Ended(status, joins=join(task.joins, EndKind.SKIPPED))


def _call(runtime: Runtime, task: Task, ended: Ended, guard: Guard) -> None:
    """Run the function and serialize what comes of it; a value that can't be serialized is a failure."""
    task.start_timer()
    runtime.in_flight.add(task)
    token = current.set(task)
    try:
        with guard(task) if task.timeout else _UNGUARDED:
            ended.value = task.execute()
            if type(ended.value) is CoroutineType:
                from liteq.asynchronous import run as run_coroutine  # asyncio is loaded only if it is used

                ended.value = run_coroutine(ended.value)
    finally:
        current.reset(token)
        runtime.in_flight.discard(task)
    wanted = ended.value is not None or runtime.store_none or task.store_none
    stored = runtime.results and task.keeps_result and wanted
    chord = task.chord_config if task.on_complete is None else None
    if stored or chord is not None:
        value = runtime.serialize_result(task, ended.value)
        ended.joins = join(chord, EndKind.VALUE, value)
        if stored:
            ended.results.append((task.id, value))
    if task.on_complete is not None:
        # A copy: should its new arguments not serialize, the task's own retry must not carry them.
        following = copy.copy(task.on_complete)
        following.extend_data(ended.value)
        ended.followups.append(follow_up(runtime, following))

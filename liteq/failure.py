"""What the failure of an attempt causes: an error to read, an error handler, a retry."""

from __future__ import annotations

import copy
import logging
import os
from dataclasses import dataclass
from datetime import timedelta

from liteq import clock
from liteq import signals as s
from liteq.exceptions import (
    CancelExecution,
    RateLimitExceeded,
    RetryTask,
    TaskException,
    TaskLockedException,
    TaskTerminated,
    TaskTimeout,
)
from liteq.messages import EndKind, Error
from liteq.outcomes import Ended, Followup, Runtime, follow_up, join, text_of
from liteq.retry import next_retry
from liteq.tasks import Task

logger = logging.getLogger("huey")

_LONGEST_REASON = 500

# They say "not now" rather than "it went wrong", so a retry that follows stores no error.
_NO_ERROR_WHILE_RETRIED = (RetryTask, RateLimitExceeded, TaskLockedException)


@dataclass(slots=True)
class _Failure:
    """How an attempt failed, and whether and when there is another."""

    exception: BaseException
    signal: str | None
    level: int = logging.WARNING
    explicit_delay: float | None = None


def conclude(runtime: Runtime, task: Task, exception: BaseException) -> Ended:
    """Decide what an exception that a task raised causes; its retries and times are changed for a retry."""
    failure = _classify(runtime, task, exception)
    exception = failure.exception  # which may be another: one about a wrong RetryTask
    _log(task, failure)
    if failure.signal is not None:
        extra = (exception,) if failure.signal == s.SIGNAL_ERROR else ()
        runtime.signals.send(failure.signal, task, *extra)
    final = not task.retries
    ended = Ended(failure.signal or s.SIGNAL_ERROR if final else s.SIGNAL_RETRYING)
    ended.reason = text_of(exception)[:_LONGEST_REASON]
    surfaces = final or (
        runtime.store_intermediate_errors and not isinstance(exception, _NO_ERROR_WHILE_RETRIED)
    )
    _tell(runtime, task, exception, ended, shown=surfaces, final=final)
    runtime.hooks.post_execute.run(task, None, exception)
    if surfaces and task.on_error is not None:
        handler = _error_handler(runtime, task.on_error, task, exception)
        ended.followups.append(handler)
        runtime.signals.send(handler.signal, handler.task)
    if not final:
        runtime.signals.send(s.SIGNAL_RETRYING, task)
        retry = _retry(runtime, task, failure.explicit_delay)
        ended.followups.append(retry)
        runtime.signals.send(retry.signal, retry.task)
    return ended


_SIGNALS: tuple[tuple[type[BaseException], str], ...] = (
    (TaskTimeout, s.SIGNAL_TIMEOUT),
    (TaskLockedException, s.SIGNAL_LOCKED),
    (RateLimitExceeded, s.SIGNAL_RATE_LIMITED),
    (CancelExecution, s.SIGNAL_CANCELED),
    (TaskTerminated, s.SIGNAL_REVOKED),
)


def _classify(runtime: Runtime, task: Task, exception: BaseException) -> _Failure:
    """Say what kind of failure it is, and grant the retry that some of them come with."""
    if isinstance(exception, RetryTask):
        return _asked_for_retry(runtime, task, exception)
    signal = next((signal for kind, signal in _SIGNALS if isinstance(exception, kind)), None)
    if signal is None:
        return _Failure(exception, s.SIGNAL_ERROR, logging.ERROR)
    failure = _Failure(exception, signal)
    if isinstance(exception, RateLimitExceeded):
        task.retries += bool(exception.retry)
        failure.explicit_delay = task.retry_delay or exception.delay
    elif isinstance(exception, CancelExecution):
        wanted = task.retries if exception.retry is None else exception.retry
        task.retries = max(task.retries, 1) if wanted else 0
    elif isinstance(exception, TaskTerminated):
        task.retries = 0
    return failure


def _asked_for_retry(runtime: Runtime, task: Task, exception: RetryTask) -> _Failure:
    try:
        delay = _delay_of(runtime, exception)
    except ValueError as error:
        return _Failure(error, s.SIGNAL_ERROR, logging.ERROR)
    task.retries += 1
    return _Failure(exception, None, logging.INFO, delay)


def _delay_of(runtime: Runtime, exception: RetryTask) -> float | None:
    """Seconds until the retry that was asked for; None leaves it to the task, less than 0 means at once."""
    delay = exception.delay
    if isinstance(delay, timedelta):
        delay = delay.total_seconds()
    if exception.eta is None and isinstance(delay, int | float):
        return clock.seconds_of(max(0.0, delay))
    if exception.eta is None and delay is None:
        return None
    due = clock.normalize_time(exception.eta, delay, runtime.utc)
    seconds = (due - clock.naive_now(runtime.utc)).total_seconds()
    return clock.seconds_of(seconds) if seconds > 0 else seconds


def _log(task: Task, failure: _Failure) -> None:
    if failure.level == logging.ERROR:
        logger.error("Unhandled exception in task %s", task.id, exc_info=failure.exception)
    else:
        logger.log(failure.level, "Task %s: %s", task.id, text_of(failure.exception))


def _tell(
    runtime: Runtime, task: Task, exception: BaseException, ended: Ended, *, shown: bool, final: bool
) -> None:
    """Store the error: for the later stages of a pipeline too, which will never run, and for their chord."""
    stored = shown and runtime.results and task.keeps_result
    chord = task.joins if final else None
    if not stored and chord is None:
        return
    error = runtime.serializer.serialize(Error(runtime.build_error_result(task, exception)))
    ended.joins = join(chord, EndKind.ERROR, error)
    if stored:
        ended.results = [(stage.id, error) for stage in (task.stages() if final else (task,))]


def _error_handler(runtime: Runtime, handler: Task, task: Task, exception: BaseException) -> Followup:
    # A copy each time: with retries, the same handler is enqueued more than once.
    handler = copy.copy(handler)
    arguments = handler.args
    handler.args = (*arguments, exception)
    try:
        # Many an exception can be serialized, and then not read back, or not as an exception.
        read_back = runtime.serializer.deserialize(runtime.serializer.serialize(exception))
        if isinstance(read_back, BaseException):
            return follow_up(runtime, handler)
    except Exception:  # noqa: BLE001 -- the exception is described instead
        logger.debug("The error handler of %s gets a description of %s", task.id, type(exception).__name__)
    handler.args = (*arguments, TaskException(runtime.build_error_result(task, exception)))
    return follow_up(runtime, handler)


def _retry(runtime: Runtime, task: Task, explicit_delay: float | None) -> Followup:
    task.retries -= 1
    delay, task.retry_delay = next_retry(
        task.retry_delay,
        task.retry_backoff,
        explicit_delay,
        longest=task.retry_max_delay,
        jitter=task.retry_jitter or 0,
        draw=_draw() if task.retry_jitter else 0,
    )
    task.eta = clock.normalize_time(delay=delay, utc=runtime.utc) if delay else None
    logger.info("Task %s runs again in %.3gs, %d retries left", task.id, delay, task.retries)
    followup = follow_up(runtime, task, s.SIGNAL_SCHEDULED if delay else s.SIGNAL_ENQUEUED)
    if task.claim is None:
        return followup
    return followup._replace(message=followup.message._replace(attempt=task.claim.attempt))


def _draw() -> float:
    """A random number from 0 to 1, of the kernel: an application may seed `random`."""
    return int.from_bytes(os.urandom(4), "big") / 2**32

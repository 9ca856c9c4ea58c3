"""Run one task: a sequence of small steps that decide what the attempt causes; storing it is for the caller.

The order is the one that applications rely on. On success: pre-execute hooks, run, post-execute hooks, signal
complete. On failure: the signal of its kind, post-execute hooks, signal retrying. The result, the next stage
and the retry are returned as effects, to be stored together with the end of the attempt.
"""

from __future__ import annotations

import copy
import logging
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from liteq import clock
from liteq import signals as s
from liteq.exceptions import (
    CancelExecution,
    RateLimitExceeded,
    RetryTask,
    TaskException,
    TaskInterrupted,
    TaskLockedException,
    TaskTimeout,
)
from liteq.hooks import Hooks
from liteq.messages import Claim, Disposition, Error, Message, Outcome
from liteq.retry import next_retry
from liteq.serializer import Serializer
from liteq.tasks import PeriodicTask, Task

logger = logging.getLogger("huey")

# They say "not now" rather than "it went wrong", so a retry that follows stores no error.
_NO_ERROR_WHILE_RETRIED = (RetryTask, RateLimitExceeded, TaskLockedException)


class Runtime(Protocol):
    """What running a task needs of the application's queue."""

    utc: bool
    results: bool
    store_none: bool
    store_intermediate_errors: bool
    serializer: Serializer
    hooks: Hooks
    signals: s.Signal
    in_flight: set[Task]

    def message_of(self, task: Task) -> Message:
        """The message of a task that is about to be enqueued."""

    def build_error_result(self, task: Task, exception: BaseException) -> dict[str, Any]:
        """What is stored of a failure."""


class Followup(NamedTuple):
    """A task that is enqueued because of another one's end."""

    task: Task
    message: Message
    signal: str
    """How it is announced: enqueued, or scheduled (a retry that waits)."""


@dataclass(slots=True)
class Ended:
    """What one attempt causes."""

    status: str
    disposition: Disposition = Disposition.DONE
    value: Any = None
    results: list[tuple[str, bytes]] = field(default_factory=list)
    followups: list[Followup] = field(default_factory=list)

    def outcome(self) -> Outcome:
        """The same, as storage takes it."""
        messages = tuple(followup.message for followup in self.followups)
        return Outcome(self.disposition, self.status, tuple(self.results), messages)


@dataclass(slots=True)
class _Failure:
    """How an attempt failed, and whether and when there is another."""

    exception: BaseException
    signal: str | None
    level: int = logging.WARNING
    explicit_delay: float | None = None


def run(runtime: Runtime, task: Task, *, revoked: bool, now: datetime, isolated: bool) -> Ended:
    """Run a task, unless it must not be.

    Args:
        runtime: the application's queue.
        task: the task; its retries and times are changed if it is to be retried.
        revoked: it was revoked: report that.
        now: the naive datetime that decides about its expiry.
        isolated: the task runs in a worker, where KeyboardInterrupt and SystemExit are a task's own errors.
            Elsewhere they are the caller's, and are raised.
    """
    refused = _refuse(runtime, task, revoked, now)
    if refused is not None:
        return Ended(refused)
    runtime.signals.send(s.SIGNAL_EXECUTING, task)
    logger.debug("Executing %s", task)
    try:
        runtime.hooks.pre_execute.run(task)
    except CancelExecution:
        runtime.signals.send(s.SIGNAL_CANCELED, task)
        return Ended(s.SIGNAL_CANCELED)
    ended = Ended(s.SIGNAL_COMPLETE)
    started = time.monotonic()
    try:
        _call(runtime, task, ended)
    except TaskInterrupted:
        logger.warning("Task %s was interrupted and goes back to the queue.", task.id)
        runtime.signals.send(s.SIGNAL_INTERRUPTED, task)
        return Ended(s.SIGNAL_INTERRUPTED, Disposition.BACK)
    except BaseException as exception:  # everything that a task raises is its outcome
        if not isolated and not isinstance(exception, Exception):
            runtime.signals.send(s.SIGNAL_INTERRUPTED, task)
            raise
        return _conclude_failure(runtime, task, _classify(runtime, task, exception))
    logger.debug("%s executed in %0.3fs", task, time.monotonic() - started)
    runtime.hooks.post_execute.run(task, ended.value, None)
    runtime.signals.send(s.SIGNAL_COMPLETE, task)
    for followup in ended.followups:
        runtime.signals.send(followup.signal, followup.task)
    return ended


def dead_outcome(runtime: Runtime, claim: Claim, reason: str) -> Outcome:
    """The end of a task that will not run again by itself; whoever waits for its result gets an error."""
    outcome = Outcome(Disposition.DEAD, "dead", reason=reason)
    if not runtime.results:
        return outcome
    metadata = {"error": f"dead: {reason}", "retries": 0, "traceback": None, "task_id": claim.id}
    error = runtime.serializer.serialize(Error(metadata))
    return outcome._replace(results=tuple((id, error) for id in (claim.id, *claim.chain)))


def _refuse(runtime: Runtime, task: Task, revoked: bool, now: datetime) -> str | None:
    if revoked:
        logger.warning("Task %s was revoked, not executing", task)
        status = s.SIGNAL_REVOKED
    elif task.expires_resolved is not None and task.expires_resolved < now:
        logger.info("Task %s expired, not executing", task)
        status = s.SIGNAL_EXPIRED
    else:
        return None
    runtime.signals.send(status, task)
    return status


def _call(runtime: Runtime, task: Task, ended: Ended) -> None:
    """Run the function and serialize what comes of it; a value that can't be serialized is a failure."""
    if task.timeout:
        task.start_timer()
    runtime.in_flight.add(task)
    try:
        ended.value = task.execute()
    finally:
        runtime.in_flight.discard(task)
    stored = runtime.results and not isinstance(task, PeriodicTask)
    if stored and (ended.value is not None or runtime.store_none):
        ended.results.append((task.id, runtime.serializer.serialize(ended.value)))
    if task.on_complete is not None:
        # A copy: should its new arguments not serialize, the task's own retry must not carry them.
        following = copy.copy(task.on_complete)
        following.extend_data(ended.value)
        ended.followups.append(_followup(runtime, following))


_SIGNALS: tuple[tuple[type[BaseException], str], ...] = (
    (TaskTimeout, s.SIGNAL_TIMEOUT),
    (TaskLockedException, s.SIGNAL_LOCKED),
    (RateLimitExceeded, s.SIGNAL_RATE_LIMITED),
    (CancelExecution, s.SIGNAL_CANCELED),
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
        return max(0.0, delay)
    if exception.eta is None and delay is None:
        return None
    due = clock.normalize_time(exception.eta, delay, runtime.utc)
    return (due - clock.naive_now(runtime.utc)).total_seconds()


def _conclude_failure(runtime: Runtime, task: Task, failure: _Failure) -> Ended:
    """Decide what a failure causes: an error to read, an error handler, a retry."""
    exception = failure.exception
    _log(task, failure)
    if failure.signal is not None:
        extra = (exception,) if failure.signal == s.SIGNAL_ERROR else ()
        runtime.signals.send(failure.signal, task, *extra)
    final = not task.retries
    ended = Ended(failure.signal or s.SIGNAL_ERROR if final else s.SIGNAL_RETRYING)
    surfaces = final or (
        runtime.store_intermediate_errors and not isinstance(exception, _NO_ERROR_WHILE_RETRIED)
    )
    if surfaces and runtime.results and not isinstance(task, PeriodicTask):
        ended.results.extend(_error_results(runtime, task, exception, final))
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


def _log(task: Task, failure: _Failure) -> None:
    if failure.level == logging.ERROR:
        logger.error("Unhandled exception in task %s", task.id, exc_info=failure.exception)
    else:
        logger.log(failure.level, "Task %s: %r", task.id, failure.exception)


def _error_results(
    runtime: Runtime, task: Task, exception: BaseException, final: bool
) -> list[tuple[str, bytes]]:
    """The stored error; the later stages of a pipeline, which will never run, get it too."""
    error = runtime.serializer.serialize(Error(runtime.build_error_result(task, exception)))
    return [(stage.id, error) for stage in (task.stages() if final else (task,))]


def _error_handler(runtime: Runtime, handler: Task, task: Task, exception: BaseException) -> Followup:
    # A copy each time: with retries, the same handler is enqueued more than once.
    handler = copy.copy(handler)
    arguments = handler.args
    handler.args = (*arguments, exception)
    try:
        # Many an exception can be pickled, and then not read back.
        runtime.serializer.deserialize(runtime.serializer.serialize(exception))
        return _followup(runtime, handler)
    except Exception:  # noqa: BLE001 -- an exception that can't be serialized is described instead
        handler.args = (*arguments, TaskException(runtime.build_error_result(task, exception)))
        return _followup(runtime, handler)


def _retry(runtime: Runtime, task: Task, explicit_delay: float | None) -> Followup:
    task.retries -= 1
    delay, task.retry_delay = next_retry(task.retry_delay, task.retry_backoff, explicit_delay)
    task.eta = clock.normalize_time(delay=delay, utc=runtime.utc) if delay else None
    logger.info("Task %s runs again in %.3gs, %d retries left", task.id, delay, task.retries)
    return _followup(runtime, task, s.SIGNAL_SCHEDULED if delay else s.SIGNAL_ENQUEUED)


def _followup(runtime: Runtime, task: Task, signal: str = s.SIGNAL_ENQUEUED) -> Followup:
    return Followup(task, runtime.message_of(task), signal)

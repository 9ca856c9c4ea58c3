"""In a worker that is a thread or greenlet: its tasks are ended from outside, by the main thread.

What is raised in a thread reaches it when it next runs Python code: a call into C that waits or computes ends
by itself first. What is raised in a greenlet reaches it where it waits. Where several workers share a process
nothing more can be done: killing it would end the tasks of the others.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from liteq.exceptions import TaskStopped, TaskTimeout
from liteq.tasks import Task
from liteq.workers.brake import Brake
from liteq.workers.shared import Board

NEVER = float("inf")


class Target(Protocol):
    """A thread or greenlet in which exceptions can be raised."""

    def throw(self, error: BaseException, holds: Callable[[], bool]) -> None:
        """Raise an exception in it, unless the reason for it does not hold any more."""

    def clear(self) -> None:
        """Called in it: what has not been raised yet will not be."""


class ThreadTarget:
    """The thread that makes this."""

    def __init__(self) -> None:
        self._ident = threading.get_ident()
        self._raise = ctypes.pythonapi.PyThreadState_SetAsyncExc
        self._id = ctypes.c_ulong(self._ident)

    def throw(self, error: BaseException, holds: Callable[[], bool]) -> None:
        """See `Target`. A coroutine that waits in its event loop is ended by way of that."""
        asynchronous = sys.modules.get("liteq.asynchronous")
        if not holds() or (asynchronous is not None and asynchronous.stop(self._ident, error)):
            return
        self._raise(self._id, ctypes.py_object(_maker_of(error)))

    def clear(self) -> None:
        """See `Target`."""
        self._raise(self._id, None)


def _maker_of(error: BaseException) -> type[BaseException]:
    """A class whose instances are like this exception: in another thread, only a class can be raised."""
    kind, arguments = type(error), error.args
    if isinstance(error, TaskStopped):
        arguments = (error.reason,)

    def make(self: BaseException) -> None:
        kind.__init__(self, *arguments)

    return type(kind.__name__, (kind,), {"__init__": make, "__module__": kind.__module__})


class Alarm(NamedTuple):
    """When the time of a task is over."""

    at: float
    """Seconds of the monotonic clock."""
    task: Task | None


_NONE = Alarm(NEVER, None)


class RemoteBrake(Brake):
    """Ends the tasks of a worker by exceptions from outside.

    Only the main thread calls `throw` and `ring`, and only the worker calls the rest. No lock is between
    them, since an exception may come at any step of the worker, who could never be sure to give it back.

    Args:
        board: where it notes until when the attempt may go on.
        index: the worker's entry there.
        wake: tells the main thread that an alarm has been set.
    """

    def __init__(self, board: Board, index: int, wake: Callable[[float], None]) -> None:
        super().__init__(board, index)
        self._wake = wake
        self._target: Target | None = None
        self._open = False
        self._throwing = self._thrown = False
        self._alarm = self._rung = _NONE

    def aim(self, target: Target) -> None:
        """Say which thread or greenlet the worker is."""
        self._target = target

    # Of the worker

    def open(self) -> None:
        """See `Brake`."""
        self._open = True

    def close(self) -> None:
        """See `Brake`."""
        self._open = False
        self._clear()

    def tidy(self, nanoseconds: int) -> None:
        """Signals, alarms and limits belong to all tasks of the process: what is left is another's, too."""

    def _arm(self, seconds: float) -> None:
        self._alarm = Alarm(time.monotonic() + seconds, self._task)
        self._wake(self._alarm.at)

    def _disarm(self) -> None:
        self._alarm = _NONE
        self._clear()

    def _clear(self) -> None:
        """What was thrown and not raised yet will not be."""
        while self._throwing:
            time.sleep(0)
        if self._thrown and self._target is not None:
            self._target.clear()
            self._thrown = False

    # Of the main thread

    @property
    def rings_at(self) -> float:
        """When `ring` has something to do (monotonic seconds)."""
        alarm = self._alarm
        return NEVER if alarm is self._rung else alarm.at

    def ring(self) -> None:
        """The time of the running task may be over."""
        self._rung = alarm = self._alarm
        task = alarm.task
        if task is not None:
            error = TaskStopped(TaskTimeout(f"timeout {task.timeout}s"))
            self.throw(error, lambda: self._task is task)

    def throw(self, error: BaseException, holds: Callable[[], bool]) -> None:
        """Raise an exception in the worker if it is at an attempt, and the reason for it holds."""
        self._throwing = self._thrown = self.has_raised = True
        try:
            if self._target is not None:
                self._target.throw(error, lambda: self._open and holds())
        finally:
            self._throwing = False

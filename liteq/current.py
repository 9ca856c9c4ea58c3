"""What the code that asks is part of: the task that is being run in this thread, coroutine or greenlet."""

from __future__ import annotations

from contextvars import ContextVar

from liteq.tasks import Task

current: ContextVar[Task | None] = ContextVar("liteq.current", default=None)


def current_task() -> Task | None:
    """The task that this code is being run for; None outside of tasks.

    Its `claim` names the attempt, if the task was claimed from a queue.
    """
    return current.get()

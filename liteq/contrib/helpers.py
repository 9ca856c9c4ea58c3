"""Helpers on top of the queue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from liteq.locks import TaskSemaphore
from liteq.slots import LockHost

F = TypeVar("F", bound=Callable[..., Any])

RedisSemaphore = TaskSemaphore
"""The name that applications know; it needs no Redis."""


def lock_task_semaphore(
    huey: LockHost, lock_name: str, value: int = 1, timeout: float | timedelta | None = None
) -> Callable[[F], F]:
    """Let no more than `value` calls of a function run at the same time, in all processes together.

    For use below `@huey.task()`. One call too many raises TaskLockedException; a task that has retries is
    retried. `timeout` is accepted: a slot is held for as long as its call runs, and not a moment longer if
    its process dies.

    Raises:
        TypeError: if the name is not a text.
        ValueError: if it is empty, or value is not 1 or more.
    """
    del timeout
    return TaskSemaphore(huey, lock_name, value)


__all__ = ["RedisSemaphore", "TaskSemaphore", "lock_task_semaphore"]

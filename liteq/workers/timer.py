"""In a worker: the exception that ends a task whose time is over, or that is to be stopped."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, Self

from liteq import clock
from liteq.exceptions import TaskInterrupted, TaskStopped, TaskTerminated, TaskTimeout
from liteq.messages import Verdict
from liteq.tasks import Task
from liteq.workers.shared import NEVER, Board

_LEAST_TO_CONCLUDE = 10.0
"""Seconds."""

_NEEDED = (signal.SIGALRM, signal.SIGTERM)


class Timer:
    """Raises TaskStopped in a task when its timeout is over; a guard in the sense of `execution.run`.

    It uses SIGALRM, which reaches the main thread inside a call that waits as well. The handler of the
    application, if it has one, is in force again between tasks with a timeout. What does not return to
    Python in time is for those who read the deadline on the board.

    What remains once the function has ended (to serialize what came of it, hooks) has as much time again,
    and a few seconds at least.
    """

    def __init__(self, board: Board, index: int) -> None:
        self._board = board
        self._index = index
        self._task: Task | None = None
        self._to_conclude = 0.0
        self._before: Any = None

    def __call__(self, task: Task) -> Self:
        """Guard this task next."""
        self._task = task
        self._to_conclude = max(_LEAST_TO_CONCLUDE, task.timeout or 0)
        return self

    def __enter__(self) -> None:
        remaining = self._task.time_remaining if self._task is not None else 0.0
        self._board.limit(self._index, clock.monotonic() + int(remaining * clock.SECOND))
        self._before = signal.signal(signal.SIGALRM, self._ring)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _NEEDED)  # a task may have left them blocked
        signal.setitimer(signal.ITIMER_REAL, max(remaining, 1e-6))

    def __exit__(self, *_: object) -> None:
        self._task = None  # from here on the handler does nothing
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)
        self._board.limit(self._index, clock.monotonic() + int(self._to_conclude * clock.SECOND))

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        task, self._task = self._task, None
        if task is not None:
            raise TaskStopped(TaskTimeout(f"timeout {task.timeout}s"))

    def forget_board(self) -> None:
        """In a process that a task has forked: the attempt is its parent's."""
        self._board = Board(self._index + 1)

    def no_limit(self) -> None:
        """Note that the task has no timeout, or that it has ended."""
        self._board.limit(self._index, NEVER)

    def end(self) -> BaseException:
        """What SIGTERM raises in the task that is being run."""
        verdict = self._board.verdict(self._index)
        if verdict is Verdict.TERMINATED:
            return TaskStopped(TaskTerminated("revoked while it ran"))
        if verdict is Verdict.TIMEOUT:
            return TaskStopped(TaskTimeout("its time is over, and it did not end"))
        return TaskInterrupted()

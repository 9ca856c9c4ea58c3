"""What ends the task that a worker is at, because its time is over or because it is to be stopped.

Each kind of worker has its own way to raise an exception in a task: a process by signals (see `Timer`), a
thread or greenlet from outside (see `RemoteBrake`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

from liteq import clock
from liteq.exceptions import TaskInterrupted, TaskStopped, TaskTerminated, TaskTimeout
from liteq.messages import Verdict
from liteq.tasks import Task
from liteq.workers.shared import NEVER, Board

_LEAST_TO_CONCLUDE = 10.0
"""Seconds."""


class Brake(ABC):
    """Ends the tasks of one worker; a guard in the sense of `execution.run`.

    What remains once the function has ended (to serialize what came of it, hooks) has as much time again,
    and a few seconds at least.

    Args:
        board: where it notes until when the attempt may go on.
        index: the worker's entry there.
    """

    ends_process = False
    """A stop that comes when the task itself has ended, ends the process: another worker concludes it."""

    def __init__(self, board: Board, index: int) -> None:
        self._board = board
        self._index = index
        self._task: Task | None = None
        self._to_conclude = 0.0
        self.stopping = False
        """The worker begins nothing more."""
        self.waiting = False
        """The worker waits for a task, which a stop may end."""
        self.hung_up = False
        """Its line was shut from this side, to end that: the end of file says nothing of the others."""
        self.has_raised = False
        """An exception was raised in the attempt, or may have been: whatever it was at is to be put right."""

    @abstractmethod
    def open(self) -> None:
        """From here on exceptions may be raised in the worker: it is at an attempt."""

    @abstractmethod
    def close(self) -> None:
        """From here on there are none. To be called again if an exception has kept it from its end."""

    @abstractmethod
    def tidy(self, nanoseconds: int) -> None:
        """Put right what the task has left that took so long."""

    @abstractmethod
    def _arm(self, seconds: float) -> None:
        """Let TaskStopped be raised in so many seconds."""

    @abstractmethod
    def _disarm(self) -> None:
        """Let it not be raised any more."""

    def __call__(self, task: Task) -> Self:
        """Guard this task next."""
        self._task = task
        self._to_conclude = max(_LEAST_TO_CONCLUDE, task.timeout or 0)
        return self

    def __enter__(self) -> None:
        remaining = self._task.time_remaining if self._task is not None else 0.0
        self._board.limit(self._index, clock.monotonic() + int(remaining * clock.SECOND))
        self._arm(remaining)

    def __exit__(self, *_: object) -> None:
        self._task = None  # from here on a timeout does nothing
        self._disarm()
        self._board.limit(self._index, clock.monotonic() + int(self._to_conclude * clock.SECOND))

    def no_limit(self) -> None:
        """Note that the task has no timeout, or that it has ended."""
        self._board.limit(self._index, NEVER)

    def forget_board(self) -> None:
        """In a process that a task has forked: the attempt is its parent's."""
        self._board = Board(self._index + 1)

    def reason(self) -> BaseException:
        """What a stop raises in the task that is being run."""
        verdict = self._board.verdict(self._index)
        if verdict is Verdict.TERMINATED:
            return TaskStopped(TaskTerminated("revoked while it ran"))
        if verdict is Verdict.TIMEOUT:
            task = self._task  # none any more if it has been told already, or concludes
            late = "its time is over, and it did not end" if task is None else f"timeout {task.timeout}s"
            return TaskStopped(TaskTimeout(late))
        return TaskInterrupted()

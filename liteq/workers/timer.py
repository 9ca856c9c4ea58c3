"""In a worker that is a process: signals end a task whose time is over, or that is to be stopped."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from liteq.exceptions import TaskStopped, TaskTimeout
from liteq.workers.brake import Brake
from liteq.workers.forks import let_go
from liteq.workers.leftovers import Leftovers
from liteq.workers.shared import Board

_NEEDED = (signal.SIGALRM, signal.SIGTERM)


class Timer(Brake):
    """Raises TaskStopped in a task when its timeout is over.

    It uses SIGALRM, which reaches the main thread inside a call that waits as well. The handler of the
    application, if it has one, is in force again between tasks with a timeout. What does not return to
    Python in time is for those who read the deadline on the board.
    """

    ends_process = True

    def __init__(self, board: Board, index: int) -> None:
        super().__init__(board, index)
        self._before: Any = None
        self._interruptible = False
        self._leftovers: Leftovers | None = None

    def install(self) -> None:
        """Have SIGTERM end what this process is at, but not the processes that a task forks."""
        self._leftovers = Leftovers(self.interrupt)
        let_go(self.forget_board)

    def take_stock(self) -> None:
        """What the application has done to signals and limits so far is to stay."""
        if self._leftovers is not None:
            self._leftovers.take_stock()

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """SIGTERM: end the running task now. Outside of a task it only notes that the worker has to end.

        Raises:
            TaskInterrupted: into the task.
            TaskStopped: into a task that is to end for good.
        """
        self.stopping = True
        if self._interruptible or self.waiting:
            self.has_raised = True
            raise self.reason()

    def open(self) -> None:
        """See `Brake`."""
        self._interruptible = True

    def close(self) -> None:
        """See `Brake`."""
        self._interruptible = False

    def tidy(self, nanoseconds: int) -> None:
        """See `Brake`."""
        if self._leftovers is not None:
            self._leftovers.clear(nanoseconds)

    def _arm(self, seconds: float) -> None:
        self._before = signal.signal(signal.SIGALRM, self._ring)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _NEEDED)  # a task may have left them blocked
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))

    def _disarm(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        task, self._task = self._task, None
        if task is not None:
            self.has_raised = True
            raise TaskStopped(TaskTimeout(f"timeout {task.timeout}s"))

"""What tasks leave behind in their process, put right as far as the worker itself relies on it.

All else that a task changes (the folder, the environment, other handlers) is the application's own, and stays
as it is until the worker ends.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

from liteq.workers.process import Handler, ignore

# Without the conversion to an enum, which for a function fails and costs fifty times as much as the call.
_handler_of: Any = getattr(sys.modules.get("_signal"), "getsignal", signal.getsignal)

_LONG = 1_000_000
_TERM, _ALARM = int(signal.SIGTERM), int(signal.SIGALRM)
_NEEDED = {signal.SIGTERM, signal.SIGALRM}


class Leftovers:
    """The handlers of TERM and ALRM, the signal mask, the alarm clock and the limit of recursion.

    Args:
        interrupt: the worker's handler of TERM.
    """

    def __init__(self, interrupt: Handler) -> None:
        self._interrupt = interrupt
        signal.signal(signal.SIGTERM, interrupt)
        self.take_stock()

    def take_stock(self) -> None:
        """As it is now, it was left by the application, and is right."""
        if signal.getsignal(signal.SIGALRM) == signal.SIG_DFL:
            # An alarm that a task has set and forgotten would kill the worker in the midst of another one.
            signal.signal(signal.SIGALRM, ignore)
        self._alarm = _handler_of(_ALARM)
        self._limit = sys.getrecursionlimit()

    def clear(self, nanoseconds: int) -> None:
        """Put right what a task has left that took so long.

        The mask is reset after long tasks only: a call to the system costs a good part of a short task. The
        timer does so before each task with a timeout.
        """
        if _handler_of(_TERM) != self._interrupt:
            signal.signal(signal.SIGTERM, self._interrupt)
        if _handler_of(_ALARM) is not self._alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)  # what it is set for would reach another task
            signal.signal(signal.SIGALRM, self._alarm)
        if sys.getrecursionlimit() < self._limit:
            sys.setrecursionlimit(self._limit)
        if nanoseconds > _LONG:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _NEEDED)

"""Processes that tasks fork: they are no workers, and end as those of any other program do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable


def let_go(forget: Callable[[], None]) -> None:
    """In a worker: have TERM end what it forks from now on, as `multiprocessing` relies on.

    The worker's handler would raise in the child. A signal that came right after the fork would even be
    forgotten, so that it is blocked until the child has no handler any more.

    Args:
        forget: called in each child.
    """

    def begin_anew() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _unblock()
        forget()

    os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=begin_anew)


def _block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

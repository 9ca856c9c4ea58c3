"""Forks, signals and the Linux calls that the standard library does not have."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_OURS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)

_fork = os.fork
"""As it is before gevent replaces it by one that watches children."""

NAME_PREFIX = "liteq:"

EXIT_CUT_OFF = 74
"""Of a worker that can't speak to the dispatcher any more: a task has closed its line."""

Handler = Callable[[int, FrameType | None], None]


def become_subreaper() -> None:
    """Become the parent of descendants whose own parent dies (prctl(2))."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_name(role: str) -> None:
    """Say what this process is, in `ps`, `top` and the log of the system; 15 bytes are kept (prctl(2))."""
    _prctl(_PR_SET_NAME, f"{NAME_PREFIX}{role}".encode())


def _prctl(option: int, value: int | bytes) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextlib.contextmanager
def signals_blocked() -> Iterator[None]:
    """No signal of ours is handled within the block; it waits until after."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing. Not SIG_IGN, which the programs that a task starts would inherit."""


def fork(main: Callable[[], int]) -> int:
    """Run `main` in a child; its pid. The child never returns into the caller's code.

    The child starts with default handlers, so that nothing of the parent's reacts to its signals, and must
    set its own first.
    """
    with signals_blocked():
        sys.stdout.flush()
        sys.stderr.flush()
        pid = _fork()
        if not pid:
            _run_and_exit(main)
        return pid


def _run_and_exit(main: Callable[[], int]) -> NoReturn:
    code = 1
    try:
        # The parent's wake-up pipe would report the child's signals to the parent.
        signal.set_wakeup_fd(-1)
        for number in _OURS:
            signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else ignore)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)
        code = main()
    except BaseException:  # noqa: BLE001 -- the last frame of the process: it reports
        traceback.print_exc()
    finally:
        # Not sys.exit: exit handlers that the parent registered are the parent's.
        with contextlib.suppress(Exception):
            logging.shutdown()
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def describe_exit(code: int) -> str:
    """How a process ended, for people; a negative code is a signal's number."""
    if code == EXIT_CUT_OFF:
        return f"exited with code {code}, as it does when its line to the dispatcher was closed"
    if code >= 0:
        return f"exited with code {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"

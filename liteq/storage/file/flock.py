"""Locks of processes on files (flock(2)), which end with the process that holds them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from liteq.exceptions import StorageBusy, StorageError

_PAUSE = 0.001
_INTERRUPTING = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
"""What may raise an exception between any two steps of this thread, as the timeout of a task does."""


@contextmanager
def held(path: str, fd: int, kind: int, timeout: float) -> Iterator[None]:
    """Hold a lock on a file, which is open as `fd`, shared or exclusive (LOCK_SH, LOCK_EX).

    Signals wait until it is free again: an exception that they raise between any two steps could otherwise
    leave the lock with a process that lives on, and all others waiting. Where the process has other threads,
    one of these may take the signal, and the exception come all the same.

    Raises:
        StorageBusy: if it was not free for `timeout` seconds.
    """
    pid = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        if not _acquire(fd, kind, before, time.monotonic() + timeout):
            raise StorageBusy(
                f"{path}: it was locked for longer than `timeout`; end who holds it, or raise `timeout`"
            )
        yield
    finally:
        if os.getpid() == pid:  # a child that was forked inside has closed it, and must not free it
            with contextlib.suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_UN)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _acquire(fd: int, kind: int, mask: set[int], deadline: float) -> bool:
    """Get the lock, with the signals blocked; while others have it, they come as ever. False: in vain."""
    while True:
        signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTING)
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
        except OSError as error:
            raise StorageError(f"files can't be locked here: {error}") from error
        else:
            return True
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        time.sleep(_PAUSE)

"""The bell: how one process tells others that it has committed something.

After its commit a writer touches a small file beside the database; whoever waits watches that file. Watching
the WAL instead loses wake-ups: it is written before the commit can be seen. Where a file can't be watched,
the waiters look for themselves at intervals.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref

from liteq.storage.companion import open_companion
from liteq.storage.inotify import FileWatch
from liteq.storage.readable import is_readable


class Bell:
    """One file whose writing means "look again". Making one opens nothing.

    Args:
        path: the file.
        like: the file beside which it lies: who may write to that one may ring.
    """

    def __init__(self, path: str, like: str | None = None) -> None:
        self.path = path
        self.like = like
        self._fd: int | None = None
        self._lock = threading.Lock()
        self.wakeup = BellWakeup(self)
        _bells.add(self)

    def ring(self) -> None:
        """Wake all who wait. The commit has been made, so a bell that can't ring only delays them."""
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor(), b"\0", 0)

    def watch(self) -> FileWatch:
        """A new watch on the bell.

        Raises:
            OSError: where the file can't be made or watched.
        """
        self._descriptor()
        return FileWatch(self.path)

    def close(self) -> None:
        """Give back the descriptors; the next use opens new ones."""
        with self._lock:
            fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
        self.wakeup.close()

    def _descriptor(self) -> int:
        if self._fd is None:
            with self._lock:
                if self._fd is None:
                    self._fd = open_companion(self.path, self.like, largest=1)
        return self._fd

    def reset_after_fork(self) -> None:
        """Forget what threads of the parent held; its watch would steal the parent's events."""
        self._lock = threading.Lock()
        self.wakeup.reset_after_fork()


class BellWakeup:
    """Waits of any number of threads on one watch: one of them reads it, and tells the others."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._rings = 0
        self._changed = threading.Condition()
        self._watch: FileWatch | None = None
        self._refused = False
        self._being_read = False

    @property
    def watching(self) -> bool:
        """Whether a ring ends a wait; if not, a waiter has to look for itself now and then."""
        return self._watch is not None

    def ticket(self) -> int:
        """The number of rings seen so far; from here on a ring is not missed."""
        with self._changed:
            if self._watch is None and not self._refused:
                try:
                    self._watch = self._bell.watch()
                    self._rings += 1  # what rang before is missed: a ticket from then is no good
                except OSError:
                    self._refused = True
            return self._rings

    def wait(self, ticket: int, timeout: float) -> bool:
        """Wait until the bell rang after the ticket was taken; False when `timeout` seconds passed first."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._rings == ticket:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                if self._watch is None or self._being_read:
                    self._changed.wait(left)
                else:
                    self._read(self._watch, left)
        return True

    def close(self) -> None:
        """Give back the watch, unless somebody waits on it."""
        with self._changed:
            if self._watch is not None and not self._being_read:
                self._watch.close()
                self._watch = None

    def reset_after_fork(self) -> None:
        """Start anew in a child; closing the inherited descriptor leaves the parent's watch as it is."""
        self._changed = threading.Condition()
        if self._watch is not None:
            self._watch.close()
        self._watch, self._refused, self._being_read = None, False, False

    def _read(self, watch: FileWatch, timeout: float) -> None:
        """Be the one thread that reads the watch; the lock is free for the others meanwhile."""
        self._being_read = True
        self._changed.release()
        try:
            rang = is_readable(watch, timeout)
        finally:
            self._changed.acquire()
            self._being_read = False
            # If only this thread's time is up, another one has to take its place at the watch.
            self._changed.notify_all()
        if rang:
            watch.drain()
            self._rings += 1


_bells: weakref.WeakSet[Bell] = weakref.WeakSet()


def _reset_after_fork() -> None:
    for bell in _bells:
        bell.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)

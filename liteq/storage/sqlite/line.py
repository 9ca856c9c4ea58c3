"""The line of those who wait for a file's write lock: who has waited longest asks for it most often.

SQLite's lock is a lottery: it goes to whoever asks while it is free. So each waiter writes into a small file
beside the database since when it has waited, and when it will ask again. From that it sees how many are
before it; the more there are, the more seldom it asks. So the first one soon wins, and the others take
little processor time. The file is nothing but a hint: a process that is killed or stopped holds nothing, and
does not count any more once it has not asked when it said it would.

Who does not have to wait passes the line, or the lock would be idle while the first one sleeps; but a process
that has had its turn joins the line if there is one.
"""

from __future__ import annotations

import os
import struct
import time
from itertools import count
from typing import Final

import apsw

from liteq.storage.companion import open_companion

PLACES: Final = 256
"""In the file; two waiters that have picked the same one see one of the two."""
_PLACE: Final = struct.Struct("=qq")
_SIZE: Final = PLACES * _PLACE.size
_NOBODY: Final = bytes(_PLACE.size)
FRONT: Final = 16
"""So many ask often. If it were one or a few, and the processors busy, the lock would be idle until one of
them is awake: with three, half of the commits were made that were made with these."""
_FRONT_PAUSE: Final = 100_000
"""Nanoseconds between two of their questions."""
_PAUSE_PER_PLACE: Final = 1_000_000
"""So much longer for each place behind the front: it takes about that long to move on by one."""
ALIKE: Final = 1_000_000
"""The pause of all where the file can't be used."""
_TURN: Final = 2_000_000
"""Nanoseconds for which a process may go on writing past those who wait."""
_REST: Final = 5_000_000
"""Nanoseconds without a write after which its next one begins a turn anew."""
_LATE: Final = 1_000_000_000
"""Nanoseconds by which a waiter may be late: the processors may be busy. If those who are late did not count,
all would ask more often just then, and take the processor from the one that has the lock."""


_waiters = count()
"""Of this process, for their places."""


class Waiter:
    """The busy handler of one connection. Making one opens nothing.

    Args:
        path: of the file with the line.
        timeout: how long to wait at most, in seconds.
        like: the file beside which it lies: who may write to that one may stand in line.
    """

    def __init__(self, path: str, timeout: float, like: str | None = None) -> None:
        self._path = path
        self._like = like
        self._timeout = int(timeout * 1e9)
        self._since = self._gives_up = self._in_front_until = 0
        self._turn_began = self._last_write = 0
        self._fd: int | None = None
        self._offset = (os.getpid() + next(_waiters)) % PLACES * _PLACE.size
        self._in_line = False

    def __call__(self, tries: int) -> bool:
        """Wait a little; whether to ask again."""
        now = time.monotonic_ns()
        if tries == 0:
            self._gives_up = now + self._timeout
        time.sleep(self._wait_in_line(now) / 1e9)
        return now < self._gives_up

    def begin(self, connection: apsw.Connection) -> None:
        """Make the connection the writer: begin a transaction as soon as it may."""
        self._step_back()
        try:
            connection.execute("BEGIN IMMEDIATE")
        finally:
            if self._in_line:
                self._leave()

    def _step_back(self) -> None:
        """Step behind those who wait, if it has had its turn."""
        now = time.monotonic_ns()
        if now - self._last_write > _REST:
            self._turn_began = now
        elif now - self._turn_began > _TURN:
            self._turn_began = now
            if self._somebody_waits(now):
                time.sleep(self._wait_in_line(now) / 1e9)
        self._last_write = now

    def _somebody_waits(self, now: int) -> bool:
        if self._fd is None and not os.path.lexists(self._path):
            return False  # nobody has had to wait yet
        try:
            content = self._read()
        except OSError:
            return False
        return content.count(0) != len(content) and _count(content, now, now) > 0

    def _wait_in_line(self, now: int) -> int:
        """How long to wait before it asks again, in nanoseconds; the others get to know."""
        if not self._in_line:
            self._since, self._in_line, self._in_front_until = now, True, 0
        if now < self._in_front_until:
            return _FRONT_PAUSE
        try:
            behind = max(0, _count(self._read(), self._since, now) - (FRONT - 1))
            pause = _FRONT_PAUSE + behind * _PAUSE_PER_PLACE
            asks = now + pause
            if not behind:  # who is in front stays there: nothing is to be read or written for a while
                asks = self._in_front_until = now + _LATE // 2
            os.pwrite(self._descriptor(), _PLACE.pack(self._since, asks), self._offset)
        except OSError:
            return ALIKE
        return pause

    def _read(self) -> bytes:
        return os.pread(self._descriptor(), _SIZE, 0)

    def _leave(self) -> None:
        """It has the lock, or has given up."""
        self._in_line = False
        self._turn_began = self._last_write = time.monotonic_ns()
        if self._fd is not None:
            try:
                os.pwrite(self._fd, _NOBODY, self._offset)
            except OSError:  # as late as it is now, it soon counts no more
                return

    def close(self) -> None:
        """Give back the descriptor; the next wait opens a new one."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _descriptor(self) -> int:
        if self._fd is None:
            self._fd = open_companion(self._path, self._like, largest=_SIZE, flags=os.O_RDWR)
        return self._fd


def _count(content: bytes, began: int, now: int) -> int:
    """How many have waited since before `began`, and still do."""
    whole = len(content) // _PLACE.size * _PLACE.size
    places = _PLACE.iter_unpack(content[:whole])
    return len([since for since, asks in places if 0 < since < began and now < asks + _LATE])

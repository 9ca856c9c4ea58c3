"""The write-ahead log as a file on the disk: when it is synchronised, and how it grows.

With durability "full", a commit does not wait for the disk while it has the write lock. It is made, the lock
is free for the next writer, and then the log is synchronised, before the call returns. So writers wait for
each other only as long as writing to memory takes, and one sync serves all who wait for the disk at the same
time. The log is written from its beginning to its end and synchronised as a whole: whatever a commit has
seen of others is on the disk once the commit itself is.

A file that becomes longer is synchronised in twice the time of one that is written over, because its length
has to be written down as well. So the log is made longer ahead of need, with zeros. SQLite takes them for
what it takes all remains of an earlier log for: their checksums are none, and the log ends before them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

import apsw

from liteq.exceptions import StorageError

_sync = getattr(os, "fdatasync", os.fsync)  # macOS has only the other one

GROWN_AT_MOST: Final = 64 * 1024 * 1024
"""Bytes up to which it is made longer; SQLite cuts a longer one, when it begins it anew."""
_LEAST_STEP: Final = 64 * 1024
_LONGEST_STEP: Final = 1024 * 1024
_RESERVE: Final = 32 * 1024
"""So much room, at least, is made for the next commit: more than most of them need."""
_HEADER_OF_FRAME: Final = 24


class Wal:
    """The log as one connection uses it: while that is open, SQLite leaves the file where it is.

    Args:
        path: the file; it is there once the connection has begun a transaction.
        page_size: bytes of a page of the database.
    """

    __slots__ = ("_fd", "_frame", "_path", "pages")

    def __init__(self, path: str, page_size: int) -> None:
        self._path = path
        self._frame = page_size + _HEADER_OF_FRAME
        self._fd: int | None = None
        self.pages = 0
        """How many pages it held after the last commit of the connection."""

    def note(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        """Note how long it is: SQLite calls this after each commit."""
        self.pages = pages
        return apsw.SQLITE_OK

    def make_room(self) -> None:
        """Make the file longer, if the next commit would. Only within a write transaction: no other writes.

        What fails in writing, fails again when SQLite writes, if it matters.

        Raises:
            StorageError: if the file can't be opened: nothing is to be committed that can't be synchronised.
        """
        fd = self._descriptor()
        with suppress(OSError):
            size = os.fstat(fd).st_size
            if self.pages * self._frame + _RESERVE > size and self.pages and size < GROWN_AT_MOST:
                os.pwrite(fd, bytes(min(max(size, _LEAST_STEP), _LONGEST_STEP)), size)

    def sync(self) -> None:
        """Wait until all that has been committed is on the disk.

        Raises:
            StorageError: if the disk refuses; what was committed is there until the power fails.
        """
        fd = self._descriptor()
        try:
            _sync(fd)
        except OSError as error:
            raise StorageError(f"{self._path}: can't be synchronised with the disk: {error}") from error

    def _descriptor(self) -> int:
        if self._fd is None:
            try:
                # SQLite holds no locks on the log, so that it may be opened and closed beside it.
                self._fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            except OSError as error:
                raise StorageError(f"{self._path}: can't be opened: {error.strerror}") from error
        return self._fd

    def close(self) -> None:
        """Give back the descriptor."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

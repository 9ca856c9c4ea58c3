"""A connection and what goes with it: the file that it has open, its wait for the lock, its log."""

from __future__ import annotations

import apsw

from liteq.storage.sqlite.files import FileId
from liteq.storage.sqlite.line import Waiter
from liteq.storage.sqlite.wal import Wal


class Handle:
    """A connection, and what goes with it."""

    __slots__ = ("connection", "file", "waiter", "wal")

    def __init__(self, connection: apsw.Connection, file: FileId | None, waiter: Waiter, wal: Wal) -> None:
        self.connection = connection
        self.file = file
        """Which file it has open."""
        self.waiter = waiter
        self.wal = wal
        connection.set_busy_handler(waiter)
        connection.set_wal_hook(wal.note)  # it takes the place of SQLite's own checkpoints

    def close(self) -> None:
        """Close all of it; the log last, which SQLite may delete with the connection."""
        self.connection.close()
        self.waiter.close()
        self.wal.close()

"""Connections to one file for any number of threads and transactions on them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import apsw

from liteq.exceptions import StorageDamaged, StorageError
from liteq.storage.bell import Bell
from liteq.storage.sqlite import forks
from liteq.storage.sqlite.connection import Settings, open_connection, rollback, wait_when_busy
from liteq.storage.sqlite.errors import FROM_FILE, out_of_room, translate
from liteq.storage.sqlite.files import FileId, file_id, real_of
from liteq.storage.sqlite.line import Waiter

_CHECKPOINT_TIMEOUT = 0.05
"""Seconds: it keeps writers waiting while it waits for readers, such as a backup."""


class Transaction:
    """A write transaction of one thread, and whom to wake once it is committed."""

    __slots__ = ("connection", "ended_tasks", "new_work")

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.new_work = False
        self.ended_tasks = False


class Database:
    """A pool of connections, one per operation under way; making a Database opens nothing.

    A connection is used by one thread at a time, and none may exist in a process at the moment it forks:
    SQLite's locks would be shared in a way that neither process knows of. So idle connections are closed
    before a fork (the next use opens new ones), and a child that was forked while another thread was inside
    a call refuses to use the file.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.path = settings.path
        self.work_bell, self.done_bell = Bell(""), Bell("")  # their paths come with the next line
        self._find_companions()
        self.opened = 0
        """How many connections have been opened so far."""
        self._lock = threading.Lock()
        self._idle: list[apsw.Connection] = []
        self._not_durable: set[apsw.Connection] = set()
        self._files: dict[apsw.Connection, FileId | None] = {}
        self._waiters: dict[apsw.Connection, Waiter] = {}
        self._bound: FileId | None = None
        self._in_use = 0
        self._forked_while_in_use = False
        self._wal_pages = 0
        self._checkpoints = False
        self._local = threading.local()
        forks.guard(self)

    def _find_companions(self) -> None:
        """SQLite follows links, and keeps its other files beside the database and not beside the link."""
        real = real_of(self.path)
        self._wal, self._line = f"{real}-wal", f"{real}-line"
        self.work_bell.path, self.done_bell.path = f"{real}-bell", f"{real}-done"
        self.work_bell.like = self.done_bell.like = real

    @contextmanager
    def read(self) -> Iterator[apsw.Connection]:
        """A connection to read from; within this thread's transaction, that one's.

        Raises:
            StorageError: what SQLite reports of the file, with what to do.
        """
        current: Transaction | None = getattr(self._local, "transaction", None)
        if current is not None:
            yield current.connection
            return
        connection = self._take()
        try:
            yield connection
        except FROM_FILE as error:
            raise translate(out_of_room(error, connection), self.path) from error
        finally:
            self._give_back(connection)

    @contextmanager
    def snapshot(self) -> Iterator[apsw.Connection]:
        """As `read`, and all that is read within the block is as of one moment."""
        with self.read() as connection:
            if not connection.get_autocommit():  # within a transaction, everything is
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                rollback(connection)

    def write(self, *, durable: bool = True) -> _Write:
        """A transaction; one inside another joins it. See `read` for what it raises.

        One that is not durable is committed without waiting for the disk, as with durability "normal".
        """
        return _Write(self, self._local, durable)

    def abandon(self) -> None:
        """Roll back what this thread has begun and does not end, since it was stopped just at that step."""
        transaction: Transaction | None = getattr(self._local, "transaction", None)
        if transaction is not None:
            self._local.transaction = None
            rollback(transaction.connection)
            self._give_back(transaction.connection)

    def sync(self) -> None:
        """Wait until all that is committed is on the disk, with durability "full"."""
        if self.settings.durability == "full":
            # SQLite holds no locks on the WAL, so that it may be opened and closed beside it.
            try:
                with open(self._wal, "rb") as wal:  # noqa: PTH123 -- as SQLite names it
                    os.fsync(wal.fileno())
            except OSError as error:
                raise StorageError(f"{self._wal}: can't be synchronised with the disk: {error}") from error

    def wal_pages(self) -> int:
        """How many pages the WAL held after this process's last commit; from now on it checkpoints itself."""
        if not self._checkpoints:
            with self._lock:
                self._checkpoints = True
                # Not closed and opened anew: while one is open, no other file can have the number of this.
                for connection in self._idle:
                    connection.set_wal_hook(self._note_wal_pages)
        return self._wal_pages

    def checkpoint(self, mode: int) -> None:
        """Move the WAL's pages into the database; what readers still need stays for the next time."""
        with self.read() as connection:
            wait_when_busy(connection, _CHECKPOINT_TIMEOUT)
            try:
                connection.wal_checkpoint(mode=mode)
            except apsw.BusyError:
                return  # a long reader: the next commit tries again
            finally:
                connection.set_busy_handler(self._waiters[connection])
            self._wal_pages = 0

    def _note_wal_pages(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def close(self) -> None:
        """Close idle connections and bells."""
        with self._lock:
            self._close_idle()
        self.work_bell.close()
        self.done_bell.close()

    def _take(self) -> apsw.Connection:
        with self._lock:
            if self._forked_while_in_use:
                raise StorageError(
                    f"{self.path}: this process was forked while another thread was using the file; "
                    "fork before other threads call tasks, or start processes by spawn"
                )
            connection = self._idle_one()
            self._in_use += 1
        if connection is not None:
            return connection
        try:
            return self._open()
        except BaseException as error:
            with self._lock:
                self._in_use -= 1
            if isinstance(error, apsw.Error):
                raise translate(error, self.path) from error
            raise

    def _idle_one(self) -> apsw.Connection | None:
        """An idle connection to the file that has the name now: what is stored in another is lost."""
        file = file_id(self.path)
        if self._bound not in {None, file}:
            raise self._moved()
        while self._idle:
            connection = self._idle.pop()
            if self._files[connection] == file:
                return connection
            self._close(connection)
        return None

    def bind(self, connection: apsw.Connection) -> None:
        """From now on another file under the same name is an error: this process owns a part of this one.

        Raises:
            StorageDamaged: if it has lost its name already.
        """
        self._bound = self._files[connection]
        if self._bound is None:
            raise self._moved()

    def _moved(self) -> StorageDamaged:
        return StorageDamaged(
            f"{self.path}: it was removed or replaced while it was in use, with what this process had "
            "claimed; put it back, or restart the process to work on what is there now"
        )

    def _open(self) -> apsw.Connection:
        connection = open_connection(self.settings)
        self._files[connection] = file_id(self.path)
        self._find_companions()
        self._waiters[connection] = Waiter(self._line, self.settings.timeout, self.work_bell.like)
        connection.set_busy_handler(self._waiters[connection])
        self.opened += 1
        if self._checkpoints:
            connection.set_wal_hook(self._note_wal_pages)  # it takes the place of autocheckpoint
        return connection

    def set_level(self, connection: apsw.Connection, *, durable: bool) -> None:
        """Let the connection's next transaction wait for the disk, or not."""
        if self.settings.durability == "full" and (connection in self._not_durable) is durable:
            connection.pragma("synchronous", "full" if durable else "normal")
            if durable:
                self._not_durable.discard(connection)
            else:
                self._not_durable.add(connection)

    def _give_back(self, connection: apsw.Connection) -> None:
        with self._lock:
            self._in_use -= 1
            self._idle.append(connection)

    def _close_idle(self) -> None:
        while self._idle:
            self._close(self._idle.pop())

    def _close(self, connection: apsw.Connection) -> None:
        self._not_durable.discard(connection)
        self._files.pop(connection, None)
        connection.close()
        self._waiters.pop(connection).close()

    def before_fork(self) -> None:
        """Close what can be closed, and let no thread open anything until the fork is over."""
        self._lock.acquire()
        self._close_idle()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Forget the parent's threads; what they were using is neither used nor closed."""
        self._lock = threading.Lock()
        self._local = threading.local()
        self._forked_while_in_use = self._in_use > 0


class _Write:
    """BEGIN IMMEDIATE … COMMIT and then the bells; a class, because a generator costs three times as much."""

    __slots__ = ("_database", "_durable", "_local", "_outermost", "_transaction")

    def __init__(self, database: Database, local: threading.local, durable: bool) -> None:
        self._database = database
        self._local = local
        self._durable = durable

    def __enter__(self) -> Transaction:
        current: Transaction | None = getattr(self._local, "transaction", None)
        self._outermost = current is None
        if current is None:
            self._transaction = self._begin()
        else:
            self._transaction = current
            current.connection.execute("SAVEPOINT inner")
        return self._transaction

    def _begin(self) -> Transaction:
        connection = self._database._take()  # noqa: SLF001 -- the two are one thing in two classes
        transaction = self._local.transaction = Transaction(connection)  # first, so that `abandon` finds it
        try:
            self._database.set_level(connection, durable=self._durable)
            self._database._waiters[connection].begin(connection)  # noqa: SLF001
        except BaseException as error:
            told = out_of_room(error, connection)
            self._local.transaction = None
            rollback(connection)  # what ends a task may be raised just when it has begun
            self._database._give_back(connection)  # noqa: SLF001
            if isinstance(told, apsw.Error):
                raise translate(told, self._database.path) from error
            raise
        return transaction

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        connection = self._transaction.connection
        if not self._outermost:
            self._end_inner(connection, failed=kind is not None)
            return
        told = None if error is None else out_of_room(error, connection)
        try:
            if kind is None:
                connection.execute("COMMIT")
            else:
                rollback(connection)
        except apsw.Error as failure:
            failed = out_of_room(failure, connection)
            rollback(connection)
            raise translate(failed, self._database.path) from failure
        finally:
            self._local.transaction = None
            self._database._give_back(connection)  # noqa: SLF001
        if kind is None:
            self._ring()
        elif isinstance(told, FROM_FILE):
            raise translate(told, self._database.path) from error

    def _end_inner(self, connection: apsw.Connection, *, failed: bool) -> None:
        if connection.get_autocommit():
            return  # the whole transaction was rolled back, as on a full disk
        if failed:
            connection.execute("ROLLBACK TO inner")
        connection.execute("RELEASE inner")

    def _ring(self) -> None:
        if self._transaction.new_work:
            self._database.work_bell.ring()
        if self._transaction.ended_tasks:
            self._database.done_bell.ring()

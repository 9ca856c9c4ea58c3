"""Connections to one file for any number of threads and transactions on them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

import apsw

from liteq.exceptions import StorageDamaged, StorageError
from liteq.storage.bell import Bell
from liteq.storage.sqlite import forks
from liteq.storage.sqlite.connection import Settings, open_connection, rollback, wait_when_busy
from liteq.storage.sqlite.errors import FROM_FILE, out_of_room, translate
from liteq.storage.sqlite.files import FileId, file_id, real_of
from liteq.storage.sqlite.handle import Handle
from liteq.storage.sqlite.line import Waiter
from liteq.storage.sqlite.wal import Wal

_CHECKPOINT_TIMEOUT = 0.05
"""Seconds: it keeps writers waiting while it waits for readers, such as a backup."""
_PAGES_BEFORE_PRODUCERS_CHECKPOINT = 32_768
"""A dispatcher checkpoints long before this; without one, the log must not grow for ever."""


class Transaction:
    """A write transaction of one thread, and whom to wake once it is committed."""

    __slots__ = ("connection", "ended_tasks", "handle", "new_work")

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.connection = handle.connection
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
        self.syncs = settings.durability == "full"
        """Whether what is committed is on the disk before a call returns."""
        self.path = settings.path
        self.work_bell, self.done_bell = Bell(""), Bell("")  # their paths come with the next line
        self._find_companions()
        self.opened = 0
        """How many connections have been opened so far."""
        self._lock = threading.Lock()
        self._idle: list[Handle] = []
        self._bound: FileId | None = None
        self._in_use = 0
        self._forked_while_in_use = False
        self._wal_pages = 0
        self._checkpoints_itself = False
        self._untold = False
        """What ended is committed, and those who wait for it are told once it is on the disk."""
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
        with self._handle() as handle:
            yield handle.connection

    @contextmanager
    def _handle(self) -> Iterator[Handle]:
        handle = self._take()
        try:
            yield handle
        except FROM_FILE as error:
            raise translate(out_of_room(error, handle.connection), self.path) from error
        finally:
            self._give_back(handle)

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
        return _Write(self, self._local, durable and self.syncs)

    def abandon(self) -> None:
        """Roll back what this thread has begun and does not end, since it was stopped just at that step."""
        transaction: Transaction | None = getattr(self._local, "transaction", None)
        if transaction is not None:
            self._local.transaction = None
            rollback(transaction.connection)
            self._give_back(transaction.handle)

    def sync(self) -> None:
        """With durability "full", wait until all commits are on the disk, and tell who waits for them."""
        if self.syncs:
            with self._handle() as handle:
                handle.wal.sync()
            if self._untold:
                self._untold = False
                self.done_bell.ring()

    def tell_of_ends(self, *, synced: bool) -> None:
        """Wake those who wait for tasks to end, now or with the next sync."""
        if synced or not self.syncs:
            self.done_bell.ring()
        else:
            self._untold = True

    def wal_pages(self) -> int:
        """How many pages the log held after this process's last commit; from now on it checkpoints itself."""
        self._checkpoints_itself = True
        return self._wal_pages

    def checkpoint(self, mode: int) -> None:
        """Move the log's pages into the database; what readers still need stays for the next time."""
        with self._handle() as handle:
            self._checkpoint(handle, mode)

    def _checkpoint(self, handle: Handle, mode: int) -> None:
        wait_when_busy(handle.connection, _CHECKPOINT_TIMEOUT)
        try:
            handle.connection.wal_checkpoint(mode=mode)
        except apsw.BusyError:
            return  # a long reader: the next commit tries again
        finally:
            handle.connection.set_busy_handler(handle.waiter)
        self._wal_pages = handle.wal.pages = 0

    def committed(self, handle: Handle) -> None:
        """See to the length of the log after a commit."""
        self._wal_pages = handle.wal.pages
        if self._wal_pages >= _PAGES_BEFORE_PRODUCERS_CHECKPOINT and not self._checkpoints_itself:
            with suppress(apsw.Error):  # the commit is made; the next one tries again
                self._checkpoint(handle, apsw.SQLITE_CHECKPOINT_PASSIVE)

    def close(self) -> None:
        """Close idle connections and bells."""
        with self._lock:
            self._close_idle()
        self.work_bell.close()
        self.done_bell.close()

    def _take(self) -> Handle:
        with self._lock:
            if self._forked_while_in_use:
                raise StorageError(
                    f"{self.path}: this process was forked while another thread was using the file; "
                    "fork before other threads call tasks, or start processes by spawn"
                )
            handle = self._idle_one()
            self._in_use += 1
        if handle is not None:
            return handle
        try:
            return self._open()
        except BaseException as error:
            with self._lock:
                self._in_use -= 1
            if isinstance(error, apsw.Error):
                raise translate(error, self.path) from error
            raise

    def _idle_one(self) -> Handle | None:
        """An idle connection to the file that has the name now: what is stored in another is lost."""
        file = file_id(self.path)
        if self._bound not in {None, file}:
            raise self._moved()
        while self._idle:
            handle = self._idle.pop()
            if handle.file == file:
                return handle
            handle.close()
        return None

    def bind(self, handle: Handle) -> None:
        """From now on another file under the same name is an error: this process owns a part of this one.

        Raises:
            StorageDamaged: if it has lost its name already.
        """
        self._bound = handle.file
        if self._bound is None:
            raise self._moved()

    def _moved(self) -> StorageDamaged:
        return StorageDamaged(
            f"{self.path}: it was removed or replaced while it was in use, with what this process had "
            "claimed; put it back, or restart the process to work on what is there now"
        )

    def _open(self) -> Handle:
        connection = open_connection(self.settings)
        file = file_id(self.path)
        self._find_companions()
        waiter = Waiter(self._line, self.settings.timeout, self.work_bell.like)
        self.opened += 1
        return Handle(connection, file, waiter, Wal(self._wal, connection.pragma("page_size")))

    def _give_back(self, handle: Handle) -> None:
        with self._lock:
            self._in_use -= 1
            self._idle.append(handle)

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

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

    __slots__ = ("_database", "_local", "_outermost", "_syncs", "_transaction")

    def __init__(self, database: Database, local: threading.local, syncs: bool) -> None:
        self._database = database
        self._local = local
        self._syncs = syncs

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
        handle = self._database._take()  # noqa: SLF001 -- the two are one thing in two classes
        transaction = self._local.transaction = Transaction(handle)  # first, so that `abandon` finds it
        try:
            handle.waiter.begin(handle.connection)
        except BaseException as error:
            told = out_of_room(error, handle.connection)
            self._local.transaction = None
            rollback(handle.connection)  # what ends a task may be raised just when it has begun
            self._database._give_back(handle)  # noqa: SLF001
            if isinstance(told, apsw.Error):
                raise translate(told, self._database.path) from error
            raise
        return transaction

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        handle = self._transaction.handle
        if not self._outermost:
            self._end_inner(handle.connection, failed=kind is not None)
            return
        try:
            if kind is None:
                self._commit(handle)
            else:
                self._undo(handle, error)
        except BaseException:
            rollback(handle.connection)  # what ends a task may be raised just before the commit
            raise
        finally:
            self._local.transaction = None
            self._database._give_back(handle)  # noqa: SLF001
        if kind is None and self._transaction.ended_tasks:
            self._database.tell_of_ends(synced=self._syncs)

    def _commit(self, handle: Handle) -> None:
        if self._database.syncs:
            handle.wal.make_room()
        try:
            handle.connection.execute("COMMIT")
        except apsw.Error as failure:
            failed = out_of_room(failure, handle.connection)
            rollback(handle.connection)
            raise translate(failed, self._database.path) from failure
        if self._transaction.new_work:  # a consumer may take it up while this process waits for the disk
            self._database.work_bell.ring()
        if self._syncs:
            handle.wal.sync()
        self._database.committed(handle)

    def _undo(self, handle: Handle, error: BaseException | None) -> None:
        told = None if error is None else out_of_room(error, handle.connection)
        rollback(handle.connection)
        if isinstance(told, FROM_FILE):
            raise translate(told, self._database.path) from error

    def _end_inner(self, connection: apsw.Connection, *, failed: bool) -> None:
        if connection.get_autocommit():
            return  # the whole transaction was rolled back, as on a full disk
        if failed:
            connection.execute("ROLLBACK TO inner")
        connection.execute("RELEASE inner")

"""Open one connection to a queue's file: check what the file is, make it if it is new, set its pragmas."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import apsw

from liteq.exceptions import ConfigurationError, ForeignFile
from liteq.storage.sqlite import schema, sql
from liteq.storage.sqlite.errors import out_of_room
from liteq.storage.sqlite.files import prepare, refuse_swapped
from liteq.storage.sqlite.wal import GROWN_AT_MOST

Durability = Literal["full", "normal", "off"]

_BUSY_SLEEP = 0.001
_CACHED_STATEMENTS = 512
"""Far more than there are. Each execution takes another place in apsw's cache, and what stands there is
forgotten: with few places, the statements of a turn that come once are driven out by those for each task."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How connections to one file behave."""

    path: str
    durability: Durability = "full"
    timeout: float = 60.0
    """Seconds to wait for another process's write lock."""
    cache_mb: int = 8
    secure_delete: bool = False
    """Overwrite what is deleted."""


def open_connection(settings: Settings) -> apsw.Connection:
    """A connection to the file, which is made if there is none.

    Raises:
        StorageError: if the file can't be used; it names the file and what to do.
        apsw.Error: what SQLite says of the file, for the caller to translate.
    """
    prepare(settings.path)
    connection = apsw.Connection(
        settings.path, flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=_CACHED_STATEMENTS
    )
    try:
        wait_when_busy(connection, settings.timeout)
        _check_and_initialise(connection, settings.path)
        _set_pragmas(connection, settings)
        refuse_swapped(settings.path)
    except BaseException as error:
        told = out_of_room(error, connection)
        connection.close()
        raise told from error
    return connection


def wait_when_busy(connection: apsw.Connection, timeout: float) -> None:
    """Wait for a lock in equal, short sleeps.

    SQLite's own handler sleeps up to 100 ms, longer the longer it has waited, and so starves those who
    waited most: 16 writers, longest wait 834 ms with it and 88 ms with this one.
    """
    tries = max(1, int(timeout / _BUSY_SLEEP))

    def sleep(count: int) -> bool:
        time.sleep(_BUSY_SLEEP)
        return count < tries

    connection.set_busy_handler(sleep)


def _check_and_initialise(connection: apsw.Connection, path: str) -> None:
    # Until the file is known to be ours, closing must not write: SQLite would move the WAL into it.
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    if is_new(connection, path):
        if connection.readonly("main"):
            raise apsw.ReadOnlyError("attempt to write a readonly database")
        connection.pragma("page_size", schema.PAGE_SIZE)
        _switch_to_wal(connection)
        with _Immediate(connection):
            if is_new(connection, path):
                for statement in schema.TABLES:
                    connection.execute(statement)
                connection.pragma("application_id", schema.APPLICATION_ID)
                connection.pragma("user_version", schema.VERSION)
        # The file itself says what it is from now on, whatever becomes of the WAL.
        with suppress(apsw.BusyError):  # another one does it
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    if connection.readonly("main"):
        raise apsw.ReadOnlyError("attempt to write a readonly database")
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)


def is_new(connection: apsw.Connection, path: str) -> bool:
    """Whether the file is empty.

    Raises:
        ForeignFile: if it is neither empty nor a file of this version of liteq.
    """
    # One statement, so that another process can't make the file a liteq file in between.
    mark, version, tables = connection.execute(sql.WHAT_IT_IS).get
    if mark == schema.APPLICATION_ID:
        if version > schema.VERSION:
            raise ForeignFile(
                f"{path}: written by a newer liteq (schema {version}; this one knows {schema.VERSION}); "
                "it was left untouched: upgrade liteq or use another filename"
            )
        return False
    if mark or version or tables:
        raise ForeignFile(
            f"{path}: a SQLite database of another application; it was left untouched: use another filename"
        )
    return True


def _switch_to_wal(connection: apsw.Connection) -> None:
    """Switch to WAL mode; SQLite does not call the busy handler for it, so two at once need this loop."""
    deadline = time.monotonic() + 30
    while True:
        try:
            mode = connection.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_BUSY_SLEEP)
            continue
        if mode != "wal":
            raise ConfigurationError(
                f"{connection.db_filename('main')}: WAL mode is refused here (it is {mode}); "
                "network file systems can't hold a queue: use a local disk"
            )
        return


def _set_pragmas(connection: apsw.Connection, settings: Settings) -> None:
    # With "full", it is the log that is synchronised, after the commit: see `liteq.storage.sqlite.wal`.
    connection.pragma("synchronous", "normal" if settings.durability == "full" else settings.durability)
    connection.pragma("cache_size", -settings.cache_mb * 1024)
    connection.pragma("mmap_size", 0)
    connection.pragma("secure_delete", settings.secure_delete)
    connection.pragma("journal_size_limit", GROWN_AT_MOST)


class _Immediate:
    """BEGIN IMMEDIATE … COMMIT: a transaction that is a writer from its first moment."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self._connection.execute("COMMIT")
            except BaseException:
                rollback(self._connection)
                raise
        else:
            rollback(self._connection)


def rollback(connection: apsw.Connection) -> None:
    """Undo the open transaction, if SQLite has not done so itself (it does on a full disk)."""
    if not connection.get_autocommit():
        connection.execute("ROLLBACK")

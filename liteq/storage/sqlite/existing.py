"""Open a file that must be there already, to look at it or to copy it: it is neither made nor changed."""

from __future__ import annotations

import stat
from pathlib import Path
from urllib.parse import quote

import apsw

from liteq.exceptions import ForeignFile, StorageError
from liteq.storage.sqlite import sql
from liteq.storage.sqlite.connection import Settings, is_new, wait_when_busy
from liteq.storage.sqlite.errors import translate
from liteq.storage.sqlite.files import real_of, size_of

_DEFAULT_TIMEOUT = Settings("").timeout


def open_existing(path: str, *, timeout: float = _DEFAULT_TIMEOUT) -> apsw.Connection:
    """A connection to a queue's file that reads only.

    Raises:
        StorageError: if there is no such file, or it is empty.
        ForeignFile: if it is not a file of this version of liteq.
        apsw.Error: what SQLite says of the file, for the caller to translate.
    """
    _check_kind(path)
    try:
        return _opened(path, path, apsw.SQLITE_OPEN_READWRITE, timeout)
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        # In a folder that can't be written, WAL mode has no place for its index. The database is complete
        # without it if there is no WAL.
        if size_of(f"{real_of(path)}-wal"):
            raise
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        return _opened(path, f"file:{quote(path)}?immutable=1", flags, timeout)


def queues_in(path: str) -> list[str]:
    """The names of the queues that have left something in a file.

    Raises:
        StorageError: if there is no such file, or it is not a queue's.
    """
    try:
        connection = open_existing(path)
        try:
            return [name for (name,) in connection.execute(sql.QUEUES)]
        finally:
            connection.close()
    except apsw.Error as error:
        raise translate(error, path) from error


def _check_kind(path: str) -> None:
    try:
        status = Path(path).stat()
    except FileNotFoundError:
        raise StorageError(f"{path}: there is no such file") from None
    except OSError as error:
        raise StorageError(f"{path}: it can't be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise StorageError(f"{path}: it is not a file")
    if not status.st_size:
        raise StorageError(f"{path}: it is empty; no queue has been made in it")


def _opened(path: str, name: str, flags: int, timeout: float) -> apsw.Connection:
    connection = apsw.Connection(name, flags=flags)
    try:
        wait_when_busy(connection, timeout)
        if size_of(f"{real_of(path)}-wal"):
            # Closing must not move it into a file that may be damaged, or not ours.
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        _check_content(connection, path)
        connection.pragma("query_only", True)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_content(connection: apsw.Connection, path: str) -> None:
    if is_new(connection, path):
        raise ForeignFile(f"{path}: it has no tables; no queue has been made in it")

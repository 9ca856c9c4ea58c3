"""SQLite's errors as liteq's: which file, what is wrong with it, and what to do."""

from __future__ import annotations

import errno
from typing import Final, TypeVar

import apsw

from liteq.exceptions import ForeignFile, StorageBusy, StorageDamaged, StorageError, StorageFull

OUT_OF_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The disk, the user's share of it, and what a process may make of one file."""

E = TypeVar("E", bound=BaseException)

FROM_FILE: Final = (apsw.Error, UnicodeDecodeError)
"""What is raised because of the file: SQLite does not look whether a text is one, but apsw decodes it."""

_DAMAGED = "it is damaged; keep a copy of it, and restore from a backup"
_ADVICE: tuple[tuple[type[Exception], type[StorageError], str], ...] = (
    (
        apsw.BusyError,
        StorageBusy,
        "its write lock was held for longer than `timeout`; end that transaction or raise `timeout`",
    ),
    (apsw.FullError, StorageFull, "the disk is full; nothing was stored: make room and try again"),
    (
        apsw.ReadOnlyError,
        StorageError,
        "it can't be written; give this user write permission on the file and on its folder",
    ),
    (
        apsw.CantOpenError,
        StorageError,
        "it can't be opened; check that it is a file, and the permissions on it, its folder and its -wal",
    ),
    (apsw.NotADBError, ForeignFile, "not a SQLite database; it was left untouched: use another filename"),
    (apsw.CorruptError, StorageDamaged, _DAMAGED),
    (UnicodeDecodeError, StorageDamaged, _DAMAGED),
    (TypeError, StorageDamaged, _DAMAGED),
    (apsw.PermissionsError, StorageError, "permission denied; check this user's permissions on it"),
    (apsw.IOError, StorageError, "reading or writing it failed; check the disk and the folder it lies in"),
)


def out_of_room(error: E, connection: apsw.Connection) -> E | apsw.FullError:
    """The error, or "full" where SQLite sees only that writing failed, as with a quota. Ask at once."""
    if isinstance(error, apsw.IOError) and connection.system_errno in OUT_OF_ROOM:
        return apsw.FullError(str(error))
    return error


def translate(error: apsw.Error | UnicodeDecodeError | TypeError, path: str) -> StorageError:
    """The error to raise to a caller in place of SQLite's or apsw's own."""
    for kind, ours, advice in _ADVICE:
        if isinstance(error, kind):
            return ours(f"{path}: {advice} ({error})")
    return StorageError(f"{path}: {error}")

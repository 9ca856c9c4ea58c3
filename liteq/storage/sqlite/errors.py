"""SQLite's errors as liteq's: which file, what is wrong with it, and what to do."""

from __future__ import annotations

import apsw

from liteq.exceptions import ForeignFile, StorageBusy, StorageError, StorageFull

_ADVICE: tuple[tuple[type[apsw.Error], type[StorageError], str], ...] = (
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
    (apsw.CorruptError, StorageError, "it is damaged; keep a copy of it, and restore from a backup"),
    (apsw.PermissionsError, StorageError, "permission denied; check this user's permissions on it"),
    (apsw.IOError, StorageError, "reading or writing it failed; check the disk and the folder it lies in"),
)


def translate(error: apsw.Error, path: str) -> StorageError:
    """The error to raise to a caller in place of SQLite's own."""
    for kind, ours, advice in _ADVICE:
        if isinstance(error, kind):
            return ours(f"{path}: {advice} ({error})")
    return StorageError(f"{path}: {error}")

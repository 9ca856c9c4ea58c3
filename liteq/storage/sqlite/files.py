"""What lies on the disk where a queue is to be, looked at before SQLite opens it."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

from liteq.exceptions import StorageDamaged, StorageError, StorageFull
from liteq.storage.sqlite.errors import OUT_OF_ROOM

FileId = tuple[int, int]
"""What tells a file from another one that has its name later."""

# Closing a descriptor of a file drops the POSIX locks that SQLite holds on it in this process. So a new
# file is made, and closed, only while no other thread can be opening it.
_creation = threading.Lock()


def file_id(path: str) -> FileId | None:
    """Which file has this name; None if none has."""
    try:
        status = os.stat(path)  # noqa: PTH116 -- it is called for every use of the queue
    except OSError:
        return None
    return status.st_dev, status.st_ino


def size_of(path: str) -> int:
    """The size in bytes; 0 if there is no such file."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def prepare(path: str) -> None:
    """See that there is a file at `path` that SQLite can be let loose on; make an empty one if there is none.

    Raises:
        StorageError: if there is none and none can be made, or it is not to be trusted.
        StorageDamaged: if the file is empty or missing, and its WAL is not.
    """
    folder = Path(path).parent
    if not folder.is_dir():
        raise StorageError(f"{path}: the folder {folder} does not exist; create it or use another filename")
    _refuse_strangers(os.path.realpath(path))
    _refuse_remnants(path, f"{os.path.realpath(path)}-wal")
    with _creation:
        _create(path, folder)


def _create(path: str, folder: Path) -> None:
    """Make an empty file that only its owner may read: messages and results are private."""
    if os.path.lexists(path):
        return
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        kind = StorageFull if error.errno in OUT_OF_ROOM else StorageError
        raise kind(f"{path}: the file can't be made in {folder}: {error.strerror}") from error


def _refuse_remnants(path: str, wal: str) -> None:
    """SQLite deletes the WAL of an empty database, and what was committed with it."""
    # In this order: the WAL of a file that is being made appears when the file is not empty any more.
    if size_of(wal) and not size_of(path):
        raise StorageDamaged(
            f"{path}: it is empty or missing, but {wal} is not: the database was truncated or removed. "
            "Restore it from a backup; or, to begin with an empty queue, move the -wal away"
        )


def _refuse_strangers(path: str) -> None:
    """In a folder where everybody may make files, another user's would be run as this one's tasks.

    Raises:
        StorageError: for such a file.
    """
    if not Path(path).parent.stat().st_mode & stat.S_IWOTH:
        return
    for name in (path, f"{path}-wal", f"{path}-shm", f"{path}-journal"):
        try:
            owner = os.lstat(name).st_uid
        except OSError:
            continue
        if owner not in {os.geteuid(), 0}:
            raise StorageError(
                f"{name}: it belongs to another user (uid {owner}), and everybody may write to its folder: "
                "who made it decides what is run; keep the queue in a folder of its own"
            )

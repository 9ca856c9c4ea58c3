"""What lies on the disk where a queue is to be, looked at before SQLite opens it."""

from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress
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


def real_of(path: str) -> str:
    """The file that a name leads to, through links.

    Raises:
        StorageError: if a link comes and goes.
    """
    for _ in range(100):
        with suppress(OSError):  # which Python lets through if it saw the link a moment ago
            return os.path.realpath(path)
    raise StorageError(f"{path}: it is made into a link and removed, again and again")


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
    refuse_strangers(path)
    _refuse_remnants(path, f"{real_of(path)}-wal")
    with _creation:
        _create(path, folder)
    # Once more: where everybody may make files, a name is sure once this user's file has it.
    refuse_strangers(path)


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


def refuse_strangers(path: str) -> None:
    """In a folder where everybody may make files, another user's would be run as this one's tasks.

    Raises:
        StorageError: for such a file or link.
    """
    real = real_of(path)
    for name in (path, real, *_companions(real)):
        owner = _owner(name)
        if owner is not None and owner not in {os.geteuid(), 0} and _is_everybodys(name):
            raise StorageError(
                f"{name}: it belongs to another user (uid {owner}), and everybody may write to its folder: "
                "who made it decides what is run; keep the queue in a folder of its own"
            )


def refuse_swapped(path: str) -> None:
    """The same, of what SQLite has opened by now: since the first look, somebody may have been quick.

    Raises:
        StorageError: if one of the files is a stranger's, or another one than SQLite has open.
    """
    real = real_of(path)
    if not _is_everybodys(real):
        return
    refuse_strangers(path)
    opened = _open_files()
    for name in (real, f"{real}-wal") if opened else ():
        if file_id(name) not in opened:
            raise StorageError(
                f"{name}: it was replaced while it was opened, and everybody may write to its folder: "
                "keep the queue in a folder of its own"
            )


def _companions(real: str) -> tuple[str, ...]:
    return f"{real}-wal", f"{real}-shm", f"{real}-journal"


def _owner(name: str) -> int | None:
    try:
        return os.lstat(name).st_uid
    except OSError:
        return None


def _is_everybodys(name: str) -> bool:
    """Whether everybody may make files in the folder of a file."""
    return bool(Path(name).parent.stat().st_mode & stat.S_IWOTH)


def _open_files() -> set[FileId]:
    """The files that this process has open; none where the system does not tell."""
    found = set()
    with suppress(FileNotFoundError):
        for fd in os.listdir("/proc/self/fd"):  # noqa: PTH208 -- numbers, not paths
            with suppress(OSError):  # the one that lists them is closed again
                status = os.fstat(int(fd))
                found.add((status.st_dev, status.st_ino))
    return found

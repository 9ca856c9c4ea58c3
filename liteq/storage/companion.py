"""Small files beside a queue's file, with nothing in them that could not be lost."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path


def open_companion(path: str, like: str | None, *, largest: int, flags: int = os.O_WRONLY) -> int:
    """A descriptor of such a file, which is made if it is not there.

    Args:
        path: the file.
        like: the file beside which it lies; a new one gets its permissions.
        largest: bytes that such a file may have; one that has more is somebody's file.
        flags: how to open it.

    Raises:
        OSError: if it can't be opened, or is something else; then it is left as it is.
    """
    fd = _open(path, like, flags)
    status = os.fstat(fd)
    # What is written must not damage another file: a hard link may give a companion's name to any.
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_size <= largest:
        return fd
    os.close(fd)
    raise OSError(f"{path} is another file; remove it")


def _open(path: str, like: str | None, flags: int) -> int:
    # Not through a symbolic link, nor into a pipe: the folder may be everybody's.
    flags |= os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, flags)
    try:
        fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another one has just made it
        return os.open(path, flags)
    if like is not None:
        with contextlib.suppress(OSError):
            _share(fd, Path(like).stat())
    return fd


def _share(fd: int, like: os.stat_result) -> None:
    """Give a new file the permissions of another, as SQLite does with its own; by root, its owner too."""
    if os.geteuid() == 0:
        os.fchown(fd, like.st_uid, like.st_gid)
    os.fchmod(fd, stat.S_IMODE(like.st_mode) & 0o666)

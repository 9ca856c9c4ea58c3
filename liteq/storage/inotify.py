"""Watch one file for writes with Linux's inotify (inotify(7)); the standard library has no binding."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

_IN_MODIFY = 0x2
_IN_DELETE_SELF = 0x400
_IN_MOVE_SELF = 0x800
_IN_DONT_FOLLOW = 0x2000000


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


class FileWatch:
    """A descriptor that becomes readable when the file at `path` was written.

    Raises:
        OSError: where files can't be watched, or the user's inotify instances are used up.
    """

    def __init__(self, path: str) -> None:
        if not sys.platform.startswith("linux"):
            raise OSError("inotify is a part of Linux")
        self._fd: int = _libc().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise _last_error("inotify_init1", path)
        mask = _IN_MODIFY | _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_DONT_FOLLOW
        if _libc().inotify_add_watch(self._fd, os.fsencode(path), mask) < 0:
            error = _last_error("inotify_add_watch", path)
            os.close(self._fd)
            raise error

    def fileno(self) -> int:
        """The descriptor, for a selector."""
        return self._fd

    def drain(self) -> None:
        """Read the pending events; what they say beyond "something happened" is of no interest."""
        try:
            while os.read(self._fd, 65536):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        """Stop watching."""
        os.close(self._fd)


def _last_error(call: str, path: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}", path)

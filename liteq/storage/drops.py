"""How many events found no room in a listener's pipe: a number in a file beside it.

It outlives the process that adds to it, which may end before it can tell of it in any other way.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct

_NUMBER = struct.Struct("<Q")
_TO_ADD = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


def path_of(pipe: str) -> str:
    """The file that belongs to a pipe."""
    return f"{pipe}.dropped"


def create(pipe: str) -> int:
    """Make the file; its descriptor.

    Raises:
        OSError: if it can't be done.
    """
    fd = os.open(path_of(pipe), _TO_ADD | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.pwrite(fd, _NUMBER.pack(0), 0)
    except OSError:
        os.close(fd)
        raise
    return fd


def read(fd: int) -> int:
    """How many have been dropped so far."""
    return int(_NUMBER.unpack(os.pread(fd, _NUMBER.size, 0))[0])


def add(pipe: str, events: int) -> bool:
    """Add to the number, and never wait; False if another process is just doing so."""
    try:
        fd = os.open(path_of(pipe), _TO_ADD)
    except OSError:  # the listener has ended
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.pwrite(fd, _NUMBER.pack(read(fd) + events), 0)
    except BlockingIOError:
        return False
    except (OSError, struct.error):  # it is none of ours
        return True
    finally:
        with contextlib.suppress(OSError):  # by name: a child that was forked meanwhile would keep it held
            fcntl.flock(fd, fcntl.LOCK_UN)
        os.close(fd)
    return True

"""The line between the supervisor and one of its children."""

from __future__ import annotations

import array
import os
import pickle
import socket
from collections import deque
from contextlib import suppress
from typing import Any

from liteq.workers.wire import MAX_PACKET, Garbled

_MOST_DESCRIPTORS = 253
"""In a packet (SCM_MAX_FD)."""

# As it is before gevent replaces it in a process of greenlets: its own waits even where that is forbidden.
_Socket = socket.socket


def adopt(descriptor: int) -> socket.socket:
    """A socket of an open descriptor, which blocks as it did.

    The application may have set a default timeout; the constructor would give it to this one, and take the
    blocking from all duplicates of the descriptor.
    """
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(None)
    try:
        return _Socket(fileno=descriptor)
    finally:
        socket.setdefaulttimeout(timeout)


class Control:
    """A line between the supervisor and one of its children: small objects, and open descriptors."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self._backlog: deque[tuple[bytes, tuple[int, ...]]] = deque()

    def fileno(self) -> int:
        """The descriptor, for a selector."""
        return self.socket.fileno()

    def send(self, message: Any, *descriptors: int) -> bool:
        """Send an object; False if the other side is gone. What has no room now goes with a later send.

        Descriptors are duplicated, so that the caller may close them.
        """
        data = pickle.dumps(message)
        if len(data) > MAX_PACKET:
            raise ValueError(f"a message of {len(data)} bytes does not fit a packet")
        self._backlog.append((data, tuple(os.dup(fd) for fd in descriptors)))
        return self.flush()

    def flush(self) -> bool:
        """Send what has waited for room; False if the other side is gone."""
        while self._backlog:
            data, descriptors = self._backlog[0]
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
            try:
                self.socket.sendmsg([data], ancillary if descriptors else [])
            except BlockingIOError:
                return True
            except OSError:
                return False
            self._backlog.popleft()
            for fd in descriptors:
                os.close(fd)
        return True

    @property
    def has_backlog(self) -> bool:
        """Whether something waits for room."""
        return bool(self._backlog)

    def receive(self) -> tuple[Any, list[int]] | None:
        """The next object and its descriptors; None if the other side is gone.

        Raises:
            BlockingIOError: if there is none now and the socket does not block.
            Garbled: if it is none of ours.
        """
        try:
            data, descriptors, _, _ = socket.recv_fds(self.socket, MAX_PACKET, _MOST_DESCRIPTORS)
        except ConnectionResetError:  # told once, before the last words of one that has ended
            data, descriptors, _, _ = socket.recv_fds(self.socket, MAX_PACKET, _MOST_DESCRIPTORS)
        if not data:
            return None
        try:
            return pickle.loads(data), descriptors
        except Exception as error:  # rubbish raises whatever it likes to
            raise Garbled(f"{len(data)} bytes are no message") from error

    def finish(self) -> None:
        """Say nothing more; what the other side still has to say is heard until it is gone."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close this end, and what was still to be sent."""
        while self._backlog:
            for fd in self._backlog.popleft()[1]:
                os.close(fd)
        self.socket.close()

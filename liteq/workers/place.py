"""What the supervisor knows of its processes: the places in the pool, and those who have left one."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress

from liteq.workers import wire
from liteq.workers.child import Child, Policy, State


class Place:
    """One place in the pool: the dispatcher's, or a worker's; and the process that fills it at present."""

    def __init__(self, kind: str, index: int, policy: Policy) -> None:
        self.kind = kind
        self.index = index
        self.child = Child(policy)
        self.token = 0
        self.pid: int | None = None
        self.control: wire.Control | None = None
        self.ends: tuple[socket.socket, socket.socket] | None = None
        """Of a worker: the dispatcher's end of its line, and its own."""
        self._told = False

    def __str__(self) -> str:
        return "dispatcher" if self.kind == "dispatcher" else f"worker {self.index + 1}"

    @property
    def is_served(self) -> bool:
        """Whether it is a worker that the dispatcher has to know."""
        return self.kind == "worker" and self.child.state in {State.READY, State.STOPPING}

    @property
    def is_unborn(self) -> bool:
        """Whether a process was asked for, and its pid is not known yet."""
        return self.control is not None and self.pid is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process; its pid is ours until it has been waited for."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def tell_to_end(self) -> None:
        """Tell a worker to end; for when there is no dispatcher any more that could."""
        if self.ends is not None and not self._told:
            with suppress(OSError):
                self.ends[0].send(wire.STOP_PACKET, socket.MSG_DONTWAIT)
                self._told = True

    def begin(self, token: int) -> None:
        """A new process is about to fill the place."""
        self.token = token
        self.pid = None
        self._told = False

    def forsake(self, now: float) -> None:
        """The template died before it made the process: nothing of it is left."""
        self.child.not_made(now)
        self.close()
        self.control = self.ends = None

    def close(self) -> None:
        """Close all that belongs to its process."""
        if self.control is not None:
            self.control.close()
        for end in self.ends or ():
            end.close()


class Departed:
    """A worker that has ended, until the dispatcher has settled what it left."""

    def __init__(self, place: Place, gone: wire.Gone, last: tuple[int, int]) -> None:
        self.gone = gone
        self.attach = wire.Attach(place.token, place.index, place.pid or 0, last)
        self._ends = place.ends or ()

    @property
    def ends(self) -> tuple[int, ...]:
        """The descriptors of its line."""
        return tuple(end.fileno() for end in self._ends)

    def close(self) -> None:
        """Close its line."""
        for end in self._ends:
            end.close()

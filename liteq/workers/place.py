"""What the supervisor knows of its processes: the places in the pool, and those who have left one."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import suppress
from typing import NamedTuple

from liteq import clock
from liteq.messages import Verdict
from liteq.workers import wire
from liteq.workers.child import Child, Policy, State
from liteq.workers.control import Control
from liteq.workers.process import describe_exit
from liteq.workers.shared import Board


class End(NamedTuple):
    """How a process ended."""

    code: int
    """Its exit code, or the negative number of the signal that killed it."""
    peak: int
    """Bytes of memory that it had at the most."""

    def __str__(self) -> str:
        return f"{describe_exit(self.code)}, peak memory {self.peak >> 20} MB"


class Place:
    """One place in the pool: the dispatcher's, or a worker's; and the process that fills it at present."""

    def __init__(self, kind: str, index: int, policy: Policy) -> None:
        self.kind = kind
        self.index = index
        self.child = Child(policy)
        self.token = 0
        self.pid: int | None = None
        self.control: Control | None = None
        self.ends: tuple[socket.socket, socket.socket] | None = None
        """Of a worker: the dispatcher's end of its line, and its own."""
        self.since = 0
        """When its process was ready, in microseconds of the monotonic clock; 0 if it is not yet."""
        self._blame = ""
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
        self.since = 0
        self._blame = ""
        self._told = False

    def ready(self, pid: int) -> None:
        """Its process says that it works; the template's word of it may come later."""
        self.pid = pid
        self.since = clock.monotonic()
        self.child.ready(time.monotonic())

    def condemn(self, why: wire.Condemn, board: Board) -> None:
        """End the process, whose place another one is to take: TERM and KILL, or KILL at once."""
        now = time.monotonic()
        self.child.replace(now)
        if why.verdict is Verdict.MEMORY:  # it may take more of it with every moment
            self._blame = why.why
            self.signal(signal.SIGKILL)
        else:
            board.condemn(self.index, why.verdict)
            self.child.limit(now, 0)

    def gone(self, end: End, board: Board, *, requested: bool) -> wire.Gone:
        """What is to be told of the end of its process, which may have been requested."""
        return wire.Gone(
            self.token,
            self._blame or str(end),
            requested and not self._blame,
            board.verdict(self.index),
            board.started(self.index),
            end.code,
            end.peak,
            board.read(self.index),
        )

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

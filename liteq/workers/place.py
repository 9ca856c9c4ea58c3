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
from liteq.workers import notices, wire
from liteq.workers.child import Child, Policy, State
from liteq.workers.control import Control
from liteq.workers.orders import Stop
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


class Line(NamedTuple):
    """Of a worker, to the dispatcher."""

    token: int
    """The worker's number, never used again."""
    entry: int
    """The worker's index on the board."""
    end: socket.socket
    """The dispatcher's."""
    far_end: socket.socket
    """The worker's."""

    def close(self) -> None:
        """Close both ends."""
        self.end.close()
        self.far_end.close()


class Place:
    """One place in the pool: the dispatcher's, or a worker's; and the process that fills it at present.

    Args:
        kind: "dispatcher" or "worker".
        index: among the places of its kind.
        policy: how its process is treated.
        shared: its process has several workers, which are threads or greenlets.
    """

    def __init__(self, kind: str, index: int, policy: Policy, *, shared: bool = False) -> None:
        self.kind = kind
        self.index = index
        self._shared = shared
        self.child = Child(policy)
        self.token = 0
        self.pid: int | None = None
        self.control: Control | None = None
        self.lines: list[Line] = []
        """Of its workers."""
        self.since = 0
        """When its process was ready, in microseconds of the monotonic clock; 0 if it is not yet."""
        self._blame = ""
        self._told: set[int] = set()

    def __str__(self) -> str:
        if self.kind == "dispatcher":
            return "dispatcher"
        return "process of all workers" if self._shared else f"worker {self.index + 1}"

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
        """Tell its workers to end; for when there is no dispatcher any more that could."""
        for line in self.lines:
            if line.token not in self._told:
                with suppress(OSError):
                    line.end.send(wire.STOP_PACKET, socket.MSG_DONTWAIT)
                    self._told.add(line.token)

    def begin(self, token: int) -> None:
        """A new process is about to fill the place."""
        self.token = token
        self.pid = None
        self.since = 0
        self._blame = ""
        self._told = set()

    def ready(self, pid: int) -> None:
        """Its process says that it works; the template's word of it may come later."""
        self.pid = pid
        self.since = clock.monotonic()
        self.child.ready(time.monotonic())

    def line(self, token: int) -> Line | None:
        """The line of the worker of a token, if it is one of this process."""
        return next((line for line in self.lines if line.token == token), None)

    def condemn(self, why: notices.Condemn, index: int, board: Board) -> None:
        """End what one of its workers is at, whose index on the board that is.

        That is the end of a process of one worker, whose place another one is to take: TERM and KILL, or KILL
        at once. For a timeout or a revocation, a process of several is only told which of them it concerns.
        """
        now = time.monotonic()
        if why.verdict is Verdict.MEMORY:  # it may take more of it with every moment
            self.child.replace(now)
            self._blame = why.why
            self.signal(signal.SIGKILL)
            return
        board.condemn(index, why.verdict)
        if not self._shared:
            self.child.replace(now)
            self.child.limit(now, 0)
        elif self.control is not None:
            self.control.send(Stop(index, why.attempt))

    def departures(self, end: End, board: Board, *, requested: bool) -> list[Departed]:
        """What is to be told of the end of its process, which may have been requested, for each worker."""
        found = []
        for line in self.lines:
            gone = notices.Gone(
                line.token,
                self._blame or str(end),
                requested and not self._blame,
                board.verdict(line.entry),
                board.started(line.entry),
                end.code,
                end.peak,
                board.read(line.entry),
            )
            found.append(Departed(line, self.pid or 0, gone))
        return found

    def forsake(self, now: float) -> None:
        """The template died before it made the process: nothing of it is left."""
        self.child.not_made(now)
        self.close()
        self.control = None
        self.lines = []

    def close(self) -> None:
        """Close all that belongs to its process."""
        if self.control is not None:
            self.control.close()
        for line in self.lines:
            line.close()


class Departed:
    """A worker that has ended, until the dispatcher has settled what it left.

    Args:
        line: its line, which stays open until then.
        pid: the process that it was, or was in.
        gone: what is to be told.
    """

    def __init__(self, line: Line, pid: int, gone: notices.Gone) -> None:
        self.gone = gone
        self.attach = notices.Attach(line.token, line.entry, pid, gone.attempt)
        self._line = line

    @property
    def ends(self) -> tuple[int, ...]:
        """The descriptors of its line."""
        return self._line.end.fileno(), self._line.far_end.fileno()

    def close(self) -> None:
        """Close its line."""
        self._line.close()

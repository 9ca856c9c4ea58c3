"""A worker: receives tasks, runs them, reports how they ended."""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from select import POLLHUP, POLLNVAL, poll  # as it is before gevent replaces it
from typing import NoReturn, Protocol

from liteq import clock
from liteq.api import Huey
from liteq.exceptions import StorageBusy, StorageError, StorageFull, TaskInterrupted, TaskStopped
from liteq.messages import Attempted, ClaimKey, Disposition, Outcome, Settlement
from liteq.outcomes import text_of
from liteq.workers.attempt import announce, attempt, settle
from liteq.workers.brake import Brake
from liteq.workers.memory import PrivateMemory, shown
from liteq.workers.process import EXIT_CUT_OFF
from liteq.workers.rings import Doorbell, Rings
from liteq.workers.shared import Board
from liteq.workers.wire import (
    MAX_PACKET,
    MAX_PAYLOAD,
    Announcement,
    Assignment,
    Report,
    pack_leaving,
    pack_report,
    pack_return,
    unpack,
    unpack_report,
)

logger = logging.getLogger("huey.worker")

_RETRY_STORAGE_AFTER = 0.25
"""Seconds."""
_LOOK_FOR_ROOM_AFTER = 0.0005
"""Seconds. There is none while reports are large, or while the dispatcher can't commit."""

INTERRUPTED = Outcome(Disposition.BACK, "interrupted")
INTERRUPTED_FOR_GOOD = Outcome(
    Disposition.DEAD, "interrupted", reason="it was interrupted, and it runs at most once"
)


class Line(Protocol):
    """What a worker needs of its line to the dispatcher, which is a socket."""

    def fileno(self) -> int:
        """Its descriptor."""

    def recv(self, size: int, /) -> bytes:
        """Wait for a packet; empty if there will be none any more."""

    def send(self, packet: bytes, flags: int, /) -> int:
        """Send a packet."""

    def shutdown(self, how: int, /) -> None:
        """Shut it in a direction."""


class Worker:
    """Runs one task at a time: a process, or a thread or greenlet of one.

    Args:
        huey: the application's queue.
        index: its number in its consumer, and its entry on the board.
        line: to the dispatcher.
        board: where it tells what it is at.
        rings: where it reports.
        lease: microseconds for which a claim is sure to hold after it was handed out.
        brake: ends its tasks.
        memory: of its process; it leaves after a task with which that has become too large. None: no limit.
    """

    def __init__(
        self,
        huey: Huey,
        index: int,
        line: Line,
        board: Board,
        rings: Rings,
        lease: int,
        brake: Brake,
        memory: PrivateMemory | None = None,
    ) -> None:
        self._huey = huey
        self._index = index
        self._line = line
        self._ends_of_line = poll()
        self._ends_of_line.register(line, 0)
        self._board = board
        self._rings = rings
        self._doorbell = Doorbell()
        self._alone = False
        """Neither a dispatcher nor a supervisor is left."""
        self._lease = lease
        self._brake = brake
        self._pid = os.getpid()
        self._memory = memory

    def work(self) -> None:
        """The loop. An end of file means that the supervisor and the dispatcher are both gone."""
        while not self._brake.stopping:
            packet = self._receive()
            received = unpack(packet) if packet else None
            if received is None or self._brake.stopping:
                break
            if isinstance(received, Announcement):
                announce(self._huey, received)
                continue
            for behind, assignment in enumerate(received, 1 - len(received)):
                if not self._work_on(assignment, more=behind < 0):
                    break  # what is left of the packet is the dispatcher's
        if self._alone:
            self._settle_reports(self._rings.left(self._index))

    def _work_on(self, assignment: Assignment, *, more: bool) -> bool:
        """Run a task; False if the worker is not to go on with those behind it."""
        if assignment.handed_out + self._lease <= clock.monotonic():
            # We stood still, and the claim may be another's by now: what is read from storage is ours.
            assignment = assignment._replace(data=None)
        began, started = clock.now(), time.perf_counter_ns()
        key = assignment.key
        if not self._board.begin(self._index, key.seq, key.attempt, began, assignment.epoch):
            self._send(pack_return(key))
            self._board.clear(self._index)
            return False
        outcome = self._run(assignment)
        if os.getpid() != self._pid:
            os._exit(0)  # a task forked, and its child came back here: it is not a worker
        duration = time.perf_counter_ns() - started
        self._brake.tidy(duration)
        if self._brake.has_raised:
            self._brake.has_raised = False
            self._huey.storage.abandon()
        if outcome is None:
            self._brake.stopping = True
            return False
        self._report(assignment, outcome, Attempted(began, duration // 1000, self._pid), more=more)
        self._board.clear(self._index)
        if self._memory is not None:
            self._leave_if_too_large(self._memory.measure(clock.monotonic()), self._memory.limit)
        return not self._brake.stopping

    def _leave_if_too_large(self, used: int, limit: int) -> None:
        if used > limit:
            logger.info(
                "Worker %d uses %s, more than --max-memory %s: another one takes its place",
                self._index + 1, shown(used), shown(limit),
            )  # fmt: skip
            self._send(pack_leaving())
            self._brake.stopping = True

    def _receive(self) -> bytes | None:
        try:
            self._brake.waiting = True
            packet = self._line.recv(MAX_PACKET)
        except (TaskInterrupted, TaskStopped):
            return None
        except ConnectionResetError:
            packet = b""
        except OSError as error:
            _cut_off(error)
        finally:
            self._brake.waiting = False
        self._alone = not (packet or self._brake.hung_up)
        return packet

    def _run(self, assignment: Assignment) -> Outcome | None:
        """Run a task; None if it was stopped for good after it had ended: the next worker concludes it."""
        try:
            try:
                self._brake.open()
                outcome = attempt(self._huey, assignment, self._brake)
            finally:
                self._brake.close()
        except TaskInterrupted:  # before or after the task itself
            self._brake.close()  # as in each of these: the exception may have kept it from its end
            outcome = INTERRUPTED
        except TaskStopped as stopped:
            if self._brake.ends_process:
                return None
            self._brake.close()
            outcome = attempt(self._huey, assignment, self._brake, stopped.reason)
        except BaseException as error:
            self._brake.close()
            logger.exception("The outcome of a task can't be stored")
            return Outcome(Disposition.DEAD, "dead", reason=f"its outcome can't be stored: {text_of(error)}")
        back = outcome.disposition is Disposition.BACK
        for_good = back and assignment.at_most_once
        return INTERRUPTED_FOR_GOOD._replace(events=outcome.events) if for_good else outcome

    def _report(self, assignment: Assignment, outcome: Outcome, attempted: Attempted, *, more: bool) -> None:
        key, duration = assignment.key, attempted.duration or 0
        packet = pack_report(Report(key.seq, key.attempt, duration, outcome, attempted.started or 0))
        if len(packet) > MAX_PAYLOAD:
            self._brake.no_limit()  # from here on it is storage that takes its time
            if not self._settle(Settlement(key, outcome, attempted)):
                return
            packet = pack_report(Report(key.seq, key.attempt, duration, None))
        self._send(packet, more=more)

    def _send(self, packet: bytes, *, more: bool = False) -> None:
        """Let the dispatcher know, which may be the next one."""
        before = clock.monotonic()
        while not self._rings.write(self._index, packet):
            self._ring()
            if self._alone:
                self._settle_reports([packet])
                return
            time.sleep(_LOOK_FOR_ROOM_AFTER)
        if self._doorbell.is_due(before, clock.monotonic(), more=more) and self._rings.is_awaited():
            self._ring()
        else:
            self._check_line()

    def _ring(self) -> None:
        try:
            self._line.send(b"\0", socket.MSG_DONTWAIT)
        except BlockingIOError:
            return  # it has not heard those before yet
        except (BrokenPipeError, ConnectionResetError):
            self._alone = self._brake.stopping = True
        except OSError as error:
            _cut_off(error)

    def _check_line(self) -> None:
        """A task that has closed it has closed other things as well: no other task is to run here.

        Nor if nobody is left at its other end, who would not be rung if it was awake when it died.
        """
        for _, event in self._ends_of_line.poll(0):
            if event & POLLNVAL:
                _cut_off(OSError(errno.EBADF, os.strerror(errno.EBADF)))
            if event & POLLHUP:
                self._alone = self._brake.stopping = True

    def _settle_reports(self, packets: Iterable[bytes]) -> None:
        """Nobody else is left to. The claims may still be ours; if they are not, this has no effect."""
        for report in map(unpack_report, packets):
            if report.outcome is None:
                continue
            key = ClaimKey(report.seq, report.attempt, self._rings.owner)
            try:
                self._settle(Settlement(key, report.outcome, report.attempted(self._pid)))
            except StorageError as error:
                logger.error("The outcome of a task can't be stored: %s", error)  # noqa: TRY400 -- it says all

    def _settle(self, settlement: Settlement) -> bool:
        """Settle from here, however long storage can't be written; False if told to end meanwhile."""
        told = None
        while True:
            try:
                settle(self._huey, settlement)
            except (StorageBusy, StorageFull) as error:
                if type(error) is not told:
                    told = type(error)
                    logger.warning("The outcome of a task can't be stored yet: %s", error)
                if self._brake.stopping:
                    return False  # the claim is given back, and the task runs again
                time.sleep(_RETRY_STORAGE_AFTER)
            else:
                return True


def _cut_off(error: OSError) -> NoReturn:
    """End the process: a task has closed the line to the dispatcher, or put something else in its place."""
    with suppress(Exception):
        logger.error("The worker's line to the dispatcher can't be used: %s", error)
    os._exit(EXIT_CUT_OFF)

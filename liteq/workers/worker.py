"""A worker: receives tasks, runs them, reports how they ended."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from types import FrameType

from liteq import clock
from liteq.api import Huey
from liteq.exceptions import StorageBusy, StorageError, StorageFull, TaskInterrupted, UnknownTask
from liteq.execution import run
from liteq.messages import BACK, Disposition, Error, Outcome, Settlement
from liteq.workers.shared import Board
from liteq.workers.template import ChildSpec
from liteq.workers.wire import (
    MAX_PACKET,
    MAX_PAYLOAD,
    Assignment,
    Control,
    Report,
    WorkerReady,
    pack_report,
    unpack_task,
)

logger = logging.getLogger("huey.worker")

_RETRY_STORAGE_AFTER = 0.25
"""Seconds."""

INTERRUPTED = Outcome(Disposition.BACK, "interrupted")
INTERRUPTED_FOR_GOOD = Outcome(
    Disposition.DEAD, "interrupted", reason="it was interrupted, and it runs at most once"
)


def worker_main(huey: Huey, spec: ChildSpec, control: Control, line: socket.socket, board: Board) -> int:
    """Run tasks until told to stop, or until nobody is left who could give any."""
    worker = Worker(huey, spec, line, board)
    signal.signal(signal.SIGTERM, worker.interrupt)
    huey.hooks.startup.run()
    control.send(WorkerReady(os.getpid()))
    logger.debug("Worker %d is ready, pid %d", spec.place + 1, os.getpid())
    worker.work()
    huey.hooks.shutdown.run()
    huey.storage.close()
    return 0


class Worker:
    """One process that runs one task at a time."""

    def __init__(self, huey: Huey, spec: ChildSpec, line: socket.socket, board: Board) -> None:
        self._huey = huey
        self._index = spec.place
        self._line = line
        self._board = board
        self._pid = os.getpid()
        self._interruptible = False
        self._stopping = False

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """SIGTERM: end the running task now. Outside of a task it only notes that the worker has to end.

        Raises:
            TaskInterrupted: into the task.
        """
        self._stopping = True
        if self._interruptible:
            raise TaskInterrupted

    def work(self) -> None:
        """The loop. An end of file means that the supervisor and the dispatcher are both gone."""
        while not self._stopping:
            packet = self._receive()
            assignment = unpack_task(packet) if packet else None
            if assignment is None:
                return
            self._board.write(self._index, assignment.key.seq, assignment.key.attempt)
            started = time.perf_counter_ns()
            outcome = self._run(assignment)
            if os.getpid() != self._pid:
                os._exit(0)  # a task forked, and its child came back here: it is not a worker
            self._report(assignment, outcome, (time.perf_counter_ns() - started) // 1000)
            self._board.clear(self._index)

    def _receive(self) -> bytes | None:
        try:
            self._interruptible = True
            return self._line.recv(MAX_PACKET)
        except (TaskInterrupted, ConnectionResetError):
            return None
        finally:
            self._interruptible = False

    def _run(self, assignment: Assignment) -> Outcome:
        try:
            self._interruptible = True
            outcome = attempt(self._huey, assignment)
        except TaskInterrupted:
            outcome = INTERRUPTED
        except Exception as error:
            logger.exception("The outcome of a task can't be stored")
            return Outcome(Disposition.DEAD, "dead", reason=f"its outcome can't be stored: {error!r}")
        finally:
            self._interruptible = False
        back = outcome.disposition is Disposition.BACK
        return INTERRUPTED_FOR_GOOD if back and assignment.at_most_once else outcome

    def _report(self, assignment: Assignment, outcome: Outcome, duration: int) -> None:
        key = assignment.key
        packet = pack_report(Report(key.seq, key.attempt, duration, outcome))
        large = len(packet) > MAX_PAYLOAD
        if large:
            if not self._settle(assignment, outcome):
                return
            packet = pack_report(Report(key.seq, key.attempt, duration, None))
        try:
            self._line.send(packet)
        except (BrokenPipeError, ConnectionResetError):
            # Nobody is left to settle it. The claim may still be ours; if it is not, this has no effect.
            if not large:
                self._settle(assignment, outcome)
            self._stopping = True

    def _settle(self, assignment: Assignment, outcome: Outcome) -> bool:
        """Settle from here, however long storage can't be written; False if told to end meanwhile."""
        while True:
            try:
                settle(self._huey, assignment, outcome)
            except (StorageBusy, StorageFull) as error:
                logger.warning("The outcome of a task can't be stored yet: %s", error)
                if self._stopping:
                    return False  # the claim is given back, and the task runs again
                time.sleep(_RETRY_STORAGE_AFTER)
            else:
                return True


def attempt(huey: Huey, assignment: Assignment) -> Outcome:
    """Run the task of an assignment, if it can be decoded; what that causes."""
    data = assignment.data
    if data is None:
        data = huey.storage.data_of(assignment.key)
        if data is None:
            return BACK  # the claim was lost meanwhile, and so will be the settle
    try:
        task = huey.deserialize_task(data)
    except UnknownTask as error:
        return Outcome(Disposition.DEAD, "dead", reason=str(error))
    except Exception as error:
        logger.exception("A message can't be decoded")
        return Outcome(Disposition.DEAD, "dead", reason=f"can't be decoded: {error!r}")
    task.claim = assignment.key
    now = clock.naive_now(huey.utc)
    return run(huey, task, revoked=assignment.revoked, now=now, isolated=True).outcome()


def settle(huey: Huey, assignment: Assignment, outcome: Outcome) -> None:
    """Settle from the worker itself: for outcomes too large for a packet, or that nobody else can store.

    Raises:
        StorageBusy: if storage can't be written at the moment.
        StorageFull: the same.
    """
    try:
        held = huey.storage.settle([Settlement(assignment.key, outcome)], clock.now())[0]
    except (StorageBusy, StorageFull):
        raise
    except StorageError as error:  # an outcome that can never be stored: too big, say
        logger.error("The outcome of a task can't be stored: %s", error)  # noqa: TRY400 -- it says all
        message = {"error": f"its outcome can't be stored: {error}"}
        results = [(key, huey.serializer.serialize(Error(message))) for key, _ in outcome.results]
        failed = Outcome(Disposition.DEAD, "dead", tuple(results), reason=message["error"])
        held = huey.storage.settle([Settlement(assignment.key, failed)], clock.now())[0]
    if not held:
        logger.warning(
            "Message %d was taken by another meanwhile; its outcome has no effect", assignment.key.seq
        )
